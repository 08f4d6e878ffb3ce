package exec

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/adapters/sqlite"
	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/internal/keyring"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/resolvers"
	"github.com/weir-data/weir/schema"
)

// TestVerifications: true only where everything stated is equal to the byte,
// whatever the columns' collations make equal.
func TestVerifications(t *testing.T) {
	w, _ := hostile(t)
	for _, c := range []struct {
		id, expect string
		want       bool
	}{
		{"Ab", `name: "Zhang", code: "x", number: "5"`, true},
		{"Ab", `name: "Zhang"`, true},
		{"Ab", `size: 3`, true},
		{"Ab", `size: 4`, false},
		{"ab", `name: "Zhang"`, false}, // the key ignores case
		{"Ab ", `name: "Zhang"`, false},
		{"Ab", `name: "zhang"`, false}, // NOCASE
		{"Ab", `name: "Zhang "`, false},
		{"Ab", `code: "x "`, false},               // RTRIM
		{"Ab", `number: "05"`, false},             // a numeric column keeps no zeros
		{"Ab", `name: "Zhang", code: "y"`, false}, // one answer for the conjunction
		{"Ab", `name: ""`, false},
		{"Ab", `name: "Zh%"`, false}, // no pattern
		{"Ab", `name: "' OR 1=1 --"`, false},
		{"nobody", `name: "Zhang"`, false},
		{"nulls", `name: "Zhang"`, false},
		{"nulls", `name: "null"`, false},
		{"nulls", `size: 0`, false},
		{"é", `name: "e\u0301"`, true}, // not normalised
		{"é", `name: "é"`, false},
		{"e\u0301", `name: "e\u0301"`, false},
	} {
		query := fmt.Sprintf(`query($id: String!) { thingMatch(id: $id, expect: {%s}) }`, c.expect)
		a := w.ask(w.as("verifier"), query, map[string]any{"id": c.id})
		if want := fmt.Sprintf(`{"thingMatch":%v}`, c.want); string(a.Data) != want || len(a.Errors) > 0 {
			t.Errorf("%q {%s}: %s %v, want %s", c.id, c.expect, a.Data, a.Errors, want)
		}
	}
}

// TestVerificationsLookAlike: what is sent, what comes back and what is recorded
// is the same for an absent row, a NULL, another value and a match.
func TestVerificationsLookAlike(t *testing.T) {
	w, sent := hostile(t)
	var first *sentStatement
	var reads *resolvers.ReadSet
	for i, id := range []string{"Ab", "nulls", "nobody", "é"} {
		sent.all = nil
		a := w.ask(w.as("verifier"), `query($id: String!) { thingMatch(id: $id, expect: {name: "Zhang", code: "x"}) }`, map[string]any{"id": id})
		if want := fmt.Sprintf(`{"thingMatch":%v}`, i == 0); string(a.Data) != want {
			t.Fatalf("%s: %s %v", id, a.Data, a.Errors)
		}
		if len(sent.all) != 1 || sent.all[0].rows != 1 || sent.all[0].cols != 1 {
			t.Fatalf("%s: %+v", id, sent.all)
		}
		r := w.last.Reads
		if first == nil {
			first, reads = sent.all[0], r
			continue
		}
		if diff := cmp.Diff(first.text, sent.all[0].text); diff != "" {
			t.Errorf("%s: another statement\n%s", id, diff)
		}
		if !cmp.Equal(reads.Uses, r.Uses) || !cmp.Equal(reads.Counts, r.Counts) || reads.Rows != r.Rows || len(reads.Tags) != len(r.Tags) || reads.Level != r.Level || string(reads.Extension) != string(r.Extension) {
			t.Errorf("%s: recorded as %+v, the match as %+v", id, r, reads)
		}
	}
	for i, u := range reads.Uses {
		if u.Coordinate.Row() {
			continue
		}
		if u.Use != lineage.Match || reads.Counts[i].Clear != 1 {
			t.Errorf("%s is recorded as %s, %+v", u.Coordinate, u.Use, reads.Counts[i])
		}
	}
	if len(reads.Tags) != 1 {
		t.Errorf("%d tags: the stated key is on record, found or not", len(reads.Tags))
	}
}

