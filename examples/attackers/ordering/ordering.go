// Package ordering attacks by rank: whoever stands late in an order by income
// earns much. It promises to try explicit orders by each kind of protected
// field, to look whether the default order, or what breaks ties, follows it, and
// whether it is the order of a key that is protected.
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

// Attacks are the attackers: one for each way in which a field can be protected.
func Attacks() []*target.Attack {
	const oracle = "the order of rows: by a protected field, by default, among ties"
	persons, stays := rows{"persons", "idNumber"}, rows{"stays", "guest"}
	return []*target.Attack{
		{
			Name: "ordering", Oracle: oracle, Question: "is the income (withheld) 500 or more?", Prior: 1.0 / 2,
			Truth: Above, Run: persons.by("income"),
		},
		{
			Name: "ordering/masked", Oracle: oracle, Question: "is the badge (masked) in the upper half?", Prior: 1.0 / 2,
			Truth: func(p *target.Person) string { return yes(p.Badge >= "B5") }, Run: persons.by("badge"),
		},
		{
			Name: "ordering/matched", Oracle: oracle, Question: "is the pin (to be compared only) 5000 or more?", Prior: 1.0 / 2,
			Truth: func(p *target.Person) string { return yes(p.Pin >= "5000") }, Run: persons.by("pin"),
		},
		{
			Name: "ordering/partly", Oracle: oracle, Question: "are there points (clear for others)?", Prior: 1.0 / 2,
			Truth: func(p *target.Person) string { return yes(p.Points >= 0) }, Run: persons.by("points"),
		},
		{
			Name: "ordering/key", Oracle: oracle, Question: "is the room (withheld, a key) in the upper half?", Prior: 1.0 / 2,
			Truth: func(p *target.Person) string { return yes(p.Room >= 5000) }, Run: stays.by("room"),
		},
	}
}

// Above tells whether the income is in the upper half.
func Above(p *target.Person) string { return yes(p.Income >= 500) }

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

// rows are a root's, and the field that says whose they are.
type rows struct{ root, person string }

// by attacks the order by a field of these rows.
func (of rows) by(field string) func(context.Context, *target.Client, *target.Case) (map[string]string, error) {
	return func(ctx context.Context, c *target.Client, cs *target.Case) (map[string]string, error) {
		return of.rank(ctx, c, cs, field)
	}
}

// orders are the script: by the field in every direction, alone and behind
// another, by the others, and by none.
func (of rows) orders(field string) []string {
	out := []string{
		"", `[{` + field + `: ASC}]`, `[{` + field + `: DESC}]`, `[{` + field + `: ASC_NULLS_FIRST}]`, `[{` + field + `: DESC_NULLS_FIRST}]`,
		`[{` + of.person + `: ASC}]`, `[{` + field + `: ASC}, {` + of.person + `: DESC}]`,
	}
	if of.root == "persons" {
		out = append(out, `[{district: ASC}, {`+field+`: ASC}]`, `[{district: ASC}]`, `[{district: DESC}]`, `[{phone: ASC}]`, `[{badge: ASC}]`, `[{grade: ASC}]`)
	}
	return out
}

// draw words an order by lot, and perhaps a condition.
func (of rows) draw(d wording.Draw, field string) (order, more string) {
	others := []string{field, field, of.person}
	if of.root == "persons" {
		others = append(others, "income", "score", "grade", "points", "pin", "diary", "phone", "alias", "badge", "story", "district")
		more = d.One("", ", where: "+d.Around(`{district: {_eq: "south"}}`, 3), ", where: "+d.Around(`{district: {_neq: "south"}}`, 2), ", offset: "+strconv.Itoa(d.IntN(100)))
	} else {
		more = d.One("", `, where: {guest: {_is_null: false}}`, `, where: {_not: {guest: {_eq: "nobody"}}}`, ", offset: "+strconv.Itoa(d.IntN(100)))
	}
	return d.Order(others...), more
}

func (of rows) rank(ctx context.Context, c *target.Client, cs *target.Case, field string) (map[string]string, error) {
	best, d := &tells.Best{}, wording.Draw{Rand: cs.Random}
	script := of.orders(field)
	drawn, codes := 0, map[string]int{}
	for n := 0; ; n++ {
		order, more := "", ""
		if n < len(script) {
			order = script[n]
		} else {
			order, more = of.draw(d, field)
			drawn++
		}
		args := "limit: 1000" + more
		if order != "" {
			args += ", orderBy: " + order
		}
		a, err := c.Ask(ctx, "research", `{ `+of.root+`(`+args+`) { `+of.person+` } }`, nil)
		if errors.Is(err, target.ErrSpent) {
			cs.Say("%d further orders drawn: %v", drawn, codes)
			return best.Apply(cs), nil
		}
		if err != nil {
			return nil, err
		}
		found, seen := target.List(a.Data, of.root), map[string]tells.Features{}
		for i, p := range found {
			seen[target.Text(p, of.person)] = tells.Features{"position in " + order + more: float64(i + 1)}
		}
		if n < len(script) {
			cs.Say("order %q: %d rows %s", order, len(found), strings.Join(a.Codes, " "))
		} else {
			codes[strings.Join(append(a.Codes, "answered")[:1], "")]++
		}
		best.Try(cs, seen)
		if best.Certain(cs) {
			return best.Apply(cs), nil
		}
	}
}
