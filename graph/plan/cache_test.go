package plan

import (
	"bytes"
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/schema"
)

func keyOf(req *Request) string {
	fp := FingerprintOf(req.Generation, req.Document, req.Operation, req.Profile)
	return string(CacheKey(nil, req.Document, req.Operation, Skeleton(req.Document, req.Operation, req.Variables), fp, req.Attributes))
}

// asked is what a request may differ in from another one.
type asked struct {
	query      string
	profile    authz.Profile
	attributes map[string]string
	variables  map[string]any
}

// redraws draw one part of what is asked anew, each.
func redraws() map[string]func(t *rapid.T, a *asked, label string) {
	roles := []string{"clerk", "officer", "local", "inspector", "reviewer", "citizen", "anyone", "lister", "visitor", "owner"}
	attribute := func(name string) func(*rapid.T, *asked, string) {
		return func(t *rapid.T, a *asked, label string) {
			a.attributes = maps.Clone(a.attributes)
			delete(a.attributes, name)
			if v := rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, label+" "+name); v != "" {
				a.attributes[name] = v
			}
		}
	}
	return map[string]func(*rapid.T, *asked, string){
		"query": func(t *rapid.T, a *asked, _ string) { a.query = drawPlanQuery(t) },
		"roles": func(t *rapid.T, a *asked, label string) {
			a.profile.Roles = rapid.SliceOfNDistinct(rapid.SampledFrom(roles), 1, 2, rapid.ID[string]).Draw(t, label+" roles")
		},
		"purpose": func(t *rapid.T, a *asked, label string) {
			a.profile.Purpose = rapid.SampledFrom([]string{"", "cases", "newborn", "self"}).Draw(t, label+" purpose")
		},
		"department": func(t *rapid.T, a *asked, label string) {
			a.profile.Department = rapid.SampledFrom([]string{"", "civil"}).Draw(t, label+" department")
		},
		"region": attribute("region"), "id": attribute("id"),
		"variables": func(t *rapid.T, a *asked, label string) { a.variables = drawPlanVariables(t, label) },
	}
}

// TestEqualKeysEqualPlans is what the plan cache rests on: whatever two requests
// differ in, equal keys mean that one may run the other's plan. The second
// request is the first one but for a part or two, so that most pairs would share
// a key that lacks one.
func TestEqualKeysEqualPlans(t *testing.T) {
	g := fixture(t)
	parts := redraws()
	names := slices.Sorted(maps.Keys(parts))
	equal, shared := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		first := asked{profile: authz.Profile{Purposes: []string{"cases", "newborn", "self"}}}
		first.attributes = map[string]string{}
		for _, name := range names {
			parts[name](t, &first, "first")
		}
		second := first
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 2, rapid.ID[string]).Draw(t, "differ in") {
			parts[name](t, &second, "second")
		}
		request := func(a *asked) *Request {
			req, errs := requestOf(g, reader{profile: a.profile, attributes: a.attributes}, a.query, a.variables)
			if errs != nil {
				t.Fatalf("%v\n%s", errs, a.query)
			}
			return req
		}
		a, b := request(&first), request(&second)
		show := func(req *Request) string {
			p, errs := Build(req)
			if errs != nil {
				var s strings.Builder
				for _, e := range errs {
					s.WriteString(e.Error() + " at " + e.Path + "\n")
				}
				return s.String()
			}
			checkPlan(t, p)
			return p.String() + string(p.Access.JSON)
		}
		shown := show(a)
		if again := show(a); again != shown {
			t.Fatalf("two plans of one request:\n%s\n%s", shown, again)
		}
		other := show(b)
		if other == shown {
			equal++
		}
		if keyOf(a) != keyOf(b) {
			return
		}
		if shared++; other != shown {
			t.Fatalf("one key, two plans:\n%s\n%s", shown, other)
		}
	})
	if shared < 5 || shared > equal {
		t.Errorf("%d pairs share a key, %d have equal plans", shared, equal)
	}
}

