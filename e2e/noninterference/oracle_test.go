package noninterference

import (
	"cmp"
	"slices"
	"strconv"
)

// Capabilities, by the words of the design: clear implies the others.
type caps uint8

const (
	capMatch caps = 1 << iota
	capAggregate
	capMask
	capClear

	capAll = capMatch | capAggregate | capMask | capClear
)

func granted(access string) caps {
	switch access {
	case "match":
		return capMatch
	case "aggregate":
		return capAggregate
	case "mask":
		return capMask
	case "clear":
		return capAll
	}
	panic("no such access: " + access)
}

// removed is what a deny takes: the capability and all that imply it.
func removed(access string) caps {
	switch access {
	case "any", "clear":
		if access == "any" {
			return capAll
		}
		// Clear's closure is what it grants; a deny of clear removes clear alone.
		return capClear
	}
	return granted(access) | capClear
}

// clause is a rule that reaches a coordinate for a reader and a purpose.
type clause struct {
	scope string // all, by_key, self, or a declared one
	caps  caps
	deny  bool
}

// coordinate of a type: 0 is the row, then fields, then relations.
func (t *typ) coordinates() int { return 1 + len(t.fields) + len(t.relations) }

func (t *typ) coordinateName(i int) string {
	switch {
	case i == 0:
		return ""
	case i <= len(t.fields):
		return t.fields[i-1].name
	default:
		return t.relations[i-1-len(t.fields)].name
	}
}

func (t *typ) coordinateLevel(i int) int {
	switch {
	case i == 0:
		return t.level
	case i <= len(t.fields):
		return t.fields[i-1].level
	default:
		return t.relations[i-1-len(t.fields)].level
	}
}

// oracle says what one reader may see under one policy and purpose: the
// reference that the answers are held against. It knows rules and rows, and
// nothing of plans or tables.
type oracle struct {
	w       *world
	reader  *reader
	purpose string
	clauses [][][]clause // by type, coordinate
	masks   func(spec, purpose string) maskRule
	bound   map[string]maskRule // by spec, for the purpose
}

// mask gives a rule bound for the purpose.
func (o *oracle) mask(spec string) maskRule {
	rule, ok := o.bound[spec]
	if !ok {
		rule = o.masks(spec, o.purpose)
		o.bound[spec] = rule
	}
	return rule
}

func newOracle(w *world, p *policy, rd *reader, purpose string, masks func(spec, purpose string) maskRule) *oracle {
	o := &oracle{w: w, reader: rd, purpose: purpose, masks: masks, bound: map[string]maskRule{}}
	roles := map[string]bool{}
	var walk func(string)
	walk = func(r string) {
		if roles[r] {
			return
		}
		roles[r] = true
		for _, g := range p.inherits {
			if g[0] == r {
				walk(g[1])
			}
		}
	}
	for _, r := range rd.roles {
		walk(r)
	}
	for _, t := range w.types {
		all := make([][]clause, t.coordinates())
		for i := range all {
			for _, r := range p.rules {
				if roles[r.role] {
					all[i] = o.reaching(all[i], t, i, &r)
				}
			}
		}
		o.clauses = append(o.clauses, all)
	}
	return o
}

// reaching adds the clause that a rule is on a coordinate.
func (o *oracle) reaching(to []clause, t *typ, coordinate int, r *rule) []clause {
	name, level := t.coordinateName(coordinate), t.coordinateLevel(coordinate)
	if r.dept != "*" && r.dept != t.dept {
		return to
	}
	switch r.resource {
	case "*", t.name + ".*":
	case t.name + "._row":
		if name != "" {
			return to
		}
	default:
		if name == "" || r.resource != t.name+"."+name {
			return to
		}
	}
	deny := r.effect == "deny"
	c := clause{scope: r.scope, deny: deny}
	if deny {
		if level < r.level {
			return to
		}
		c.caps = removed(r.access)
	} else {
		if level > r.level || r.purpose != "*" && r.purpose != o.purpose || o.purpose == "" && level >= o.w.purposeFrom {
			return to
		}
		switch {
		case t.sharing == 2 && r.scope != "self" && o.reader.department != t.dept,
			t.sharing == 1 && level > 0 && r.dept != t.dept:
			return to
		}
		c.caps = granted(r.access)
	}
	if r.scope == "own_department" {
		// Unknown without a department: false in an allow, true in a deny.
		if o.reader.department == t.dept || o.reader.department == "" && deny {
			c.scope = "all"
		} else {
			return to
		}
	}
	return append(to, c)
}

