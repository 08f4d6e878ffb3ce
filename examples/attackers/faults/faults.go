// Package faults attacks through errors: a value that does not fit its type, a
// number too large to compare, a cast that fails inside the database. It
// promises to provoke each, on fields that it may not see.
package faults

import (
	"context"

	"github.com/weir-data/weir/examples/attackers/target"
	"github.com/weir-data/weir/examples/attackers/tells"
	"github.com/weir-data/weir/examples/attackers/wording"
)

// Attack is the attacker.
func Attack() *target.Attack {
	return &target.Attack{
		Name: "faults", Oracle: "errors from overflow, casts and values of the wrong kind",
		Question: "is the stored score too large for its type?", Prior: 1.0 / 2,
		Truth: func(p *target.Person) string {
			if p.Score >= 1<<31 {
				return "yes"
			}
			return "no"
		},
		Run: run,
	}
}

func run(ctx context.Context, c *target.Client, cs *target.Case) (map[string]string, error) {
	const head = `query($id: String!) { persons(where: {idNumber: {_eq: $id}`
	return tells.Everybody(ctx, c, cs, []tells.Probe{
		{Name: "select", Purpose: "research", Query: head + `}) { score s: score grade phone alias badge } }`},
		{Name: "compare", Purpose: "research", Query: head + `, score: {_gt: 2147483647}}) { district } }`},
		{Name: "too far", Purpose: "research", Query: head + `, grade: {_gt: 2147483648}}) { district } }`},
		{Name: "pattern", Purpose: "research", Query: head + `, district: {_like: "%\\"}}) { score } }`},
		{Name: "order", Purpose: "research", Query: `query($id: String!) { persons(orderBy: [{score: ASC}], where: {idNumber: {_eq: $id}}) { score } }`},
	}, func(d wording.Draw) tells.Probe {
		const me = `{idNumber: {_eq: $id}}`
		leaf := d.One(`{score: {_lt: 2147483647}}`, `{score: {_eq: -2147483648}}`, `{score: {_in: [0, 2147483647]}}`, `{score: {_is_null: false}}`, `{grade: {_lt: 4}}`,
			`{pin: {_like: "%\\"}}`, `{district: {_like: "_%_"}}`, me, me)
		args := `where: {_and: [` + me + `, ` + d.Around(leaf, 3) + `]}`
		if d.IntN(3) == 0 {
			args += `, orderBy: ` + d.Order("score", "grade", "idNumber", "district")
		}
		fields := d.Fields("score", "score", "score", "grade", "income", "_ref", "phone", `loans { number }`)
		query := d.One(`persons(`+args+`) `+fields, `persons(`+args+`) `+fields, `personsConnection(`+args+`) { totalCount nodes `+fields+` }`, `person(idNumber: $id) `+fields)
		return tells.Probe{Name: "drawn", Purpose: d.One("research", "billing", ""), Query: `query($id: String!) { ` + query + ` }`}
	})
}
