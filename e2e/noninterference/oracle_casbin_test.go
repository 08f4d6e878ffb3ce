package noninterference

import (
	"testing"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/schema"
)

// TestOracleIsCasbin holds the oracle's decisions to Casbin's on the policies of
// random worlds: what the sessions are judged by is the reference itself.
func TestOracleIsCasbin(t *testing.T) {
	t.Parallel()
	const worlds, tuples = 12, 120
	compared := 0
	for number := range uint64(worlds) {
		w := newWorld(seed(), number)
		s := newSource(seed(), number)
		catalogue, found := schema.Load([]schema.File{{Name: "s.graphqls", Text: w.sdl()}}, schema.Settings{Levels: schema.DefaultLevels(), Departments: departmentNames()})
		if found.Failed() {
			t.Fatal(found)
		}
		for _, p := range w.policies {
			parsed, found := authz.Parse([]schema.File{{Name: "p.csv", Text: p.text()}})
			if found.Failed() {
				t.Fatal(found)
			}
			settings := authz.DefaultSettings(catalogue.Levels)
			settings.PurposeRequiredFrom, settings.HideFrom, settings.Purposes = schema.Rank(w.purposeFrom), schema.Rank(w.hideFrom), purposes()
			reference, err := authz.NewReference(parsed, catalogue, settings)
			if err != nil {
				t.Fatal(err)
			}
			rd, purpose := w.newReader(s, "reader"), pick(s, "", "u0", "u1")
			o := newOracle(w, p, rd, purpose, nil)
			casbin, err := reference.Reader(rd.subject().Profile(purpose))
			if err != nil {
				t.Fatal(err)
			}
			for range tuples {
				ty := pick(s, w.types...)
				at, byKey := s.IntN(ty.coordinates()), s.chance(50)
				tr := truths{}
				for range ty.scopes {
					tr.declared = append(tr.declared, pick(s, isFalse, isTrue, isUnknown))
				}
				for range ty.fields {
					tr.subjects = append(tr.subjects, pick(s, isFalse, isTrue, isUnknown))
				}
				c := schema.Coordinate{Type: ty.name, Field: ty.coordinateName(at)}
				want, err := casbin.Caps(c, func(scope string) authz.Truth {
					return [...]authz.Truth{isFalse: authz.False, isTrue: authz.True, isUnknown: authz.Unknown}[o.scope(ty, at, scope, tr, byKey)]
				})
				if err != nil {
					t.Fatal(err)
				}
				compared++
				if got := authz.Caps(o.held(ty, at, tr, byKey)); got != want {
					t.Errorf("seed %d, world %d: %s for %v of %q, purpose %q, truths %v, by key %v: the oracle says %s, Casbin %s\n%s",
						seed(), number, c, rd.roles, rd.department, purpose, tr, byKey, got, want, p.text())
					return
				}
			}
		}
	}
	t.Logf("%d decisions", compared)
}
