package authz_test

import (
	"errors"
	"testing"
	"time"

	"github.com/weir-data/weir/authz"
)

func TestCompare(t *testing.T) {
	besideNothing(t)
	p, c, s := parse(t, page), catalogue(), settings()
	table := compile(t, page)
	found, err := authz.Compare(p, table, c, s, authz.Sample{Seed: 1, Tuples: 1500})
	if err != nil {
		t.Fatal(err)
	}
	if !found.Equal() || found.Tuples != 1500 || found.Rules != len(p.Rules) {
		t.Errorf("%+v", found)
	}
}

// TestCompareFinds: a table of another policy is found out, whichever rule is
// missing, wider or narrower.
func TestCompareFinds(t *testing.T) {
	besideNothing(t)
	const base = `
p, a, public_security, Person.*, L3, statistics, own_region, mask, allow
p, b, market, *, L4, *, self, clear, allow
p, b, market, Company.*, L4, *, all, clear, allow
p, b, market, Company.code, L1, *, own_region, mask, deny
g, c, a
`
	p, c, s := parse(t, base), catalogue(), settings()
	for name, other := range map[string]string{
		"a rule less": `
p, b, market, *, L4, *, self, clear, allow
p, b, market, Company.*, L4, *, all, clear, allow
p, b, market, Company.code, L1, *, own_region, mask, deny
g, c, a
`,
		"a deny less": `
p, a, public_security, Person.*, L3, statistics, own_region, mask, allow
p, b, market, Company.*, L4, *, all, clear, allow
g, c, a
`,
		"a level more": `
p, a, public_security, Person.*, L4, statistics, own_region, mask, allow
p, b, market, Company.*, L4, *, all, clear, allow
p, b, market, Company.code, L1, *, own_region, mask, deny
g, c, a
`,
		"any purpose": `
p, a, public_security, Person.*, L3, *, own_region, mask, allow
p, b, market, Company.*, L4, *, all, clear, allow
p, b, market, Company.code, L1, *, own_region, mask, deny
g, c, a
`,
		"no inheritance": `
p, a, public_security, Person.*, L3, statistics, own_region, mask, allow
p, b, market, Company.*, L4, *, all, clear, allow
p, b, market, Company.code, L1, *, own_region, mask, deny
`,
	} {
		found, err := authz.Compare(p, compile(t, other), c, s, authz.Sample{Seed: 7, Tuples: 3000})
		if err != nil {
			t.Fatal(err)
		}
		if found.Equal() {
			t.Errorf("%s: not found in %d tuples", name, found.Tuples)
			continue
		}
		if found.Differences[0].String() == "" {
			t.Errorf("%s: a difference without words", name)
		}
	}
}

func TestCompareBounds(t *testing.T) {
	p, c, s := parse(t, page), catalogue(), settings()
	table := compile(t, page)
	if _, err := authz.Compare(p, table, c, s, authz.Sample{}); !errors.Is(err, authz.ErrReference) {
		t.Errorf("no bound: %v", err)
	}
	now := time.Unix(0, 0)
	found, err := authz.Compare(p, table, c, s, authz.Sample{Budget: 100 * time.Millisecond, Now: func() time.Time {
		now = now.Add(10 * time.Millisecond)
		return now
	}})
	if err != nil || !found.Equal() || found.Tuples > 11 {
		t.Errorf("%+v, %v", found, err)
	}
	empty := compile(t, "")
	found, err = authz.Compare(parse(t, ""), empty, c, s, authz.Sample{Tuples: 50})
	if err != nil || !found.Equal() {
		t.Errorf("an empty policy: %+v, %v", found, err)
	}
	if found, err = authz.Compare(p, empty, c, s, authz.Sample{Tuples: 500}); err != nil || found.Equal() {
		t.Errorf("an empty table for a policy: %+v, %v", found, err)
	}
}
