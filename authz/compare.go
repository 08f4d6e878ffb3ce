package authz

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/weir-data/weir/schema"
)

// Sample says how much a comparison tries. It ends at whichever bound comes
// first; at least one must be set.
type Sample struct {
	Seed   uint64
	Tuples int           // the most tuples, 0 for no bound
	Budget time.Duration // the most time, 0 for no bound; needs Now
	Now    func() time.Time
}

// Comparison is what a comparison of a table with Casbin found.
type Comparison struct {
	Tuples      int
	Granted     int // tuples on which something is granted
	Rules       int // rules of the policy that some tuple was made for
	Differences []Difference
}

// Equal reports whether table and Casbin agreed on every tuple, and there was
// one.
func (c Comparison) Equal() bool { return c.Tuples > 0 && len(c.Differences) == 0 }

// Difference is a tuple on which they disagreed.
type Difference struct {
	Profile       Profile
	Coordinate    schema.Coordinate
	Scopes        map[string]Truth
	Table, Casbin Caps
}

// String tells a difference in a line.
func (d Difference) String() string {
	var scopes []string
	for s, t := range d.Scopes {
		scopes = append(scopes, fmt.Sprintf("%s=%d", s, t))
	}
	slices.Sort(scopes)
	return fmt.Sprintf("%s for roles %v of department %q, purpose %q, scopes %v: the table says %s, casbin %s",
		d.Coordinate, d.Profile.Roles, d.Profile.Department, d.Profile.Purpose, scopes, d.Table, d.Casbin)
}

// maxDifferences ends a comparison: it is lost by then.
const maxDifferences = 20

// readersKept bounds how many enforcers a comparison keeps.
const readersKept = 64

// Compare asks the table and Casbin the same questions. They are stratified by
// rule: each round makes one tuple for every rule, near the rule, so that the
// rare rules are met as often as the broad ones. A difference, or an error,
// refuses the policy. A policy without rules is compared on one tuple.
func Compare(p *Policy, t *Table, c *schema.Catalogue, s Settings, sample Sample) (Comparison, error) {
	if sample.Tuples <= 0 && (sample.Budget <= 0 || sample.Now == nil) {
		return Comparison{}, fmt.Errorf("%w: a comparison without a bound", ErrReference)
	}
	reference, err := NewReference(p, c, s)
	if err != nil {
		return Comparison{}, err
	}
	k := comparison{
		policy: p, table: t, reference: reference, settings: s,
		rng:      rand.New(rand.NewPCG(sample.Seed, 0x77656972)), //nolint:gosec // a sample, not a secret
		inherits: p.inheritance(), cells: cells(c), covered: map[string][]*cell{},
		readers: map[string]*ReferenceReader{}, tried: make([]bool, len(p.Rules)),
	}
	for _, g := range p.Inherits {
		k.heirs = append(k.heirs, g.Role)
	}
	k.purposes = append(s.registered(), "")
	k.departments = append(sorted(c.Departments), "")
	for i := range k.cells {
		k.departments = append(k.departments, k.cells[i].department)
	}
	k.departments = append(sorted(k.departments), "unknown")
	var end time.Time
	if sample.Budget > 0 && sample.Now != nil {
		end = sample.Now().Add(sample.Budget)
	}
	order := k.rng.Perm(max(1, len(p.Rules)))
	for {
		for _, i := range order {
			if len(k.cells) == 0 || k.done(sample, end) {
				return k.found, nil
			}
			if err := k.try(i); err != nil {
				return k.found, err
			}
		}
	}
}

// comparison is one run of Compare.
type comparison struct {
	policy      *Policy
	table       *Table
	reference   *Reference
	settings    Settings
	rng         *rand.Rand
	inherits    inheritance
	heirs       []string // roles that inherit
	purposes    []string
	departments []string
	cells       []cell
	covered     map[string][]*cell // by resource
	readers     map[string]*ReferenceReader
	tried       []bool
	found       Comparison
}

func (k *comparison) done(s Sample, end time.Time) bool {
	return len(k.found.Differences) >= maxDifferences ||
		s.Tuples > 0 && k.found.Tuples >= s.Tuples ||
		!end.IsZero() && k.found.Tuples > 0 && !s.Now().Before(end)
}

