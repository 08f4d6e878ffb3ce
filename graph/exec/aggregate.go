package exec

import (
	"fmt"
	"slices"

	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/resolvers"
	"github.com/weir-data/weir/schema"
)

// AggregateLimits bound what aggregates may cost and show.
type AggregateLimits struct {
	// Minimum is, by level, how many persons a protected number is over at
	// least; 10 for levels beyond it, and never fewer than 3.
	Minimum []int
	// PerDay is how many protected numbers one application may ask for in a day:
	// a count, or a sum and average of one field, over one set of groups, is one.
	// Zero allows none.
	PerDay int
	// MaxRows is the most rows that one aggregate may read, equal ones counting
	// once (1,000,000).
	MaxRows int
}

const (
	defaultMinimum = 10
	leastMinimum   = outliers + 1
)

func (l *AggregateLimits) minimum(level schema.Rank) int {
	if int(level) < len(l.Minimum) {
		return max(leastMinimum, l.Minimum[level])
	}
	return defaultMinimum
}

// chargeAggregate is the kind of the charges for protected numbers.
const chargeAggregate = "aggregate"

// aggregateCharges counts the operation's protected numbers against its
// application; without one, against its reader.
func (r *run) aggregateCharges(cs []Charge) []Charge {
	n := 0
	for i := range r.prog.fetches {
		if a := r.prog.fetches[i].Aggregate; a != nil {
			for _, m := range a.Measures {
				if m.Protected {
					n++
				}
			}
		}
	}
	if n == 0 {
		return cs
	}
	owner := []string{"application", r.req.Subject.Application}
	if r.req.Subject.Application == "" {
		owner = []string{"reader", r.req.Subject.ID}
	}
	return append(cs, Charge{Kind: chargeAggregate, Key: r.e.budgetKey(owner...), N: n, Limit: r.e.aggregates.PerDay})
}

// groupObject compiles an aggregate root or a part of a group.
func (c *compiler) groupObject(s *step, fetch int) error {
	f := s.field
	if f.Kind == plan.FieldAggregate {
		if f.Aggregated == nil || f.Aggregated.ID >= len(c.fetches) {
			return fmt.Errorf("%w: %s has no fetch", errPlan, f.Path)
		}
		fetch = f.Aggregated.ID
	}
	if fetch < 0 || c.fetches[fetch].Aggregate == nil {
		return fmt.Errorf("%w: %s is no part of a group", errPlan, f.Path)
	}
	spec := c.fetches[fetch].Aggregate
	if f.Kind == plan.FieldCell {
		n := len(spec.Measures)
		if f.Cell.Op == plan.CellGroup {
			n = len(spec.Groups)
		}
		if f.Cell.Index < 0 || f.Cell.Index >= n {
			return fmt.Errorf("%w: %s is not computed", errPlan, f.Path)
		}
		return nil
	}
	if f.Selection == nil {
		return fmt.Errorf("%w: %s has no selection", errPlan, f.Path)
	}
	var err error
	s.inner, err = c.object(f.Selection, fetch, nil)
	return err
}

// aggregation refuses an aggregate fetch that is not whole.
func (c *compiler) aggregation(f *fetchNode) error {
	a := f.Aggregate
	if (a != nil) != f.Shape.Tally {
		return fmt.Errorf("%w: fetch %d is aggregated and not tallied, or the reverse", errPlan, f.ID)
	}
	if a == nil {
		return nil
	}
	if len(a.Measures) == 0 || !a.Measures[0].Coordinate.Row() || a.Limit < 1 {
		return fmt.Errorf("%w: fetch %d does not count its rows", errPlan, f.ID)
	}
	check := func(column int) error { return c.column(f.ID, column) }
	for _, d := range slices.Concat(a.Groups, a.Classes) {
		if err := check(d.Column); err != nil {
			return err
		}
	}
	for i, m := range a.Measures {
		if (m.Column < 0) != (i == 0) || m.Protected != (len(m.Units) > 0) || m.Protected && (m.Min || m.Max) {
			return fmt.Errorf("%w: fetch %d does not say what it computes", errPlan, f.ID)
		}
		if m.Column >= 0 {
			if err := check(m.Column); err != nil {
				return err
			}
		}
		for _, unit := range m.Units {
			if len(unit) == 0 {
				return fmt.Errorf("%w: fetch %d tells no persons apart", errPlan, f.ID)
			}
			for _, column := range unit {
				if err := check(column); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// aggregate writes the groups of an aggregate root.
func (r *run) aggregate(s *step) bool {
	res := &r.results[s.field.Aggregated.ID]
	if res.failure != "" {
		r.fail(s.field, res.failure)
		r.buf = append(r.buf, null...)
		return false
	}
	f := &r.prog.fetches[s.field.Aggregated.ID]
	if !res.counted { // aliases may share the fetch
		res.counted = true
		r.req.Reads.Rows += uint64(res.tallied) //nolint:gosec // a number of rows
	}
	groups := res.groupRows
	if limit := f.Aggregate.Limit; len(groups) > limit {
		groups = groups[:limit]
		r.cut(s.field)
	}
	depth := len(r.path)
	r.path = append(r.path, element{key: s.field.Key}, element{})
	r.buf = append(r.buf, '[')
	for i := range groups {
		if i > 0 {
			r.buf = append(r.buf, ',')
		}
		r.path[depth+1].index = i
		r.groupParts(s.inner, &groups[i], f)
	}
	r.buf = append(r.buf, ']')
	r.path = r.path[:depth]
	return true
}

// groupParts writes an object of a group. Nothing in it is non-null but its
// type's name.
func (r *run) groupParts(o *object, g *group, f *fetchNode) {
	if len(o.steps) == 0 {
		r.buf = append(r.buf, "{}"...)
		return
	}
	for i := range o.steps {
		s := &o.steps[i]
		r.buf = append(r.buf, s.prefix...)
		switch s.kind {
		case plan.FieldPart:
			r.path = append(r.path, element{key: s.field.Key})
			r.groupParts(s.inner, g, f)
			r.path = r.path[:len(r.path)-1]
		case plan.FieldCell:
			r.groupCell(s, g, f)
		default: // the type's name stands in the prefix
		}
	}
	r.buf = append(r.buf, '}')
}

func (r *run) groupCell(s *step, g *group, of *fetchNode) {
	f := s.field
	var m *plan.Measure
	outcome := lineage.Clear
	if f.Cell.Op != plan.CellGroup {
		if m = of.Aggregate.Measures[f.Cell.Index]; m.Protected {
			outcome = lineage.Masked
		}
	}
	text, isNull, bad := g.text(r.scratch[:0], f.Cell, m)
	r.scratch = text
	if !isNull && f.Cell.Op != plan.CellCount && f.Cell.Op != plan.CellSum && f.Cell.Op != plan.CellAvg {
		// A value that is somebody's name leaves as such.
		if t := r.req.Generation.Catalogue.Types[f.Coordinate.Type]; t != nil && t.IsSubject(f.Coordinate.Field) {
			r.tag(of.department, text)
		}
	}
	var written resolvers.Written
	r.buf, written = r.writer.Aggregated(r.buf, &s.leaf, text, isNull, bad, outcome)
	if written == resolvers.Bad {
		r.misfitOf(f)
		r.fail(f, plan.Internal)
	}
}
