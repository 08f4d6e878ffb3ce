package gateway

import (
	"context"
	"fmt"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/authz/approval"
	"github.com/weir-data/weir/resolvers/control"
)

var _ control.Policies = (*Revisions)(nil)

// Policies shows the revisions to the control graph; nil where one officer is
// enough.
func (r *Revisions) Policies() control.Policies {
	if r.two == nil {
		return nil
	}
	return r
}

// Revisions implements control.Policies.
func (r *Revisions) Revisions(ctx context.Context, most int) ([]control.Revision, error) {
	var out []control.Revision
	if p := r.two.pending.Load(); p != nil {
		v, err := r.waiting(ctx, p)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	kept, err := r.two.Store.Revisions(ctx, most)
	if err != nil {
		return nil, err
	}
	active := *r.two.active.Load()
	for _, k := range kept {
		if len(out) == most {
			break
		}
		v := control.Revision{Digest: k.Hash, Parent: k.Parent, State: "SUPERSEDED", At: k.At, How: k.How, Approval: k.Approval}
		if k.Hash == active {
			v.State, active = control.ActiveRevision, ""
		}
		out = append(out, v)
	}
	return out, nil
}

// waiting tells of the pending revision, with what was signed of it.
func (r *Revisions) waiting(ctx context.Context, p *Pending) (control.Revision, error) {
	text, err := r.two.Store.ApprovalOf(ctx, p.Revision, p.Parent)
	if err != nil {
		return control.Revision{}, err
	}
	return control.Revision{
		Digest: p.Revision, Parent: p.Parent, State: control.PendingRevision, At: p.Since, Approval: text, Direction: p.Changes.Direction,
	}, nil
}

// Draft implements control.Policies.
func (r *Revisions) Draft(ctx context.Context, from, to string) (*authz.Draft, error) {
	before, err := r.revisionOf(ctx, from)
	if err != nil {
		return nil, err
	}
	after, err := r.revisionOf(ctx, to)
	if err != nil {
		return nil, err
	}
	return r.folders.Compare(before, after)
}

// revisionOf finds a kept revision, or the pending one.
func (r *Revisions) revisionOf(ctx context.Context, name string) (*Revision, error) {
	p := r.two.pending.Load()
	if p != nil && (name == control.PendingRevision || name == p.Revision) {
		return p.Content, nil
	}
	if name == control.ActiveRevision {
		name = *r.two.active.Load()
	}
	kept, ok, err := r.two.Store.RevisionOf(ctx, name)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, control.ErrNoRevision
	}
	return unpackRevision(kept.Content)
}

// Sign implements control.Policies. What is signed must be what waits; the
// signatures are checked with the keys of the officers of the revision in force.
func (r *Revisions) Sign(ctx context.Context, officer, text string, second bool) (control.Revision, error) {
	p := r.two.pending.Load()
	if p == nil {
		return control.Revision{}, control.ErrNoRevision
	}
	a, err := approval.Parse(text)
	if err != nil {
		return control.Revision{}, err
	}
	if a.Revision != p.Revision || a.Parent != p.Parent {
		return control.Revision{}, fmt.Errorf("%w: it is not about the revision that waits", approval.ErrInvalid)
	}
	signer := a.Proposed.Officer
	if second {
		signer, err = a.Approved.Officer, a.Verify(p.approvers, r.now())
	} else {
		a.Approved = approval.Signature{}
		err = a.VerifyProposal(p.approvers, r.now())
	}
	if err == nil && signer != officer {
		err = fmt.Errorf("%w: the token is not that of the officer who signed", approval.ErrInvalid)
	}
	if err != nil {
		return control.Revision{}, err
	}
	if err := r.two.Store.SaveApproval(ctx, p.Revision, p.Parent, a.String(), r.now()); err != nil {
		return control.Revision{}, err
	}
	v, err := r.waiting(ctx, p)
	if second {
		r.two.again.Store(true) // seen at the next look at the folders
	}
	return v, err
}
