package adaptertest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/schema"
)

// trials repeats a property; rapid draws a hundred cases each time unless its
// own flag says otherwise. WEIR_SOAK makes it long, WEIR_SMALL short.
func trials(t *testing.T, rounds int, property func(t *rapid.T)) {
	switch {
	case os.Getenv("WEIR_SOAK") != "":
		rounds *= 100
	case os.Getenv("WEIR_SMALL") != "" || testing.Short():
		rounds = 1
	}
	for range rounds {
		rapid.Check(t, property)
	}
}

// twenty rows of one column, n = 0 … 19, in groups g = n mod 3, and one group
// of NULL.
func grouped() Table {
	table := Table{Name: "t", Columns: plain(number("n"), text("g"))}
	for i := range 20 {
		table.Rows = append(table.Rows, []Value{v(strconv.Itoa(i)), v("g" + strconv.Itoa(i%3))})
	}
	table.Rows = append(table.Rows, []Value{v("20"), null()})
	return table
}

func limits(t *testing.T, h Harness) {
	table := grouped()
	s := h.Create(t, Fixture{Tables: []Table{table}})
	n := number("n")
	for _, order := range [][]adapters.Order{{{Column: n}}, {{Column: n, Desc: true}}} {
		for _, limit := range []int{-1, 0, 1, 5, 20, 21, 22, 1000} {
			for _, offset := range []int{-1, 0, 1, 20, 21, 100} {
				w := &world{}
				want := w.sorted(&table, order)
				want = want[min(max(offset, 0), len(want)):]
				if limit >= 0 {
					want = want[:min(limit, len(want))]
				}
				for _, plus := range []int{0, 1} { // as argument plus constant, and as constant
					shape := &adapters.Shape{Table: "t", Columns: []adapters.Column{n}, Order: order}
					var args []adapters.Arg
					argument := func(value int) *adapters.Bound {
						if value < 0 {
							return nil
						}
						if plus == 0 || value == 0 {
							return bound(value)
						}
						shape.Params = append(shape.Params, adapters.Param{Kind: schema.Int})
						args = append(args, arg(strconv.Itoa(value-plus)))
						return &adapters.Bound{Param: len(args) - 1, Plus: plus}
					}
					shape.Limit, shape.Offset = argument(limit), argument(offset)
					if got := column(read(t, s.Adapter, shape, args, nil), 0); !slices.Equal(got, numbers(want)) {
						t.Errorf("limit %d offset %d: rows %q, want %q", limit, offset, got, numbers(want))
					}
				}
			}
		}
	}
	shape := &adapters.Shape{Table: "t", Columns: []adapters.Column{n}, Params: []adapters.Param{{Kind: schema.Int}}, Limit: &adapters.Bound{}}
	for _, a := range []adapters.Arg{arg("-1"), {Null: true}, {Null: true, Text: "5"}, arg("x"), arg("99999999999999999999"), arg("")} {
		if _, err := fetch(s.Adapter, shape, []adapters.Arg{a}, nil); err == nil {
			t.Errorf("the limit %+v is accepted", a)
		}
	}
}

func limitsPerKey(t *testing.T, h Harness) {
	table := grouped()
	s := h.Create(t, Fixture{Tables: []Table{table}})
	n, g := number("n"), text("g")
	keys := keysOf("g2", "none", "g0", "g1")
	for _, desc := range []bool{false, true} {
		for _, limit := range []int{-1, 0, 1, 3, 100} {
			for _, offset := range []int{-1, 0, 2, 7, 100} {
				shape := &adapters.Shape{Table: "t", Columns: []adapters.Column{n}, Keys: []adapters.Column{g}, Order: []adapters.Order{{Column: n, Desc: desc}}}
				if limit >= 0 {
					shape.Limit = bound(limit)
				}
				if offset >= 0 {
					shape.Offset = bound(offset)
				}
				var want []string
				for ordinal, remainder := range []int{2, -1, 0, 1} {
					var group []string
					for i := range 20 {
						if i%3 == remainder {
							group = append(group, fmt.Sprintf("%d of %d", i, ordinal))
						}
					}
					if desc {
						slices.Reverse(group)
					}
					group = group[min(max(offset, 0), len(group)):]
					if limit >= 0 {
						group = group[:min(limit, len(group))]
					}
					want = append(want, group...)
				}
				var got []string
				for _, r := range read(t, s.Adapter, shape, nil, keys) {
					got = append(got, fmt.Sprintf("%s of %d", show(r.cells[0]), r.parent))
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("limit %d offset %d descending %t (-want +got):\n%s", limit, offset, desc, diff)
				}
			}
		}
	}
	if rows := read(t, s.Adapter, &adapters.Shape{Table: "t", Columns: []adapters.Column{n}, Keys: []adapters.Column{g}}, nil, &adapters.Keys{Cols: 1}); len(rows) != 0 {
		t.Errorf("no keys led to %d rows", len(rows))
	}
}

