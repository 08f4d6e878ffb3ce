package control

import (
	"github.com/weir-data/weir/authz"
	generated "github.com/weir-data/weir/graph/control"
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

// sight is what one reader can know of one catalogue.
type sight struct {
	catalogue *schema.Catalogue
	view      *authz.View
}

// hidden reports a coordinate that the reader must not learn of.
func (s sight) hidden(c schema.Coordinate) bool {
	g := s.view.Grants(c)
	// What the table does not know was never decided.
	return g == nil || g.Hidden
}

// fields are those that the reader may know of, in the order of the schema. A
// relation names its target, so it goes where all that it leads to is hidden.
func (s sight) fields(t *schema.Type) []*schema.Field {
	var out []*schema.Field
	for _, f := range t.Fields {
		if s.hidden(f.Coordinate) || f.Relation != nil && !s.leadsToKnown(f.Relation) {
			continue
		}
		out = append(out, f)
	}
	return out
}

func (s sight) leadsToKnown(r *schema.Relation) bool {
	for _, member := range s.catalogue.MembersOf(r.Target) {
		if !s.hidden(schema.Coordinate{Type: member}) {
			return true
		}
	}
	return false
}

// find gives a type and its fields; nil where the reader may not know of it,
// which reads exactly as where it does not exist.
func (s sight) find(name string) (*schema.Type, []*schema.Field) {
	t := s.catalogue.Types[name]
	if t == nil || s.hidden(schema.Coordinate{Type: name}) {
		return nil, nil
	}
	fields := s.fields(t)
	if len(fields) == 0 {
		return nil, nil
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
