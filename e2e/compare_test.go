package e2e

import (
	"bufio"
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite"

	"github.com/weir-data/weir/examples/guangdong"
	"github.com/weir-data/weir/schema"
)

// TestCompareWithGraphQLJS sends random queries to Weir and to graphql-js over
// the same rows: data must be equal to the byte, errors as a set of selections.
// 1,000 queries, half of them over PostgreSQL; WEIR_SOAK=1 makes it 20,000.
// WEIR_SEED repeats a run.
func TestCompareWithGraphQLJS(t *testing.T) {
	count := 1_000
	if os.Getenv("WEIR_SOAK") != "" {
		count = 20_000
	}
	seed := uint64(20_261_123)
	if s := os.Getenv("WEIR_SEED"); s != "" {
		if _, err := fmt.Sscan(s, &seed); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d queries, WEIR_SEED=%d", count, seed)

	dir := prepare(t, "")
	if err := guangdong.WriteSQLite(t.Context(), filepath.Join(dir, "data"), guangdong.Options{People: people}, nil); err != nil {
		t.Fatal(err)
	}
	c := catalogue(t, dir)
	rows := readRows(t, c, filepath.Join(dir, "data"))
	reference := startReference(t, c, rows)

	engines := []struct {
		name string
		run  func(t *testing.T) *server
	}{
		{"sqlite", func(t *testing.T) *server { return start(t, dir) }},
		{"postgres", func(t *testing.T) *server { return startPostgres(t) }},
	}
	for i, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			s := e.run(t)
			got := compare(t, s, reference, c, rows, seed+uint64(i), count/len(engines), nil)
			if got.empty*2 > got.compared || got.refused*10 > count {
				t.Errorf("the queries say too little: of %d, %d without a value, %d refused", count, got.empty, got.refused)
			}
		})
	}
}

func startPostgres(t *testing.T) *server {
	url := postgresOrSkip(t)
	const prefix = "weir_e2e"
	if err := guangdong.WritePostgres(t.Context(), url, prefix, guangdong.Options{People: people}, nil); err != nil {
		t.Fatal(err)
	}
	return start(t, prepare(t, postgresDepartments(t, url, prefix)))
}

// postgresOrSkip gives the address of the server for tests.
func postgresOrSkip(t *testing.T) string {
	t.Helper()
	url := os.Getenv("WEIR_TEST_POSTGRES")
	if url == "" {
		if os.Getenv("WEIR_REQUIRE_DB") != "" {
			t.Fatal("WEIR_TEST_POSTGRES is not set")
		}
		t.Skip("SKIPPED: WEIR_TEST_POSTGRES is not set; make test starts a server")
	}
	return url
}

// postgresDepartments is the YAML of the example's departments on a server.
func postgresDepartments(t *testing.T, url, prefix string) string {
	t.Helper()
	var departments strings.Builder
	for _, d := range guangdong.Departments() {
		own := strings.Replace(url, "/postgres?", "/"+guangdong.DatabaseName(prefix, d)+"?", 1)
		if own == url {
			t.Fatalf("WEIR_TEST_POSTGRES must name the database postgres")
		}
		name := "WEIR_E2E_" + strings.ToUpper(d)
		t.Setenv(name, own)
		fmt.Fprintf(&departments, "  %s: {driver: postgres, url: \"${%s}\", titles: {zh: 一, en: one}}\n", d, name)
	}
	return departments.String()
}