// try makes one tuple near rule i and compares.
func (k *comparison) try(i int) error {
	rule := Rule{Role: "nobody", Resource: wildcard, Department: wildcard, Purpose: wildcard, Scope: ScopeAll}
	if i < len(k.policy.Rules) {
		rule = k.policy.Rules[i]
		if !k.tried[i] {
			k.tried[i] = true
			k.found.Rules++
		}
	}
	profile := k.profile(&rule)
	at := k.cell(&rule)
	scopes := map[string]Truth{}
	for _, s := range append([]string{ScopeByKey, ScopeSelf}, scopeNames(at.typ)...) {
		scopes[s] = Truth(k.rng.IntN(3)) //nolint:gosec // below three
	}
	// by_key is a fact of the path, never unknown.
	scopes[ScopeByKey] %= Unknown
	if _, ok := scopes[rule.Scope]; ok && k.rng.IntN(3) > 0 {
		scopes[rule.Scope] = True
	}
	truth := func(s string) Truth { return scopes[s] }
	table := k.table.View(profile).Grants(at.coordinate).Under(truth)
	reader, err := k.reader(profile)
	if err != nil {
		return err
	}
	casbin, err := reader.Caps(at.coordinate, truth)
	if err != nil {
		return err
	}
	k.found.Tuples++
	if table != None {
		k.found.Granted++
	}
	if table != casbin {
		k.found.Differences = append(k.found.Differences, Difference{profile, at.coordinate, scopes, table, casbin})
	}
	return nil
}

// profile makes a reader who has the rule's role, or one that inherits it, and
// sometimes others.
func (k *comparison) profile(rule *Rule) Profile {
	p := Profile{Roles: []string{rule.Role}}
	if len(k.heirs) > 0 && k.rng.IntN(2) == 0 {
		if heir := k.heirs[k.rng.IntN(len(k.heirs))]; slices.Contains(k.inherits.closure(heir), rule.Role) {
			p.Roles[0] = heir
		}
	}
	if len(k.policy.Rules) > 0 && k.rng.IntN(3) == 0 {
		p.Roles = append(p.Roles, k.policy.Rules[k.rng.IntN(len(k.policy.Rules))].Role)
	}
	p.Department = k.departments[k.rng.IntN(len(k.departments))]
	if rule.Department != wildcard && k.rng.IntN(2) == 0 {
		p.Department = rule.Department
	}
	for _, u := range k.purposes {
		if u != "" && (u == rule.Purpose || k.rng.IntN(2) == 0) {
			p.Purposes = append(p.Purposes, u)
		}
	}
	p.Purpose = k.purposes[k.rng.IntN(len(k.purposes))]
	if k.rng.IntN(3) > 0 {
		switch {
		case rule.Purpose != wildcard:
			p.Purpose = rule.Purpose
		case len(p.Purposes) > 0:
			p.Purpose = p.Purposes[k.rng.IntN(len(p.Purposes))]
		}
	}
	return p
}

// cell picks a coordinate that the rule names, sometimes another.
func (k *comparison) cell(rule *Rule) *cell {
	named, ok := k.covered[rule.Resource]
	if !ok {
		for i := range k.cells {
			if slices.Contains(k.cells[i].resources[:], rule.Resource) {
				named = append(named, &k.cells[i])
			}
		}
		k.covered[rule.Resource] = named
	}
	if len(named) == 0 || k.rng.IntN(8) == 0 {
		return &k.cells[k.rng.IntN(len(k.cells))]
	}
	return named[k.rng.IntN(len(named))]
}

// reader keeps the latest enforcers: making one costs more than asking it.
func (k *comparison) reader(p Profile) (*ReferenceReader, error) {
	key := strings.Join(p.Roles, "\x00")
	r := k.readers[key]
	if r == nil {
		var err error
		if r, err = k.reference.Reader(p); err != nil {
			return nil, err
		}
		if len(k.readers) >= readersKept {
			clear(k.readers)
		}
		k.readers[key] = r
	}
	return r.as(p), nil
}

func scopeNames(t *schema.Type) []string {
	out := make([]string, 0, len(t.Scopes))
	for _, s := range t.Scopes {
		out = append(out, s.Name)
	}
	return out
}
