package exec

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/schema"
)

// A reference for filters, in the plainest way: rows in memory, three-valued
// comparisons, and rights from the decision table cell by cell. It knows nothing
// of plans, worlds or SQL.

// cellValue is a cell: nil, a string, an int or a bool.
type cellValue any

type rowValue struct {
	typ   string
	no    int
	cells map[string]cellValue
}

// reality is the rows and the reader of one trial.
type reality struct {
	rows       map[string][]*rowValue
	view       *authz.View
	attributes map[string]string
	types      map[string]*schema.Type
	// leaky drops the rights of compared cells: what a forgotten conjunct would
	// give, to see how often that can be told.
	leaky bool
}

func truthOf(ok bool) authz.Truth {
	if ok {
		return authz.True
	}
	return authz.False
}

// related are the far rows that a relation leads to.
func (w *reality) related(row *rowValue, f *schema.Field) []*rowValue {
	var out []*rowValue
	for _, far := range w.rows[f.Relation.Target] {
		near := row.cells[f.Relation.Fields[0]]
		if near != nil && near == far.cells[f.Relation.References[0]] {
			out = append(out, far)
		}
	}
	return out
}

// scope is the truth of a scope for a row, as the schema below declares them.
func (w *reality) scope(row *rowValue, name string, byKey bool) authz.Truth {
	equal := func(cell cellValue, attribute string) authz.Truth {
		v := w.attributes[attribute]
		if v == "" || cell == nil {
			return authz.Unknown
		}
		return truthOf(cell == v)
	}
	switch name {
	case authz.ScopeByKey:
		return truthOf(byKey)
	case authz.ScopeSelf:
		if w.attributes["id"] == "" {
			return authz.Unknown
		}
		return equal(row.cells[w.types[row.typ].Subjects[0].Field], "id")
	case "own_region":
		return equal(row.cells["region"], "region")
	case "flagged":
		if row.cells["flag"] == nil {
			return authz.Unknown
		}
		return truthOf(row.cells["flag"] == true)
	case "has_a":
		for _, p := range w.related(row, w.types["Person"].Field("permits")) {
			if p.cells["kind"] == "a" {
				return authz.True
			}
		}
		return authz.False
	}
	panic("no scope " + name)
}

// caps is what the reader holds on a cell, "" for the row.
func (w *reality) caps(row *rowValue, field string, byKey bool) authz.Caps {
	g := w.view.Grants(schema.Coordinate{Type: row.typ, Field: field})
	return g.Under(func(s string) authz.Truth { return w.scope(row, s, byKey) })
}

func (w *reality) visible(row *rowValue) bool { return w.caps(row, "", false).Has(authz.Mask) }

// condition is a where input.
type condition struct {
	kind    string // and, or, not, leaf, relation
	parts   []condition
	field   *schema.Field
	op      schema.Operator
	operand any // a cell's value, []any, or a bool for IsNull
}

// holds evaluates a condition, negated or not, in negation normal form: each
// leaf is true only where the cell may be read in clear.
func (w *reality) holds(c *condition, row *rowValue, negated bool) bool {
	switch c.kind {
	case "and", "or":
		all := (c.kind == "and") != negated
		for i := range c.parts {
			if w.holds(&c.parts[i], row, negated) != all {
				return !all
			}
		}
		return all
	case "not":
		return w.holds(&c.parts[0], row, !negated)
	}
	if !w.leaky && !w.caps(row, c.field.Name, false).Has(authz.Clear) {
		return false
	}
	if c.kind == "relation" {
		found := false
		for _, far := range w.related(row, c.field) {
			found = found || w.visible(far) && w.holds(&c.parts[0], far, false)
		}
		return found != negated
	}
	truth := compareCell(c.op, row.cells[c.field.Name], c.operand)
	if negated {
		return truth == authz.False
	}
	return truth == authz.True
}

