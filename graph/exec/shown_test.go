package exec

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-data/weir/adapters"
)

// TestOnlyShownRowsFeedKeys: a department is asked for what belongs to the rows
// that are shown, and not to the one more that tells whether there are more.
func TestOnlyShownRowsFeedKeys(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	var asked []string
	w.asked = func(department string, keys *adapters.Keys) {
		mu.Lock()
		defer mu.Unlock()
		for row := range keys.Rows {
			asked = append(asked, department+" "+string(keys.Cell(row, 0)))
		}
	}
	for _, c := range []struct {
		name, query string
		variables   map[string]any
		want        []string
	}{
		{"list", `{ people(limit: 2) { births { number } } }`, nil, []string{"health 100", "health 101"}},
		{"offset", `{ people(limit: 2, offset: 1) { births { number } } }`, nil, []string{"health 101", "health 102"}},
		{"variable", `query($n: Int, $o: Int) { people(limit: $n, offset: $o) { births { number } } }`, map[string]any{"n": json.Number("1"), "o": json.Number("2")}, []string{"health 102"}},
		{"nothing", `{ people(limit: 0) { births { number } } }`, nil, nil},
		{"all", `{ people(limit: 4) { births { number } } }`, nil, []string{"health 100", "health 101", "health 102", "health 103"}},
		{"connection", `{ peopleConnection(first: 1) { nodes { births { number } } } }`, nil, []string{"health 100"}},
		{"edges", `{ peopleConnection(first: 3) { edges { node { births { number } } } } }`, nil, []string{"health 100", "health 101", "health 102"}},
		{"two aliases", `{ a: people(limit: 1) { births { number } } b: people(limit: 2, offset: 1) { births { number } } }`, nil, []string{"health 100", "health 101", "health 102"}},
		{
			"lists in rows", `{ people(limit: 2) { household { members(limit: 1) { births { number } } } } }`, nil,
			[]string{"health 100", "health 101", "police h1", "police h1", "police h2", "police h2"},
		},
		{
			"lists in rows, moved", `{ people(limit: 1) { household { members(limit: 1, offset: 1) { births { number } } } } }`, nil,
			[]string{"health 102", "police h1", "police h1"},
		},
		{"by key", `{ person(id: "101") { births(limit: 1) { motherPerson { household { number } } } } }`, nil, []string{"health 101", "police 101", "police 101", "police h2"}},
	} {
		asked = nil
		response := w.ask(w.as("reader purpose cases"), c.query, c.variables)
		if len(response.Errors) > 0 {
			t.Errorf("%s: %v", c.name, response.Errors)
		}
		slices.Sort(asked)
		if diff := cmp.Diff(c.want, asked); diff != "" {
			t.Errorf("%s (-want +got):\n%s\n%s", c.name, diff, response.Data)
		}
	}
	// A merged list may show any of the first limit+offset rows of each of its
	// types, and none beyond.
	for query, most := range map[string]int{
		`{ certificates(holder: "100", limit: 1) { ... on Permit { person { births { number } } } } }`:          1,
		`{ people(limit: 3) { certificates(limit: 1, offset: 1) { ... on Birth { motherPerson { name } } } } }`: 6,
	} {
		asked = nil
		response := w.ask(w.as("reader purpose cases"), query, nil)
		if len(response.Errors) > 0 {
			t.Errorf("%s: %v %s", query, response.Errors, response.Data)
		}
		n := 0
		for _, key := range asked {
			if strings.HasPrefix(key, "health") {
				n++
			}
		}
		if n > most {
			t.Errorf("%s: asked for %q", query, asked)
		}
	}
}
