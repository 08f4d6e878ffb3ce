package target

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/adapters/sqlite"
	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/graph/exec"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/internal/gateway"
	"github.com/weir-data/weir/internal/keyring"
	"github.com/weir-data/weir/internal/store"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// Town is a running Weir over the town's rows. Close it.
type Town struct {
	URL     string // of the data graph
	people  []Person
	seed    uint64
	closing []func() error
}

// Token is the reader's.
const Token = "token-of-a-curious-reader"

// Purposes are those that the attackers may state.
func Purposes() []string { return []string{"research", "billing"} }

// Open draws a town of n people and serves it from files in dir, guarded or,
// for the control, with everything cleared. The changes are made to each person.
func Open(ctx context.Context, dir string, n int, seed uint64, open bool, changes ...func(*Person)) (t *Town, err error) {
	t = &Town{people: populate(n, seed), seed: seed}
	for i := range t.people {
		for _, change := range changes {
			change(&t.people[i])
		}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.Close())
		}
	}()
	policy := guarded
	if open {
		policy = cleared
	}
	return t, t.serve(ctx, dir, &Setup{Schema: schemaText, Policy: policy, Statements: statements(t.people), Match: exec.MatchLimits{Reader: 1000, Key: 20}})
}

// Setup is another town than the attackers' own: its schema and policy for the
// departments registry and clinic, which share one SQLite file, and the
// statements that fill it. The reader has the role curious.
type Setup struct {
	Schema, Policy string
	Statements     []Statement
	// Match are the budgets of verification.
	Match exec.MatchLimits
	// Statement, if it is set, is told the text of each statement that is made.
	Statement func(text string)
}

// overheard tells the statements of an adapter.
type overheard struct {
	adapters.Adapter
	tell func(string)
}

func (o overheard) Compile(s *adapters.Shape) (adapters.Statement, error) {
	st, err := o.Adapter.Compile(s)
	if err == nil {
		o.tell(st.String())
	}
	return st, err
}

// Statement is SQL with its arguments.
type Statement struct {
	Text string
	Args []any
}

// Serve serves a town from files in dir.
func Serve(ctx context.Context, dir string, s *Setup) (*Town, error) {
	t := &Town{}
	if err := t.serve(ctx, dir, s); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

func (t *Town) serve(ctx context.Context, dir string, s *Setup) error {
	path := filepath.Join(dir, "data", "town.db")
	if err := write(ctx, path, s.Statements); err != nil {
		return fmt.Errorf("writing the town: %w", err)
	}
	handler, err := t.front(ctx, dir, path, s)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	t.URL = "http://" + listener.Addr().String() + "/graphql"
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }()
	t.closing = append(t.closing, server.Close)
	return nil
}

// Close ends the server and lets go of the files.
func (t *Town) Close() error {
	var errs []error
	for i := len(t.closing) - 1; i >= 0; i-- {
		errs = append(errs, t.closing[i]())
	}
	t.closing = nil
	return errors.Join(errs...)
}

func (t *Town) front(ctx context.Context, dir, path string, s *Setup) (http.Handler, error) {
	ring, err := keyring.Generate()
	if err != nil {
		return nil, err
	}
	sources := map[string]adapters.Adapter{}
	for _, name := range departments() {
		// A busy machine is no refusal: nothing here may end by the clock.
		cfg := sqlite.DefaultConfig(path)
		cfg.BusyTimeout, cfg.StatementTimeout, cfg.ConnectTimeout = time.Minute, time.Minute, time.Minute
		a, err := sqlite.Open(cfg)
		if err != nil {
			return nil, err
		}
		sources[name] = a
		if s.Statement != nil {
			sources[name] = overheard{a, s.Statement}
		}
		t.closing = append(t.closing, a.Close)
	}
	if err := os.MkdirAll(filepath.Join(dir, "state"), 0o700); err != nil {
		return nil, err
	}
	kept, err := store.Open(ctx, store.Config{Path: filepath.Join(dir, "state", "control.db")})
	if err != nil {
		return nil, err
	}
	t.closing = append(t.closing, kept.Close)
	executor, err := exec.New(exec.Config{
		Adapters: sources, Keys: ring, Budgets: budgets{kept}, MatchLimits: s.Match,
		DefaultDepartment: exec.DepartmentLimits{Timeout: time.Minute},
	})
	if err != nil {
		return nil, err
	}
	t.closing = append(t.closing, func() error { executor.Close(); return nil })
	log := slog.New(slog.DiscardHandler)
	ledger, err := lineage.Open(lineage.Config{Dir: filepath.Join(dir, "ledger"), Origin: "town", Fatal: func(err error) { log.Error(err.Error()) }})
	if err != nil {
		return nil, err
	}
	t.closing = append(t.closing, ledger.Close)
	generation, err := generate(s)
	if err != nil {
		return nil, err
	}
	front, err := gateway.New(gateway.Config{
		Data: executor, Generations: fixed{generation}, Authenticator: reader{}, Ledger: gateway.LedgerOf(ledger), Keys: ring,
		Durability: []lineage.Durability{lineage.Written, lineage.Written, lineage.Written, lineage.Written}, Purposes: Purposes(),
		BodyLimit: 256 << 10, Concurrent: 16, QueueTimeout: time.Minute, RequestTimeout: time.Minute,
		Metrics: gateway.NewMetrics(), Log: log, Now: time.Now,
	})
	if err != nil {
		return nil, err
	}
	return front.Handler(), nil
}

func departments() []string { return []string{"registry", "clinic"} }

// generate compiles schema and policy.
func generate(s *Setup) (*plan.Generation, error) {
	catalogue, found := schema.Load([]schema.File{{Name: "town.graphqls", Text: s.Schema}}, schema.Settings{Departments: departments()})
	if found.Failed() {
		return nil, found
	}
	parsed, found := authz.Parse([]schema.File{{Name: "town.csv", Text: s.Policy}})
	if found.Failed() {
		return nil, found
	}
	settings := authz.DefaultSettings(catalogue.Levels)
	settings.Purposes = Purposes()
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

// fixed is the one generation.
type fixed struct{ g *plan.Generation }

func (f fixed) Current() *plan.Generation { return f.g }

// reader is the one who may ask.
type reader struct{}

func (reader) Authenticate(_ context.Context, t string) (*authz.Subject, error) {
	if t != Token {
		return nil, gateway.ErrUnauthenticated
	}
	return &authz.Subject{
		ID: "curious-1", Application: "desk", Department: "elsewhere", Roles: []string{"curious"}, Purposes: Purposes(),
		Attributes: map[string]string{"branch": "near"},
	}, nil
}

func (reader) Epoch() uint64 { return 0 }

// budgets shows the executor the store's.
type budgets struct{ store *store.Store }

var _ exec.Budgets = budgets{}

// Spend implements exec.Budgets.
func (b budgets) Spend(ctx context.Context, charges []exec.Charge) error {
	converted := make([]store.Charge, len(charges))
	for i, c := range charges {
		converted[i] = store.Charge(c)
	}
	err := b.store.Spend(ctx, converted)
	if errors.Is(err, store.ErrSpent) {
		return exec.ErrSpent
	}
	return err
}
