package plan

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// world is the truth of the scopes of fixture's Person on one row, and of one
// comparison.
type world struct{ region, sealed, self, leaf truth }

func (w world) String() string {
	return fmt.Sprintf("region %d sealed %d self %d leaf %d", w.region, w.sealed, w.self, w.leaf)
}

func worlds() []world {
	var out []world
	all := []truth{isFalse, isTrue, isUnknown}
	for _, r := range all {
		for _, s := range all {
			for _, me := range all {
				for _, l := range all {
					out = append(out, world{r, s, me, l})
				}
			}
		}
	}
	return out
}

// eval evaluates a predicate in three-valued logic. The scopes are known by
// their columns.
func (w world) eval(t *rapid.T, p adapters.Predicate) truth {
	not := func(x truth) truth { return [...]truth{isTrue, isFalse, isUnknown}[x] }
	switch p := p.(type) {
	case nil:
		return isTrue
	case adapters.Bool:
		if p {
			return isTrue
		}
		return isFalse
	case adapters.Not:
		return not(w.eval(t, p.Predicate))
	case adapters.IsTrue:
		if w.eval(t, p.Predicate) == isTrue {
			return isTrue
		}
		return isFalse
	case adapters.And:
		out := isTrue
		for _, x := range p {
			switch w.eval(t, x) {
			case isFalse:
				return isFalse
			case isUnknown:
				out = isUnknown
			case isTrue:
			}
		}
		return out
	case adapters.Or:
		parts := make(adapters.And, 0, len(p))
		for _, x := range p {
			parts = append(parts, adapters.Not{Predicate: x})
		}
		return not(w.eval(t, parts))
	case adapters.Compare:
		switch p.Column.Name {
		case "district":
			return w.region
		case "sealed":
			return w.sealed
		case "id_number":
			return w.self
		case "name":
			return w.leaf
		}
	}
	t.Fatalf("unexpected predicate %T", p)
	return isUnknown
}

// path says what does not depend on the row.
type path struct{ byKey, region, id bool }

// reference evaluates grants as access.md words it, clause by clause.
func (w world) reference(g *authz.Grants, at path) authz.Caps {
	if g == nil {
		return authz.None
	}
	scope := func(name string) truth {
		switch name {
		case authz.ScopeAll:
			return isTrue
		case authz.ScopeByKey:
			if at.byKey {
				return isTrue
			}
			return isFalse
		case authz.ScopeSelf:
			if !at.id {
				return isUnknown
			}
			return w.self
		case "own_region":
			if !at.region {
				return isUnknown
			}
			return w.region
		default:
			return w.sealed
		}
	}
	var caps authz.Caps
	for _, c := range g.Clauses {
		if !c.Deny && scope(c.Scope) == isTrue {
			caps |= c.Caps.Closure()
		}
	}
	for _, c := range g.Clauses {
		if c.Deny && scope(c.Scope) != isFalse {
			caps &^= c.Caps.Denied()
		}
	}
	return caps
}