func compare(t *testing.T, s *server, reference *reference, c *schema.Catalogue, rows map[string][]map[string]any, seed uint64, count int, down []string) (sum comparison) {
	values := map[schema.Coordinate][]any{}
	for name, of := range rows {
		for _, f := range c.Types[name].Fields {
			for _, row := range of {
				v := row[f.Name]
				if l, ok := v.([]any); ok && f.List && len(l) > 0 {
					v = l[0] // what _contains is asked for
				}
				if v != nil && f.Relation == nil {
					values[f.Coordinate] = append(values[f.Coordinate], v)
				}
			}
		}
	}
	names := []string{"reader", "partial"}
	for _, name := range names {
		reference.shape(t, name, s.schema(t, "demo-e2e-"+name))
	}
	for i := range count {
		name := names[i%len(names)]
		g := &generator{r: rand.New(rand.NewPCG(seed, uint64(i))), c: c, values: values, people: rows, role: roles()[name]}
		query, variables := g.query()
		got, err := s.post(t.Context(), "demo-e2e-"+name, "case-handling", query, variables)
		if err != nil {
			t.Fatalf("query %d of seed %d: %v\n%s\n%s", i, seed, err, query, variables)
		}
		want := reference.ask(t, query, variables, name, down)
		if want.Refused != (got.Data == nil) {
			t.Fatalf("query %d of seed %d: graphql-js refused: %v; Weir: %s\n%s\n%s", i, seed, want.Refused, got, query, variables)
		}
		if want.Refused {
			sum.refused++
			continue
		}
		if string(got.Data) != want.Data {
			t.Fatalf("query %d of seed %d as %s: data differ\n%s\n%s\n%s\nerrors %v\n%s", i, seed, name, query, variables, diff(string(got.Data), want.Data), got.Errors, s.tail())
		}
		var paths []string
		for _, e := range got.Errors {
			var names []string
			for _, p := range e.Path {
				if n, ok := p.(string); ok {
					names = append(names, n)
				}
			}
			paths = append(paths, strings.Join(names, "."))
		}
		sort.Strings(paths)
		paths = slices.Compact(paths)
		if strings.Join(paths, " ") != strings.Join(want.Errors, " ") {
			t.Fatalf("query %d of seed %d as %s: errors differ\n%s\n%s\nWeir %v\ngraphql-js %v", i, seed, name, query, variables, paths, want.Errors)
		}
		sum.compared++
		if len(paths) > 0 {
			sum.partial++
		}
		if !strings.Contains(want.Data, `":"`) {
			sum.empty++
		}
	}
	t.Logf("%d answers equal to the byte (%d with errors, %d without a value), %d refused by both", sum.compared, sum.partial, sum.empty, sum.refused)
	return sum
}

// comparison counts what a comparison met.
type comparison struct{ compared, partial, empty, refused int }

func diff(got, want string) string {
	pretty := func(s string) string {
		var b bytes.Buffer
		if json.Indent(&b, []byte(s), "", " ") != nil {
			return s
		}
		return b.String()
	}
	if d := cmp.Diff(pretty(want), pretty(got)); d != "" {
		return "(-graphql-js +Weir)\n" + d
	}
	return "graphql-js " + want + "\nWeir       " + got
}

func catalogue(t testing.TB, dir string) *schema.Catalogue {
	t.Helper()
	files, err := schema.ReadFolder(filepath.Join(dir, "schema"))
	if err != nil {
		t.Fatal(err)
	}
	c, diagnostics := schema.Load(files, schema.Settings{Levels: schema.DefaultLevels()})
	if c == nil {
		t.Fatal(diagnostics)
	}
	return c
}

