package noninterference

import (
	"fmt"
	"slices"
	"strings"

	"github.com/weir-data/weir/adapters"
)

// newSession draws a reader's session in a world: the keys he will state, the
// rows, the redrawn rows, and the script.
func (g *rig) newSession(w *world, number uint64) *session { return g.draw(w, number, 60) }

// draw is newSession with a number of attempts to redraw.
func (g *rig) draw(w *world, number uint64, attempts int) *session {
	s := newSource(w.seed, w.number<<16|number<<1|1<<63)
	ss := &session{w: w, loose: g.loose}
	ss.reader = w.newReader(s, fmt.Sprintf("reader-%d-%d", w.number, number))
	ss.purpose = pick(s, "", "u0", "u0", "u0", "u1", "u1")
	ss.first = w.newDatabase(s)
	warm := &reader{token: "warm", roles: []string{"warm"}, purposes: purposes(), department: pick(s, w.departments...), attributes: map[string]string{"id": "p1", "region": "north"}}
	same := *ss.reader
	same.token += "-twin"
	other := *ss.reader
	other.token += "-elsewhere"
	other.attributes = map[string]string{"id": "p2", "region": "south"}
	if s.chance(30) {
		other.roles, other.department = []string{"r1"}, pick(s, w.departments...)
	}
	ss.others = []*reader{warm, &same, &other}
	policies := w.policies[:1]
	if s.chance(35) {
		policies = w.policies
	}
	for _, p := range policies {
		ss.oracles = append(ss.oracles, newOracle(w, p, ss.reader, ss.purpose, g.mask))
	}
	for range 1 + s.IntN(3) {
		ss.state(s)
	}
	for i := range ss.stated {
		if s.chance(80) {
			ss.ask(s, &ss.stated[i])
		}
	}
	ss.second, ss.changes = ss.redraw(s, ss.first, attempts)
	sc := scripter{ss: ss, s: s}
	for range 6 + s.IntN(6) {
		sc.query()
	}
	if len(ss.steps) > 0 && s.chance(10) {
		// All caches are lost, as when the service starts anew.
		ss.steps[s.IntN(len(ss.steps))].restart = true
	}
	return ss
}

// state draws a key that the session states: one of a row, mostly.
func (ss *session) state(s source) {
	t := pick(s, ss.w.types...)
	st := stated{t: t, fields: t.keys}
	if len(ss.w.ifaces) > 0 && s.chance(30) {
		if a := pick(s, ss.w.ifaces...); a.by != "" {
			value := pick(s, persons()...)
			all := true
			for _, m := range a.members {
				all = all && ss.w.types[m].isSubject(a.by)
			}
			for _, m := range a.members {
				at, _ := ss.w.types[m].field(a.by)
				if all {
					ss.stated = append(ss.stated, stated{t: ss.w.types[m], fields: []int{at}, values: []string{value}})
				}
			}
			return
		}
	}
	if rows := ss.first[t.index]; len(rows) > 0 && s.chance(75) {
		r := pick(s, rows...)
		for _, k := range t.keys {
			st.values = append(st.values, r.cells[k].text)
		}
	} else {
		for _, k := range t.keys {
			st.values = append(st.values, pick(s, t.domain(t.fields[k])...))
		}
	}
	ss.stated = append(ss.stated, st)
}

// row gives the row of db that the whole key of a type leads to; nil for none.
func (st *stated) row(db database) *row {
	for _, r := range db[st.t.index] {
		same := true
		for n, k := range st.fields {
			same = same && compare(st.t.fields[k].kind, r.cells[k].text, st.values[n]) == 0
		}
		if same {
			return r
		}
	}
	return nil
}

// ask draws what the session expects of a row by key.
func (ss *session) ask(s source, st *stated) {
	if !slices.Equal(st.fields, st.t.keys) {
		return
	}
	q := verification{key: *st}
	for range 1 + s.IntN(2) {
		i := s.IntN(len(st.t.fields))
		f := st.t.fields[i]
		if !f.matchable() || slices.Contains(st.fields, i) || slices.Contains(q.fields, i) {
			continue
		}
		value := pick(s, st.t.domain(f)...)
		if r := st.row(ss.first); r != nil && !r.cells[i].null && s.chance(60) {
			value = r.cells[i].text
		}
		q.fields, q.values = append(q.fields, i), append(q.values, value)
	}
	if len(q.fields) > 0 {
		ss.asked = append(ss.asked, q)
	}
}

// scripter writes a session's script.
type scripter struct {
	ss     *session
	s      source
	policy int
}

