package authz

import (
	"slices"

	"github.com/weir-data/weir/schema"
)

// Settings is what the configuration says about decisions. The zero Settings is
// the strictest: no purpose is registered, every level needs one, and what a
// reader does not hold is hidden from him.
type Settings struct {
	// PurposeRequiredFrom is the level from which on nothing is granted without
	// a stated purpose.
	PurposeRequiredFrom schema.Rank
	// HideFrom is the level from which on a reader does not see that what he
	// holds nothing on exists.
	HideFrom schema.Rank
	// Purposes are the registered purposes; no other is ever open.
	Purposes []string
	// Roles are those that tokens may carry, for lint; nil for any.
	Roles []string
	// Offices are the roles that must stay apart.
	Offices Offices
}

// Offices names the roles that run the service, edit the policy and read the
// ledger (GB/T 39477, 6.2). An empty name leaves the office out.
type Offices struct {
	Operator, Security, Auditor string
}

// list gives the offices that are named.
func (o Offices) list() []string {
	var out []string
	for _, role := range [...]string{o.Operator, o.Security, o.Auditor} {
		if role != "" {
			out = append(out, role)
		}
	}
	return out
}

// DefaultSettings are those of the documentation for these levels: a purpose
// from the third level on, hidden at the highest, and offices named after what
// they do. No purpose is registered.
func DefaultSettings(levels schema.Levels) Settings {
	s := Settings{Offices: Offices{Operator: "operator", Security: "security", Auditor: "auditor"}}
	if len(levels) > 0 {
		s.HideFrom = levels.Highest()
		s.PurposeRequiredFrom = min(2, s.HideFrom)
	}
	return s
}

// registered lists the purposes, sorted. The wildcard is not a purpose, whatever
// the configuration says, and neither is none.
func (s *Settings) registered() []string {
	return slices.DeleteFunc(sorted(s.Purposes), func(p string) bool { return p == "" || p == wildcard })
}
