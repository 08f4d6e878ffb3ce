package plan

import (
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

const (
	maskCap  = authz.Mask
	clearCap = authz.Clear
	matchCap = authz.Match
)

// filter builds the predicate of a where argument in negation normal form: a
// negation is pushed down to leaves and EXISTS, and each leaf, negated or not,
// stands beside the condition under which its field may be compared. So a
// comparison with an unreadable cell is never true, and no Not stands above a
// condition of rights.
type filter struct {
	b     *builder
	fetch *fetching // whose arguments are used
	path  string
	// aggregate is set where the rows are aggregated.
	aggregate *aggregating
}

// where builds the condition of an input object over the rows of v. Empty is
// true; null anywhere in it is refused, and so is a variable that is absent: one
// that was forgotten must not select every row.
func (w filter) where(v *view, in input, negated bool) adapters.Predicate {
	w.refuseOmitted(v.typ.Name, in)
	var parts []adapters.Predicate
	for _, m := range in.members() {
		if m.input.state != present {
			w.refuseNull(v.typ.Name+"."+m.name, m.input)
			continue
		}
		switch m.name {
		case "_and", "_or":
			var subs []adapters.Predicate
			for _, item := range m.input.items() {
				if item.state != present {
					w.refuseNull(v.typ.Name+"."+m.name, m.input)
					continue
				}
				subs = append(subs, w.where(v, item, negated))
			}
			// De Morgan: a negated conjunction is a disjunction of negations.
			if (m.name == "_and") != negated {
				parts = append(parts, conjunction(subs))
			} else {
				parts = append(parts, disjunction(subs))
			}
		case "_not":
			parts = append(parts, w.where(v, m.input, !negated))
		default:
			f := v.typ.Field(m.name)
			switch {
			case f == nil:
				w.b.failf(GraphQLValidationFailed, "unknown field "+v.typ.Name+"."+m.name+" in a condition", w.path, m.input.position)
			case f.Relation != nil:
				parts = append(parts, w.relation(v, f, m.input, negated))
			default:
				parts = append(parts, w.comparison(v, f, m.input, negated))
			}
		}
	}
	if negated {
		return disjunction(parts)
	}
	return conjunction(parts)
}

func (w filter) refuseNull(what string, in input) {
	w.b.failf(GraphQLValidationFailed, "an empty comparison, a null or an absent variable is no condition: "+what, w.path, in.position)
}

// refuseOmitted refuses a literal that names an absent variable, which would be
// dropped, as graphql-js does it.
func (w filter) refuseOmitted(what string, in input) {
	if in.omits() {
		w.refuseNull(what, in)
	}
}

// comparison is the conjunction of a field's operators.
func (w filter) comparison(v *view, f *schema.Field, in input, negated bool) adapters.Predicate {
	rights, ok := w.rights(v, f, in.position)
	if !ok {
		return adapters.Bool(false)
	}
	w.b.use(v.typ, f, lineage.Filter)
	var parts []adapters.Predicate
	ms := in.members()
	if len(ms) == 0 || in.omits() {
		w.refuseNull(f.Coordinate.String(), in)
	}
	for _, m := range ms {
		op, known := schema.ParseOperator(m.name)
		switch {
		case !known:
			w.b.failf(GraphQLValidationFailed, "unknown operator for "+f.Coordinate.String(), w.path, m.input.position)
			continue
		case m.input.state != present:
			w.refuseNull(f.Coordinate.String(), m.input)
			continue
		}
		leaf := w.leaf(f, op, m.input, negated)
		parts = append(parts, conjunction([]adapters.Predicate{leaf, rights}))
	}
	if negated {
		return disjunction(parts)
	}
	return conjunction(parts)
}

func (w filter) leaf(f *schema.Field, op schema.Operator, in input, negated bool) adapters.Predicate {
	if (op == schema.In || op == schema.Nin) && in.variables() {
		return w.spelt(f, op, in, negated)
	}
	kind, list := f.Kind, op == schema.In || op == schema.Nin
	if op == schema.IsNull {
		kind = schema.Boolean
	}
	value, err := in.scalar(kind, list)
	if err != nil {
		w.b.failf(GraphQLValidationFailed, "the operand does not fit "+f.Coordinate.String(), w.path, in.position)
		return adapters.Bool(false)
	}
	return w.compare(f, op, value, negated)
}

func (w filter) compare(f *schema.Field, op schema.Operator, v Value, negated bool) adapters.Predicate {
	var p adapters.Predicate = adapters.Compare{Column: columnOf(f), Op: op, Param: w.fetch.param(v)}
	if negated {
		p = negation(p)
	}
	return p
}

// spelt writes out a list literal that holds variables, which is no single
// argument: x in (a, $b) is x = a or x = $b, in three-valued logic too.
func (w filter) spelt(f *schema.Field, op schema.Operator, in input, negated bool) adapters.Predicate {
	single := schema.Eq
	if op == schema.Nin {
		single = schema.Neq
	}
	var parts []adapters.Predicate
	for _, item := range in.items() {
		value, err := item.scalar(f.Kind, false)
		if err != nil || item.state != present {
			w.refuseNull(f.Coordinate.String(), item)
			continue
		}
		parts = append(parts, w.compare(f, single, value, negated))
	}
	if (op == schema.In) != negated {
		return disjunction(parts)
	}
	return conjunction(parts)
}

// relation is an EXISTS over the far rows that exist for the reader and satisfy
// the condition. by_key does not reach into it.
func (w filter) relation(v *view, f *schema.Field, in input, negated bool) adapters.Predicate {
	rights, ok := w.rights(v, f, in.position)
	if !ok {
		return adapters.Bool(false)
	}
	capabilities, known := w.b.capabilities(v.typ.Source.Department)
	if !known || !capabilities.Exists || !f.Relation.SameSource {
		w.b.failf(FieldNotFilterable, f.Coordinate.String()+" cannot be filtered by: its source has no existence conditions", w.path, in.position)
		return adapters.Bool(false)
	}
	w.b.use(v.typ, f, lineage.Filter)
	var found []adapters.Predicate
	open := false
	for _, far := range w.b.members(f.Relation.Target) {
		there := w.b.view(far, reach{})
		if there.never() {
			continue
		}
		open = true
		w.b.use(far, rowField(far), lineage.Filter)
		inner := conjunction([]adapters.Predicate{w.b.visibility(w.fetch, there), w.where(there, in, false)})
		found = append(found, w.b.exists(v.typ, far, f, inner))
	}
	if !open {
		for _, far := range w.b.members(f.Relation.Target) {
			w.b.refuse(FieldNotFilterable, w.b.view(far, reach{}).row, maskCap, far.Name, w.path, in.position)
		}
		return adapters.Bool(false)
	}
	p := disjunction(found)
	if negated {
		parts := make([]adapters.Predicate, 0, len(found))
		for _, e := range found {
			parts = append(parts, negation(e))
		}
		p = conjunction(parts)
	}
	return conjunction([]adapters.Predicate{p, rights})
}

// rights tells under which condition a field may be compared here.
func (w filter) rights(v *view, f *schema.Field, at *ast.Position) (adapters.Predicate, bool) {
	if w.aggregate != nil {
		return w.aggregate.filterable(v, f, at)
	}
	return w.b.filterable(w.fetch, v, f, clearCap, w.path, at)
}

// filterable tells under which condition a field of a row in view may be
// compared: nil for always. Where it never may, the operation is refused.
func (b *builder) filterable(f *fetching, v *view, field *schema.Field, want authz.Caps, path string, at *ast.Position) (adapters.Predicate, bool) {
	c := v.cell(field)
	switch {
	case c.always(want):
		return nil, true
	case c.never(want):
		b.refuse(FieldNotFilterable, c.rights, want, field.Coordinate.String(), path, at)
		return nil, false
	}
	p := c.rights.condition(want, func(s string) adapters.Predicate { return b.scope(f, v.typ, s) })
	return adapters.IsTrue{Predicate: p}, true
}

// refuse refuses a position for want of a right; another purpose that would
// give it is worth saying, but not where the right is held for some rows.
func (b *builder) refuse(code Code, r *rights, want authz.Caps, what, path string, at *ast.Position) {
	if !r.potential().Has(want) && r.withPurpose().Has(want) {
		b.failf(PurposeRequired, what+" needs a purpose here", path, at)
		return
	}
	switch code {
	case FieldNotSortable:
		b.failf(code, what+" cannot be sorted by", path, at)
	case FieldNotAggregatable:
		b.failf(code, what+" may not be used in this aggregate", path, at)
	default:
		b.failf(code, what+" cannot be filtered by", path, at)
	}
}
