package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// receipt puts an answer's receipt into a variable: receipt FILE NAME.
func receipt(ts *testscript.TestScript, _ bool, args []string) {
	var answer struct {
		Extensions struct{ Weir struct{ Receipt string } }
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &answer))
	if answer.Extensions.Weir.Receipt == "" {
		ts.Fatalf("no receipt in %s", args[0])
	}
	ts.Setenv(args[1], answer.Extensions.Weir.Receipt)
}

// readKey puts a file's one line into a variable: readkey FILE NAME.
func readKey(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[1], strings.TrimSuffix(ts.ReadFile(args[0]), "\n"))
}

// copyTree copies a folder: copytree FROM TO.
func copyTree(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.CopyFS(ts.MkAbs(args[1]), os.DirFS(ts.MkAbs(args[0]))))
}

// truncate cuts a file at an offset, counted from the end of what is not zero where
// it is negative: truncate FILE OFFSET.
func truncate(ts *testscript.TestScript, _ bool, args []string) {
	at, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	if at < 0 {
		at += int64(len(strings.TrimRight(ts.ReadFile(args[0]), "\x00")))
	}
	ts.Check(os.Truncate(ts.MkAbs(args[0]), at))
}

// flip changes one bit of a file, at an offset, or in its middle when it is
// shorter: flip FILE OFFSET.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	text := []byte(ts.ReadFile(args[0]))
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	if at >= len(text) {
		at = len(text) / 2
	}
	text[at] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), text, 0o600))
}

// witnessed names a witness in a configuration: witnessed FILE ADDRESS KEY.
func witnessed(ts *testscript.TestScript, _ bool, args []string) {
	text := strings.Replace(ts.ReadFile(args[0]), "\nledger:\n",
		fmt.Sprintf("\nledger:\n  witnesses: [{url: \"http://%s/\", key: %q}]\n", args[1], args[2]), 1)
	if !strings.Contains(text, args[2]) {
		ts.Fatalf("%s has no ledger", args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// refusing waits until a node tells that a witness refuses it: refusing ADDRESS.
func refusing(ts *testscript.TestScript, _ bool, args []string) {
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get("http://" + args[0] + "/metrics")
		ts.Check(err)
		text, err := io.ReadAll(resp.Body)
		ts.Check(errors.Join(err, resp.Body.Close()))
		if strings.Contains(string(text), `weir_ledger_witness_refused{witness="regulator.example/weir"} 1`) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("no witness refuses:\n%s", text)
		}
	}
}
