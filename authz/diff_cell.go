package authz

import (
	"slices"
	"strconv"
	"strings"

	"github.com/weir-data/weir/schema"
)

// deltas compares what was gathered for a cell, purpose by purpose. Cells and
// roles of which the rules say the same share one answer.
func (d *differ) deltas(c *pairedCell) []delta {
	key := d.key(c)
	if known, ok := d.memo[key]; ok {
		return known
	}
	var out []delta
	for _, purpose := range d.purposes {
		x := d.under(c, purpose)
		if at := slices.IndexFunc(out, func(o delta) bool { return o.equal(&x) }); at >= 0 {
			out[at].purposes = append(out[at].purposes, purpose)
		} else {
			x.purposes = []string{purpose}
			out = append(out, x)
		}
	}
	for i := range out {
		stated := len(out[i].purposes)
		if slices.Contains(out[i].purposes, "") {
			stated--
		}
		out[i].every = stated == len(d.purposes)-1
	}
	d.memo[key] = out
	return out
}

func (x *delta) equal(o *delta) bool {
	return slices.Equal(x.from.Clauses, o.from.Clauses) && slices.Equal(x.to.Clauses, o.to.Clauses) &&
		x.fromHide == o.fromHide && x.toHide == o.toHide
}

// under compares the decisions for one purpose, "" for none.
func (d *differ) under(c *pairedCell, purpose string) delta {
	var x delta
	hidden := [2]bool{true, true}
	for i, g := range [...]*Grants{&x.from, &x.to} {
		if c.cells[i] == nil {
			continue
		}
		at, t, rules := c.cells[i], d.sides[i].table, d.active[i]
		rules.side.purposes = nil
		if purpose != "" && slices.Contains(t.settings.Purposes, purpose) {
			rules.side.purposes = []string{purpose}
		}
		now := rules.under(at, purpose, purpose != "" && rules.side.purposes == nil, true)
		g.Clauses = now.clauses()
		hidden[i] = at.level >= t.settings.HideFrom && !rules.everGranted(at)
	}
	x.fromHide, x.toHide = hidden[0], hidden[1]
	x.direction = Direction{
		Widens:  !x.from.Covers(&x.to) || x.fromHide && !x.toHide,
		Narrows: !x.to.Covers(&x.from) || !x.fromHide && x.toHide,
	}
	return x
}

// key identifies what deltas depends on.
func (d *differ) key(c *pairedCell) string {
	var b strings.Builder
	for i := range d.sides {
		at, t := c.cells[i], d.sides[i].table
		if at == nil {
			b.WriteString("-|")
			continue
		}
		b.WriteByte('0' + bit(at.level >= t.settings.PurposeRequiredFrom) + 2*bit(at.level >= t.settings.HideFrom))
		for _, a := range d.active[i].allows {
			b.WriteByte('+')
			b.WriteString(a.purpose + " " + a.scope + " " + strconv.Itoa(int(a.caps)))
			b.WriteByte('0' + bit(a.capped))
		}
		for _, n := range d.active[i].denies {
			b.WriteByte('-')
			b.WriteString(n.Scope + " " + strconv.Itoa(int(n.Caps)))
		}
		b.WriteByte('|')
	}
	return b.String()
}

// report files a difference, or a change of meaning for somebody who holds
// something.
func (d *differ) report(c *pairedCell, department string, x *delta, roles ...string) {
	base := Change{Roles: roles, Together: len(roles) > 1, Purposes: x.purposes, EveryPurpose: x.every, Reader: d.reader(c, department, roles)}
	if x.direction.Changed() {
		change := base
		change.Direction, change.WasHidden, change.IsHidden = x.direction, x.fromHide, x.toHide
		change.Steps = steps(&x.from, &x.to)
		d.file(change, c.at)
	}
	for _, m := range c.meaning {
		if m.concerns(&x.from) || m.concerns(&x.to) {
			// It is of the coordinate, so it is said once and not for each purpose.
			d.file(Change{Roles: roles, Direction: m.direction, Meaning: m.text}, c.at)
		}
	}
}

