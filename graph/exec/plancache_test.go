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
