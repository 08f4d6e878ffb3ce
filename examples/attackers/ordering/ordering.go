// Package ordering attacks by rank: whoever stands late in an order by income
// earns much. It promises to try explicit orders by the protected field, and to
// look whether the default order, or what breaks ties, follows it.
package ordering

import (
	"context"
	"strings"

	"github.com/weir-data/weir/examples/attackers/target"
	"github.com/weir-data/weir/examples/attackers/tells"
)

// Attack is the attacker.
func Attack() *target.Attack {
	return &target.Attack{
		Name: "ordering", Oracle: "the order of rows: by a protected field, by default, among ties",
		Question: "is the income 500 or more?", Prior: 1.0 / 2,
		Truth: Above, Run: run,
	}
}

// Above tells whether the income is in the upper half.
func Above(p *target.Person) string {
	if p.Income >= 500 {
		return "yes"
	}
	return "no"
}

func run(ctx context.Context, c *target.Client, cs *target.Case) (map[string]string, error) {
	seen := map[string]tells.Features{}
	for _, order := range []string{
		`[{income: ASC}]`, `[{income: DESC}]`, `[{income: DESC_NULLS_FIRST}]`, `[{district: ASC}, {income: ASC}]`,
		`[{district: ASC}]`, `[{district: DESC}]`, `[{idNumber: ASC}]`, `[{phone: ASC}]`, `[{badge: ASC}]`, `[{grade: ASC}]`, ``,
	} {
		args := "limit: 1000"
		if order != "" {
			args += ", orderBy: " + order
		}
		a, err := c.Ask(ctx, "research", `{ persons(`+args+`) { idNumber phone badge } }`, nil)
		if err != nil {
			return nil, err
		}
		rows := target.List(a.Data, "persons")
		cs.Say("order %q: %d rows %s", order, len(rows), strings.Join(a.Codes, " "))
		for i, p := range rows {
			id := target.Text(p, "idNumber")
			if seen[id] == nil {
				seen[id] = tells.Features{}
			}
			seen[id]["position in "+order] = float64(i)
		}
	}
	return tells.Apply(cs, seen), nil
}
