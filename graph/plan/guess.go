package plan

import (
	"slices"

	"github.com/weir-data/weir/schema"
)

// Guess is what one root states of values that its reader may compare and not
// always see: what budgets count, hit or miss.
type Guess struct {
	Path string // of the root
	// Of tells whose key it is: "" for a person's, which is one key in whatever
	// type it is stated, else the type's name.
	Of  string
	Key []Value // the stated key
	N   int     // how many such values, at least 1
}

// guess notes the values that a root states, if there are any. Aliases count
// each, also where they fold into one fetch.
func (b *builder) guess(t *schema.Type, keys []string, stated []Value, path string, n int) {
	if n == 0 {
		return
	}
	g := Guess{Path: path, Of: t.Name, Key: stated, N: n}
	if len(keys) == 1 && t.IsSubject(keys[0]) {
		g.Of = ""
	}
	b.plan.Guesses = append(b.plan.Guesses, g)
}

// guessed is the number of fields of a view of which a statement is a guess: a
// reader who holds them in clear on every row asks for nothing he cannot see.
func (v *view) guessed(fields []string) int {
	return len(slices.DeleteFunc(slices.Clone(fields), func(name string) bool {
		return v.cell(v.typ.Field(name)).always(clearCap)
	}))
}

// guessBy notes the by arguments of a list that count as its key. The types of
// an interface are asked for one value together, which is one guess.
func (b *builder) guessBy(l listing, members []*schema.Type, keyed []string) {
	if len(keyed) == 0 {
		return
	}
	n := 0
	for _, t := range members {
		if v := b.view(t, l.reach(t)); !v.never() {
			n = max(n, v.guessed(keyed))
		}
	}
	stated := make([]Value, len(keyed))
	for i, by := range keyed {
		stated[i] = b.stating(l.nodes[0], by, members[0].Field(by), l.out.Path)
	}
	b.guess(members[0], keyed, stated, l.out.Path, n)
}
