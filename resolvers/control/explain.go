package control

import (
	"path/filepath"
	"slices"

	"github.com/weir-data/weir/authz"
	generated "github.com/weir-data/weir/graph/control"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/resolvers"
	"github.com/weir-data/weir/schema"
)

// asked is whom an explanation is about; the zero value is the reader himself.
type asked struct {
	roles               []string
	department, purpose *string
}

func (a asked) himself() bool { return a.roles == nil && a.department == nil && a.purpose == nil }

// holdsSecurity reports whether the reader edits the policy.
func (r *Resolver) holdsSecurity(req *resolvers.Request, view *authz.View) bool {
	return slices.Contains(r.officesOf(req.Subject, view), generated.OfficeSecurity)
}

// explain answers for the reader himself, and for the security office about
// anybody. What is hidden from a reader is explained as what does not exist.
func (r *Resolver) explain(req *resolvers.Request, s sight, coordinate string, about asked) (*generated.Explanation, error) {
	security := r.holdsSecurity(req, s.view)
	at := schema.ParseCoordinate(coordinate)
	t, field := s.catalogue.Types[at.Type], (*schema.Field)(nil)
	profile := req.Subject.Profile(req.Purpose)
	if about.himself() {
		t, _ = s.find(at.Type)
	} else {
		if !security {
			return nil, &plan.Error{Code: plan.Forbidden, Message: sentence(plan.Forbidden)}
		}
		var err error
		if profile, err = r.profileOf(req, about); err != nil {
			return nil, err
		}
	}
	if t == nil {
		return nil, nil
	}
	if !at.Row() {
		if field = t.Field(at.Field); field == nil || about.himself() && !s.shows(t, field) {
			return nil, nil
		}
	}
	e := req.Generation.Table.Explain(profile, at)
	out := &generated.Explanation{
		Coordinate: at.String(), Owner: e.Department, Level: e.Level,
		Roles: append([]string{}, profile.Roles...), Purpose: optional(profile.Purpose),
		Access: accessOf(e.Grants, field), Hidden: e.Grants.Hidden,
		AllowedBy: rulesOf(e.Allow), DeniedBy: rulesOf(e.Deny),
	}
	if security && e.Nearest != nil {
		out.Nearest = &rulesOf([]authz.Deciding{*e.Nearest})[0]
	}
	return out, nil
}

// profileOf is a reader as the security office imagines him: every registered
// purpose is open to him.
func (r *Resolver) profileOf(req *resolvers.Request, about asked) (authz.Profile, error) {
	p := authz.Profile{Roles: about.roles}
	for id := range r.purposes {
		p.Purposes = append(p.Purposes, id)
	}
	slices.Sort(p.Purposes)
	if about.department != nil {
		p.Department = *about.department
	}
	if about.purpose != nil {
		p.Purpose = *about.purpose
	}
	known := req.Generation.Table.Roles()
	for _, role := range p.Roles {
		if !slices.Contains(known, role) {
			return p, &plan.Error{Code: plan.BadRequest, Message: "the policy knows no such role"}
		}
	}
	if p.Purpose != "" && !slices.Contains(p.Purposes, p.Purpose) {
		return p, &plan.Error{Code: plan.BadRequest, Message: "the purpose is not registered"}
	}
	return p, nil
}

// shows reports whether the reader may know of the field.
func (s sight) shows(t *schema.Type, f *schema.Field) bool {
	known, fields := s.find(t.Name)
	return known != nil && slices.Contains(fields, f)
}

func rulesOf(list []authz.Deciding) []generated.PolicyRule {
	out := make([]generated.PolicyRule, 0, len(list))
	for _, d := range list {
		out = append(out, generated.PolicyRule{
			// The folder is the operator's business.
			File: filepath.Base(d.Rule.Position.File), Line: d.Rule.Position.Line, Text: d.Rule.String(),
			Roles: append([]string{}, d.Roles...), Lacks: append([]string{}, d.Lacks...),
		})
	}
	return out
}
