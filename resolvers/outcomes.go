package resolvers

import (
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/lineage"
)

// Outcomes evaluates the decisions of one object's leaves once per combination
// of scope bits, not once per row. Not safe for concurrent use; it belongs to
// one request.
type Outcomes struct {
	decisions []*plan.Decision
	bits      uint64 // those that a decision refers to: others cannot matter

	truth, unknown uint64
	current        []lineage.Outcome
	known          map[[2]uint64][]lineage.Outcome
}

// NewOutcomes makes the memo for decisions over the scope bits of one fetch.
func NewOutcomes(decisions []*plan.Decision) *Outcomes {
	o := &Outcomes{decisions: decisions, known: make(map[[2]uint64][]lineage.Outcome, 4)}
	for _, d := range decisions {
		for _, c := range d.Allow {
			o.bits |= 1 << c.Bit
		}
		for _, c := range d.Deny {
			o.bits |= 1 << c.Bit
		}
	}
	return o
}

// For gives one outcome per decision for a row with these scope bits. The slice
// is the memo's.
func (o *Outcomes) For(truth, unknown uint64) []lineage.Outcome {
	truth, unknown = truth&o.bits, unknown&o.bits
	if o.current != nil && o.truth == truth && o.unknown == unknown {
		return o.current
	}
	key := [2]uint64{truth, unknown}
	outcomes, ok := o.known[key]
	if !ok {
		outcomes = make([]lineage.Outcome, len(o.decisions))
		for i, d := range o.decisions {
			outcomes[i] = d.Outcome(truth, unknown)
		}
		o.known[key] = outcomes
	}
	o.truth, o.unknown, o.current = truth, unknown, outcomes
	return outcomes
}
