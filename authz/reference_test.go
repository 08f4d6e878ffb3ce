package authz_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/schema"
)

// naive decides by reading the policy line by line, for one cell of one row: a
// third opinion beside the table and Casbin, written from the rules alone.
type naive struct {
	policy    *authz.Policy
	catalogue *schema.Catalogue
	settings  authz.Settings
	uncapped  bool // as if every type were shared unconditionally
}

func (n *naive) roles(p authz.Profile) map[string]bool {
	held := map[string]bool{}
	for _, r := range p.Roles {
		held[r] = true
	}
	for range len(n.policy.Inherits) + 1 {
		for _, g := range n.policy.Inherits {
			if held[g.Role] {
				held[g.Parent] = true
			}
		}
	}
	return held
}

func (n *naive) caps(p authz.Profile, at schema.Coordinate, truth map[string]authz.Truth) authz.Caps {
	typ := n.catalogue.Types[at.Type]
	level, covers := typ.Level, len(typ.Subjects) > 0
	names := []string{"*", at.Type + ".*", at.Type + "._row"}
	if at.Field != "" {
		level = typ.Field(at.Field).Level
		names[2] = at.Type + "." + at.Field
		covers = false
		for _, s := range typ.Subjects {
			covers = covers || s.Covers == nil || slices.Contains(s.Covers, at.Field)
		}
	}
	department := typ.Source.Department
	own := p.Department == department
	scope := func(name string) authz.Truth {
		switch name {
		case "all":
			return authz.True
		case "own_department":
			if p.Department == "" {
				return authz.Unknown
			}
			if own {
				return authz.True
			}
			return authz.False
		case "self":
			if !covers {
				return authz.False
			}
			return truth["self"]
		case "by_key":
			return truth["by_key"]
		}
		for _, s := range typ.Scopes {
			if s.Name == name {
				return truth[name]
			}
		}
		return authz.Unknown
	}
	stated := p.Purpose != ""
	open := !stated || slices.Contains(p.Purposes, p.Purpose) && slices.Contains(n.settings.Purposes, p.Purpose)
	held := n.roles(p)

	var granted, removed authz.Caps
	for _, r := range n.policy.Rules {
		if !held[r.Role] || r.Department != "*" && r.Department != department || !slices.Contains(names, r.Resource) {
			continue
		}
		ruleLevel := schema.Rank(strings.Index("L1L2L3L4", r.Level) / 2) //nolint:gosec // small
		bits := map[string]authz.Caps{"match": authz.Match, "aggregate": authz.Aggregate, "mask": authz.Mask, "clear": authz.Clear}
		if r.Effect == "deny" {
			if level < ruleLevel || scope(r.Scope) == authz.False {
				continue
			}
			removed |= authz.Clear
			if r.Access == "any" {
				removed |= authz.Match | authz.Aggregate | authz.Mask
			} else {
				removed |= bits[r.Access]
			}
			continue
		}
		if level > ruleLevel || scope(r.Scope) != authz.True || !open {
			continue
		}
		if r.Purpose != "*" && r.Purpose != p.Purpose {
			continue
		}
		if !stated && level >= n.settings.PurposeRequiredFrom {
			continue
		}
		if !n.uncapped {
			if typ.Sharing.Mode == schema.WithheldSharing && !own && r.Scope != "self" {
				continue
			}
			if typ.Sharing.Mode == schema.Conditional && level > 0 && r.Department == "*" {
				continue
			}
		}
		if r.Access == "clear" {
			granted |= authz.Match | authz.Aggregate | authz.Mask | authz.Clear
		} else {
			granted |= bits[r.Access]
		}
	}
	return granted &^ removed
}

// assignments lists all truths of the type's scopes.
func assignments(typ *schema.Type) []map[string]authz.Truth {
	out := []map[string]authz.Truth{{"by_key": authz.False}, {"by_key": authz.True}}
	names := []string{"self"}
	for _, s := range typ.Scopes {
		names = append(names, s.Name)
	}
	for _, name := range names {
		var next []map[string]authz.Truth
		for _, a := range out {
			for _, v := range []authz.Truth{authz.False, authz.True, authz.Unknown} {
				b := map[string]authz.Truth{name: v}
				for k, x := range a {
					b[k] = x
				}
				next = append(next, b)
			}
		}
		out = next
	}
	return out
}

var (
	drawnRoles    = []string{"r1", "r2", "r3", "r4"}
	drawnPurposes = []string{"p1", "p2", "p3"}
	drawnDepts    = []string{"d1", "d2"}
)

