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

	"github.com/weir-data/weir/examples/guangdong"
)

// found gives what the pattern's group finds in the files, sorted, each once.
func found(t *testing.T, pattern string, globs ...string) []string {
	t.Helper()
	var out []string
	for _, glob := range globs {
		files, err := filepath.Glob(glob)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no files: %v", glob, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			raw, err := os.ReadFile(file) //nolint:gosec // the project's own files
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(raw), -1) {
				out = append(out, m[1])
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// firstCells gives the names in backticks that stand in the first cells of a
// page's tables.
func firstCells(t *testing.T, page string) []string {
	t.Helper()
	var out []string
	for _, cell := range found(t, "(?m)^\\| (`[^|]+) \\|", page) {
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
			out = append(out, m[1])
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// sameSet compares what there is with what a page says.
func sameSet(t *testing.T, page string, there, said []string) {
	t.Helper()
	if len(there) == 0 {
		t.Fatalf("%s: nothing found in the source", page)
	}
	for _, name := range there {
		if !slices.Contains(said, name) {
			t.Errorf("%s says nothing of %s", page, name)
		}
	}
	for _, name := range said {
		if !slices.Contains(there, name) {
			t.Errorf("%s speaks of %s, which does not exist", page, name)
		}
	}
}

// TestDocsListWhatExists holds the pages that claim to list everything to the
// source, in both directions.
func TestDocsListWhatExists(t *testing.T) {
	sameSet(t, "docs/lint.md", found(t, `code\w+\s*= "([a-z-]+)"`, "../schema/codes.go", "../authz/codes.go", "../internal/gateway/trusted.go", "../internal/gateway/folders.go"), firstCells(t, "../docs/lint.md"))
	sameSet(t, "docs/errors.md", found(t, `Code = "([A-Z_]+)"`, "../graph/plan/errors.go"),
		slices.DeleteFunc(firstCells(t, "../docs/errors.md"), func(s string) bool { return strings.ToUpper(s) != s }))
	metrics := slices.DeleteFunc(firstCells(t, "../docs/operators.md"), func(s string) bool { return !strings.HasPrefix(s, "weir_") })
	sameSet(t, "docs/operators.md", found(t, `(?:Name: |counter\(|gauge\()"(weir_\w+)"`, "../internal/*/*.go", "../lineage/*.go", "../graph/exec/*.go"), metrics)
}

// TestDocsCommands holds every command that a page names to the program: it
// exists, and so do its flags.
func TestDocsCommands(t *testing.T) {
	commands := found(t, "`(weir [a-z][^`]*)`", "../docs/*.md", "../README*.md", "../CONTRIBUTING.md", "../SECURITY.md", "../CHANGELOG.md")
	commands = append(commands, found(t, `(?m)^(?:go run \.|weir) ([a-z].*)$`, "../README.md", "../README.zh-CN.md")...)
	if len(commands) < 15 {
		t.Fatalf("only %d commands found: %q", len(commands), commands)
	}
	word := regexp.MustCompile(`^[a-z][a-z-]*$`)
	for _, command := range commands {
		var path []string
		words := strings.Fields(strings.TrimPrefix(command, "weir "))
		for _, w := range words {
			if !word.MatchString(w) {
				break
			}
			path = append(path, w)
		}
		for _, one := range alternatives(words, path) {
			help, err := exec.CommandContext(t.Context(), binary, append(slices.Clone(one), "--help")...).CombinedOutput() //nolint:gosec // the program under test
			if err != nil || !strings.Contains(string(help), "weir "+strings.Join(one, " ")) {
				t.Errorf("`%s`: there is no command %q: %v\n%s", command, strings.Join(one, " "), err, help)
				continue
			}
			for _, w := range words {
				flag, _, _ := strings.Cut(strings.Trim(w, "[]`,.;'\""), "=")
				if strings.HasPrefix(flag, "--") && !strings.Contains(string(help), flag+" ") && !strings.Contains(string(help), flag+"\n") {
					t.Errorf("`%s`: the command has no flag %s", command, flag)
				}
			}
		}
	}
}

// alternatives resolves "lineage tail | show": each is a command.
func alternatives(words, path []string) [][]string {
	if len(path) < 2 || !slices.Contains(words, "|") {
		return [][]string{path}
	}
	all := [][]string{path}
	for i, w := range words {
		if w == "|" && i+1 < len(words) {
			all = append(all, append(slices.Clone(path[:1]), words[i+1]))
		}
	}
	return all
}

// TestDocsQueriesRun asks the demo the queries that the pages show, and listens
// to the events with the command that they show.
func TestDocsQueriesRun(t *testing.T) {
	address, _ := startDemo(t)
	s := &server{url: "http://" + address}
	for page, ask := range map[string]struct{ token, purpose, path string }{
		"../docs/owners.md":     {"demo-owner-health", "", "/control/graphql"},
		"../docs/aggregates.md": {"demo-statistician", "statistics", "/graphql"},
	} {
		queries := found(t, "(?s)```graphql\n(\\{.*?)```", page)
		if len(queries) == 0 {
			t.Errorf("%s shows no query", page)
		}
		for _, query := range queries {
			a, err := s.postTo(t.Context(), ask.path, ask.token, ask.purpose, query, "")
			if err != nil {
				t.Fatal(err)
			}
			if a.Status != http.StatusOK || a.Data == nil || len(a.Errors) > 0 {
				t.Errorf("%s: %s\n%s", page, query, a)
			}
		}
	}
	stream := found(t, "(?s)```\n(curl .*?)```", "../docs/owners.md")
	if len(stream) != 1 {
		t.Fatalf("docs/owners.md shows %d streams, want 1", len(stream))
	}
	done := make(chan string, 1)
	go func() {
		command := strings.Replace(strings.ReplaceAll(stream[0], "127.0.0.1:8080", address), "curl -N", "curl -N -s --max-time 4", 1)
		out, _ := exec.CommandContext(t.Context(), "bash", "-c", command).Output() //nolint:gosec // curl ends by its own time limit
		done <- string(out)
	}()
	births := `{ person(idNumber: "` + guangdong.TheSample().Mother + `") { births { number } } }`
	for {
		// Reads of the department, until the stream has ended.
		if _, err := s.post(t.Context(), "demo-clerk", "newborn-registration", births, ""); err != nil {
			t.Fatal(err)
		}
		select {
		case events := <-done:
			if !strings.Contains(events, "event: next") || !strings.Contains(events, `"coordinate":"BirthCertificate`) {
				t.Errorf("the stream of docs/owners.md gave no reads:\n%.2000s", events)
			}
			return
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// startDemo runs the demo until the test ends.
func startDemo(t *testing.T) (address, state string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address, state = listener.Addr().String(), filepath.Join(t.TempDir(), "weir-demo")
	_ = listener.Close()
	demo := exec.Command(binary, "demo", "--listen", address, "--state", state, "--people", "300") //nolint:gosec,noctx // ended by a signal below
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = demo.Process.Signal(syscall.SIGTERM)
		_ = demo.Wait()
	})
	for range 1_000 {
		if response, err := http.Get("http://" + address + "/readyz"); err == nil { //nolint:noctx // a local server of the test's own
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return address, state
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("the demo is not ready after 20 s")
	return "", ""
}
