package authz

import "strings"

// Truth is whether a scope holds for a row, in three-valued logic.
type Truth uint8

// Truths. A scope is unknown for a row where its condition is NULL, or where
// the reader lacks an attribute that it names.
const (
	False Truth = iota
	True
	Unknown
)

// Under is the reference for what a reader holds on one cell: what the allow
// clauses grant whose scope is true, less what the deny clauses remove whose
// scope is true or unknown. truth is never asked for ScopeAll. Nil-safe.
func (g *Grants) Under(truth func(scope string) Truth) Caps {
	if g == nil {
		return None
	}
	var caps Caps
	for _, c := range g.Clauses {
		t := True
		if c.Scope != ScopeAll {
			t = truth(c.Scope)
		}
		switch {
		case c.Deny && t != False:
			caps &^= c.Caps
		case !c.Deny && t == True:
			caps |= c.Caps
		}
	}
	return caps
}

// Always is what is held on every row, whatever its scopes. Nil-safe.
func (g *Grants) Always() Caps {
	if g == nil {
		return None
	}
	var caps Caps
	for _, c := range g.Clauses {
		switch {
		case c.Deny:
			caps &^= c.Caps
		case c.Scope == ScopeAll:
			caps |= c.Caps
		}
	}
	return caps
}

// Scopes lists the scopes that the grants depend on, sorted, without ScopeAll.
// Nil-safe.
func (g *Grants) Scopes() []string {
	if g == nil {
		return nil
	}
	var out []string
	for _, c := range g.Clauses {
		if c.Scope != ScopeAll {
			out = append(out, c.Scope)
		}
	}
	return sorted(out)
}

// Covers reports whether g holds, on every row that can be, at least what was
// holds: the gate's question when a policy has changed. Scopes count as
// independent of each other, which errs towards false. Nil-safe.
func (g *Grants) Covers(was *Grants) bool {
	if was == nil {
		return true
	}
	for _, a := range was.Clauses {
		if a.Deny {
			continue
		}
		// The rows on which was holds a.Caps, and holds them by this clause.
		lost := a.Caps
		for _, d := range was.Clauses {
			if d.Deny && (d.Scope == ScopeAll || d.Scope == a.Scope) {
				lost &^= d.Caps
			}
		}
		if !g.holds(lost, a.Scope, was) {
			return false
		}
	}
	return true
}

// holds reports whether g holds caps wherever scope is true and no deny of was
// removes them.
func (g *Grants) holds(caps Caps, scope string, was *Grants) bool {
	if g == nil {
		return caps == None
	}
	missing := caps
	for _, c := range g.Clauses {
		if !c.Deny && (c.Scope == ScopeAll || c.Scope == scope) {
			missing &^= c.Caps
		}
	}
	if missing != None {
		return false
	}
	for _, c := range g.Clauses {
		if !c.Deny {
			continue
		}
		removed := c.Caps & caps
		for _, d := range was.Clauses {
			if d.Deny && d.Scope == c.Scope {
				removed &^= d.Caps
			}
		}
		if removed != None {
			return false
		}
	}
	return true
}

// String tells the grants in a line: "mask; clear under own_region; not mask
// under sealed".
func (g *Grants) String() string {
	if g == nil || len(g.Clauses) == 0 {
		return None.String()
	}
	out := make([]string, 0, len(g.Clauses))
	for _, c := range g.Clauses {
		s := c.Caps.String()
		if c.Deny {
			s = "not " + s
		}
		if c.Scope != ScopeAll {
			s += " under " + c.Scope
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}
