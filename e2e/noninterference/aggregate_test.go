package noninterference

import (
	"strings"

	"github.com/weir-data/weir/schema"
)

// aggregate draws an aggregate root that must be exact: over rows and fields that
// the reader holds in clear throughout. What is held as aggregate alone has its
// own bar, which is no equality of bytes. "" when there is no such type.
func (a *asker) aggregate() string {
	const rows = capAggregate | capMask | capClear
	var open []*typ
	for _, t := range a.ss.w.types {
		if a.o.possibleOf(t, 0, false, rows).decision() == "clear" {
			open = append(open, t)
		}
	}
	if len(open) == 0 {
		return ""
	}
	t := pick(a.s, open...)
	part := func(name string, fits func(*field) bool) string {
		var names []string
		for i, f := range t.fields {
			if fits(f) && a.o.possibleOf(t, 1+i, false, rows).decision() == "clear" && a.s.chance(60) {
				names = append(names, f.name)
			}
		}
		if len(names) == 0 {
			return ""
		}
		a.hit(name, "aggregate", "clear")
		return " " + name + " { " + strings.Join(names, " ") + " }"
	}
	groupable := func(f *field) bool { return !f.list && f.kind != schema.JSON }
	extremal := func(f *field) bool { return groupable(f) && f.kind != schema.Boolean }
	summable := func(f *field) bool {
		return !f.list && (f.kind == schema.Int || f.kind == schema.BigInt || f.kind == schema.Decimal || f.kind == schema.Float)
	}
	out := "count"
	a.hit("count", "aggregate", "clear")
	if a.s.chance(50) {
		out += part("group", groupable)
	}
	for _, p := range []struct {
		name string
		fits func(*field) bool
	}{{"sum", summable}, {"avg", summable}, {"min", extremal}, {"max", extremal}} {
		if a.s.chance(60) {
			out += part(p.name, p.fits)
		}
	}
	arguments := ""
	a.exact, a.lawful = true, true
	if a.s.chance(50) {
		if c := a.where(t, nil, reach{}, 2); c != nil {
			arguments = "(where: " + a.condition(c, t, nil) + ")"
		}
	}
	a.exact = false
	return a.name("a") + ": " + t.plural() + "Aggregate" + arguments + " { " + out + " }"
}
