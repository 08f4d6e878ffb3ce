package authz_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/schema"
)

// page is the policy of the design's page on access.
const page = `
p, window-clerk, public_security, Person.*,      L3, newborn-registration, by_key,     mask,      allow
p, window-clerk, public_security, Person.idNumber, L4, newborn-registration, by_key,   match,     allow
p, case-officer, public_security, Person.*,      L4, *,                    own_region, clear,     allow
p, case-officer, public_security, Person.*,      L3, *,                    all,        mask,      allow
p, statistician, public_security, Person.*,      L3, statistics,           all,        aggregate, allow
p, citizen,      public_security, *,             L4, self-service,         self,       clear,     allow   # one line per department
p, contractor,   *,               *,             L2, *,                    all,        any,       deny
p, wildcard,     *,               *,             L4, *,                    all,        clear,     allow
p, sealer,       public_security, Person.name,   L1, *,                    sealed,     mask,      deny
p, owner,        *,               *,             L4, *,                    own_department, clear, allow
g, case-officer, window-clerk
`

func TestDecisions(t *testing.T) {
	open := []string{"case-handling", "newborn-registration", "self-service", "statistics"}
	cases := []struct {
		name       string
		roles      []string
		department string
		purposes   []string
		purpose    string
		at         string
		want       string
		reason     authz.Reason
		elsewhere  authz.Caps
		hidden     bool
	}{
		{name: "mask by key for the purpose", roles: []string{"window-clerk"}, purposes: open, purpose: "newborn-registration", at: "Person.name", want: "mask under by_key"},
		{name: "the row by Type.*", roles: []string{"window-clerk"}, purposes: open, purpose: "newborn-registration", at: "Person", want: "mask under by_key"},
		{name: "match above the level of the mask", roles: []string{"window-clerk"}, purposes: open, purpose: "newborn-registration", at: "Person.idNumber", want: "match under by_key"},
		{name: "another purpose", roles: []string{"window-clerk"}, purposes: open, purpose: "statistics", at: "Person.name", want: "none", reason: authz.ReasonPurpose, elsewhere: authz.Mask},
		{name: "no purpose", roles: []string{"window-clerk"}, purposes: open, at: "Person.name", want: "none", reason: authz.ReasonPurpose, elsewhere: authz.Mask},
		{name: "a purpose that is not open", roles: []string{"window-clerk"}, purposes: []string{"statistics"}, purpose: "newborn-registration", at: "Person.name", want: "none", reason: authz.ReasonPurpose},
		{name: "an unregistered purpose", roles: []string{"case-officer"}, purposes: []string{"curiosity"}, purpose: "curiosity", at: "Person.name", want: "none", reason: authz.ReasonPurpose},
		{name: "hidden at the highest level", roles: []string{"statistician"}, purposes: open, purpose: "statistics", at: "Person.idNumber", want: "none", hidden: true},
		{name: "not hidden where another open purpose grants", roles: []string{"window-clerk"}, purposes: open, purpose: "statistics", at: "Person.idNumber", want: "none", reason: authz.ReasonPurpose, elsewhere: authz.Match},
		{name: "hidden where that purpose is not open", roles: []string{"window-clerk"}, purposes: []string{"statistics"}, purpose: "statistics", at: "Person.idNumber", want: "none", hidden: true},
		{name: "clear in the region, masked elsewhere, inherited", roles: []string{"case-officer"}, purposes: open, purpose: "case-handling", at: "Person.name", want: "mask; clear under own_region", elsewhere: authz.Clear.Closure()},
		{name: "the wildcard purpose below the threshold", roles: []string{"case-officer"}, purposes: open, at: "Person.district", want: "mask; clear under own_region", elsewhere: authz.Clear.Closure()},
		{name: "the wildcard purpose needs one from the threshold", roles: []string{"case-officer"}, purposes: open, at: "Person.name", want: "none", reason: authz.ReasonPurpose, elsewhere: authz.Clear.Closure()},
		{name: "inheritance adds up", roles: []string{"case-officer"}, purposes: open, purpose: "newborn-registration", at: "Person.idNumber", want: "match under by_key; clear under own_region", elsewhere: authz.Clear.Closure()},
		{name: "self for what a subject covers", roles: []string{"citizen"}, purposes: open, purpose: "self-service", at: "Marriage.hisName", want: "clear under self"},
		{name: "no self for what none covers", roles: []string{"citizen"}, purposes: open, purpose: "self-service", at: "Marriage.place", want: "none"},
		{name: "self on a type without a subject", roles: []string{"citizen"}, purposes: open, purpose: "self-service", at: "Company.code", want: "none"},
		{name: "deny wins", roles: []string{"wildcard", "contractor"}, at: "Company.capital", want: "none"},
		{name: "deny from its level", roles: []string{"wildcard", "contractor"}, at: "Company.code", want: "clear"},
		{name: "sharing: a wildcard department and a conditional type", roles: []string{"wildcard"}, purposes: open, purpose: "statistics", at: "Person.district", want: "none", reason: authz.ReasonSharing},
		{name: "sharing: not above the lowest level", roles: []string{"wildcard"}, at: "Person.nickname", want: "clear"},
		{name: "sharing: capped is not hidden", roles: []string{"wildcard"}, purposes: open, purpose: "statistics", at: "Person.idNumber", want: "none", reason: authz.ReasonSharing},
		{name: "sharing: withheld", roles: []string{"wildcard"}, purposes: open, purpose: "statistics", at: "Marriage.hisName", want: "none", reason: authz.ReasonSharing},
		{name: "sharing: withheld, own department", roles: []string{"owner"}, department: "public_security", purposes: open, purpose: "statistics", at: "Marriage.hisName", want: "clear", elsewhere: authz.Clear.Closure()},
		{name: "own department of another", roles: []string{"owner"}, department: "market", purposes: open, purpose: "statistics", at: "Marriage.place", want: "none"},
		{name: "own department", roles: []string{"owner"}, department: "market", at: "Company.capital", want: "clear"},
		{name: "no department", roles: []string{"owner"}, at: "Company.capital", want: "none"},
		{name: "a deny under a scope", roles: []string{"case-officer", "sealer"}, purposes: open, purpose: "case-handling", at: "Person.name", want: "mask; clear under own_region; not clear under sealed", elsewhere: authz.Clear.Closure()},
		{name: "a role without rules", roles: []string{"nobody"}, purposes: open, purpose: "statistics", at: "Person.name", want: "none"},
		{name: "no roles", at: "Company.code", want: "none"},
	}
	table := compile(t, page)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v := table.View(authz.Profile{Roles: c.roles, Department: c.department, Purposes: c.purposes, Purpose: c.purpose})
			g := v.Grants(schema.ParseCoordinate(c.at))
			if g == nil {
				t.Fatal("no grants")
			}
			if got := g.String(); got != c.want {
				t.Errorf("grants: %s, want %s", got, c.want)
			}
			if g.Reason != c.reason || g.WithPurpose != c.elsewhere || g.Hidden != c.hidden {
				t.Errorf("reason %s, with purpose %s, hidden %t; want %s, %s, %t",
					g.Reason, g.WithPurpose, g.Hidden, c.reason, c.elsewhere, c.hidden)
			}
		})
	}
}

