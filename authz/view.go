package authz

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/weir-data/weir/schema"
)

// View is the table for one left-hand side: what a kind of reader holds on every
// coordinate. Immutable.
type View struct {
	table   *Table
	key     string
	roles   []string
	profile Profile
	grants  []*Grants // by slot
	hidden  *Hidden   // nil for nothing
}

// Grants gives what the reader holds on the coordinate; nil, on which nothing
// is granted, for one that does not exist. It does not allocate.
func (v *View) Grants(c schema.Coordinate) *Grants {
	if v == nil {
		return nil
	}
	slot, ok := v.table.slots[c]
	if !ok {
		return nil
	}
	return v.grants[slot]
}

// Key identifies the view within its table: equal keys, equal grants.
func (v *View) Key() string { return v.key }

// Roles are the reader's roles that the policy knows, with all that they
// inherit, sorted. The caller does not change them.
func (v *View) Roles() []string { return v.roles }

// Purpose is the one under which the grants hold, "" for none.
func (v *View) Purpose() string { return v.profile.Purpose }

// Profile gives the part of the subject that decisions depend on, under a
// stated purpose ("" for none).
func (s *Subject) Profile(purpose string) Profile {
	if s == nil {
		return Profile{}
	}
	return Profile{Roles: s.Roles, Department: s.Department, Purposes: s.Purposes, Purpose: purpose}
}

// View gives the view of a profile. Views are made on first use and kept; a
// profile seen before costs one look-up and no allocation. A purpose that is
// stated but not open grants nothing.
func (t *Table) View(p Profile) *View {
	var room [512]byte
	raw := p.appendKey(room[:0])
	t.mu.RLock()
	v := t.views[string(raw)]
	t.mu.RUnlock()
	if v != nil {
		return v
	}
	return t.makeView(p, string(raw))
}

// appendKey encodes the profile so that different ones never collide: every
// string and list comes with its length.
func (p *Profile) appendKey(b []byte) []byte {
	b = appendList(b, p.Roles)
	b = appendText(b, p.Department)
	b = appendList(b, p.Purposes)
	return appendText(b, p.Purpose)
}

