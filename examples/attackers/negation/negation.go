// Package negation attacks a field that is clear for some rows by asking for
// what is not so: where a comparison with an unreadable cell is false, its
// negation must not become true. It promises to try the forms that De Morgan
// knows, for what is so and for what is not, and to learn from people whose grade
// it knows what the rows that come back say.
package negation

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
		Name: "negation", Oracle: "negated filters on a field that is clear in the north alone",
		Question: "which grade (0 to 3) has this person of the south?", Prior: 1.0 / 4,
		Among: func(p *target.Person) bool { return p.District == "south" },
		Truth: func(p *target.Person) string { return strconv.Itoa(p.Grade) },
		Run:   run,
	}
}

// forms say "the grade is #", and then that it is not, or that it is beside it.
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
		`{_not: {grade: {_eq: #}}}`,
		`{_not: {grade: {_in: [#, #]}}}`,
		`{_not: {grade: {_gte: #, _lte: #}}}`,
		`{_not: {_and: [{grade: {_gte: #}}, {grade: {_lte: #}}]}}`,
		`{_not: {_not: {grade: {_neq: #}}}}`,
		`{_or: [{grade: {_lt: #}}, {_not: {grade: {_lte: #}}}]}`,
		`{grade: {_gt: #}}`,
		`{_not: {grade: {_gt: #}}}`,
		`{_not: {_or: [{grade: {_is_null: true}}, {grade: {_gt: #}}]}}`,
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
	d := wording.Draw{Rand: cs.Random}
	best := lesson{}
	drawn, rows := 0, 0
	for n := 0; ; n++ {
		form := ""
		if n < len(forms()) {
			form = forms()[n]
		} else {
			word := equal
			if d.IntN(2) == 0 {
				word = differs
			}
			form = word(d, 1+d.IntN(4))
			drawn++
		}
		found, codes, err := grades(ctx, c, form)
		if errors.Is(err, target.ErrSpent) {
			cs.Say("%d further forms drawn: %d rows of the south", drawn, rows)
			return best.guess(cs), nil
		}
		if err != nil {
			return best.guess(cs), err
		}
		shown := 0
		for _, in := range found {
			shown += len(in)
		}
		if n < len(forms()) {
			cs.Say("%s: %d rows of the south in all four grades, refusals: %d", form, shown, codes)
		} else {
			rows += shown
		}
		if l := learn(cs, found); l.right > best.right {
			best = l
		}
		if best.right == len(cs.Known) {
			cs.Say("the rows of %d people in the south say their grades", len(cs.Known))
			return best.guess(cs), nil
		}
	}
}

// lesson is what it says that somebody is found in the answers for some of the
// four grades and not in those for the others.
type lesson struct {
	found map[string][]string
	means map[string]string // a grade, by the grades in whose answers one is
	right int               // of the known
}

// learn takes of each such pattern the grade that most of the known with it have.
func learn(cs *target.Case, found map[string][]string) lesson {
	counts := map[string]map[string]int{}
	for id, grade := range cs.Known {
		pattern := strings.Join(found[id], "")
		if counts[pattern] == nil {
			counts[pattern] = map[string]int{}
		}
		counts[pattern][grade]++
	}
	l := lesson{found: found, means: map[string]string{}}
	for pattern, grades := range counts {
		for _, grade := range slices.Sorted(maps.Keys(grades)) {
			if l.means[pattern] == "" || grades[grade] > grades[l.means[pattern]] {
				l.means[pattern] = grade
			}
		}
		l.right += grades[l.means[pattern]]
	}
	return l
}

func (l lesson) guess(cs *target.Case) map[string]string {
	guesses := map[string]string{}
	for _, id := range cs.IDs {
		guesses[id] = l.means[strings.Join(l.found[id], "")]
	}
	return guesses
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