// TestDenyRemovesWhatImplies: a deny of mask leaves what does not imply it.
func TestDenyRemovesWhatImplies(t *testing.T) {
	for access, want := range map[string]string{
		"match": "aggregate+mask", "aggregate": "match+mask", "mask": "match+aggregate", "clear": "match+aggregate+mask", "any": "none",
	} {
		table := compile(t, "p, r, market, Company.*, L4, *, all, clear, allow\np, r, *, *, L1, *, all, "+access+", deny\n")
		if got := table.View(authz.Profile{Roles: []string{"r"}}).Grants(schema.Coordinate{Type: "Company", Field: "code"}).String(); got != want {
			t.Errorf("deny %s: %s, want %s", access, got, want)
		}
	}
}

// TestUnknownScope: unknown is false in an allow and true in a deny.
func TestUnknownScope(t *testing.T) {
	table := compile(t, `
p, a, market, Company.*, L4, *, own_region, clear, allow
p, b, market, Company.*, L4, *, all, clear, allow
p, b, market, Company.*, L1, *, own_region, any, deny
p, c, market, Permit.*, L4, *, own_region, clear, allow
p, d, market, Permit.*, L4, *, all, clear, allow
p, d, market, Permit.*, L1, *, own_region, any, deny
p, e, market, Company.*, L4, *, all, clear, allow
p, e, market, Company.*, L1, *, own_department, any, deny
`)
	company, permit := schema.Coordinate{Type: "Company", Field: "code"}, schema.Coordinate{Type: "Permit", Field: "number"}
	for _, c := range []struct {
		role       string
		department string
		at         schema.Coordinate
		truth      authz.Truth
		want       authz.Caps
	}{
		{"a", "", company, authz.True, authz.Clear.Closure()},
		{"a", "", company, authz.False, authz.None},
		{"a", "", company, authz.Unknown, authz.None},
		{"b", "", company, authz.True, authz.None},
		{"b", "", company, authz.False, authz.Clear.Closure()},
		{"b", "", company, authz.Unknown, authz.None},
		{"c", "", permit, authz.True, authz.None}, // Permit does not declare the scope
		{"d", "", permit, authz.False, authz.None},
		{"e", "market", company, authz.False, authz.None},
		{"e", "public_security", company, authz.False, authz.Clear.Closure()},
		{"e", "", company, authz.False, authz.None}, // whose department is unknown
	} {
		g := table.View(authz.Profile{Roles: []string{c.role}, Department: c.department}).Grants(c.at)
		if got := g.Under(func(string) authz.Truth { return c.truth }); got != c.want {
			t.Errorf("role %s, department %q, scope %d: %s, want %s", c.role, c.department, c.truth, got, c.want)
		}
	}
}

