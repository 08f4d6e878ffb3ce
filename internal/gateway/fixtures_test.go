package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/internal/keyring"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/resolvers"
	"github.com/weir-data/weir/schema"
)

// canary stands for every value that must never be logged.
const canary = "canary-7f3a"

// fakeExecutor answers as the test says.
type fakeExecutor struct {
	mu     sync.Mutex
	params []*graphql.RawParams
	// refuse, when set, is what CreateOperationContext gives.
	refuse    gqlerror.List
	operation ast.Operation
	respond   func(ctx context.Context) *graphql.Response
	released  int
}

func (e *fakeExecutor) CreateOperationContext(_ context.Context, p *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.params = append(e.params, p)
	op := e.operation
	if op == "" {
		op = ast.Query
	}
	return &graphql.OperationContext{Operation: &ast.OperationDefinition{Operation: op, Name: p.OperationName}}, e.refuse
}

func (e *fakeExecutor) DispatchOperation(ctx context.Context, _ *graphql.OperationContext) (graphql.ResponseHandler, context.Context) {
	return func(ctx context.Context) *graphql.Response {
		if e.respond == nil {
			return &graphql.Response{Data: json.RawMessage(`{"__typename":"Query"}`)}
		}
		return e.respond(ctx)
	}, ctx
}

func (e *fakeExecutor) DispatchError(_ context.Context, list gqlerror.List) *graphql.Response {
	return &graphql.Response{Errors: list}
}

func (e *fakeExecutor) Release(*resolvers.Request) { e.released++ }

func (e *fakeExecutor) ran() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.params)
}

// fakeLedger keeps records and lets the test decide when, and whether, they are
// durable.
type fakeLedger struct {
	mu      sync.Mutex
	records []lineage.Record
	waited  []lineage.Durability
	appendE error
	waitE   error
	onWait  func()
}

func (l *fakeLedger) Append(_ context.Context, r *lineage.Record) (lineage.Position, Ticket, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.appendE != nil {
		return lineage.Position{}, nil, l.appendE
	}
	l.records = append(l.records, *r)
	return lineage.Position{Origin: "node-a", Epoch: 1, Sequence: uint64(len(l.records))}, l, nil
}

func (l *fakeLedger) Wait(_ context.Context, d lineage.Durability) error {
	if l.onWait != nil {
		l.onWait()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waited = append(l.waited, d)
	return l.waitE
}

func (l *fakeLedger) Healthy() error { return l.appendE }

func (l *fakeLedger) all() []lineage.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.records)
}

func (l *fakeLedger) last(t *testing.T) lineage.Record {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.records) == 0 {
		t.Fatal("no record")
	}
	return l.records[len(l.records)-1]
}

// subjects are readers by token; generations whatever the test stores.
type subjects map[string]*authz.Subject

func (s subjects) Authenticate(_ context.Context, token string) (*authz.Subject, error) {
	if r, ok := s[token]; ok {
		return r, nil
	}
	return nil, ErrUnauthenticated
}

func (subjects) Epoch() uint64 { return 0 }

// withdrawable is an authenticator whose keys change.
type withdrawable struct {
	Authenticator
	mu    sync.Mutex
	epoch uint64
	gone  bool
}

func (w *withdrawable) Authenticate(ctx context.Context, token string) (*authz.Subject, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone {
		return nil, ErrUnauthenticated
	}
	return w.Authenticator.Authenticate(ctx, token)
}

func (w *withdrawable) Epoch() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.epoch
}

// change makes the keys others, among which those of all tokens are, or are not.
func (w *withdrawable) change(gone bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.epoch++
	w.gone = gone
}

type generations struct {
	mu sync.Mutex
	g  *plan.Generation
}

func (g *generations) Current() *plan.Generation {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.g
}

func (g *generations) set(next *plan.Generation) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.g = next
}

type revocations struct {
	mu  sync.Mutex
	all bool
}

func (r *revocations) Revoked(*authz.Subject) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all
}

func (r *revocations) set() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = true
}

const sdlText = `
type Person
  @source(department: "police", table: "person", key: ["id_number"], tiebreak: "row_no")
  @classified(level: "L2") @sharing(mode: UNCONDITIONAL, basis: "art. 1")
{
  idNumber: String @classified(level: "L4") @mask(with: "ID_NUMBER") @subject
  name: String @classified(level: "L3") @mask(with: "NAME")
}
`

const policyText = `
p, clerk, police, Person.*, L4, *, all, clear, allow
p, security, police, Person.*, L2, *, all, clear, allow
g, boss, security
g, boss, auditor
p, auditor, police, Person.*, L2, *, all, clear, allow
`

