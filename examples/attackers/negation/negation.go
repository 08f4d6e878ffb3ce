// Package negation attacks a field that is clear for some rows by asking for
// what is not so: where a comparison with an unreadable cell is false, its
// negation must not become true. It promises to try the forms that De Morgan
// knows.
package negation

import (
	"context"
	"strconv"
	"strings"

	"github.com/weir-data/weir/examples/attackers/target"
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

func run(ctx context.Context, c *target.Client, cs *target.Case) (map[string]string, error) {
	guesses := map[string]string{}
	found := map[string]bool{} // form, grade and person
	for _, form := range forms() {
		rows, codes := 0, map[string]bool{}
		for grade := range 4 {
			a, err := c.Ask(ctx, "research", `query($d: String!) { persons(limit: 1000, where: {district: {_eq: $d}, _and: [`+
				strings.ReplaceAll(form, "#", strconv.Itoa(grade))+`]}) { idNumber } }`, map[string]any{"d": "south"})
			if err != nil {
				return guesses, err
			}
			for _, code := range a.Codes {
				codes[code] = true
			}
			for _, p := range target.List(a.Data, "persons") {
				found[form+strconv.Itoa(grade)+target.Text(p, "idNumber")] = true
				rows++
			}
		}
		cs.Say("%s: %d rows of the south in all four grades, refusals: %d", form, rows, len(codes))
	}
	for _, id := range cs.IDs {
		for _, form := range forms() {
			var is []string
			for grade := range 4 {
				if g := strconv.Itoa(grade); found[form+g+id] {
					is = append(is, g)
				}
			}
			if len(is) == 1 {
				guesses[id] = is[0]
			}
		}
		if guesses[id] == "" {
			guesses[id] = "0"
		}
	}
	return guesses, nil
}