// TestKeysTellApart: requests that differ in one thing have two keys, where that
// thing decides the plan.
func TestKeysTellApart(t *testing.T) {
	g := fixture(t)
	const document = "query A($n: Int, $yes: Boolean = true) { persons(limit: $n) { name @include(if: $yes) } } query B($n: Int, $yes: Boolean = true) { persons(limit: $n) { name @include(if: $yes) } }"
	n := func(n string) map[string]any { return map[string]any{"n": json.Number(n)} }
	of := func(document, operation string, roles []string, attributes map[string]string, variables map[string]any) string {
		doc, errs := g.Documents.Get(document)
		if errs != nil {
			t.Fatal(errs)
		}
		op, errs := doc.Operation(operation)
		if errs != nil {
			t.Fatal(errs)
		}
		coerced, errs := CoerceVariables(g.Catalogue.API, op, variables, DefaultLimits())
		if errs != nil {
			t.Fatal(errs)
		}
		return keyOf(&Request{Generation: g, Document: doc, Operation: op, Variables: coerced, Attributes: attributes, Profile: authz.Profile{
			Roles: roles, Purposes: []string{"cases"}, Purpose: "cases",
		}})
	}
	officer := []string{"officer"}
	base := of(document, "A", officer, map[string]string{"region": "a"}, n("1"))
	if base != of(document, "A", officer, map[string]string{"region": "b"}, n("3")) {
		t.Error("values are part of the key")
	}
	for name, other := range map[string]string{
		"another document":  of(document+" ", "A", officer, map[string]string{"region": "a"}, n("1")),
		"another operation": of(document, "B", officer, map[string]string{"region": "a"}, n("1")),
		"other grants":      of(document, "A", []string{"clerk"}, map[string]string{"region": "a"}, n("1")),
		"no attribute":      of(document, "A", officer, nil, n("1")),
		"another attribute": of(document, "A", officer, map[string]string{"nation": "a"}, n("1")),
		"another condition": of(document, "A", officer, map[string]string{"region": "a"}, map[string]any{"n": json.Number("1"), "yes": false}),
	} {
		if other == base {
			t.Errorf("%s: one key", name)
		}
	}
}

func drawPlanVariables(t *rapid.T, label string) map[string]any {
	vars := map[string]any{"id": rapid.SampledFrom([]string{"x", "y"}).Draw(t, label+" $id")}
	some := func(name string, values ...any) {
		if i := rapid.IntRange(-1, len(values)-1).Draw(t, label+" $"+name); i >= 0 {
			vars[name] = values[i]
		}
	}
	some("n", nil, json.Number("1"), json.Number("5"))
	some("yes", true, false)
	some("s", nil, "a", "b")
	some("c", nil, "cursor", "another")
	some("o", nil, []any{}, []any{map[string]any{"age": "ASC"}}, []any{map[string]any{"age": "DESC"}}, []any{map[string]any{"district": "ASC"}})
	some("w", nil, map[string]any{}, map[string]any{"age": map[string]any{"_gt": json.Number("1")}}, map[string]any{"age": map[string]any{"_gt": json.Number("2")}},
		map[string]any{"_not": map[string]any{"name": map[string]any{"_in": []any{"a"}}}},
		map[string]any{"_not": map[string]any{"name": map[string]any{"_in": []any{"b", "c"}}}},
		map[string]any{"permits": map[string]any{"number": map[string]any{"_eq": "x"}}},
		map[string]any{"_or": []any{}}, map[string]any{"_or": []any{map[string]any{"district": map[string]any{"_is_null": true}}}})
	return vars
}