func TestNilGrants(t *testing.T) {
	var g *authz.Grants
	if g.Potential() != authz.None || g.Always() != authz.None || g.Scopes() != nil || g.String() != "none" ||
		g.Under(func(string) authz.Truth { return authz.True }) != authz.None {
		t.Error("nil grants grant something")
	}
	table := compile(t, page)
	if table.View(authz.Profile{}).Grants(schema.Coordinate{Type: "Nothing"}) != nil {
		t.Error("an unknown coordinate has grants")
	}
	var v *authz.View
	if v.Grants(schema.Coordinate{Type: "Person"}) != nil {
		t.Error("a nil view has grants")
	}
	var s *authz.Subject
	if diff := cmp.Diff(authz.Profile{}, s.Profile("x")); diff != "" {
		t.Errorf("a nil subject has a profile: %s", diff)
	}
}

// TestProfile: all of a reader that decides goes into his profile.
func TestProfile(t *testing.T) {
	s := &authz.Subject{
		ID: "s", Application: "desk", Department: "police", Roles: []string{"clerk"}, Purposes: []string{"cases", "births"},
		Attributes: map[string]string{"region": "north"}, TokenID: "t",
	}
	want := authz.Profile{Roles: []string{"clerk"}, Department: "police", Purposes: []string{"cases", "births"}, Purpose: "cases"}
	if diff := cmp.Diff(want, s.Profile("cases")); diff != "" {
		t.Error(diff)
	}
}

// TestViewKeys: profiles that mean the same share a view, others never do.
func TestViewKeys(t *testing.T) {
	table := compile(t, page)
	base := authz.Profile{Roles: []string{"case-officer", "citizen"}, Purposes: []string{"case-handling", "statistics"}, Purpose: "statistics"}
	same := []authz.Profile{
		{Roles: []string{"citizen", "case-officer"}, Purposes: []string{"statistics", "case-handling"}, Purpose: "statistics"},
		{Roles: []string{"citizen", "nobody", "case-officer", "citizen"}, Purposes: []string{"statistics", "curiosity", "case-handling"}, Purpose: "statistics"},
	}
	for _, p := range same {
		if table.View(p) != table.View(base) {
			t.Errorf("%v has a view of its own", p)
		}
	}
	different := []authz.Profile{
		{Roles: base.Roles, Purposes: base.Purposes},
		{Roles: base.Roles, Purposes: []string{"statistics"}, Purpose: "statistics"},
		{Roles: base.Roles[:1], Purposes: base.Purposes, Purpose: "statistics"},
		{Roles: []string{"case-officercitizen"}, Purposes: base.Purposes, Purpose: "statistics"},
		{Roles: base.Roles, Department: "market", Purposes: base.Purposes, Purpose: "statistics"},
		{Roles: []string{"case-officer"}, Department: "citizen", Purposes: base.Purposes, Purpose: "statistics"},
	}
	seen := map[string]bool{table.View(base).Key(): true}
	for _, p := range different {
		if k := table.View(p).Key(); seen[k] {
			t.Errorf("%v shares a key", p)
		} else {
			seen[k] = true
		}
	}
}

// TestGrantsAreInterned: equal grants are one pointer within a table, and have
// one digest across tables.
func TestGrantsAreInterned(t *testing.T) {
	a, b := compile(t, page), compile(t, "# another revision\n"+page)
	p := authz.Profile{Roles: []string{"case-officer"}, Purposes: []string{"case-handling"}, Purpose: "case-handling"}
	q := authz.Profile{Roles: []string{"case-officer", "citizen"}, Purposes: []string{"case-handling"}, Purpose: "case-handling"}
	name, born := schema.Coordinate{Type: "Person", Field: "name"}, schema.Coordinate{Type: "Person", Field: "born"}
	if a.View(p).Grants(name) != a.View(p).Grants(born) {
		t.Error("equal grants of one view differ")
	}
	if a.View(p).Grants(name) != a.View(q).Grants(name) {
		t.Error("equal grants of two views differ")
	}
	if a.View(p).Grants(name).Digest != b.View(p).Grants(name).Digest {
		t.Error("equal grants of two tables have different digests")
	}
	if a.View(p).Grants(name).Digest == a.View(p).Grants(schema.Coordinate{Type: "Company", Field: "code"}).Digest {
		t.Error("different grants share a digest")
	}
	if a.Revision() == b.Revision() {
		t.Error("two revisions share a name")
	}
}

