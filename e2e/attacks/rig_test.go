package attacks

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/adapters/sqlite"
	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/examples/guangdong"
	"github.com/weir-data/weir/graph/exec"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/internal/config"
	"github.com/weir-data/weir/internal/gateway"
	"github.com/weir-data/weir/internal/keyring"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/resolvers/control"
	"github.com/weir-data/weir/schema"
)

// people is the size of the data.
const people = 150

// rig is the example behind the real front: its policy and data, and a listener
// of its own.
type rig struct {
	t        testing.TB
	url      string
	cfg      *config.Config
	folders  gateway.Folders
	current  *current
	mu       sync.Mutex
	sent     []string // statements, in the order in which they went out
	reported []error
}

// current is the generation in force.
type current struct {
	mu sync.Mutex
	g  *plan.Generation
}

func (c *current) Current() *plan.Generation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.g
}

func (c *current) set(g *plan.Generation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.g = g
}

// options change a rig before it starts.
type options struct {
	// schema and policy replace the example's when they are not "".
	schema, policy string
	tokens         map[string]*authz.Subject // besides the example's
	hideFrom       string
	documents      gateway.Documents
	budgets        exec.Budgets
	// wrap changes what the sources answer.
	wrap func(adapters.Rows, error) (adapters.Rows, error)
}

// quiet says that spending is without end.
type quiet struct{}

func (quiet) Spend(context.Context, []exec.Charge) error { return nil }

