package adaptertest

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/schema"
)

func columnsInOrder(t *testing.T, h Harness) {
	a, b, c := text("a"), text("b"), number("c")
	s := h.Create(t, Fixture{Tables: []Table{{Name: "t", Columns: plain(a, b, c), Rows: [][]Value{{v("x"), v("y"), v("1")}}}}})
	for _, want := range [][]adapters.Column{{a, b, c}, {c, b, a}, {b}, {b, b, a}, {}} {
		rows := read(t, s.Adapter, &adapters.Shape{Table: "t", Columns: want}, nil, nil)
		if len(rows) != 1 || len(rows[0].cells) != len(want) {
			t.Fatalf("columns %v: rows %v", want, rows)
		}
		value := map[string]string{"a": "x", "b": "y", "c": "1"}
		for i, col := range want {
			if got := show(rows[0].cells[i]); got != value[col.Name] {
				t.Errorf("cell %d of %v is %q", i, want, got)
			}
		}
	}
}

func nullIsNotEmpty(t *testing.T, h Harness) {
	a, n := text("a"), number("n")
	s := h.Create(t, Fixture{Tables: []Table{{Name: "t", Columns: plain(a, n), Rows: [][]Value{{v(""), v("1")}, {null(), v("2")}}}}})
	order := []adapters.Order{{Column: n}}
	rows := read(t, s.Adapter, &adapters.Shape{Table: "t", Columns: []adapters.Column{a, n}, Order: order}, nil, nil)
	if got := column(rows, 0); !slices.Equal(got, []string{"", "<null>"}) {
		t.Errorf("cells %q", got)
	}
	for _, c := range []struct {
		op   schema.Operator
		arg  adapters.Arg
		want []string
	}{
		{schema.Eq, arg(""), []string{"1"}},
		{schema.Eq, adapters.Arg{Null: true}, []string{}},
		{schema.Neq, arg(""), []string{}},
		{schema.Neq, arg("x"), []string{"1"}},
		{schema.IsNull, arg("true"), []string{"2"}},
		{schema.IsNull, arg("false"), []string{"1"}},
		{schema.IsNull, adapters.Arg{Null: true}, []string{}},
	} {
		shape := &adapters.Shape{
			Table: "t", Columns: []adapters.Column{n}, Order: order,
			Params: []adapters.Param{{Kind: schema.String}}, Where: adapters.Compare{Column: a, Op: c.op},
		}
		if got := column(read(t, s.Adapter, shape, []adapters.Arg{c.arg}, nil), 0); !slices.Equal(got, c.want) {
			t.Errorf("%s %+v: rows %q, want %q", c.op, c.arg, got, c.want)
		}
	}
}