func appendList(b []byte, list []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = appendText(b, s)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// canonical drops what decides nothing: order, repetition, roles without
// rules, purposes that are not registered.
func (t *Table) canonical(p Profile) Profile {
	c := Profile{Department: p.Department, Purpose: p.Purpose}
	for _, r := range sorted(p.Roles) {
		if t.roles[r] != nil || t.limit != nil && t.limit.roles[r] != nil {
			c.Roles = append(c.Roles, r)
		}
	}
	for _, u := range sorted(p.Purposes) {
		if _, ok := slices.BinarySearch(t.settings.Purposes, u); ok {
			c.Purposes = append(c.Purposes, u)
		}
	}
	return c
}

func (t *Table) makeView(p Profile, raw string) *View {
	p = t.canonical(p)
	key := string(p.appendKey(nil))
	t.mu.RLock()
	v := t.views[key]
	t.mu.RUnlock()
	if v == nil {
		v = t.build(p, key)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if first := t.views[key]; first != nil {
		v = first
	} else {
		for i, g := range v.grants {
			if known := t.interned[g.Digest]; known != nil {
				v.grants[i] = known
			} else {
				t.interned[g.Digest] = g
			}
		}
	}
	if len(t.views)+2 > maxViews {
		clear(t.views)
	}
	t.views[key], t.views[raw] = v, v
	return v
}

func (t *Table) build(p Profile, key string) *View {
	v := &View{table: t, key: key, profile: p, grants: make([]*Grants, len(t.cells))}
	v.roles = t.inherits.closure(p.Roles...)
	d := decider{table: t, side: side{department: p.Department, purposes: p.Purposes, purpose: p.Purpose}}
	d.side.refused = p.Purpose != "" && !slices.Contains(p.Purposes, p.Purpose)
	d.collect(v.roles)
	equal := make(map[[16]byte]*Grants)
	for i := range t.cells {
		g := d.decide(&t.cells[i])
		if first := equal[g.Digest]; first != nil {
			g = first
		} else {
			equal[g.Digest] = g
		}
		v.grants[i] = g
	}
	if t.limit != nil {
		v.narrow(p)
	}
	v.hidden = hiddenOf(t, v.grants)
	return v
}

// decider works out the cells of one view.
type decider struct {
	table *Table
	side  side
	rules map[string][]compiled // of all the view's roles, by resource

	allows []candidate
	denies clauses
}

// candidate is an allow rule that reaches the cell.
type candidate struct {
	purpose string
	scope   string
	caps    Caps
	capped  bool // the sharing class stops it
}

// collect joins the rules of the roles, leaving out repetitions.
func (d *decider) collect(roles []string) {
	d.rules = make(map[string][]compiled)
	seen := make(map[string]map[compiled]bool)
	for _, name := range roles {
		for res, rules := range d.table.roles[name] {
			if len(roles) == 1 {
				d.rules[res] = rules
				continue
			}
			known := seen[res]
			if known == nil {
				known = make(map[compiled]bool, len(rules))
				seen[res] = known
			}
			for _, r := range rules {
				if !known[r] {
					known[r] = true
					d.rules[res] = append(d.rules[res], r)
				}
			}
		}
	}
}

// gather finds the rules that reach the cell.
func (d *decider) gather(c *cell) {
	d.allows, d.denies = d.allows[:0], d.denies[:0]
	for _, res := range c.resources {
		for i := range d.rules[res] {
			r := &d.rules[res][i]
			if !r.reaches(c) {
				continue
			}
			scope, ok := r.resolve(c, &d.side)
			switch {
			case !ok:
			case r.deny:
				d.denies.add(scope, r.caps)
			default:
				d.allows = append(d.allows, candidate{r.purpose, scope, r.caps, !r.shared(c, &d.side)})
			}
		}
	}
}

func (d *decider) decide(c *cell) *Grants {
	d.gather(c)
	now := d.under(c, d.side.purpose, d.side.refused, true)
	g := &Grants{Clauses: now.clauses()}
	elsewhere := false
	for _, purpose := range d.side.purposes {
		if purpose == d.side.purpose {
			continue
		}
		other := d.under(c, purpose, false, true)
		g.WithPurpose |= other.potential()
		elsewhere = elsewhere || other.exceeds(&now)
	}
	uncapped := d.under(c, d.side.purpose, d.side.refused, false)
	switch {
	case d.side.refused, elsewhere, d.side.purpose == "" && c.level >= d.table.settings.PurposeRequiredFrom:
		g.Reason = ReasonPurpose
	case uncapped.exceeds(&now):
		g.Reason = ReasonSharing
	default:
		g.Reason = ReasonPolicy
	}
	g.Hidden = c.level >= d.table.settings.HideFrom && !d.everGranted(c)
	g.Digest = g.digest()
	return g
}

// everGranted reports whether policy alone, whatever the sharing class, grants
// anything under some scope and some purpose open to the reader.
func (d *decider) everGranted(c *cell) bool {
	none := d.under(c, "", false, false)
	if none.potential() != None {
		return true
	}
	for _, purpose := range d.side.purposes {
		under := d.under(c, purpose, false, false)
		if under.potential() != None {
			return true
		}
	}
	return false
}

// under gives what the rules say under a purpose.
func (d *decider) under(c *cell, purpose string, refused, capped bool) holding {
	var h holding
	if refused || purpose == "" && c.level >= d.table.settings.PurposeRequiredFrom {
		return h
	}
	for i := range d.allows {
		a := &d.allows[i]
		if a.capped && capped || a.purpose != wildcard && a.purpose != purpose {
			continue
		}
		h.allow.add(a.scope, a.caps)
	}
	h.deny = slices.Clone(d.denies)
	h.settle()
	return h
}

// clauses are capabilities by scope, at most one entry for each scope. There
// are a handful, so they are searched in line.
type clauses []Clause

func (cs *clauses) add(scope string, caps Caps) {
	for i := range *cs {
		if (*cs)[i].Scope == scope {
			(*cs)[i].Caps |= caps
			return
		}
	}
	*cs = append(*cs, Clause{Scope: scope, Caps: caps})
}

func (cs clauses) caps(scope string) Caps {
	for i := range cs {
		if cs[i].Scope == scope {
			return cs[i].Caps
		}
	}
	return None
}

// holding is what a reader holds on a cell.
type holding struct {
	allow, deny clauses
}

// settle brings a holding to its canonical form. An allow under a scope becomes
// what is held where that scope alone is true, and goes when that is no more
// than what is held everywhere; a deny keeps what it can still remove. So equal
// holdings have equal clauses, and what is denied everywhere is gone.
func (h *holding) settle() {
	everywhere := h.allow.caps(ScopeAll) &^ h.deny.caps(ScopeAll)
	never := h.deny.caps(ScopeAll)
	allow := h.allow[:0]
	for _, a := range h.allow {
		if a.Scope == ScopeAll {
			continue
		}
		a.Caps = (a.Caps | everywhere) &^ never &^ h.deny.caps(a.Scope)
		if a.Caps&^everywhere != None {
			allow = append(allow, a)
		}
	}
	if everywhere != None {
		allow = append(allow, Clause{Scope: ScopeAll, Caps: everywhere})
	}
	h.allow = allow
	deny := h.deny[:0]
	for _, n := range h.deny {
		if n.Scope == ScopeAll {
			continue
		}
		var elsewhere Caps
		for _, a := range h.allow {
			if a.Scope != n.Scope {
				elsewhere |= a.Caps
			}
		}
		if n.Caps &= elsewhere; n.Caps != None {
			n.Deny = true
			deny = append(deny, n)
		}
	}
	h.deny = deny
}

func (h *holding) potential() Caps {
	var caps Caps
	for _, a := range h.allow {
		caps |= a.Caps
	}
	return caps
}

// exceeds reports whether some row exists on which h holds more than other.
// Both are settled.
func (h *holding) exceeds(other *holding) bool {
	a, b := Grants{Clauses: h.clauses()}, Grants{Clauses: other.clauses()}
	return !b.Covers(&a)
}

// clauses lists allow and deny in the order that [Grants] promises.
func (h *holding) clauses() []Clause {
	if len(h.allow) == 0 {
		return nil
	}
	byScope := func(a, b Clause) int { return strings.Compare(a.Scope, b.Scope) }
	slices.SortFunc(h.allow, byScope)
	slices.SortFunc(h.deny, byScope)
	return append(slices.Clone([]Clause(h.allow)), h.deny...)
}

// digest hashes all that the grants say.
func (g *Grants) digest() [16]byte {
	var room [256]byte
	b := append(room[:0], "weir grants 1\x00"...)
	b = append(b, byte(g.Reason), byte(g.WithPurpose), bit(g.Hidden))
	for _, c := range g.Clauses {
		b = appendText(b, c.Scope)
		b = append(b, byte(c.Caps), bit(c.Deny))
	}
	sum := sha256.Sum256(b)
	return [16]byte(sum[:16])
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}