// drawPlanQuery draws a query that uses all the variables, the same ones always.
func drawPlanQuery(t *rapid.T) string {
	var s strings.Builder
	s.WriteString("query ($id: String!, $n: Int, $yes: Boolean = true, $s: String, $c: String, $o: [PersonOrder!], $w: PersonWhere) {\n")
	s.WriteString("  used: companiesConnection(first: $n, after: $c, where: {_or: [{name: {_eq: $s}}]}) @skip(if: true) { totalCount }\n")
	s.WriteString("  alsoUsed: persons(where: $w, orderBy: $o) @skip(if: true) { permits(limit: $n) @include(if: $yes) { number } }\n")
	s.WriteString("  usedToo: person(idNumber: $id) @skip(if: true) { name }\n")
	roots := []string{
		"person(idNumber: $id)", "person(idNumber: \"literal\")", "persons(where: $w, orderBy: $o, limit: $n)",
		"persons(where: {_not: {age: {_eq: 3}}}, offset: $n)", "persons(limit: 2, orderBy: [{age: DESC}])", "personByRef(ref: \"r\")",
	}
	alias := 0
	var person func(depth int)
	person = func(depth int) {
		s.WriteString(" { __typename _ref")
		for range rapid.IntRange(0, 4).Draw(t, "fields") {
			s.WriteString(" " + rapid.SampledFrom([]string{
				"name", "idNumber", "phone @include(if: $yes)", "age", "district", "weight", "... @skip(if: $yes) { sex born }",
			}).Draw(t, "field"))
		}
		if depth < 3 {
			for range rapid.IntRange(0, 2).Draw(t, "relations") {
				alias++
				s.WriteString(" r" + itoa(alias) + ": ")
				switch rapid.IntRange(0, 4).Draw(t, "relation") {
				case 0:
					s.WriteString("permits(limit: $n, where: {district: {_eq: $s}}) { number person")
					person(depth + 1)
					s.WriteString("}")
				case 1:
					s.WriteString("household { number members(limit: 1)")
					person(depth + 1)
					s.WriteString("}")
				case 2:
					s.WriteString("certificates(limit: $n, offset: 1, orderBy: [{issuedOn: DESC}]) { number ... on Licence { business } }")
				case 3:
					s.WriteString("marriages { number spouse")
					person(depth + 1)
					s.WriteString("}")
				case 4:
					s.WriteString("companies(limit: 3) { name legalRep }")
				}
			}
		}
		s.WriteString(" }")
	}
	for range rapid.IntRange(1, 3).Draw(t, "roots") {
		alias++
		s.WriteString("  a" + itoa(alias) + ": " + rapid.SampledFrom(roots).Draw(t, "root"))
		person(1)
		s.WriteString("\n")
	}
	s.WriteString("}")
	return s.String()
}

func TestFingerprintFollowsWhatCanBeTouched(t *testing.T) {
	g := fixture(t)
	fingerprint := func(as, query string) Fingerprint {
		req, errs := requestOf(g, parseReader(as), query, nil)
		if errs != nil {
			t.Fatal(errs)
		}
		return FingerprintOf(g, req.Document, req.Operation, req.Profile)
	}
	same := func(query, a, b string, want bool) {
		t.Helper()
		if got := fingerprint(a, query) == fingerprint(b, query); got != want {
			t.Errorf("%s: %s and %s share a plan: %v, want %v", query, a, b, got, want)
		}
	}
	// The public register is the same to all to whom its rules are the same.
	same(`{ companies { name } }`, "anyone purpose cases", "anyone+local purpose cases", true)
	same(`{ companies { name } }`, "anyone purpose cases", "officer purpose cases", false)
	same(`{ persons { age } }`, "officer purpose cases", "local purpose cases", false)
	// Licence and Permit differ, each reached in its own way.
	same(`{ certificates(holder: "x") { issuedOn } }`, "local purpose cases", "local+officer purpose cases", false)
	same(`{ persons { permits { issuedOn } } }`, "clerk purpose newborn", "local purpose cases", false)
	same(`{ permits(where: {person: {}}) { issuedOn } }`, "lister", "anyone", false)
	same(`{ permits { issuedOn } }`, "lister", "anyone", true)
	same(`{ permits { issuedOn ...F } } fragment F on Permit { person @skip(if: true) { name } }`, "lister", "anyone", false)
	same(`{ householdsConnection { totalCount } }`, "reviewer purpose cases", "lister", false)
	// Two to whom the row alone is not the same.
	same(`{ appeals { number } }`, "counter", "lister", false)
	// A revision of the schema makes plans and cursors of its own.
	text := string(readFile(t, "testdata/plan/schema.graphqls"))
	policy := []schema.File{{Name: "policy.csv", Text: string(readFile(t, "testdata/plan/policy.csv"))}}
	before := fingerprint("officer purpose cases", `{ persons { age } }`)
	g = generation(t, []schema.File{{Name: "schema.graphqls", Text: strings.Replace(text, "  phone: String", "  phone: String @column(name: \"fax\")", 1)}}, policy, "newborn", "cases", "self")
	if fingerprint("officer purpose cases", `{ persons { age } }`) == before {
		t.Error("two revisions of the schema share a plan")
	}
	g = fixture(t)
	// An attribute that is present is part of the second key.
	a, _ := requestOf(g, parseReader("officer purpose cases region north"), `{ persons { age } }`, nil)
	b, _ := requestOf(g, parseReader("officer purpose cases region south"), `{ persons { age } }`, nil)
	c, _ := requestOf(g, parseReader("officer purpose cases"), `{ persons { age } }`, nil)
	if keyOf(a) != keyOf(b) || keyOf(a) == keyOf(c) {
		t.Error("the key follows an attribute's value, or not its presence")
	}
}