func newRig(t testing.TB, o options) *rig {
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
	if err := guangdong.WriteSQLite(t.Context(), filepath.Join(dir, "data"), guangdong.Options{People: people}, nil); err != nil {
		t.Fatal(err)
	}
	if o.schema != "" {
		write(t, filepath.Join(dir, "schema", "extra.graphqls"), o.schema)
	}
	if o.policy != "" {
		write(t, filepath.Join(dir, "policy", "extra.csv"), o.policy)
	}
	cfg, err := config.Load(filepath.Join(dir, "weir.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if o.hideFrom != "" {
		cfg.HideFrom = o.hideFrom
	}
	r := &rig{t: t, cfg: cfg, current: &current{}}
	r.folders = folders(cfg)
	r.folders.Documents = o.documents
	g, _, err := r.folders.Load()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Documents.Close)
	r.current.g = g
	r.serve(o, dir)
	return r
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func folders(cfg *config.Config) gateway.Folders {
	levels := make(schema.Levels, len(cfg.Levels))
	for i, l := range cfg.Levels {
		levels[i] = schema.Level{Name: l.Name, ZH: l.ZH, EN: l.EN}
	}
	settings := authz.DefaultSettings(levels)
	settings.HideFrom, _ = levels.Rank(cfg.HideFrom)
	settings.PurposeRequiredFrom, _ = levels.Rank(cfg.PurposeRequiredFrom)
	settings.Purposes = cfg.PurposeIDs()
	return gateway.Folders{
		Schema: cfg.Schema, Policy: cfg.Policy,
		SchemaSettings: schema.Settings{Levels: levels, Departments: cfg.DepartmentIDs()},
		PolicySettings: settings, Limits: plan.DefaultLimits(), CompareBudget: 50 * time.Millisecond,
	}
}

// readers are the example's tokens and the test's own.
type readers struct {
	fixed *gateway.FixedTokens
	own   map[string]*authz.Subject
}

func (r readers) Authenticate(ctx context.Context, token string) (*authz.Subject, error) {
	if s := r.own[token]; s != nil {
		return s, nil
	}
	return r.fixed.Authenticate(ctx, token)
}

func (readers) Epoch() uint64 { return 0 }

func (r *rig) serve(o options, dir string) {
	t := r.t
	ring, err := keyring.Generate()
	if err != nil {
		t.Fatal(err)
	}
	counted := map[string]adapters.Adapter{}
	for _, name := range guangdong.Departments() {
		a, err := sqlite.Open(sqlite.DefaultConfig(filepath.Join(dir, "data", name+".db")))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = a.Close() })
		counted[name] = countedAdapter{a, r, o.wrap}
	}
	report := func(err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.reported = append(r.reported, err)
	}
	spending := o.budgets
	if spending == nil {
		spending = quiet{}
	}
	data, err := exec.New(exec.Config{Adapters: counted, Keys: ring, Budgets: spending, Report: report})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(data.Close)
	graph, err := control.New(control.Config{Report: report})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(graph.Close)
	ledger, err := lineage.Open(lineage.Config{Dir: filepath.Join(dir, "ledger"), Origin: "node-a", Fatal: func(err error) { t.Errorf("the ledger is lost: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ledger.Close() })
	front, err := gateway.New(gateway.Config{
		Data: data, Control: graph, Generations: r.current, Authenticator: readers{gateway.NewFixedTokens(r.cfg), o.tokens},
		Ledger: gateway.LedgerOf(ledger), Keys: ring, Purposes: r.cfg.PurposeIDs(),
		Durability: []lineage.Durability{lineage.Written, lineage.Written, lineage.Written, lineage.Written},
		BodyLimit:  r.cfg.Limits.Body, Concurrent: 64, QueueTimeout: 10 * time.Second, RequestTimeout: 30 * time.Second,
		Metrics: gateway.NewMetrics(), Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.url = "http://" + l.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- front.Serve(ctx, l, nil, r.cfg.Server) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if len(r.reported) > 0 {
			t.Errorf("the executors report faults of their own: %v", r.reported)
		}
	})
}

// countedAdapter notes every statement that is sent.
type countedAdapter struct {
	adapters.Adapter
	r    *rig
	wrap func(adapters.Rows, error) (adapters.Rows, error)
}

func (a countedAdapter) Compile(s *adapters.Shape) (adapters.Statement, error) {
	st, err := a.Adapter.Compile(s)
	if err != nil {
		return nil, err
	}
	return countedStatement{st, a}, nil
}

type countedStatement struct {
	adapters.Statement
	a countedAdapter
}

func (s countedStatement) Fetch(ctx context.Context, args []adapters.Arg, keys *adapters.Keys) (adapters.Rows, error) {
	s.a.r.mu.Lock()
	s.a.r.sent = append(s.a.r.sent, s.String())
	s.a.r.mu.Unlock()
	rows, err := s.Statement.Fetch(ctx, args, keys)
	if s.a.wrap != nil {
		return s.a.wrap(rows, err)
	}
	return rows, err
}

// statements gives what was sent since it was last asked.
func (r *rig) statements() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.sent
	r.sent = nil
	return out
}

// answer is what came back, and what it cost the process.
type answer struct {
	status  int
	headers http.Header
	body    string
}

// said is an answer without what differs from one request to the next whatever
// was asked.
func (a answer) said() string {
	return fmt.Sprintf("%d %s\n%s", a.status, a.headers.Get("Content-Type"), chance.ReplaceAllString(a.body, `"$1":"…"`))
}

var chance = regexp.MustCompile(`"(requestId|receipt|asOf)":"[^"]*"`)

// request is one HTTP request of a test.
type request struct {
	method, path, token, purpose, body string
	headers                            []string // name, value, …
	reader                             io.Reader
}

func (r *rig) do(q request) answer {
	r.t.Helper()
	a, err := r.try(q)
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

func (r *rig) try(q request) (answer, error) {
	body := q.reader
	if body == nil {
		body = strings.NewReader(q.body)
	}
	if q.method == "" {
		q.method = http.MethodPost
	}
	if q.path == "" {
		q.path = "/graphql"
	}
	req, err := http.NewRequestWithContext(context.Background(), q.method, r.url+q.path, body)
	if err != nil {
		return answer{}, err
	}
	if q.token != "" {
		req.Header.Set("Authorization", "Bearer "+q.token)
	}
	if q.purpose != "" {
		req.Header.Set("X-Weir-Purpose", q.purpose)
	}
	if q.method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/graphql-response+json")
	}
	for i := 0; i+1 < len(q.headers); i += 2 {
		if q.headers[i+1] == "" {
			req.Header.Del(q.headers[i])
			continue
		}
		req.Header[q.headers[i]] = []string{q.headers[i+1]}
	}
	w, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = w.Body.Close() }()
	raw, err := io.ReadAll(w.Body)
	return answer{w.StatusCode, w.Header, string(raw)}, err
}

// ask sends a document as JSON.
func (r *rig) ask(token, purpose, document, variables string) answer {
	r.t.Helper()
	return r.do(request{token: token, purpose: purpose, body: bodyOf(document, variables)})
}

func bodyOf(document, variables string) string {
	if variables == "" {
		variables = "{}"
	}
	return `{"query":` + quote(document) + `,"variables":` + variables + `}`
}

func quote(s string) string {
	var b bytes.Buffer
	b.WriteByte('"')
	for _, c := range []byte(s) {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ':
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// code is the first error's.
func (a answer) code() string {
	_, rest, ok := strings.Cut(a.body, `"code":"`)
	if !ok {
		return ""
	}
	code, _, _ := strings.Cut(rest, `"`)
	return code
}

// cost is the least processor time and heap that one run of f took of several,
// the client's own share included.
func cost(t testing.TB, f func()) (cpu time.Duration, heap uint64) {
	t.Helper()
	cpu, heap = time.Hour, 1<<60
	for range 5 {
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := processorTime(t)
		f()
		cpu = min(cpu, processorTime(t)-start)
		runtime.ReadMemStats(&after)
		heap = min(heap, after.TotalAlloc-before.TotalAlloc)
	}
	return cpu, heap
}

func processorTime(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
