package authz_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/schema"
)

// TestDiffIsExact: on everything that any reader may hold, whatever his roles,
// department, purpose and row, the difference says exactly whether something
// changed, was gained, was lost.
func TestDiffIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tables [2]*authz.Table
		c, s := drawCatalogue(t), drawSettings(t)
		p := drawPolicy(t, 6)
		for i := range tables {
			if i == 1 {
				switch rapid.IntRange(0, 3).Draw(t, "what changes") {
				case 0:
					c = drawCatalogue(t)
				case 1:
					s = drawSettings(t)
				case 2:
					p = drawPolicy(t, 6)
				default: // a few lines more
					more := drawPolicy(t, 2)
					p = &authz.Policy{Rules: slices.Concat(p.Rules, more.Rules), Inherits: p.Inherits}
				}
			}
			var err error
			if tables[i], err = authz.Compile(p, c, s); err != nil {
				t.Fatal(err)
			}
		}
		if rapid.Bool().Draw(t, "backwards") {
			tables[0], tables[1] = tables[1], tables[0]
		}
		want := everyDecision(t, tables[0], tables[1])
		changes := authz.Diff(tables[0], tables[1])
		// Columns and conditions have a meaning beyond the decisions.
		got, total := authz.Direction{}, authz.Direction{}
		for i := range changes.List {
			one := &changes.List[i]
			total.Widens, total.Narrows = total.Widens || one.Widens, total.Narrows || one.Narrows
			if one.Meaning == "" {
				got.Widens, got.Narrows = got.Widens || one.Widens, got.Narrows || one.Narrows
			}
			if len(one.Lines()) == 0 || !one.Changed() {
				t.Fatalf("a change without words or direction: %+v", one)
			}
		}
		if total != changes.Direction {
			t.Fatalf("the list %s, in all %s", total, changes.Direction)
		}
		if got.Widens != want.caps.Widens && (!got.Widens || !want.hidden.Widens) ||
			got.Narrows != want.caps.Narrows && (!got.Narrows || !want.hidden.Narrows) ||
			want.single.Widens && !got.Widens || want.single.Narrows && !got.Narrows {
			t.Fatalf("got %s, want %s, hidden %s\n%s", got, want.caps, want.hidden, changes)
		}
		back := authz.Diff(tables[1], tables[0])
		if back.Widens != total.Narrows || back.Narrows != total.Widens {
			t.Fatalf("there %s, back %s", total, back.Direction)
		}
	})
}

// expected is how two tables differ.
type expected struct {
	caps   authz.Direction // in what is held by readers with any roles
	hidden authz.Direction // in what exists for them
	single authz.Direction // in what exists for readers of one role
}

// everyDecision asks both tables for every reader, coordinate and row.
func everyDecision(t *rapid.T, from, to *authz.Table) expected {
	var out expected
	note := func(d *authz.Direction, lost, gained bool) {
		d.Narrows = d.Narrows || lost
		d.Widens = d.Widens || gained
	}
	for set := range 1 << len(drawnRoles) {
		var roles []string
		for i, r := range drawnRoles {
			if set&(1<<i) != 0 {
				roles = append(roles, r)
			}
		}
		for _, department := range []string{"", "d1", "d2", "d3"} {
			for _, purpose := range []string{"", "p1", "p2"} {
				p := authz.Profile{Roles: roles, Department: department, Purpose: purpose}
				if purpose != "" {
					p.Purposes = []string{purpose}
				}
				was, is := from.View(p), to.View(p)
				for _, at := range bothCoordinates {
					a, b := was.Grants(at), is.Grants(at)
					ha, hb := a == nil || a.Hidden, b == nil || b.Hidden
					note(&out.hidden, !ha && hb, ha && !hb)
					if len(roles) == 1 {
						note(&out.single, !ha && hb, ha && !hb)
					}
					for _, truth := range allTruths {
						scope := func(s string) authz.Truth { return truth[s] }
						x, y := a.Under(scope), b.Under(scope)
						note(&out.caps, x&^y != 0, y&^x != 0)
					}
				}
			}
		}
	}
	return out
}

var (
	bothCoordinates = []schema.Coordinate{{Type: "A"}, {Type: "A", Field: "x"}, {Type: "A", Field: "y"}, {Type: "B"}, {Type: "B", Field: "x"}, {Type: "B", Field: "y"}}
	allTruths       = assignments(&schema.Type{Scopes: []*schema.Scope{{Name: "s1"}, {Name: "s2"}}})
)

// TestDiff runs the fixtures: a policy, ---->, another one, ----, and the
// difference in words. Where there is no second policy, the schema changes.
func TestDiff(t *testing.T) {
	files, err := filepath.Glob("testdata/diff/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, _ := strings.Cut(string(raw), separator)
			from, to, two := strings.Cut(input, "---->\n")
			before, after := compile(t, from), compile(t, to)
			if !two {
				after = recompile(t, from, otherCatalogue())
			}
			changes := authz.Diff(before, after)
			if *update {
				if err := os.WriteFile(file, []byte(input+separator+changes.String()), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, changes.String()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func recompile(t *testing.T, text string, c *schema.Catalogue) *authz.Table {
	t.Helper()
	table, err := authz.Compile(parse(t, text), c, settings())
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// otherCatalogue differs from catalogue in everything that an owner may change.
func otherCatalogue() *schema.Catalogue {
	c := catalogue()
	person := c.Types["Person"]
	person.Field("name").Level = l2 // lowered
	person.Field("district").Column = "address"
	person.Field("born").Mask = &schema.MaskUse{Spec: "YEAR", Name: "YEAR"}
	person.Field("token").Mask = &schema.MaskUse{Spec: "NULL", Name: "NULL"}
	person.Field("sex").Dimension = true
	person.Scope("own_region").Text = "{town: {_eq: $subject.region}}"
	marriage := c.Types["Marriage"]
	marriage.Subjects = []schema.Subject{{Field: "his", Covers: []string{"his"}}, {Field: "hers", Covers: []string{"hers", "hisName"}}}
	c.Types["Company"].Source.Table = "companies_2"
	c.Types["Permit"].Sharing.Mode = schema.Unconditional
	return c
}

// TestDiffOfMany: a change of many coordinates for many roles is one line, and
// comes in time.
func TestDiffOfMany(t *testing.T) {
	c := wide(1000)
	make2 := func(access string) *authz.Table {
		p := &authz.Policy{}
		for _, role := range []string{"r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8"} {
			p.Rules = append(p.Rules, authz.Rule{
				Role: role, Department: "public_security", Resource: "*", Level: "L4",
				Purpose: "statistics", Scope: authz.ScopeByKey, Access: access, Effect: "allow",
			})
		}
		table, err := authz.Compile(p, c, settings())
		if err != nil {
			t.Fatal(err)
		}
		return table
	}
	got := authz.Diff(make2("match"), make2("mask")).String()
	if strings.Count(got, "\n") != 2 || !strings.Contains(got, "and 2 more roles: T0.*, T1.*, T10.*, T11.*, T12.*, T13.* and 714 more match -> masked, by key, for statistics (widens and narrows)") {
		t.Error(got)
	}
}
