package plan

import (
	"encoding/json"
	"strings"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/lineage"
)

// describe enters a selection into the access list: masked, withheld, or both
// where rows differ. It is a function of the plan and never of rows.
func (b *builder) describe(out *Field, c *cell) {
	clearly, masked, withheld := c.outcomes()
	e := AccessEntry{
		Field: c.field.Coordinate.String(), Path: out.Path, Level: b.cat.Levels.Name(c.field.Level),
		Rows: "ALL", Locations: out.Locations,
	}
	r := c.rights
	seen := authz.Mask // what must be held for anything to be shown
	if c.field.Mask == nil {
		seen = authz.Clear
	}
	if masked {
		m := e
		m.Mask = maskOf(c.field)
		if clearly || withheld {
			m.Rows = "SOME"
			m.When = r.lacking(authz.Clear)
			if withheld {
				m.When = join(", ", r.holding(authz.Mask), m.When)
			}
		}
		b.plan.Access.Masked = append(b.plan.Access.Masked, m)
	}
	if withheld {
		e.Reason = c.reason().String()
		if clearly || masked {
			e.Rows = "SOME"
			e.When = r.lacking(seen)
		}
		b.plan.Access.Withheld = append(b.plan.Access.Withheld, e)
	}
}

// describeRelation enters a relation that may not be traversed, from no row or
// from some.
func (b *builder) describeRelation(out *Field, c *cell) {
	if c.always(authz.Mask) {
		return
	}
	e := AccessEntry{
		Field: c.field.Coordinate.String(), Path: out.Path, Level: b.cat.Levels.Name(c.field.Level),
		Reason: c.reason().String(), Rows: "ALL", Locations: out.Locations,
	}
	if !c.never(authz.Mask) {
		e.Rows, e.When = "SOME", c.rights.lacking(authz.Mask)
	}
	b.plan.Access.Withheld = append(b.plan.Access.Withheld, e)
}

// withholdRows enters a type of which no row exists for the reader on this
// path, and gives the index of its use.
func (b *builder) withholdRows(out *Field, v *view) int {
	t := v.typ
	b.plan.Access.Withheld = append(b.plan.Access.Withheld, AccessEntry{
		Field: t.Name, Path: out.Path, Level: b.cat.Levels.Name(t.Level),
		Reason: v.row.reason().String(), Rows: "ALL", Locations: out.Locations,
	})
	return b.use(t, rowField(t), lineage.Select)
}

// lacking says on which rows a capability that some hold is missing.
func (r *rights) lacking(want authz.Caps) string {
	denied := words("inside ", " or ", r.deny, want, false)
	if r.base.Has(want) {
		return denied
	}
	return join(" or ", words("outside ", " and ", r.allow, want, !r.byKey.Has(want)), denied)
}

// holding is the converse of lacking.
func (r *rights) holding(want authz.Caps) string {
	denied := words("outside ", " and ", r.deny, want, true)
	if r.base.Has(want) {
		return denied
	}
	return join(", ", words("inside ", " or ", r.allow, want, true), denied)
}

// words lists the scopes of the clauses that concern a capability. pure leaves
// out that stating the key would give it as well.
func words(before, between string, cs []clause, want authz.Caps, pure bool) string {
	var names []string
	for _, c := range cs {
		if !c.caps.Any(want) {
			continue
		}
		name := c.scope
		if strings.HasPrefix(name, selfPrefix) {
			name = authz.ScopeSelf
		}
		if len(names) == 0 || names[len(names)-1] != name {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	if !pure && between == " and " {
		names = append(names, "by key")
	}
	return before + strings.Join(names, between)
}

func join(between string, parts ...string) string {
	var out []string
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, between)
}

// MarshalJSON gives the access list as it stands in extensions.weir.
func (a *Access) MarshalJSON() ([]byte, error) {
	type masked struct {
		Field string `json:"field"`
		Path  string `json:"path"`
		Level string `json:"level"`
		Mask  string `json:"mask"`
		Rows  string `json:"rows"`
		When  string `json:"when,omitempty"`
	}
	type withheld struct {
		Field  string `json:"field"`
		Path   string `json:"path"`
		Level  string `json:"level"`
		Reason string `json:"reason"`
		Rows   string `json:"rows"`
		When   string `json:"when,omitempty"`
	}
	type noised struct {
		Field string `json:"field"`
		Path  string `json:"path"`
		Level string `json:"level"`
	}
	var out struct {
		Masked   []masked   `json:"masked,omitempty"`
		Withheld []withheld `json:"withheld,omitempty"`
		Noised   []noised   `json:"noised,omitempty"`
	}
	for _, e := range a.Masked {
		out.Masked = append(out.Masked, masked{e.Field, e.Path, e.Level, e.Mask, e.Rows, e.When})
	}
	for _, e := range a.Withheld {
		out.Withheld = append(out.Withheld, withheld{e.Field, e.Path, e.Level, e.Reason, e.Rows, e.When})
	}
	for _, e := range a.Noised {
		out.Noised = append(out.Noised, noised{e.Field, e.Path, e.Level})
	}
	return json.Marshal(out)
}