// query adds a document: asked by others first, then by the reader, page by
// page, perhaps again after a reload.
func (sc *scripter) query() {
	ss, s := sc.ss, sc.s
	if len(ss.oracles) > 1 && s.chance(25) {
		sc.policy = 1 - sc.policy
	}
	a := &asker{ss: ss, s: s, o: ss.oracles[sc.policy], lawful: !s.chance(25), vars: map[string]any{}}
	base := step{
		reader: ss.reader, purpose: ss.purpose, watched: true, policy: sc.policy, vars: a.vars,
		get: s.chance(20), withheld: s.chance(15), partial: s.chance(10), graphql: s.chance(50),
	}
	list := func(depth int) func() string {
		return func() string {
			t := a.root()
			return a.name("a") + ": " + t.plural() + a.arguments(t, nil, reach{}, "limit") + " " + a.selection(t, reach{}, depth)
		}
	}
	// What is asked several times in a document meets more rows for one answer.
	roots, draw := pick(s, 1, 1, 1, 2), (func() string)(nil)
	n := s.IntN(31)
	if ss.w.lean == toKeys && s.chance(30) {
		n = 10
	}
	switch {
	case n < 6:
		base.expecting, draw = "list", list(2)
	case n < 10:
		base.expecting, roots = "page", 1
		draw = func() string { return a.page(a.root()) }
	case n < 14:
		base.expecting, draw = "key", a.byKey
	case n < 18:
		base.expecting, draw = "interface", a.interfaces
		roots = 1 + s.IntN(3)
	case n < 20:
		base.expecting, draw = "match", a.verify
		roots = 1 + s.IntN(3)
	case n < 22:
		base.expecting, draw = "aggregate", a.aggregate
	case n < 26:
		base.expecting, draw = "ref", func() string { return sc.ref(a) }
		roots = 1
	default:
		base.expecting, draw = "several", list(1)
		roots = 2 + s.IntN(2)
	}
	var drawn []string
	for range roots {
		if root := draw(); root != "" {
			drawn = append(drawn, root)
		}
	}
	if base.expecting == "several" {
		if root := a.byKey(); root != "" {
			drawn = append(drawn, root)
		}
	}
	if len(drawn) == 0 {
		return
	}
	base.doc = a.document(drawn...)
	base.hits = a.hits
	if base.expecting == "page" {
		sc.pages(a, base)
		return
	}
	sc.warm(base, 35, 50)
	sc.fault(&base, a.read)
	ss.steps = append(ss.steps, base)
	if s.chance(20) { // again, from the caches
		again := base
		again.fault, again.reload = nil, 0
		ss.steps = append(ss.steps, again)
	}
}

// pages asks page by page. Others have asked for the same page, for the same
// purpose mostly, and cursors are handed on: what opens for a reader with the
// same grants must still not open for another.
func (sc *scripter) pages(a *asker, base step) {
	ss, s := sc.ss, sc.s
	others := sc.warm(base, 60, 85)
	sc.fault(&base, a.read)
	ss.steps = append(ss.steps, base)
	own := len(ss.steps) - 1
	for range pick(s, 1, 1, 2, 3) {
		next := base
		next.fault, next.reload = nil, 0
		next.vars = map[string]any{}
		for k, v := range base.vars {
			next.vars[k] = v
		}
		from := own
		if len(others) > 0 && s.chance(50) {
			from = pick(s, others...)
		}
		next.vars["after"] = handed{from, "cur", s.IntN(4)}
		if len(ss.oracles) > 1 && s.chance(20) {
			next.policy = 1 - base.policy
		}
		if s.chance(20) {
			next.get = !next.get
		}
		ss.steps = append(ss.steps, next)
		own = len(ss.steps) - 1
	}
}

// warm lets others ask the same first, each with a chance, and for the same
// purpose with another; it gives their steps.
func (sc *scripter) warm(base step, asks, samePurpose int) []int {
	var at []int
	for _, rd := range sc.ss.others {
		if !sc.s.chance(asks) {
			continue
		}
		other := base
		other.reader, other.watched, other.hits = rd, false, nil
		if !sc.s.chance(samePurpose) {
			other.purpose = pick(sc.s, "u0", "u1", "")
		}
		sc.ss.steps = append(sc.ss.steps, other)
		at = append(at, len(sc.ss.steps)-1)
	}
	return at
}

