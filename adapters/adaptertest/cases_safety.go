package adaptertest

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/schema"
)

// hostile are texts that must be nothing but data.
func hostile() []string {
	return []string{
		"'", "''", `"`, "`", ";", "--", "/*", "*/", "$1", "?1", ":a", "@a", `\`, `\'`, "%", "_", "%s", "\x00", "a\x00b", "\xff", "a\xc0\x80", "\xed\xa0\x80",
		"' OR '1'='1", `" OR ""="`, "1; DROP TABLE t", "x' UNION SELECT secret FROM t --", "{a,b}", `{"a"}`, "[1]", "NULL", "null", "true", "NaN", "Infinity",
		"infinity", "now", "today", "epoch", "1e999", "-1e999", "0x10", "1_000", " 1", "1 ", "+1", "٣", "99999999999999999999", "-99999999999999999999", "9223372036854775808",
		"2147483648", "1.5", "2026-02-30", "0000-01-01", "10000-01-01", "2026-11-23 BC", "24:00:00", "23:59:60", "2026-11-23T08:00:00.123456789Z", "2026-11-23T08:00:00+08:00",
		strings.Repeat("a", 1<<20), strings.Repeat("%", 60_000), strings.Repeat("[", 60_000), strings.Repeat("9", 200_000), "{", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
	}
}

// hostileArguments: no error, the same statement, and nothing found that is not
// equal to the byte.
func hostileArguments(t *testing.T, h Harness) {
	table := people(h.collations()[len(h.Collations)], "p_", "t", 10, 3)
	empty := table
	empty.Name, empty.Rows = "none", nil
	s := h.Create(t, Fixture{Tables: []Table{table, empty}})
	n := table.Columns[0].Column
	for _, c := range table.Columns[1:] {
		ops := []schema.Operator{schema.Eq, schema.Neq, schema.In, schema.Nin, schema.Gt, schema.Lte, schema.Like, schema.StartsWith}
		switch c.Kind {
		case schema.String, schema.ID:
		case schema.Boolean:
			ops = ops[:4]
		default:
			ops = ops[:6]
		}
		for _, op := range ops {
			list := op == schema.In || op == schema.Nin
			for _, name := range []string{"t", "none"} {
				shape := &adapters.Shape{
					Table: name, Columns: []adapters.Column{n, c.Column}, Params: []adapters.Param{{Kind: c.Kind, List: list}},
					Where: adapters.Compare{Column: c.Column, Op: op}, Order: []adapters.Order{{Column: n}},
				}
				statement := compile(t, s.Adapter, shape)
				before := statement.String()
				for _, value := range hostile() {
					a := arg(value)
					if list {
						a = adapters.Arg{List: []string{value}}
					}
					rows, err := run(t.Context(), statement, false, []adapters.Arg{a}, nil)
					if err != nil {
						t.Errorf("%s %s %.40q: %v", c.Name, op, value, err)
						continue
					}
					for _, r := range rows {
						if sqlEqual := op == schema.Eq || op == schema.In; sqlEqual && c.Kind == schema.String && show(r.cells[1]) != value {
							t.Errorf("%s %s %.40q found %q", c.Name, op, value, show(r.cells[1]))
						}
					}
					if name == "none" && len(rows) > 0 {
						t.Errorf("%s %s %.40q found rows in an empty table", c.Name, op, value)
					}
				}
				if statement.String() != before {
					t.Errorf("the statement changed")
				}
			}
		}
		for _, limit := range []*adapters.Bound{nil, bound(10)} {
			shape := &adapters.Shape{Table: "t", Columns: []adapters.Column{n, c.Column}, Keys: []adapters.Column{c.Column}, Limit: limit}
			rows, err := fetch(s.Adapter, shape, nil, keysOf(hostile()...))
			if err != nil {
				t.Errorf("%s as key: %v", c.Name, err)
			}
			for _, r := range rows {
				if value := hostile()[r.parent]; c.Kind == schema.String && show(r.cells[1]) != value {
					t.Errorf("%s: key %.40q led to %q", c.Name, value, show(r.cells[1]))
				}
			}
		}
	}
}