func manyRows(name string, n int) Table {
	table := Table{Name: name, Columns: plain(number("n"), text("s"))}
	for i := range n {
		table.Rows = append(table.Rows, []Value{v(strconv.Itoa(i)), v("row " + strconv.Itoa(i))})
	}
	return table
}

func tenThousandRows(t *testing.T, h Harness) {
	const count = 10_000
	s := h.Create(t, Fixture{Tables: []Table{manyRows("t", count)}})
	n := number("n")
	statement := compile(t, s.Adapter, &adapters.Shape{Table: "t", Columns: []adapters.Column{n, text("s")}, Order: []adapters.Order{{Column: n}}})
	rows, err := statement.Fetch(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var batches [2]adapters.Batch // handed in by turns, as the contract allows
	total, turns := 0, 0
	for {
		b := &batches[turns%2]
		turns++
		err := rows.Next(b)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range b.Rows {
			number, _ := b.Cell(i, 0)
			label, _ := b.Cell(i, 1)
			if string(number) != strconv.Itoa(total) || string(label) != "row "+strconv.Itoa(total) {
				t.Fatalf("row %d is %s, %s", total, number, label)
			}
			total++
		}
	}
	if total != count || turns < count/2048 {
		t.Errorf("%d rows in %d batches", total, turns)
	}
	if err := rows.Next(&batches[0]); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v", err)
	}
}

// random makes the two tables of the random cases.
func random(t testing.TB, h Harness, collation Collation) (Source, []*Table) {
	p, q := people(collation, "p_", "people", 60, 1), people(Default, "v_", "visits", 40, 2)
	return h.Create(t, Fixture{Tables: []Table{p, q}}), []*Table{&p, &q}
}

func newWorld(tables []*Table) *world {
	w := &world{tables: map[string]*Table{}}
	for _, table := range tables {
		w.tables[table.Name] = table
	}
	return w
}

func threeValuedLogic(t *testing.T, h Harness) {
	for _, collation := range h.collations() {
		t.Run(collation.String(), func(t *testing.T) {
			s, tables := random(t, h, collation)
			trials(t, 5, func(rt *rapid.T) {
				w := newWorld(tables)
				g := &generator{t: rt, tables: tables, world: w}
				table := tables[g.pick(len(tables), "table")]
				where, scope := g.predicate(table, 3), g.predicate(table, 2)
				n := table.Columns[0].Column
				shape := &adapters.Shape{
					Table: table.Name, Columns: []adapters.Column{n}, Params: w.params, Where: where,
					Scopes: []adapters.Predicate{scope, where}, Order: []adapters.Order{{Column: n}},
				}
				rows, err := fetch(s.Adapter, shape, w.args, nil)
				if err != nil {
					rt.Fatalf("%v\nwhere %+v\nscope %+v\nargs %+v", err, where, scope, w.args)
				}
				if diff := cmp.Diff(w.matching(table, where), column(rows, 0)); diff != "" {
					rt.Fatalf("where %+v\nargs %+v (-want +got):\n%s", where, w.args, diff)
				}
				for _, r := range rows {
					i, _ := strconv.Atoi(show(r.cells[0]))
					want := w.eval(table, table.Rows[i], scope)
					if got := bits(r, 0); got != want || bits(r, 1) != yes {
						rt.Fatalf("row %d: scope %+v is %d, want %d\nargs %+v", i, scope, got, want, w.args)
					}
				}
			})
		})
	}
}

