package attacks

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/weir-data/weir/authz"
)

func seed(t testing.TB) uint64 {
	n := uint64(1)
	if s, err := strconv.ParseUint(os.Getenv("WEIR_SEED"), 10, 64); err == nil {
		n = s
	}
	t.Logf("WEIR_SEED=%d", n)
	return n
}

// share is the part of all pairs that a run tries: a tenth in the short form.
func share() int {
	if os.Getenv("WEIR_SOAK") == "1" {
		return 1
	}
	return 10
}

// TestHiddenInTheExample tries, as each reader of the example, every name that is
// hidden from him.
func TestHiddenInTheExample(t *testing.T) {
	r := newRig(t, options{})
	random := rand.New(rand.NewPCG(seed(t), 0)) //nolint:gosec // a test's choice
	g := r.current.Current()
	for _, token := range slices.Sorted(maps.Keys(r.cfg.Tokens.Demo)) {
		demo := r.cfg.Tokens.Demo[token]
		purposes := r.cfg.OpenPurposes(demo.Application, demo.Purposes)
		profile := authz.Profile{Roles: demo.Roles, Department: demo.Department, Purposes: purposes}
		shape, errs := g.Shape(profile)
		if errs != nil {
			t.Fatal(errs)
		}
		purpose := ""
		if len(purposes) > 0 {
			purpose = purposes[0]
		}
		n := nameable(t, random, share(), g.Catalogue.API, shape, func(document, variables string) answer {
			return r.ask(token, purpose, document, variables)
		})
		t.Logf("%s: %d hidden coordinates, %d pairs of answers", token, g.Table.Hidden(profile).Len(), n)
		if n == 0 && token != "demo-citizen" {
			t.Errorf("nothing is hidden from %s", token)
		}
		onControl(t, r, random, token, purpose, profile)
		if sdl := r.do(request{method: http.MethodGet, path: "/schema.graphql", token: token}); sdl.status != http.StatusOK {
			t.Errorf("%s: /schema.graphql: %d", token, sdl.status)
		} else {
			showsNothingElse(t, sdl.body, names(shape.API()), names(g.Catalogue.API))
		}
	}
	if sent := r.statements(); len(sent) > 0 {
		t.Errorf("%d statements were sent for what was refused: %s", len(sent), sent[0])
	}
}

// onControl asks the control graph for what is hidden, and for what is not there.
func onControl(t *testing.T, r *rig, random *rand.Rand, token, purpose string, profile authz.Profile) {
	t.Helper()
	g := r.current.Current()
	whole := g.Catalogue.API
	ask := func(document string) string {
		return r.do(request{path: "/control/graphql", token: token, purpose: purpose, body: bodyOf(document, "")}).said()
	}
	hidden := g.Table.Hidden(profile)
	for _, c := range g.Catalogue.Coordinates() {
		if !hidden.Has(c) {
			continue
		}
		name := c.Field
		if c.Row() {
			name = c.Type
		}
		other := unknown(random, whole, name)
		for _, document := range []string{
			`{ me { holds(type: "\x01") { type } } }`, `{ explain(coordinate: "` + c.Type + `.\x01") { coordinate } }`, `{ explain(coordinate: "\x01") { coordinate } }`,
		} {
			a, b := ask(strings.ReplaceAll(document, `\x01`, name)), ask(strings.ReplaceAll(document, `\x01`, other))
			if a != strings.ReplaceAll(b, other, name) {
				t.Fatalf("%s: %s of %s:\n%s\n%s", token, name, document, a, b)
			}
		}
	}
}

// showsNothingElse looks for words of the whole API that are not of the shape.
func showsNothingElse(t *testing.T, text string, known, all []string) {
	t.Helper()
	words := map[string]bool{}
	for _, w := range strings.FieldsFunc(strip(text), func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		words[w] = true
	}
	for _, name := range all {
		if words[name] && !slices.Contains(known, name) {
			t.Errorf("the SDL shows %s", name)
		}
	}
}

// strip leaves descriptions out.
func strip(sdl string) string {
	var b strings.Builder
	for line := range strings.Lines(sdl) {
		if !strings.HasPrefix(strings.TrimSpace(line), `"`) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// TestHiddenForOneShownToAnother asks the same documents as readers who may know
// different things, in one process and with warm caches, in every order.
func TestHiddenForOneShownToAnother(t *testing.T) {
	r := newRig(t, options{})
	clerk, citizen := "demo-clerk", "demo-citizen"
	document := `query Q($w: InsuranceAccountWhere) { insuranceAccounts(where: $w) { balance } i: __type(name: "InsuranceAccount") { fields { name } } }`
	first := map[string]string{}
	for i := range 20 {
		token, purpose := clerk, "company-registration"
		if i%3 == 0 {
			token, purpose = citizen, "self-service"
		}
		a := r.ask(token, purpose, document, "")
		if seen := strings.Contains(a.body, `{"name":"balance"}`); seen != (token == citizen) || (a.status == http.StatusOK) != (token == citizen) {
			t.Fatalf("request %d as %s: %d %.300s", i, token, a.status, a.body)
		}
		if first[token] == "" {
			first[token] = a.said()
		} else if a.said() != first[token] {
			t.Fatalf("request %d as %s: another answer: %s", i, token, a.said())
		}
	}
	// Introspection alone is one text for both, so one document and one plan key
	// but for the shape.
	introspect := `{ __type(name: "InsuranceAccount") { fields { name } } __schema { types { name } } }`
	a, b := r.ask(clerk, "", introspect, ""), r.ask(citizen, "", introspect, "")
	if again := r.ask(clerk, "", introspect, ""); again.said() != a.said() {
		t.Error("the clerk is answered otherwise after the citizen")
	}
	if strings.Contains(a.body, "balance") || !strings.Contains(b.body, "balance") {
		t.Errorf("clerk %.200s\ncitizen %.200s", a.body, b.body)
	}
}

// TestHiddenInRandomWorlds does the same over random schemas and policies.
func TestHiddenInRandomWorlds(t *testing.T) {
	worlds := 8
	if os.Getenv("WEIR_SOAK") == "1" {
		worlds = 1_000
	}
	from, compared := seed(t), 0
	for i := range worlds {
		random := rand.New(rand.NewPCG(from, uint64(i))) //nolint:gosec // a test's choice
		w := newWorld(t, random)
		for role := range w.roles {
			token := fmt.Sprintf("r%d", role)
			shape, errs := w.generation.Shape(w.subjects[token].Profile(""))
			if errs != nil {
				// Nothing is left for him: every name is as good as another.
				a, b := w.ask(token, "{ __typename }"), w.ask(token, "{ anything }")
				if a.said() != b.said() || a.code() != "FORBIDDEN" {
					t.Fatalf("%s\n%s", a.said(), b.said())
				}
				continue
			}
			compared += nameable(t, random, share(), w.generation.Catalogue.API, shape, func(document, variables string) answer {
				return w.askWith(token, document, variables)
			})
		}
	}
	t.Logf("%d worlds, %d pairs of answers", worlds, compared)
	if compared < 500 {
		t.Error("hardly anything was hidden")
	}
}