// TestViewsAreBounded: profiles beyond the bound are still answered.
func TestViewsAreBounded(t *testing.T) {
	table := compile(t, page)
	for i := range 9000 {
		p := authz.Profile{Roles: []string{"window-clerk"}, Department: string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676))}
		if g := table.View(p).Grants(schema.Coordinate{Type: "Person"}); g == nil || g.Potential() != authz.None {
			t.Fatal("a view without its grants")
		}
	}
	if n := table.Views(); n > 4096 {
		t.Errorf("%d views are kept", n)
	}
}

func TestConcurrentViews(t *testing.T) {
	table := compile(t, page)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for i := range 200 {
				roles := [][]string{{"case-officer"}, {"citizen"}, {"window-clerk", "statistician"}}[i%3]
				v := table.View(authz.Profile{Roles: roles, Purposes: []string{"statistics"}, Purpose: "statistics"})
				if v.Grants(schema.Coordinate{Type: "Person", Field: "name"}) == nil {
					t.Error("no grants")
					return
				}
			}
		})
	}
	group.Wait()
}

func TestCompileRefuses(t *testing.T) {
	for _, text := range []string{
		"p, r, market, Company.*, L9, *, all, clear, allow",
		"p, r, market, Company.*, L1, *, all, clear, permit",
		"p, r, market, Company.*, L1, *, all, read, allow",
		"p, r, market, Company.*, L1, *, all, any, allow",
		"p, r, market, Company, L1, *, all, clear, allow",
		"p, r, market, Comp*.code, L1, *, all, clear, allow",
		"p, r, market, Company.*, L1, statistics, all, any, deny",
		"p, *, market, Company.*, L1, *, all, clear, allow",
		"g, a, b\ng, b, a",
	} {
		_, err := authz.Compile(parse(t, text), catalogue(), settings())
		var found schema.Diagnostics
		if !errors.Is(err, authz.ErrPolicy) || !errors.As(err, &found) || found[0].Line == 0 {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestStrictestSettings: the zero settings open no purpose, need one for every
// level, and hide what is not held.
// What the sharing class stops is not hidden where no purpose is needed either,
// from readers to whom none is open.
func TestCappedIsNotHiddenWithoutPurposes(t *testing.T) {
	s := settings()
	s.HideFrom = 1 // below the level that needs a purpose
	table, err := authz.Compile(parse(t, "p, r, *, *, L4, *, all, clear, allow\np, s, market, *, L4, *, all, clear, allow\n"), catalogue(), s)
	if err != nil {
		t.Fatal(err)
	}
	for role, hidden := range map[string]bool{"r": false, "s": true} {
		g := table.View(authz.Profile{Roles: []string{role}}).Grants(schema.Coordinate{Type: "Person", Field: "district"})
		if g.Potential() != authz.None || g.Hidden != hidden {
			t.Errorf("%s: %s, hidden %t", role, g, g.Hidden)
		}
	}
}

// A reader with roles of two departments holds of each what its lines say and no
// more; own_department is the one of his token, whichever roles he has.
func TestRolesOfTwoDepartments(t *testing.T) {
	table := compile(t, `
p, registrar, public_security, *, L2, *, all,            clear, allow
p, registrar, market,          *, L1, *, own_department, mask,  allow
p, inspector, market,          *, L2, *, own_department, clear, allow
p, inspector, public_security, *, L2, *, own_department, mask,  allow
`)
	for _, c := range []struct{ department, at, want string }{
		{"public_security", "Person.district", "clear"},
		{"market", "Person.district", "clear"},
		{"", "Person.district", "clear"},
		{"public_security", "Company.code", "none"},
		{"market", "Company.code", "clear"},
		{"", "Company.code", "none"},
	} {
		typ, field, _ := strings.Cut(c.at, ".")
		g := table.View(authz.Profile{Roles: []string{"registrar", "inspector"}, Department: c.department}).Grants(schema.Coordinate{Type: typ, Field: field})
		if g.String() != c.want {
			t.Errorf("%s for one of %q: %s, want %s", c.at, c.department, g, c.want)
		}
	}
}

func TestStrictestSettings(t *testing.T) {
	table, err := authz.Compile(parse(t, "p, r, market, *, L4, *, all, clear, allow\n"), catalogue(), authz.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	g := table.View(authz.Profile{Roles: []string{"r"}, Purposes: []string{"x", "*", ""}, Purpose: "*"}).Grants(schema.Coordinate{Type: "Company", Field: "code"})
	if g.Potential() != authz.None || !g.Hidden {
		t.Errorf("%s, hidden %t", g, g.Hidden)
	}
}
