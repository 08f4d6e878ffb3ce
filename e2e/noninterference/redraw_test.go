package noninterference

import (
	"fmt"
	"slices"
	"strings"

	"github.com/weir-data/weir/schema"
)

// newDatabase draws rows.
func (w *world) newDatabase(s source) database {
	db := make(database, len(w.types))
	for i, t := range w.types {
		for id := range 2 + s.IntN(6) {
			if r := w.newRow(s, db, t, id); r != nil {
				db[i] = append(db[i], r)
			}
		}
	}
	// Foreign keys mostly lead somewhere, or two hops on would nothing be found.
	for i, t := range w.types {
		for _, r := range db[i] {
			for at, f := range t.fields {
				if f.values == nil || r.cells[at].null || !s.chance(60) {
					continue
				}
				if c, ok := joining(s, w, t, f, db); ok {
					r.cells[at] = c
				}
			}
		}
	}
	return db
}

// newRow draws a row whose key and tie-break no other has; nil when it finds
// none.
func (w *world) newRow(s source, db database, t *typ, id int) *row {
	for range 10 {
		r := &row{id: id, tie: newTie(s)}
		for _, f := range t.fields {
			r.cells = append(r.cells, w.newCell(s, t, f))
		}
		if unique(db, t, r) {
			return r
		}
	}
	return nil
}

// newTie spreads over many lengths of text.
func newTie(s source) int64 { return s.Int64N(pick(s, int64(100), 10_000, 1<<40)) - 20 }

func (w *world) newCell(s source, t *typ, f *field) cell {
	key := slices.ContainsFunc(t.keys, func(k int) bool { return t.fields[k] == f })
	if !key && s.chance(18) {
		return cell{null: true}
	}
	if f.name == "note" && s.chance(40) {
		return cell{text: pick(s, "north", "south")}
	}
	return cell{text: pick(s, t.domain(f)...)}
}

// unique reports whether the row may stand in its table: a key without NULL and
// a tie-break that no other row has.
func unique(db database, t *typ, r *row) bool {
	for _, k := range t.keys {
		if r.cells[k].null {
			return false
		}
	}
	for _, other := range db[t.index] {
		if other.id == r.id {
			continue
		}
		same := true
		for _, k := range t.keys {
			same = same && compare(t.fields[k].kind, other.cells[k].text, r.cells[k].text) == 0
		}
		if same || other.tie == r.tie {
			return false
		}
	}
	return true
}

// longestKey is how long a key may be, in bytes, for its handle to have the
// length of every other.
const longestKey = 48

// change is one redrawn thing: a row put in the place of another (or of none),
// or removed.
type change struct {
	t    int
	id   int
	to   *row // nil: removed
	what string
}

func (c change) apply(w *world, db database) (database, bool) {
	out := db.clone()
	rows := out[c.t]
	at := slices.IndexFunc(rows, func(r *row) bool { return r.id == c.id })
	switch {
	case c.to == nil && at < 0:
		return nil, false
	case c.to == nil:
		out[c.t] = slices.Delete(rows, at, at+1)
	case !unique(out, w.types[c.t], c.to):
		return nil, false
	case at >= 0:
		rows[at] = c.to
	default:
		out[c.t] = append(rows, c.to)
	}
	return out, true
}

// redraw makes a database that is alike for the session: it draws changes and
// keeps those after which the oracles still observe the same.
func (ss *session) redraw(s source, first database, attempts int) (database, []change) {
	w := ss.w
	if attempts == 0 {
		return first, nil
	}
	before := ss.observe(first)
	second := first
	var kept []change
	next := 100
	try := func(c change) {
		if changed, ok := c.apply(w, second); ok && ss.alike(before, changed) {
			second = changed
			kept = append(kept, c)
		}
	}
	for range attempts {
		t := pick(s, w.types...)
		rows := second[t.index]
		var c change
		switch n := s.IntN(20); {
		case n == 0 && len(rows) > 0:
			r := pick(s, rows...)
			c = change{t.index, r.id, nil, fmt.Sprintf("%s#%d removed", t.name, r.id)}
		case n <= 2:
			r := w.newRow(s, second, t, next)
			if r == nil {
				continue
			}
			next++
			c = change{t.index, r.id, r, fmt.Sprintf("%s#%d added: %s", t.name, r.id, t.show(r))}
		case len(rows) == 0:
			continue
		case n <= 4:
			r := pick(s, rows...).clone()
			r.tie = newTie(s)
			c = change{t.index, r.id, r, fmt.Sprintf("%s#%d row_no = %d", t.name, r.id, r.tie)}
		case n <= 7: // a whole column
			i := s.IntN(len(t.fields))
			if len(t.relations) > 0 && s.chance(65) {
				i, _ = t.field(pick(s, t.relations...).near)
			}
			to := cell{null: true}
			if s.chance(30) {
				to = w.newCell(s, t, t.fields[i])
			}
			for _, old := range rows {
				if r := old.clone(); r.cells[i] != to && !slices.Contains(t.keys, i) {
					r.cells[i] = to
					try(change{t.index, r.id, r, fmt.Sprintf("%s#%d.%s: %s -> %s", t.name, r.id, t.fields[i].name, old.cells[i], to)})
				}
			}
			continue
		default:
			r, i := pick(s, rows...), s.IntN(len(t.fields))
			if s.chance(25) {
				if asked, of, field := ss.pickAsked(s, second); asked != nil {
					t, r, i = of, asked, field
				}
			}
			r = r.clone()
			was := r.cells[i]
			r.cells[i] = ss.otherCell(s, t, i, was, second)
			// That a key is very long shows in the length of its handle, as
			// docs/threat-model.md says: left out here.
			if r.cells[i] == was || slices.Contains(t.keys, i) && len(r.cells[i].text) > longestKey {
				continue
			}
			c = change{t.index, r.id, r, fmt.Sprintf("%s#%d.%s: %s -> %s", t.name, r.id, t.fields[i].name, was, r.cells[i])}
		}
		try(c)
	}
	return second, kept
}

