package noninterference

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/authz/masks"
	"github.com/weir-data/weir/graph/exec"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/internal/gateway"
	"github.com/weir-data/weir/internal/keyring"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/resolvers"
	"github.com/weir-data/weir/schema"
)

// rig is two complete installations side by side that share a key ring and a
// clock. Worlds come and go in it.
type rig struct {
	sides [2]*side
	ring  *keyring.Ring
	loose bool // as of session
}

// side is one installation: engine, executor, ledger, front.
type side struct {
	tb       testing.TB
	engine   engine
	executor *exec.Executor
	handler  http.Handler
	random   *lockedRandom
	current  atomic.Pointer[plan.Generation]
	readers  sync.Map // token -> *authz.Subject
	ledger   string   // the folder of its log

	fault atomic.Pointer[fault]
	watch *watch // what is sent to the sources; nil for not kept
}

// engine is where a side's rows live.
type engine interface {
	// tables makes a world's tables in place of those before.
	tables(w *world) error
	// rows replaces all rows. Their order in a table is drawn: it means nothing.
	rows(w *world, db database, s source) error
	adapters() map[string]adapters.Adapter
	// pulse returns when the engine is alive. It waits for no row and no lock,
	// and runs beside all else.
	pulse(ctx context.Context) error
}

// planCacheBytes holds the programs of some worlds.
const planCacheBytes = 4 << 20

// departments are as many as a world can have.
func departmentNames() []string { return []string{"d0", "d1", "d2"} }

// now is the injected clock.
func now() time.Time { return time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC) }

func newRig(tb testing.TB, engines [2]engine) *rig {
	tb.Helper()
	ring := newRing(tb)
	_, loose := engines[0].(*sqliteEngine)
	return &rig{ring: ring, loose: loose, sides: [2]*side{newSide(tb, ring, engines[0]), newSide(tb, ring, engines[1])}}
}

func newRing(tb testing.TB) *keyring.Ring {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "keys")
	// A key of the tests' own, so that pseudonyms are the same in every run.
	if err := os.WriteFile(path, []byte("weir keyring v1\nactive 47fb05a3\nkey 47fb05a3 sGjkY0HjuvU1olf617SfAKwEkwJj5eX6toq8KnweNwk\n"), 0o600); err != nil {
		tb.Fatal(err)
	}
	ring, err := keyring.Load(path)
	if err != nil {
		tb.Fatal(err)
	}
	return ring
}