// truths are the scopes of a row.
type truths struct {
	declared []truth // by the type's scopes
	subjects []truth // by the type's fields: the subject in it is the reader
}

func (o *oracle) truths(db database, t *typ, r *row) truths {
	var out truths
	for _, s := range t.scopes {
		missing := false
		s.where.leaves(func(c *cond) {
			missing = missing || c.subject != "" && o.reader.attributes[c.subject] == ""
		})
		if missing {
			out.declared = append(out.declared, isUnknown)
			continue
		}
		out.declared = append(out.declared, s.where.eval(o.w, db, t, r, o.reader.attributes))
	}
	id := o.reader.attributes["id"]
	for i, f := range t.fields {
		of := isFalse
		switch {
		case !f.subject:
		case id == "" || r.cells[i].null:
			of = isUnknown
		default:
			of = truthOf(r.cells[i].text == id)
		}
		out.subjects = append(out.subjects, of)
	}
	return out
}

// held gives what the reader holds on a coordinate of a row.
func (o *oracle) held(t *typ, coordinate int, tr truths, byKey bool) caps {
	var allowed, denied caps
	for _, c := range o.clauses[t.index][coordinate] {
		switch {
		case c.deny && o.scope(t, coordinate, c.scope, tr, byKey) != isFalse:
			denied |= c.caps
		case !c.deny && o.scope(t, coordinate, c.scope, tr, byKey) == isTrue:
			allowed |= c.caps
		}
	}
	return allowed &^ denied
}

func (o *oracle) scope(t *typ, coordinate int, name string, tr truths, byKey bool) truth {
	switch name {
	case "all":
		return isTrue
	case "by_key":
		return truthOf(byKey)
	case "self":
		out := isFalse
		for _, i := range t.covering(t.coordinateName(coordinate)) {
			switch tr.subjects[i] {
			case isTrue:
				return isTrue
			case isUnknown:
				out = isUnknown
			case isFalse:
			}
		}
		return out
	}
	for i, s := range t.scopes {
		if s.name == name {
			return tr.declared[i]
		}
	}
	return isUnknown // no such scope on this type
}

// possible tells what rows that exist for the reader can give on a coordinate,
// over all truths that scopes could have: what a plan may count on.
type possible struct {
	clear, mask, none bool // some row gives it at best
	match, lacksMatch bool
}

func (o *oracle) possible(t *typ, coordinate int, byKey bool) possible {
	return o.possibleOf(t, coordinate, byKey, capMask|capClear)
}

// possibleOf is possible over the rows on which one of some capabilities is
// held.
func (o *oracle) possibleOf(t *typ, coordinate int, byKey bool, rows caps) possible {
	type variable struct{ declared, subject int }
	var vars []variable
	add := func(v variable) {
		if !slices.Contains(vars, v) {
			vars = append(vars, v)
		}
	}
	for _, at := range []int{0, coordinate} {
		for _, c := range o.clauses[t.index][at] {
			if c.scope == "self" {
				for _, i := range t.covering(t.coordinateName(at)) {
					add(variable{-1, i})
				}
			}
			for i, s := range t.scopes {
				if s.name == c.scope {
					add(variable{i, -1})
				}
			}
		}
	}
	tr := truths{declared: make([]truth, len(t.scopes)), subjects: make([]truth, len(t.fields))}
	var out possible
	var walk func(int)
	walk = func(n int) {
		if n < len(vars) {
			for v := isFalse; v <= isUnknown; v++ {
				if vars[n].declared >= 0 {
					tr.declared[vars[n].declared] = v
				} else {
					tr.subjects[vars[n].subject] = v
				}
				walk(n + 1)
			}
			return
		}
		if o.held(t, 0, tr, byKey)&rows == 0 {
			return
		}
		h := o.held(t, coordinate, tr, byKey)
		switch {
		case h&capClear != 0:
			out.clear = true
		case h&capMask != 0 && o.maskable(t, coordinate):
			out.mask = true
		default:
			out.none = true
		}
		if h&(capMatch|capClear) != 0 {
			out.match = true
		} else {
			out.lacksMatch = true
		}
	}
	if len(vars) > 5 {
		return possible{clear: true, mask: true, none: true, match: true, lacksMatch: true}
	}
	walk(0)
	return out
}

