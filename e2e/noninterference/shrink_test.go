package noninterference

import (
	"fmt"
	"strings"
)

// explain prints a reproduction with as few redrawn things and requests as it
// takes.
func (st *stage) explain(ss *session, found *difference) string {
	var b strings.Builder
	small, steps, d := st.shrink(ss, found)
	fmt.Fprintf(&b, "an answer depends on what its reader may not see.\n\nschema:\n%s\npolicy 0:\n%s\n", ss.w.sdl(), ss.w.policies[0].text())
	if len(ss.oracles) > 1 {
		fmt.Fprintf(&b, "policy 1:\n%s\n", ss.w.policies[1].text())
	}
	fmt.Fprintf(&b, "purposes required from %s, hidden from %s\nrows:\n", levelNames[ss.w.purposeFrom], levelNames[ss.w.hideFrom])
	for i, t := range ss.w.types {
		for _, r := range ss.first[i] {
			fmt.Fprintf(&b, "  %s#%d %s\n", t.name, r.id, t.show(r))
		}
	}
	b.WriteString("redrawn:\n")
	for _, c := range small {
		fmt.Fprintf(&b, "  %s\n", c.what)
	}
	b.WriteString("requests:\n")
	for i := range steps {
		fmt.Fprintf(&b, "  %d %s\n", i, steps[i].describe())
	}
	fmt.Fprintf(&b, "first:  %d\n%s\n%s\nsecond: %d\n%s\n%s\n", d.a.status, d.a.headers, d.a.body, d.b.status, d.b.headers, d.b.body)
	return b.String()
}

// shrink leaves out redrawn things and requests while the answers still differ.
func (st *stage) shrink(ss *session, found *difference) ([]change, []step, *difference) {
	changes, steps := ss.changes, ss.steps[:found.step+1]
	before := ss.observe(ss.first)
	attempt := func(cs []change, sts []step) *difference {
		db := ss.first
		for _, c := range cs {
			next, ok := c.apply(ss.w, db)
			if !ok {
				return nil
			}
			db = next
		}
		if !ss.alike(before, db) || st.fresh(0) != nil || st.fresh(1) != nil {
			return nil
		}
		again := *ss
		again.steps = sts
		d, err := st.run(&again, db, nil)
		if err != nil {
			return nil
		}
		return d
	}
	if attempt(changes, steps) == nil {
		return changes, steps, found // it needs what came before
	}
	for i := len(changes) - 1; i >= 0; i-- {
		fewer := append(append([]change(nil), changes[:i]...), changes[i+1:]...)
		if d := attempt(fewer, steps); d != nil {
			changes, found = fewer, d
		}
	}
	for i := len(steps) - 2; i >= 0; i-- {
		if handedOn(steps, i) {
			continue
		}
		fewer := append(append([]step(nil), steps[:i]...), renumbered(steps[i+1:], i)...)
		if d := attempt(changes, fewer); d != nil {
			steps, found = fewer, d
		}
	}
	return changes, steps, found
}

// handedOn reports whether a later step uses what step i was answered.
func handedOn(steps []step, i int) bool {
	for _, st := range steps[i+1:] {
		for _, v := range st.vars {
			if h, ok := v.(handed); ok && h.step == i {
				return true
			}
		}
	}
	return false
}

// renumbered moves references behind a removed step.
func renumbered(steps []step, removed int) []step {
	out := make([]step, len(steps))
	for n, st := range steps {
		vars := map[string]any{}
		for k, v := range st.vars {
			if h, ok := v.(handed); ok && h.step > removed {
				h.step--
				v = h
			}
			vars[k] = v
		}
		st.vars = vars
		out[n] = st
	}
	return out
}
