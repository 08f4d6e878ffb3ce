package control

import (
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/weir-data/weir/authz"
	generated "github.com/weir-data/weir/graph/control"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/schema"
)

// capabilities lists a set, strongest first.
func capabilities(caps authz.Caps) []generated.Capability {
	out := []generated.Capability{}
	for _, c := range [...]struct {
		cap  authz.Caps
		name generated.Capability
	}{
		{authz.Clear, generated.CapabilityClear},
		{authz.Mask, generated.CapabilityMask},
		{authz.Aggregate, generated.CapabilityAggregate},
		{authz.Match, generated.CapabilityMatch},
	} {
		if caps.Has(c.cap) {
			out = append(out, c.name)
		}
	}
	return out
}

// accessOf says what is held on a coordinate. field is nil for a row. It tells
// the reader's own grants, never a rule, another role, or another reader.
func accessOf(g *authz.Grants, field *schema.Field) *generated.Access {
	out := &generated.Access{Capability: generated.CapabilityNone, Scopes: []generated.ScopedAccess{}}
	held := g.Potential()
	reason := reasonOf(authz.ReasonPolicy)
	if g != nil {
		reason = reasonOf(g.Reason)
		for _, c := range g.Clauses {
			out.Scopes = append(out.Scopes, generated.ScopedAccess{Scope: c.Scope, Capabilities: capabilities(c.Caps), Denied: c.Deny})
		}
	}
	// Rows and relations need no mask to be seen where mask is held.
	if field != nil && field.Relation == nil && field.Mask == nil && held.Has(authz.Mask) && !held.Has(authz.Clear) {
		held &^= authz.Mask
		reason = reasonOf(authz.ReasonNoMask)
	}
	if names := capabilities(held); len(names) > 0 {
		out.Capability = names[0]
	}
	if !g.Always().Has(authz.Clear) {
		out.Reason = &reason
	}
	return out
}

func reasonOf(r authz.Reason) generated.Reason {
	switch r {
	case authz.ReasonPurpose:
		return generated.ReasonPurpose
	case authz.ReasonSharing:
		return generated.ReasonSharing
	case authz.ReasonNoMask:
		return generated.ReasonNoMask
	default:
		return generated.ReasonPolicy
	}
}

// sight is what one reader can know of one catalogue: what his shape of the data
// API has.
type sight struct {
	catalogue *schema.Catalogue
	view      *authz.View
	api       *ast.Schema // nil where nothing is left for him
}

// sightOf gives the reader's, under the purpose that he states.
func sightOf(g *plan.Generation, s *authz.Subject, purpose string) (sight, error) {
	p := s.Profile(purpose)
	out := sight{catalogue: g.Catalogue, view: g.Table.View(p)}
	shape, errs := g.Shape(p)
	switch {
	case errs == nil:
		out.api = shape.API()
	case errs[0].Code != plan.Forbidden:
		return sight{}, errs[0]
	}
	return out, nil
}

// find gives a type and those of its fields that the reader may know of, in the
// order of the schema; nil where he may not know of it, which reads exactly as
// where it does not exist.
func (s sight) find(name string) (*schema.Type, []*schema.Field) {
	t := s.catalogue.Types[name]
	if t == nil || s.api == nil || s.api.Types[name] == nil {
		return nil, nil
	}
	known := s.api.Types[name].Fields
	var fields []*schema.Field
	for _, f := range t.Fields {
		if known.ForName(f.Name) != nil {
			fields = append(fields, f)
		}
	}
	return t, fields
}

func (s sight) access(t *schema.Type, f *schema.Field) *generated.Access {
	if f == nil {
		return accessOf(s.view.Grants(schema.Coordinate{Type: t.Name}), nil)
	}
	return accessOf(s.view.Grants(f.Coordinate), f)
}

func (s sight) level(r schema.Rank) *generated.Level {
	out := &generated.Level{Name: s.catalogue.Levels.Name(r), Rank: int(r), Titles: &generated.Titles{}}
	if int(r) < len(s.catalogue.Levels) {
		l := s.catalogue.Levels[r]
		out.Titles = titlesOf(Titles{ZH: l.ZH, EN: l.EN})
	}
	return out
}

func titlesOf(t Titles) *generated.Titles {
	return &generated.Titles{Zh: optional(t.ZH), En: optional(t.EN)}
}

// optional is null for "".
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
