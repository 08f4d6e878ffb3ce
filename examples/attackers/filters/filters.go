// Package filters attacks by asking for rows instead of values: is there a row
// of this person with an income below 500? A yes or no is a bit, and ten bits
// are the income. It promises to try every operator, in every position of a
// filter, on each kind of protected field.
package filters

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-data/weir/examples/attackers/target"
	"github.com/weir-data/weir/examples/attackers/wording"
)

// Attacks are the attackers: one for each way in which a field can be protected.
func Attacks() []*target.Attack {
	const oracle = "rows that a filter on a protected field lets through"
	digits := func(text string) string { // without leading zeroes
		n, _ := strconv.Atoi(text)
		return strconv.Itoa(n)
	}
	return []*target.Attack{
		{
			Name: "filters", Oracle: oracle, Question: "what is the income (withheld), 0 to 999?", Prior: 1.0 / 1000,
			Truth: func(p *target.Person) string { return strconv.Itoa(p.Income) },
			Run:   secret{field: "income", digits: 3, number: true}.run,
		},
		{
			Name: "filters/partly", Oracle: oracle, Question: "how many points (clear for others), 0 to 999?", Prior: 1.0 / 1000,
			Among: func(p *target.Person) bool { return p.Points >= 0 },
			Truth: func(p *target.Person) string { return strconv.Itoa(p.Points) },
			Run:   secret{field: "points", digits: 3, number: true}.run,
		},
		{
			Name: "filters/masked", Oracle: oracle, Question: "how does the badge (masked) begin, 000 to 999?", Prior: 1.0 / 1000,
			Truth: func(p *target.Person) string { return digits(p.Badge[1:4]) },
			Run:   secret{field: "badge", prefix: "B", digits: 3}.run,
		},
		{
			Name: "filters/matched", Oracle: oracle, Question: "what is the pin (to be compared only), 0000 to 9999?", Prior: 1.0 / 10_000,
			Truth: func(p *target.Person) string { return digits(p.Pin) },
			Run:   secret{field: "pin", digits: 4}.run,
		},
	}
}

// secret is what is wanted: a number that is a field's value, or stands in so
// many digits behind the prefix with which its text begins.
type secret struct {
	field  string
	number bool
	prefix string
	digits int
}

// end is the first number that is none of the secret's.
func (s secret) end() int {
	n := 1
	for range s.digits {
		n *= 10
	}
	return n
}

// value is what all values below n are less than, and no other.
func (s secret) value(n int) any {
	switch {
	case s.number:
		return n
	case n == s.end():
		return s.prefix + ":" // behind every digit
	default:
		return s.prefix + fmt.Sprintf("%0*d", s.digits, n)
	}
}

// below lists the values below n, of numbers.
func (s secret) below(n int) string {
	values := make([]string, n)
	for i := range values {
		values[i] = strconv.Itoa(i)
	}
	return "[" + strings.Join(values, ", ") + "]"
}

