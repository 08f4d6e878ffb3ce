package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"sync"
	"time"

	"github.com/weir-data/weir/authz/approval"
	"github.com/weir-data/weir/internal/config"
	"github.com/weir-data/weir/internal/store"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/resolvers/control"
	"github.com/weir-data/weir/schema"
)

// Signers are those who sign acts of retention, and what binds them.
type Signers struct {
	Auditors, Security []approval.Officer
	// Months is for how many months after its own the records of a month are kept.
	Months int
	// Unapproved: nobody but the configuration says who they are.
	Unapproved bool
}

// ErrNoSigners means that no revision is in force that two officers have approved, so that
// nobody but the configuration would say who signs.
var ErrNoSigners = errors.New("no revision is in force in which two officers have approved who signs for the ledger")

// SignersOf are those of the revision in force. The configuration alone names
// them only where one officer widens rights alone, which the revision in force,
// where there is one, must say itself.
func SignersOf(ctx context.Context, d Folders, s *store.Store) (Signers, error) {
	kept, ok, err := s.ActiveRevision(ctx)
	if err != nil {
		return Signers{}, err
	}
	if !ok {
		if !d.Rights.SingleOfficer {
			return Signers{}, ErrNoSigners
		}
		return Signers{d.Auditors, d.Officers, d.Rights.RetentionMonths, true}, nil
	}
	revision, err := unpackRevision(kept.Content)
	if err != nil {
		return Signers{}, err
	}
	return revision.Signers(d)
}

// Signers are those of the revision, as [SignersOf] gives them. The longer of the
// times of revision and configuration counts.
func (r *Revision) Signers(d Folders) (Signers, error) {
	out := Signers{Months: max(d.Rights.RetentionMonths, r.Settings.Rights.RetentionMonths)}
	if r.Settings.Rights.SingleOfficer && d.Rights.SingleOfficer {
		out.Auditors, out.Security, out.Unapproved = d.Auditors, d.Officers, true
		return out, nil
	}
	var err, more error
	out.Auditors, err = r.Auditors()
	out.Security, more = r.Officers()
	return out, errors.Join(err, more)
}

// Due is from when on the records of a month may be dropped: all of them have the
// age then, which no configuration, and no revision from before it was part of
// them, sets below three years.
func (s *Signers) Due(m lineage.Month) time.Time {
	months := max(s.Months, config.LeastRetention)
	return (m + 1 + lineage.Month(months)).Start() //nolint:gosec // at most 1,200
}

// read takes an act as far as it says what is to be dropped here, at all and by
// now.
func (s *Signers) read(text, origin string, now time.Time) (*approval.Act, lineage.Act, error) {
	a, err := approval.ParseAct(text)
	if err != nil {
		return nil, lineage.Act{}, err
	}
	month, err := lineage.ParseMonth(a.Month)
	if err != nil || a.Level < 0 || a.Level > math.MaxUint8 {
		return nil, lineage.Act{}, fmt.Errorf("%w: it names no month or no level", approval.ErrFormat)
	}
	if a.Origin != origin {
		return nil, lineage.Act{}, fmt.Errorf("%w: it is about the ledger of %q, and this is that of %q", approval.ErrInvalid, a.Origin, origin)
	}
	if due := s.Due(month); now.Before(due) {
		return nil, lineage.Act{}, fmt.Errorf("%w: the records of %s are kept until %s", lineage.ErrRetention, a.Month, due.Format(time.DateOnly))
	}
	out := lineage.Act{Name: lineage.KeyName{Month: month, Level: schema.Rank(a.Level)}, Text: text}
	if out.Key, err = lineage.ParseKeyID(a.Key); err != nil {
		return nil, lineage.Act{}, fmt.Errorf("%w: %w", approval.ErrFormat, err)
	}
	return a, out, nil
}

// Check refuses an act that could not be carried out now, whoever signs what is
// not signed yet: of another ledger, too early, expired, or with a signature that
// does not fit.
func (s *Signers) Check(text, origin string, now time.Time) error {
	a, _, err := s.read(text, origin, now)
	if err != nil {
		return err
	}
	return a.VerifySignatures(s.Auditors, s.Security, now)
}

// Retention drops data keys of a node's ledger by acts that an auditor and a
// security officer have signed. Safe for concurrent use.
type Retention struct {
	Log     *lineage.Log
	Dir     string // the ledger's folder
	Signers func(context.Context) (Signers, error)
	Logger  *slog.Logger
	Now     func() time.Time

	dropping sync.Mutex
}

var _ control.Retention = (*Retention)(nil)

// Drop implements control.Retention. After an error of another kind the drop may
// have begun; it is ended by the same act again, or at the next start.
func (r *Retention) Drop(ctx context.Context, text string) (*approval.Act, error) {
	signers, err := r.Signers(ctx)
	if err != nil {
		return nil, err
	}
	a, act, err := signers.read(text, r.Log.Origin(), r.Now())
	if err != nil {
		return nil, err
	}
	if err := a.Verify(signers.Auditors, signers.Security, r.Now()); err != nil {
		return nil, err
	}
	return a, r.drop(ctx, &signers, a, act)
}

func (r *Retention) drop(ctx context.Context, signers *Signers, a *approval.Act, act lineage.Act) error {
	r.dropping.Lock()
	defer r.dropping.Unlock()
	if err := r.Log.Drop(ctx, act, act.Record()); err != nil {
		return err
	}
	if signers.Unapproved {
		r.Logger.Warn("SINGLE OFFICER: nobody but weir.yaml says who signs acts of retention")
	}
	r.told(a)
	return nil
}

func (r *Retention) told(a *approval.Act) {
	r.Logger.Warn("a data key of the ledger was dropped: its records are redacted", "month", a.Month, "level", a.Level, "key", a.Key,
		"auditor", a.SignedFor(approval.OfficeAuditor), "security", a.SignedFor(approval.OfficeSecurity))
}

// Resume ends what was begun when the process ended. What is recorded goes on
// whatever has changed since. What is not must be an act that could have begun
// when it did: a text that somebody put there drops nothing, and keeps the node
// from starting.
func (r *Retention) Resume(ctx context.Context) error {
	begun, err := r.Log.Unfinished()
	if err != nil {
		return err
	}
	for _, act := range begun {
		recorded, err := r.Log.Resume(act)
		if err == nil && !recorded {
			err = r.resume(ctx, act)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(r.Dir, lineage.KeysFolder, act.Name.String()+".dropped"), err)
		}
		r.Logger.Warn("an act of retention that was begun is done", "month", act.Name.Month.String(), "level", int(act.Name.Level))
	}
	return nil
}

func (r *Retention) resume(ctx context.Context, begun lineage.Act) error {
	signers, err := r.Signers(ctx)
	if err != nil {
		return err
	}
	a, act, err := signers.read(begun.Text, r.Log.Origin(), r.Now())
	if err != nil {
		return err
	}
	if act != begun {
		return fmt.Errorf("%w: it is about another key", approval.ErrInvalid)
	}
	// Nobody knows when it was begun: it was in time.
	at := r.Now()
	if at.After(a.Expires) {
		at = a.Expires
	}
	if err := a.Verify(signers.Auditors, signers.Security, at); err != nil {
		return err
	}
	return r.drop(ctx, &signers, a, act)
}
