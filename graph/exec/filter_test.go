package exec

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/adapters/sqlite"
	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/internal/keyring"
	"github.com/weir-data/weir/resolvers"
	"github.com/weir-data/weir/schema"
)

const filterSchema = `
type Person
  @source(department: "d", table: "person", key: ["id"], tiebreak: "no")
  @classified(level: "L2") @sharing(mode: UNCONDITIONAL)
  @scope(name: "own_region", where: "{region: {_eq: $subject.region}}")
  @scope(name: "flagged", where: "{flag: {_eq: true}}")
  @scope(name: "has_a", where: "{permits: {kind: {_eq: \"a\"}}}")
{
  no: Int
  id: String @subject
  name: String
  n: Int
  flag: Boolean
  region: String
  permits: [Permit!] @relation(fields: ["id"], references: ["holder"]) @classified(level: "L2")
}
interface Paper @api(list: "papers", plural: "papers") {
  no: Int
  kind: String
  n: Int
  flag: Boolean
}
type Licence implements Paper
  @source(department: "d", table: "licence", key: ["no"], tiebreak: "no")
  @classified(level: "L2") @sharing(mode: UNCONDITIONAL)
  @scope(name: "flagged", where: "{flag: {_eq: true}}")
{
  no: Int
  owner: String @subject
  kind: String
  n: Int
  flag: Boolean
}
type Permit implements Paper
  @source(department: "d", table: "permit", key: ["no"], tiebreak: "no")
  @classified(level: "L2") @sharing(mode: UNCONDITIONAL)
  @scope(name: "own_region", where: "{region: {_eq: $subject.region}}")
  @scope(name: "flagged", where: "{flag: {_eq: true}}")
{
  no: Int
  holder: String @subject
  kind: String
  n: Int
  flag: Boolean
  region: String
  person: Person @relation(fields: ["holder"], references: ["id"]) @classified(level: "L2")
}
`

