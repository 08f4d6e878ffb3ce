// Package margins attacks through what stands around the data: status, headers,
// extensions, receipts, lengths, counts of rows, costs. It promises to weigh all
// of it against what it knows of some: of a field that no statement reads, and of
// one that is read and leaves masked.
package margins

import (
	"github.com/weir-data/weir/examples/attackers/ordering"
	"github.com/weir-data/weir/examples/attackers/target"
	"github.com/weir-data/weir/examples/attackers/tells"
	"github.com/weir-data/weir/examples/attackers/wording"
)

// Attacks are the attackers.
func Attacks() []*target.Attack {
	const oracle = "status, headers, extensions, receipts, cost, lengths"
	return []*target.Attack{
		{
			Name: "margins", Oracle: oracle, Question: "is the income (withheld) 500 or more?", Prior: 1.0 / 2,
			Truth: ordering.Above, Run: tells.Of(script("income"), draw("income")),
		},
		{
			Name: "margins/masked", Oracle: oracle, Question: "is the story (masked) a long one?", Prior: 1.0 / 2,
			Truth: func(p *target.Person) string {
				if len(p.Story) > 100 {
					return "yes"
				}
				return "no"
			},
			Run: tells.Of(script("story"), draw("story")),
		},
	}
}

// script asks for the field, alone and among others, rightly and wrongly.
func script(field string) []tells.Probe {
	return []tells.Probe{
		{Name: "one", Purpose: "research", Query: `query($id: String!) { persons(where: {idNumber: {_eq: $id}}) { idNumber ` + field + ` income score pin diary loans { number } } }`},
		{Name: "key", Purpose: "research", Query: `query($id: String!) { person(idNumber: $id) { ` + field + ` _ref } other: person(idNumber: "0") { ` + field + ` } }`},
		{Name: "wrong", Purpose: "research", Query: `query($id: String!) { person(idNumber: $id) { ` + field + ` { deeper } } }`},
		{Name: "cost", Purpose: "research", Query: `query($id: String!) { persons(limit: 1000, where: {idNumber: {_eq: $id}}) { loans(limit: 1000) { number } ` + field + ` } }`},
	}
}

func draw(field string) func(wording.Draw) tells.Probe {
	return func(d wording.Draw) tells.Probe {
		const me = `{idNumber: {_eq: $id}}`
		fields := d.Fields(field, field, "income", "score", "diary", "pin", "_ref", "phone", "story", "nothing", `loans(limit: 1000) { number }`, `loans { branch }`)
		args := `where: ` + d.Around(me, 4) + d.One("", ", limit: 1", ", limit: 1000", ", limit: 100000", ", offset: 0")
		query := d.One(`persons(`+args+`) `+fields, `person(idNumber: $id) `+fields, `personsConnection(where: `+d.Around(me, 2)+`, first: 1) { totalCount pageInfo { hasNextPage endCursor } nodes `+fields+` }`,
			`persons(limit: 5, where: {idNumber: {_lte: $id}}, orderBy: [{idNumber: DESC}]) { `+field+` }`,
			`person(idNumber: $id) `+fields+` second: person(idNumber: $id) `+fields, `personMatch(idNumber: $id, expect: {income: 500})`)
		p := tells.Probe{Name: "drawn", Purpose: d.One("research", "billing", "", "nobody's"), Query: `query($id: String!) { ` + query + ` }`}
		if d.IntN(3) == 0 {
			p.Headers = []string{d.One("X-Weir-Withheld", "X-Weir-Partial"), d.One("errors", "list")}
		}
		return p
	}
}