// TestDecisionsEqualTheReference draws policies and compares, in every world,
// what a plan does with what access.md says: which rows are read, what becomes
// of a cell, which leaves are true, and what may be sorted by.
func TestDecisionsEqualTheReference(t *testing.T) {
	schemaText, err := os.ReadFile("testdata/plan/schema.graphqls")
	if err != nil {
		t.Fatal(err)
	}
	c, found := schema.Load([]schema.File{{Name: "schema.graphqls", Text: string(schemaText)}}, schema.Settings{})
	if c == nil {
		t.Fatal(found)
	}
	docs, err := NewDocuments(c.API, DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	defer docs.Close()
	settings := authz.DefaultSettings(c.Levels)
	settings.Purposes = []string{"cases"}

	rapid.Check(t, func(t *rapid.T) {
		var lines []string
		for range rapid.IntRange(1, 6).Draw(t, "rules") {
			effect := rapid.SampledFrom([]string{"allow", "allow", "deny"}).Draw(t, "effect")
			access := rapid.SampledFrom([]string{"clear", "mask", "match"}).Draw(t, "access")
			if effect == "deny" && rapid.Bool().Draw(t, "any") {
				access = "any"
			}
			resource := rapid.SampledFrom([]string{"*", "Person.*", "Person._row", "Person.name"}).Draw(t, "resource")
			scope := rapid.SampledFrom([]string{"all", "own_region", "sealed", "self", "by_key"}).Draw(t, "scope")
			if resource == "*" && (scope == "own_region" || scope == "sealed") {
				resource = "Person.*"
			}
			level := "L4"
			if effect == "deny" {
				level = "L1"
			}
			lines = append(lines, strings.Join([]string{"p", "r", "police", resource, level, "*", scope, access, effect}, ", "))
		}
		policy, found := authz.Parse([]schema.File{{Name: "p.csv", Text: strings.Join(lines, "\n")}})
		if found.Failed() {
			t.Fatal(found)
		}
		table, err := authz.Compile(policy, c, settings)
		if err != nil {
			t.Fatal(err)
		}
		g := &Generation{Catalogue: c, Table: table, Documents: docs}
		at := path{region: rapid.Bool().Draw(t, "region"), id: rapid.Bool().Draw(t, "id")}
		r := reader{profile: authz.Profile{Roles: []string{"r"}, Purposes: []string{"cases"}, Purpose: "cases"}, attributes: map[string]string{}}
		if at.region {
			r.attributes["region"] = "north"
		}
		if at.id {
			r.attributes["id"] = "x"
		}
		grants := table.View(r.profile)
		row, name := grants.Grants(schema.Coordinate{Type: "Person"}), grants.Grants(schema.Coordinate{Type: "Person", Field: "name"})
		build := func(query string) (*Plan, Errors) {
			req, errs := requestOf(g, r, query, nil)
			if errs != nil {
				t.Fatal(errs)
			}
			return Build(req)
		}
		visible := func(w world) bool { return w.reference(row, at).Any(authz.Mask | authz.Clear) }

		negated := rapid.Bool().Draw(t, "negated")
		where := `{name: {_eq: "a"}}`
		if negated {
			where = `{_not: {name: {_eq: "a"}}}`
		}
		ever, alwaysClear := false, true
		for _, w := range worlds() {
			if !visible(w) {
				continue
			}
			caps := w.reference(name, at)
			ever = ever || caps.Has(authz.Clear)
			alwaysClear = alwaysClear && caps.Has(authz.Clear)
		}

		p, errs := build(`{ persons { name } }`)
		if errs != nil {
			t.Fatal(errs)
		}
		checkAgainst(t, p, at, row, name, visible)

		p, errs = build(`{ persons(where: ` + where + `) { age } }`)
		closed := !slices.ContainsFunc(worlds(), visible)
		switch {
		case closed || ever && errs == nil:
			for _, w := range worlds() {
				if len(p.Fetches) == 0 {
					break
				}
				leaf := w.leaf
				if negated {
					leaf = [...]truth{isTrue, isFalse, isUnknown}[leaf]
				}
				want := visible(w) && leaf == isTrue && w.reference(name, at).Has(authz.Clear)
				if got := w.eval(t, p.Fetches[0].Shape.Where) == isTrue; got != want {
					t.Fatalf("%v: filtered row read %v, want %v\n%s", w, got, want, p)
				}
			}
		case ever:
			t.Fatalf("refused: %v", errs)
		case errs == nil:
			t.Fatalf("not refused\n%s", p)
		}

		_, errs = build(`{ persons(orderBy: [{name: ASC}]) { age } }`)
		if refused := errs != nil; !closed && refused == alwaysClear {
			t.Fatalf("sorting refused %v, clear on every row %v", refused, alwaysClear)
		}
	})
}

func checkAgainst(t *rapid.T, p *Plan, at path, row, name *authz.Grants, visible func(world) bool) {
	_ = row
	for _, w := range worlds() {
		if len(p.Fetches) == 0 {
			if visible(w) {
				t.Fatalf("%v: rows withheld that exist\n%s", w, p)
			}
			continue
		}
		f := p.Fetches[0]
		if got := w.eval(t, f.Shape.Where) == isTrue; got != visible(w) {
			t.Fatalf("%v: row read %v, want %v\n%s", w, got, visible(w), p)
		}
		if !visible(w) {
			continue
		}
		var truths, unknown uint64
		for i, s := range f.Shape.Scopes {
			switch w.eval(t, s) {
			case isTrue:
				truths |= 1 << i
			case isUnknown:
				unknown |= 1 << i
			case isFalse:
			}
		}
		want := lineage.Withheld
		switch caps := w.reference(name, at); {
		case caps.Has(authz.Clear):
			want = lineage.Clear
		case caps.Has(authz.Mask):
			want = lineage.Masked
		}
		field := p.Root.Fields[0].Rows.Members[0].Object.Fields[0]
		if got := field.Decision.Outcome(truths, unknown); got != want {
			t.Fatalf("%v: name is %v, want %v\n%s", w, got, want, p)
		}
	}
}

// TestManyScopes: beyond what is enumerated nothing more is granted, up to all
// the bits that a fetch has; lint lets no type have more scopes.
func TestManyScopes(t *testing.T) {
	build := func(scopes int, query string) (*Plan, Errors) {
		var sdl, policy strings.Builder
		sdl.WriteString("type Thing @source(department: \"d\", table: \"thing\", key: [\"id\"], tiebreak: \"n\") @classified(level: \"L1\")\n")
		policy.WriteString("p, r, d, Thing.*, L4, *, all, mask, allow\n")
		for i := range scopes {
			fmt.Fprintf(&sdl, "@scope(name: \"s%d\", where: \"{a: {_eq: \\\"%d\\\"}}\")\n", i, i)
			fmt.Fprintf(&policy, "p, r, d, Thing.b, L4, *, s%d, clear, allow\n", i)
		}
		sdl.WriteString("{ id: String a: String b: String @mask(with: \"REDACT\") }\n")
		g := generation(t, []schema.File{{Name: "a.graphqls", Text: sdl.String()}}, []schema.File{{Name: "p.csv", Text: policy.String()}}, "x")
		req, errs := requestOf(g, parseReader("r"), query, nil)
		if errs != nil {
			t.Fatal(errs)
		}
		return Build(req)
	}
	p, errs := build(8, `{ things { b } }`)
	if errs != nil {
		t.Fatal(errs)
	}
	d := p.Root.Fields[0].Rows.Members[0].Object.Fields[0].Decision
	if len(d.Allow) != 8 || d.Outcome(0, 0) != lineage.Masked || d.Outcome(1<<7, 0) != lineage.Clear {
		t.Errorf("decision %+v", d)
	}
	if _, errs := build(8, `{ things(orderBy: [{b: ASC}]) { b } }`); len(errs) != 1 || errs[0].Code != FieldNotSortable {
		t.Errorf("sorting by a field with 8 scopes: %v", errs)
	}
	p, errs = build(64, `{ things { b } }`)
	if errs != nil {
		t.Fatal(errs)
	}
	d = p.Root.Fields[0].Rows.Members[0].Object.Fields[0].Decision
	if len(p.Fetches[0].Shape.Scopes) != 64 || d.Outcome(1<<63, 0) != lineage.Clear || d.Outcome(0, 1<<63) != lineage.Masked {
		t.Errorf("64 scopes: %+v", d)
	}
}
