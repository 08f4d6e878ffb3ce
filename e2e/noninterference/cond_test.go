package noninterference

import (
	"encoding/json"
	"math/big"
	"strings"

	"github.com/weir-data/weir/schema"
)

// cond is a condition of the filter language: a scope's, or a where argument's.
type cond struct {
	kind string // "leaf", "and", "or", "not", "exists", "both"
	subs []*cond

	field   *field
	cmp     string
	values  []string // operands; one but for _in and _nin
	subject string   // a reader's attribute instead

	rel *relation
	far *typ
}

// literal prints the condition as a GraphQL value; attr prints an attribute.
func (c *cond) literal() string {
	switch c.kind {
	case "and", "or":
		parts := make([]string, len(c.subs))
		for i, s := range c.subs {
			parts[i] = s.literal()
		}
		return "{_" + c.kind + ": [" + strings.Join(parts, ", ") + "]}"
	case "both": // members of one object
		parts := make([]string, len(c.subs))
		for i, s := range c.subs {
			parts[i] = strings.TrimSuffix(strings.TrimPrefix(s.literal(), "{"), "}")
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case "not":
		return "{_not: " + c.subs[0].literal() + "}"
	case "exists":
		return "{" + c.rel.name + ": " + c.subs[0].literal() + "}"
	}
	return "{" + c.field.name + ": {" + c.cmp + ": " + c.operand() + "}}"
}

func (c *cond) operand() string {
	if c.subject != "" {
		return "$subject." + c.subject
	}
	kind := c.field.kind
	if c.cmp == "_is_null" {
		kind = schema.Boolean
	}
	if c.cmp != "_in" && c.cmp != "_nin" {
		return valueLiteral(kind, c.values[0])
	}
	parts := make([]string, len(c.values))
	for i, v := range c.values {
		parts[i] = valueLiteral(kind, v)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// value gives the condition as the value of a variable.
func (c *cond) value() any {
	switch c.kind {
	case "and", "or":
		parts := make([]any, len(c.subs))
		for i, s := range c.subs {
			parts[i] = s.value()
		}
		return map[string]any{"_" + c.kind: parts}
	case "both":
		all := map[string]any{}
		for _, s := range c.subs {
			for k, v := range s.value().(map[string]any) { //nolint:errcheck // a condition is an object
				all[k] = v
			}
		}
		return all
	case "not":
		return map[string]any{"_not": c.subs[0].value()}
	case "exists":
		return map[string]any{c.rel.name: c.subs[0].value()}
	}
	kind := c.field.kind
	if c.cmp == "_is_null" {
		kind = schema.Boolean
	}
	var operand any
	if c.cmp == "_in" || c.cmp == "_nin" {
		list := make([]any, len(c.values))
		for i, v := range c.values {
			list[i] = valueJSON(kind, v)
		}
		operand = list
	} else {
		operand = valueJSON(kind, c.values[0])
	}
	return map[string]any{c.field.name: map[string]any{c.cmp: operand}}
}

func valueLiteral(kind schema.Scalar, text string) string {
	switch kind {
	case schema.Int, schema.Float, schema.Boolean, schema.Enum:
		return text
	default:
		return quote(text)
	}
}

func valueJSON(kind schema.Scalar, text string) any {
	switch kind {
	case schema.Int, schema.Float:
		return json.Number(text)
	case schema.Boolean:
		return text == "true"
	default:
		return text
	}
}

// truth is a truth value of three-valued logic.
type truth uint8

const (
	isFalse truth = iota
	isTrue
	isUnknown
)

func (t truth) not() truth {
	switch t {
	case isFalse:
		return isTrue
	case isTrue:
		return isFalse
	}
	return isUnknown
}

func truthOf(b bool) truth {
	if b {
		return isTrue
	}
	return isFalse
}

// eval evaluates a scope's condition on a row. Attributes are all present: a
// scope that names one which is not is unknown as a whole, see [oracle].
func (c *cond) eval(w *world, db database, t *typ, r *row, attributes map[string]string) truth {
	switch c.kind {
	case "and", "both":
		out := isTrue
		for _, s := range c.subs {
			switch s.eval(w, db, t, r, attributes) {
			case isFalse:
				return isFalse
			case isUnknown:
				out = isUnknown
			case isTrue:
			}
		}
		return out
	case "or":
		out := isFalse
		for _, s := range c.subs {
			switch s.eval(w, db, t, r, attributes) {
			case isTrue:
				return isTrue
			case isUnknown:
				out = isUnknown
			case isFalse:
			}
		}
		return out
	case "not":
		return c.subs[0].eval(w, db, t, r, attributes).not()
	case "exists":
		near, _ := t.field(c.rel.near)
		for _, far := range db[c.far.index] {
			at, _ := c.far.field(c.rel.far)
			if joins(r.cells[near], far.cells[at]) && c.subs[0].eval(w, db, c.far, far, attributes) == isTrue {
				return isTrue
			}
		}
		return isFalse
	}
	i, _ := t.field(c.field.name)
	have := r.cells[i]
	if c.cmp == "_is_null" {
		return truthOf(have.null == (c.values[0] == "true"))
	}
	if have.null {
		return isUnknown
	}
	values := c.values
	if c.subject != "" {
		values = []string{attributes[c.subject]}
	}
	switch c.cmp {
	case "_in", "_nin":
		found := false
		for _, v := range values {
			found = found || compare(c.field.kind, have.text, v) == 0
		}
		return truthOf(found == (c.cmp == "_in"))
	case "_starts_with":
		return truthOf(strings.HasPrefix(have.text, values[0]))
	}
	n := compare(c.field.kind, have.text, values[0])
	switch c.cmp {
	case "_eq":
		return truthOf(n == 0)
	case "_neq":
		return truthOf(n != 0)
	case "_gt":
		return truthOf(n > 0)
	case "_gte":
		return truthOf(n >= 0)
	case "_lt":
		return truthOf(n < 0)
	case "_lte":
		return truthOf(n <= 0)
	}
	panic("no such operator in a scope: " + c.cmp)
}

func joins(a, b cell) bool { return !a.null && !b.null && a.text == b.text }

// compare orders two values of a kind: numbers by value, all else by code
// point, which in UTF-8 is by byte.
func compare(kind schema.Scalar, a, b string) int {
	switch kind {
	case schema.Int, schema.BigInt, schema.Decimal, schema.Float:
		x, okX := new(big.Rat).SetString(a)
		y, okY := new(big.Rat).SetString(b)
		if !okX || !okY {
			panic("not a number: " + a + ", " + b)
		}
		return x.Cmp(y)
	default:
		return strings.Compare(a, b)
	}
}

// leaves calls f for every comparison.
func (c *cond) leaves(f func(*cond)) {
	if c.kind == "leaf" {
		f(c)
	}
	for _, s := range c.subs {
		s.leaves(f)
	}
}
