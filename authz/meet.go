package authz

import "slices"

// Meet makes the table that serves while a revision waits for its approval: the
// approved one, less whatever the waiting one no longer grants. So what the
// waiting revision takes away is gone at once, and what it adds is not there
// yet.
//
// No cell of it holds more than either table grants. It may hold less than both
// where they grant a capability under two different scopes of which a row meets
// both: one clause has one scope. Columns, masks and the conditions of scopes
// are the approved ones.
func Meet(approved, waiting *Table) *Table {
	t := &Table{
		settings: approved.settings, levels: approved.levels, revision: approved.revision,
		policy: approved.policy, catalogue: approved.catalogue,
		roles: approved.roles, inherits: approved.inherits, cells: approved.cells, slots: approved.slots, all: approved.all,
		limit: waiting,
		views: make(map[string]*View), interned: make(map[[16]byte]*Grants),
	}
	return t
}

// narrow takes from a view what the waiting table does not grant.
func (v *View) narrow(p Profile) {
	limit := v.table.limit.View(p)
	v.roles = sorted(slices.Concat(v.roles, limit.roles))
	for i, g := range v.grants {
		c := &v.table.cells[i]
		v.grants[i] = meet(c, g, limit.Grants(c.coordinate))
	}
}

// meet gives what both grant on a cell of the approved table.
func meet(c *cell, approved, waiting *Grants) *Grants {
	if waiting == nil {
		// The coordinate is gone in the waiting revision.
		waiting = &Grants{Hidden: true}
	}
	var h holding
	for _, a := range approved.Clauses {
		if a.Deny {
			h.deny.add(a.Scope, a.Caps)
		}
	}
	for _, b := range waiting.Clauses {
		if b.Deny {
			h.deny.add(knownOr(c, b.Scope, ScopeAll), b.Caps)
			continue
		}
		scope := knownOr(c, b.Scope, "")
		if scope == "" {
			continue
		}
		for _, a := range approved.Clauses {
			if a.Deny {
				continue
			}
			switch caps := a.Caps & b.Caps; {
			case a.Scope == scope || scope == ScopeAll:
				h.allow.add(a.Scope, caps)
			case a.Scope == ScopeAll:
				h.allow.add(scope, caps)
			}
		}
	}
	h.settle()
	g := &Grants{
		Clauses: h.clauses(), Reason: approved.Reason,
		WithPurpose: approved.WithPurpose & waiting.WithPurpose, Hidden: approved.Hidden || waiting.Hidden,
	}
	if !g.Covers(approved) {
		g.Reason = waiting.Reason
	}
	g.Digest = g.digest()
	return g
}

// knownOr gives the scope if rows of the cell can be asked for it.
func knownOr(c *cell, scope, otherwise string) string {
	switch scope {
	case ScopeAll, ScopeByKey:
		return scope
	case ScopeSelf:
		if c.personal {
			return scope
		}
	default:
		if c.typ.Scope(scope) != nil {
			return scope
		}
	}
	return otherwise
}
