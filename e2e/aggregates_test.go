package e2e

import (
	"slices"
	"strings"

	"github.com/weir-data/weir/schema"
)

// sums are the aggregate roots, among those named, of types with numbers.
func (g *generator) sums(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		root := g.c.Roots[name]
		return root.Kind != schema.RootAggregate || slices.Contains(g.role.Closed, root.Type) || !slices.ContainsFunc(g.usable(root.Type), (*schema.Field).Summable)
	})
}

// aggregate gives a selection on the groups of a type, of fields that the role
// sees in clear: what it sees otherwise is not exact, and nothing to compare.
func (g *generator) aggregate(typeName string) string {
	usable := slices.DeleteFunc(slices.Clone(g.usable(typeName)), func(f *schema.Field) bool { return f.Relation != nil })
	part := func(name string, most int, has func(*schema.Field) bool) string {
		fields := slices.DeleteFunc(slices.Clone(usable), func(f *schema.Field) bool { return !has(f) })
		if len(fields) == 0 {
			return ""
		}
		var b strings.Builder
		b.WriteString(" " + name + g.directive() + " {")
		for range 1 + g.r.IntN(most) {
			f := fields[g.r.IntN(len(fields))]
			if g.chance(20) && !g.full() {
				b.WriteString(" " + g.alias() + ": " + f.Name + g.directive())
			} else {
				b.WriteString(" " + f.Name)
			}
		}
		if g.chance(10) {
			b.WriteString(" __typename")
		}
		return b.String() + " }"
	}
	var b strings.Builder
	if g.chance(70) {
		b.WriteString(part("group", 2, (*schema.Field).Groupable))
	}
	b.WriteString(" count")
	for _, name := range [...]string{"sum", "avg"} {
		if g.chance(50) {
			b.WriteString(part(name, 3, (*schema.Field).Summable))
		}
	}
	for _, name := range [...]string{"min", "max"} {
		if g.chance(50) {
			b.WriteString(part(name, 3, (*schema.Field).Extremal))
		}
	}
	if g.chance(15) && !g.full() {
		// More groups, under another name and through a fragment.
		b.WriteString(" ... on " + typeName + schema.AggregateSuffix + g.directive() + " {" +
			strings.Replace(part("group", 1, (*schema.Field).Groupable), " group", " "+g.alias()+": group", 1) + " __typename }")
	}
	return " {" + b.String() + " }"
}
