package guangdong

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/authz/policytest"
	"github.com/weir-data/weir/schema"
)

func TestIdentityNumbersBelongToNobody(t *testing.T) {
	seen := map[string]bool{}
	for i := range 20_000 {
		p := personAt(i)
		if len(p.id) != 18 || !strings.HasPrefix(p.id, "99") {
			t.Fatalf("person %d: identity number %q is not of an unassigned area", i, p.id)
		}
		if seen[p.id] {
			t.Fatalf("person %d: identity number %q twice", i, p.id)
		}
		seen[p.id] = true
		if p.id[:17]+string(checkDigit(p.id[:17])) != p.id {
			t.Fatalf("person %d: wrong check digit in %q", i, p.id)
		}
		if even := (p.id[16]-'0')%2 == 0; even != p.female {
			t.Fatalf("person %d: the sequence digits of %q say the other sex", i, p.id)
		}
	}
}

// The standard's own example: 11010519491231002X.
func TestCheckDigit(t *testing.T) {
	if got := checkDigit("11010519491231002"); got != 'X' {
		t.Errorf("check digit %c, want X", got)
	}
}

func TestSQLiteIsTheSameEachTime(t *testing.T) {
	contents := func() map[string]string {
		dir := t.TempDir()
		done := map[string]bool{}
		if err := WriteSQLite(t.Context(), dir, Options{People: 600}, nil); err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for _, d := range Departments() {
			db, err := sql.Open("sqlite", filepath.Join(dir, d+".db"))
			if err != nil {
				t.Fatal(err)
			}
			for _, table := range tablesOf(d) {
				done[table.name] = true
				var n int
				var sum string
				row := db.QueryRowContext(t.Context(), "SELECT count(*), coalesce(group_concat("+table.columns[1].name+"), '') FROM "+table.name)
				if err := row.Scan(&n, &sum); err != nil {
					t.Fatal(err)
				}
				if n == 0 {
					t.Errorf("%s.%s is empty", d, table.name)
				}
				out[table.name] = sum
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
		// A second call finds the data and leaves it; another size is refused.
		if err := WriteSQLite(t.Context(), dir, Options{People: 600}, nil); err != nil {
			t.Errorf("second call: %v", err)
		}
		if err := WriteSQLite(t.Context(), dir, Options{People: 601}, nil); !errors.Is(err, ErrOtherData) {
			t.Errorf("another size: %v, want ErrOtherData", err)
		}
		return out
	}
	a, b := contents(), contents()
	for name, sum := range a {
		if b[name] != sum {
			t.Errorf("table %s differs from run to run", name)
		}
	}
}

func TestPostgres(t *testing.T) {
	url := os.Getenv("WEIR_TEST_POSTGRES")
	if url == "" {
		if os.Getenv("WEIR_REQUIRE_DB") != "" {
			t.Fatal("WEIR_TEST_POSTGRES is not set")
		}
		t.Skip("SKIPPED: WEIR_TEST_POSTGRES is not set; make test starts a server")
	}
	const prefix = "weir_example_test"
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background()
		for _, d := range Departments() {
			_, _ = conn.Exec(ctx, "DROP DATABASE IF EXISTS "+DatabaseName(prefix, d))
		}
		_ = conn.Close(ctx)
	})
	for range 2 { // the second finds it
		if err := WritePostgres(t.Context(), url, prefix, Options{People: 600}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := WritePostgres(t.Context(), url, prefix, Options{People: 601}, nil); !errors.Is(err, ErrOtherData) {
		t.Errorf("another size: %v, want ErrOtherData", err)
	}
}

// The fixed tokens name people and places of the data.
func TestTokensFitTheData(t *testing.T) {
	raw, err := Files().Open("weir.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	text, err := io.ReadAll(raw)
	if err != nil {
		t.Fatal(err)
	}
	s := TheSample()
	for _, want := range []string{`id: "` + s.Citizen + `"`, "region: " + s.Region} {
		if !strings.Contains(string(text), want) {
			t.Errorf("weir.yaml does not hold %q", want)
		}
	}
}

// shipped are the example's files whose names fit the pattern.
func shipped(t *testing.T, pattern string) []schema.File {
	t.Helper()
	names, err := fs.Glob(Files(), pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %v", pattern, err)
	}
	var out []schema.File
	for _, name := range names {
		text, err := fs.ReadFile(Files(), name)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, schema.File{Name: name, Text: string(text)})
	}
	return out
}

func catalogue(t *testing.T) *schema.Catalogue {
	t.Helper()
	c, found := schema.Load(shipped(t, "schema/*.graphqls"), schema.Settings{})
	if found.Failed() {
		t.Fatal(found)
	}
	return c
}

// What is asked for all the time has an index, as departments are told.
func TestFreshColumnsHaveAnIndex(t *testing.T) {
	fresh := 0
	for _, typ := range catalogue(t).Types {
		if typ.Fresh == nil {
			continue
		}
		fresh++
		tables := tablesOf(typ.Source.Department)
		i := slices.IndexFunc(tables, func(x table) bool { return x.name == typ.Source.Table })
		if i < 0 || !slices.Contains(tables[i].indexes, typ.Fresh.Column) {
			t.Errorf("%s: no index on %s", typ.Name, typ.Fresh.Column)
		}
	}
	if fresh == 0 {
		t.Error("no type of the example has @fresh")
	}
}

// The example's policy is what its tests say, for every role on every
// coordinate.
func TestPolicy(t *testing.T) {
	catalogue := catalogue(t)
	policy, found := authz.Parse(shipped(t, "policy/*.csv"))
	settings := authz.DefaultSettings(catalogue.Levels)
	settings.Purposes = []string{"newborn-registration", "company-registration", "case-handling", "statistics", "self-service"}
	found = append(found, authz.Lint(policy, catalogue, settings)...)
	if len(found) > 0 {
		t.Error(found)
	}
	table, err := authz.Compile(policy, catalogue, settings)
	if err != nil {
		t.Fatal(err)
	}
	on := policytest.Subject{Table: table, Catalogue: catalogue, Purposes: settings.Purposes, Roles: []string{"operator", "security", "auditor"}}
	suite, found := policytest.Parse(shipped(t, "policy/tests/*.txt"), on)
	if len(found) > 0 {
		t.Fatal(found)
	}
	result := suite.Run(on)
	for _, f := range result.Failures {
		t.Error(f)
	}
	for _, c := range result.Coverage {
		if c.Covered < c.Total {
			t.Errorf("%s is not tested on %v", c.Role, c.Missing)
		}
	}
}
