package e2e

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func shellBlocks(t *testing.T, path string) []string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(raw), -1) {
		out = append(out, strings.TrimSpace(m[1]))
	}
	return out
}

func TestReadmesHoldTheSameCommands(t *testing.T) {
	en, zh := shellBlocks(t, "../README.md"), shellBlocks(t, "../README.zh-CN.md")
	if len(en) < 5 || !slices.Equal(en, zh) {
		t.Errorf("README.md has %q\nREADME.zh-CN.md has %q", en, zh)
	}
}

// TestReadmeRuns runs the README's sixty seconds: the demo, both readers, and
// the record, with the answers that it claims.
func TestReadmeRuns(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	state := filepath.Join(t.TempDir(), "demo")
	blocks := shellBlocks(t, "../README.md")
	if blocks[0] != "go run . demo" {
		t.Fatalf("the first command is %q", blocks[0])
	}
	demo := exec.Command(binary, "demo", "--listen", address, "--state", state, "--people", "300")
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = demo.Process.Signal(syscall.SIGTERM)
		_ = demo.Wait()
	})
	for range 500 {
		response, err := http.Get("http://" + address + "/readyz")
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				break
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	run := func(command string) string {
		t.Helper()
		command = strings.NewReplacer("127.0.0.1:8080", address, "go run .", binary, "weir-demo", state).Replace(command)
		out, err := exec.CommandContext(t.Context(), "bash", "-c", command).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
		return string(out)
	}
	for i, want := range [][]string{
		{`{"data":{"person":{"name":"谢**","idNumber":null,"district":null}}`, `"mask":"NAME"`, `"field":"Person.idNumber"`, `"reason":"POLICY"`},
		{`{"data":{"person":{"name":"谢艳","idNumber":"990001198510290004","district":"番禺区"}}`},
		{"as window-clerk", "masked 1", "withheld 1", "as case-officer", "clear 1"},
		{`{"data":{"right":true,"wrong":false}`},
		{`{"data":{"personsAggregate":[{"group":{"district":"`, `"noised":[{"field":"Person","path":"personsAggregate.count","level":"L2"}]`},
	} {
		got := run(blocks[1+i])
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s\nsays %s\nwithout %s", blocks[1+i], got, w)
			}
		}
	}
}

// TestEveryCodeIsExplained keeps docs/errors.md and the set of codes together.
func TestEveryCodeIsExplained(t *testing.T) {
	source, err := os.ReadFile("../graph/plan/errors.go")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	codes := regexp.MustCompile(`Code = "([A-Z_]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(codes) < 20 {
		t.Fatalf("only %d codes found in the source", len(codes))
	}
	for _, c := range codes {
		if !strings.Contains(string(page), "| `"+c[1]+"` |") {
			t.Errorf("docs/errors.md has no line for %s", c[1])
		}
	}
}
