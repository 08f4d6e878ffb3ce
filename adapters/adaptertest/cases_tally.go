package adaptertest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/schema"
)

// image is everything that is read of a row, in a text.
func image(r *row, cells int) string {
	var b strings.Builder
	for i := range cells {
		fmt.Fprintf(&b, "%q %t|", show(r.cells[i]), r.bad[i])
	}
	fmt.Fprintf(&b, "%x %x", r.truth, r.unknown)
	return b.String()
}

// expanded counts the rows of each image that a tally stands for.
func expanded(t testing.TB, rows []row, cells int) map[string]int {
	t.Helper()
	out := map[string]int{}
	for i := range rows {
		r := &rows[i]
		if len(r.cells) != cells+1 {
			t.Fatalf("a tallied row of %d cells, want %d", len(r.cells), cells+1)
		}
		n, err := strconv.Atoi(show(r.cells[cells]))
		if err != nil || n < 1 {
			t.Fatalf("a tallied row stands for %q rows", show(r.cells[cells]))
		}
		out[image(r, cells)] += n
	}
	return out
}

// tallies: a tally stands for exactly the rows that the same shape reads one by
// one, whatever columns, scopes and conditions.
func tallies(t *testing.T, h Harness) {
	s, tables := random(t, h, Default)
	table := tables[0]
	trials(t, 1, func(t *rapid.T) {
		w := &world{tables: map[string]*Table{}}
		for _, x := range tables {
			w.tables[x.Name] = x
		}
		g := &generator{t: t, tables: tables, world: w}
		shape := &adapters.Shape{Table: table.Name}
		for range g.pick(4, "columns") {
			shape.Columns = append(shape.Columns, table.Columns[1+g.pick(len(table.Columns)-1, "column")].Column)
		}
		for range g.pick(3, "scopes") {
			shape.Scopes = append(shape.Scopes, g.predicate(table, 1))
		}
		shape.Where = g.predicate(table, 2)
		shape.Params = w.params
		want := map[string]int{}
		total := 0
		for _, r := range mustFetch(t, s.Adapter, shape, w.args) {
			want[image(&r, len(shape.Columns))]++
			total++
		}
		tally := *shape
		tally.Tally = true
		rows := mustFetch(t, s.Adapter, &tally, w.args)
		if len(shape.Columns)+len(shape.Scopes) == 0 {
			if len(rows) != 1 || show(rows[0].cells[0]) != strconv.Itoa(total) {
				t.Fatalf("a tally of nothing is %d rows, want one that says %d", len(rows), total)
			}
			return
		}
		got := map[string]int{}
		for i := range rows {
			n, err := strconv.Atoi(show(rows[i].cells[len(shape.Columns)]))
			if err != nil || n < 1 {
				t.Fatalf("a tallied row stands for %q rows", show(rows[i].cells[len(shape.Columns)]))
			}
			got[image(&rows[i], len(shape.Columns))] += n
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("shape %+v (-rows +tally):\n%s", shape, diff)
		}
	})
}

func mustFetch(t *rapid.T, a adapters.Adapter, s *adapters.Shape, args []adapters.Arg) []row {
	rows, err := fetch(a, s, args, nil)
	if err != nil {
		t.Fatalf("%v\nshape: %+v", err, s)
	}
	return rows
}

// talliesKeepWhatDiffers: what a column's own equality confuses stays apart,
// and what is equal is read once.
func talliesKeepWhatDiffers(t *testing.T, h Harness) {
	for _, collation := range append([]Collation{Default}, h.Collations...) {
		c := Column{Column: text("a"), Collation: collation}
		d := Column{Column: adapters.Column{Name: "d", Kind: schema.Decimal}}
		table := Table{Name: "t", Columns: []Column{c, d}}
		for _, a := range []string{"alice", "Alice", "alice ", "álice", ""} {
			for _, n := range []string{"1", "1.0", "1.00"} {
				table.Rows = append(table.Rows, []Value{v(a), v(n)}, []Value{v(a), v(n)})
			}
		}
		table.Rows = append(table.Rows, []Value{null(), null()}, []Value{null(), null()})
		s := h.Create(t, Fixture{Tables: []Table{table}})
		columns := []adapters.Column{c.Column, d.Column}
		got := expanded(t, read(t, s.Adapter, &adapters.Shape{Table: "t", Columns: columns, Tally: true}, nil, nil), 2)
		want := map[string]int{}
		for _, r := range read(t, s.Adapter, &adapters.Shape{Table: "t", Columns: columns}, nil, nil) {
			want[image(&r, 2)]++
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("collation %d (-rows +tally):\n%s", collation, diff)
		}
	}
	// A tally is worth something only where it is smaller than the rows.
	table := grouped()
	s := h.Create(t, Fixture{Tables: []Table{table}})
	got := column(read(t, s.Adapter, &adapters.Shape{Table: "t", Columns: []adapters.Column{text("g")}, Tally: true}, nil, nil), 1)
	slices.Sort(got)
	if !slices.Equal(got, []string{"1", "6", "7", "7"}) {
		t.Errorf("21 rows of four groups are tallied as %q", got)
	}
}