// beginnings words "below n" by what texts begin with.
func (s secret) beginnings(n int, operator, end string) string {
	var all []string
	text := fmt.Sprintf("%0*d", s.digits, min(n, s.end()-1))
	if n == s.end() {
		text = strings.Repeat("9", s.digits-1) + ":" // all ten last digits too
	}
	for i := range text {
		for digit := byte('0'); digit < text[i]; digit++ {
			all = append(all, fmt.Sprintf(`{%s: {%s: "%s%s%c%s"}}`, s.field, operator, s.prefix, text[:i], digit, end))
		}
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// shape is a way to ask whether a field is below a number: # stands for the
// number, @ for the person, F for the field, L for the list of what is below, and
// S and P for what begins so.
type shape struct{ words, text string }

func (s secret) shapes() []shape {
	const list, open, end = `{ persons(where: `, `{idNumber: {_eq: "@"}, `, `}) { idNumber } }`
	out := []shape{
		{"_lt", list + open + `F: {_lt: #}` + end},
		{"_lt of a variable", `query($n: T) ` + list + open + `F: {_lt: $n}` + end},
		{"_not _gte", list + open + `_not: {F: {_gte: #}}` + end},
		{"_and", list + open + `_and: [{F: {_lt: #}}]` + end},
		{"_or", list + open + `_or: [{F: {_lt: #}}, {idNumber: {_eq: "nobody"}}]` + end},
		{"_lte and _neq", list + open + `F: {_lte: #, _neq: #}` + end},
		{"the whole filter in a variable", `query($w: PersonWhere) { persons(where: $w) { idNumber } }`},
		{"a page", `{ page: personsConnection(where: ` + open + `F: {_lt: #}}) { persons: nodes { idNumber } } }`},
		{"two levels down", list + open + `_or: [{_and: [{_not: {_not: {F: {_lt: #}}}}]}]` + end},
		{"beside a contradiction", list + open + `_or: [{_and: [], F: {_lt: #}}, {_or: []}]` + end},
	}
	if s.number {
		return append(out, shape{"_in", list + open + `F: {_in: L}` + end}, shape{"_not _nin", list + open + `_not: {F: {_nin: L}}` + end})
	}
	return append(out, shape{"_starts_with", list + open + `_or: S` + end}, shape{"_like", list + open + `_or: P` + end})
}

// run looks for a shape that tells the numbers of people whom it knows, and then
// halves those of the others.
func (s secret) run(ctx context.Context, c *target.Client, cs *target.Case) (map[string]string, error) {
	guesses := map[string]string{}
	work, err := s.search(ctx, c, cs)
	if err != nil || work == nil {
		return guesses, err
	}
	for _, id := range cs.IDs {
		low, high := 0, s.end() // low <= the number < high
		for high-low > 1 {
			middle := (low + high) / 2
			found, _, err := s.ask(ctx, c, *work, id, middle)
			if err != nil {
				return guesses, err
			}
			if found {
				high = middle
			} else {
				low = middle
			}
		}
		guesses[id] = strconv.Itoa(low)
	}
	return guesses, nil
}

// search tries the script's shapes and then drawn ones, about people whose
// numbers it knows, until one is answered as the number would have it, or no
// query is left.
func (s secret) search(ctx context.Context, c *target.Client, cs *target.Case) (*shape, error) {
	d, ids, script := wording.Draw{Rand: cs.Random}, slices.Sorted(maps.Keys(cs.Known)), s.shapes()
	codes := map[string]int{}
	for n := 0; ; n++ {
		way := draw(d)
		if n < len(script) {
			way = script[n]
		}
		id := ids[n%len(ids)]
		number, err := strconv.Atoi(cs.Known[id])
		if err != nil {
			return nil, err
		}
		// A shape that works finds everybody above his number and not at it.
		works, code := true, ""
		for _, at := range []int{number + 1, number} {
			var found bool
			found, code, err = s.ask(ctx, c, way, id, at)
			if errors.Is(err, target.ErrSpent) {
				cs.Say("%d further shapes drawn: %v", n-len(script), codes)
				return nil, err
			}
			if err != nil {
				return nil, err
			}
			works = works && found == (at > number)
		}
		switch {
		case works:
			cs.Say("%s tells: %s", way.words, way.text)
			return &way, nil
		case n < len(script):
			cs.Say("%s: %s", way.words, code)
		default:
			codes[code]++
		}
	}
}

// draw words "below #" in some way.
func draw(d wording.Draw) shape {
	leaf := d.One(`{F: {_lt: #}}`, `{F: {_lt: $n}}`, `{_not: {F: {_gte: #}}}`, `{F: {_lte: #, _neq: #}}`, `{_and: [{F: {_lt: #}}, {_not: {F: {_eq: #}}}]}`,
		`{_or: [{F: {_lt: #}}, {F: {_in: []}}]}`, `{_and: [{F: {_lt: #}}, {F: {_is_null: false}}]}`, `{_not: {_or: [{F: {_gt: #}}, {F: {_eq: #}}]}}`)
	condition := `{_and: [{idNumber: {_eq: "@"}}, ` + d.Around(leaf, 4) + `]}`
	if d.IntN(4) == 0 {
		condition = d.Around(`{idNumber: {_eq: "@"}, _and: [`+leaf+`]}`, 2)
	}
	args := d.One(``, `limit: 1, `, `orderBy: [{idNumber: ASC}], `, `offset: 0, `) + `where: ` + condition
	head := `{ `
	if strings.Contains(args, "$n") {
		head = `query($n: T!) { `
	}
	return shape{"a drawn one", head + d.One(`persons(`+args+`)`, `persons: persons(`+args+`)`) + ` { idNumber }` + d.One(``, ` other: persons(limit: 1) { idNumber }`, ` __typename`) + ` }`}
}

// ask asks whether a person's number is below n. The code is that of a refusal,
// or "answered".
func (s secret) ask(ctx context.Context, c *target.Client, way shape, id string, n int) (found bool, code string, err error) {
	literal, err := json.Marshal(s.value(n))
	if err != nil {
		return false, "", err
	}
	words, kind := []string{"@", id, "#", string(literal), "F:", s.field + ":"}, "String"
	if s.number {
		kind = "Int"
		words = append(words, "_in: L", "_in: "+s.below(n), "_nin: L", "_nin: "+s.below(n))
	} else {
		words = append(words, "_or: S", "_or: "+s.beginnings(n, "_starts_with", ""), "_or: P", "_or: "+s.beginnings(n, "_like", "%"))
	}
	text := strings.NewReplacer(append(words, "$n: T", "$n: "+kind)...).Replace(way.text)
	variables := map[string]any{}
	if strings.Contains(text, "$n") {
		variables["n"] = s.value(n)
	}
	if strings.Contains(text, "$w") {
		variables["w"] = map[string]any{"idNumber": map[string]any{"_eq": id}, s.field: map[string]any{"_lt": s.value(n)}}
	}
	a, err := c.Ask(ctx, "research", text, variables)
	if err != nil {
		return false, "", err
	}
	rows := target.List(a.Data, "persons")
	if rows == nil {
		rows = target.List(a.Data, "page", "persons")
	}
	return len(rows) > 0, strings.Join(append(a.Codes, "answered")[:1], ""), nil
}
