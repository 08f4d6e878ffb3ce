// Package authz decides who may do what with which coordinate. Casbin is the
// language, the store and the reference; what requests consult is an immutable
// table compiled from it.
//
// It promises that absent means denied, that a deny wins, and that a table
// equals what Casbin's Enforce says. It does no I/O on a request's way and
// never sees a row: what depends on the row is left as clauses over scopes,
// which a source computes.
package authz

import (
	"strings"
	"time"
)

// Caps is a set of capabilities.
type Caps uint8

// Capabilities. Clear implies the three others, see [Caps.Closure].
const (
	Match Caps = 1 << iota
	Aggregate
	Mask
	Clear

	None Caps = 0
)

// Has reports whether all of want are held.
func (c Caps) Has(want Caps) bool { return c&want == want }

// Any reports whether one of want is held.
func (c Caps) Any(want Caps) bool { return c&want != 0 }

// Closure adds what is implied: an allow grants the capability and what it
// implies.
func (c Caps) Closure() Caps {
	if c&Clear != 0 {
		return Match | Aggregate | Mask | Clear
	}
	return c
}

// Denied gives what a deny of c removes: c and all that imply it.
func (c Caps) Denied() Caps {
	if c != 0 {
		return c | Clear
	}
	return 0
}

// String gives "clear", "match+mask", "none".
func (c Caps) String() string {
	if c == 0 {
		return "none"
	}
	if c&Clear != 0 {
		return "clear"
	}
	var s []string
	for i, n := range [...]string{"match", "aggregate", "mask"} {
		if c&(1<<i) != 0 {
			s = append(s, n)
		}
	}
	return strings.Join(s, "+")
}

// Built-in scopes. Every other scope is one that the type declares.
const (
	ScopeAll           = "all"
	ScopeByKey         = "by_key"
	ScopeSelf          = "self"
	ScopeOwnDepartment = "own_department"
)

// Subject is a verified reader. Immutable once made.
type Subject struct {
	ID          string
	Application string
	Department  string
	Roles       []string // as the token says, before inheritance
	// Attributes are what $subject.NAME may name: id, region and so on, each
	// one non-empty string. What the token lacks, or has empty or as a list, is
	// absent here.
	Attributes map[string]string
	// Purposes are those open to the token or its application, sorted.
	Purposes []string
	Expires  time.Time // zero: never (the demo's fixed tokens)
	TokenID  string    // for the revocation list
}

// Profile is the part of a reader that decisions depend on: the left-hand side
// of the table. Everything else about the reader arrives through scopes.
type Profile struct {
	Roles      []string // as in Subject
	Department string
	Purposes   []string // open ones
	Purpose    string   // stated, "" for none
}

// Reason says why a coordinate is withheld.
type Reason uint8

// Reasons.
const (
	ReasonPolicy  Reason = iota // no rule grants it
	ReasonPurpose               // an open purpose would grant it, or none was stated from purposeRequiredFrom up
	ReasonSharing               // capped by the sharing class
	ReasonNoMask                // mask is held, and the owner declared no mask; the planner's to say
)

// String is the reason as in extensions.weir.
func (r Reason) String() string { return [...]string{"POLICY", "PURPOSE", "SHARING", "NO_MASK"}[r] }

// Clause says that under Scope an allow grants Caps (closed under implication)
// or a deny removes Caps (likewise). own_department is resolved already (to all,
// or to nothing); all, by_key, self and declared scopes remain.
type Clause struct {
	Scope string
	Caps  Caps
	Deny  bool
}

// Grants are all that a profile holds on one coordinate. Immutable and
// interned: equal grants of one table are the same pointer.
type Grants struct {
	// Clauses are sorted by (Deny, Scope, Caps), at most one per (Deny, Scope),
	// and hold no clause that cannot matter.
	Clauses []Clause
	// Reason is why something is missing when the clauses do not give it.
	Reason Reason
	// WithPurpose is what some other open purpose, stated, would grant under
	// some scope: it decides between PURPOSE_REQUIRED and a plain refusal.
	WithPurpose Caps
	// Hidden: no capability under any scope and any open purpose, by policy
	// alone, at or above hideFrom.
	Hidden bool
	// Digest is a hash over everything above; equal grants have equal digests,
	// also across tables.
	Digest [16]byte
}

// Potential is what some scope could give, denies under all considered: none
// means that nothing is ever granted. Nil-safe.
func (g *Grants) Potential() Caps {
	if g == nil {
		return None
	}
	var caps Caps
	for _, c := range g.Clauses {
		if !c.Deny {
			caps |= c.Caps
		}
	}
	for _, c := range g.Clauses {
		if c.Deny && c.Scope == ScopeAll {
			caps &^= c.Caps
		}
	}
	return caps
}
