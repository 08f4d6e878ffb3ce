package authz_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/schema"
)

// TestMeet: no cell holds more than either table grants, for any reader on any
// row; and all that both grant to everybody alike is held.
func TestMeet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, s, profile := drawCatalogue(t), drawSettings(t), drawProfile(t)
		other := c
		if rapid.Bool().Draw(t, "another schema") {
			other = drawCatalogue(t)
		}
		approved, err := authz.Compile(drawPolicy(t, 10), c, s)
		if err != nil {
			t.Fatal(err)
		}
		waiting, err := authz.Compile(drawPolicy(t, 10), other, s)
		if err != nil {
			t.Fatal(err)
		}
		meet := authz.Meet(approved, waiting)
		for _, at := range coordinates(c) {
			a, b, m := approved.View(profile).Grants(at), waiting.View(profile).Grants(at), meet.View(profile).Grants(at)
			for _, truth := range assignments(c.Types[at.Type]) {
				// A scope that the waiting schema does not declare is unknown there.
				scopes := func(s string) authz.Truth { return truth[s] }
				there := func(s string) authz.Truth {
					if v, ok := truth[s]; ok {
						return v
					}
					return authz.Unknown
				}
				if held := m.Under(scopes); held&^(a.Under(scopes)&b.Under(there)) != 0 {
					t.Fatalf("%s under %v: %s, approved %s, waiting %s", at, truth, held, a, b)
				}
			}
			if m.Always() != a.Always()&b.Always() && other == c && len(a.Scopes())+len(b.Scopes()) == 0 {
				t.Fatalf("%s: %s, approved %s, waiting %s", at, m, a, b)
			}
			if b != nil && b.Hidden && !m.Hidden || m.Hidden && m.Potential() != authz.None {
				t.Fatalf("%s: hidden %t, holds %s", at, m.Hidden, m)
			}
		}
		// A table with itself is the table.
		again := authz.Meet(approved, approved)
		for _, at := range coordinates(c) {
			if x, y := approved.View(profile).Grants(at), again.View(profile).Grants(at); x.Digest != y.Digest {
				t.Fatalf("%s: %s became %s", at, x, y)
			}
		}
	})
}

// TestMeetOfDenials: what the waiting revision denies under a scope, or under one
// that the approved schema does not know, is denied at once.
func TestMeetOfDenials(t *testing.T) {
	const allow = "p, a, public_security, Person.*, L3, *, all, mask, allow\n"
	profile := authz.Profile{Roles: []string{"a"}, Purposes: settings().Purposes, Purpose: "statistics"}
	at := schema.Coordinate{Type: "Person", Field: "name"}
	other := catalogue()
	person := other.Types["Person"]
	person.Scopes = append(person.Scopes, &schema.Scope{Name: "new"})
	for denied, want := range map[string]authz.Caps{"sealed": authz.Mask, "all": authz.None, "new": authz.None} {
		waiting := recompile(t, allow+"p, a, public_security, Person.name, L1, *, "+denied+", any, deny\n", other)
		g := authz.Meet(compile(t, allow), waiting).View(profile).Grants(at)
		here := func(truth authz.Truth) authz.Caps {
			return g.Under(func(s string) authz.Truth {
				if s == denied {
					return truth
				}
				return authz.False
			})
		}
		if here(authz.True) != authz.None || here(authz.Unknown) != authz.None || here(authz.False) != want {
			t.Errorf("denied under %s: %s", denied, g)
		}
	}
}