func bits(r row, scope int) truth {
	switch {
	case r.unknown&(1<<scope) != 0:
		return unknown
	case r.truth&(1<<scope) != 0:
		return yes
	default:
		return no
	}
}

// keyset walks random orders in pages, and tries positions that are no row's.
func keyset(t *testing.T, h Harness) {
	s, tables := random(t, h, h.collations()[len(h.Collations)])
	table := tables[0]
	trials(t, 2, func(rt *rapid.T) {
		w := newWorld(tables)
		g := &generator{t: rt, tables: tables, world: w}
		order := g.order(table)
		after := adapters.After{Order: order}
		at := table.Rows[g.pick(len(table.Rows), "position")]
		for _, o := range order {
			value := w.cell(table, at, o.Column)
			if g.pick(4, "elsewhere") == 0 {
				value = Value{Null: g.pick(3, "null") == 0, Text: g.value(o.Column)}
			}
			after.Params = append(after.Params, g.param(adapters.Param{Kind: o.Column.Kind}, adapters.Arg{Null: value.Null, Text: value.Text}))
		}
		n := table.Columns[0].Column
		shape := &adapters.Shape{
			Table: table.Name, Columns: []adapters.Column{n}, Params: w.params, Where: after, Order: order,
			Scopes: []adapters.Predicate{adapters.Not{Predicate: after}},
		}
		rows, err := fetch(s.Adapter, shape, w.args, nil)
		if err != nil {
			rt.Fatalf("%v\n%+v %+v", err, after, w.args)
		}
		var want []int
		for _, i := range w.sorted(table, order) {
			if w.after(table, table.Rows[i], after) == yes {
				want = append(want, i)
			}
		}
		if diff := cmp.Diff(numbers(want), column(rows, 0)); diff != "" {
			rt.Fatalf("%+v\nargs %+v (-want +got):\n%s", after, w.args, diff)
		}
		for _, r := range rows {
			if bits(r, 0) != no {
				rt.Fatalf("%+v is not two-valued", after)
			}
		}
	})
}

// batchedKeys compares a batched fetch with one fetch per key.
func batchedKeys(t *testing.T, h Harness) {
	s, tables := random(t, h, h.collations()[len(h.Collations)])
	table := tables[0]
	trials(t, 1, func(rt *rapid.T) {
		w := newWorld(tables)
		g := &generator{t: rt, tables: tables, world: w}
		n := table.Columns[0].Column
		shape := &adapters.Shape{
			Table: table.Name, Columns: []adapters.Column{n}, Order: g.order(table), Where: g.predicate(table, 1),
			Scopes: []adapters.Predicate{g.predicate(table, 1)},
		}
		for range 1 + g.pick(2, "key columns") {
			shape.Keys = append(shape.Keys, table.Columns[1+g.pick(len(table.Columns)-1, "key column")].Column)
		}
		if g.pick(2, "limited") == 0 {
			shape.Limit = bound(g.pick(5, "limit"))
		}
		if g.pick(3, "moved") == 0 {
			shape.Offset = bound(g.pick(3, "offset"))
		}
		keys := &adapters.Keys{Cols: len(shape.Keys)}
		var tuples [][]string
		for range g.pick(6, "keys") {
			var tuple []string
			var parts [][]byte
			for _, c := range shape.Keys {
				value := g.value(c)
				tuple, parts = append(tuple, value), append(parts, []byte(value))
			}
			if !slices.ContainsFunc(tuples, func(x []string) bool { return slices.Equal(x, tuple) }) {
				tuples = append(tuples, tuple)
				keys.Append(parts...)
			}
		}
		shape.Params = w.params
		got, err := fetch(s.Adapter, shape, w.args, keys)
		if err != nil {
			rt.Fatalf("%v\n%+v", err, shape)
		}
		var want []row
		for ordinal, tuple := range tuples {
			single := *shape
			single.Keys, single.Params = nil, slices.Clone(w.params)
			args := slices.Clone(w.args)
			conditions := adapters.And{shape.Where}
			for i, c := range shape.Keys {
				single.Params, args = append(single.Params, adapters.Param{Kind: c.Kind}), append(args, arg(tuple[i]))
				conditions = append(conditions, adapters.Compare{Column: c, Op: schema.Eq, Param: len(args) - 1})
			}
			single.Where = conditions
			rows, err := fetch(s.Adapter, &single, args, nil)
			if err != nil {
				rt.Fatalf("%v\n%+v", err, single)
			}
			for i := range rows {
				rows[i].parent = ordinal
			}
			want = append(want, rows...)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(row{})); diff != "" {
			rt.Fatalf("%+v\nkeys %q (-single +batched):\n%s", shape, tuples, diff)
		}
	})
}