// readRows reads every row of every type straight from the files, as JSON has
// its values.
func readRows(t testing.TB, c *schema.Catalogue, dir string) map[string][]map[string]any {
	t.Helper()
	out := map[string][]map[string]any{}
	for name, typ := range c.Types {
		db, err := sql.Open("sqlite", filepath.Join(dir, typ.Source.Department+".db"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		columns := []string{"row_no"}
		var fields []*schema.Field
		for _, f := range typ.Fields {
			if f.Relation == nil {
				columns, fields = append(columns, f.Column), append(fields, f)
			}
		}
		result, err := db.QueryContext(t.Context(), "SELECT "+strings.Join(columns, ", ")+" FROM "+typ.Source.Table)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = result.Close() }()
		cells := make([]any, len(columns))
		for i := range cells {
			cells[i] = new(any)
		}
		for result.Next() {
			if err := result.Scan(cells...); err != nil {
				t.Fatal(err)
			}
			row := map[string]any{"__type": name, "__no": *cells[0].(*any)}
			for i, f := range fields {
				row[f.Name] = asJSON(t, f, *cells[i+1].(*any))
			}
			out[name] = append(out[name], row)
		}
		if err := result.Err(); err != nil {
			t.Fatal(err)
		}
		if len(out[name]) == 0 {
			t.Fatalf("no rows of %s", name)
		}
	}
	return out
}

func asJSON(t testing.TB, f *schema.Field, v any) any {
	switch x := v.(type) {
	case nil:
		return nil
	case int64:
		switch f.Kind {
		case schema.Boolean:
			return x != 0
		case schema.BigInt:
			return fmt.Sprint(x)
		default:
			return json.Number(fmt.Sprint(x))
		}
	case string:
		if f.List || f.Kind == schema.JSON {
			var parsed any
			if err := json.Unmarshal([]byte(x), &parsed); err != nil {
				t.Fatal(err)
			}
			return parsed
		}
		return x
	}
	t.Fatalf("%s: unexpected %T", f.Coordinate, v)
	return nil
}

// reference is the process of reference.mjs.
type reference struct {
	in  io.Writer
	out *bufio.Reader
}

func startReference(t *testing.T, c *schema.Catalogue, rows map[string][]map[string]any) *reference {
	t.Helper()
	type relation struct {
		Target     string   `json:"target"`
		Many       bool     `json:"many"`
		Fields     []string `json:"fields"`
		References []string `json:"references"`
	}
	type field struct {
		Kind     string    `json:"kind"`
		List     bool      `json:"list,omitempty"`
		Relation *relation `json:"relation,omitempty"`
	}
	type typ struct {
		Key    []string         `json:"key"`
		Fields map[string]field `json:"fields"`
	}
	type root struct {
		Kind string   `json:"kind"`
		Type string   `json:"type"`
		Keys []string `json:"keys,omitempty"`
		By   []string `json:"by,omitempty"`
	}
	types, abstracts, roots := map[string]typ{}, map[string][]string{}, map[string]root{}
	for name, t := range c.Types {
		fields := map[string]field{}
		for _, f := range t.Fields {
			x := field{Kind: f.Kind.String(), List: f.List}
			if r := f.Relation; r != nil {
				x.Relation = &relation{r.Target, r.Many, r.Fields, r.References}
			}
			fields[f.Name] = x
		}
		types[name] = typ{t.Source.KeyFields, fields}
	}
	for name, a := range c.Abstracts {
		abstracts[name] = a.Members
	}
	for name, r := range c.Roots {
		roots[name] = root{map[schema.RootKind]string{schema.RootGet: "get", schema.RootList: "list", schema.RootConnection: "connection", schema.RootRef: "ref", schema.RootMatch: "match", schema.RootAggregate: "aggregate"}[r.Kind], r.Type, r.Keys, r.By}
	}
	hello, err := json.Marshal(map[string]any{
		"model": map[string]any{"types": types, "abstracts": abstracts, "roots": roots, "roles": roles()},
		"rows":  rows,
	})
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "node", "reference.mjs")
	command.Stderr = os.Stderr
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatalf("node is needed for the comparison: %v", err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = command.Wait()
	})
	r := &reference{in, bufio.NewReaderSize(out, 1<<20)}
	if got := r.exchange(t, string(hello)); !strings.Contains(got, "ready") {
		t.Fatalf("the reference answered %q", got)
	}
	return r
}

func (r *reference) exchange(t *testing.T, line string) string {
	t.Helper()
	if _, err := io.WriteString(r.in, line+"\n"); err != nil {
		t.Fatal(err)
	}
	got, err := r.out.ReadString('\n')
	if err != nil {
		t.Fatalf("the reference ended: %v", err)
	}
	return got
}

// shape gives the reference the schema that a reader may know.
func (r *reference) shape(t *testing.T, role, sdl string) {
	t.Helper()
	if got := r.exchange(t, `{"sdl":`+printJSON(sdl)+`,"role":"`+role+`"}`); !strings.Contains(got, "ready") {
		t.Fatalf("the reference answered %q", got)
	}
}

type referenceAnswer struct {
	Refused bool
	Data    string
	Errors  []string
}

// ask asks the reference, with the types in down out of reach.
func (r *reference) ask(t *testing.T, query, variables, role string, down []string) referenceAnswer {
	t.Helper()
	unreachable, err := json.Marshal(append([]string{}, down...))
	if err != nil {
		t.Fatal(err)
	}
	line := r.exchange(t, `{"query":`+printJSON(query)+`,"variables":`+variables+`,"role":"`+role+`","down":`+string(unreachable)+`}`)
	var a referenceAnswer
	if err := json.Unmarshal([]byte(line), &a); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	return a
}
