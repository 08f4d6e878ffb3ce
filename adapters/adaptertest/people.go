package adaptertest

import (
	"fmt"
	"math/rand/v2"
	"strconv"

	"pgregory.net/rapid"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/schema"
)

// The random cases read two tables with columns of every comparable kind. Their
// values come from small pools, so that conditions meet.

func colours() []string { return []string{"BLUE", "GREEN", "RED"} }

func pools() map[schema.Scalar][]string {
	return map[schema.Scalar][]string{
		schema.String:   {"", "a", "A", "a ", "á", "ab", "aB", "b%", "b_", `b\`, "b*", "b?", "b[a]", "中文", "中", "😀", "'", `"`, "z\n"},
		schema.ID:       {"", "1", "01", "1 ", "id-1", "ID-1"},
		schema.Int:      {"-2147483648", "-1", "0", "1", "7", "2147483647"},
		schema.BigInt:   {"-9223372036854775808", "-1", "0", "9007199254740993", "9223372036854775807"},
		schema.Float:    {"-1.5", "0", "0.1", "1", "1e+21", "1.7976931348623157e+308", "5e-324"},
		schema.Boolean:  {"true", "false"},
		schema.Date:     {"0001-01-01", "1999-12-31", "2000-02-29", "2026-11-23", "9999-12-31"},
		schema.DateTime: {"0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "2026-11-23T08:00:00Z", "2026-11-23T08:00:00.5Z", "9999-12-31T23:59:59Z"},
		schema.Time:     {"00:00:00", "08:00:00", "08:00:00.25", "23:59:59.999999"},
		schema.Decimal:  {"-10.50", "-9", "0.00", "0.1", "1.1", "9", "10", "123456789012345678901234567890.123456789"},
		schema.UUID:     {"00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "f0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
		schema.Enum:     colours(),
	}
}

// people has one column per kind, a second text that the engine may confuse,
// and a number for each row. Its columns and those of visits have the same
// names, with a prefix.
func people(collation Collation, prefix, name string, rows int, seed uint64) Table {
	t := Table{Name: name, Columns: []Column{{Column: number(prefix + "row")}}}
	for k := schema.String; k <= schema.Enum; k++ {
		if k == schema.JSON {
			continue
		}
		c := adapters.Column{Name: prefix + k.String(), Kind: k}
		if k == schema.Enum {
			c.Enum = colours()
		}
		t.Columns = append(t.Columns, Column{Column: c})
	}
	t.Columns = append(t.Columns, Column{Column: text(prefix + "confused"), Collation: collation})
	random := rand.New(rand.NewPCG(seed, 2)) //nolint:gosec // the same rows each time
	all := pools()
	for i := range rows {
		r := []Value{v(strconv.Itoa(i))}
		for _, c := range t.Columns[1:] {
			pool := all[c.Kind]
			if random.IntN(5) == 0 {
				r = append(r, null())
				continue
			}
			r = append(r, v(pool[random.IntN(len(pool))]))
		}
		t.Rows = append(t.Rows, r)
	}
	return t
}

// generator draws conditions, collecting their arguments.
type generator struct {
	t      *rapid.T
	tables []*Table // the row's table and those that existence may lead to
	world  *world
}

func (g *generator) pick(n int, label string) int { return rapid.IntRange(0, n-1).Draw(g.t, label) }

func (g *generator) param(p adapters.Param, a adapters.Arg) int {
	g.world.params = append(g.world.params, p)
	g.world.args = append(g.world.args, a)
	return len(g.world.args) - 1
}

func (g *generator) predicate(t *Table, depth int) adapters.Predicate {
	kinds := 9
	if depth == 0 {
		kinds = 4
	}
	switch g.pick(kinds, "predicate") {
	case 4, 5:
		list := g.list(t, depth)
		if g.pick(2, "junction") == 0 {
			return adapters.And(list)
		}
		return adapters.Or(list)
	case 6:
		return adapters.Not{Predicate: g.predicate(t, depth-1)}
	case 7:
		return adapters.IsTrue{Predicate: g.predicate(t, depth-1)}
	case 8:
		return g.exists(t, depth-1)
	case 3:
		if g.pick(4, "constant") == 0 {
			return adapters.Bool(g.pick(2, "bool") == 0)
		}
	}
	return g.comparison(t)
}

func (g *generator) list(t *Table, depth int) []adapters.Predicate {
	var out []adapters.Predicate
	for range g.pick(4, "terms") {
		out = append(out, g.predicate(t, depth-1))
	}
	return out
}

func (g *generator) exists(t *Table, depth int) adapters.Predicate {
	inner := g.tables[g.pick(len(g.tables), "inner")]
	e := adapters.Exists{Table: inner.Name}
	for range 1 + g.pick(2, "pairs") {
		i := 1 + g.pick(len(t.Columns)-1, "pair")
		e.Outer = append(e.Outer, t.Columns[i].Column)
		e.Inner = append(e.Inner, inner.Columns[i].Column)
	}
	if g.pick(2, "where") == 0 {
		e.Where = g.predicate(inner, max(depth, 0))
	}
	return e
}

func (g *generator) comparison(t *Table) adapters.Predicate {
	c := t.Columns[g.pick(len(t.Columns), "column")].Column
	ops := []schema.Operator{schema.Eq, schema.Neq, schema.In, schema.Nin, schema.IsNull, schema.Gt, schema.Gte, schema.Lt, schema.Lte, schema.Like, schema.StartsWith}
	switch c.Kind {
	case schema.String, schema.ID:
	case schema.Boolean:
		ops = ops[:5]
	default:
		ops = ops[:9]
	}
	op := ops[g.pick(len(ops), "operator")]
	p := adapters.Compare{Column: c, Op: op}
	isNull := g.pick(8, "null argument") == 0
	switch op {
	case schema.IsNull:
		p.Param = g.param(adapters.Param{Kind: schema.Boolean}, adapters.Arg{Null: isNull, Text: strconv.FormatBool(g.pick(2, "is null") == 0)})
	case schema.In, schema.Nin:
		a := adapters.Arg{Null: isNull}
		for range g.pick(4, "items") {
			a.List = append(a.List, g.value(c))
		}
		p.Param = g.param(adapters.Param{Kind: c.Kind, List: true}, a)
	case schema.Like:
		patterns := []string{"", "%", "_", "a%", "%a", "_b", `b\%`, `b\_`, `b\`, `b\\`, "b*", "b?", "b[a]", "中_", "%文", "A", "__", `\a%`}
		p.Param = g.param(adapters.Param{Kind: c.Kind}, adapters.Arg{Null: isNull, Text: patterns[g.pick(len(patterns), "pattern")]})
	default:
		p.Param = g.param(adapters.Param{Kind: c.Kind}, adapters.Arg{Null: isNull, Text: g.value(c)})
	}
	return p
}

func (g *generator) value(c adapters.Column) string {
	pool := pools()[c.Kind]
	return pool[g.pick(len(pool), fmt.Sprintf("value of %s", c.Kind))]
}

func (g *generator) order(t *Table) []adapters.Order {
	var out []adapters.Order
	for range 1 + g.pick(3, "orders") {
		c := t.Columns[1+g.pick(len(t.Columns)-1, "order column")].Column
		out = append(out, adapters.Order{Column: c, Desc: g.pick(2, "desc") == 0, NullsFirst: g.pick(2, "nulls first") == 0})
	}
	// The row's number makes it total.
	return append(out, adapters.Order{Column: t.Columns[0].Column})
}
