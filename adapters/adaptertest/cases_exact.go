package adaptertest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/schema"
)

func hostileIdentifiers() []string {
	return []string{"alice", "Alice", "alice ", "álice", "ALICE", "alice\t", "a\u0301lice", "álicE ", ""}
}

func (h Harness) collations() []Collation { return append([]Collation{Default}, h.Collations...) }

func (c Collation) String() string {
	return [...]string{"default", "ignoring case", "ignoring blanks", "ignoring accents", "of a locale"}[c]
}

func exactIdentifiers(t *testing.T, h Harness) {
	for _, collation := range h.collations() {
		t.Run(collation.String(), func(t *testing.T) {
			id, n := text("id"), number("n")
			names := hostileIdentifiers()
			table := Table{Name: "t", Columns: []Column{{Column: id, Collation: collation}, {Column: n}}, Indexes: []string{"id"}}
			for i, name := range names {
				table.Rows = append(table.Rows, []Value{v(name), v(strconv.Itoa(i))})
			}
			table.Rows = append(table.Rows, []Value{null(), v(strconv.Itoa(len(names)))})
			other := table
			other.Name = "u"
			other.Columns = []Column{{Column: text("oid"), Collation: Default}, {Column: n}}
			other.Indexes = nil
			s := h.Create(t, Fixture{Tables: []Table{table, other}})
			order := []adapters.Order{{Column: n}}
			w := &world{tables: map[string]*Table{"t": &table, "u": &other}}
			for _, name := range append(names, "nobody", "bob") {
				for op := schema.Eq; op <= schema.StartsWith; op++ {
					list := op == schema.In || op == schema.Nin
					w.params = []adapters.Param{{Kind: schema.String, List: list}}
					w.args = []adapters.Arg{arg(name)}
					if list {
						w.args = []adapters.Arg{{List: []string{name, "nobody"}}}
					}
					where := adapters.Compare{Column: id, Op: op}
					shape := &adapters.Shape{Table: "t", Columns: []adapters.Column{n}, Params: w.params, Where: where, Order: order}
					got := column(read(t, s.Adapter, shape, w.args, nil), 0)
					if diff := cmp.Diff(w.matching(&table, where), got); diff != "" {
						t.Errorf("%s %q (-want +got):\n%s", op, name, diff)
					}
				}
			}
			for _, limit := range []*adapters.Bound{nil, bound(5)} {
				keys := append(slices.Clone(names), "nobody")
				rows := read(t, s.Adapter, &adapters.Shape{Table: "t", Columns: []adapters.Column{n}, Keys: []adapters.Column{id}, Order: order, Limit: limit}, nil, keysOf(keys...))
				want := numbers(indices(len(names)))
				if got := column(rows, 0); !slices.Equal(got, want) {
					t.Errorf("keys, limit %v: rows %q, want %q", limit, got, want)
				}
				// An adapter may have a statement of its own for one key.
				for i, key := range keys {
					rows := read(t, s.Adapter, &adapters.Shape{Table: "t", Columns: []adapters.Column{n}, Keys: []adapters.Column{id}, Order: order, Limit: limit}, nil, keysOf(key))
					want := numbers(indices(len(names)))[min(i, len(names)):min(i+1, len(names))]
					if got := column(rows, 0); !slices.Equal(got, want) {
						t.Errorf("key %q alone, limit %v: rows %q, want %q", key, limit, got, want)
					}
				}
			}
			verifiesExactly(t, s.Adapter, id, names)
			// Each row finds itself and no other in the other table, and back.
			for _, pair := range [][2]string{{"t", "u"}, {"u", "t"}} {
				outer, inner := id, text("oid")
				if pair[0] == "u" {
					outer, inner = inner, outer
				}
				w.params, w.args = []adapters.Param{{Kind: schema.Int}}, make([]adapters.Arg, 1)
				where := adapters.Exists{
					Table: pair[1], Outer: []adapters.Column{outer}, Inner: []adapters.Column{inner},
					Where: adapters.Compare{Column: n, Op: schema.Eq},
				}
				statement := compile(t, s.Adapter, &adapters.Shape{Table: pair[0], Columns: []adapters.Column{n}, Params: w.params, Where: where, Order: order})
				for i := range len(names) + 1 {
					w.args[0] = arg(strconv.Itoa(i))
					rows, err := run(t.Context(), statement, false, w.args, nil)
					if err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(w.matching(w.tables[pair[0]], where), column(rows, 0)); diff != "" {
						t.Errorf("exists %v (-want +got):\n%s", pair, diff)
					}
				}
			}
			byID := []adapters.Order{{Column: id}}
			rows := read(t, s.Adapter, &adapters.Shape{Table: "t", Columns: []adapters.Column{n}, Order: byID}, nil, nil)
			if diff := cmp.Diff(numbers(w.sorted(&table, byID)), column(rows, 0)); diff != "" {
				t.Errorf("order (-want +got):\n%s", diff)
			}
		})
	}
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// indexIsUsed: exactness must not cost the index.
func indexIsUsed(t *testing.T, h Harness) {
	var columns []Column
	var indexes []string
	for _, c := range h.collations() {
		name := "c" + strconv.Itoa(int(c))
		columns, indexes = append(columns, Column{Column: text(name), Collation: c}), append(indexes, name)
	}
	for _, c := range []adapters.Column{{Name: "i", Kind: schema.Int}, {Name: "b", Kind: schema.BigInt}, {Name: "d", Kind: schema.Date}, {Name: "u", Kind: schema.UUID}} {
		columns, indexes = append(columns, Column{Column: c}), append(indexes, c.Name)
	}
	table := Table{Name: "t", Columns: columns, Indexes: indexes}
	for i := range 5000 {
		var r []Value
		for _, c := range columns {
			switch c.Kind {
			case schema.Date:
				r = append(r, v(fmt.Sprintf("%04d-%02d-01", 1000+i/12, 1+i%12)))
			case schema.UUID:
				r = append(r, v(fmt.Sprintf("00000000-0000-0000-0000-%012d", i)))
			default:
				r = append(r, v(strconv.Itoa(i)))
			}
		}
		table.Rows = append(table.Rows, r)
	}
	other := Table{Name: "few", Columns: plain(text("c0")), Rows: [][]Value{{v("17")}}}
	s := h.Create(t, Fixture{Tables: []Table{table, other}})
	for _, c := range columns {
		col := c.Column
		shapes := map[string]*adapters.Shape{
			"equal":       {Params: []adapters.Param{{Kind: col.Kind}}, Where: adapters.Compare{Column: col, Op: schema.Eq}},
			"within":      {Params: []adapters.Param{{Kind: col.Kind, List: true}}, Where: adapters.Compare{Column: col, Op: schema.In}},
			"keys":        {Keys: []adapters.Column{col}},
			"keys, limit": {Keys: []adapters.Column{col}, Limit: bound(3)},
			"keys, count": {Keys: []adapters.Column{col}, Count: true},
		}
		for name, shape := range shapes {
			shape.Table = "t"
			if !shape.Count {
				shape.Columns = []adapters.Column{col}
			}
			plan := s.Explain(t, compile(t, s.Adapter, shape).String())
			if !strings.Contains(plan, "ix_t_"+col.Name) {
				t.Errorf("column %s (%s), %s: the index is not used:\n%s", col.Name, c.Collation, name, plan)
			}
		}
	}
}

func patterns(t *testing.T, h Harness) {
	a, n := text("a"), number("n")
	values := []string{"", "a", "A", "ab", "a%b", "a_b", `a\b`, "a*b", "a?b", "a[b]c", "]", "^", "中文字", "😀", "a\nb", "%", "_", `\`, "[", "[[]"}
	table := Table{Name: "t", Columns: plain(a, n)}
	for i, value := range values {
		table.Rows = append(table.Rows, []Value{v(value), v(strconv.Itoa(i))})
	}
	table.Rows = append(table.Rows, []Value{null(), v(strconv.Itoa(len(values)))})
	s := h.Create(t, Fixture{Tables: []Table{table}})
	w := &world{params: []adapters.Param{{Kind: schema.String}}}
	for _, op := range []schema.Operator{schema.Like, schema.StartsWith} {
		where := adapters.Compare{Column: a, Op: op}
		statement := compile(t, s.Adapter, &adapters.Shape{Table: "t", Columns: []adapters.Column{n}, Params: w.params, Where: where, Order: []adapters.Order{{Column: n}}})
		for _, pattern := range append(values, "a%", "%b", "a_b%", `a\%b`, `a\_b`, `a\\b`, `a\`, `\a%`, "__", "___", "%中%", "中_", "_", "%%", "a%%b", "[a]%", `\[%`, "a[%", "%]%", `\\`, `%\`, "%*%", "%?%") {
			w.args = []adapters.Arg{arg(pattern)}
			rows, err := run(t.Context(), statement, false, w.args, nil)
			if err != nil {
				t.Fatalf("%s %q: %v", op, pattern, err)
			}
			if diff := cmp.Diff(w.matching(&table, where), column(rows, 0)); diff != "" {
				t.Errorf("%s %q (-want +got):\n%s", op, pattern, diff)
			}
		}
	}
}

// verifiesExactly counts the rows of one key that have one value: a row has its
// own and no other, and each question is answered with one number.
func verifiesExactly(t *testing.T, a adapters.Adapter, id adapters.Column, names []string) {
	t.Helper()
	statement := compile(t, a, &adapters.Shape{
		Table: "t", Count: true, Keys: []adapters.Column{id}, Params: []adapters.Param{{Kind: schema.String}},
		Where: adapters.Compare{Column: id, Op: schema.Eq},
	})
	for _, key := range append(slices.Clone(names), "nobody") {
		for _, stated := range append(slices.Clone(names), "nobody") {
			rows, err := run(t.Context(), statement, true, []adapters.Arg{arg(stated)}, keysOf(key))
			if err != nil {
				t.Fatal(err)
			}
			want := "0"
			if key == stated && key != "nobody" {
				want = "1"
			}
			if got := column(rows, 0); !slices.Equal(got, []string{want}) {
				t.Errorf("key %q with %q: counted %q, want %s", key, stated, got, want)
			}
		}
	}
}

// hostileNames: identifiers come from the catalogue, but may be anything.
func hostileNames(t *testing.T, h Harness) {
	names := []string{"select", "a b", `a"b`, "a'b", "a;b--", "姓名", "A", "$1", "?1", `\`, "t0", "k"}
	table := Table{Name: `ta"ble; drop`}
	var row []Value
	var columns []adapters.Column
	for i, name := range names {
		columns = append(columns, text(name))
		row = append(row, v(strconv.Itoa(i)))
	}
	table.Columns, table.Rows = plain(columns...), [][]Value{row}
	s := h.Create(t, Fixture{Tables: []Table{table}})
	for i, c := range columns {
		for _, shape := range []*adapters.Shape{
			{Columns: []adapters.Column{c}, Params: []adapters.Param{{Kind: schema.String}}, Where: adapters.Compare{Column: c, Op: schema.Eq}, Order: []adapters.Order{{Column: c}}},
			{Columns: []adapters.Column{c}, Keys: []adapters.Column{c}, Order: []adapters.Order{{Column: c}}, Limit: bound(1)},
		} {
			shape.Table = table.Name
			var args []adapters.Arg
			var keys *adapters.Keys
			if shape.Keys != nil {
				keys = keysOf(strconv.Itoa(i))
			} else {
				args = []adapters.Arg{arg(strconv.Itoa(i))}
			}
			if got := column(read(t, s.Adapter, shape, args, keys), 0); !slices.Equal(got, []string{strconv.Itoa(i)}) {
				t.Errorf("column %q: %q", c.Name, got)
			}
		}
	}
	for _, name := range []string{"", "a\x00b", "a\xffb"} {
		if _, err := s.Adapter.Compile(&adapters.Shape{Table: table.Name, Columns: []adapters.Column{text(name)}}); err == nil {
			t.Errorf("the column name %q is accepted", name)
		}
		if _, err := s.Adapter.Compile(&adapters.Shape{Table: name}); err == nil {
			t.Errorf("the table name %q is accepted", name)
		}
	}
}
