package control

import (
	"context"
	"slices"

	"github.com/weir-data/weir/authz"
	generated "github.com/weir-data/weir/graph/control"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/resolvers"
)

// reader gives the request and what its reader can know; a request that is not
// complete is refused.
func reader(ctx context.Context) (*resolvers.Request, sight, error) {
	req := resolvers.RequestFrom(ctx)
	if !complete(req) {
		return nil, sight{}, &plan.Error{Code: plan.Forbidden, Message: sentence(plan.Forbidden)}
	}
	s, err := sightOf(req.Generation, req.Subject, req.Purpose)
	return req, s, err
}

// me says who the reader is.
func (r *Resolver) me(req *resolvers.Request, view *authz.View) *generated.Me {
	s := req.Subject
	out := &generated.Me{
		Subject: s.ID, Application: optional(s.Application), Department: optional(s.Department),
		Roles: append([]string{}, view.Roles()...), Purposes: []generated.Purpose{}, Offices: r.officesOf(s, view),
	}
	for _, id := range s.Purposes {
		if _, registered := r.purposes[id]; registered {
			out.Purposes = append(out.Purposes, *r.purpose(id))
		}
	}
	if req.Purpose != "" {
		out.Purpose = r.purpose(req.Purpose)
	}
	return out
}

func (r *Resolver) purpose(id string) *generated.Purpose {
	p := r.purposes[id]
	return &generated.Purpose{ID: id, Titles: titlesOf(p.Titles), Basis: optional(p.Basis)}
}

// officesOf asks for the roles with all that they inherit, and for those of the
// token that the policy does not know.
func (r *Resolver) officesOf(s *authz.Subject, view *authz.View) []generated.Office {
	out := []generated.Office{}
	for _, o := range [...]struct {
		role   string
		office generated.Office
	}{
		{r.offices.Operator, generated.OfficeOperator},
		{r.offices.Security, generated.OfficeSecurity},
		{r.offices.Auditor, generated.OfficeAuditor},
	} {
		if o.role != "" && (slices.Contains(s.Roles, o.role) || slices.Contains(view.Roles(), o.role)) {
			out = append(out, o.office)
		}
	}
	return out
}

// holds says what the reader holds on a type, nil where there is none for him.
func (s sight) holds(name string) *generated.Holdings {
	t, fields := s.find(name)
	if t == nil {
		return nil
	}
	out := &generated.Holdings{Type: t.Name, Row: s.access(t, nil), Fields: []generated.FieldHolding{}}
	for _, f := range fields {
		out.Fields = append(out.Fields, generated.FieldHolding{Name: f.Name, Level: s.level(f.Level), Access: s.access(t, f)})
	}
	return out
}
