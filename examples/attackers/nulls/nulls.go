// Package nulls attacks the difference between nothing, masked and withheld: a
// null that is there in one row only tells that there is, or is not, a value.
// It promises to read whole answers, in both ways of showing what is withheld.
package nulls

import (
	"context"

	"github.com/weir-data/weir/examples/attackers/target"
	"github.com/weir-data/weir/examples/attackers/tells"
	"github.com/weir-data/weir/examples/attackers/wording"
)

// Attack is the attacker.
func Attack() *target.Attack {
	return &target.Attack{
		Name: "nulls", Oracle: "null against masked against withheld",
		Question: "has this person an alias?", Prior: 1.0 / 2,
		Truth: func(p *target.Person) string {
			if p.Alias != "" {
				return "yes"
			}
			return "no"
		},
		Run: run,
	}
}

func run(ctx context.Context, c *target.Client, cs *target.Case) (map[string]string, error) {
	const query = `query($id: String!) { persons(where: {idNumber: {_eq: $id}}) { alias a: alias income ...F } } fragment F on Person { b: alias }`
	return tells.Everybody(ctx, c, cs, []tells.Probe{
		{Name: "plain", Purpose: "research", Query: query},
		{Name: "errors", Purpose: "research", Query: query, Headers: []string{"X-Weir-Withheld", "errors"}},
		{Name: "without a purpose", Query: query},
	}, func(d wording.Draw) tells.Probe {
		p := tells.Probe{Name: "drawn", Purpose: d.One("research", "research", "billing", "")}
		p.Query = `query($id: String!) { ` + d.One(`person(idNumber: $id) `, `persons(where: {idNumber: {_eq: $id}}) `, `persons(limit: 1, where: {idNumber: {_in: [$id]}}) `) +
			d.Fields("alias", "alias", "alias", "phone", "income", "badge", "_ref", "diary", `loans { number }`) + ` }`
		if d.IntN(3) == 0 {
			p.Headers = []string{"X-Weir-Withheld", "errors"}
		}
		return p
	})
}