// maskable: rows and relations need no mask.
func (o *oracle) maskable(t *typ, coordinate int) bool {
	if coordinate == 0 || coordinate > len(t.fields) {
		return true
	}
	return t.fields[coordinate-1].mask != ""
}

// decision names what a coordinate can be, for the table of hits.
func (p possible) decision() string {
	switch {
	case p.clear && !p.mask && !p.none:
		return "clear"
	case p.clear:
		return "partly"
	case p.mask:
		return "masked"
	default:
		return "withheld"
	}
}

// matching says the same of stating a value.
func (p possible) matching() string {
	switch {
	case !p.match:
		return "no match"
	case p.lacksMatch:
		return "match on some"
	}
	return "match"
}

// maskRule is a mask bound for a purpose.
type maskRule struct {
	apply func(text string) (string, bool)
	null  bool // SQL NULL stays null
}

// shown is what a mask makes of a cell.
func (m maskRule) shown(c cell) string {
	if c.null || c.bad {
		if m.null {
			return "null"
		}
		c.text = ""
	}
	out, ok := m.apply(c.text)
	if !ok {
		return "null"
	}
	return quote(out)
}

// reach is what the way to a row says: whether a key was stated, which subject
// field carries it on, and whether the one hop to a carriesKey is left.
type reach struct {
	byKey   bool
	carried string
	hop     bool
}

func (r reach) append(b []byte) []byte {
	return append(append(strconv.AppendBool(b, r.byKey), r.carried...), [...]byte{'.', '!'}[truthOf(r.hop)])
}

func (r reach) compare(other reach) int {
	return cmp.Or(cmp.Compare(truthOf(r.byKey), truthOf(other.byKey)), cmp.Compare(truthOf(r.hop), truthOf(other.hop)), cmp.Compare(r.carried, other.carried))
}

// onward is the reach of a relation's far rows. From the subject field that
// carries the key to a subject field; or one to-one hop marked carriesKey.
func (o *oracle) onward(from reach, r *relation, far *typ) reach {
	switch {
	case !from.byKey:
		return reach{}
	case from.carried == r.near && far.isSubject(r.far):
		return reach{byKey: true, carried: r.far, hop: from.hop}
	case r.carries && !r.many && from.hop:
		return reach{byKey: true}
	}
	return reach{}
}

// stated is a key that the session states.
type stated struct {
	t      *typ
	fields []int // all of the key, or the interface's by field
	values []string
}

func (st *stated) reach() reach {
	out := reach{byKey: true, hop: true}
	var subjects []string
	for _, f := range st.fields {
		if st.t.fields[f].subject {
			subjects = append(subjects, st.t.fields[f].name)
		}
	}
	if len(subjects) == 1 {
		out.carried = subjects[0]
	}
	return out
}

// verification is what a session asks of …Match: a key, and values expected.
type verification struct {
	key    stated
	fields []int
	values []string
}

// holds is the answer: one row has the key and all values, in cells that the
// reader may compare.
func (v *observer) holds(q *verification) bool {
	t := q.key.t
	equal := func(p place, fields []int, values []string) bool {
		for i, f := range fields {
			c := v.db[p.t][p.at].cells[f]
			if v.at(p, 1+f)&(capMatch|capClear) == 0 || c.null || c.bad || compare(t.fields[f].kind, c.text, values[i]) != 0 {
				return false
			}
		}
		return true
	}
	for j := range v.db[t.index] {
		p := place{t.index, j, q.key.reach()}
		if v.at(p, 0)&(capMatch|capMask|capClear) != 0 && equal(p, q.key.fields, q.key.values) && equal(p, q.fields, q.values) {
			return true
		}
	}
	return false
}
