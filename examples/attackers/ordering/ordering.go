// Package ordering attacks by rank: whoever stands late in an order by income
// earns much. It promises to try explicit orders by the protected field, and to
// look whether the default order, or what breaks ties, follows it.
package ordering

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/weir-data/weir/examples/attackers/target"
	"github.com/weir-data/weir/examples/attackers/tells"
	"github.com/weir-data/weir/examples/attackers/wording"
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
	best, d := &tells.Best{}, wording.Draw{Rand: cs.Random}
	orders := []string{
		`[{income: ASC}]`, `[{income: DESC}]`, `[{income: DESC_NULLS_FIRST}]`, `[{district: ASC}, {income: ASC}]`,
		`[{district: ASC}]`, `[{district: DESC}]`, `[{idNumber: ASC}]`, `[{phone: ASC}]`, `[{badge: ASC}]`, `[{grade: ASC}]`, ``,
	}
	drawn, codes := 0, map[string]int{}
	for n := 0; ; n++ {
		order, more := "", ""
		if n < len(orders) {
			order = orders[n]
		} else {
			order = d.Order("income", "income", "score", "grade", "pin", "diary", "phone", "alias", "badge", "district", "idNumber")
			more = d.One("", ", where: "+d.Around(`{district: {_eq: "south"}}`, 3), ", where: "+d.Around(`{district: {_neq: "south"}}`, 2), ", offset: "+strconv.Itoa(d.IntN(100)))
			drawn++
		}
		args := "limit: 1000" + more
		if order != "" {
			args += ", orderBy: " + order
		}
		a, err := c.Ask(ctx, "research", `{ persons(`+args+`) { idNumber phone badge } }`, nil)
		if errors.Is(err, target.ErrSpent) {
			cs.Say("%d further orders drawn: %v", drawn, codes)
			return best.Apply(cs), nil
		}
		if err != nil {
			return nil, err
		}
		rows, seen := target.List(a.Data, "persons"), map[string]tells.Features{}
		for i, p := range rows {
			seen[target.Text(p, "idNumber")] = tells.Features{"position in " + order + more: float64(i + 1)}
		}
		if n < len(orders) {
			cs.Say("order %q: %d rows %s", order, len(rows), strings.Join(a.Codes, " "))
		} else {
			codes[strings.Join(append(a.Codes, "answered")[:1], "")]++
		}
		best.Try(cs, seen)
		if best.Certain(cs) {
			return best.Apply(cs), nil
		}
	}
}
