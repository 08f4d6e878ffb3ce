package noninterference

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/adapters/sqlite"
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

	fault atomic.Pointer[fault]
}

// engine is where a side's rows live.
type engine interface {
	// load replaces all tables and rows.
	tables(w *world) error
	rows(w *world, db database, s source) error
	adapters() map[string]adapters.Adapter
}

// fault is what a side's sources do wrong, the same on both sides.
type fault struct {
	department string
	table      string // "" for every one
	after      int    // batches before it happens
	kind       adapters.Kind
	reload     *plan.Generation // instead of an error: swapped in while the fetch runs
}

// departments are as many as a world can have.
func departmentNames() []string { return []string{"d0", "d1", "d2"} }

// now is the injected clock.
func now() time.Time { return time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC) }

func newRig(tb testing.TB, engines [2]engine) *rig {
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
	return &rig{ring: ring, sides: [2]*side{newSide(tb, ring, engines[0]), newSide(tb, ring, engines[1])}}
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
		Adapters: faulty, Keys: own, Now: now,
		Ages: ages{}, Budgets: unlimited{}, MatchLimits: exec.MatchLimits{Reader: 1 << 30, Key: 1 << 30},
		DefaultDepartment: exec.DepartmentLimits{Timeout: time.Minute},
		Report:            func(err error) { tb.Errorf("the executor reports a fault of its own: %v", err) },
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(sd.executor.Close)
	ledger, err := lineage.Open(lineage.Config{
		Dir: filepath.Join(fastDir(tb), "ledger"), Origin: "node-a", Files: unsynced{lineage.OS()}, Clock: now,
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
	documents, err := plan.NewDocuments(catalogue.API, plan.DefaultLimits())
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

// unsynced leaves out what only a power cut would show.
type unsynced struct{ lineage.FS }

type unsyncedFile struct{ lineage.File }

func (u unsynced) Create(path string) (lineage.File, error) {
	f, err := u.FS.Create(path)
	return unsyncedFile{f}, err
}

func (u unsynced) Open(path string, write bool) (lineage.File, error) {
	f, err := u.FS.Open(path, write)
	if err != nil {
		return nil, err
	}
	return unsyncedFile{f}, nil
}

func (unsynced) SyncDir(string) error { return nil }
func (unsyncedFile) Sync() error      { return nil }

// fastDir is a folder in memory where the system has one.
func fastDir(tb testing.TB) string {
	tb.Helper()
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		if dir, err := os.MkdirTemp("/dev/shm", "weir-noninterference-"); err == nil { //nolint:usetesting // in memory, where TempDir is not
			tb.Cleanup(func() { _ = os.RemoveAll(dir) })
			return dir
		}
	}
	return tb.TempDir()
}

// faultyAdapter does what the side's fault says.
type faultyAdapter struct {
	adapters.Adapter
	sd   *side
	name string
}

func (a faultyAdapter) Compile(s *adapters.Shape) (adapters.Statement, error) {
	st, err := a.Adapter.Compile(s)
	return faultyStatement{st, a, s.Table}, err
}

type faultyStatement struct {
	adapters.Statement
	a     faultyAdapter
	table string
}

func (s faultyStatement) Fetch(ctx context.Context, args []adapters.Arg, keys *adapters.Keys) (adapters.Rows, error) {
	f := s.a.sd.fault.Load()
	if f == nil || f.department != s.a.name || f.table != "" && f.table != s.table {
		return s.Statement.Fetch(ctx, args, keys)
	}
	if f.reload != nil {
		s.a.sd.current.Store(f.reload)
		return s.Statement.Fetch(ctx, args, keys)
	}
	if f.after == 0 {
		return nil, &adapters.Error{Kind: f.kind, Cause: errors.New("injected")}
	}
	rows, err := s.Statement.Fetch(ctx, args, keys)
	if err != nil {
		return nil, err
	}
	return &faultyRows{Rows: rows, left: f.after, kind: f.kind}, nil
}

type faultyRows struct {
	adapters.Rows
	left int
	kind adapters.Kind
}

func (r *faultyRows) Next(b *adapters.Batch) error {
	if r.left == 0 {
		return &adapters.Error{Kind: r.kind, Cause: errors.New("injected")}
	}
	r.left--
	return r.Rows.Next(b)
}

// sqliteEngine holds a side's rows in one file, which every department reads.
type sqliteEngine struct {
	db    *sql.DB
	kept  map[string]adapters.Adapter
	known []string // tables
}

func newSQLite(tb testing.TB) engine {
	tb.Helper()
	path := filepath.Join(fastDir(tb), "rows.db")
	// Nothing here must survive a crash.
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: "_pragma=journal_mode(MEMORY)&_pragma=synchronous(OFF)"}).String())
	if err != nil {
		tb.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	tb.Cleanup(func() { _ = db.Close() })
	if _, err := db.ExecContext(tb.Context(), "CREATE TABLE made (x)"); err != nil {
		tb.Fatal(err)
	}
	e := &sqliteEngine{db: db, kept: map[string]adapters.Adapter{}}
	for _, name := range departmentNames() {
		cfg := sqlite.DefaultConfig(path)
		cfg.BusyTimeout, cfg.StatementTimeout, cfg.ConnectTimeout = time.Minute, time.Minute, time.Minute
		a, err := sqlite.Open(cfg)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = a.Close() })
		e.kept[name] = a
	}
	return e
}

