package control

import (
	"errors"

	generated "github.com/weir-data/weir/graph/control"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/lineage/ledger"
	"github.com/weir-data/weir/resolvers"
)

// Receipts are the ledger as far as single records are proven from it.
type Receipts interface {
	// Find gives a record; lineage.ErrUnknown where there is none.
	Find(at lineage.Position) (lineage.Entry, error)
	// Receipt gives its proof.
	Receipt(at lineage.Position) (*ledger.Proof, error)
}

var _ Receipts = (*ledger.Ledger)(nil)

// receipt proves a record to the reader whose answer it was, and to auditors. To
// everybody else another's record and one that does not exist are the same.
func (l *look) receipt(id string) (*generated.Receipt, error) {
	at, err := lineage.ParsePosition(id)
	if err != nil {
		return nil, badArgument()
	}
	if l.lineage.Receipts == nil {
		return nil, &plan.Error{Code: plan.LedgerUnavailable, Message: sentence(plan.LedgerUnavailable)}
	}
	found, err := l.lineage.Receipts.Find(at)
	unknown := errors.Is(err, lineage.ErrUnknown)
	switch {
	case err != nil && !unknown:
		return nil, err
	case !l.auditor && (unknown || found.Record.Subject != l.lineage.Keys.Pseudonym(resolvers.SubjectUse, l.req.Subject.ID)):
		return nil, forbidden()
	case unknown:
		return nil, nil
	}
	p, err := l.lineage.Receipts.Receipt(at)
	if err != nil {
		return nil, err
	}
	text, err := p.Text()
	if err != nil {
		return nil, err
	}
	return &generated.Receipt{ID: id, Signed: p.Signed != nil, Included: p.Included != nil, Proof: string(text)}, nil
}
