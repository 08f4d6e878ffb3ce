package exec

import (
	"fmt"

	"github.com/weir-data/weir/graph/plan"
)

// MatchLimits are the most values, of those that he may compare and not see,
// that one reader may state in a day: in all, and of one stated key. Zero
// allows none.
type MatchLimits struct{ Reader, Key int }

// Kinds of the charges for stated values.
const (
	chargeReader = "match-reader"
	chargeKey    = "match-key"
)

// matchCharges counts what the operation states of values that its reader may
// compare and not see: against the reader, and against the reader and the key.
// They are counted as stated, before anybody knows whether they are right.
func (r *run) matchCharges(cs []Charge) ([]Charge, plan.Errors) {
	if len(r.prog.plan.Guesses) == 0 {
		return cs, nil
	}
	reader := Charge{Kind: chargeReader, Key: r.e.budgetKey(r.req.Subject.ID), Limit: r.e.matchLimits.Reader}
	for i := range r.prog.plan.Guesses {
		g := &r.prog.plan.Guesses[i]
		parts := append(make([]string, 0, len(g.Key)+2), r.req.Subject.ID, g.Of)
		for _, v := range g.Key {
			arg, errs := r.resolve(v)
			if errs != nil {
				return nil, errs
			}
			parts = append(parts, arg.Text)
		}
		cs = append(cs, Charge{Kind: chargeKey, Key: r.e.budgetKey(parts...), N: g.N, Limit: r.e.matchLimits.Key})
		reader.N += g.N
	}
	return append(cs, reader), nil
}

// match compiles a verification.
func (c *compiler) match(f *plan.Field) error {
	if f.Match == nil || f.Match.Fetch == nil || f.Match.Fetch.ID >= len(c.fetches) {
		return fmt.Errorf("%w: %s has no fetch", errPlan, f.Path)
	}
	if node := &c.fetches[f.Match.Fetch.ID]; !node.Shape.Count || node.Parent != nil || len(node.Stated) != 1 {
		return fmt.Errorf("%w: %s does not verify one stated key", errPlan, f.Path)
	}
	return nil
}

// match writes whether the fetch counted a row: false for whatever reason it
// did not.
func (r *run) match(s *step) bool {
	m := s.field.Match
	res := &r.results[m.Fetch.ID]
	if res.failure != "" {
		r.fail(s.field, res.failure)
		r.buf = append(r.buf, "null"...)
		return false
	}
	first, last := res.group(ordinalOf(res, 0))
	found := false
	if last > first {
		at := res.at(first)
		count, null := at.batch.Cell(at.row, 0)
		found = !null && string(count) != "0"
	}
	r.bool(found)
	return true
}
