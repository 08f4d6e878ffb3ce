package plan

import (
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// orderKey is one wish of an orderBy argument.
type orderKey struct {
	field            string
	desc, nullsFirst bool
	position         *ast.Position
}

// orderKeys reads an orderBy argument: a list of objects with one key each,
// whose names and directions are structure. A field that comes again is of no
// consequence and left out.
func (b *builder) orderKeys(node *ast.Field, path string) []orderKey {
	in := b.argument(node, "orderBy")
	if in.state != present {
		return nil
	}
	var keys []orderKey
	seen := map[string]bool{}
	for _, item := range in.items() {
		ms := item.members()
		if item.state != present || len(ms) != 1 || ms[0].input.state != present {
			b.failf(GraphQLValidationFailed, "each element of orderBy names one field and its direction", path, in.position)
			continue
		}
		k := orderKey{field: ms[0].name, position: item.position}
		switch ms[0].input.enum() {
		case "ASC":
		case "DESC":
			k.desc = true
		case "ASC_NULLS_FIRST":
			k.nullsFirst = true
		case "DESC_NULLS_FIRST":
			k.desc, k.nullsFirst = true, true
		default:
			b.failf(GraphQLValidationFailed, "unknown direction for "+k.field, path, in.position)
			continue
		}
		if !seen[k.field] {
			seen[k.field] = true
			keys = append(keys, k)
		}
	}
	return keys
}

// order makes the total order of a list: the wishes, each clear on every row in
// view, and then the key where it is clear on every row, else the tie-break.
// What is not clear would show in the order.
func (b *builder) order(f *fetching, keys []orderKey, node *ast.Field, path string) {
	v := f.view
	named := map[string]bool{}
	for _, k := range keys {
		field := v.typ.Field(k.field)
		if field == nil || field.Relation != nil {
			b.failf(GraphQLValidationFailed, "unknown field "+v.typ.Name+"."+k.field+" in an order", path, k.position)
			continue
		}
		c := v.cell(field)
		if !c.always(clearCap) {
			b.refuse(FieldNotSortable, c.rights, clearCap, field.Coordinate.String(), path, k.position)
			continue
		}
		b.use(v.typ, field, lineage.Sort)
		named[k.field] = true
		f.order = append(f.order, adapters.Order{Column: columnOf(field), Desc: k.desc, NullsFirst: k.nullsFirst})
	}
	b.tiebreak(f, named, node, path)
}

func (b *builder) tiebreak(f *fetching, named map[string]bool, node *ast.Field, path string) {
	v := f.view
	if key := v.clearKey(); key != nil {
		whole := true
		for _, field := range key {
			whole = whole && named[field.Name]
		}
		if whole {
			return // unique already
		}
		for _, field := range key {
			if !named[field.Name] {
				b.use(v.typ, field, lineage.Sort)
				f.order = append(f.order, adapters.Order{Column: columnOf(field)})
			}
		}
		return
	}
	if v.typ.Source.Tiebreak == "" {
		b.failf(FieldNotSortable, v.typ.Name+" has no order that may be shown: its key is not clear and it declares no tie-break", path, node.Position)
		return
	}
	b.use(v.typ, tiebreakField(v.typ), lineage.Sort)
	f.order = append(f.order, adapters.Order{Column: adapters.Column{Name: v.typ.Source.Tiebreak, Kind: v.typ.Source.TiebreakKind}})
}

// clearKey gives the key's fields when all of them are clear on every row in
// view.
func (v *view) clearKey() []*schema.Field {
	s := v.typ.Source
	if len(s.KeyFields) == 0 || len(s.KeyFields) != len(s.Key) {
		return nil
	}
	fields := make([]*schema.Field, 0, len(s.KeyFields))
	for _, name := range s.KeyFields {
		f := v.typ.Field(name)
		if f == nil || !v.cell(f).always(clearCap) {
			return nil
		}
		fields = append(fields, f)
	}
	return fields
}

// tiebreakField stands for the tie-break column in uses: the field over it, or
// the row.
func tiebreakField(t *schema.Type) *schema.Field {
	return columnField(t, t.Source.Tiebreak, t.Source.TiebreakKind)
}

// columnField finds the field over a column; without one the column counts as
// the row's own.
func columnField(t *schema.Type, column string, kind schema.Scalar) *schema.Field {
	for _, f := range t.Fields {
		if f.Column == column && f.Relation == nil {
			return f
		}
	}
	return &schema.Field{Coordinate: schema.Coordinate{Type: t.Name}, Column: column, Kind: kind, Level: t.Level}
}

// mergeKeys are the keys that rows of several types are merged by, before the
// type's name and the type's own order.
func mergeKeys(of *fetching, explicit int) []MergeKey {
	var keys []MergeKey
	for _, o := range of.order[:min(explicit, len(of.order))] {
		keys = append(keys, MergeKey{Kind: o.Column.Kind, Desc: o.Desc, NullsFirst: o.NullsFirst})
	}
	return keys
}
