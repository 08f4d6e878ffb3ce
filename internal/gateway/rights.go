package gateway

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/weir-data/weir/authz"
)

// Rights are what a configuration grants beside the policy: who holds an office
// or owns a department, who may state which purpose, how tokens become readers,
// and how much may be guessed. They are read at start, are part of the revision
// that officers sign, and what widens them needs two of them as well. The zero
// Rights grant nothing.
//
// What of a configuration is not here widens no right: addresses, folders,
// sources and their credentials, limits on the cost of a request, the ledger's
// place and durability (which validation holds to the least that a level may
// have), and names for people.
type Rights struct {
	// SingleOfficer lets one officer widen rights alone.
	SingleOfficer bool `json:"singleOfficer"`
	// FreeDocuments: documents that are not registered are answered.
	FreeDocuments bool `json:"freeDocuments"`
	// UnrevokedTokens: no list of revoked tokens is asked.
	UnrevokedTokens bool `json:"unrevokedTokens"`
	// Applications are the purposes that each opens.
	Applications map[string][]string `json:"applications"`
	// Owners are the roles that see where a department's data went.
	Owners map[string]string `json:"owners"`
	// RetentionMonths is for how many months records are kept at least; 0 in
	// revisions from before it was part of them.
	RetentionMonths int `json:"retentionMonths,omitempty"`
	// Sealed is how long reads for a purpose are kept from owners and from the
	// persons whom they are about.
	Sealed map[string]time.Duration `json:"sealed"`
	// Minimum is how many persons a number with noise is over, by level.
	Minimum map[string]int `json:"minimum"`
	// Amounts and Times are those of which more grants more, by their key.
	Amounts map[string]int           `json:"amounts"`
	Times   map[string]time.Duration `json:"times"`
	// Fixed are settings whose values have no order, by their key: where keys of
	// tokens come from, which claim is what. Any other value may widen.
	Fixed map[string]string `json:"fixed"`
}

// compareRights adds to the changes what differs in the offices and in the rights
// of two configurations.
func compareRights(c *authz.Changes, before, after *RevisionSettings) {
	from, to := &before.Rights, &after.Rights
	compareFlag(c, "singleOfficer", from.SingleOfficer, to.SingleOfficer, "one officer widens rights alone", "widening needs two officers")
	compareFlag(c, "documents.only", from.FreeDocuments, to.FreeDocuments, "documents that are not registered are answered", "only registered documents are answered")
	compareFlag(c, "tokens.revoked", from.UnrevokedTokens, to.UnrevokedTokens, "no list of revoked tokens is asked", "revoked tokens are refused")
	was, is := &before.Offices, &after.Offices
	for _, o := range [...]struct{ name, was, is string }{
		{"operator", was.Operator, is.Operator}, {"security", was.Security, is.Security}, {"auditor", was.Auditor, is.Auditor},
	} {
		compareText(c, "offices."+o.name, o.was, o.is)
	}
	for _, id := range keysOf(from.Applications, to.Applications) {
		comparePurposes(c, id, from.Applications[id], to.Applications[id])
	}
	for _, id := range keysOf(from.Owners, to.Owners) {
		compareText(c, "departments."+id+".owner", from.Owners[id], to.Owners[id])
	}
	for _, purpose := range keysOf(from.Sealed, to.Sealed) {
		// The longer, the less is seen.
		compareAmount(c, "purposes."+purpose+".sealed", to.Sealed[purpose], from.Sealed[purpose], from.Sealed[purpose], to.Sealed[purpose])
	}
	for _, level := range keysOf(from.Minimum, to.Minimum) {
		a, had := from.Minimum[level]
		b, has := to.Minimum[level]
		switch key := "aggregates.minimum." + level; {
		case !has:
			c.Setting(key+": no such level", authz.Direction{Narrows: true})
		case !had:
			c.Setting(fmt.Sprintf("%s: numbers over %d persons", key, b), authz.Direction{Widens: true})
		default: // the more persons, the less is learnt of each
			compareAmount(c, key, b, a, a, b)
		}
	}
	// The longer records are kept, the less can be undone.
	compareAmount(c, "ledger.retentionMonths", to.RetentionMonths, from.RetentionMonths, from.RetentionMonths, to.RetentionMonths)
	for _, key := range keysOf(from.Amounts, to.Amounts) {
		compareAmount(c, key, from.Amounts[key], to.Amounts[key], from.Amounts[key], to.Amounts[key])
	}
	for _, key := range keysOf(from.Times, to.Times) {
		compareAmount(c, key, from.Times[key], to.Times[key], from.Times[key], to.Times[key])
	}
	for _, key := range keysOf(from.Fixed, to.Fixed) {
		compareText(c, key, from.Fixed[key], to.Fixed[key])
	}
}

func compareFlag(c *authz.Changes, key string, was, is bool, widens, narrows string) {
	switch {
	case is && !was:
		c.Setting(key+": "+widens, authz.Direction{Widens: true})
	case was && !is:
		c.Setting(key+": "+narrows, authz.Direction{Narrows: true})
	}
}

// compareText compares what has no order: another value may give more and less,
// none gives nothing.
func compareText(c *authz.Changes, key, was, is string) {
	how := authz.Direction{Widens: true, Narrows: true}
	switch {
	case was == is:
		return
	case is == "":
		how.Widens = false
	case was == "":
		how.Narrows = false
	}
	c.Setting(fmt.Sprintf("%s: %s -> %s", key, orNone(was), orNone(is)), how)
}

func comparePurposes(c *authz.Changes, application string, was, is []string) {
	for _, p := range is {
		if !slices.Contains(was, p) {
			c.Setting(fmt.Sprintf("applications.%s: may state %s", application, p), authz.Direction{Widens: true})
		}
	}
	for _, p := range was {
		if !slices.Contains(is, p) {
			c.Setting(fmt.Sprintf("applications.%s: may no longer state %s", application, p), authz.Direction{Narrows: true})
		}
	}
}

// compareAmount compares two measures of how much is granted, and shows was and
// is.
func compareAmount[V int | int64 | time.Duration](c *authz.Changes, key string, from, to, was, is V) {
	switch {
	case to > from:
		c.Setting(fmt.Sprintf("%s: %v -> %v", key, was, is), authz.Direction{Widens: true})
	case to < from:
		c.Setting(fmt.Sprintf("%s: %v -> %v", key, was, is), authz.Direction{Narrows: true})
	}
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// keysOf lists the keys of both, sorted.
func keysOf[V any](a, b map[string]V) []string {
	both := make(map[string]struct{}, len(a)+len(b))
	for k := range a {
		both[k] = struct{}{}
	}
	for k := range b {
		both[k] = struct{}{}
	}
	return slices.Sorted(maps.Keys(both))
}
