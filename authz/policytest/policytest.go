// Package policytest runs tests of a policy: text files in which security staff
// write down who is to see what.
//
// It promises that a test fails unless the compiled table decides exactly what
// it states, that a word it does not know is an error with its place, and that
// its coverage counts only what some test states. It reads no files and no
// data, and it does not say whether a policy is wise.
//
// A file holds one theme:
//
//	# The clerk at a service window
//	as window-clerk
//	department government_services      # none unless stated
//	open newborn-registration           # every registered purpose unless stated
//
//	purpose newborn-registration
//	when by_key
//	  mask      Person.name, Person.phone, Person._row
//	  match     Person.idNumber
//	  withheld  Person.*
//	when nothing
//	  withheld  *
//
// as begins a reader and forgets all that was stated before; several roles are
// separated by commas. purpose (or "purpose none") forgets the scopes. when names
// the scopes that are true for the row, all others being false; "own_region
// unknown" is one whose condition is NULL. Then come expectations: a decision and
// the coordinates it is expected on. In one block a name goes before Type.*, and
// that before *: each of the two stands for what is not named otherwise there.
//
// The decisions are clear, mask, aggregate and match, also joined by + (clear
// holds all); withheld: nothing is held, and the reader may know that the field
// exists; hidden: he may not.
package policytest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/schema"
)

// Suite is a set of parsed files. It is not changed after it is made.
type Suite struct{ blocks []block }

// Subject is what is tested.
type Subject struct {
	Table     *authz.Table
	Catalogue *schema.Catalogue
	// Purposes are the registered ones.
	Purposes []string
	// Roles are further roles that a reader may have, though no rule is about
	// them, such as the offices.
	Roles []string
}

// Failure is an expectation that does not hold.
type Failure struct {
	Position schema.Position
	Profile  authz.Profile
	// Scopes are those that are true or unknown for the row.
	Scopes        map[string]authz.Truth
	Coordinate    schema.Coordinate
	Expected, Got string
	// Explanation names the rules that decided on this row.
	Explanation *authz.Explanation
}

// Result is what running a suite gives.
type Result struct {
	Checked  int // decisions compared
	Failures []Failure
	Coverage []Coverage // one for each role of the policy, sorted by role
}

// Coverage counts the coordinates on which some test states what a role gets.
type Coverage struct {
	Role           string
	Covered, Total int
	Missing        []schema.Coordinate
}

// Passed reports whether every expectation holds, and there was one.
func (r *Result) Passed() bool { return r.Checked > 0 && len(r.Failures) == 0 }

// Complete reports whether every role is tested on every coordinate.
func (r *Result) Complete() bool {
	return !slices.ContainsFunc(r.Coverage, func(c Coverage) bool { return c.Covered < c.Total })
}

// Run compares every expectation with the table.
func (s *Suite) Run(on Subject) *Result {
	r := &Result{}
	tested := map[string]map[schema.Coordinate]bool{}
	for _, role := range on.Table.Roles() {
		tested[role] = map[schema.Coordinate]bool{}
	}
	for i := range s.blocks {
		b := &s.blocks[i]
		view := on.Table.View(b.profile)
		for _, e := range b.expectations {
			for _, at := range e.coordinates {
				r.Checked++
				for _, role := range b.profile.Roles {
					if tested[role] != nil {
						tested[role][at] = true
					}
				}
				if got := decision(view.Grants(at), b.truth); got != e.decision {
					r.Failures = append(r.Failures, Failure{
						Position: e.position, Profile: b.profile, Scopes: b.scopes, Coordinate: at,
						Expected: e.decision, Got: got, Explanation: on.Table.Explain(b.profile, at).Where(b.truth),
					})
				}
			}
		}
	}
	all := on.Catalogue.Coordinates()
	for _, role := range on.Table.Roles() {
		c := Coverage{Role: role, Total: len(all)}
		for _, at := range all {
			if tested[role][at] {
				c.Covered++
			} else {
				c.Missing = append(c.Missing, at)
			}
		}
		r.Coverage = append(r.Coverage, c)
	}
	return r
}

// decision is the word for what is held on one row.
func decision(g *authz.Grants, truth func(string) authz.Truth) string {
	held := g.Under(truth)
	switch {
	case held != authz.None:
		return held.String()
	case g == nil || g.Hidden:
		return hidden
	default:
		return withheld
	}
}

// String tells a failure, the reader it is about, and why.
func (f Failure) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: %s: expected %s, decided %s\n", f.Position.File, f.Position.Line, f.Position.Column, f.Coordinate, f.Expected, f.Got)
	fmt.Fprintf(&b, "  for %s\n", f.Reader())
	for _, d := range f.Explanation.Allow {
		fmt.Fprintf(&b, "  allowed by %s\n", d)
	}
	for _, d := range f.Explanation.Deny {
		fmt.Fprintf(&b, "  denied by %s\n", d)
	}
	if f.Explanation.Nearest != nil {
		fmt.Fprintf(&b, "  nearest rule that would grant more: %s\n", f.Explanation.Nearest)
	}
	return b.String()
}

// Reader tells who asks, for what, and which row he asks about.
func (f Failure) Reader() string {
	s := strings.Join(f.Profile.Roles, ", ")
	if f.Profile.Department != "" {
		s += " of department " + f.Profile.Department
	}
	if f.Profile.Purpose != "" {
		s += ", for " + f.Profile.Purpose
	} else {
		s += ", without a purpose"
	}
	return s + ", when " + scopesText(f.Scopes)
}

func scopesText(scopes map[string]authz.Truth) string {
	if len(scopes) == 0 {
		return nothing
	}
	out := make([]string, 0, len(scopes))
	for s, t := range scopes {
		if t == authz.Unknown {
			s += " " + unknown
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}