func newSide(tb testing.TB, ring *keyring.Ring, e engine) *side {
	tb.Helper()
	sd := &side{tb: tb, engine: e, random: &lockedRandom{source: rand.NewChaCha8([32]byte{1})}}
	own := ring.WithNonces(func(b []byte) { _, _ = sd.random.Read(b) })
	faulty := map[string]adapters.Adapter{}
	for name, a := range e.adapters() {
		faulty[name] = faultyAdapter{a, sd, name}
	}
	var err error
	sd.executor, err = exec.New(exec.Config{
		// Programs keep the world alive that they were made for: a few hundred do.
		Adapters: faulty, Keys: own, Limits: limits(), Now: now, PlanCache: planCacheBytes,
		Ages: ages{}, Budgets: unlimited{}, MatchLimits: exec.MatchLimits{Reader: 1 << 30, Key: 1 << 30},
		DefaultDepartment: exec.DepartmentLimits{Timeout: time.Minute},
		Report:            func(err error) { tb.Errorf("the executor reports a fault of its own: %v", err) },
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(sd.executor.Close)
	sd.ledger = filepath.Join(fastDir(tb), "ledger")
	ledger, err := lineage.Open(lineage.Config{
		Dir: sd.ledger, Origin: "node-a", Reading: ring.Box("reading"), Files: unsynced{lineage.OS()}, Clock: now,
		Fatal: func(err error) { tb.Errorf("the ledger is lost: %v", err) },
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := ledger.Close(); err != nil {
			tb.Error(err)
		}
	})
	front, err := gateway.New(gateway.Config{
		Data: sd.executor, Generations: generations{sd}, Authenticator: (*tokens)(&sd.readers), Ledger: gateway.LedgerOf(ledger), Keys: own,
		Durability: []lineage.Durability{lineage.Written, lineage.Synced}, Purposes: purposes(), BodyLimit: 256 << 10,
		Concurrent: 64, QueueTimeout: time.Minute, RequestTimeout: time.Minute,
		Metrics: gateway.NewMetrics(), Log: slog.New(slog.DiscardHandler), Now: now, Random: sd.random,
	})
	if err != nil {
		tb.Fatal(err)
	}
	sd.handler = front.Handler()
	return sd
}

// serve answers one request.
func (sd *side) serve(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	sd.handler.ServeHTTP(w, r)
	return w
}

// generation compiles a world's schema under a policy.
func (sd *side) generation(w *world, p *policy) (*plan.Generation, error) {
	catalogue, found := schema.Load([]schema.File{{Name: "schema.graphqls", Text: w.sdl()}},
		schema.Settings{Levels: schema.DefaultLevels(), Departments: departmentNames()})
	if found.Failed() {
		return nil, found
	}
	parsed, found := authz.Parse([]schema.File{{Name: "policy.csv", Text: p.text()}})
	if found.Failed() {
		return nil, found
	}
	settings := authz.DefaultSettings(catalogue.Levels)
	settings.PurposeRequiredFrom, settings.HideFrom = schema.Rank(w.purposeFrom), schema.Rank(w.hideFrom)
	settings.Purposes = purposes()
	table, err := authz.Compile(parsed, catalogue, settings)
	if err != nil {
		return nil, err
	}
	documents, err := plan.NewDocuments(catalogue.API, limits())
	if err != nil {
		return nil, err
	}
	return &plan.Generation{Catalogue: catalogue, Table: table, Policy: parsed.Revision, Documents: documents}, nil
}

// mask binds a rule as the executor does.
func (g *rig) mask(spec, purpose string) maskRule {
	rule, err := masks.Parse(spec)
	if err != nil {
		panic(err)
	}
	var key []byte
	if rule.Keyed && purpose != "" {
		derived := g.ring.Derive(resolvers.PseudonymUse(purpose))
		key = derived[:]
	}
	apply := rule.Bind(key)
	return maskRule{null: rule.Preserves.Nullness, apply: func(text string) (string, bool) {
		out, ok := apply(nil, []byte(text))
		return string(out), ok
	}}
}

// generations is a side's current one.
type generations struct{ sd *side }

func (g generations) Current() *plan.Generation { return g.sd.current.Load() }

// tokens are the readers by their tokens.
type tokens sync.Map

func (t *tokens) Authenticate(_ context.Context, token string) (*authz.Subject, error) {
	if s, ok := (*sync.Map)(t).Load(token); ok {
		if subject, ok := s.(*authz.Subject); ok {
			return subject, nil
		}
	}
	return nil, gateway.ErrUnauthenticated
}

func (t *tokens) Epoch() uint64 { return 0 }

func (rd *reader) subject() *authz.Subject {
	return &authz.Subject{
		ID: "subject-" + rd.token, Application: "desk", Department: rd.department, Roles: rd.roles,
		Attributes: rd.attributes, Purposes: rd.purposes,
	}
}

// limits leave room for aliases, by which much is tried at once.
func limits() plan.Limits {
	l := plan.DefaultLimits()
	l.Aliases = 300
	return l
}

// ages: how old data is, is declared and the same on both sides.
type ages struct{}

func (ages) Age(string) (asOf time.Time, stale, known bool) { return now(), false, true }

// unlimited budgets: what they count is stated, never a row.
type unlimited struct{}

func (unlimited) Spend(context.Context, []exec.Charge) error { return nil }

// lockedRandom is what a side draws ids and nonces from.
type lockedRandom struct {
	mu     sync.Mutex
	source *rand.ChaCha8
}

func (l *lockedRandom) Read(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.source.Read(b)
}

func (l *lockedRandom) reset(step int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.source = rand.NewChaCha8([32]byte{byte(step), byte(step >> 8)})
}