func TestNothingIsGrantedWithoutATable(t *testing.T) {
	g := *fixture(t)
	g.Table = nil
	req, errs := requestOf(&g, parseReader("inspector purpose cases"), `{ persons { age } person(idNumber: "x") { age } companies { name } }`, nil)
	if errs != nil {
		t.Fatal(errs)
	}
	p, errs := Build(req)
	if errs != nil || len(p.Fetches) != 0 || len(p.Access.Withheld) != 3 {
		t.Errorf("%v %v", p, errs)
	}
}

func TestASourceThatCannotServe(t *testing.T) {
	g := fixture(t)
	req, errs := requestOf(g, parseReader("inspector"), `{ persons { age } }`, nil)
	if errs != nil {
		t.Fatal(errs)
	}
	req.Profile.Purpose = "cases"
	req.Sources = fakeSources{refuse: "police"}
	if p, errs := Build(req); p != nil || len(errs) != 1 || errs[0].Code != Internal {
		t.Errorf("%v %v", p, errs)
	}
}

// TestExample builds the running example's queries for its readers.
func TestExample(t *testing.T) {
	const folder = "../../examples/guangdong"
	schemas, err := schema.ReadFolder(filepath.Join(folder, "schema"))
	if err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join(folder, "policy", "*.csv"))
	if err != nil || len(paths) == 0 {
		t.Fatal("no policies", err)
	}
	var policies []schema.File
	for _, path := range paths {
		policies = append(policies, schema.File{Name: path, Text: string(readFile(t, path))})
	}
	g := generation(t, schemas, policies, "newborn-registration", "company-registration", "case-handling", "statistics", "self-service")
	open := []string{"case-handling", "company-registration", "newborn-registration", "self-service", "statistics"}
	query := `{ person(idNumber: "x") { idNumber name births { number bornAt } household { number } permits { number } certificates { number } } }`
	for _, c := range []struct{ role, purpose string }{
		{"window-clerk", "newborn-registration"},
		{"case-officer", "case-handling"},
		{"citizen", "self-service"},
		{"statistician", "statistics"},
		{"contractor", ""},
		{"owner-health", ""},
	} {
		r := reader{
			profile:    authz.Profile{Roles: []string{c.role}, Purposes: open, Purpose: c.purpose},
			attributes: map[string]string{"id": "x", "region": "440100"},
		}
		req, errs := requestOf(g, r, query, nil)
		if errs != nil {
			t.Fatal(errs)
		}
		p, errs := Build(req)
		if errs != nil {
			t.Errorf("%s: %v", c.role, errs)
			continue
		}
		checkPlan(t, p)
		if open := c.role == "window-clerk" || c.role == "case-officer" || c.role == "citizen"; open != (len(p.Fetches) > 0) {
			t.Errorf("%s: %d fetches\n%s", c.role, len(p.Fetches), p)
		}
	}
}

const benchQuery = `query ($id: String!, $n: Int) {
  person(idNumber: $id) { idNumber name phone district permits(limit: $n) { number issuedOn } companies { name capital } }
  persons(limit: $n, where: {age: {_gte: 18}}) { name age district household { number } }
}`

func benchRequest(b *testing.B) *Request {
	b.Helper()
	g := fixture(b)
	req, errs := requestOf(g, parseReader("officer purpose cases id o region north"), benchQuery, map[string]any{"id": "x", "n": json.Number("5")})
	if errs != nil {
		b.Fatal(errs)
	}
	return req
}

func BenchmarkBuild(b *testing.B) {
	req := benchRequest(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, errs := Build(req); errs != nil {
			b.Fatal(errs)
		}
	}
}

func BenchmarkFingerprint(b *testing.B) {
	req := benchRequest(b)
	b.ReportAllocs()
	for b.Loop() {
		FingerprintOf(req.Generation, req.Document, req.Operation, req.Profile)
	}
}

// BenchmarkCachedKey is what a request with a known profile pays before it
// finds its plan.
func BenchmarkCachedKey(b *testing.B) {
	req := benchRequest(b)
	fp := FingerprintOf(req.Generation, req.Document, req.Operation, req.Profile)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = CacheKey(buf[:0], req.Document, req.Operation, Skeleton(req.Document, req.Operation, req.Variables), fp, req.Attributes)
	}
	if bytes.Equal(buf, nil) {
		b.Fatal("no key")
	}
}
