// Package nulls attacks the difference between nothing, masked and withheld: a
// null that is there in one row only tells that there is, or is not, a value.
// It promises to read whole answers, in both ways of showing what is withheld, and
// to ask for rows with and without a value.
package nulls

import (
	"github.com/weir-data/weir/examples/attackers/target"
	"github.com/weir-data/weir/examples/attackers/tells"
	"github.com/weir-data/weir/examples/attackers/wording"
)

// Attacks are the attackers: on a field that leaves masked, on one that never
// leaves, and on one that leaves for others.
func Attacks() []*target.Attack {
	const oracle = "null against masked against withheld"
	return []*target.Attack{
		{
			Name: "nulls", Oracle: oracle, Question: "has this person an alias (masked)?", Prior: 1.0 / 2,
			Truth: func(p *target.Person) string { return yes(p.Alias != "") }, Run: tells.Of(script("alias"), draw("alias")),
		},
		{
			Name: "nulls/withheld", Oracle: oracle, Question: "has this person a title (withheld)?", Prior: 1.0 / 2,
			Truth: func(p *target.Person) string { return yes(p.Title != "") }, Run: tells.Of(script("title"), draw("title")),
		},
		{
			Name: "nulls/partly", Oracle: oracle, Question: "has this person points (clear for others)?", Prior: 1.0 / 2,
			Truth: func(p *target.Person) string { return yes(p.Points >= 0) }, Run: tells.Of(script("points"), draw("points")),
		},
	}
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

// script asks for the field in every way of showing it, and for rows in which it
// is null.
func script(field string) []tells.Probe {
	query := `query($id: String!) { persons(where: {idNumber: {_eq: $id}}) { ` + field + ` a: ` + field + ` income ...F } } fragment F on Person { b: ` + field + ` }`
	const where = `query($id: String!) { persons(where: {idNumber: {_eq: $id}, `
	return []tells.Probe{
		{Name: "plain", Purpose: "research", Query: query},
		{Name: "errors", Purpose: "research", Query: query, Headers: []string{"X-Weir-Withheld", "errors"}},
		{Name: "without a purpose", Query: query},
		{Name: "null", Purpose: "research", Query: where + field + `: {_is_null: true}}) { district } }`},
		{Name: "not null", Purpose: "research", Query: where + `_not: {` + field + `: {_is_null: true}}}) { district } }`},
	}
}

func draw(field string) func(wording.Draw) tells.Probe {
	return func(d wording.Draw) tells.Probe {
		p := tells.Probe{Name: "drawn", Purpose: d.One("research", "research", "billing", "")}
		leaf := d.One(`{`+field+`: {_is_null: true}}`, `{`+field+`: {_is_null: false}}`, `{_not: {`+field+`: {_is_null: false}}}`)
		p.Query = `query($id: String!) { ` + d.One(`person(idNumber: $id) `, `persons(where: {idNumber: {_eq: $id}}) `, `persons(limit: 1, where: {idNumber: {_in: [$id]}}) `,
			`persons(where: {_and: [{idNumber: {_eq: $id}}, `+d.Around(leaf, 3)+`]}) `) +
			d.Fields(field, field, "alias", "title", "points", "phone", "income", "badge", "_ref", "diary", `loans { number }`) + ` }`
		if d.IntN(3) == 0 {
			p.Headers = []string{"X-Weir-Withheld", "errors"}
		}
		return p
	}
}