// reader tells in words whose department a change depends on.
func (d *differ) reader(c *pairedCell, department string, roles []string) string {
	if len(d.departments(c, roles...)) == 1 {
		return ""
	}
	switch department {
	case "":
		return "readers of no department"
	case other:
		return "readers of other departments"
	default:
		return "readers of department " + department
	}
}

// file adds the coordinate to the changes that are alike.
func (d *differ) file(c Change, at schema.Coordinate) {
	d.found.add(c.Direction)
	key := strings.Join(c.Roles, " ") + "|" + c.likeness()
	g := d.groups[key]
	if g == nil {
		g = &c
		d.groups[key] = g
	}
	// Cells come in order, so equal ones follow each other.
	if n := len(g.Coordinates); n == 0 || g.Coordinates[n-1] != at {
		g.Coordinates = append(g.Coordinates, at)
	}
}

// steps tells two holdings apart, scope by scope.
func steps(from, to *Grants) []Step {
	under := func(g *Grants, scope string) Caps {
		return g.Under(func(s string) Truth {
			if s == scope {
				return True
			}
			return False
		})
	}
	var out []Step
	base := Step{Scope: ScopeAll, From: under(from, ""), To: under(to, "")}
	if base.From != base.To {
		out = append(out, base)
	}
	scopes := sorted(append(from.Scopes(), to.Scopes()...))
	for _, scope := range scopes {
		s := Step{Scope: scope, From: under(from, scope), To: under(to, scope)}
		if s.From != s.To && (s.From != base.From || s.To != base.To) {
			out = append(out, s)
		}
	}
	for _, scope := range scopes {
		if s := (Step{scope, from.denied(scope), to.denied(scope), true}); s.From != s.To {
			// A denial that shows already in what the scope alone gives is said.
			if !slices.ContainsFunc(out, func(o Step) bool { return o.Scope == scope }) {
				out = append(out, s)
			}
		}
	}
	return out
}

func (g *Grants) denied(scope string) Caps {
	for _, c := range g.Clauses {
		if c.Deny && c.Scope == scope {
			return c.Caps
		}
	}
	return None
}

// pairs compares two roles together where the denials of one changed.
func (d *differ) pairs() {
	seen := map[string]bool{}
	for _, s := range d.suspects {
		for _, department := range d.departments(s.cell, s.role) {
			d.gather(s.cell, department, s.role, "")
			// Roles of which the rules say the same differ alike: one is named.
			like := s.cell.at.String() + "|" + department + "|" + d.key(s.cell)
			if seen[like] {
				continue
			}
			seen[like] = true
			for _, role := range d.kinds(s.cell, department) {
				if role != s.role {
					d.together(s.cell, department, min(s.role, role), max(s.role, role))
				}
			}
		}
	}
}

// kinds gives one role for each way in which roles hold something on the cell.
func (d *differ) kinds(c *pairedCell, department string) []string {
	k := kind{c.at, department}
	if known, ok := d.kindsOf[k]; ok {
		return known
	}
	out := []string{}
	seen := map[string]bool{}
	for _, role := range d.roles {
		d.gather(c, department, role, "")
		if len(d.active[0].allows)+len(d.active[1].allows) == 0 {
			continue
		}
		if key := d.key(c); !seen[key] {
			seen[key] = true
			out = append(out, role)
		}
	}
	d.kindsOf[k] = out
	return out
}

// together reports in what two roles differ that neither does alone.
func (d *differ) together(c *pairedCell, department, first, second string) {
	d.gather(c, department, first, second)
	both := d.deltas(c)
	var alone [2][]delta
	for i, role := range [...]string{first, second} {
		d.gather(c, department, role, "")
		alone[i] = d.deltas(c)
	}
	for _, x := range both {
		for _, purpose := range x.purposes {
			known := Direction{}
			for i := range alone {
				known.add(directionFor(alone[i], purpose))
			}
			if x.direction.Widens && !known.Widens || x.direction.Narrows && !known.Narrows {
				d.report(&pairedCell{at: c.at, cells: c.cells}, department, &x, first, second)
				break
			}
		}
	}
}

func directionFor(all []delta, purpose string) Direction {
	for i := range all {
		if slices.Contains(all[i].purposes, purpose) {
			return all[i].direction
		}
	}
	return Direction{}
}
