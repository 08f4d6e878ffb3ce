package authz_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/schema"
)

// TestExplain runs the fixtures: a line "roles; department; open purposes;
// purpose; coordinate", ----, and the explanation.
func TestExplain(t *testing.T) {
	files, err := filepath.Glob("testdata/explain/*.txt")
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
			w := strings.Split(strings.TrimSpace(input), ";")
			if len(w) != 5 {
				t.Fatalf("%q", input)
			}
			for i := range w {
				w[i] = strings.TrimSpace(w[i])
			}
			profile := authz.Profile{Roles: strings.Fields(w[0]), Department: w[1], Purposes: strings.Fields(w[2]), Purpose: w[3]}
			e, err := authz.Explain(parse(t, page), catalogue(), settings(), profile, schema.ParseCoordinate(w[4]))
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(file, []byte(input+separator+e.String()), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, e.String()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestNearestGrantsMore: where one condition is all that the nearest rule lacks,
// meeting it gives the reader more than he holds, on a row where the rule's scope
// is true. A rule whose rights he holds already, or that a denial takes away, is
// no way to more.
func TestNearestGrantsMore(t *testing.T) {
	table := compile(t, page+
		"p, window-clerk, public_security, Person.*, L3, statistics, by_key, mask, allow\n"+
		"p, sealer, public_security, Person.*, L3, *, all, mask, allow\n"+
		"p, sealed-reader, public_security, Person.name, L3, *, sealed, clear, allow\n")
	open := []string{"case-handling", "newborn-registration", "self-service", "statistics"}
	met := map[string]int{}
	for _, roles := range [][]string{{"window-clerk"}, {"case-officer"}, {"statistician"}, {"citizen"}, {"contractor"}, {"wildcard"}, {"sealer"}, {"owner"}, {"window-clerk", "sealer"}} {
		for _, at := range table.Coordinates() {
			for _, purpose := range append(open, "") {
				profile := authz.Profile{Roles: roles, Department: "public_security", Purposes: open, Purpose: purpose}
				e := table.Explain(profile, at)
				if e.Nearest == nil || len(e.Nearest.Lacks) != 1 {
					continue
				}
				rule := e.Nearest.Rule
				with := profile
				switch {
				case strings.HasPrefix(e.Nearest.Lacks[0], "role "):
					with.Roles = append(slices.Clone(roles), rule.Role)
				case strings.HasPrefix(e.Nearest.Lacks[0], "purpose "):
					with.Purpose = rule.Purpose
				default:
					continue
				}
				met[strings.Fields(e.Nearest.Lacks[0])[0]]++
				row := func(scope string) authz.Truth {
					if scope == rule.Scope {
						return authz.True
					}
					return authz.False
				}
				held, then := e.Grants.Under(row), table.View(with).Grants(at).Under(row)
				if then&^held == authz.None {
					t.Errorf("%s, %v, purpose %q: %s is held, and %s would be: %s", at, roles, purpose, held, then, e.Nearest)
				}
			}
		}
	}
	if met["role"] < 10 || met["purpose"] < 10 {
		t.Errorf("conditions met: %v", met)
	}
}
