// Package e2e runs the real program over real HTTP beside real databases and
// graphql-js. It holds tests only.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weir-data/weir/examples/guangdong"
)

// people is the size of the data that graphql-js can hold and search naively.
const people = 150

// binary builds the program once per run of the tests.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "weir-e2e")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(dir) }()
		binary = filepath.Join(dir, "weir")
		build := exec.Command("go", "build", "-o", binary, "..")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "building the program: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// server is a running Weir.
type server struct {
	url     string
	dir     string // holds weir.yaml, schema/, policy/, data/, state/
	command *exec.Cmd
	exited  chan error
	log     *bytes.Buffer
	fails   bool // that it ends with an error is what the test wants
}

// tail is the end of the server's log.
func (s *server) tail() string {
	all := s.log.String()
	return all[max(0, len(all)-2000):]
}

// kill ends the server as a crash would, and returns when it is gone.
func (s *server) kill() {
	_ = s.command.Process.Kill()
	s.exited <- <-s.exited
}

// testPolicy lets one reader see everything, and another a part of it.
const testPolicy = `
p, reader,  public_security,   *, L4, *, all, clear, allow
p, reader,  health,            *, L4, *, all, clear, allow
p, reader,  market_regulation, *, L4, *, all, clear, allow
p, reader,  social_security,   *, L4, *, all, clear, allow

p, partial, public_security,   Person.*,               L4, *, own_region, clear, allow
p, partial, public_security,   Household.*,            L4, *, all,        clear, allow
p, partial, public_security,   ResidencePermit.*,      L4, *, all,        clear, allow
p, partial, market_regulation, *,                      L4, *, all,        clear, allow
p, partial, social_security,   *,                      L4, *, all,        clear, allow
p, partial, health,            BirthCertificate.*,     L4, *, all,        clear, allow
p, partial, *,                 Person.phone,           L1, *, all,        any,   deny
p, partial, *,                 Person.address,         L1, *, all,        any,   deny
p, partial, *,                 ResidencePermit.number, L1, *, all,        any,   deny
`

// roles mirrors testPolicy for the reference.
func roles() map[string]role {
	region := guangdong.TheSample().Region
	return map[string]role{
		"reader": {Withheld: []string{}},
		"partial": {
			Withheld: []string{"Person.phone", "Person.address", "ResidencePermit.number", "Person.vaccinations"},
			// Vaccinations are shared with nobody, and nothing grants them.
			Closed: []string{"Vaccination"},
			Order:  map[string][]string{"ResidencePermit": {"__no"}},
			Rows:   map[string]map[string]string{"Person": {"district": region}},
		},
	}
}

// prepare writes the example's files into a new folder, with testPolicy beside
// the example's own, and tokens for its readers. Departments is the YAML of the
// departments.
func prepare(t testing.TB, departments string) string {
	t.Helper()
	dir := t.TempDir()
	if err := fs.WalkDir(guangdong.Files(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(dir, path)
		if d.IsDir() {
			return os.MkdirAll(to, 0o700)
		}
		raw, err := fs.ReadFile(guangdong.Files(), path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, raw, 0o600)
	}); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "weir.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	if departments != "" {
		start, end := strings.Index(text, "\ndepartments:"), strings.Index(text, "\n# Fixed tokens")
		text = text[:start] + "\ndepartments:\n" + departments + text[end:]
	}
	region := guangdong.TheSample().Region
	text = strings.Replace(text, "tokens:\n  demo:\n", "tokens:\n  demo:\n"+
		"    demo-e2e-reader: {subject: e2e-1, department: health, roles: [reader], purposes: [case-handling]}\n"+
		"    demo-e2e-partial: {subject: e2e-2, department: testing, roles: [partial], purposes: [case-handling], attributes: {region: "+region+"}}\n", 1)
	write(t, filepath.Join(dir, "weir.yaml"), text)
	write(t, filepath.Join(dir, "policy", "testing.csv"), testPolicy)
	return dir
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// start runs the program on a prepared folder until the test ends.
func start(t testing.TB, dir string) *server {
	t.Helper()
	s, ready := launch(t, dir, binary)
	if !ready {
		t.Fatalf("the server ended before it was ready\n%s", s.log)
	}
	return s
}