// TestVerificationOfAnAbsentDepartment: no answer is not false.
func TestVerificationOfAnAbsentDepartment(t *testing.T) {
	w := newWorld(t)
	w.down["police"] = &adapters.Error{Kind: adapters.Unavailable}
	a := w.ask(w.as("clerk purpose births"), `{ __typename personMatch(id: "100", expect: {name: "张伟"}) }`, nil)
	if string(a.Data) != `{"__typename":"Query","personMatch":null}` || len(a.Errors) != 1 || a.Errors[0].Extensions["code"] != string(plan.SourceUnavailable) {
		t.Errorf("%s %v", a.Data, a.Errors)
	}
}

// statements are those that were sent, with the size of what came back.
type statements struct {
	mu  sync.Mutex
	all []*sentStatement
}

type sentStatement struct {
	text       string
	rows, cols int
}

// listening is an adapter whose statements are overheard.
type listening struct {
	adapters.Adapter
	heard *statements
}

func (l listening) Compile(s *adapters.Shape) (adapters.Statement, error) {
	st, err := l.Adapter.Compile(s)
	return listeningStatement{st, l.heard}, err
}

type listeningStatement struct {
	adapters.Statement
	heard *statements
}

func (s listeningStatement) Fetch(ctx context.Context, args []adapters.Arg, keys *adapters.Keys) (adapters.Rows, error) {
	rows, err := s.Statement.Fetch(ctx, args, keys)
	if err != nil {
		return nil, err
	}
	sent := &sentStatement{text: s.String()}
	s.heard.mu.Lock()
	s.heard.all = append(s.heard.all, sent)
	s.heard.mu.Unlock()
	return listeningRows{rows, sent}, nil
}

type listeningRows struct {
	adapters.Rows
	sent *sentStatement
}

func (r listeningRows) Next(b *adapters.Batch) error {
	err := r.Rows.Next(b)
	r.sent.rows += b.Rows
	r.sent.cols = max(r.sent.cols, b.Cols)
	return err
}

// hostile is a department whose columns take for equal what is not.
func hostile(t *testing.T) (*world, *statements) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "d.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), `
CREATE TABLE thing (id TEXT COLLATE NOCASE PRIMARY KEY, name TEXT COLLATE NOCASE, code TEXT COLLATE RTRIM, number NUMERIC, size INTEGER);
INSERT INTO thing VALUES ('Ab', 'Zhang', 'x', '05', 3), ('nulls', NULL, NULL, NULL, NULL), ('é', 'e'||char(769), 'x', '7', 1)`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	catalogue, found := schema.Load([]schema.File{{Name: "s.graphqls", Text: `
type Thing @source(department: "d", table: "thing", key: ["id"]) @classified(level: "L2") @sharing(mode: UNCONDITIONAL) {
  id: String
  name: String
  code: String
  number: String
  size: Int
}`}}, schema.Settings{})
	if catalogue == nil {
		t.Fatal(found)
	}
	rules, found := authz.Parse([]schema.File{{Name: "p.csv", Text: "p, verifier, d, Thing.*, L2, *, all, match, allow\n"}})
	if found.Failed() {
		t.Fatal(found)
	}
	table, err := authz.Compile(rules, catalogue, authz.DefaultSettings(catalogue.Levels))
	if err != nil {
		t.Fatal(err)
	}
	documents, err := plan.NewDocuments(catalogue.API, plan.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(documents.Close)
	source, err := sqlite.Open(sqlite.DefaultConfig(path))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = source.Close() })
	ring, err := keyring.Generate()
	if err != nil {
		t.Fatal(err)
	}
	heard := &statements{}
	e, err := New(Config{
		Adapters: map[string]adapters.Adapter{"d": listening{source, heard}}, Keys: ring, Budgets: &memoryBudgets{},
		MatchLimits: MatchLimits{1_000, 1_000}, Report: func(err error) { t.Error(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return &world{t: t, executor: e, generation: &plan.Generation{Catalogue: catalogue, Table: table, Documents: documents}}, heard
}
