package exec

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/adapters/sqlite"
	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/internal/keyring"
	"github.com/weir-data/weir/schema"
)

const censusSchema = `
type Person
  @source(department: "police", table: "person", key: ["id"], tiebreak: "row_no")
  @classified(level: "L2") @sharing(mode: UNCONDITIONAL) @api(plural: "people")
  @scope(name: "open_book", where: "{open: {_eq: true}}")
{
  id: String @classified(level: "L3") @subject
  district: String @dimension
  band: Int @dimension
  open: Boolean @classified(level: "L2", entropy: LOW)
  income: Decimal @classified(level: "L3")
  debt: BigInt @classified(level: "L3")
  score: Float @classified(level: "L3")
}

type Visit
  @source(department: "police", table: "visit", key: ["number"])
  @classified(level: "L2") @sharing(mode: UNCONDITIONAL)
{
  number: Int
  guest: String @classified(level: "L3") @subject
  host: String @classified(level: "L3") @subject
  district: String @dimension
  cost: Decimal @classified(level: "L2")
}
`

const censusPolicy = `
p, statistician, police, Person.*, L3, *, all, aggregate, allow
p, statistician, police, Visit.*, L3, *, all, aggregate, allow
p, half, police, Person.*, L2, *, all, aggregate, allow
p, half, police, Person.income, L3, *, open_book, aggregate, allow
p, banded, police, Person._row, L2, *, all, aggregate, allow
p, banded, police, Person.district, L2, *, all, aggregate, allow
p, banded, police, Person.band, L2, *, open_book, aggregate, allow
p, auditor, police, *, L3, *, all, clear, allow
p, planner, police, Person.*, L2, *, all, clear, allow
p, planner, police, Person.income, L3, *, all, aggregate, allow
`

// citizen is a row of the census; "" is NULL.
type citizen struct {
	id, district, band, open, income, debt, score string
}

type visit struct{ guest, host, district, cost string }

