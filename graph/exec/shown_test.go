package exec

import (
	"encoding/json"
	"slices"
	"strconv"
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
	w.asked = func(department, _ string, keys *adapters.Keys) {
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
}

// TestMergeFeedsKeysOfWhatSurvives: a list over several departments' types reads
// limit + offset rows of each, and asks for the children of those alone that the
// merged list shows.
func TestMergeFeedsKeysOfWhatSurvives(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	var asked []string
	w.asked = func(department, table string, keys *adapters.Keys) {
		mu.Lock()
		defer mu.Unlock()
		for row := range keys.Rows {
			asked = append(asked, department+" "+table+" "+string(keys.Cell(row, 0)))
		}
	}
	const children = `{ number ... on Permit { person { name births { number } } } ... on Birth { motherPerson { name } } }`
	for _, c := range []struct {
		name, query, who string
		down             string
		want             []string // but those of the outer lists
	}{
		// b2, p1, p2, p4, p5: by type and number.
		{"of one type", `{ certificates(holder: "100", limit: 1) ` + children + ` }`, "", "", []string{"police person 103"}},
		{"of the other", `{ certificates(holder: "100", limit: 1, offset: 1) ` + children + ` }`, "", "", []string{"health birth 100", "police person 100"}},
		{"of none", `{ certificates(holder: "100", limit: 0) ` + children + ` }`, "", "", nil},
		{"beyond the end", `{ certificates(holder: "100", limit: 5, offset: 5) ` + children + ` }`, "", "", nil},
		{
			"in another order", `{ certificates(holder: "100", limit: 2, orderBy: [{issued: ASC}]) ` + children + ` }`, "", "",
			[]string{"health birth 100", "police person 100", "police person 103"},
		},
		{"where one order has it last", `{ certificates(holder: "100", limit: 3, orderBy: [{issued: DESC}]) ` + children + ` }`, "", "", []string{"health birth 100", "police person 100", "police person 103"}},
		{"cut before it", `{ certificates(holder: "100", limit: 2, orderBy: [{issued: DESC}]) ` + children + ` }`, "", "", []string{"health birth 100", "police person 100"}},
		{
			"two windows on one list", `{ a: certificates(holder: "100", limit: 1) ` + children + ` b: certificates(holder: "100", limit: 1, offset: 4) ` + children + ` }`, "", "",
			[]string{"health birth 100", "police person 100", "police person 103"},
		},
		{"half of it down: no list, no children", `{ certificates(holder: "100", limit: 3) ` + children + ` }`, "", "health", nil},
		{"half of it down, and a part is enough", `{ certificates(holder: "100", limit: 3) { ... on Permit { person { name } } } }`, " partial list", "health", []string{"police person 100"}},
	} {
		asked = nil
		clear(w.down)
		if c.down != "" {
			w.down[c.down] = &adapters.Error{Kind: adapters.Unavailable}
		}
		response := w.ask(w.as("reader purpose cases"+c.who), c.query, nil)
		if (len(response.Errors) > 0) != (c.down != "") {
			t.Errorf("%s: %v", c.name, response.Errors)
		}
		slices.Sort(asked)
		if diff := cmp.Diff(c.want, asked); diff != "" {
			t.Errorf("%s (-want +got):\n%s\n%s", c.name, diff, response.Data)
		}
	}
	clear(w.down)
	// In rows: for all windows, what was asked for is what stands in the answer.
	type person struct{ ID string }
	type certificate struct{ Person, MotherPerson *person }
	for limit := range 4 {
		for offset := range 5 {
			for _, direction := range []string{"ASC", "DESC", "ASC_NULLS_FIRST", "DESC_NULLS_FIRST"} {
				asked = nil
				response := w.ask(w.as("reader purpose cases"), `query($n: Int, $o: Int) { people(limit: 3) { certificates(limit: $n, offset: $o, orderBy: [{issued: `+direction+`}]) {
					... on Permit { person { id } } ... on Birth { motherPerson { id } } } } }`,
					map[string]any{"n": json.Number(strconv.Itoa(limit)), "o": json.Number(strconv.Itoa(offset))})
				var answer struct {
					People []struct{ Certificates []certificate }
				}
				if err := json.Unmarshal(response.Data, &answer); err != nil || len(response.Errors) > 0 {
					t.Fatal(err, response.Errors)
				}
				permits, births := map[string]bool{}, map[string]bool{}
				for _, p := range answer.People {
					for _, c := range p.Certificates {
						if c.Person != nil {
							permits[c.Person.ID] = true
						}
						if c.MotherPerson != nil {
							births[c.MotherPerson.ID] = true
						}
					}
				}
				n := 0
				for _, a := range asked {
					if strings.HasPrefix(a, "police person ") {
						n++
					}
				}
				if n != len(permits)+len(births) {
					t.Errorf("limit %d offset %d %s: asked for %q, shown %s", limit, offset, direction, asked, response.Data)
				}
			}
		}
	}
}
