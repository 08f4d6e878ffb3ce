// Package negation attacks a field that is clear for some rows by asking for
// what is not so: where a comparison with an unreadable cell is false, its
// negation must not become true. It promises to try the forms that De Morgan
// knows.
package negation

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/weir-data/weir/examples/attackers/target"
	"github.com/weir-data/weir/examples/attackers/wording"
)

// Attack is the attacker.
func Attack() *target.Attack {
	return &target.Attack{
		Name: "negation", Oracle: "negated filters on a field that is clear in the north alone",
		Question: "which grade (0 to 3) has this person of the south?", Prior: 1.0 / 4,
		Among: func(p *target.Person) bool { return p.District == "south" },
		Truth: func(p *target.Person) string { return strconv.Itoa(p.Grade) },
		Run:   run,
	}
}

// forms all say "the grade is #".
func forms() []string {
	return []string{
		`{grade: {_eq: #}}`,
		`{_not: {grade: {_neq: #}}}`,
		`{_not: {grade: {_nin: [#]}}}`,
		`{_not: {_not: {grade: {_eq: #}}}}`,
		`{_not: {_or: [{grade: {_lt: #}}, {grade: {_gt: #}}]}}`,
		`{_and: [{_not: {grade: {_lt: #}}}, {_not: {grade: {_gt: #}}}]}`,
		`{_not: {_or: [{grade: {_neq: #}}, {grade: {_is_null: true}}]}}`,
		`{_not: {_not: {_not: {grade: {_neq: #}}}}}`,
		`{_or: [{_not: {grade: {_neq: #}}}, {district: {_eq: "nowhere"}}]}`,
		`{_and: [{_not: {_and: [{grade: {_neq: #}}, {district: {_eq: "south"}}]}}, {district: {_eq: "south"}}]}`,
	}
}

// equal and differs word "the grade is #" and "it is not" by lot, each by the
// other.
func equal(d wording.Draw, layers int) string {
	if layers == 0 {
		return d.One(`{grade: {_eq: #}}`, `{grade: {_in: [#]}}`, `{grade: {_lte: #, _gte: #}}`, `{_and: [{grade: {_gte: #}}, {grade: {_lte: #}}]}`)
	}
	is, isNot := equal(d, layers-1), differs(d, layers-1)
	return d.One(`{_not: `+isNot+`}`, `{_not: `+isNot+`}`, `{_and: [`+is+`, {_not: `+isNot+`}]}`, `{_not: {_or: [`+isNot+`, {grade: {_is_null: true}}]}}`,
		`{_or: [`+is+`, {_and: [`+is+`, `+isNot+`]}]}`, `{_not: {_and: [`+isNot+`, {district: {_eq: "south"}}]}}`)
}

func differs(d wording.Draw, layers int) string {
	if layers == 0 {
		return d.One(`{grade: {_neq: #}}`, `{grade: {_nin: [#]}}`, `{_or: [{grade: {_lt: #}}, {grade: {_gt: #}}]}`)
	}
	is, isNot := equal(d, layers-1), differs(d, layers-1)
	return d.One(`{_not: `+is+`}`, `{_not: `+is+`}`, `{_or: [`+isNot+`, {_not: `+is+`}]}`, `{_not: {_or: [`+is+`, {grade: {_in: []}}]}}`, `{_and: [`+isNot+`, {_not: `+is+`}]}`)
}

func run(ctx context.Context, c *target.Client, cs *target.Case) (map[string]string, error) {
	d, guesses := wording.Draw{Rand: cs.Random}, map[string]string{}
	for _, id := range cs.IDs {
		guesses[id] = "0" // as good as any
	}
	drawn, rows := 0, 0
	for n := 0; ; n++ {
		form := ""
		if n < len(forms()) {
			form = forms()[n]
		} else {
			form = equal(d, 1+d.IntN(4))
			drawn++
		}
		found, codes, err := grades(ctx, c, form)
		if errors.Is(err, target.ErrSpent) {
			cs.Say("%d further forms drawn: %d rows of the south", drawn, rows)
			return guesses, nil
		}
		if err != nil {
			return guesses, err
		}
		shown, told := 0, 0
		for _, in := range found {
			shown += len(in)
		}
		for _, id := range cs.IDs {
			if len(found[id]) == 1 {
				guesses[id] = found[id][0]
				told++
			}
		}
		if n < len(forms()) {
			cs.Say("%s: %d rows of the south in all four grades, refusals: %d", form, shown, codes)
		} else {
			rows += shown
		}
		if told == len(cs.IDs) {
			return guesses, nil
		}
	}
}

// grades asks for the south's rows of each grade: the grades in which each
// person was found, and in how many ways that was refused.
func grades(ctx context.Context, c *target.Client, form string) (found map[string][]string, refusals int, err error) {
	found = map[string][]string{}
	codes := map[string]bool{}
	for grade := range 4 {
		g := strconv.Itoa(grade)
		a, err := c.Ask(ctx, "research", `query($d: String!) { persons(limit: 1000, where: {district: {_eq: $d}, _and: [`+
			strings.ReplaceAll(form, "#", g)+`]}) { idNumber } }`, map[string]any{"d": "south"})
		if err != nil {
			return nil, 0, err
		}
		for _, code := range a.Codes {
			codes[code] = true
		}
		for _, p := range target.List(a.Data, "persons") {
			id := target.Text(p, "idNumber")
			found[id] = append(found[id], g)
		}
	}
	return found, len(codes), nil
}
