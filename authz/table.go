package authz

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/weir-data/weir/schema"
)

// ErrPolicy is the kind of the error of a policy that cannot be compiled.
var ErrPolicy = errors.New("policy refused")

// maxViews bounds what a table keeps. Profiles come from tokens, so there are as
// many as there are kinds of readers; when the bound is reached the cache starts
// anew.
const maxViews = 4096

// Table is a compiled policy over one catalogue. It is immutable but for its
// caches, and safe for concurrent use.
type Table struct {
	settings Settings
	levels   schema.Levels
	revision string
	// policy and catalogue are what it was compiled from, for explanations and
	// comparisons.
	policy    *Policy
	catalogue *schema.Catalogue
	roles     map[string]role
	inherits  inheritance
	cells     []cell
	slots     map[schema.Coordinate]int
	all       []schema.Coordinate // of the cells
	limit     *Table              // nothing is granted that it does not; nil for none

	mu       sync.RWMutex
	views    map[string]*View
	interned map[[16]byte]*Grants
}

// role is what one role's own lines say, by resource.
type role map[string][]compiled

// compiled is a rule ready to be matched. Rules that differ in access alone are
// one.
type compiled struct {
	department string
	level      schema.Rank
	purpose    string
	scope      string
	deny       bool
	caps       Caps // what it grants, closed, or what it removes
}

// cell is what decisions need to know of a coordinate.
type cell struct {
	coordinate schema.Coordinate
	department string
	level      schema.Rank
	sharing    schema.SharingMode
	resources  [3]string // those that cover it
	typ        *schema.Type
	personal   bool // a @subject of the row covers it
}

// Compile makes the table of a policy. A policy whose words cannot be
// understood is refused with [ErrPolicy] and [schema.Diagnostics]; whether it
// makes sense is for [Lint] to say.
func Compile(p *Policy, c *schema.Catalogue, s Settings) (*Table, error) {
	l := newLinter(p, c, s)
	l.words()
	l.cycles()
	if l.found.Failed() {
		l.found.Sort()
		return nil, fmt.Errorf("%w: %w", ErrPolicy, l.found)
	}
	t := &Table{
		settings: s, levels: c.Levels, revision: p.Revision, policy: p, catalogue: c,
		roles: make(map[string]role), inherits: p.inheritance(),
		cells: cells(c),
		views: make(map[string]*View), interned: make(map[[16]byte]*Grants),
	}
	t.settings.Purposes = s.registered()
	t.slots = make(map[schema.Coordinate]int, len(t.cells))
	for i := range t.cells {
		t.slots[t.cells[i].coordinate] = i
		t.all = append(t.all, t.cells[i].coordinate)
	}
	t.addRules(p)
	for _, i := range p.Inherits {
		t.role(i.Role)
		t.role(i.Parent)
	}
	return t, nil
}

// Revision is that of the policy.
func (t *Table) Revision() string { return t.revision }

// SchemaRevision is that of the catalogue.
func (t *Table) SchemaRevision() string { return t.catalogue.Revision }

// Level gives the level of a coordinate, by name; "" where there is no such.
func (t *Table) Level(c schema.Coordinate) string {
	slot, ok := t.slots[c]
	if !ok {
		return ""
	}
	return t.levels.Name(t.cells[slot].level)
}

// Coordinates are all that the table decides, by type and in SDL order. The
// caller does not change them.
func (t *Table) Coordinates() []schema.Coordinate { return t.all }

// Roles are those that the policy knows, sorted: by a rule or by inheritance.
func (t *Table) Roles() []string {
	out := make([]string, 0, len(t.roles))
	for name := range t.roles {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func (t *Table) role(name string) role {
	r := t.roles[name]
	if r == nil {
		r = make(role)
		t.roles[name] = r
	}
	return r
}

func (t *Table) addRules(p *Policy) {
	type place struct {
		role, resource string
		rule           compiled // without caps
	}
	seen := make(map[place]int, len(p.Rules))
	for i := range p.Rules {
		r := &p.Rules[i]
		caps, _ := parseAccess(r.Access)
		level, _ := t.levels.Rank(r.Level)
		c := compiled{department: r.Department, level: level, purpose: r.Purpose, scope: r.Scope, deny: r.deny()}
		own := t.role(r.Role)
		at, ok := seen[place{r.Role, r.Resource, c}]
		if !ok {
			at = len(own[r.Resource])
			own[r.Resource] = append(own[r.Resource], c)
			seen[place{r.Role, r.Resource, c}] = at
		}
		if c.deny {
			caps = caps.Denied()
		} else {
			caps = caps.Closure()
		}
		own[r.Resource][at].caps |= caps
	}
}

// cells lists the coordinates of a catalogue, by type and in SDL order.
func cells(c *schema.Catalogue) []cell {
	names := make([]string, 0, len(c.Types))
	for n := range c.Types {
		names = append(names, n)
	}
	slices.Sort(names)
	var out []cell
	for _, n := range names {
		typ := c.Types[n]
		add := func(field string, level schema.Rank) {
			co := schema.Coordinate{Type: n, Field: field}
			out = append(out, cell{
				coordinate: co, department: typ.Source.Department, level: level, sharing: typ.Sharing.Mode,
				resources: [3]string{wildcard, n + "." + wildcard, resource(co)},
				typ:       typ, personal: len(typ.Covering(field)) > 0,
			})
		}
		add("", typ.Level)
		for _, f := range typ.Fields {
			add(f.Name, f.Level)
		}
	}
	return out
}

// sorted gives the distinct strings in order.
func sorted(s []string) []string {
	if len(s) == 0 {
		return nil
	}
	out := slices.Clone(s)
	slices.Sort(out)
	return slices.Compact(out)
}

// side is a profile's side of a decision.
type side struct {
	department string
	purposes   []string // open and registered
	purpose    string   // stated
	refused    bool     // a purpose is stated that is not open
}

// reaches reports whether the rule is about the cell at all: its department and
// its level.
func (r *compiled) reaches(c *cell) bool {
	if r.department != wildcard && r.department != c.department {
		return false
	}
	if r.deny {
		return c.level >= r.level
	}
	return c.level <= r.level
}

// shared reports whether the sharing class lets an allow through. Denies are
// never capped.
func (r *compiled) shared(c *cell, s *side) bool {
	switch c.sharing {
	case schema.Unconditional:
		return true
	case schema.Conditional:
		return c.level == 0 || r.department == c.department
	case schema.WithheldSharing:
		return r.scope == ScopeSelf || s.department != "" && s.department == c.department
	}
	return false
}

// resolve gives the scope that remains to be asked of a row, and whether the
// rule can matter. A scope that the type does not declare is unknown: false in
// an allow, true in a deny.
func (r *compiled) resolve(c *cell, s *side) (string, bool) {
	switch r.scope {
	case ScopeAll, ScopeByKey:
		return r.scope, true
	case ScopeSelf:
		return r.scope, c.personal
	case ScopeOwnDepartment:
		if s.department == "" {
			return ScopeAll, r.deny
		}
		return ScopeAll, s.department == c.department
	}
	if c.typ.Scope(r.scope) != nil {
		return r.scope, true
	}
	return ScopeAll, r.deny
}
