// Package control answers the control graph: who the reader is, what the
// catalogue offers him, and what the ledger tells him.
//
// It promises that what the policy hides from a reader is absent from every
// answer and from every search, and that each field of an answer is counted for
// the record. It reads no department's data and decides nothing: it shows what
// the request's generation says.
package control

import "time"

// Titles are a thing's names for people; "" for none.
type Titles struct{ ZH, EN string }

// Purpose is a registered purpose.
type Purpose struct {
	Titles
	Basis string
}

// Offices are the roles that must stay apart; "" for none.
type Offices struct{ Operator, Security, Auditor string }

// Ages tells how old the departments' data is.
type Ages interface {
	// Age gives the time of the department's newest data and whether that is
	// older than its owner declares it to be; known is false when nobody has
	// been able to tell.
	Age(department string) (asOf time.Time, stale, known bool)
}

// Resolver resolves the roots. What depends on the reader comes from the
// context (see [resolvers.RequestFrom]); this is what the configuration says.
type Resolver struct {
	departments map[string]Titles
	purposes    map[string]Purpose
	offices     Offices
	ages        Ages
	lineage     Lineage
	policies    Policies  // nil where one officer is enough
	retention   Retention // nil where no act is taken
	report      func(error)
	replays     chan struct{} // holds one place
}
