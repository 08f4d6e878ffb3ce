package plan

import (
	"reflect"
	"slices"
	"strings"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// rights are a coordinate's grants on one path: the scopes that belong to the
// path or to the reader are resolved, those that belong to the row remain.
type rights struct {
	grants      *authz.Grants
	base        authz.Caps // held on every row, before denies that depend on the row
	allow, deny []clause   // sorted by scope
	// byKey is what by_key gives on paths other than this one: for words only.
	byKey authz.Caps
}

// clause is one dynamic scope of a coordinate: a declared one, or
// "self:<field>".
type clause struct {
	scope string
	caps  authz.Caps
}

// selfPrefix begins the name of the scope "the row's subject in this field is
// the reader".
const selfPrefix = authz.ScopeSelf + ":"

// subjectID is the attribute that self compares a subject field with.
const subjectID = "id"

// grants looks a coordinate up and remembers that it was: the gate checks these
// again at release.
func (b *builder) grants(c schema.Coordinate) *authz.Grants {
	b.touched[c] = struct{}{}
	if b.grantsOf == nil {
		return nil
	}
	return b.grantsOf.Grants(c)
}

// resolve reduces the grants of a field ("" for the row) to what can still vary
// by row on a path with this reach. What is unknown on every row is false in an
// allow and true in a deny.
func (b *builder) resolve(t *schema.Type, field string, r reach) *rights {
	g := b.grants(schema.Coordinate{Type: t.Name, Field: field})
	out := &rights{grants: g}
	if g == nil {
		return out
	}
	var denied authz.Caps
	for _, c := range g.Clauses {
		caps := c.Caps.Closure()
		if c.Deny {
			caps = c.Caps.Denied()
		}
		scopes, known := b.dynamic(t, field, c.Scope)
		switch {
		case c.Scope == authz.ScopeAll, c.Scope == authz.ScopeByKey && r.byKey:
			if c.Deny {
				denied |= caps
			} else {
				out.base |= caps
			}
		case c.Scope == authz.ScopeByKey:
			if !c.Deny {
				out.byKey |= caps
			}
		case !known:
			if c.Deny {
				denied |= caps
			}
		default:
			for _, s := range scopes {
				if c.Deny {
					out.deny = append(out.deny, clause{s, caps})
				} else {
					out.allow = append(out.allow, clause{s, caps})
				}
			}
		}
	}
	out.reduce(^denied, authz.None)
	return out
}

// dynamic names the row's scopes behind a policy's scope. It is not known when
// the type declares no such scope or the reader lacks an attribute of it.
func (b *builder) dynamic(t *schema.Type, field, scope string) (names []string, known bool) {
	switch scope {
	case authz.ScopeAll, authz.ScopeByKey:
		return nil, true
	case authz.ScopeSelf:
		covering := t.Covering(field)
		if len(covering) == 0 {
			return nil, true // nobody's row: self is false, not unknown
		}
		if !b.attribute(subjectID) {
			return nil, false
		}
		for _, f := range covering {
			names = append(names, selfPrefix+f)
		}
		return names, true
	}
	s := t.Scope(scope)
	if s == nil {
		return nil, false
	}
	for _, a := range s.Attributes {
		if !b.attribute(a) {
			return nil, false
		}
	}
	return []string{scope}, true
}

func (b *builder) attribute(name string) bool { return b.req.Attributes[name] != "" }

// reduce takes out the capabilities that are not in ever, makes those in always
// unconditional, and drops the clauses that no longer matter.
func (r *rights) reduce(ever, always authz.Caps) {
	r.base = r.base&ever | always
	trim := func(cs []clause, mask authz.Caps) []clause {
		var out []clause
		for _, c := range cs {
			if c.caps &= mask; c.caps != 0 {
				out = append(out, c)
			}
		}
		slices.SortFunc(out, func(a, b clause) int { return strings.Compare(a.scope, b.scope) })
		return out
	}
	r.allow = trim(r.allow, ever&^always&^r.base)
	var given authz.Caps
	for _, c := range r.allow {
		given |= c.caps
	}
	r.deny = trim(r.deny, (r.base|given)&^always)
}

// truth of a scope on a row.
type truth uint8

const (
	isFalse truth = iota
	isTrue
	isUnknown
)

// under evaluates the rights in a world of scope truths.
func (r *rights) under(world func(scope string) truth) authz.Caps {
	caps := r.base
	for _, c := range r.allow {
		if world(c.scope) == isTrue {
			caps |= c.caps
		}
	}
	for _, c := range r.deny {
		if world(c.scope) != isFalse {
			caps &^= c.caps
		}
	}
	return caps
}

// potential is what some row could give.
func (r *rights) potential() authz.Caps {
	caps := r.base
	for _, c := range r.allow {
		caps |= c.caps
	}
	return caps
}

// certain is what every row gives.
func (r *rights) certain() authz.Caps {
	caps := r.base
	for _, c := range r.deny {
		caps &^= c.caps
	}
	return caps
}

// view is the rows of a type as a path reaches them.
type view struct {
	typ   *schema.Type
	reach reach
	// exists are the capabilities on the row any of which makes it exist here.
	exists authz.Caps
	row    *rights
	cells  map[string]*cell
	b      *builder
}

// view gives the rows of t on a path with this reach, as lists and keys show
// them: where mask is held (clear implies it). Views are shared within a build.
func (b *builder) view(t *schema.Type, r reach) *view { return b.viewFor(t, r, maskCap) }

// viewFor gives the rows on which one of the capabilities is held.
func (b *builder) viewFor(t *schema.Type, r reach, exists authz.Caps) *view {
	key := viewKey{t.Name, r, exists}
	if v, ok := b.views[key]; ok {
		return v
	}
	v := &view{typ: t, reach: r, exists: exists, row: b.resolve(t, "", r), cells: map[string]*cell{}, b: b}
	b.views[key] = v
	return v
}

type viewKey struct {
	typ    string
	reach  reach
	exists authz.Caps
}

// never reports that no row of the view exists for the reader.
func (v *view) never() bool { return !v.row.potential().Any(v.exists) }

// cell is a field of the rows in view.
type cell struct {
	field  *schema.Field
	rights *rights
	// sets has a bit per set of capabilities that a row in view can hold.
	sets uint16
}

// maxWorldScopes bounds the enumeration of scope truths: 3^6 worlds.
const maxWorldScopes = 6

// cell decides a field over the rows in view. Worlds in which the row does not
// exist for the reader do not count: where the row's own scope implies the
// field's, the field does not vary.
func (v *view) cell(f *schema.Field) *cell {
	if c, ok := v.cells[f.Name]; ok {
		return c
	}
	c := &cell{field: f, rights: v.b.resolve(v.typ, f.Name, v.reach)}
	v.cells[f.Name] = c
	r := c.rights
	scopes := scopesOf(v.row, r)
	if len(scopes) > maxWorldScopes {
		// Too many to enumerate: everything between certain and potential is
		// held possible, which refuses more and grants nothing.
		certain, potential := r.certain(), r.potential()
		for s := authz.Caps(0); s < 16; s++ {
			if s.Has(certain) && potential.Has(s) {
				c.sets |= 1 << s
			}
		}
		return c
	}
	state := make(map[string]truth, len(scopes))
	world := func(s string) truth { return state[s] }
	always, ever := ^authz.None, authz.None
	var walk func(i int)
	walk = func(i int) {
		if i < len(scopes) {
			for t := isFalse; t <= isUnknown; t++ {
				state[scopes[i]] = t
				walk(i + 1)
			}
			return
		}
		if !v.row.under(world).Any(v.exists) {
			return
		}
		caps := r.under(world)
		c.sets |= 1 << caps
		always &= caps
		ever |= caps
	}
	walk(0)
	if c.sets == 0 { // no row in view: nothing is ever granted
		c.sets, always = 1, authz.None
	}
	r.reduce(ever, always&ever)
	return c
}

func scopesOf(rs ...*rights) []string {
	var out []string
	for _, r := range rs {
		for _, c := range r.allow {
			out = append(out, c.scope)
		}
		for _, c := range r.deny {
			out = append(out, c.scope)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// always reports that every row in view gives the capability.
func (c *cell) always(want authz.Caps) bool {
	return c.each(func(s authz.Caps) bool { return s.Has(want) })
}

// never reports that no row in view gives the capability.
func (c *cell) never(want authz.Caps) bool {
	return c.each(func(s authz.Caps) bool { return !s.Any(want) })
}

func (c *cell) each(ok func(authz.Caps) bool) bool {
	for s := authz.Caps(0); s < 16; s++ {
		if c.sets>>s&1 != 0 && !ok(s) {
			return false
		}
	}
	return true
}

// outcomes tells which outcomes a selection of the cell can have.
func (c *cell) outcomes() (clearly, masked, withheld bool) {
	d := Decision{Mask: maskOf(c.field)}
	c.each(func(s authz.Caps) bool {
		d.Base = s
		switch d.Outcome(0, 0) {
		case lineage.Clear:
			clearly = true
		case lineage.Masked:
			masked = true
		case lineage.Withheld, lineage.Absent:
			withheld = true
		}
		return true
	})
	return clearly, masked, withheld
}

func maskOf(f *schema.Field) string {
	if f.Mask == nil {
		return ""
	}
	return f.Mask.Spec
}

// reason says why the cell is withheld where it is.
func (c *cell) reason() authz.Reason {
	if c.field.Relation == nil && c.field.Mask == nil && c.rights.potential().Has(authz.Mask) && c.each(func(s authz.Caps) bool {
		return s.Has(authz.Mask)
	}) {
		return authz.ReasonNoMask
	}
	return c.rights.reason()
}

func (r *rights) reason() authz.Reason {
	if r.grants == nil {
		return authz.ReasonPolicy
	}
	return r.grants.Reason
}

// withPurpose is what another open purpose would give.
func (r *rights) withPurpose() authz.Caps {
	if r.grants == nil {
		return authz.None
	}
	return r.grants.WithPurpose
}

// condition is true where the rights give the capability; nil when they give it
// on every row. It is meant for a positive position, where unknown counts as
// false: an allow's scope must be true, a deny's must be false.
func (r *rights) condition(want authz.Caps, scope func(string) adapters.Predicate) adapters.Predicate {
	var parts adapters.And
	if !r.base.Has(want) {
		var allowed adapters.Or
		for _, c := range r.allow {
			if c.caps.Has(want) {
				allowed = append(allowed, scope(c.scope))
			}
		}
		parts = append(parts, disjunction(allowed))
	}
	for _, c := range r.deny {
		if c.caps.Any(want) {
			parts = append(parts, adapters.Not{Predicate: scope(c.scope)})
		}
	}
	if len(parts) == 0 {
		return nil
	}
	return conjunction(parts)
}

// anyOf is the condition of holding one of several capabilities.
func (r *rights) anyOf(caps authz.Caps, scope func(string) adapters.Predicate) adapters.Predicate {
	var parts []adapters.Predicate
	for one := authz.Caps(1); one != 0 && one <= caps; one <<= 1 {
		if !caps.Has(one) || !r.potential().Has(one) {
			continue
		}
		p := r.condition(one, scope)
		if p == nil {
			return nil
		}
		if !slices.ContainsFunc(parts, func(have adapters.Predicate) bool { return reflect.DeepEqual(have, p) }) {
			parts = append(parts, p)
		}
	}
	return disjunction(parts)
}

// decision is the selection's decision over the fetch's scope bits.
func (b *builder) decision(f *fetching, c *cell) Decision {
	relevant := authz.Clear
	if c.field.Mask != nil {
		relevant |= authz.Mask
	}
	d := b.bits(f, c, relevant)
	d.Mask = maskOf(c.field)
	return d
}

// traversal is a relation's decision: mask suffices and is written as clear, so
// that its outcome is never masked.
func (b *builder) traversal(f *fetching, c *cell) Decision {
	d := b.bits(f, c, authz.Mask)
	widen := func(caps *authz.Caps) {
		if caps.Has(authz.Mask) {
			*caps = authz.Clear.Closure()
		}
	}
	widen(&d.Base)
	for i := range d.Allow {
		widen(&d.Allow[i].Caps)
	}
	for i := range d.Deny {
		widen(&d.Deny[i].Caps)
	}
	return d
}

func (b *builder) bits(f *fetching, c *cell, relevant authz.Caps) Decision {
	r := rights{base: c.rights.base, allow: slices.Clone(c.rights.allow), deny: slices.Clone(c.rights.deny)}
	r.reduce(relevant, authz.None)
	d := Decision{Base: r.base, Level: c.field.Level, Reason: c.reason()}
	for _, a := range r.allow {
		d.Allow = append(d.Allow, BitClause{Bit: b.bit(f, a.scope), Caps: a.caps})
	}
	for _, n := range r.deny {
		d.Deny = append(d.Deny, BitClause{Bit: b.bit(f, n.scope), Caps: n.caps})
	}
	return d
}

func openDecision(level schema.Rank) Decision {
	return Decision{Base: authz.Clear.Closure(), Level: level}
}