func drawCatalogue(t *rapid.T) *schema.Catalogue {
	c := &schema.Catalogue{Levels: schema.DefaultLevels(), Departments: drawnDepts, Types: map[string]*schema.Type{}}
	rank := rapid.Custom(func(t *rapid.T) schema.Rank { return schema.Rank(rapid.IntRange(0, 3).Draw(t, "rank")) }) //nolint:gosec // small
	for _, name := range []string{"A", "B"} {
		typ := typeOf(name, rapid.SampledFrom(drawnDepts).Draw(t, "department"), rank.Draw(t, "row"),
			schema.SharingMode(rapid.IntRange(0, 2).Draw(t, "sharing")), //nolint:gosec // small
			field("x", schema.String, rank.Draw(t, "x")), field("y", schema.String, rank.Draw(t, "y")))
		for _, s := range []string{"s1", "s2"} {
			if rapid.Bool().Draw(t, "declares") {
				typ.Scopes = append(typ.Scopes, &schema.Scope{Name: s})
			}
		}
		switch rapid.IntRange(0, 2).Draw(t, "subject") {
		case 1:
			typ.Subjects = []schema.Subject{{Field: "x"}}
		case 2:
			typ.Subjects = []schema.Subject{{Field: "x", Covers: []string{"x"}}}
		}
		c.Types[name] = typ
	}
	return c
}

func drawPolicy(t *rapid.T, rules int) *authz.Policy {
	var b strings.Builder
	pick := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label) }
	for range rapid.IntRange(0, rules).Draw(t, "rules") {
		effect, purpose, access := "allow", pick("purpose", "*", "*", "p1", "p2", "p3"), pick("access", "match", "aggregate", "mask", "clear", "clear")
		if rapid.IntRange(0, 3).Draw(t, "effect") == 0 {
			effect, purpose, access = "deny", "*", pick("access", "match", "aggregate", "mask", "clear", "any")
		}
		fmt.Fprintf(&b, "p, %s, %s, %s, %s, %s, %s, %s, %s\n",
			pick("role", drawnRoles...), pick("department", "*", "d1", "d2"),
			pick("resource", "*", "A.*", "A._row", "A.x", "A.y", "B.*", "B._row", "B.x"),
			pick("level", "L1", "L2", "L3", "L4", "L4"), purpose,
			pick("scope", "all", "all", "by_key", "self", "own_department", "s1", "s2"), access, effect)
	}
	// Parents come later in the list, so that there is no cycle.
	for range rapid.IntRange(0, 3).Draw(t, "inherits") {
		i := rapid.IntRange(0, 2).Draw(t, "role")
		fmt.Fprintf(&b, "g, %s, %s\n", drawnRoles[i], drawnRoles[rapid.IntRange(i+1, 3).Draw(t, "parent")])
	}
	p, found := authz.Parse([]schema.File{{Name: "drawn.csv", Text: b.String()}})
	if len(found) > 0 {
		t.Fatalf("%s", found.Error())
	}
	return p
}

func drawSettings(t *rapid.T) authz.Settings {
	return authz.Settings{
		PurposeRequiredFrom: schema.Rank(rapid.IntRange(0, 4).Draw(t, "required")), //nolint:gosec // small
		HideFrom:            schema.Rank(rapid.IntRange(0, 4).Draw(t, "hide")),     //nolint:gosec // small
		Purposes:            []string{"p1", "p2"},                                  // p3 is not registered
	}
}

func drawProfile(t *rapid.T) authz.Profile {
	return authz.Profile{
		Roles:      rapid.SliceOfN(rapid.SampledFrom(append([]string{"nobody"}, drawnRoles...)), 0, 3).Draw(t, "roles"),
		Department: rapid.SampledFrom([]string{"", "d1", "d2", "d3"}).Draw(t, "reader"),
		Purposes:   rapid.SliceOfN(rapid.SampledFrom(drawnPurposes), 0, 3).Draw(t, "open"),
		Purpose:    rapid.SampledFrom([]string{"", "p1", "p1", "p2", "p3"}).Draw(t, "stated"),
	}
}

func coordinates(c *schema.Catalogue) []schema.Coordinate {
	var out []schema.Coordinate
	for name, typ := range c.Types {
		out = append(out, schema.Coordinate{Type: name})
		for _, f := range typ.Fields {
			out = append(out, f.Coordinate)
		}
	}
	slices.SortFunc(out, func(a, b schema.Coordinate) int { return strings.Compare(a.String(), b.String()) })
	return out
}

// TestTableEqualsNaive: on every coordinate and every truth of its scopes the
// table says what reading the policy says, and so do its reason, its purpose
// and whether it is hidden.
func TestTableEqualsNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, p, s, profile := drawCatalogue(t), drawPolicy(t, 10), drawSettings(t), drawProfile(t)
		table, err := authz.Compile(p, c, s)
		if err != nil {
			t.Fatal(err)
		}
		n, bare := naive{policy: p, catalogue: c, settings: s}, naive{policy: p, catalogue: c, settings: s, uncapped: true}
		for _, at := range coordinates(c) {
			g := table.View(profile).Grants(at)
			want := expectation(&n, &bare, profile, at, t, g)
			if g.Reason != want.Reason || g.WithPurpose != want.WithPurpose || g.Hidden != want.Hidden {
				t.Fatalf("%s: reason %s, with purpose %s, hidden %t; want %s, %s, %t",
					at, g.Reason, g.WithPurpose, g.Hidden, want.Reason, want.WithPurpose, want.Hidden)
			}
			if g.Potential() == authz.None && len(g.Clauses) > 0 {
				t.Fatalf("%s: clauses that grant nothing", at)
			}
		}
	})
}

