// Package wording draws ways to put a question: an attacker whose first words
// are refused tries others. Whatever is drawn around a condition leaves its
// meaning as it was. It promises random, repeatable words, and knows nothing of
// what they are good for.
package wording

import (
	"math/rand/v2"
	"strings"
)

// Draw draws from a source. Not safe for concurrent use.
type Draw struct{ *rand.Rand }

// One draws one of some texts.
func (d Draw) One(of ...string) string { return of[d.IntN(len(of))] }

// Around gives a condition, an object of a where argument, with up to so many
// layers around it that do not change what it means for a person.
func (d Draw) Around(condition string, layers int) string {
	for range d.IntN(layers + 1) {
		around := d.One(
			`{_and: [#]}`, `{_or: [#]}`, `{_not: {_not: #}}`, `{_not: {_or: [{_not: #}]}}`, `{_not: {_and: [{_not: #}]}}`,
			`{_and: [#, {idNumber: {_is_null: false}}]}`, `{_or: [#, {district: {_eq: "nowhere"}}]}`, `{_or: [{_or: []}, #]}`,
			`{_and: [{_and: []}, #]}`, `{district: {_neq: "nowhere"}, _and: [#]}`,
		)
		condition = strings.Replace(around, "#", condition, 1)
	}
	return condition
}

// Fields draws a selection of some of the fields of a person, each perhaps more
// than once, under other names, or behind a fragment.
func (d Draw) Fields(of ...string) string {
	var b strings.Builder
	b.WriteString("{ idNumber")
	for n := range 1 + d.IntN(6) {
		name := d.One(of...)
		key := strings.FieldsFunc(name, func(r rune) bool { return r == ' ' || r == '(' })[0] + string(rune('A'+n))
		directed := name + " @include(if: true)"
		if field, selection, ok := strings.Cut(name, " {"); ok {
			directed = field + " @include(if: true) {" + selection
		}
		b.WriteString(" " + d.One(key+": "+name, key+": "+directed, "... on Person { "+key+": "+name+" }", "... { "+key+": "+name+" "+key+"Again: "+name+" }"))
	}
	b.WriteString(" }")
	return b.String()
}

// Order draws an orderBy argument over some fields.
func (d Draw) Order(of ...string) string {
	var keys []string
	for range 1 + d.IntN(3) {
		keys = append(keys, "{"+d.One(of...)+": "+d.One("ASC", "DESC", "ASC_NULLS_FIRST", "DESC_NULLS_FIRST")+"}")
	}
	return "[" + strings.Join(keys, ", ") + "]"
}
