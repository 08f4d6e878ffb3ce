package exec

import (
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/graph/plan"
)

// TestPlansGoWithTheirGeneration: what was kept of a generation is forgotten when
// another is followed, and what still runs under it is planned without being kept.
func TestPlansGoWithTheirGeneration(t *testing.T) {
	w := newWorld(t)
	const query = `{ people { name } }`
	under := func() weak.Pointer[authz.Table] {
		w.ask(w.as("reader purpose cases"), query, nil)
		w.executor.plans.programs.Wait()
		w.executor.plans.fingerprints.Wait()
		return weak.Make(w.generation.Table)
	}
	count := func() (n int) {
		w.executor.plans.programs.IterValues(func(*knownProgram) bool { n++; return false })
		w.executor.plans.fingerprints.IterValues(func(*knownFingerprint) bool { n++; return false })
		return n
	}
	first := under()
	if count() != 2 {
		t.Fatalf("%d entries of one operation", count())
	}
	old := *w.generation
	w.load(readTestdata(t, "policy.csv"))
	w.executor.Follow(w.generation)
	if count() != 0 {
		t.Errorf("%d entries of another generation", count())
	}
	next := w.generation
	w.generation = &plan.Generation{Catalogue: old.Catalogue, Table: old.Table, Policy: old.Policy, Documents: old.Documents}
	under()
	if count() != 0 {
		t.Errorf("%d entries were kept of a generation that is not followed", count())
	}
	w.generation, old, w.last = next, plan.Generation{}, nil
	under()
	w.executor.Follow(next)
	if count() != 2 {
		t.Errorf("%d entries of the one that is", count())
	}
	for end := time.Now().Add(5 * time.Second); first.Value() != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the old table is still there")
		}
		runtime.GC()
	}
}

// TestProfileKeysTellApart: the first step of the plan cache gives no reader the
// fingerprint of another kind of reader, policy, schema, document or operation.
func TestProfileKeysTellApart(t *testing.T) {
	w := newWorld(t)
	const document = "query A { people { name } } query B { people { name } }"
	type asked struct {
		document, operation, policy, schema string
		profile                             authz.Profile
	}
	key := func(a asked) string {
		g := *w.generation
		c := *g.Catalogue
		g.Catalogue, g.Policy, c.Revision = &c, a.policy, a.schema
		doc, errs := w.generation.Documents.Get(a.document)
		if errs != nil {
			t.Fatal(errs)
		}
		op, errs := doc.Operation(a.operation)
		if errs != nil {
			t.Fatal(errs)
		}
		return string(profileKey(&g, doc, op, &a.profile))
	}
	base := asked{document, "A", "p1", "s1", authz.Profile{Roles: []string{"ab", "c"}, Department: "d", Purposes: []string{"e", "f"}, Purpose: "e"}}
	seen := map[string]string{key(base): "the request itself"}
	for name, change := range map[string]func(*asked){
		"another document":       func(a *asked) { a.document += " " },
		"another operation":      func(a *asked) { a.operation = "B" },
		"another policy":         func(a *asked) { a.policy = "p2" },
		"another schema":         func(a *asked) { a.schema = "s2" },
		"policy and schema":      func(a *asked) { a.policy, a.schema = "s1", "p1" },
		"another department":     func(a *asked) { a.profile.Department = "g" },
		"another purpose":        func(a *asked) { a.profile.Purpose = "f" },
		"no purpose":             func(a *asked) { a.profile.Purpose = "" },
		"a role less":            func(a *asked) { a.profile.Roles = []string{"ab"} },
		"roles cut elsewhere":    func(a *asked) { a.profile.Roles = []string{"a", "bc"} },
		"a purpose less":         func(a *asked) { a.profile.Purposes = []string{"e"} },
		"a purpose for a role":   func(a *asked) { a.profile.Roles, a.profile.Purposes = []string{"ab"}, []string{"c", "e", "f"} },
		"department for purpose": func(a *asked) { a.profile.Department, a.profile.Purpose = "e", "d" },
	} {
		other := base
		change(&other)
		k := key(other)
		if seen[k] != "" {
			t.Errorf("%s and %s share a key", name, seen[k])
		}
		seen[k] = name
	}
}
