package noninterference

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
)

// place is a row as one way reaches it.
type place struct {
	t     int
	at    int // in the table
	reach reach
}

// observe writes down all that the reader may learn of a database in a session
// that states these keys: two databases with equal observations are alike. That
// is, for the rows that exist for him: their order, what he holds on each
// coordinate, clear cells, masks' outputs, and the edges that he may walk or
// ask the existence of.
func (o *oracle) observe(db database, keys []stated, asked []verification) []byte {
	v := &observer{oracle: o, db: db, seen: map[place]bool{}}
	for i, t := range o.w.types {
		v.truths = append(v.truths, make([]truths, len(db[i])))
		for j, r := range db[i] {
			v.truths[i][j] = o.truths(db, t, r)
			v.enter(place{i, j, reach{}})
		}
	}
	for i := range keys {
		v.state(&keys[i])
	}
	for i := range asked {
		v.facts = append(v.facts, fmt.Sprintf("match %d %v", i, v.holds(&asked[i])))
	}
	for len(v.queue) > 0 {
		p := v.queue[0]
		v.queue = v.queue[1:]
		v.walk(p)
	}
	return v.write()
}

type observer struct {
	*oracle
	db     database
	truths [][]truths
	seen   map[place]bool
	queue  []place
	facts  []string
}

// enter adds a place if its row exists for the reader there.
func (v *observer) enter(p place) bool {
	if v.seen[p] {
		return true
	}
	if v.at(p, 0)&(capMask|capClear) == 0 {
		return false
	}
	v.seen[p] = true
	v.queue = append(v.queue, p)
	return true
}

// at gives what is held on a coordinate at a place.
func (v *observer) at(p place, coordinate int) caps {
	return v.held(v.w.types[p.t], coordinate, v.truths[p.t][p.at], p.reach.byKey)
}

// state enters the rows that a stated key leads to.
func (v *observer) state(st *stated) {
	for j, r := range v.db[st.t.index] {
		p := place{st.t.index, j, st.reach()}
		equal := true
		for i, f := range st.fields {
			equal = equal && v.at(p, 1+f)&(capMatch|capClear) != 0 &&
				!r.cells[f].null && !r.cells[f].bad && compare(st.t.fields[f].kind, r.cells[f].text, st.values[i]) == 0
		}
		if equal && v.enter(p) {
			v.facts = append(v.facts, fmt.Sprintf("key %s %v #%d", st.t.name, st.values, r.id))
		}
	}
}

// walk follows the relations of a place.
func (v *observer) walk(p place) {
	t := v.w.types[p.t]
	r := v.db[p.t][p.at]
	for i, rel := range t.relations {
		held := v.at(p, 1+len(t.fields)+i)
		if held&(capMask|capClear) == 0 {
			continue
		}
		near, _ := t.field(rel.near)
		if r.cells[near].null {
			continue
		}
		for _, target := range rel.targets {
			far := v.w.types[target]
			on := v.onward(p.reach, rel, far)
			at, _ := far.field(rel.far)
			for j, fr := range v.db[target] {
				if !joins(r.cells[near], fr.cells[at]) {
					continue
				}
				if v.enter(place{target, j, on}) {
					v.facts = append(v.facts, v.edge("edge", p, rel, place{target, j, on}))
				}
				if rel.same && held&capClear != 0 && v.enter(place{target, j, reach{}}) {
					v.facts = append(v.facts, v.edge("exists", place{p.t, p.at, reach{}}, rel, place{target, j, reach{}}))
				}
			}
		}
	}
}

// edge writes a fact about two rows.
func (v *observer) edge(what string, p place, rel *relation, far place) string {
	b := make([]byte, 0, 64)
	for _, end := range [...]place{p, far} {
		b = append(append(append(b, what...), ' '), v.w.types[end.t].name...)
		b = strconv.AppendInt(append(b, '#'), int64(v.db[end.t][end.at].id), 10)
		b = end.reach.append(append(b, ' '))
		what = " " + rel.name
	}
	return string(b)
}

// write puts the observation into bytes. It is the inner loop of redraw, so it
// appends and formats nothing.
func (v *observer) write() []byte {
	b := make([]byte, 0, 4<<10)
	var places []place
	for i, t := range v.w.types {
		places = places[:0]
		for p := range v.seen {
			if p.t == i {
				places = append(places, p)
			}
		}
		slices.SortFunc(places, func(p, q place) int {
			return cmp.Or(cmp.Compare(v.db[i][p.at].tie, v.db[i][q.at].tie), p.reach.compare(q.reach))
		})
		last := -1
		for _, p := range places {
			if p.at != last {
				b = append(append(b, '\n'), t.name...)
				b = strconv.AppendInt(append(b, '#'), int64(v.db[i][p.at].id), 10)
				last = p.at
			}
			b = v.row(b, t, p)
		}
		b = append(b, '\n')
	}
	slices.Sort(v.facts)
	for _, f := range slices.Compact(v.facts) {
		b = append(append(b, f...), '\n')
	}
	return b
}

// row writes what is seen of a row at a place.
func (v *observer) row(b []byte, t *typ, p place) []byte {
	held := func(c int) caps {
		h := v.at(p, c)
		b = append(b, ' ', '0'+byte(h))
		return h
	}
	b = p.reach.append(append(b, ' ', '['))
	held(0)
	for i, c := range v.db[p.t][p.at].cells {
		switch h := held(1 + i); {
		case h&capClear != 0:
			b = c.append(b)
		case h&capMask != 0 && t.fields[i].mask != "":
			b = append(append(b, '~'), v.mask(t.fields[i].mask).shown(c)...)
		}
	}
	for i := range t.relations {
		held(1 + len(t.fields) + i)
	}
	return append(b, ']')
}
