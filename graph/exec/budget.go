package exec

import (
	"context"
	"errors"
	"fmt"

	"github.com/weir-data/weir/graph/plan"
)

// Charge is what a request is about to use of a durable budget.
type Charge struct {
	// Kind says what is counted, a constant of the program.
	Kind string
	// Key says whose budget it is: a keyed digest (see Executor.budgetKey),
	// never an identifier itself.
	Key [16]byte
	// N is how much is used, at least 1; Limit is how much one day allows.
	N, Limit int
}

// Budgets keeps what was used of the durable budgets. Spend takes all of the
// charges or none; it returns nil only when what was taken is on disk, so that
// a restart gives nothing back. [ErrSpent] says that a day's limit would be
// exceeded; after any other error it is unknown whether the charges were taken,
// and the request is refused as well. Safe for concurrent use.
type Budgets interface {
	Spend(ctx context.Context, charges []Charge) error
}

// ErrSpent is a day's budget that does not suffice: RATE_LIMITED.
var ErrSpent = errors.New("budget of the day is spent")

var errNoBudgets = errors.New("no store of budgets: what would be charged is refused")

// budgetUse is the key ring's use for digests of budgets.
const budgetUse = "budget"

// budgetKey digests what a budget belongs to: a reader, an application, a
// stated key. Parts are kept apart, so that no two lists give the same bytes.
// The digest changes with the ring's active key: a rotation begins the day anew.
func (e *Executor) budgetKey(parts ...string) [16]byte {
	var id []byte
	for _, p := range parts {
		id = appendPart(id, p)
	}
	return e.ring.Digest(budgetUse, id)
}

// spend takes what the operation uses of its budgets: after it was planned, and
// before a source is touched. Whatever goes wrong is a refusal.
func (r *run) spend(ctx context.Context) plan.Errors {
	charges, errs := r.charges(nil)
	if len(errs) > 0 || len(charges) == 0 {
		return errs
	}
	err := errNoBudgets
	if r.e.budgets != nil {
		if !r.req.Deadline.IsZero() {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, r.req.Deadline)
			defer cancel()
		}
		err = r.e.budgets.Spend(ctx, charges)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrSpent):
		return refusal(plan.RateLimited)
	case ctx.Err() == nil:
		r.e.report(fmt.Errorf("budgets: %w", err))
	}
	return refusal(plan.Internal)
}

// charges lists what the operation uses of its budgets. Every kind of charge
// has a file of its own and appends here.
func (r *run) charges(cs []Charge) ([]Charge, plan.Errors) {
	return r.matchCharges(r.aggregateCharges(cs))
}
