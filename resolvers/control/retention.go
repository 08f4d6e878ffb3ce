package control

import (
	"context"
	"errors"
	"slices"

	"github.com/weir-data/weir/authz/approval"
	generated "github.com/weir-data/weir/graph/control"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// Retention drops keys of the ledger by signed acts.
type Retention interface {
	// Drop does what the act says, and gives it. The error is of approval's kinds
	// or lineage.ErrRetention where the act is at fault; nothing was changed then.
	Drop(ctx context.Context, act string) (*approval.Act, error)
}

// dropKey takes an act from an auditor. Its two signatures are what counts: the
// office keeps others from knocking.
func (r *Resolver) dropKey(ctx context.Context, text string) (*generated.DroppedLedgerKey, error) {
	req, s, err := reader(ctx)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(r.officesOf(req.Subject, s.view), generated.OfficeAuditor) {
		return nil, forbidden()
	}
	if r.retention == nil {
		return nil, &plan.Error{Code: plan.LedgerUnavailable, Message: sentence(plan.LedgerUnavailable)}
	}
	act, err := r.retention.Drop(ctx, text)
	switch {
	case errors.Is(err, lineage.ErrLedgerUnavailable):
		return nil, &plan.Error{Code: plan.LedgerUnavailable, Message: sentence(plan.LedgerUnavailable)}
	case err != nil:
		return nil, publicly(err)
	}
	return &generated.DroppedLedgerKey{
		Month: act.Month, Level: s.catalogue.Levels.Name(schema.Rank(act.Level)), Key: act.Key, //nolint:gosec // a dropped key's
		Act: lineage.ActDigest(text), Auditor: act.SignedFor(approval.OfficeAuditor), Security: act.SignedFor(approval.OfficeSecurity),
	}, nil
}