// compareCell is one comparison in three-valued logic.
func compareCell(op schema.Operator, cell cellValue, operand any) authz.Truth {
	if op == schema.IsNull {
		return truthOf((cell == nil) == operand.(bool))
	}
	if op == schema.In || op == schema.Nin {
		list := operand.([]any)
		found := false
		for _, v := range list {
			found = found || v == cell
		}
		switch {
		case len(list) == 0: // in SQL too, where the cell is NULL
			return truthOf(op == schema.Nin)
		case cell == nil:
			return authz.Unknown
		}
		return truthOf(found == (op == schema.In))
	}
	if cell == nil {
		return authz.Unknown
	}
	order := 0
	switch x := cell.(type) {
	case string:
		order = strings.Compare(x, operand.(string))
	case int:
		order = x - operand.(int)
	case bool:
		if x != operand.(bool) {
			order = 1
		}
	}
	switch op {
	case schema.Eq:
		return truthOf(order == 0)
	case schema.Neq:
		return truthOf(order != 0)
	case schema.Gt:
		return truthOf(order > 0)
	case schema.Gte:
		return truthOf(order >= 0)
	case schema.Lt:
		return truthOf(order < 0)
	case schema.Lte:
		return truthOf(order <= 0)
	case schema.StartsWith:
		return truthOf(strings.HasPrefix(cell.(string), operand.(string)))
	case schema.Like:
		return truthOf(like(cell.(string), operand.(string)))
	}
	panic("no operator " + op.String())
}

// like is SQL's LIKE without escapes.
func like(s, pattern string) bool {
	switch {
	case pattern == "":
		return s == ""
	case pattern[0] == '%':
		return like(s, pattern[1:]) || s != "" && like(s[1:], pattern)
	case s == "":
		return false
	}
	return (pattern[0] == '_' || pattern[0] == s[0]) && like(s[1:], pattern[1:])
}

// text writes a condition as GraphQL.
func (c *condition) text() string {
	switch c.kind {
	case "and", "or":
		parts := make([]string, len(c.parts))
		for i := range c.parts {
			parts[i] = c.parts[i].text()
		}
		return "{_" + c.kind + ": [" + strings.Join(parts, ", ") + "]}"
	case "not":
		return "{_not: " + c.parts[0].text() + "}"
	case "relation":
		return "{" + c.field.Name + ": " + c.parts[0].text() + "}"
	}
	return "{" + c.field.Name + ": {" + c.op.String() + ": " + literal(c.operand) + "}}"
}