// generation compiles a small schema under the policy.
func generation(t *testing.T, sdl, policy string) *plan.Generation {
	t.Helper()
	c, found := schema.Load([]schema.File{{Name: "s.graphqls", Text: sdl}}, schema.Settings{})
	if found.Failed() {
		t.Fatal(found)
	}
	p, found := authz.Parse([]schema.File{{Name: "p.csv", Text: policy}})
	if found.Failed() {
		t.Fatal(found)
	}
	settings := authz.DefaultSettings(c.Levels)
	settings.Purposes = []string{"case", "closed"}
	table, err := authz.Compile(p, c, settings)
	if err != nil {
		t.Fatal(err)
	}
	documents, err := plan.NewDocuments(c.API, plan.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(documents.Close)
	return &plan.Generation{Catalogue: c, Table: table, Policy: p.Revision, Documents: documents}
}

// bench is a front with everything around it faked.
type bench struct {
	*fakeExecutor
	ledger  *fakeLedger
	current *generations
	revoked *revocations
	keys    *withdrawable
	clock   time.Time
	log     *bytes.Buffer
	front   *Front
	handler http.Handler
}

func newBench(t *testing.T, change ...func(*Config)) *bench {
	t.Helper()
	b := &bench{
		fakeExecutor: &fakeExecutor{}, ledger: &fakeLedger{}, current: &generations{g: generation(t, sdlText, policyText)},
		revoked: &revocations{}, clock: time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC), log: &bytes.Buffer{},
	}
	ring, err := keyring.Generate()
	if err != nil {
		t.Fatal(err)
	}
	b.keys = &withdrawable{Authenticator: subjects{
		"clerk": {
			ID: "subject-" + canary, Application: "desk", Roles: []string{"clerk"}, Purposes: []string{"case"},
			Attributes: map[string]string{"region": "region-" + canary}, Expires: b.clock.Add(time.Hour),
		},
		"two": {ID: "t", Roles: []string{"security", "auditor"}}, "boss": {ID: "b", Roles: []string{"boss"}},
		"one": {ID: "o", Roles: []string{"security"}},
	}}
	cfg := Config{
		Data: b.fakeExecutor, Control: b.fakeExecutor, Generations: b.current, Revocations: b.revoked,
		Authenticator: b.keys,
		Offices:       Offices{Operator: "operator", Security: "security", Auditor: "auditor"},
		Ledger:        b.ledger, Keys: ring, Durability: []lineage.Durability{lineage.Written, lineage.Synced},
		Purposes: []string{"case", "closed"}, BodyLimit: 256 << 10, Concurrent: 8,
		QueueTimeout: 50 * time.Millisecond, RequestTimeout: 5 * time.Second,
		Metrics: NewMetrics(), Log: slog.New(slog.NewJSONHandler(b.log, nil)), Now: func() time.Time { return b.clock },
	}
	for _, c := range change {
		c(&cfg)
	}
	if b.front, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	b.handler = b.front.Handler()
	return b
}

// pair is a header that a test adds.
type pair struct{ key, value string }

// post sends a body as the clerk; a header with an empty value is removed.
func (b *bench) post(body string, headers ...pair) *httptest.ResponseRecorder {
	return b.do(http.MethodPost, "/graphql", strings.NewReader(body), headers...)
}

func (b *bench) do(method, target string, body io.Reader, headers ...pair) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, body)
	r.Header.Set("Authorization", "Bearer clerk")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		if h.value == "" {
			r.Header.Del(h.key)
		} else {
			r.Header.Add(h.key, h.value)
		}
	}
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	return w
}

// codeOf reads the first error's code.
func codeOf(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var body struct {
		Errors []struct {
			Message    string
			Extensions struct{ Code, RequestID string }
		}
		Extensions struct {
			Weir struct{ RequestID, Receipt, Policy string }
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("body %q: %v", w.Body, err)
	}
	if body.Extensions.Weir.RequestID == "" {
		t.Errorf("no request id in %s", w.Body)
	}
	if len(body.Errors) == 0 {
		return ""
	}
	if body.Errors[0].Extensions.RequestID != body.Extensions.Weir.RequestID {
		t.Errorf("request ids differ in %s", w.Body)
	}
	return body.Errors[0].Extensions.Code
}

// reads makes the executor answer as if it had read these.
func reads(level schema.Rank, data string) func(context.Context) *graphql.Response {
	return func(ctx context.Context) *graphql.Response {
		r := resolvers.RequestFrom(ctx).Reads
		r.Begin([]lineage.Use{{Coordinate: schema.Coordinate{Type: "Person", Field: "name"}, Level: level}}, level)
		r.Kind = "query"
		r.Coordinates = []schema.Coordinate{{Type: "Person"}, {Type: "Person", Field: "name"}}
		r.Extension = []byte(`"access":{"masked":[]}`)
		return &graphql.Response{Data: json.RawMessage(data)}
	}
}

func rank(n int) schema.Rank { return schema.Rank(n) }
