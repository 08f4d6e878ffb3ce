package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	generated "github.com/weir-data/weir/graph/control"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/lineage/index"
	"github.com/weir-data/weir/lineage/ledger"
	"github.com/weir-data/weir/resolvers"
)

// Receipts are the ledger as far as single records are proven from it.
type Receipts interface {
	// Find gives a record; lineage.ErrUnknown where there is none.
	Find(at lineage.Position) (lineage.Entry, error)
	// Receipt gives its proof.
	Receipt(at lineage.Position) (*ledger.Proof, error)
	// Statement gives a proof that stays closed, with what the node states of
	// the record.
	Statement(at lineage.Position, lines []string) (*ledger.Proof, error)
	// ArchivedTo is the last record that was archived.
	ArchivedTo() (uint64, error)
}

var _ Receipts = (*ledger.Ledger)(nil)

// receipt proves a record to the reader whose answer it was and to auditors, and
// to a person whom it is about that there is one and what it says of him. To
// everybody else another's record and one that does not exist are the same, and
// so is one that is sealed to the person.
func (l *look) receipt(ctx context.Context, id string) (*generated.Receipt, error) {
	at, err := lineage.ParsePosition(id)
	if err != nil {
		return nil, badArgument("a receipt is as in node-a/7/184467")
	}
	if l.lineage.Receipts == nil {
		return nil, &plan.Error{Code: plan.LedgerUnavailable, Message: sentence(plan.LedgerUnavailable)}
	}
	found, err := l.lineage.Receipts.Find(at)
	if errors.Is(err, lineage.ErrArchived) {
		return l.archivedReceipt(ctx, at)
	}
	unknown := errors.Is(err, lineage.ErrUnknown)
	if err != nil && !unknown {
		return nil, err
	}
	var p *ledger.Proof
	switch {
	case unknown && l.auditor:
		return nil, nil
	case unknown:
		return nil, forbidden()
	case l.auditor || l.mine(&found.Record):
		p, err = l.lineage.Receipts.Receipt(at)
	case l.aboutReader(&found):
		p, err = l.lineage.Receipts.Statement(at, l.statement(&found))
	default:
		return nil, forbidden()
	}
	if err != nil {
		return nil, err
	}
	text, err := p.Text()
	if err != nil {
		return nil, err
	}
	out := &generated.Receipt{ID: id, Signed: p.Signed != nil, Included: p.Included != nil, Opened: p.Record.Opening != "", Proof: optional(string(text))}
	if behind := p.Behind(); behind > 0 {
		out.Archived, err = l.toArchive(at, behind, p.Statement != "")
	}
	return out, err
}

// archivedReceipt says that a record was archived to whoever would get its proof;
// whose it is, the index knows still. To everybody else it is as one that does not
// exist.
func (l *look) archivedReceipt(ctx context.Context, at lineage.Position) (*generated.Receipt, error) {
	ok, closed := l.auditor, false
	var err error
	if !ok {
		ok, err = l.lineage.Index.Has(ctx, at, index.Filter{Subject: l.lineage.Keys.Pseudonym(resolvers.SubjectUse, l.req.Subject.ID)})
	}
	if tag, known := l.tag(); err == nil && !ok && known {
		closed = true
		ok, err = l.lineage.Index.Has(ctx, at, index.Filter{Tag: &tag, Open: l.now()})
	}
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, forbidden()
	}
	archived, err := l.toArchive(at, at.Sequence, closed)
	if err != nil {
		return nil, err
	}
	return &generated.Receipt{ID: at.String(), Archived: archived}, nil
}

// toArchive says how a proof is had for which a record is needed that the log does
// not begin with any more. That it begins later is no reason by itself: what is on
// no list was taken away. A person whom a record is about gets it closed.
func (l *look) toArchive(at lineage.Position, needed uint64, closed bool) (*string, error) {
	last, err := l.lineage.Receipts.ArchivedTo()
	if err != nil {
		return nil, err
	}
	if needed > last {
		return nil, fmt.Errorf("record %d is not in the ledger's folder, and only records up to %d were archived", needed, last)
	}
	text := fmt.Sprintf("records up to %d of this ledger were archived: ask the node's operator for the proof, made with weir lineage prove %s --archive FOLDER", last, at)
	if closed {
		text += " --closed"
	}
	return &text, nil
}

// mine reports whether the record is of the reader's own answer.
func (l *look) mine(r *lineage.Record) bool {
	return r.Subject == l.lineage.Keys.Pseudonym(resolvers.SubjectUse, l.req.Subject.ID)
}

// aboutReader reports whether the reader is a person whom the record is about,
// and it is open to him by now. What was never sealed is open also where the clock
// has gone back since.
func (l *look) aboutReader(e *lineage.Entry) bool {
	tag, ok := l.tag()
	sealed := e.Record.Sealed
	return ok && slices.Contains(e.Record.Tags, tag) && (sealed == 0 || !e.Time.Add(sealed).After(l.now()))
}

// statement is what a person is told of a look at his data, line by line: what
// aboutMe shows of it, and no more. The record itself stays closed to him: it
// names the reader and other persons by their stand-ins, uses that are not the
// person's to know, and with its salt the digest of an answer that he may not
// see could be tried out.
func (l *look) statement(e *lineage.Entry) []string {
	r := index.Read{Consumer: e.Record.Department, Purpose: e.Record.Purpose, People: e.Record.TagCount}
	if tag, ok := l.tag(); ok {
		r.Shares = index.SharesOf(&e.Record, tag)
	}
	for i := range e.Record.Uses {
		f := index.Field{Use: e.Record.Uses[i]}
		if i < len(e.Record.Counts) {
			f.Counts = e.Record.Counts[i]
		}
		r.Fields = append(r.Fields, f)
	}
	lines := []string{"time " + e.Time.Format(instant)}
	if r.Consumer != "" {
		lines = append(lines, "office "+strconv.Quote(r.Consumer))
	}
	if r.Purpose != "" {
		lines = append(lines, "purpose "+strconv.Quote(r.Purpose))
	}
	for _, k := range l.kinds(&r) {
		if len(k.Fields) == 0 {
			lines = append(lines, fmt.Sprintf("read %s of %q", k.Type, k.Department))
		}
		for _, f := range k.Fields {
			lines = append(lines, fmt.Sprintf("read %s.%s of %q %s", k.Type, f.Name, k.Department, strings.ToLower(string(f.Outcome))))
		}
	}
	return lines
}
