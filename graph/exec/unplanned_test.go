package exec

import (
	"testing"

	"github.com/weir-data/weir/adapters"
)

// unable compiles nothing.
type unable struct{ adapters.Adapter }

func (unable) Compile(*adapters.Shape) (adapters.Statement, error) {
	return nil, &adapters.Error{Kind: adapters.Unsupported}
}

// TestUnplanned: where a source cannot serve a query at all, as for a column of
// an impossible name, the operator is told of what and of which request.
func TestUnplanned(t *testing.T) {
	w := newWorld(t)
	w.executor.sources.adapters["police"] = unable{w.sources["police"]}
	var reported []string
	w.executor.report = func(err error) { reported = append(reported, err.Error()) }
	response := w.ask(w.as("reader purpose cases"), `{ people { name } }`, nil)
	if len(response.Errors) != 1 || response.Errors[0].Extensions["code"] != "INTERNAL" {
		t.Errorf("%v", response.Errors)
	}
	if want := "no plan for request r1: the source of Person cannot serve this query"; len(reported) != 1 || reported[0] != want {
		t.Errorf("%q", reported)
	}
}
