package gateway

import (
	"slices"

	"github.com/weir-data/weir/internal/config"
)

// Offices are the roles whose rights are disjoint (GB/T 39477, 6.2): operate,
// edit policy, audit.
type Offices struct {
	Operator, Security, Auditor string
}

// OfficesOf takes them from a configuration.
func OfficesOf(c config.Offices) Offices {
	return Offices{Operator: c.Operator, Security: c.Security, Auditor: c.Auditor}
}

// Apart reports whether the roles, inherited ones included, reach at most one
// office.
func (o Offices) Apart(roles []string) bool {
	held := 0
	for _, office := range [...]string{o.Operator, o.Security, o.Auditor} {
		if office != "" && slices.Contains(roles, office) {
			held++
		}
	}
	return held <= 1
}