func seedOf(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(20_261_124)
	if s := os.Getenv("WEIR_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	return seed
}

// TestUnreadableCellsNeverCompareTrue draws policies, rows with NULLs and
// filters, and compares what SQLite gives for the planned statements with a
// reference that decides cell by cell. Negations, De Morgan forms, relations and
// verifications are among them. WEIR_SOAK=1 draws thirty times as many.
func TestUnreadableCellsNeverCompareTrue(t *testing.T) {
	seed, realities := seedOf(t), 100
	if os.Getenv("WEIR_SOAK") != "" {
		realities *= 30
	}
	t.Logf("%d realities, WEIR_SEED=%d", realities, seed)
	catalogue, found := schema.Load([]schema.File{{Name: "s.graphqls", Text: filterSchema}}, schema.Settings{})
	if catalogue == nil {
		t.Fatal(found)
	}
	documents, err := plan.NewDocuments(catalogue.API, plan.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(documents.Close)
	ring, err := keyring.Generate()
	if err != nil {
		t.Fatal(err)
	}
	var tally filterTally
	dir := t.TempDir()
	for i := range realities {
		tr := &trial{Rand: rand.New(rand.NewPCG(seed, uint64(i))), generation: &plan.Generation{Catalogue: catalogue, Documents: documents}}
		compareReality(t, tr, filepath.Join(dir, strconv.Itoa(i)+".db"), ring, &tally)
		if t.Failed() {
			t.Fatalf("reality %d of WEIR_SEED=%d", i, seed)
		}
	}
	t.Logf("%+v", tally)
	// What it would take to notice a forgotten conjunct, and that both outcomes
	// of everything occur.
	if tally.Telling*10 < tally.Answered || tally.Refused*20 < tally.Answered || tally.Nonempty*4 < tally.Answered || tally.True*10 < tally.Matches || tally.Matches < realities || tally.Merged < realities/2 {
		t.Errorf("the trials say too little: %+v", tally)
	}
}

// filterTally counts trials. Telling are those in which an answer without the
// rights of compared cells would be another one.
type filterTally struct{ Answered, Refused, Nonempty, Telling, Merged, Matches, True, MatchTelling int }

func compareReality(t *testing.T, tr *trial, path string, ring *keyring.Ring, tally *filterTally) {
	t.Helper()
	types := tr.generation.Catalogue.Types
	w := &reality{types: types, rows: map[string][]*rowValue{}, attributes: map[string]string{}}
	for name, n := range map[string]int{"Licence": 5, "Permit": 9, "Person": 6} {
		for i := range n {
			w.rows[name] = append(w.rows[name], &rowValue{typ: name, no: i + 1, cells: map[string]cellValue{}})
		}
	}
	for _, name := range tr.generation.Catalogue.TypeNames() { // in order, so that a seed repeats it
		for _, row := range w.rows[name] {
			for _, f := range types[name].Fields {
				if f.Relation == nil {
					row.cells[f.Name] = tr.cell(f)
				}
			}
			row.cells["no"] = row.no
			if name == "Person" {
				row.cells["id"] = strconv.Itoa(row.no)
			}
		}
	}
	writeRows(t, path, types, w.rows)
	source, err := sqlite.Open(sqlite.DefaultConfig(path))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = source.Close() }()
	text := tr.policy()
	rules, found := authz.Parse([]schema.File{{Name: "p.csv", Text: text}})
	if found.Failed() {
		t.Fatal(found)
	}
	table, err := authz.Compile(rules, tr.generation.Catalogue, authz.DefaultSettings(tr.generation.Catalogue.Levels))
	if err != nil {
		t.Fatal(err)
	}
	tr.generation.Table, tr.generation.Policy = table, table.Revision()
	for name, value := range map[string]string{"id": pick(tr, "", "1", "2"), "region": pick(tr, "", "north")} {
		if value != "" {
			w.attributes[name] = value
		}
	}
	subject := &authz.Subject{ID: "somebody", Roles: []string{"reader"}, Attributes: w.attributes}
	w.view = table.View(subject.Profile(""))
	e, err := New(Config{
		Adapters: map[string]adapters.Adapter{"d": source}, Keys: ring, Budgets: &memoryBudgets{},
		MatchLimits: MatchLimits{1 << 20, 1 << 20}, Report: func(err error) { t.Error(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	x := &world{t: t, executor: e, generation: tr.generation}
	ask := func(query string) (map[string]json.RawMessage, string) {
		a := x.ask(&resolvers.Request{ID: "r", Generation: tr.generation, Subject: subject, Reads: &resolvers.ReadSet{}}, query, nil)
		if len(a.Errors) > 0 {
			return nil, fmt.Sprint(a.Errors[0].Extensions["code"])
		}
		var data map[string]json.RawMessage
		if err := json.Unmarshal(a.Data, &data); err != nil {
			t.Fatal(err)
		}
		return data, ""
	}
	for range 25 {
		w.filter(t, tr, ask, text, tally)
	}
	for range 10 {
		w.verify(t, tr, ask, tally)
	}
}

// filter compares one list, and the count of its page: of a type, or of an
// interface with the rows of both of its types.
func (w *reality) filter(t *testing.T, tr *trial, ask func(string) (map[string]json.RawMessage, string), text string, tally *filterTally) {
	t.Helper()
	root := pick(tr, "Person", "Permit", "Paper")
	of, list := []string{root}, ""
	var c condition
	if a := tr.generation.Catalogue.Abstracts[root]; a != nil {
		of, list = a.Members, a.API.List
		c = tr.leaves(a, 3)
	} else {
		list = w.types[root].API.List
		c = tr.condition(w.types[root], 4)
	}
	query := fmt.Sprintf("{ rows: %s(where: %s, limit: 100) { type: __typename no } }", list, c.text())
	if len(of) == 1 {
		query = strings.TrimSuffix(query, "}") + fmt.Sprintf("page: %sConnection(where: %s) { totalCount } }", list, c.text())
	}
	data, code := ask(query)
	explain := func() string {
		return fmt.Sprintf("%s\n%s\nattributes %v\n%s", query, text, w.attributes, describeRows(w.rows))
	}
	// A type none of whose rows exist for the reader has no say.
	seen := slices.DeleteFunc(slices.Clone(of), func(typ string) bool { return !slices.ContainsFunc(w.rows[typ], w.visible) })
	switch {
	case code == "FIELD_NOT_FILTERABLE":
		tally.Refused++
		// Of an interface the strictest type decides, also one that could have
		// rows and has none.
		if len(seen) == len(of) && !slices.ContainsFunc(of, func(typ string) bool { return !w.readable(&c, typ) }) {
			t.Errorf("refused without ground: %s", explain())
		}
		return
	case code != "":
		t.Fatalf("%s: %s", code, explain())
	case string(data["rows"]) == "null":
		if len(seen) > 0 {
			t.Errorf("withheld without ground: %s", explain())
		}
		return
	}
	tally.Answered++
	want := w.chosen(&c, of)
	w.leaky = true
	if !slices.Equal(w.chosen(&c, of), want) {
		tally.Telling++
	}
	w.leaky = false
	if len(want) > 0 {
		tally.Nonempty++
	}
	if len(of) > 1 && len(seen) > 1 {
		tally.Merged++
	}
	var got []struct {
		Type string
		No   int
	}
	if err := json.Unmarshal(data["rows"], &got); err != nil {
		t.Fatal(err)
	}
	rows := []string{}
	for _, r := range got {
		rows = append(rows, fmt.Sprint(r.Type, " ", r.No))
	}
	slices.Sort(rows)
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("(-reference +Weir)\n%s\n%s", diff, explain())
	}
	if page := fmt.Sprintf(`{"totalCount":"%d"}`, len(want)); len(of) == 1 && string(data["page"]) != page {
		t.Errorf("page %s, want %s: %s", data["page"], page, explain())
	}
}

// verify compares one verification.
func (w *reality) verify(t *testing.T, tr *trial, ask func(string) (map[string]json.RawMessage, string), tally *filterTally) {
	t.Helper()
	id := strconv.Itoa(1 + tr.IntN(7))
	var row *rowValue
	for _, r := range w.rows["Person"] {
		if r.cells["id"] == id {
			row = r
		}
	}
	var expect []string
	stated := map[string]any{}
	for _, f := range w.types["Person"].Expected() {
		if f.Name == "no" || len(stated) > 0 && tr.IntN(2) == 0 {
			continue
		}
		v := tr.value(f)
		if row != nil && row.cells[f.Name] != nil && tr.IntN(5) > 0 {
			v = row.cells[f.Name]
		}
		stated[f.Name] = v
		expect = append(expect, f.Name+": "+literal(v))
	}
	query := fmt.Sprintf("{ ok: personMatch(id: %q, expect: {%s}) }", id, strings.Join(expect, ", "))
	data, code := ask(query)
	holds := func(field string) bool { return w.caps(row, field, true).Any(authz.Match | authz.Clear) }
	want, equal := row != nil, row != nil
	if row != nil {
		want = w.caps(row, "", true).Any(authz.Match|authz.Mask) && holds("id")
		for name, v := range stated {
			equal = equal && row.cells[name] == v
			want = want && row.cells[name] == v && holds(name)
		}
	}
	switch {
	case code == "FIELD_NOT_FILTERABLE", code == "" && string(data["ok"]) == "null":
		if want {
			t.Errorf("%s is refused (%s), and all of it may be compared", query, code)
		}
		return
	case code != "":
		t.Fatalf("%s: %s", code, query)
	}
	tally.Matches++
	if want {
		tally.True++
	}
	if want != equal {
		tally.MatchTelling++
	}
	if string(data["ok"]) != strconv.FormatBool(want) {
		t.Errorf("%s is %s, want %v", query, data["ok"], want)
	}
}

// chosen gives the rows of some types that exist for the reader and satisfy the
// condition, sorted.
func (w *reality) chosen(c *condition, of []string) []string {
	out := []string{}
	for _, typ := range of {
		for _, row := range w.rows[typ] {
			if w.visible(row) && w.holds(c, row, false) {
				out = append(out, fmt.Sprint(row.typ, " ", row.no))
			}
		}
	}
	slices.Sort(out)
	return out
}

func writeRows(t *testing.T, path string, types map[string]*schema.Type, rows map[string][]*rowValue) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	script.WriteString("PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF;")
	for name, of := range rows {
		typ := types[name]
		var columns []string
		for _, f := range typ.Fields {
			if f.Relation == nil {
				columns = append(columns, f.Column)
			}
		}
		fmt.Fprintf(&script, "CREATE TABLE %s (%s);", typ.Source.Table, strings.Join(columns, ", "))
		for _, row := range of {
			var values []string
			for _, f := range typ.Fields {
				switch v := row.cells[f.Name].(type) {
				case nil:
					if f.Relation == nil {
						values = append(values, "NULL")
					}
				case string:
					values = append(values, "'"+v+"'")
				default:
					values = append(values, fmt.Sprint(v))
				}
			}
			fmt.Fprintf(&script, "INSERT INTO %s VALUES (%s);", typ.Source.Table, strings.Join(values, ", "))
		}
	}
	if _, err := db.ExecContext(t.Context(), script.String()); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func describeRows(rows map[string][]*rowValue) string {
	var b strings.Builder
	for name, of := range rows {
		for _, row := range of {
			fmt.Fprintf(&b, "%s %v\n", name, row.cells)
		}
	}
	return b.String()
}