// argumentsBeyond: what is not of the kind compares as unknown, also negated.
func argumentsBeyond(t *testing.T, h Harness) {
	table := people(Default, "p_", "t", 30, 4)
	s := h.Create(t, Fixture{Tables: []Table{table}})
	n := table.Columns[0].Column
	for kind, values := range map[schema.Scalar][]string{
		schema.String:   {"a\x00", "\xff"},
		schema.Int:      {"x", "2147483648", "1.0", ""},
		schema.BigInt:   {"x", "1.0", "99999999999999999999"},
		schema.Float:    {"NaN", "Infinity", "1e999", "x"},
		schema.Boolean:  {"yes", "1"},
		schema.Date:     {"2026-02-30", "today", "0000-01-01"},
		schema.DateTime: {"now", "2026-11-23", "infinity"},
		schema.Time:     {"24:00:00", "8:00"},
		schema.Decimal:  {"1e5", "NaN", ".5"},
		schema.UUID:     {"x", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"},
		schema.Enum:     {"red", "PINK"},
	} {
		i := slices.IndexFunc(table.Columns, func(c Column) bool { return c.Kind == kind && c.Name != n.Name })
		c := table.Columns[i].Column
		for j, value := range values {
			conditions := []adapters.Predicate{
				adapters.Compare{Column: c, Op: schema.Eq},
				adapters.Compare{Column: c, Op: schema.Neq},
				adapters.Not{Predicate: adapters.Compare{Column: c, Op: schema.Eq}},
				adapters.Compare{Column: c, Op: schema.In, Param: 1},
				adapters.Compare{Column: c, Op: schema.Nin, Param: 1},
			}
			if j == 0 { // of no kind at all, so that it has no place in an order
				conditions = append(conditions, adapters.After{Order: []adapters.Order{{Column: c}}, Params: []int{0}})
			}
			for _, p := range conditions {
				shape := &adapters.Shape{Table: "t", Columns: []adapters.Column{n}, Params: []adapters.Param{{Kind: kind}, {Kind: kind, List: true}}, Where: p}
				rows := read(t, s.Adapter, shape, []adapters.Arg{arg(value), {List: []string{value}}}, nil)
				if len(rows) != 0 {
					t.Errorf("%+v with %q: %d rows", p, value, len(rows))
				}
			}
		}
	}
}

func wrongArguments(t *testing.T, h Harness) {
	a := text("a")
	s := h.Create(t, Fixture{Tables: []Table{{Name: "t", Columns: plain(a), Rows: [][]Value{{v("x")}}}}})
	where := adapters.Compare{Column: a, Op: schema.Eq}
	plainStatement := compile(t, s.Adapter, &adapters.Shape{Table: "t", Columns: []adapters.Column{a}, Params: []adapters.Param{{}}, Where: where})
	keyedStatement := compile(t, s.Adapter, &adapters.Shape{Table: "t", Columns: []adapters.Column{a}, Keys: []adapters.Column{a}})
	many := &adapters.Keys{}
	for range s.Adapter.Capabilities().MaxKeys + 1 {
		many.Append([]byte("x"))
	}
	two := &adapters.Keys{}
	two.Append([]byte("x"), []byte("y"))
	for name, attempt := range map[string]func() (adapters.Rows, error){
		"too few arguments":  func() (adapters.Rows, error) { return plainStatement.Fetch(t.Context(), nil, nil) },
		"too many arguments": func() (adapters.Rows, error) { return plainStatement.Fetch(t.Context(), make([]adapters.Arg, 2), nil) },
		"keys of no use": func() (adapters.Rows, error) {
			return plainStatement.Fetch(t.Context(), make([]adapters.Arg, 1), keysOf("x"))
		},
		"no keys":               func() (adapters.Rows, error) { return keyedStatement.Fetch(t.Context(), nil, nil) },
		"too many keys":         func() (adapters.Rows, error) { return keyedStatement.Fetch(t.Context(), nil, many) },
		"keys of another width": func() (adapters.Rows, error) { return keyedStatement.Fetch(t.Context(), nil, two) },
		"keys that are cut off": func() (adapters.Rows, error) {
			return keyedStatement.Fetch(t.Context(), nil, &adapters.Keys{Rows: 1, Cols: 1})
		},
	} {
		rows, err := attempt()
		if err == nil {
			t.Errorf("%s: no error", name)
			_ = rows.Close()
			continue
		}
		wantKind(t, err, adapters.Unsupported)
	}
	if s.InUse() != 0 {
		t.Errorf("%d connections in use", s.InUse())
	}
}

func unsupportedShapes(t *testing.T, h Harness) {
	s := h.Create(t, Fixture{Tables: []Table{{Name: "t", Columns: plain(text("a"))}}})
	a, j := text("a"), adapters.Column{Name: "j", Kind: schema.JSON}
	l := adapters.Column{Name: "l", Kind: schema.String, List: true}
	at := adapters.Column{Name: "at", Kind: schema.DateTime}
	one := []adapters.Param{{}}
	for name, shape := range map[string]*adapters.Shape{
		"no table":               {Columns: []adapters.Column{a}},
		"three names":            {Table: "a.b.c", Columns: []adapters.Column{a}},
		"order by JSON":          {Table: "t", Order: []adapters.Order{{Column: j}}},
		"order by list":          {Table: "t", Order: []adapters.Order{{Column: l}}},
		"key of a list":          {Table: "t", Keys: []adapters.Column{l}},
		"compare JSON":           {Table: "t", Params: one, Where: adapters.Compare{Column: j, Op: schema.Eq}},
		"compare list":           {Table: "t", Params: one, Where: adapters.Compare{Column: l, Op: schema.Eq}},
		"contains on a value":    {Table: "t", Params: one, Where: adapters.Compare{Column: a, Op: schema.Contains}},
		"no such parameter":      {Table: "t", Params: one, Where: adapters.Compare{Column: a, Op: schema.Eq, Param: 1}},
		"value for a list":       {Table: "t", Params: one, Where: adapters.Compare{Column: a, Op: schema.In}},
		"list for a value":       {Table: "t", Params: []adapters.Param{{List: true}}, Where: adapters.Compare{Column: a, Op: schema.Eq}},
		"like on a number":       {Table: "t", Params: one, Where: adapters.Compare{Column: number("n"), Op: schema.Like}},
		"unknown operator":       {Table: "t", Params: one, Where: adapters.Compare{Column: a, Op: 99}},
		"65 scopes":              {Table: "t", Scopes: make([]adapters.Predicate, 65)},
		"nothing in a junction":  {Table: "t", Where: adapters.And{nil}},
		"count with columns":     {Table: "t", Count: true, Columns: []adapters.Column{a}},
		"count with limit":       {Table: "t", Count: true, Limit: bound(1)},
		"tally of a list":        {Table: "t", Tally: true, Columns: []adapters.Column{l}},
		"tally of JSON":          {Table: "t", Tally: true, Columns: []adapters.Column{j}},
		"tally with keys":        {Table: "t", Tally: true, Keys: []adapters.Column{a}},
		"tally in order":         {Table: "t", Tally: true, Order: []adapters.Order{{Column: a}}},
		"tally with limit":       {Table: "t", Tally: true, Limit: bound(1)},
		"tally and count":        {Table: "t", Tally: true, Count: true},
		"newest of texts":        {Table: "t", Newest: true, Columns: []adapters.Column{a}},
		"newest of nothing":      {Table: "t", Newest: true},
		"newest of two":          {Table: "t", Newest: true, Columns: []adapters.Column{at, at}},
		"newest of some":         {Table: "t", Newest: true, Columns: []adapters.Column{at}, Where: adapters.Bool(true)},
		"newest with keys":       {Table: "t", Newest: true, Columns: []adapters.Column{at}, Keys: []adapters.Column{a}},
		"newest in order":        {Table: "t", Newest: true, Columns: []adapters.Column{at}, Order: []adapters.Order{{Column: at}}},
		"newest with limit":      {Table: "t", Newest: true, Columns: []adapters.Column{at}, Limit: bound(1)},
		"newest and tally":       {Table: "t", Newest: true, Columns: []adapters.Column{at}, Tally: true},
		"negative bound":         {Table: "t", Columns: []adapters.Column{a}, Limit: bound(-1)},
		"existence of nothing":   {Table: "t", Where: adapters.Exists{Table: "t"}},
		"existence, odd columns": {Table: "t", Where: adapters.Exists{Table: "t", Outer: []adapters.Column{a, a}, Inner: []adapters.Column{a}}},
		"after nothing":          {Table: "t", Where: adapters.After{}},
		"after, odd parameters":  {Table: "t", Params: one, Where: adapters.After{Order: []adapters.Order{{Column: a}}, Params: []int{0, 0}}},
	} {
		if _, err := s.Adapter.Compile(shape); err == nil {
			t.Errorf("%s: no error", name)
		} else {
			wantKind(t, err, adapters.Unsupported)
		}
	}
}

func purity(t *testing.T, h Harness) {
	s, tables := random(t, h, Default)
	table := tables[0]
	shape := func(enum string) *adapters.Shape {
		c := table.Columns
		return &adapters.Shape{
			Table: table.Name, Columns: []adapters.Column{c[1].Column, {Name: "e", Kind: schema.Enum, Enum: []string{enum}}},
			Params: []adapters.Param{{}, {}}, Order: []adapters.Order{{Column: c[2].Column}},
			Where: adapters.And{adapters.Compare{Column: c[1].Column, Op: schema.Like, Param: 1}, adapters.Compare{Column: c[3].Column, Op: schema.Gt}},
		}
	}
	x, y := compile(t, s.Adapter, shape("a")), compile(t, s.Adapter, shape("a"))
	if x.String() != y.String() || x.String() == "" {
		t.Errorf("equal shapes have the texts\n%s\n%s", x, y)
	}
	if reflect.TypeOf(x) != reflect.TypeOf(y) {
		t.Error("equal shapes have statements of different types")
	}
}

func noSurplusColumn(t *testing.T, h Harness) {
	a, b, secret := text("a"), text("b"), text("secret")
	table := Table{Name: "t", Columns: plain(a, b, secret), Rows: [][]Value{{v("1"), v("2"), v("canary-3")}}, Indexes: []string{"a", "secret"}}
	s := h.Create(t, Fixture{Tables: []Table{table}, Readable: map[string][]string{"t": {"a", "b"}}})
	one := []adapters.Param{{}}
	is := func(c adapters.Column) adapters.Predicate { return adapters.Compare{Column: c, Op: schema.Eq} }
	shapes := func(c adapters.Column) []*adapters.Shape {
		return []*adapters.Shape{
			{Columns: []adapters.Column{c}},
			{Columns: []adapters.Column{a}, Params: one, Where: is(c)},
			{Columns: []adapters.Column{a}, Order: []adapters.Order{{Column: c}}},
			{Columns: []adapters.Column{a}, Params: one, Scopes: []adapters.Predicate{is(c)}},
			{Columns: []adapters.Column{a}, Keys: []adapters.Column{c}},
			{Columns: []adapters.Column{a}, Keys: []adapters.Column{c}, Limit: bound(1)},
			{Columns: []adapters.Column{a}, Params: one, Where: adapters.Exists{Table: "t", Outer: []adapters.Column{a}, Inner: []adapters.Column{a}, Where: is(c)}},
			{Count: true, Params: one, Where: is(c)},
			{Count: true, Keys: []adapters.Column{c}},
			{Count: true, Keys: []adapters.Column{a}, Params: one, Where: is(c)},
			{Tally: true, Columns: []adapters.Column{c}},
			{Tally: true, Columns: []adapters.Column{a}, Params: one, Where: is(c)},
			{Tally: true, Params: one, Scopes: []adapters.Predicate{is(c)}},
		}
	}
	for i, c := range []adapters.Column{b, secret} {
		for _, shape := range shapes(c) {
			shape.Table = "t"
			// An adapter may have a statement of its own for one key.
			for _, keys := range []*adapters.Keys{keysOf("2"), keysOf("2", "3")} {
				if shape.Keys == nil {
					keys = nil
				}
				_, err := fetch(s.Adapter, shape, make([]adapters.Arg, len(shape.Params)), keys)
				switch {
				case i == 0 && err != nil:
					t.Errorf("without the secret column: %v", err)
				case i == 1 && err == nil:
					t.Errorf("%+v reads the secret column, and the oracle does not see it", shape)
				case i == 1:
					wantKind(t, err, adapters.Invalid)
				}
			}
		}
	}
}

func readOnly(t *testing.T, h Harness) {
	a := text("a")
	s := h.Create(t, Fixture{Tables: []Table{{Name: "t", Columns: plain(a), Rows: [][]Value{{v("x")}}}}})
	if err := s.Write(t.Context(), "t"); err == nil {
		t.Error("a session of the adapter writes")
	}
	if rows := read(t, s.Adapter, &adapters.Shape{Table: "t", Columns: []adapters.Column{a}}, nil, nil); len(rows) != 1 {
		t.Errorf("%d rows after the attempt", len(rows))
	}
}

func errorsCarryNoValues(t *testing.T, h Harness) {
	const canary = "CANARY0x7c"
	a := text("a")
	s := h.Create(t, Fixture{Tables: []Table{{Name: "t", Columns: plain(a), Rows: [][]Value{{v(canary)}}}}, Readable: map[string][]string{"t": {"a"}}})
	shapes := []*adapters.Shape{
		{Table: "nowhere", Columns: []adapters.Column{a}},
		{Table: "t", Columns: []adapters.Column{text("nothing")}},
		{Table: "t", Columns: []adapters.Column{a}, Order: []adapters.Order{{Column: text("nothing")}}},
		{Table: "t", Columns: []adapters.Column{a}, Limit: &adapters.Bound{}},
		{Table: "t", Columns: []adapters.Column{a}, Where: adapters.Compare{Column: number("a"), Op: schema.Eq}},
		{Table: "t", Columns: []adapters.Column{a}, Where: adapters.Compare{Column: adapters.Column{Name: "a", Kind: schema.DateTime}, Op: schema.Gt}},
		{Table: "t", Columns: []adapters.Column{a}, Where: adapters.Compare{Column: adapters.Column{Name: "a", Kind: schema.String, List: true}, Op: schema.Contains}},
		{Table: "t", Columns: []adapters.Column{number("a")}},
	}
	failed := 0
	for _, shape := range shapes {
		shape.Params = []adapters.Param{{}}
		_, err := fetch(s.Adapter, shape, []adapters.Arg{arg(canary)}, nil)
		if err == nil {
			continue
		}
		failed++
		if strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%+v: %v", shape, err)
		}
		for e := err; e != nil; e = errors.Unwrap(e) {
			if strings.Contains(e.Error(), "CANARY") {
				t.Errorf("a cause of it: %v", e)
			}
		}
	}
	if failed < 4 {
		t.Errorf("only %d of the shapes failed", failed)
	}
	_, err := fetch(s.Adapter, shapes[0], []adapters.Arg{arg(canary)}, nil)
	wantKind(t, err, adapters.Invalid)
}

func check(t *testing.T, h Harness) {
	a, n := text("a"), number("n")
	s := h.Create(t, Fixture{Tables: []Table{{Name: "t", Columns: plain(a, n)}}})
	checker, ok := s.Adapter.(adapters.Checker)
	if !ok {
		t.Skip("the adapter is no Checker")
	}
	if err := checker.Check(t.Context(), []adapters.Table{{Name: "t", Columns: []adapters.Column{a, n}}}); err != nil {
		t.Errorf("all is there: %v", err)
	}
	err := checker.Check(t.Context(), []adapters.Table{
		{Name: "t", Columns: []adapters.Column{a, text("missing_column"), {Name: "a", Kind: schema.Boolean}}},
		{Name: "missing_table", Columns: []adapters.Column{a}},
	})
	wantKind(t, err, adapters.Invalid)
	for _, name := range []string{"missing_column", "missing_table", "Boolean"} {
		if err != nil && !strings.Contains(err.Error(), name) {
			t.Errorf("the error does not name %s: %v", name, err)
		}
	}
	if s.InUse() != 0 {
		t.Errorf("%d connections in use", s.InUse())
	}
}
