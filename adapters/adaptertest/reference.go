package adaptertest

import (
	"cmp"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/schema"
)

// truth values of three-valued logic.
type truth uint8

const (
	no truth = iota
	unknown
	yes
)

func is(b bool) truth {
	if b {
		return yes
	}
	return no
}

// world is a fixture with arguments: what conditions are read against.
type world struct {
	tables map[string]*Table
	params []adapters.Param
	args   []adapters.Arg
}

func (w *world) cell(t *Table, r []Value, c adapters.Column) Value {
	return r[slices.IndexFunc(t.Columns, func(x Column) bool { return x.Name == c.Name })]
}

// eval reads a condition over a row.
func (w *world) eval(t *Table, r []Value, p adapters.Predicate) truth {
	switch p := p.(type) {
	case adapters.And:
		result := yes
		for _, q := range p {
			result = min(result, w.eval(t, r, q))
		}
		return result
	case adapters.Or:
		result := no
		for _, q := range p {
			result = max(result, w.eval(t, r, q))
		}
		return result
	case adapters.Not:
		return yes - w.eval(t, r, p.Predicate)
	case adapters.IsTrue:
		return is(w.eval(t, r, p.Predicate) == yes)
	case adapters.Bool:
		return is(bool(p))
	case adapters.Compare:
		return w.compare(w.cell(t, r, p.Column), p)
	case adapters.After:
		return w.after(t, r, p)
	case adapters.Exists:
		return w.exists(t, r, p)
	}
	panic("a predicate of unknown type")
}

func (w *world) compare(left Value, p adapters.Compare) truth {
	a := w.args[p.Param]
	k := p.Column.Kind
	switch p.Op {
	case schema.IsNull:
		if a.Null {
			return unknown
		}
		return is(left.Null == (a.Text == "true"))
	case schema.In, schema.Nin:
		result := no
		if a.Null {
			result = unknown
		} else {
			for _, item := range a.List {
				result = max(result, equal(k, left, Value{Text: item}))
			}
		}
		if p.Op == schema.Nin {
			return yes - result
		}
		return result
	}
	right := Value{Null: a.Null, Text: a.Text}
	if p.Op == schema.Eq {
		return equal(k, left, right)
	}
	if p.Op == schema.Neq {
		return yes - equal(k, left, right)
	}
	if left.Null || right.Null {
		return unknown
	}
	c := 0
	if p.Op != schema.Like && p.Op != schema.StartsWith {
		c = compare(k, left.Text, right.Text)
	}
	switch p.Op {
	case schema.Gt:
		return is(c > 0)
	case schema.Gte:
		return is(c >= 0)
	case schema.Lt:
		return is(c < 0)
	case schema.Lte:
		return is(c <= 0)
	case schema.Like:
		return is(like(left.Text, right.Text))
	case schema.StartsWith:
		return is(strings.HasPrefix(left.Text, right.Text))
	}
	panic("an operator without a meaning")
}

func equal(k schema.Scalar, a, b Value) truth {
	if a.Null || b.Null {
		return unknown
	}
	return is(compare(k, a.Text, b.Text) == 0)
}

// compare orders values of a kind, given in canonical text.
func compare(k schema.Scalar, a, b string) int {
	switch k {
	case schema.Int, schema.BigInt, schema.Decimal:
		x, okX := new(big.Rat).SetString(a)
		y, okY := new(big.Rat).SetString(b)
		if !okX || !okY {
			panic("not a number: " + a + " or " + b)
		}
		return x.Cmp(y)
	case schema.Float:
		x, errX := strconv.ParseFloat(a, 64)
		y, errY := strconv.ParseFloat(b, 64)
		if errX != nil || errY != nil {
			panic("not a number: " + a + " or " + b)
		}
		return cmp.Compare(x, y)
	case schema.DateTime:
		// Without the Z a fraction is a longer text, and so a later one.
		return cmp.Compare(strings.TrimSuffix(a, "Z"), strings.TrimSuffix(b, "Z"))
	default: // also Boolean: "false" < "true"
		return cmp.Compare(a, b)
	}
}

// like matches a pattern of SQL: % for any text, _ for one character, \ before
// one to be taken as it is.
func like(s, pattern string) bool {
	if pattern == "" {
		return s == ""
	}
	switch pattern[0] {
	case '%':
		for i := 0; i <= len(s); i++ {
			if like(s[i:], pattern[1:]) {
				return true
			}
		}
		return false
	case '_':
		_, n := utf8.DecodeRuneInString(s)
		return s != "" && like(s[n:], pattern[1:])
	case '\\':
		if len(pattern) > 1 {
			pattern = pattern[1:]
		}
	}
	return s != "" && s[0] == pattern[0] && like(s[1:], pattern[1:])
}

// place compares two values in an order, NULL being a place like any other.
func place(o adapters.Order, a, b Value) int {
	if a.Null || b.Null {
		switch {
		case a.Null && b.Null:
			return 0
		case a.Null == o.NullsFirst:
			return -1
		default:
			return 1
		}
	}
	c := compare(o.Column.Kind, a.Text, b.Text)
	if o.Desc {
		return -c
	}
	return c
}

func (w *world) after(t *Table, r []Value, p adapters.After) truth {
	for i, o := range p.Order {
		a := w.args[p.Params[i]]
		if c := place(o, w.cell(t, r, o.Column), Value{Null: a.Null, Text: a.Text}); c != 0 {
			return is(c > 0)
		}
	}
	return no
}

func (w *world) exists(t *Table, r []Value, p adapters.Exists) truth {
	inner := w.tables[p.Table]
	for _, candidate := range inner.Rows {
		found := yes
		for i := range p.Inner {
			found = min(found, equal(p.Inner[i].Kind, w.cell(inner, candidate, p.Inner[i]), w.cell(t, r, p.Outer[i])))
		}
		if p.Where != nil {
			found = min(found, w.eval(inner, candidate, p.Where))
		}
		if found == yes {
			return yes
		}
	}
	return no
}

// sorted gives the indices of a table's rows in an order.
func (w *world) sorted(t *Table, order []adapters.Order) []int {
	out := make([]int, len(t.Rows))
	for i := range out {
		out[i] = i
	}
	slices.SortStableFunc(out, func(a, b int) int {
		for _, o := range order {
			if c := place(o, w.cell(t, t.Rows[a], o.Column), w.cell(t, t.Rows[b], o.Column)); c != 0 {
				return c
			}
		}
		return 0
	})
	return out
}
