package control

import (
	"context"
	"errors"
	"time"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/authz/approval"
	generated "github.com/weir-data/weir/graph/control"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/resolvers"
)

// Policies are the revisions that need two officers where they widen rights.
type Policies interface {
	// Revisions lists the waiting one, the one in force and those before it,
	// newest first.
	Revisions(ctx context.Context, most int) ([]Revision, error)
	// Draft compares two by digest, ActiveRevision or PendingRevision;
	// ErrNoRevision where there is no such.
	Draft(ctx context.Context, from, to string) (*authz.Draft, error)
	// Sign takes an officer's proposal, or with second an approval. The error is
	// ErrNoRevision, or of approval's kinds.
	Sign(ctx context.Context, officer, text string, second bool) (Revision, error)
}

// ErrNoRevision means that nothing waits, or no revision has that digest.
var ErrNoRevision = errors.New("there is no such revision")

// Names that stand for digests.
const (
	ActiveRevision  = "ACTIVE"
	PendingRevision = "PENDING"
)

// Revision is one state of schema, policy and settings.
type Revision struct {
	Digest, Parent string
	State          string // ACTIVE, PENDING, SUPERSEDED
	At             time.Time
	How            string // "" while it waits
	Approval       string // signed text, "" for none
	Direction      authz.Direction
}

// office refuses whoever does not hold the security office, and nodes on which
// one officer is enough.
func (r *Resolver) office(ctx context.Context) (*resolvers.Request, error) {
	req, s, err := reader(ctx)
	if err != nil {
		return nil, err
	}
	if !r.holdsSecurity(req, s.view) {
		return nil, &plan.Error{Code: plan.Forbidden, Message: sentence(plan.Forbidden)}
	}
	if r.policies == nil {
		return nil, &plan.Error{Code: plan.BadRequest, Message: "on this node one officer widens rights alone: no revision waits, and none is kept"}
	}
	return req, nil
}

// maxRevisions bounds a list.
const maxRevisions = 200

func (r *Resolver) revisions(ctx context.Context, last int) ([]generated.PolicyRevision, error) {
	if _, err := r.office(ctx); err != nil {
		return nil, err
	}
	if last < 1 || last > maxRevisions {
		return nil, &plan.Error{Code: plan.BadRequest, Message: "last is not between 1 and 200"}
	}
	list, err := r.policies.Revisions(ctx, last)
	if err != nil {
		return nil, err
	}
	out := make([]generated.PolicyRevision, 0, len(list))
	for i := range list {
		out = append(out, *revisionOf(&list[i]))
	}
	return out, nil
}

func revisionOf(v *Revision) *generated.PolicyRevision {
	out := &generated.PolicyRevision{
		Revision: v.Digest, Parent: v.Parent, State: generated.PolicyState(v.State),
		At: v.At.UTC().Format(time.RFC3339), How: optional(v.How), Approval: optional(v.Approval),
	}
	if a, err := approval.Parse(v.Approval); err == nil {
		out.ProposedBy, out.ApprovedBy = optional(a.Proposed.Officer), optional(a.Approved.Officer)
	}
	if v.State == PendingRevision {
		out.Widens, out.Narrows = &v.Direction.Widens, &v.Direction.Narrows
	}
	return out
}

func (r *Resolver) policyDiff(ctx context.Context, from, to string) (*generated.PolicyChanges, error) {
	if _, err := r.office(ctx); err != nil {
		return nil, err
	}
	draft, err := r.policies.Draft(ctx, from, to)
	if err != nil {
		return nil, publicly(err)
	}
	changes := draft.Changes
	out := &generated.PolicyChanges{Widens: changes.Widens, Narrows: changes.Narrows, Changes: []generated.PolicyChange{}, Draft: draft}
	for i := range changes.List {
		c := &changes.List[i]
		one := generated.PolicyChange{
			Roles: append([]string{}, c.Roles...), Together: c.Together, Coordinates: []string{},
			Widens: c.Widens, Narrows: c.Narrows, Text: c.Lines(),
		}
		for _, at := range c.Coordinates {
			one.Coordinates = append(one.Coordinates, at.String())
		}
		out.Changes = append(out.Changes, one)
	}
	return out, nil
}

// sign takes a signature from the officer whose token it is.
func (r *Resolver) sign(ctx context.Context, text string, second bool) (*generated.PolicyRevision, error) {
	req, err := r.office(ctx)
	if err != nil {
		return nil, err
	}
	v, err := r.policies.Sign(ctx, req.Subject.ID, text, second)
	if err != nil {
		return nil, publicly(err)
	}
	return revisionOf(&v), nil
}

// publicly tells officers what is wrong with what they sent; other errors are
// faults.
func publicly(err error) error {
	if errors.Is(err, ErrNoRevision) || errors.Is(err, approval.ErrFormat) || errors.Is(err, approval.ErrInvalid) || errors.Is(err, lineage.ErrRetention) {
		return &plan.Error{Code: plan.BadRequest, Message: err.Error()}
	}
	return err
}
