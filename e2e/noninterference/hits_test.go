package noninterference

import (
	"strings"
	"testing"
)

// TestHits draws scripts without running them, and sees to it that they reach
// every place at which something could leak: each operator in each position on
// fields of each decision, orders, relations, keys. TestNonInterference prints
// the same table of what was compared.
func TestHits(t *testing.T) {
	t.Parallel()
	const worlds = 3_000
	rig := &rig{ring: newRing(t)}
	missing := map[hit]bool{}
	for _, h := range wanted() {
		missing[h] = true
	}
	drawn := 0
	for number := uint64(0); number < worlds && len(missing) > 0; number++ {
		w := newWorld(seed(), number)
		for n := range uint64(sessionsPerWorld) {
			ss := rig.draw(w, n, 0)
			for _, st := range ss.steps {
				drawn++
				for _, h := range st.hits {
					for p := range strings.SplitSeq(h.position, "+") {
						delete(missing, hit{h.operator, p, h.decision})
					}
				}
			}
		}
	}
	for h := range missing {
		t.Errorf("never drawn: %s at %s on a field that is %s", h.operator, h.position, h.decision)
	}
	t.Logf("all but %d of %d places were drawn within %d requests", len(missing), len(wanted()), drawn)
}

// wanted lists the places that must be reached.
func wanted() []hit {
	var out []hit
	add := func(operators, positions, decisions []string) {
		for _, o := range operators {
			for _, p := range positions {
				for _, d := range decisions {
					out = append(out, hit{o, p, d})
				}
			}
		}
	}
	all := decisions()
	add([]string{"_eq", "_neq", "_in", "_nin", "_gt", "_gte", "_lt", "_lte", "_like", "_starts_with", "_is_null", "_contains"},
		[]string{"top", "and", "or", "not", "exists"}, all)
	add([]string{"exists"}, []string{"top", "and", "or", "not", "exists"}, all)
	add([]string{"orderBy ASC", "orderBy DESC", "orderBy ASC_NULLS_FIRST", "orderBy DESC_NULLS_FIRST"}, []string{"list"}, all)
	add([]string{"select", "to-one", "to-many"}, []string{"rows", "rows by key", "rows by key, carried"}, all)
	add([]string{"to-interface"}, []string{"rows", "rows by key, carried"}, all)
	add([]string{"page", "interface"}, []string{"root"}, all)
	add([]string{"totalCount"}, []string{"page"}, all)
	add([]string{"by argument"}, []string{"interface"}, []string{"clear", "masked", "withheld"})
	add([]string{"key argument"}, []string{"root"}, []string{"match", "match on some", "no match"})
	add([]string{"expect"}, []string{"match"}, []string{"match", "match on some", "no match"})
	add([]string{"count", "group", "sum", "avg", "min", "max"}, []string{"aggregate"}, []string{"clear"})
	return out
}