// pickAsked draws a cell that the session verifies, with its row and type: what
// a comparison tells of one is told there alone. The row is nil when the key of
// the verification leads to none.
func (ss *session) pickAsked(s source, db database) (*row, *typ, int) {
	if len(ss.asked) == 0 {
		return nil, nil, 0
	}
	q := pick(s, ss.asked...)
	r, field := q.key.row(db), pick(s, q.fields...)
	return r, q.key.t, field
}

// otherCell draws what a protected cell may become: biased to NULLs, extremes,
// what masks make, equal values, and what joins or the session name.
func (ss *session) otherCell(s source, t *typ, i int, was cell, db database) cell {
	f := t.fields[i]
	domain := t.domain(f)
	if s.chance(15) {
		if c, ok := joining(s, ss.w, t, f, db); ok {
			return c
		}
	}
	if ss.loose && s.chance(6) && ss.w.mayBeBad(t, i) {
		return cell{bad: true}
	}
	switch s.IntN(8) {
	case 0:
		return cell{null: true}
	case 1:
		if rows := db[t.index]; len(rows) > 0 {
			return pick(s, rows...).cells[i]
		}
	case 2:
		for _, st := range ss.stated {
			for n, k := range st.fields {
				if st.t == t && k == i {
					return cell{text: st.values[n]}
				}
			}
		}
	case 3:
		if f.kind == schema.String && !f.list {
			return cell{text: pick(s, append(append(persons(), keyPool(f.kind)...), pool(f.kind)...)...)}
		}
	case 4:
		if !was.null && !was.bad {
			return near(s, f, was)
		}
	case 5:
		return cell{text: domain[pick(s, 0, len(domain)-1)]}
	}
	return cell{text: pick(s, domain...)}
}

// joining draws a value by which a relation from a field finds a row.
func joining(s source, w *world, t *typ, f *field, db database) (cell, bool) {
	for _, r := range t.relations {
		if r.near != f.name {
			continue
		}
		far := pick(s, r.targets...)
		at, _ := w.types[far].field(r.far)
		if rows := db[far]; len(rows) > 0 {
			if c := pick(s, rows...).cells[at]; !c.null && !c.bad {
				return c, true
			}
		}
	}
	return cell{}, false
}

// mayBeBad: where the oracle compares nothing. What a comparison makes of a
// value of another kind is the engine's affair.
func (w *world) mayBeBad(t *typ, i int) bool {
	f := t.fields[i]
	if f.subject || w.scoped[f] || slices.Contains(t.keys, i) {
		return false
	}
	for _, other := range w.types {
		for _, r := range other.relations {
			if other == t && r.near == f.name || slices.Contains(r.targets, t.index) && r.far == f.name {
				return false
			}
		}
	}
	return true
}

// near changes a value a little, so that masks that keep a part of it give the
// same.
func near(s source, f *field, was cell) cell {
	switch {
	case f.list:
	case f.kind == schema.String || f.kind == schema.ID:
		runes := []rune(was.text)
		if len(runes) > 1 {
			at := 1 + s.IntN(len(runes)-1)
			runes = slices.Insert(runes, at, []rune(pick(s, "x", "三", strings.Repeat("y", 70)))...)
		} else {
			runes = append(runes, []rune(pick(s, "bc", "三", "xxxxx"))...)
		}
		return cell{text: string(runes)}
	case f.kind == schema.Date:
		return cell{text: was.text[:8] + pick(s, "01", "17", "28")}
	case f.kind == schema.DateTime:
		return cell{text: was.text[:8] + pick(s, "01T00:00:00Z", "17T09:30:00Z", "28T23:59:59Z")}
	case f.kind == schema.Int || f.kind == schema.BigInt:
		if n := len(was.text); n > 1 {
			return cell{text: was.text[:n-1] + pick(s, "1", "5", "7")}
		}
	}
	return was
}

func (t *typ) show(r *row) string {
	var parts []string
	for i, f := range t.fields {
		parts = append(parts, f.name+"="+r.cells[i].String())
	}
	return strings.Join(append(parts, fmt.Sprintf("row_no=%d", r.tie)), " ")
}
