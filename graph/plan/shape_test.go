package plan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/schema"
)

const shapesSDL = `
type Person @source(department: "d", table: "t", key: ["k"], tiebreak: "n") @classified(level: "L1") @sharing(mode: UNCONDITIONAL) {
  k: String
  secret: String @classified(level: "L4")
  other: String @classified(level: "L4")
}`

func shapesFixture(t testing.TB, roles int) *Generation {
	t.Helper()
	var policy strings.Builder
	for i := range roles {
		fmt.Fprintf(&policy, "p, r%d, d, Person.*, L1, *, all, clear, allow\n", i)
		if i%2 == 0 {
			fmt.Fprintf(&policy, "p, r%d, d, Person.secret, L4, *, all, clear, allow\n", i)
		}
	}
	policy.WriteString("p, all, d, Person.*, L4, *, all, clear, allow\n")
	return generation(t, []schema.File{{Name: "s.graphqls", Text: shapesSDL}}, []schema.File{{Name: "p.csv", Text: policy.String()}}, "p")
}

// TestShapesKeepApart: readers from whom the same is hidden share a shape; those
// from whom it is not share neither documents nor keys of plans.
func TestShapesKeepApart(t *testing.T) {
	g := shapesFixture(t, 4)
	shape := func(role string) *Shape {
		s, errs := g.Shape(authz.Profile{Roles: []string{role}, Purposes: []string{"p"}, Purpose: "p"})
		if errs != nil {
			t.Fatal(errs)
		}
		return s
	}
	if shape("all") != g.Documents.whole || shape("all").Key() != [16]byte{} {
		t.Error("he from whom nothing is hidden has not the whole")
	}
	if shape("r0") != shape("r2") || shape("r1") != shape("r3") || shape("r0") == shape("r1") {
		t.Error("shapes are not by what is hidden")
	}
	text := `query($w: PersonWhere) { persons(where: $w) { k } }`
	keys := map[string]string{}
	for _, role := range []string{"all", "r0", "r1"} {
		doc, errs := shape(role).Document(text)
		if errs != nil {
			t.Fatal(errs)
		}
		if doc.Shape() != shape(role) {
			t.Errorf("%s was given another shape's document", role)
		}
		g.Documents.kept.cache.Wait()
		again, _ := shape(role).Document(text)
		if again != doc {
			t.Errorf("%s: a cached document was read again", role)
		}
		// The same fingerprint and skeleton: the shape alone tells them apart.
		key := string(CacheKey(nil, doc, doc.Query.Operations[0], nil, Fingerprint{}, nil))
		if other, taken := keys[key]; taken {
			t.Errorf("%s and %s share a key", role, other)
		}
		keys[key] = role
	}
	hidden := `{ persons { secret } }`
	if _, errs := shape("r0").Document(hidden); errs != nil {
		t.Error(errs)
	}
	g.Documents.kept.cache.Wait()
	if _, errs := shape("r1").Document(hidden); errs == nil {
		t.Error("a document of another shape was given")
	}
}

// TestShapesAreBounded: kinds of readers come from tokens; their shapes do not
// pile up.
func TestShapesAreBounded(t *testing.T) {
	var sdl, policy strings.Builder
	sdl.WriteString(`type Person @source(department: "d", table: "t", key: ["k"], tiebreak: "n") @classified(level: "L1") @sharing(mode: UNCONDITIONAL) { k: String `)
	const fields = 7
	for f := range fields {
		fmt.Fprintf(&sdl, "f%d: String @classified(level: \"L4\") ", f)
	}
	sdl.WriteString("}")
	// One role for each subset of the fields.
	for role := range 1 << fields {
		fmt.Fprintf(&policy, "p, r%d, d, Person.*, L1, *, all, clear, allow\n", role)
		for f := range fields {
			if role>>f&1 == 1 {
				fmt.Fprintf(&policy, "p, r%d, d, Person.f%d, L4, *, all, clear, allow\n", role, f)
			}
		}
	}
	g := generation(t, []schema.File{{Name: "s.graphqls", Text: sdl.String()}}, []schema.File{{Name: "p.csv", Text: policy.String()}}, "p")
	for role := range 1<<fields - 1 { // the last one sees everything
		s, errs := g.Shape(authz.Profile{Roles: []string{fmt.Sprintf("r%d", role)}, Purposes: []string{"p"}, Purpose: "p"})
		if errs != nil {
			t.Fatal(errs)
		}
		for f := range fields {
			if shown := s.API().Types["Person"].Fields.ForName(fmt.Sprintf("f%d", f)) != nil; shown != (role>>f&1 == 1) {
				t.Fatalf("role %d, field %d: shown %t", role, f, shown)
			}
		}
		if n := len(*g.Documents.shapes.known.Load()); n > maxShapes {
			t.Fatalf("%d shapes are kept", n)
		}
	}
}

// A request finds its shape without allocating, hidden or not.
func TestShapeLookUpAllocatesNothing(t *testing.T) {
	g := shapesFixture(t, 2)
	for _, role := range []string{"all", "r1"} {
		p := authz.Profile{Roles: []string{role}, Purposes: []string{"p"}, Purpose: "p"}
		if _, errs := g.Shape(p); errs != nil {
			t.Fatal(errs)
		}
		if n := testing.AllocsPerRun(100, func() { _, _ = g.Shape(p) }); n > 0 {
			t.Errorf("%s: %v allocations", role, n)
		}
	}
}

func BenchmarkShape(b *testing.B) {
	g := shapesFixture(b, 2)
	for _, role := range []string{"all", "r1"} {
		p := authz.Profile{Roles: []string{role}, Purposes: []string{"p"}, Purpose: "p"}
		b.Run(map[string]string{"all": "whole", "r1": "pruned"}[role], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = g.Shape(p)
			}
		})
	}
}

// TestHiddenMembersAreNotNamed: of an interface's types those that are hidden
// from the reader are not there, not even as withheld.
func TestHiddenMembersAreNotNamed(t *testing.T) {
	text := `
interface Paper @api(list: "papers") { number: String }
type Permit implements Paper @source(department: "d", table: "permit", key: ["number"], tiebreak: "n") @classified(level: "L1") @sharing(mode: UNCONDITIONAL) { number: String }
type Warrant implements Paper @source(department: "d", table: "warrant", key: ["number"], tiebreak: "n") @classified(level: "L4") @sharing(mode: UNCONDITIONAL) { number: String }
`
	g := generation(t, []schema.File{{Name: "s.graphqls", Text: text}},
		[]schema.File{{Name: "p.csv", Text: "p, r, d, Permit.*, L1, *, all, clear, allow\np, all, d, *, L4, *, all, clear, allow\n"}}, "p")
	profile := authz.Profile{Roles: []string{"r"}, Purposes: []string{"p"}, Purpose: "p"}
	shape, errs := g.Shape(profile)
	if errs != nil {
		t.Fatal(errs)
	}
	doc, errs := shape.Document(`{ papers { number } }`)
	if errs != nil {
		t.Fatal(errs)
	}
	p, errs := Build(&Request{
		Generation: g, Document: doc, Operation: doc.Query.Operations[0], Variables: map[string]any{}, Profile: profile, Sources: fakeSources{}, Limits: DefaultLimits(),
	})
	if errs != nil {
		t.Fatal(errs)
	}
	if told := p.String() + string(p.Access.JSON); strings.Contains(told, "Warrant") || !strings.Contains(told, "Permit") {
		t.Errorf("the plan tells of what is hidden: %s", told)
	}
}