func (e *sqliteEngine) adapters() map[string]adapters.Adapter { return e.kept }

func (e *sqliteEngine) tables(w *world) error {
	var b strings.Builder
	for _, t := range e.known {
		fmt.Fprintf(&b, "DROP TABLE %s;", t)
	}
	e.known = nil
	for _, t := range w.types {
		columns := []string{"row_no INTEGER"}
		for _, f := range t.fields {
			columns = append(columns, strings.ToLower(f.name)+" "+sqliteType(f))
		}
		fmt.Fprintf(&b, "CREATE TABLE %s (%s);", t.table(), strings.Join(columns, ", "))
		e.known = append(e.known, t.table())
	}
	_, err := e.db.ExecContext(context.Background(), b.String())
	return err
}

func sqliteType(f *field) string {
	switch {
	case f.list:
	case f.kind == schema.Int || f.kind == schema.BigInt || f.kind == schema.Boolean:
		return "INTEGER"
	case f.kind == schema.Float:
		return "REAL"
	}
	return "TEXT"
}

// rows writes the rows in an order of its own: that of a table means nothing.
func (e *sqliteEngine) rows(w *world, db database, s source) error {
	ctx := context.Background()
	tx, err := e.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for i, t := range w.types {
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+t.table()); err != nil {
			return err
		}
		if len(db[i]) == 0 {
			continue
		}
		var b strings.Builder
		var args []any
		for n, at := range s.Perm(len(db[i])) {
			r := db[i][at]
			b.WriteString([...]string{"INSERT INTO " + t.table() + " VALUES (?", ",(?"}[min(n, 1)])
			args = append(args, r.tie)
			for j, f := range t.fields {
				b.WriteString(",?")
				args = append(args, sqliteValue(f, r.cells[j]))
			}
			b.WriteString(")")
		}
		if _, err := tx.ExecContext(ctx, b.String(), args...); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func sqliteValue(f *field, c cell) any {
	switch {
	case c.null:
		return nil
	case f.list:
	case f.kind == schema.Int || f.kind == schema.BigInt:
		var n int64
		if _, err := fmt.Sscan(c.text, &n); err != nil {
			panic(err)
		}
		return n
	case f.kind == schema.Float:
		var x float64
		if _, err := fmt.Sscan(c.text, &x); err != nil {
			panic(err)
		}
		return x
	case f.kind == schema.Boolean:
		if c.text == "true" {
			return 1
		}
		return 0
	}
	return c.text
}

var _ io.Reader = (*lockedRandom)(nil)
