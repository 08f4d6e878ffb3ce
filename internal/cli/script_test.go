package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"weir": func() {
			ctx, stop := signal.NotifyContext(context.Background(), Signals()...)
			defer stop()
			os.Exit(Run(ctx, os.Args[1:], "test", os.Stdout, os.Stderr))
		},
	})
}

func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	if os.Getenv("WEIR_SMALL") != "" { // the race detector finds nothing in one command after the other
		serving := []string{"approve.txtar", "demo.txtar", "witness.txtar"}
		files = slices.DeleteFunc(files, func(name string) bool { return !slices.Contains(serving, filepath.Base(name)) })
	}
	testscript.Run(t, testscript.Params{
		Files: files,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "freeport": freePort, "ask": ask, "ready": ready, "officers": officers, "until": until,
			"receipt": receipt, "readkey": readKey, "copytree": copyTree, "flip": flip, "truncate": truncate,
			"auditors": auditors, "officerkey": publicOf, "oldrecords": oldRecords, "begindrop": beginDrop, "holds": holds,
			"witnessed": witnessed, "refusing": refusing,
		},
	})
}

// exits runs weir and compares its exit code: exits 3 lint --config x.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: exits CODE args...")
	}
	err := ts.Exec("weir", args[1:]...)
	code := "0"
	if err != nil {
		_, code, _ = strings.Cut(err.Error(), "exit status ")
	}
	if code != args[0] {
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
}

// until waits for a file to be there and hold a text: until FILE TEXT.
func until(ts *testscript.TestScript, _ bool, args []string) {
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && strings.Contains(string(text), args[1]) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%s does not hold %q", args[0], args[1])
		}
	}
}

// officers adds the public keys that keygen printed: officers weir.yaml wang.out li.out.
func officers(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[0]) + "officers:\n"
	for _, name := range args[1:] {
		key := regexp.MustCompile(`key: "(.*)"`).FindStringSubmatch(ts.ReadFile(name))
		if key == nil {
			ts.Fatalf("no key in %s", name)
		}
		text += "  - {id: " + strings.TrimSuffix(name, ".out") + ", key: \"" + key[1] + "\"}\n"
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// freePort puts an address that nobody listens on into a variable.
func freePort(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	defer func() { _ = l.Close() }()
	ts.Setenv(args[0], l.Addr().String())
}

// ready waits until the node at an address is.
func ready(ts *testscript.TestScript, _ bool, args []string) {
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get("http://" + args[0] + "/readyz")
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(end) {
			ts.Fatalf("not ready: %v", err)
		}
	}
}

// ask sends a query and writes the answer to a file: ask ADDRESS TOKEN PURPOSE QUERY FILE.
func ask(ts *testscript.TestScript, _ bool, args []string) {
	body, err := json.Marshal(map[string]string{"query": args[3]})
	ts.Check(err)
	r, err := http.NewRequest(http.MethodPost, "http://"+args[0]+"/graphql", bytes.NewReader(body))
	ts.Check(err)
	r.Header.Set("Authorization", "Bearer "+args[1])
	r.Header.Set("X-Weir-Purpose", args[2])
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[4]), answer, 0o600))
}

// TestCurlLines runs what demo prints, as it prints it.
func TestCurlLines(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	out := &lockedBuffer{}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan int, 1)
	go func() {
		done <- Run(ctx, []string{"demo", "--state", filepath.Join(dir, "demo"), "--people", "60", "--listen", address}, "test", out, out)
	}()
	defer func() {
		stop()
		if code := <-done; code != ExitOK {
			t.Errorf("exit code %d: %s", code, out)
		}
	}()
	for end := time.Now().Add(30 * time.Second); !strings.Contains(out.String(), "Ctrl-C"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no introduction: %s", out)
		}
	}
	lines := regexp.MustCompile(`(?m)^curl -s (\S+) -H 'Authorization: (.*)' -H 'X-Weir-Purpose: (.*)' -H 'Content-Type: (.*)' -d '(.*)'$`).FindAllStringSubmatch(out.String(), -1)
	if len(lines) != 2 {
		t.Fatalf("%d curl lines in:\n%s", len(lines), out)
	}
	var answers []string
	for _, line := range lines {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, line[1], strings.NewReader(line[5]))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", line[2])
		r.Header.Set("X-Weir-Purpose", line[3])
		r.Header.Set("Content-Type", line[4])
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%d %s %v", resp.StatusCode, text, err)
		}
		answers = append(answers, string(text))
	}
	var clerk, officer struct {
		Data struct {
			Person struct{ Name, IDNumber *string }
		}
	}
	for i, into := range []any{&clerk, &officer} {
		if err := json.Unmarshal([]byte(answers[i]), into); err != nil {
			t.Fatal(err)
		}
	}
	c, o := clerk.Data.Person, officer.Data.Person
	if c.Name == nil || !strings.HasSuffix(*c.Name, "*") || c.IDNumber != nil {
		t.Errorf("the clerk sees %s", answers[0])
	}
	if o.Name == nil || strings.Contains(*o.Name, "*") || o.IDNumber == nil {
		t.Errorf("the officer sees %s", answers[1])
	}
	var tail bytes.Buffer
	if code := Run(ctx, []string{"lineage", "tail", "--state", filepath.Join(dir, "demo"), "--last", "2"}, "test", &tail, &tail); code != ExitOK {
		t.Fatalf("tail: %d %s", code, &tail)
	}
	for _, want := range []string{"masked 1", "withheld 1", "clear 1", "window-clerk", "case-officer"} {
		if !strings.Contains(tail.String(), want) {
			t.Errorf("no %q in the ledger:\n%s", want, &tail)
		}
	}
	for _, value := range []string{*o.Name, *o.IDNumber} {
		if strings.Contains(tail.String(), value) {
			t.Error("the ledger shows a value")
		}
	}
}

// lockedBuffer is written by the server while the test reads it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