func (sc *scripter) fault(st *step, read []*typ) {
	if !sc.s.chance(25) {
		return
	}
	t := pick(sc.s, sc.ss.w.types...)
	switch {
	case len(read) > 1 && sc.s.chance(60):
		t = pick(sc.s, read[1:]...) // which rows of others lead to
	case len(read) > 0 && sc.s.chance(80):
		t = pick(sc.s, read...)
	}
	st.fault = &fault{department: t.dept, kind: pick(sc.s, adapters.Unavailable, adapters.Timeout, adapters.Invalid), after: pick(sc.s, 0, 0, 1)}
	if sc.s.chance(75) {
		st.fault.table = t.table()
	}
	if len(sc.ss.oracles) > 1 && sc.s.chance(40) {
		st.reload = 2 - st.policy
	}
}

// ref opens a handle of an earlier answer: the reader's own, or another's; ""
// without one. A handle is no stated key, so that most of what a key would open
// is asked for too.
func (sc *scripter) ref(a *asker) string {
	var from, others []int
	for i, st := range sc.ss.steps {
		if strings.Contains(st.doc, "ref_") {
			from = append(from, i)
			if !st.watched && st.purpose == sc.ss.purpose {
				others = append(others, i)
			}
		}
	}
	if len(from) == 0 {
		return ""
	}
	if len(others) > 0 && sc.s.chance(50) {
		from = others
	}
	t := pick(sc.s, a.ss.w.types...)
	a.decl = append(a.decl, "$ref: ID!")
	a.vars["ref"] = handed{pick(sc.s, from...), "ref", pick(sc.s, 0, 0, 0, 1, 2, 3)}
	var roots []string
	for _, other := range a.ss.w.types {
		if other == t || sc.s.chance(60) {
			roots = append(roots, a.name("a")+": "+other.byRef()+"(ref: $ref) "+a.withKeyed(other, a.selection(other, reach{}, 2)))
		}
	}
	a.hit("ref", "root", "")
	return strings.Join(roots, " ")
}

// withKeyed adds to the selection of a row that is read without its key what the
// key would open: fields on which more is held then.
func (a *asker) withKeyed(t *typ, selection string) string {
	var parts []string
	for i, f := range t.fields {
		p := a.o.possible(t, 1+i, false)
		if p == a.o.possible(t, 1+i, true) || !a.s.chance(60) || a.hidden(t, 1+i) {
			continue
		}
		a.hit("select", way(reach{}), p.decision())
		parts = append(parts, a.name("a")+": "+f.name)
	}
	if len(parts) == 0 {
		return selection
	}
	return strings.TrimSuffix(selection, "}") + strings.Join(parts, " ") + " }"
}

// root draws a type to list: mostly one of which rows exist for the reader.
func (a *asker) root() *typ {
	t := pick(a.s, a.ss.w.types...)
	for range 4 {
		if p := a.o.possible(t, 0, false); p.clear || p.mask || a.s.chance(10) {
			break
		}
		t = pick(a.s, a.ss.w.types...)
	}
	return t
}

// page draws a connection root.
func (a *asker) page(t *typ) string {
	a.decl = append(a.decl, "$after: String")
	a.vars["after"] = nil
	arguments := a.arguments(t, nil, reach{}, "first")
	if arguments == "" {
		arguments = "(after: $after)"
	} else {
		arguments = strings.TrimSuffix(arguments, ")") + ", after: $after)"
	}
	var parts []string
	if a.s.chance(60) {
		parts = append(parts, "nodes "+a.selection(t, reach{}, 1))
	}
	if a.s.chance(60) {
		parts = append(parts, "edges { "+a.name("cur_")+": cursor node "+a.selection(t, reach{}, 1)+" }")
	}
	if a.s.chance(50) {
		parts = append(parts, "totalCount")
		a.hit("totalCount", "page", a.o.possible(t, 0, false).decision())
	}
	parts = append(parts, "pageInfo { hasNextPage hasPreviousPage "+a.name("cur_")+": startCursor "+a.name("cur_")+": endCursor }")
	a.hit("page", "root", a.o.possible(t, 0, false).decision())
	return a.name("a") + ": " + t.connection() + arguments + " { " + strings.Join(parts, " ") + " }"
}

// byKey draws a root by one of the session's keys; "" without one.
func (a *asker) byKey() string {
	var own []*stated
	for i := range a.ss.stated {
		if st := &a.ss.stated[i]; fmt.Sprint(st.fields) == fmt.Sprint(st.t.keys) {
			own = append(own, st)
		}
	}
	if len(own) == 0 {
		return ""
	}
	st := pick(a.s, own...)
	arguments := a.keyArguments(st, capMask|capClear)
	if arguments == nil {
		return ""
	}
	return a.name("a") + ": " + st.t.singular() + "(" + strings.Join(arguments, ", ") + ") " + a.selection(st.t, st.reach(), 3)
}