// expectation checks the clauses, and gives what the rest should be.
func expectation(n, bare *naive, profile authz.Profile, at schema.Coordinate, t *rapid.T, g *authz.Grants) authz.Grants {
	typ := n.catalogue.Types[at.Type]
	level := typ.Level
	if at.Field != "" {
		level = typ.Field(at.Field).Level
	}
	var open []string
	for _, u := range profile.Purposes {
		if slices.Contains(n.settings.Purposes, u) {
			open = append(open, u)
		}
	}
	want := authz.Grants{Hidden: level >= n.settings.HideFrom}
	elsewhere, capped := false, false
	always := authz.Clear.Closure()
	for _, truth := range assignments(typ) {
		now := n.caps(profile, at, truth)
		always &= now
		if got := g.Under(func(s string) authz.Truth { return truth[s] }); got != now {
			t.Fatalf("%s under %v: the table says %s, the policy %s", at, truth, got, now)
		}
		for _, u := range append([]string{""}, open...) {
			other := profile
			other.Purpose = u
			if caps := n.caps(other, at, truth); u != "" && u != profile.Purpose {
				want.WithPurpose |= caps
				elsewhere = elsewhere || caps&^now != 0
			}
			if bare.caps(other, at, truth) != 0 {
				want.Hidden = false
			}
		}
		capped = capped || bare.caps(profile, at, truth)&^now != 0
	}
	if g.Always() != always {
		t.Fatalf("%s: always %s, want %s", at, g.Always(), always)
	}
	switch {
	case profile.Purpose != "" && !slices.Contains(open, profile.Purpose), elsewhere, profile.Purpose == "" && level >= n.settings.PurposeRequiredFrom:
		want.Reason = authz.ReasonPurpose
	case capped:
		want.Reason = authz.ReasonSharing
	}
	return want
}

// TestTableEqualsCasbin: the same against Enforce, for one row at a time.
func TestTableEqualsCasbin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, p, s, profile := drawCatalogue(t), drawPolicy(t, 8), drawSettings(t), drawProfile(t)
		table, err := authz.Compile(p, c, s)
		if err != nil {
			t.Fatal(err)
		}
		reference, err := authz.NewReference(p, c, s)
		if err != nil {
			t.Fatal(err)
		}
		reader, err := reference.Reader(profile)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range coordinates(c) {
			truth := rapid.SampledFrom(assignments(c.Types[at.Type])).Draw(t, "truth")
			scopes := func(s string) authz.Truth { return truth[s] }
			want, err := reader.Caps(at, scopes)
			if err != nil {
				t.Fatal(err)
			}
			if got := table.View(profile).Grants(at).Under(scopes); got != want {
				t.Fatalf("%s under %v: the table says %s, casbin %s", at, truth, got, want)
			}
		}
	})
}

// TestCovers: one holding covers another exactly when it does on every row.
func TestCovers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, s, profile := drawCatalogue(t), drawSettings(t), drawProfile(t)
		var tables [2]*authz.Table
		for i := range tables {
			var err error
			if tables[i], err = authz.Compile(drawPolicy(t, 12), c, s); err != nil {
				t.Fatal(err)
			}
		}
		for _, at := range coordinates(c) {
			was, is := tables[0].View(profile).Grants(at), tables[1].View(profile).Grants(at)
			want := true
			for _, truth := range assignments(c.Types[at.Type]) {
				scopes := func(s string) authz.Truth { return truth[s] }
				want = want && was.Under(scopes)&^is.Under(scopes) == authz.None
			}
			if got := is.Covers(was); got != want {
				t.Fatalf("%s: %s covers %s: %t, want %t", at, is, was, got, want)
			}
			if !was.Covers(was) || !was.Covers(nil) {
				t.Fatalf("%s does not cover itself or nothing", was)
			}
		}
	})
}

// TestAddingARoleWithoutRules reveals nothing.
func TestAddingARoleWithoutRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, p, s, profile := drawCatalogue(t), drawPolicy(t, 8), drawSettings(t), drawProfile(t)
		table, err := authz.Compile(p, c, s)
		if err != nil {
			t.Fatal(err)
		}
		more := profile
		more.Roles = append(slices.Clone(profile.Roles), "stranger")
		if table.View(more) != table.View(profile) {
			t.Fatal("a role without rules changes the view")
		}
	})
}