// census makes a world of these people, and of visits.
func census(t testing.TB, people []citizen, visits []visit) *world {
	t.Helper()
	path := filepath.Join(t.TempDir(), "census.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	run := func(text string, args ...any) {
		if _, err := db.ExecContext(t.Context(), text, args...); err != nil {
			t.Fatal(err)
		}
	}
	orNull := func(text string) any {
		if text == "" {
			return nil
		}
		return text
	}
	run("create table person (row_no integer primary key, id text unique, district text, band integer, open integer, income text, debt integer, score real)")
	run("create table visit (number integer primary key, guest text, host text, district text, cost text)")
	run("begin")
	for i, c := range people {
		run("insert into person values (?, ?, ?, ?, ?, ?, ?, ?)", i, orNull(c.id), orNull(c.district), orNull(c.band), orNull(c.open), orNull(c.income), orNull(c.debt), orNull(c.score))
	}
	for i, v := range visits {
		run("insert into visit values (?, ?, ?, ?, ?)", i, orNull(v.guest), orNull(v.host), orNull(v.district), orNull(v.cost))
	}
	run("commit")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	source, err := sqlite.Open(sqlite.DefaultConfig(path))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = source.Close() })
	w := &world{t: t, sources: map[string]adapters.Adapter{}, down: map[string]error{}, budgets: &memoryBudgets{}}
	w.sources["police"] = breakable{source, w, "police"}
	catalogue, found := schema.Load([]schema.File{{Name: "census.graphqls", Text: censusSchema}}, schema.Settings{Levels: schema.DefaultLevels()})
	if catalogue == nil {
		t.Fatal(found)
	}
	rules, found := authz.Parse([]schema.File{{Name: "census.csv", Text: censusPolicy}})
	if found.Failed() {
		t.Fatal(found)
	}
	settings := authz.DefaultSettings(catalogue.Levels)
	settings.PurposeRequiredFrom = catalogue.Levels.Highest()
	table, err := authz.Compile(rules, catalogue, settings)
	if err != nil {
		t.Fatal(err)
	}
	documents, err := plan.NewDocuments(catalogue.API, plan.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(documents.Close)
	w.generation = &plan.Generation{Catalogue: catalogue, Table: table, Policy: table.Revision(), Documents: documents}
	ring, err := keyring.Generate()
	if err != nil {
		t.Fatal(err)
	}
	w.executor, err = New(Config{
		Adapters: w.sources, Keys: ring, Budgets: w.budgets,
		Aggregates: AggregateLimits{PerDay: 1 << 30, Minimum: []int{5, 5, 5}},
		Report:     func(err error) { t.Error(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.executor.Close)
	return w
}

const censusMinimum = 5

// asked decodes the answer of one root called a; errors fail the test.
func (w *world) groups(t interface {
	Fatalf(string, ...any)
	Helper()
}, who, query string,
) []map[string]any {
	t.Helper()
	response := w.ask(w.as(who), query, nil)
	if len(response.Errors) > 0 {
		t.Fatalf("%s: %v", query, response.Errors)
	}
	var data struct{ A []map[string]any }
	if err := json.Unmarshal(response.Data, &data); err != nil {
		t.Fatalf("%s: %v", response.Data, err)
	}
	return data.A
}

// crowd draws people of few districts and bands, so that cells are small.
func crowd(r *rand.Rand, n int) []citizen {
	people := make([]citizen, n)
	for i := range people {
		c := citizen{id: strconv.Itoa(1000 + i), open: strconv.Itoa(r.IntN(2))}
		if r.IntN(12) > 0 {
			c.district = string(rune('A' + min(r.IntN(6), r.IntN(6))))
		}
		if r.IntN(12) > 0 {
			c.band = strconv.Itoa(min(r.IntN(5), r.IntN(5)))
		}
		if r.IntN(4) > 0 {
			c.income = strconv.Itoa(r.IntN(1000)) + "." + strconv.Itoa(r.IntN(100))
		}
		people[i] = c
	}
	return people
}

// selection is a random filter by dimensions, in words of its own and in Go's.
type selection struct {
	where string
	dims  string // those that it names: "d", "b"
	holds func(c citizen) bool
}

func drawSelection(t *rapid.T) selection {
	leaf := func() selection {
		switch rapid.IntRange(0, 4).Draw(t, "leaf") {
		case 0:
			d := rapid.SampledFrom([]string{"A", "B", "C", "D"}).Draw(t, "district")
			return selection{`{district: {_eq: "` + d + `"}}`, "d", func(c citizen) bool { return c.district == d }}
		case 1:
			d := rapid.SampledFrom([]string{"A", "B", "C", "D"}).Draw(t, "district")
			return selection{`{_not: {district: {_eq: "` + d + `"}}}`, "d", func(c citizen) bool { return c.district != "" && c.district != d }}
		case 2:
			b := rapid.IntRange(0, 4).Draw(t, "band")
			return selection{fmt.Sprintf(`{band: {_gte: %d}}`, b), "b", func(c citizen) bool {
				n, err := strconv.Atoi(c.band)
				return err == nil && n >= b
			}}
		case 3:
			b := rapid.IntRange(0, 4).Draw(t, "band")
			return selection{fmt.Sprintf(`{band: {_in: [%d, %d]}}`, b, b+1), "b", func(c citizen) bool {
				n, err := strconv.Atoi(c.band)
				return err == nil && (n == b || n == b+1)
			}}
		default:
			return selection{`{district: {_is_null: true}}`, "d", func(c citizen) bool { return c.district == "" }}
		}
	}
	switch rapid.IntRange(0, 4).Draw(t, "junction") {
	case 0:
		return selection{"{}", "", func(citizen) bool { return true }}
	case 1, 2:
		return leaf()
	case 3:
		a, b := leaf(), leaf()
		return selection{"{_and: [" + a.where + ", " + b.where + "]}", a.dims + b.dims, func(c citizen) bool { return a.holds(c) && b.holds(c) }}
	default:
		a, b := leaf(), leaf()
		return selection{"{_or: [" + a.where + ", " + b.where + "]}", a.dims + b.dims, func(c citizen) bool { return a.holds(c) || b.holds(c) }}
	}
}

// For a reader who may only aggregate: no number over fewer persons than the
// minimum, no cell of the table of all dimensions that a query names enters one
// that has fewer, and counts are off by at most six.
func TestProtectedGroupsAreLarge(t *testing.T) {
	shown, hidden := 0, 0
	for seed := range uint64(3) {
		people := crowd(rand.New(rand.NewPCG(seed, 1)), 60+60*int(seed)) //nolint:gosec // the same people each time
		w := census(t, people, nil)
		rapid.Check(t, func(t *rapid.T) {
			s := drawSelection(t)
			by := rapid.SampledFrom([]string{"", "d", "b", "db"}).Draw(t, "by")
			var fields []string
			if strings.Contains(by, "d") {
				fields = append(fields, "district")
			}
			if strings.Contains(by, "b") {
				fields = append(fields, "band")
			}
			group := ""
			if len(fields) > 0 {
				group = "group { " + strings.Join(fields, " ") + " } "
			}
			got := w.groups(t, "statistician", "{ a: peopleAggregate(where: "+s.where+") { "+group+"count sum { income } avg { income } } }")

			dims := s.dims + by
			cell := func(c citizen) string {
				key := ""
				if strings.Contains(dims, "d") {
					key += "d" + c.district
				}
				if strings.Contains(dims, "b") {
					key += "b" + c.band
				}
				return key
			}
			name := func(c citizen) string {
				key := ""
				if strings.Contains(by, "d") {
					key += "d" + c.district
				}
				if strings.Contains(by, "b") {
					key += "b" + c.band
				}
				return key
			}
			sizes, incomes, most, earners := map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
			for _, c := range people {
				if s.holds(c) {
					sizes[cell(c)]++
					if c.income != "" {
						incomes[cell(c)]++
					}
				}
			}
			for _, c := range people {
				if s.holds(c) && sizes[cell(c)] >= censusMinimum {
					most[name(c)]++
					if c.income != "" && incomes[cell(c)] >= censusMinimum {
						earners[name(c)]++
					}
				}
			}
			for _, g := range got {
				key := ""
				if of, ok := g["group"].(map[string]any); ok {
					for _, f := range fields {
						key += f[:1]
						if of[f] != nil {
							key += fmt.Sprint(of[f])
						}
					}
				}
				shown++
				if most[key] < censusMinimum {
					t.Fatalf("%s by %q: the group %s is shown and has %d persons in large cells", s.where, by, key, most[key])
				}
				count, err := strconv.Atoi(g["count"].(string))
				if err != nil || count < censusMinimum || count > most[key]+6 {
					t.Fatalf("%s by %q: the group %s of at most %d is counted as %v", s.where, by, key, most[key], g["count"])
				}
				if sum := g["sum"].(map[string]any)["income"]; sum != nil && earners[key] < censusMinimum {
					t.Fatalf("%s by %q: the sum of group %s is shown, over %d persons", s.where, by, key, earners[key])
				}
			}
			hidden += len(most) - len(got)
		})
	}
	// The queries are drawn anew each time: far below what the three draws give.
	if shown < 60 || hidden < 20 {
		t.Errorf("%d groups were shown, %d left out: the test is not about much", shown, hidden)
	}
}

// The same set gives the same numbers, whatever query names it.
func TestEqualSetsGiveEqualAnswers(t *testing.T) {
	people := crowd(rand.New(rand.NewPCG(7, 1)), 300) //nolint:gosec // the same people each time
	w := census(t, people, nil)
	body := "count sum { income } avg { income }"
	byDistrict := map[string]map[string]any{}
	for _, g := range w.groups(t, "statistician", "{ a: peopleAggregate { group { district } "+body+" } }") {
		d, _ := g["group"].(map[string]any)["district"].(string)
		delete(g, "group")
		byDistrict[d] = g
	}
	if len(byDistrict) < 4 {
		t.Fatalf("%d districts", len(byDistrict))
	}
	for d, want := range byDistrict {
		for _, where := range []string{
			`{district: {_eq: "` + d + `"}}`, `{district: {_in: ["` + d + `"]}}`, `{_not: {district: {_neq: "` + d + `"}}}`,
			`{district: {_gte: "` + d + `", _lte: "` + d + `"}}`, `{_or: [{district: {_eq: "` + d + `"}}, {district: {_eq: "none"}}]}`,
		} {
			if d == "" {
				where = `{district: {_is_null: true}}`
			}
			for range 2 {
				got := w.groups(t, "statistician", "{ a: peopleAggregate(where: "+where+") { "+body+" } }")
				if len(got) != 1 || cmp.Diff(want, got[0]) != "" {
					t.Errorf("%s: %v, want %v", where, got, want)
				}
			}
		}
	}
	// Another key, other noise.
	again := census(t, people, nil)
	other := again.groups(t, "statistician", "{ a: peopleAggregate { group { district } "+body+" } }")
	same := 0
	for _, g := range other {
		d, _ := g["group"].(map[string]any)["district"].(string)
		delete(g, "group")
		if cmp.Diff(byDistrict[d], g) == "" {
			same++
		}
	}
	if same > 1 {
		t.Errorf("%d of %d groups are the same under another key", same, len(other))
	}
}

// The noise is as declared: around zero, with a standard deviation of two
// contributions for a count, and never more than six.
func TestNoiseIsAsDeclared(t *testing.T) {
	ring, err := keyring.Generate()
	if err != nil {
		t.Fatal(err)
	}
	z := noise{ring: ring, domain: "police\x00Person"}
	const n = 4_000
	var names []string
	for i := range 40 {
		names = append(names, strconv.Itoa(i))
	}
	var sum, squares float64
	for round := range n {
		persons := map[uint32]*contribution{}
		for i := range uint32(40) {
			persons[i] = &contribution{rows: 1}
		}
		persons[0].rows, persons[1].rows = int64(round+2), 500 // outliers: cut to the third largest
		got := z.protected("", names, contributors{persons}, countOf, false)
		off := float64(got.n.Int64() - 40)
		if math.Abs(off) > 6 {
			t.Fatalf("noise of %v", off)
		}
		sum += off
		squares += off * off
	}
	if mean, deviation := sum/n, math.Sqrt(squares/n); math.Abs(mean) > 0.2 || deviation < 1.9 || deviation > 2.15 {
		t.Errorf("mean %.2f, standard deviation %.2f", mean, deviation)
	}
}

// What a reader may not see must not show by an error, nor by a null where
// there are enough others: bad cells, sums beyond any type.
func TestProtectedFaultsDoNotShow(t *testing.T) {
	people := crowd(rand.New(rand.NewPCG(9, 1)), 60) //nolint:gosec // the same people each time
	for i := range people {
		people[i].district, people[i].income, people[i].score, people[i].debt = "A", "1", "1.5", "9223372036854775807"
	}
	people[3].income, people[4].score = "abc", "xyz"
	for i := range 20 {
		people[10+i].score = "1.7e308"
	}
	w := census(t, people, nil)
	query := "{ a: peopleAggregate { group { district } count sum { income debt score } avg { income debt score } } }"
	got := w.groups(t, "statistician", query)
	if len(got) != 1 || got[0]["sum"].(map[string]any)["income"] == nil || got[0]["sum"].(map[string]any)["debt"] == nil {
		t.Errorf("%v", got)
	}
	// Whoever sees the rows learns of the fault, and what does not overflow is
	// exact.
	response := w.ask(w.as("auditor"), query, nil)
	if len(response.Errors) == 0 || !strings.Contains(string(response.Data), `"debt":"553402322211286548420"`) {
		t.Errorf("%s %v", response.Data, response.Errors)
	}
	for _, e := range response.Errors {
		if e.Extensions["code"] != string(plan.Internal) {
			t.Errorf("%v", e)
		}
	}
}

// Nor does a dimension show by an error that its value is not of its kind, where
// rows are only counted: it is as if there were none.
func TestProtectedGroupsOfBadCells(t *testing.T) {
	people := settle(settle(nil, 20, "A", "1", "1"), 20, "A", "no number", "1")
	w := census(t, people, nil)
	const query = "{ a: peopleAggregate { group { band } count } }"
	got := w.groups(t, "statistician", query)
	if len(got) != 2 || got[0]["group"].(map[string]any)["band"] != 1.0 || got[1]["group"].(map[string]any)["band"] != nil {
		t.Errorf("%v", got)
	}
	if response := w.ask(w.as("auditor"), query, nil); len(response.Errors) == 0 {
		t.Errorf("whoever sees the rows is not told: %s", response.Data)
	}
}

// A dimension that is held on other rows does not tell rows apart: they are one
// cell, whatever stands in it.
func TestPartlyHeldDimensions(t *testing.T) {
	var people []citizen
	for i := range 20 {
		people = append(people, citizen{id: strconv.Itoa(i), district: "A", band: strconv.Itoa(i), open: "0"})
	}
	got := census(t, people, nil).groups(t, "banded", `{ a: peopleAggregate(where: {_or: [{band: {_gte: 0}}, {district: {_eq: "A"}}]}) { count } }`)
	if len(got) != 1 || got[0]["count"] == nil {
		t.Errorf("twenty people whose bands may not be used: %v", got)
	}
}

// Rows about two persons count for both: a crowd of visits to one host is no
// crowd of hosts.
func TestEveryPersonOfARowCounts(t *testing.T) {
	var visits []visit
	for i := range 40 {
		visits = append(visits,
			visit{guest: strconv.Itoa(i), host: "one", district: "A", cost: "10"},
			visit{guest: strconv.Itoa(i), host: strconv.Itoa(100 + i%20), district: "B", cost: "10"},
			visit{guest: strconv.Itoa(i), host: "", district: "C", cost: "10"},
			visit{guest: strconv.Itoa(i), host: strconv.Itoa(200 + i%20), district: "D", cost: "10"},
			visit{guest: strconv.Itoa(i), host: strconv.Itoa(200 + i%20), district: "E", cost: "10"})
	}
	w := census(t, nil, visits)
	var shown []string
	for _, g := range w.groups(t, "statistician", "{ a: visitsAggregate { group { district } count sum { cost } } }") {
		shown = append(shown, g["group"].(map[string]any)["district"].(string))
	}
	// A and C have one host each, which are fewer than five; together with the
	// next in order they have as many.
	if !slices.Equal(shown, []string{"D", "E"}) {
		t.Errorf("shown %v", shown)
	}
}

// A field that is held on some rows is summed over those.
func TestPartlyHeldFields(t *testing.T) {
	var people []citizen
	for i := range 60 {
		people = append(people, citizen{id: strconv.Itoa(i), district: "A", open: strconv.Itoa(i % 2), income: strconv.Itoa(1000 - 900*(i%2))})
	}
	w := census(t, people, nil)
	got := w.groups(t, "half", "{ a: peopleAggregate { count avg { income } } }")
	if len(got) != 1 {
		t.Fatal(got)
	}
	avg, err := strconv.ParseFloat(got[0]["avg"].(map[string]any)["income"].(string), 64)
	if err != nil || avg < 60 || avg > 160 { // 100 where the book is open
		t.Errorf("the average income is %v, %v", avg, err)
	}
}
