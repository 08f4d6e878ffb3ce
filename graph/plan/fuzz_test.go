package plan

import (
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
)

// FuzzPlan: any document within the limits is parsed, validated and planned, for
// readers from whom nothing, something and nearly everything is hidden, or refused
// with errors; without panic, and never with both a plan and errors.
func FuzzPlan(f *testing.F) {
	for _, s := range []string{
		`{ persons { name idNumber } }`,
		`query A($w: PersonWhere, $n: Int = 3) { persons(where: $w, limit: $n) @include(if: true) { ...P } } fragment P on Person { name }`,
		`{ __schema { types { name fields { name } } } __type(name: "Person") { name } }`,
		`query ($o: [PersonOrder!] = [{name: ASC}]) { a: persons(orderBy: $o) { __typename } b: personsConnection(first: 2) { edges { cursor node { name } } totalCount } }`,
		`{ persons(where: {_or: [{_not: {name: {_eq: "x"}}}, {}]}) { name } }`,
		`{ personMatch(idNumber: "1", expect: {name: "x"}) }`,
		`{ personByRef(ref: "x") { _ref ... on Person { name } } }`,
	} {
		f.Add(s)
	}
	g := fixture(f)
	readers := []reader{parseReader("officer purpose cases id o-1 region north"), parseReader("nobody"), parseReader("clerk purpose newborn")}
	f.Fuzz(func(t *testing.T, text string) {
		for _, r := range readers {
			shape, errs := g.Shape(r.profile)
			if errs != nil {
				continue
			}
			doc, errs := shape.Document(text)
			if errs != nil {
				continue
			}
			for _, op := range doc.Query.Operations {
				planOne(t, g, r, doc, op)
			}
		}
	})
}

func planOne(t *testing.T, g *Generation, r reader, doc *Document, op *ast.OperationDefinition) {
	vars, errs := CoerceVariables(doc.shape.api, op, nil, DefaultLimits())
	if errs != nil {
		return
	}
	p, errs := Build(&Request{
		Generation: g, Document: doc, Operation: op, Variables: vars, Profile: r.profile,
		Attributes: r.attributes, Sources: fakeSources{}, Limits: DefaultLimits(),
	})
	switch {
	case (p == nil) == (errs == nil):
		t.Fatalf("plan %v, errors %v", p, errs)
	case p != nil:
		_ = p.String()
		hidden := g.Table.Hidden(r.profile)
		for _, e := range p.Access.Withheld {
			if c := g.Catalogue; c.Types[e.Field] != nil && doc.shape.api.Types[e.Field] == nil {
				t.Fatalf("the answer would name %s, of %d hidden coordinates", e.Field, hidden.Len())
			}
		}
	}
}
