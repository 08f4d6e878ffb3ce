package exec

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/adapters/sqlite"
	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/internal/keyring"
	"github.com/weir-data/weir/resolvers"
	"github.com/weir-data/weir/schema"
)

var update = flag.Bool("update", false, "rewrite the expected parts of testdata/endtoend/*.txt")

// world is a whole generation over two departments' SQLite files.
type world struct {
	t          testing.TB
	generation *plan.Generation
	executor   *Executor
	sources    map[string]adapters.Adapter
	down       map[string]error  // by department
	files      map[string]string // of the databases, by department
	now        time.Time
	last       *resolvers.Request
	budgets    *memoryBudgets
	sent       atomic.Int64 // statements
	asked      func(department, table string, keys *adapters.Keys)
}

// breakable fails on demand.
type breakable struct {
	adapters.Adapter
	world *world
	name  string
}

func (b breakable) Compile(s *adapters.Shape) (adapters.Statement, error) {
	st, err := b.Adapter.Compile(s)
	return breakableStatement{st, b, s.Table}, err
}

type breakableStatement struct {
	adapters.Statement
	b     breakable
	table string
}

func (s breakableStatement) Fetch(ctx context.Context, args []adapters.Arg, keys *adapters.Keys) (adapters.Rows, error) {
	s.b.world.sent.Add(1)
	if s.b.world.asked != nil && keys != nil {
		s.b.world.asked(s.b.name, s.table, keys)
	}
	if err := s.b.world.down[s.b.name]; err != nil {
		return nil, err
	}
	return s.Statement.Fetch(ctx, args, keys)
}

