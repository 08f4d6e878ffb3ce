// Package margins attacks through what stands around the data: status, headers,
// extensions, receipts, lengths, counts of rows, costs. It promises to weigh all
// of it against incomes that it knows.
package margins

import (
	"context"

	"github.com/weir-data/weir/examples/attackers/ordering"
	"github.com/weir-data/weir/examples/attackers/target"
	"github.com/weir-data/weir/examples/attackers/tells"
	"github.com/weir-data/weir/examples/attackers/wording"
)

// Attack is the attacker.
func Attack() *target.Attack {
	return &target.Attack{
		Name: "margins", Oracle: "status, headers, extensions, receipts, cost, lengths",
		Question: "is the income 500 or more?", Prior: 1.0 / 2,
		Truth: ordering.Above, Run: run,
	}
}

func run(ctx context.Context, c *target.Client, cs *target.Case) (map[string]string, error) {
	return tells.Everybody(ctx, c, cs, []tells.Probe{
		{Name: "one", Purpose: "research", Query: `query($id: String!) { persons(where: {idNumber: {_eq: $id}}) { idNumber income score pin diary loans { number } } }`},
		{Name: "key", Purpose: "research", Query: `query($id: String!) { person(idNumber: $id) { income _ref } other: person(idNumber: "0") { income } }`},
		{Name: "wrong", Purpose: "research", Query: `query($id: String!) { person(idNumber: $id) { income { deeper } } }`},
		{Name: "cost", Purpose: "research", Query: `query($id: String!) { persons(limit: 1000, where: {idNumber: {_eq: $id}}) { loans(limit: 1000) { number } income } }`},
	}, func(d wording.Draw) tells.Probe {
		const me = `{idNumber: {_eq: $id}}`
		fields := d.Fields("income", "income", "score", "diary", "pin", "_ref", "phone", "nothing", `loans(limit: 1000) { number }`, `loans { branch }`)
		args := `where: ` + d.Around(me, 4) + d.One("", ", limit: 1", ", limit: 1000", ", limit: 100000", ", offset: 0")
		query := d.One(`persons(`+args+`) `+fields, `person(idNumber: $id) `+fields, `personsConnection(where: `+d.Around(me, 2)+`, first: 1) { totalCount pageInfo { hasNextPage endCursor } nodes `+fields+` }`,
			`persons(limit: 5, where: {idNumber: {_lte: $id}}, orderBy: [{idNumber: DESC}]) { income }`,
			`person(idNumber: $id) `+fields+` second: person(idNumber: $id) `+fields, `personMatch(idNumber: $id, expect: {income: 500})`)
		p := tells.Probe{Name: "drawn", Purpose: d.One("research", "billing", "", "nobody's"), Query: `query($id: String!) { ` + query + ` }`}
		if d.IntN(3) == 0 {
			p.Headers = []string{d.One("X-Weir-Withheld", "X-Weir-Partial"), d.One("errors", "list")}
		}
		return p
	})
}