// verify draws a root that asks whether values are so; "" without one.
func (a *asker) verify() string {
	if len(a.ss.asked) == 0 {
		return ""
	}
	q := pick(a.s, a.ss.asked...)
	var expected []string
	for i, n := range q.fields {
		f := q.key.t.fields[n]
		p := a.o.possibleOf(q.key.t, 1+n, true, capMatch|capMask|capClear)
		if a.lawful && !p.match || a.hidden(q.key.t, 1+n) {
			return ""
		}
		a.hit("expect", "match", p.matching())
		expected = append(expected, f.name+": "+valueLiteral(f.kind, q.values[i]))
	}
	arguments := a.keyArguments(&q.key, capMatch|capMask|capClear)
	if arguments == nil {
		return ""
	}
	return a.name("a") + ": " + q.key.t.singular() + "Match(" + strings.Join(arguments, ", ") + ", expect: {" + strings.Join(expected, ", ") + "})"
}

// keyArguments states a key; nil when it may not, or cannot, be stated.
func (a *asker) keyArguments(st *stated, rows caps) []string {
	for _, k := range st.fields {
		if a.lawful && !a.o.possibleOf(st.t, 1+k, true, rows).match || a.hidden(st.t, 1+k) {
			return nil
		}
	}
	var arguments []string
	for i, k := range st.fields {
		f := st.t.fields[k]
		a.hit("key argument", "root", a.o.possibleOf(st.t, 1+k, true, rows).matching())
		if a.s.chance(40) {
			v := a.name("k")
			a.decl = append(a.decl, "$"+v+": "+f.typeSDL()+"!")
			a.vars[v] = valueJSON(f.kind, st.values[i])
			arguments = append(arguments, f.name+": $"+v)
		} else {
			arguments = append(arguments, f.name+": "+valueLiteral(f.kind, st.values[i]))
		}
	}
	return arguments
}

// statedOf gives a value of an interface's by field that the session states for
// each of its types; "" for none. Two interfaces may share a type, so that one
// type's statement is not yet every type's.
func (ss *session) statedOf(i *iface) string {
	states := func(member int, value string) bool {
		at, _ := ss.w.types[member].field(i.by)
		return slices.ContainsFunc(ss.stated, func(st stated) bool {
			return st.t.index == member && slices.Equal(st.fields, []int{at}) && st.values[0] == value
		})
	}
	value := ""
	for _, st := range ss.stated {
		if st.t.fields[st.fields[0]].name == i.by && len(st.fields) == 1 && !slices.Equal(st.fields, st.t.keys) &&
			!slices.ContainsFunc(i.members, func(m int) bool { return !states(m, st.values[0]) }) {
			value = st.values[0]
		}
	}
	return value
}

// interfaces draws a list root over an interface; "" without one.
func (a *asker) interfaces() string {
	if len(a.ss.w.ifaces) == 0 {
		return ""
	}
	i := pick(a.s, a.ss.w.ifaces...)
	if i.by == "" {
		i = pick(a.s, a.ss.w.ifaces...)
	}
	on := reach{}
	by := ""
	if i.by != "" {
		first := a.ss.w.types[pick(a.s, i.members...)]
		_, holder := first.field(i.by)
		by = a.operand([]*typ{first}, holder)
		all := true
		for _, m := range i.members {
			all = all && a.ss.w.types[m].isSubject(i.by)
		}
		if all {
			by = a.ss.statedOf(i)
			if by == "" {
				return ""
			}
			on = reach{byKey: true, carried: i.by, hop: true}
		}
	}
	arguments := a.arguments(nil, i, on, "limit")
	if i.by != "" {
		if arguments == "" {
			arguments = "(" + i.by + ": " + quote(by) + ")"
		} else {
			arguments = "(" + i.by + ": " + quote(by) + ", " + strings.TrimPrefix(arguments, "(")
		}
		a.hit("by argument", "interface", a.o.possible(a.ss.w.types[i.members[0]], 0, on.byKey).decision())
	}
	a.hit("interface", "root", a.o.possible(a.ss.w.types[i.members[0]], 0, on.byKey).decision())
	return a.name("a") + ": " + strings.ToLower(i.name) + "s" + arguments + " " + a.members(i, func(*typ) reach { return on }, 1)
}
