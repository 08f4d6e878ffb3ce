package noninterference

import (
	"fmt"
	"strings"

	"github.com/weir-data/weir/adapters"
)

// newSession draws a reader's session in a world: the keys he will state, the
// rows, the redrawn rows, and the script.
func (g *rig) newSession(w *world, number uint64) *session {
	s := newSource(w.seed, w.number<<16|number<<1|1<<63)
	ss := &session{w: w}
	ss.reader = w.newReader(s, fmt.Sprintf("reader-%d-%d", w.number, number))
	ss.purpose = pick(s, "", "u0", "u0", "u1")
	ss.first = w.newDatabase(s)
	warm := &reader{token: "warm", roles: []string{"warm"}, purposes: purposes(), department: pick(s, w.departments...), attributes: map[string]string{"id": "p1", "region": "north"}}
	same := *ss.reader
	same.token += "-twin"
	other := *ss.reader
	other.token += "-elsewhere"
	other.attributes = map[string]string{"id": "p2", "region": "south"}
	other.department = pick(s, w.departments...)
	other.roles = []string{"r1"}
	ss.others = []*reader{warm, &same, &other}
	policies := w.policies[:1]
	if s.chance(35) {
		policies = w.policies
	}
	for _, p := range policies {
		ss.oracles = append(ss.oracles, newOracle(w, p, ss.reader, ss.purpose, g.mask))
	}
	for range s.IntN(3) {
		ss.state(s)
	}
	ss.second, ss.changes = ss.redraw(s, ss.first, 40)
	sc := scripter{ss: ss, s: s}
	for range 4 + s.IntN(4) {
		sc.query()
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
	pages := false
	switch n := s.IntN(20); {
	case n < 6:
		t := pick(s, ss.w.types...)
		base.expecting = "list"
		base.doc = a.document(a.name("a") + ": " + t.plural() + a.arguments(t, nil, reach{}, "limit") + " " + a.selection(t, reach{}, 2))
	case n < 11:
		pages = true
		base.expecting = "page"
		base.doc = a.document(a.page(pick(s, ss.w.types...)))
	case n < 14:
		base.expecting = "key"
		root := a.byKey()
		if root == "" {
			return
		}
		base.doc = a.document(root)
	case n < 16:
		root := a.interfaces()
		if root == "" {
			return
		}
		base.expecting = "interface"
		base.doc = a.document(root)
	case n < 18:
		if !sc.ref(a, &base) {
			return
		}
		base.expecting = "ref"
	default:
		base.expecting = "several"
		roots := []string{}
		for range 2 + s.IntN(2) {
			t := pick(s, ss.w.types...)
			roots = append(roots, a.name("a")+": "+t.plural()+a.arguments(t, nil, reach{}, "limit")+" "+a.selection(t, reach{}, 1))
		}
		if root := a.byKey(); root != "" {
			roots = append(roots, root)
		}
		base.doc = a.document(roots...)
	}
	base.hits = a.hits
	at := sc.warm(base)
	sc.fault(&base)
	ss.steps = append(ss.steps, base)
	own := len(ss.steps) - 1
	if !pages {
		if s.chance(20) { // again, from the caches
			again := base
			again.fault, again.reload = nil, 0
			ss.steps = append(ss.steps, again)
		}
		return
	}
	for range 1 + s.IntN(2) {
		next := base
		next.fault, next.reload = nil, 0
		next.vars = map[string]any{}
		for k, v := range base.vars {
			next.vars[k] = v
		}
		from := own
		if len(at) > 0 && s.chance(20) {
			from = pick(s, at...) // another reader's cursor
		}
		next.vars["after"] = handed{from, "cur", s.IntN(3)}
		if len(ss.oracles) > 1 && s.chance(20) {
			next.policy = 1 - base.policy
		}
		ss.steps = append(ss.steps, next)
		own = len(ss.steps) - 1
	}
}

// warm lets others ask the same first, and gives their steps.
func (sc *scripter) warm(base step) []int {
	var at []int
	for _, rd := range sc.ss.others {
		if !sc.s.chance(35) {
			continue
		}
		other := base
		other.reader, other.watched, other.hits = rd, false, nil
		if sc.s.chance(50) {
			other.purpose = pick(sc.s, "u0", "u1", "")
		}
		sc.ss.steps = append(sc.ss.steps, other)
		at = append(at, len(sc.ss.steps)-1)
	}
	return at
}

func (sc *scripter) fault(st *step) {
	if !sc.s.chance(15) {
		return
	}
	t := pick(sc.s, sc.ss.w.types...)
	st.fault = &fault{department: t.dept, kind: pick(sc.s, adapters.Unavailable, adapters.Timeout, adapters.Invalid), after: pick(sc.s, 0, 0, 1)}
	if sc.s.chance(60) {
		st.fault.table = t.table()
	}
	if len(sc.ss.oracles) > 1 && sc.s.chance(40) {
		st.reload = 2 - st.policy
	}
}

// ref opens a handle of an earlier answer: the reader's own, or another's.
func (sc *scripter) ref(a *asker, base *step) bool {
	var from []int
	for i, st := range sc.ss.steps {
		if strings.Contains(st.doc, "ref_") {
			from = append(from, i)
		}
	}
	if len(from) == 0 {
		return false
	}
	t := pick(sc.s, a.ss.w.types...)
	a.decl = append(a.decl, "$ref: ID!")
	a.vars["ref"] = handed{pick(sc.s, from...), "ref", sc.s.IntN(4)}
	var roots []string
	for _, other := range a.ss.w.types {
		if other == t || sc.s.chance(60) {
			roots = append(roots, a.name("a")+": "+other.byRef()+"(ref: $ref) "+a.selection(other, reach{}, 1))
		}
	}
	a.hit("ref", "root", "")
	base.doc = a.document(roots...)
	return true
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
	var arguments []string
	for i, k := range st.fields {
		f := st.t.fields[k]
		p := a.o.possible(st.t, 1+k, true)
		if a.lawful && !p.match || a.hidden(st.t, 1+k) {
			return ""
		}
		decision := "match"
		if !p.match {
			decision = "no match"
		} else if p.lacksMatch {
			decision = "match on some"
		}
		a.hit("key argument", "root", decision)
		if a.s.chance(40) {
			v := a.name("k")
			a.decl = append(a.decl, "$"+v+": "+f.typeSDL()+"!")
			a.vars[v] = valueJSON(f.kind, st.values[i])
			arguments = append(arguments, f.name+": $"+v)
		} else {
			arguments = append(arguments, f.name+": "+valueLiteral(f.kind, st.values[i]))
		}
	}
	return a.name("a") + ": " + st.t.singular() + "(" + strings.Join(arguments, ", ") + ") " + a.selection(st.t, st.reach(), 2)
}

// interfaces draws a list root over an interface; "" without one.
func (a *asker) interfaces() string {
	if len(a.ss.w.ifaces) == 0 {
		return ""
	}
	i := pick(a.s, a.ss.w.ifaces...)
	on := reach{}
	by := ""
	if i.by != "" {
		by = pick(a.s, persons()...)
		all := true
		for _, m := range i.members {
			all = all && a.ss.w.types[m].isSubject(i.by)
		}
		if all {
			by = ""
			for _, st := range a.ss.stated {
				if name := st.t.fields[st.fields[0]].name; name == i.by && len(st.fields) == 1 && fmt.Sprint(st.fields) != fmt.Sprint(st.t.keys) {
					by = st.values[0]
				}
			}
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
