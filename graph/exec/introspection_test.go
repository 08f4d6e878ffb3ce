package exec

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestIntrospectionTouchesAll: an answer that tells of the schema stands on all
// that its reader may know, so that the gate holds it back when some of it was
// hidden meanwhile; one that does not stands on what it decided.
func TestIntrospectionTouchesAll(t *testing.T) {
	w := newWorld(t)
	all := w.generation.Table.Coordinates()
	for query, kind := range map[string]string{
		`{ __schema { types { name } } }`:                                                     "introspection",
		`{ __type(name: "Person") { name } __typename }`:                                      "introspection",
		`{ person(id: "100") { name } ...F } fragment F on Query { __schema { __typename } }`: "query",
	} {
		if a := w.ask(w.as("clerk purpose births"), query, nil); a.Errors != nil || w.last.Reads.Kind != kind {
			t.Errorf("%s: %v, recorded as %q", query, a.Errors, w.last.Reads.Kind)
		}
		if diff := cmp.Diff(all, w.last.Reads.Coordinates); diff != "" {
			t.Errorf("%s: -want +got:\n%s", query, diff)
		}
	}
	w.ask(w.as("clerk purpose births"), `{ person(id: "100") { name } }`, nil)
	if got := len(w.last.Reads.Coordinates); got == 0 || got >= len(all) {
		t.Errorf("a query that reads a name stands on %d of %d coordinates", got, len(all))
	}
}