func counts(t *testing.T, h Harness) {
	table := grouped()
	s := h.Create(t, Fixture{Tables: []Table{table}})
	n, g := number("n"), text("g")
	below := adapters.Compare{Column: n, Op: schema.Lt}
	params := []adapters.Param{{Kind: schema.Int}}
	for limit, want := range map[string]string{"0": "0", "5": "5", "100": "21"} {
		got := column(read(t, s.Adapter, &adapters.Shape{Table: "t", Count: true, Params: params, Where: below}, []adapters.Arg{arg(limit)}, nil), 0)
		if !slices.Equal(got, []string{want}) {
			t.Errorf("count below %s: %q, want %s", limit, got, want)
		}
	}
	rows := read(t, s.Adapter, &adapters.Shape{Table: "t", Count: true, Keys: []adapters.Column{g}, Params: params, Where: below}, []adapters.Arg{arg("5")}, keysOf("g1", "none", "g0"))
	if got := column(rows, 0); !slices.Equal(got, []string{"2", "0", "2"}) || rows[2].parent != 2 {
		t.Errorf("counts per key: %q", got)
	}
}

func scopeBits(t *testing.T, h Harness) {
	table := grouped()
	s := h.Create(t, Fixture{Tables: []Table{table}})
	n, g := number("n"), text("g")
	shape := &adapters.Shape{Table: "t", Columns: []adapters.Column{n}, Order: []adapters.Order{{Column: n}}}
	var args []adapters.Arg
	for i := range 64 {
		shape.Params = append(shape.Params, adapters.Param{Kind: schema.String})
		if i%2 == 0 {
			args = append(args, arg(strconv.Itoa(i/3)))
			shape.Scopes = append(shape.Scopes, adapters.Compare{Column: n, Op: schema.Gte, Param: i})
			continue
		}
		args = append(args, arg("g"+strconv.Itoa(i%3)))
		shape.Scopes = append(shape.Scopes, adapters.Compare{Column: g, Op: schema.Eq, Param: i})
	}
	w := &world{args: args}
	for i, r := range read(t, s.Adapter, shape, args, nil) {
		for bit, scope := range shape.Scopes {
			if got, want := bits(r, bit), w.eval(&table, table.Rows[i], scope); got != want {
				t.Errorf("row %d, scope %d: %d, want %d", i, bit, got, want)
			}
		}
	}
	keyed := *shape
	keyed.Keys = []adapters.Column{g}
	for _, limit := range []*adapters.Bound{nil, bound(100)} {
		keyed.Limit = limit
		for _, r := range read(t, s.Adapter, &keyed, args, keysOf("g1")) {
			i, _ := strconv.Atoi(show(r.cells[0]))
			for bit, scope := range shape.Scopes {
				if got, want := bits(r, bit), w.eval(&table, table.Rows[i], scope); got != want {
					t.Errorf("by key, row %d, scope %d: %d, want %d", i, bit, got, want)
				}
			}
		}
	}
}