// extremes are values at the ends of their kinds.
func extremes() map[schema.Scalar][]string {
	return map[schema.Scalar][]string{
		schema.String:   {"", " ", "a\tb\r\nc", `"\'`, "中文 𠮷 é é", "\u0001\u001f\u007f", strings.Repeat("长", 5000)},
		schema.Int:      {"-2147483648", "2147483647", "0"},
		schema.BigInt:   {"-9223372036854775808", "9223372036854775807", "9007199254740993", "0"},
		schema.Float:    {"0", "0.1", "-0.1", "100", "1e+21", "1e-7", "123456789.12345679", "1.7976931348623157e+308", "5e-324", "0.000001"},
		schema.Boolean:  {"true", "false"},
		schema.Date:     {"0001-01-01", "1582-10-04", "1900-02-28", "1999-12-31", "2000-01-01", "2000-02-29", "9999-12-31"},
		schema.DateTime: {"0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z", "2026-11-23T08:00:00.1Z", "2026-11-23T08:00:00.000001Z", "9999-12-31T23:59:59.999999Z"},
		schema.Time:     {"00:00:00", "12:30:45.5", "00:00:00.000001", "23:59:59.999999"},
		schema.Decimal:  {"0", "0.00", "1.10", "-1.10", "100", "-0.000000000000000000000001", "99999999999999999999999999999999999999.99999999", "12345678901234567890"},
		schema.UUID:     {"00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
		schema.Enum:     colours(),
		schema.JSON:     {`{"a":[1,2.50,"x y"],"b":null}`, `"text"`, `[]`, `1e400`, `null`, `"\u0000"`},
	}
}

func valuesAreExact(t *testing.T, h Harness) {
	for kind, values := range extremes() {
		t.Run(kind.String(), func(t *testing.T) {
			c := adapters.Column{Name: "v", Kind: kind}
			if kind == schema.Enum {
				c.Enum = colours()
			}
			typed(t, h, TypedColumn{Column: Column{Column: c}, Values: values})
		})
	}
}

func engineTypes(t *testing.T, h Harness) {
	for _, c := range h.Types {
		t.Run(c.Column.Kind.String()+" over "+c.Column.Type, func(t *testing.T) { typed(t, h, c) })
	}
}

// typed stores values in a column, reads them, and finds each by each way of
// comparing.
func typed(t *testing.T, h Harness, c TypedColumn) {
	n, col := number("n"), c.Column.Column
	table := Table{Name: "t", Columns: []Column{{Column: n}, c.Column}}
	for i, value := range c.Values {
		table.Rows = append(table.Rows, []Value{v(strconv.Itoa(i)), v(value)})
	}
	table.Rows = append(table.Rows, []Value{v(strconv.Itoa(len(c.Values))), null()})
	s := h.Create(t, Fixture{Tables: []Table{table}})
	byNumber := []adapters.Order{{Column: n}}
	rows := read(t, s.Adapter, &adapters.Shape{Table: "t", Columns: []adapters.Column{col}, Order: byNumber}, nil, nil)
	if diff := cmp.Diff(append(slices.Clone(c.Values), "<null>"), column(rows, 0)); diff != "" {
		t.Fatalf("cells (-stored +read):\n%s", diff)
	}
	if col.Kind == schema.JSON {
		return
	}
	w := &world{tables: map[string]*Table{"t": &table}}
	for _, desc := range []bool{false, true} {
		order := []adapters.Order{{Column: col, Desc: desc}, {Column: n}}
		got := column(read(t, s.Adapter, &adapters.Shape{Table: "t", Columns: []adapters.Column{n}, Order: order}, nil, nil), 0)
		if diff := cmp.Diff(numbers(w.sorted(&table, order)), got); diff != "" {
			t.Errorf("order, descending %t (-want +got):\n%s", desc, diff)
		}
	}
	ops := []schema.Operator{schema.Eq, schema.Neq, schema.In, schema.Nin, schema.Gt, schema.Gte, schema.Lt, schema.Lte}
	if col.Kind == schema.Boolean {
		ops = ops[:4]
	}
	for _, op := range ops {
		list := op == schema.In || op == schema.Nin
		w.params = []adapters.Param{{Kind: col.Kind, List: list}}
		where := adapters.Compare{Column: col, Op: op}
		statement := compile(t, s.Adapter, &adapters.Shape{Table: "t", Columns: []adapters.Column{n}, Params: w.params, Where: where, Order: byNumber})
		for _, value := range c.Values {
			w.args = []adapters.Arg{arg(value)}
			if list {
				w.args = []adapters.Arg{{List: []string{value}}}
			}
			got, err := run(t.Context(), statement, false, w.args, nil)
			if err != nil {
				t.Fatalf("%s %.40q: %v", op, value, err)
			}
			if diff := cmp.Diff(w.matching(&table, where), column(got, 0)); diff != "" {
				t.Errorf("%s %.40q (-want +got):\n%s", op, value, diff)
			}
		}
	}
	got := read(t, s.Adapter, &adapters.Shape{Table: "t", Columns: []adapters.Column{n, col}, Keys: []adapters.Column{col}, Order: byNumber}, nil, keysOf(c.Values...))
	for _, r := range got {
		if value := c.Values[r.parent]; compare(col.Kind, value, show(r.cells[1])) != 0 {
			t.Errorf("key %.40q led to %.40q", value, show(r.cells[1]))
		}
	}
	var alone []row
	for i, value := range c.Values {
		rows := read(t, s.Adapter, &adapters.Shape{Table: "t", Columns: []adapters.Column{n, col}, Keys: []adapters.Column{col}, Order: byNumber}, nil, keysOf(value))
		for j := range rows {
			rows[j].parent = i
		}
		alone = append(alone, rows...)
	}
	if diff := cmp.Diff(got, alone, cmp.AllowUnexported(row{})); diff != "" {
		t.Errorf("keys in one fetch and one by one (-batched +single):\n%s", diff)
	}
	if len(got) < len(c.Values) {
		t.Errorf("%d keys led to %d rows", len(c.Values), len(got))
	}
}

func compile(t testing.TB, a adapters.Adapter, s *adapters.Shape) adapters.Statement {
	t.Helper()
	statement, err := a.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	return statement
}

func numbers(indices []int) []string {
	out := []string{}
	for _, i := range indices {
		out = append(out, strconv.Itoa(i))
	}
	return out
}

// matching numbers the rows that satisfy a condition.
func (w *world) matching(t *Table, p adapters.Predicate) []string {
	var out []int
	for i, r := range t.Rows {
		if w.eval(t, r, p) == yes {
			out = append(out, i)
		}
	}
	return numbers(out)
}

func badValues(t *testing.T, h Harness) {
	if len(h.Bad) == 0 {
		t.Error("the harness names no bad values")
	}
	for _, bad := range h.Bad {
		t.Run(bad.Name, func(t *testing.T) {
			n := number("n")
			s := h.Create(t, Fixture{Tables: []Table{{
				Name: "t", Columns: []Column{{Column: n}, bad.Column},
				Rows: [][]Value{{v("1"), {Literal: bad.Literal}}, {v("2"), null()}},
			}}})
			rows := read(t, s.Adapter, &adapters.Shape{Table: "t", Columns: []adapters.Column{bad.Column.Column, n}, Order: []adapters.Order{{Column: n}}}, nil, nil)
			if !rows[0].bad[0] || rows[0].cells[0] != nil || rows[0].bad[1] {
				t.Errorf("the cell is %s, bad %v", show(rows[0].cells[0]), rows[0].bad)
			}
			if rows[1].bad[0] || rows[1].cells[0] != nil {
				t.Errorf("NULL is %s, bad %v", show(rows[1].cells[0]), rows[1].bad)
			}
		})
	}
}

func lists(t *testing.T, h Harness) {
	n := number("n")
	texts := adapters.Column{Name: "texts", Kind: schema.String, List: true}
	ints := adapters.Column{Name: "ints", Kind: schema.Int, List: true}
	decimals := adapters.Column{Name: "decimals", Kind: schema.Decimal, List: true}
	values := [][]string{
		{`["a","A","b \"c\"\\","中文","NULL","",",{}"]`, `[1,-2,2147483647]`, `["1.10","2"]`},
		{`[]`, `[]`, `[]`},
		{`["á"]`, `[0]`, `["-0.5"]`},
	}
	table := Table{Name: "t", Columns: plain(n, texts, ints, decimals)}
	for i, r := range values {
		table.Rows = append(table.Rows, []Value{v(strconv.Itoa(i)), v(r[0]), v(r[1]), v(r[2])})
	}
	table.Rows = append(table.Rows, []Value{v("3"), null(), null(), null()})
	s := h.Create(t, Fixture{Tables: []Table{table}})
	order := []adapters.Order{{Column: n}}
	rows := read(t, s.Adapter, &adapters.Shape{Table: "t", Columns: []adapters.Column{texts, ints, decimals}, Order: order}, nil, nil)
	for i, r := range values {
		for j, want := range r {
			if got := show(rows[i].cells[j]); got != want {
				t.Errorf("list %s was read as %s", want, got)
			}
		}
	}
	if rows[3].cells[0] != nil || rows[3].bad[0] {
		t.Error("a NULL list is not NULL")
	}
	for _, c := range []struct {
		column adapters.Column
		arg    adapters.Arg
		yes    string // the rows it holds for
		no     string // and those its negation holds for
	}{
		{texts, arg("a"), "0", "1 2"},
		{texts, arg("A"), "0", "1 2"},
		{texts, arg("b"), "", "0 1 2"},
		{texts, arg(`b "c"\`), "0", "1 2"},
		{texts, arg("NULL"), "0", "1 2"},
		{texts, arg(""), "0", "1 2"},
		{texts, arg("á"), "2", "0 1"},
		{texts, adapters.Arg{Null: true}, "", ""},
		{texts, arg("a\x00"), "", ""},
		{ints, arg("1"), "0", "1 2"},
		{ints, arg("0"), "2", "0 1"},
		{ints, arg("x"), "", ""},
		{decimals, arg("1.1"), "0", "1 2"},
		{decimals, arg("2.00"), "0", "1 2"},
	} {
		holds := adapters.Compare{Column: c.column, Op: schema.Contains}
		for want, p := range map[string]adapters.Predicate{"yes " + c.yes: holds, "no " + c.no: adapters.Not{Predicate: holds}} {
			shape := &adapters.Shape{Table: "t", Columns: []adapters.Column{n}, Params: []adapters.Param{{Kind: c.column.Kind}}, Where: p, Order: order}
			got := strings.Join(column(read(t, s.Adapter, shape, []adapters.Arg{c.arg}, nil), 0), " ")
			if _, want, _ := strings.Cut(want, " "); got != want {
				t.Errorf("%s contains %+v, %T: rows %q, want %q", c.column.Name, c.arg, p, got, want)
			}
		}
	}
}