func literal(v any) string {
	switch v := v.(type) {
	case string:
		return strconv.Quote(v)
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = literal(v[i])
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return fmt.Sprint(v)
}

// readable reports whether each field that the condition names is clear on some
// row that exists for the reader, and each relation leads to a type of which one
// does: then there is no ground to refuse it.
func (w *reality) readable(c *condition, typ string) bool {
	for i := range c.parts {
		target := typ
		if c.kind == "relation" {
			target = c.field.Relation.Target
		}
		if !w.readable(&c.parts[i], target) {
			return false
		}
	}
	if c.field == nil {
		return true
	}
	if c.kind == "relation" && !slices.ContainsFunc(w.rows[c.field.Relation.Target], w.visible) {
		return false
	}
	for _, row := range w.rows[typ] {
		if w.visible(row) && w.caps(row, c.field.Name, false).Has(authz.Clear) {
			return true
		}
	}
	return false
}

// trial draws rows, policy, reader and conditions.
type trial struct {
	*rand.Rand
	generation *plan.Generation
}

func pick[T any](t *trial, from ...T) T { return from[t.IntN(len(from))] }

func (t *trial) cell(f *schema.Field) cellValue {
	if t.IntN(4) == 0 {
		return nil
	}
	return t.value(f)
}

func (t *trial) value(f *schema.Field) any {
	switch {
	case f.Name == "id" || f.Name == "holder":
		return pick(t, "1", "2", "3", "4", "5", "6")
	case f.Kind == schema.Int:
		return t.IntN(3)
	case f.Kind == schema.Boolean:
		return t.IntN(2) == 0
	case f.Name == "region":
		return pick(t, "north", "south")
	}
	return pick(t, "a", "ab", "b", "A")
}

// condition draws a filter over a type.
func (t *trial) condition(of *schema.Type, depth int) condition {
	if n := t.IntN(10); depth > 0 && n < 6 {
		c := condition{kind: pick(t, "and", "or", "not", "not")}
		count := 1
		if c.kind != "not" {
			count = t.IntN(4)
		}
		for range count {
			c.parts = append(c.parts, t.condition(of, depth-1))
		}
		return c
	}
	var fields []*schema.Field
	for _, f := range of.Fields {
		if f.Name != "no" && (f.Relation == nil || depth > 0) {
			fields = append(fields, f)
		}
	}
	return t.leaf(fields, depth)
}

// leaves draws a filter over an interface, of which each type has all fields.
func (t *trial) leaves(a *schema.Abstract, depth int) condition {
	one := t.generation.Catalogue.Types[a.Members[0]]
	if n := t.IntN(10); depth > 0 && n < 6 {
		c := condition{kind: pick(t, "and", "or", "not"), parts: []condition{t.leaves(a, depth-1)}}
		if c.kind != "not" {
			c.parts = append(c.parts, t.leaves(a, depth-1))
		}
		return c
	}
	var fields []*schema.Field
	for _, name := range a.Fields {
		if name != "no" {
			fields = append(fields, one.Field(name))
		}
	}
	return t.leaf(fields, 0)
}

// leaf draws a comparison, or a condition on a relation.
func (t *trial) leaf(fields []*schema.Field, depth int) condition {
	f := pick(t, fields...)
	if f.Relation != nil {
		return condition{kind: "relation", field: f, parts: []condition{t.condition(t.generation.Catalogue.Types[f.Relation.Target], depth-1)}}
	}
	c := condition{kind: "leaf", field: f, op: pick(t, f.Operators()...)}
	switch c.op {
	case schema.IsNull:
		c.operand = t.IntN(2) == 0
	case schema.In, schema.Nin:
		list := []any{}
		for range t.IntN(3) {
			list = append(list, t.value(f))
		}
		c.operand = list
	case schema.Like:
		c.operand = pick(t, "a%", "_", "%b", "%", "a_", "")
	default:
		c.operand = t.value(f)
	}
	return c
}

// policy draws the rules of one reader. The number of a row is always his, so
// that rows can be told apart.
func (t *trial) policy() string {
	var b strings.Builder
	line := func(resource, scope, access, effect string) {
		fmt.Fprintf(&b, "p, reader, d, %s, L2, *, %s, %s, %s\n", resource, scope, access, effect)
	}
	for _, name := range t.generation.Catalogue.TypeNames() {
		typ := t.generation.Catalogue.Types[name]
		scopes := []string{"all", "self", "by_key"}
		for _, s := range typ.Scopes {
			scopes = append(scopes, s.Name)
		}
		line(name+".no", "all", "clear", "allow")
		if t.IntN(2) == 0 {
			line(name+"._row", "all", "mask", "allow")
		}
		if t.IntN(4) == 0 {
			line(name+".*", "all", "clear", "allow")
		}
		resources := []string{name + "._row"}
		for _, f := range typ.Fields {
			if f.Name != "no" {
				resources = append(resources, f.Coordinate.String())
			}
		}
		for _, r := range resources {
			for range t.IntN(4) {
				if t.IntN(4) == 0 {
					// From L1: a denial is of a level and above.
					fmt.Fprintf(&b, "p, reader, d, %s, L1, *, %s, %s, deny\n", r, pick(t, scopes...), pick(t, "clear", "mask", "match", "any"))
				} else {
					line(r, pick(t, scopes...), pick(t, "clear", "clear", "clear", "mask", "match"), "allow")
				}
			}
		}
	}
	return b.String()
}
