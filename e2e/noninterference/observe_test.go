package noninterference

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
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
					v.facts = append(v.facts, fmt.Sprintf("edge %s#%d %v %s %s#%d", t.name, r.id, p.reach, rel.name, far.name, fr.id))
				}
				if rel.same && held&capClear != 0 && v.enter(place{target, j, reach{}}) {
					v.facts = append(v.facts, fmt.Sprintf("exists %s#%d %s %s#%d", t.name, r.id, rel.name, far.name, fr.id))
				}
			}
		}
	}
}

func (v *observer) write() []byte {
	var b bytes.Buffer
	for i, t := range v.w.types {
		type entry struct {
			id    int
			tie   int64
			order []place
		}
		byRow := map[int][]place{}
		for p := range v.seen {
			if p.t == i {
				byRow[p.at] = append(byRow[p.at], p)
			}
		}
		var visible []entry
		for at, places := range byRow {
			slices.SortFunc(places, func(a, b place) int {
				return strings.Compare(fmt.Sprint(a.reach), fmt.Sprint(b.reach))
			})
			visible = append(visible, entry{v.db[i][at].id, v.db[i][at].tie, places})
		}
		slices.SortFunc(visible, func(a, b entry) int { return int(a.tie - b.tie) })
		for _, e := range visible {
			fmt.Fprintf(&b, "%s#%d", t.name, e.id)
			for _, p := range e.order {
				v.row(&b, t, p)
			}
			b.WriteByte('\n')
		}
	}
	slices.Sort(v.facts)
	for _, f := range slices.Compact(v.facts) {
		b.WriteString(f)
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// row writes what is seen of a row at a place.
func (v *observer) row(b *bytes.Buffer, t *typ, p place) {
	fmt.Fprintf(b, " [%v %d", p.reach, v.at(p, 0))
	for i, c := range v.db[p.t][p.at].cells {
		held := v.at(p, 1+i)
		fmt.Fprintf(b, " %d", held)
		switch {
		case held&capClear != 0:
			b.WriteString(c.String())
		case held&capMask != 0 && t.fields[i].mask != "":
			b.WriteString("~" + v.masks(t.fields[i].mask, v.purpose).shown(c))
		}
	}
	for i := range t.relations {
		fmt.Fprintf(b, " %d", v.at(p, 1+len(t.fields)+i))
	}
	b.WriteString("]")
}
