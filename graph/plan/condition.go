package plan

import (
	"strings"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// scope is the condition of a row's scope, in the arguments of f. Its columns
// are the owner's rule: they need no right and are recorded as scope.
func (b *builder) scope(f *fetching, t *schema.Type, name string) adapters.Predicate {
	if field, ok := strings.CutPrefix(name, selfPrefix); ok {
		s := t.Field(field)
		b.use(t, s, lineage.Scope)
		id := Value{From: FromSubject, Name: subjectID, Kind: s.Kind}
		return adapters.Compare{Column: columnOf(s), Op: schema.Eq, Param: f.param(id)}
	}
	s := t.Scope(name)
	for _, column := range s.Columns {
		owner := b.cat.Types[column.Coordinate.Type]
		if owner == nil {
			owner = t
		}
		b.use(owner, column, lineage.Scope)
	}
	return b.condition(f, t, s.Where)
}

// condition translates a declared condition over the rows of t.
func (b *builder) condition(f *fetching, t *schema.Type, c schema.Condition) adapters.Predicate {
	switch c := c.(type) {
	case nil:
		return adapters.Bool(true)
	case schema.All:
		parts := make([]adapters.Predicate, 0, len(c))
		for _, sub := range c {
			parts = append(parts, b.condition(f, t, sub))
		}
		return conjunction(parts)
	case schema.Any:
		parts := make([]adapters.Predicate, 0, len(c))
		for _, sub := range c {
			parts = append(parts, b.condition(f, t, sub))
		}
		return disjunction(parts)
	case schema.Not:
		return negation(b.condition(f, t, c.Condition))
	case schema.Comparison:
		field := t.Field(c.Field.Name)
		if field == nil {
			return b.unknown(f, t)
		}
		return adapters.Compare{Column: columnOf(field), Op: c.Op, Param: f.param(operand(c))}
	case schema.Exists:
		relation := t.Field(c.Relation.Name)
		if relation == nil || relation.Relation == nil {
			return b.unknown(f, t)
		}
		var members []adapters.Predicate
		for _, far := range b.members(relation.Relation.Target) {
			members = append(members, b.exists(t, far, relation, b.condition(f, far, c.Where)))
		}
		return disjunction(members)
	default:
		return b.unknown(f, t)
	}
}

// unknown is a condition that is unknown on every row, so that it is false in
// an allow and true in a deny: what is not understood grants nothing.
func (b *builder) unknown(f *fetching, t *schema.Type) adapters.Predicate {
	key := keyFields(t)[0]
	b.use(t, key, lineage.Scope)
	null := Value{From: FromConst, Const: adapters.Arg{Null: true}, Kind: key.Kind}
	return adapters.Compare{Column: columnOf(key), Op: schema.Eq, Param: f.param(null)}
}

func operand(c schema.Comparison) Value {
	v := Value{Kind: c.Field.Kind}
	switch {
	case c.Operand.Subject != "":
		v.From, v.Name = FromSubject, c.Operand.Subject
	case c.Op == schema.In || c.Op == schema.Nin:
		v.List = true
		v.Const = adapters.Arg{List: c.Operand.List}
	default:
		v.Const = adapters.Arg{Text: c.Operand.Literal}
	}
	if c.Op == schema.IsNull {
		v.Kind = schema.Boolean
	}
	return v
}

// exists is true where the relation leads from a row of near to one of far
// under the condition.
func (b *builder) exists(near, far *schema.Type, rel *schema.Field, where adapters.Predicate) adapters.Predicate {
	e := adapters.Exists{Table: far.Source.Table, Where: where}
	if where == adapters.Bool(true) {
		e.Where = nil
	}
	for i, name := range rel.Relation.Fields {
		outer, inner := near.Field(name), far.Field(rel.Relation.References[i])
		b.use(near, outer, lineage.Join)
		b.use(far, inner, lineage.Join)
		e.Outer = append(e.Outer, columnOf(outer))
		e.Inner = append(e.Inner, columnOf(inner))
	}
	return e
}
