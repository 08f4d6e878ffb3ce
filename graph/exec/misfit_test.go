package exec

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
)

// store changes a department's data.
func (w *world) store(department, statement string) {
	w.t.Helper()
	db, err := sql.Open("sqlite", w.files[department])
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := db.ExecContext(w.t.Context(), statement); err != nil {
		w.t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// TestMisfits: a stored value that is not of its field's kind is an error where
// it would be shown, and where rows would be put in order by it: no page leads
// on from it as from a NULL, and no list is merged by it. The operator hears of
// the column, and of no value.
func TestMisfits(t *testing.T) {
	w := newWorld(t)
	w.store("police", `update person set visits = 5000000000, born = 'canary' where id = '101'; update permit set issued = 'canary' where number = 'p3'`)
	var heard []string
	w.executor.misfits = func(m Misfit) {
		heard = append(heard, fmt.Sprintf("%s %s %s.%s x%d", m.Request, m.Department, m.Type, m.Column, m.Count))
	}
	for _, c := range []struct{ name, who, query, data, errors, heard string }{
		{
			"cells", "reader purpose cases", `{ people { visits born } more: people(limit: 2) { visits } }`,
			`{"people":[{"visits":3,"born":"1990-05-17"},{"visits":null,"born":null},{"visits":-7,"born":null},{"visits":2147483647,"born":"2001-12-31"}],"more":[{"visits":3},{"visits":null}]}`,
			"INTERNAL [people 1 visits], INTERNAL [people 1 born], INTERNAL [more 1 visits]",
			"r1 police Person.visits x2, r1 police Person.born x1",
		},
		{
			"masked cells", "officer purpose cases region north", `{ people { born } }`,
			`{"people":[{"born":"1990-05-17"},{"born":null},{"born":null},{"born":"2001-01-01"}]}`, "", "",
		},
		{
			"a page that ends there", "reader purpose cases", `{ peopleConnection(first: 1, orderBy: [{visits: DESC}]) { nodes { name } pageInfo { hasNextPage startCursor endCursor } } }`,
			`{"peopleConnection":{"nodes":[{"name":"欧阳小明"}],"pageInfo":{"hasNextPage":true,"startCursor":null,"endCursor":null}}}`,
			"INTERNAL [peopleConnection pageInfo startCursor], INTERNAL [peopleConnection pageInfo endCursor]",
			"r1 police Person.visits x2",
		},
		{
			"an edge", "reader purpose cases", `{ peopleConnection(first: 2, orderBy: [{visits: ASC_NULLS_FIRST}, {born: ASC}], where: {visits: {_gt: 1000}}) { edges { cursor } nodes { name } } }`,
			`{"peopleConnection":{"edges":null,"nodes":[{"name":"quote \" and \\"},{"name":"欧阳小明"}]}}`,
			"INTERNAL [peopleConnection edges 1 cursor]", "r1 police Person.visits x1",
		},
		{
			"a page without cursors", "reader purpose cases", `{ peopleConnection(orderBy: [{visits: DESC}]) { nodes { name } } }`,
			`{"peopleConnection":{"nodes":[{"name":"欧阳小明"},{"name":"quote \" and \\"},{"name":"张伟"},{"name":null}]}}`, "", "",
		},
		{
			"a merged order", "reader purpose cases", `{ certificates(holder: "101", orderBy: [{issued: DESC}]) { number } b: certificates(holder: "100", orderBy: [{issued: DESC}], limit: 1) { number } }`,
			`{"certificates":null,"b":[{"number":"p2"}]}`, "INTERNAL [certificates]", "r1 police Permit.issued x1",
		},
		{
			"an order of one type, where the others are withheld", "officer purpose cases region south", `{ certificates(holder: "101", orderBy: [{issued: DESC}]) { number } }`,
			`{"certificates":[{"number":"p3"}]}`, "", "",
		},
		{
			"a merged order of relations with their own", "reader purpose cases", `{ people(where: {id: {_in: ["100", "101"]}}) { certificates(orderBy: [{issued: ASC}], limit: 1) { number ... on Permit { person { visits } } } } }`,
			`{"people":[{"certificates":[{"number":"p1","person":{"visits":3}}]},{"certificates":null}]}`, "INTERNAL [people 1 certificates]", "r1 police Permit.issued x1",
		},
		{
			"the rest of a merged order", "reader purpose cases partial list", `{ people(where: {id: {_eq: "101"}}) { certificates(orderBy: [{number: ASC}]) { number } byDay: certificates(orderBy: [{issued: ASC}]) { number } } }`,
			`{"people":[{"certificates":[{"number":"p3"}],"byDay":[]}]}`, "INTERNAL [people 0 byDay]", "r1 police Permit.issued x1",
		},
	} {
		heard = nil
		response := w.ask(w.as(c.who), c.query, nil)
		var errors []string
		for _, e := range response.Errors {
			path := fmt.Sprint(e.Path)
			path = strings.NewReplacer("[", " ", "]", "", ".", " ").Replace(path)
			errors = append(errors, fmt.Sprintf("%s [%s]", e.Extensions["code"], path))
		}
		if string(response.Data) != c.data || strings.Join(errors, ", ") != c.errors || strings.Join(heard, ", ") != c.heard {
			t.Errorf("%s:\n%s\n%s\n%s", c.name, response.Data, strings.Join(errors, ", "), strings.Join(heard, ", "))
		}
		if all := fmt.Sprint(heard, response.Errors); strings.Contains(all, "canary") || strings.Contains(all, "5000000000") {
			t.Errorf("%s: a value shows: %s", c.name, all)
		}
	}
}