// launch runs a program on a prepared folder until the test ends, and waits
// until it serves; ready is false when it ended before.
func launch(t testing.TB, dir, program string, environment ...string) (s *server, ready bool) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	s = &server{url: "http://" + address, dir: dir, log: &bytes.Buffer{}}
	s.command = exec.Command(program, "serve", "--config", filepath.Join(dir, "weir.yaml"), "--listen", address)
	s.command.Env = append(os.Environ(), environment...)
	s.command.Stdout, s.command.Stderr = s.log, s.log
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	s.exited = exited
	go func() { exited <- s.command.Wait() }()
	t.Cleanup(func() {
		_ = s.command.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-exited:
			var failed *exec.ExitError
			if errors.As(err, &failed) && failed.ExitCode() > 0 && !s.fails {
				t.Errorf("the server ended with %v\n%s", err, s.log)
			}
		case <-time.After(20 * time.Second):
			_ = s.command.Process.Kill()
			t.Errorf("the server did not end within 20 s of SIGTERM\n%s", s.log)
		}
	})
	deadline := time.Now().Add(30 * time.Second)
	for {
		if response, err := http.Get(s.url + "/readyz"); err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return s, true
			}
		}
		select {
		case err := <-exited:
			exited <- err
			return s, false
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server is not ready after 30 s\n%s", s.log)
		}
	}
}

// answer is a GraphQL response, its data as the bytes that came.
type answer struct {
	Status int
	Data   json.RawMessage
	Errors []struct {
		Message    string
		Path       []any
		Extensions map[string]any
	}
	Extensions struct{ Weir json.RawMessage }
}

func (a *answer) String() string {
	raw, _ := json.Marshal(a)
	return string(raw)
}

// post sends a query as the reader of a token.
func (s *server) post(ctx context.Context, token, purpose, query, variables string) (*answer, error) {
	return s.postTo(ctx, "/graphql", token, purpose, query, variables)
}

// postTo sends a query to one of the two graphs.
func (s *server) postTo(ctx context.Context, path, token, purpose, query, variables string) (*answer, error) {
	if variables == "" {
		variables = "{}"
	}
	body := `{"query":` + printJSON(query) + `,"variables":` + variables + `}`
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/graphql-response+json")
	request.Header.Set("Authorization", "Bearer "+token)
	if purpose != "" {
		request.Header.Set("X-Weir-Purpose", purpose)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	a := &answer{Status: response.StatusCode}
	if err := json.Unmarshal(raw, a); err != nil {
		return nil, fmt.Errorf("status %d, not an answer: %w: %s", response.StatusCode, err, raw)
	}
	return a, nil
}

// raw sends a query as the reader who sees everything, and gives the body as it
// came.
func (s *server) raw(ctx context.Context, query, variables string) (body []byte, status int, err error) {
	if variables == "" {
		variables = "{}"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/graphql", strings.NewReader(`{"query":`+printJSON(query)+`,"variables":`+variables+`}`))
	if err != nil {
		return nil, 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/graphql-response+json")
	r.Header.Set("Authorization", "Bearer demo-e2e-reader")
	r.Header.Set("X-Weir-Purpose", "case-handling")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err = io.ReadAll(response.Body)
	return body, response.StatusCode, err
}

// metric gives the value of a metric without labels.
func (s *server) metric(t testing.TB, name string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	all, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(all)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("there is no metric %s", name)
	return ""
}

// schema gives /schema.graphql as the reader of a token sees it.
func (s *server) schema(t testing.TB, token string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/schema.graphql", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Body.Close() }()
	text, err := io.ReadAll(w.Body)
	if err != nil || w.StatusCode != http.StatusOK {
		t.Fatalf("/schema.graphql: %d, %v: %s", w.StatusCode, err, text)
	}
	return string(text)
}