func readTestdata(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata/endtoend", name)) //nolint:gosec // a test's own data
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, sources: map[string]adapters.Adapter{}, down: map[string]error{}, files: map[string]string{}, budgets: &memoryBudgets{}, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	dir := t.TempDir()
	for _, name := range []string{"police", "health"} {
		path := filepath.Join(dir, name+".db")
		w.files[name] = path
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(t.Context(), readTestdata(t, name+".sql")); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		source, err := sqlite.Open(sqlite.DefaultConfig(path))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = source.Close() })
		w.sources[name] = breakable{source, w, name}
	}
	w.load(readTestdata(t, "policy.csv"))
	// A key of the tests' own, so that pseudonyms are the same in every run.
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte("weir keyring v1\nactive 47fb05a3\nkey 47fb05a3 sGjkY0HjuvU1olf617SfAKwEkwJj5eX6toq8KnweNwk\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.Load(keys)
	if err != nil {
		t.Fatal(err)
	}
	freshness := NewFreshness(FreshnessConfig{
		Adapters: w.sources, Catalogue: func() *schema.Catalogue { return w.generation.Catalogue }, Now: func() time.Time { return w.now },
		Report: func(department string, err error) { t.Errorf("freshness of %s: %v", department, err) },
	})
	freshness.Refresh(t.Context())
	w.executor, err = New(Config{
		Adapters: w.sources, Keys: ring, Now: func() time.Time { return w.now }, Ages: freshness,
		Budgets: w.budgets, MatchLimits: MatchLimits{Reader: 1_000, Key: 100},
		Report: func(err error) { t.Error(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.executor.Close)
	return w
}

// load makes a generation of the fixture's schema and a policy.
func (w *world) load(policy string) {
	w.t.Helper()
	catalogue, found := schema.Load([]schema.File{{Name: "schema.graphqls", Text: readTestdata(w.t, "schema.graphqls")}},
		schema.Settings{Levels: schema.DefaultLevels()})
	if catalogue == nil {
		w.t.Fatal(found)
	}
	rules, found := authz.Parse([]schema.File{{Name: "policy.csv", Text: policy}})
	if found.Failed() {
		w.t.Fatal(found)
	}
	settings := authz.DefaultSettings(catalogue.Levels)
	settings.Purposes = []string{"births", "cases"}
	// Nothing is hidden, so that what nobody holds can be asked for.
	settings.HideFrom = catalogue.Levels.Highest() + 1
	table, err := authz.Compile(rules, catalogue, settings)
	if err != nil {
		w.t.Fatal(err)
	}
	documents, err := plan.NewDocuments(catalogue.API, plan.DefaultLimits())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(documents.Close)
	w.generation = &plan.Generation{Catalogue: catalogue, Table: table, Policy: table.Revision(), Documents: documents}
}

// as makes a request from "officer purpose cases region north id 100".
func (w *world) as(who string) *resolvers.Request {
	words := strings.Fields(who)
	req := &resolvers.Request{
		ID: "r1", Generation: w.generation, Reads: &resolvers.ReadSet{},
		Subject: &authz.Subject{ID: "somebody", Roles: strings.Split(words[0], "+"), Purposes: []string{"births", "cases"}, Attributes: map[string]string{}},
	}
	for i := 1; i+1 < len(words); i += 2 {
		switch words[i] {
		case "purpose":
			req.Purpose = words[i+1]
		case "subject":
			req.Subject.ID = words[i+1]
		case "withheld":
			req.WithheldErrors = words[i+1] == "errors"
		case "partial":
			req.PartialLists = words[i+1] == "list"
		default:
			req.Subject.Attributes[words[i]] = words[i+1]
		}
	}
	return req
}

// ask runs a query as the gateway does.
func (w *world) ask(req *resolvers.Request, query string, variables map[string]any) *graphql.Response {
	ctx := resolvers.WithRequest(w.t.Context(), req)
	w.last = req
	opCtx, errs := w.executor.CreateOperationContext(ctx, &graphql.RawParams{Query: query, Variables: variables})
	if errs != nil {
		return w.executor.DispatchError(ctx, errs)
	}
	handler, ctx := w.executor.DispatchOperation(ctx, opCtx)
	response := handler(ctx)
	if handler(ctx) != nil {
		w.t.Error("a second response")
	}
	copied := *response
	copied.Data = bytes.Clone(response.Data)
	w.executor.Release(req)
	w.executor.Release(req)
	return &copied
}

// show writes an answer as the golden files have it.
func (w *world) show(response *graphql.Response) string {
	var out strings.Builder
	if response.Data != nil {
		if !json.Valid(response.Data) {
			w.t.Errorf("not JSON: %s", response.Data)
		}
		out.Write(response.Data)
		out.WriteByte('\n')
	}
	for _, e := range response.Errors {
		out.WriteString(line(e))
	}
	if extension := w.last.Reads.Extension; len(extension) > 0 {
		if !json.Valid([]byte("{" + string(extension) + "}")) {
			w.t.Errorf("not JSON members: %s", extension)
		}
		fmt.Fprintf(&out, "%s\n", extension)
	}
	reads := w.last.Reads
	fmt.Fprintf(&out, "kind %s rows %d tags %d", reads.Kind, reads.Rows, len(reads.Tags))
	for _, g := range reads.TagGroups {
		fmt.Fprintf(&out, ", %d of", g.Count)
		for i := range reads.Sources {
			if g.Sources&(1<<i) != 0 {
				out.WriteString(" " + reads.Sources[i].Department)
			}
		}
	}
	if reads.Code != "" {
		out.WriteString(" code " + reads.Code)
	}
	for i, u := range reads.Uses {
		if c := reads.Counts[i]; c.Clear+c.Masked+c.Withheld > 0 {
			fmt.Fprintf(&out, "\n  %s %s clear %d masked %d withheld %d", u.Coordinate, u.Use, c.Clear, c.Masked, c.Withheld)
		}
	}
	return out.String() + "\n"
}

func line(e *gqlerror.Error) string {
	s := fmt.Sprintf("error %s at %s", e.Extensions["code"], e.Path)
	if e.Extensions["selection"] != nil {
		s += fmt.Sprintf(" selection %s x%d", e.Extensions["selection"], e.Extensions["count"])
	}
	return s + ": " + e.Message + "\n"
}

// TestEndToEnd runs testdata/endtoend/*.txt. A case is
//
//	=== name
//	as officer purpose cases region north
//	down health
//	variables {"a": 1}
//	query
//	----
//	data, errors, extension, record
func TestEndToEnd(t *testing.T) {
	w := newWorld(t)
	files, err := filepath.Glob("testdata/endtoend/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // a test's own data
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		for _, part := range strings.Split("\n"+string(text), "\n=== ")[1:] {
			name, rest, _ := strings.Cut(part, "\n")
			head, want, _ := strings.Cut(rest, "\n----\n")
			got := w.golden(t, filepath.Base(file)+"/"+name, head)
			fmt.Fprintf(&out, "=== %s\n%s\n----\n%s\n", name, head, got)
			if diff := cmp.Diff(strings.TrimRight(want, "\n"), strings.TrimRight(got, "\n")); diff != "" && !*update {
				t.Errorf("%s: %s:\n%s", file, name, diff)
			}
		}
		if *update {
			if err := os.WriteFile(file, []byte(strings.TrimRight(out.String(), "\n")+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func (w *world) golden(t *testing.T, name, head string) string {
	t.Helper()
	who, variables := "", map[string]any{}
	var query []string
	clear(w.down)
	for text := range strings.SplitSeq(head, "\n") {
		switch {
		case strings.HasPrefix(text, "as "):
			who = text[3:]
		case strings.HasPrefix(text, "down "):
			w.down[text[5:]] = &adapters.Error{Kind: adapters.Unavailable}
		case strings.HasPrefix(text, "variables "):
			d := json.NewDecoder(strings.NewReader(text[10:]))
			d.UseNumber()
			if err := d.Decode(&variables); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		default:
			query = append(query, text)
		}
	}
	defer clear(w.down)
	return w.show(w.ask(w.as(who), strings.Join(query, "\n"), variables))
}

// TestTagsOutliveTheirRun: a request whose memory was given back before it was
// recorded, as after a panic, is still recorded with its own persons.
func TestTagsOutliveTheirRun(t *testing.T) {
	w := newWorld(t)
	w.ask(w.as("reader purpose cases"), `{ people { name } }`, nil)
	reads := w.last.Reads
	before := slices.Clone(reads.Tags)
	if len(before) < 2 {
		t.Fatalf("%d persons", len(before))
	}
	for range 8 { // the pool may give another run
		w.ask(w.as("reader purpose cases"), `{ people(limit: 1, offset: 1) { name } }`, nil)
		if !slices.Equal(reads.Tags, before) {
			t.Fatalf("%x became %x", before, reads.Tags)
		}
	}
}
