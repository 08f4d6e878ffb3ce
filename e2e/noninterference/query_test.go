package noninterference

import (
	"fmt"
	"slices"
	"strings"

	"github.com/weir-data/weir/schema"
)

// asker draws one document for a reader under an oracle. Lawful documents hold
// only positions that some right opens, so that they run; others try one that
// none does.
type asker struct {
	ss     *session
	s      source
	o      *oracle
	lawful bool
	exact  bool // conditions hold fields alone that are clear on every row

	n    int // names used
	decl []string
	vars map[string]any
	hits []hit
	now  []string // position in the tree of conditions
	read []*typ   // whose rows the document reads
}

func (a *asker) name(prefix string) string {
	a.n++
	return fmt.Sprintf("%s%d", prefix, a.n)
}

func (a *asker) hit(operator, position, decision string) {
	a.hits = append(a.hits, hit{operator, position, decision})
}

// hidden coordinates do not exist for the reader; they are named seldom.
func (a *asker) hidden(t *typ, coordinate int) bool {
	return t.coordinateLevel(coordinate) >= a.ss.w.hideFrom && !a.s.chance(1) &&
		!slices.ContainsFunc(a.o.clauses[t.index][coordinate], func(c clause) bool { return !c.deny })
}

// selection draws what is read of rows of t.
func (a *asker) selection(t *typ, on reach, depth int) string {
	a.read = append(a.read, t)
	used := map[string]bool{}
	var parts []string
	key := func(name string) string {
		if used[name] || a.s.chance(15) {
			k := a.name("a")
			return k + ": " + name
		}
		used[name] = true
		return name
	}
	for range 2 + a.s.IntN(5) {
		n := a.s.IntN(11)
		if on.byKey && a.s.chance(40) {
			n = 2 // what a key opens, it opens through relations
		}
		switch {
		case n == 0 || n == 10:
			parts = append(parts, a.name("ref_")+": _ref")
		case n == 1:
			parts = append(parts, key("__typename"))
		case n <= 3 && depth > 0 && len(t.relations) > 0:
			if r := a.onwards(t, on); !a.hidden(t, 1+len(t.fields)+slices.Index(t.relations, r)) {
				parts = append(parts, a.relation(t, r, on, depth-1))
			}
		default:
			i := a.s.IntN(len(t.fields))
			if a.hidden(t, 1+i) {
				continue
			}
			f := t.fields[i]
			a.hit("select", way(on), a.o.possible(t, 1+i, on.byKey).decision())
			parts = append(parts, key(f.name))
			if a.s.chance(15) {
				parts = append(parts, a.name("a")+": "+f.name)
			}
		}
	}
	if len(parts) == 0 {
		parts = []string{"__typename"}
	}
	return "{ " + strings.Join(parts, " ") + " }"
}

// onwards draws a relation of a row: from one that a key opened mostly one that
// could be taken for going on from there.
func (a *asker) onwards(t *typ, on reach) *relation {
	if on.byKey && a.s.chance(60) {
		var from []*relation
		for _, r := range t.relations {
			person := slices.ContainsFunc(r.targets, func(m int) bool { return a.ss.w.types[m].isSubject(r.far) })
			if !r.many && (on.hop || r.carries) || on.hop && person {
				from = append(from, r)
			}
		}
		if len(from) > 0 {
			return pick(a.s, from...)
		}
	}
	return pick(a.s, t.relations...)
}

func way(r reach) string {
	switch {
	case !r.byKey:
		return "rows"
	case r.carried != "":
		return "rows by key, carried"
	default:
		return "rows by key"
	}
}

func (a *asker) relation(t *typ, r *relation, on reach, depth int) string {
	coordinate := 1 + len(t.fields) + slices.Index(t.relations, r)
	kind := "to-one"
	if r.many {
		kind = "to-many"
	}
	if r.iface != nil {
		kind = "to-interface"
	}
	a.hit(kind, way(on), a.o.possible(t, coordinate, on.byKey).decision())
	out := a.name("a") + ": " + r.name
	if r.iface != nil {
		if r.many {
			out += a.arguments(nil, r.iface, reach{}, "limit")
		}
		return out + " " + a.members(r.iface, func(m *typ) reach { return a.o.onward(on, r, m) }, depth)
	}
	far := a.ss.w.types[r.targets[0]]
	onward := a.o.onward(on, r, far)
	if r.many {
		out += a.arguments(far, nil, onward, "limit")
	}
	return out + " " + a.selection(far, onward, depth)
}

// members draws what is read of an interface's rows.
func (a *asker) members(i *iface, on func(*typ) reach, depth int) string {
	parts := []string{"__typename"}
	for _, m := range i.members {
		a.read = append(a.read, a.ss.w.types[m])
	}
	for _, f := range i.fields {
		if a.s.chance(50) && !slices.ContainsFunc(i.members, func(m int) bool {
			t := a.ss.w.types[m]
			at, _ := t.field(f)
			return a.hidden(t, 1+at)
		}) {
			parts = append(parts, f)
		}
	}
	if a.s.chance(30) {
		parts = append(parts, a.name("ref_")+": _ref")
	}
	for _, m := range i.members {
		if a.s.chance(40) {
			t := a.ss.w.types[m]
			// Keys of the members must not meet.
			text := a.selection(t, on(t), depth)
			parts = append(parts, "... on "+t.name+" "+a.aliased(text, t))
		}
	}
	return "{ " + strings.Join(parts, " ") + " }"
}

// aliased gives every plain field of a member's selection a key of the member's
// own, since fields of one name may differ in type between members.
func (a *asker) aliased(text string, t *typ) string {
	words := strings.Split(text, " ")
	for i, word := range words {
		if i > 0 && strings.HasSuffix(words[i-1], ":") {
			continue
		}
		if _, f := t.field(word); f != nil {
			words[i] = a.name("m") + ": " + word
		}
	}
	return strings.Join(words, " ")
}

// arguments draws where, orderBy and the size of a list of one type or of an
// interface.
func (a *asker) arguments(t *typ, i *iface, on reach, size string) string {
	var parts []string
	if a.s.chance(55) {
		if c := a.where(t, i, on, 3); c != nil {
			parts = append(parts, "where: "+a.condition(c, t, i))
		}
	}
	if a.s.chance(45) {
		if o := a.order(t, i, on); o != "" {
			parts = append(parts, o)
		}
	}
	if size != "" && a.s.chance(80) {
		n := pick(a.s, 0, 1, 1, 2, 2, 3, 5)
		if a.s.chance(30) {
			v := a.name("n")
			a.decl = append(a.decl, "$"+v+": Int")
			a.vars[v] = n
			parts = append(parts, size+": $"+v)
		} else {
			parts = append(parts, fmt.Sprintf("%s: %d", size, n))
		}
	}
	if size == "limit" && a.s.chance(25) {
		parts = append(parts, fmt.Sprintf("offset: %d", pick(a.s, 0, 1, 2)))
	}
	if len(parts) == 0 {
		return ""
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

// condition writes a condition as a literal or as a variable.
func (a *asker) condition(c *cond, t *typ, i *iface) string {
	if !a.s.chance(40) {
		return c.literal()
	}
	name := ""
	if i != nil {
		name = i.name
	} else {
		name = t.name
	}
	v := a.name("w")
	a.decl = append(a.decl, "$"+v+": "+name+"Where")
	a.vars[v] = c.value()
	return "$" + v
}

// where draws a condition; nil when there is nothing to ask.
func (a *asker) where(t *typ, i *iface, on reach, depth int) *cond {
	deeper, kinds := 45, []string{"and", "or", "not", "exists", "exists", "both"}
	if a.ss.w.lean == toRelations {
		deeper, kinds = 60, append(kinds, "exists", "exists")
	}
	if depth > 0 && a.s.chance(deeper) {
		kind := pick(a.s, kinds...)
		a.now = append(a.now, kind)
		defer func() { a.now = a.now[:len(a.now)-1] }()
		switch kind {
		case "not":
			if sub := a.where(t, i, on, depth-1); sub != nil {
				return &cond{kind: "not", subs: []*cond{sub}}
			}
			return nil
		case "exists":
			if i == nil {
				if c := a.exists(t, on, depth-1); c != nil {
					return c
				}
			}
		case "both":
			one, two := a.leaf(t, i, on), a.leaf(t, i, on)
			if one != nil && two != nil && one.field.name != two.field.name {
				return &cond{kind: "both", subs: []*cond{one, two}}
			}
		default:
			out := &cond{kind: kind}
			for range 1 + a.s.IntN(3) {
				if sub := a.where(t, i, on, depth-1); sub != nil {
					out.subs = append(out.subs, sub)
				}
			}
			return out
		}
	}
	if c := a.leaf(t, i, on); c != nil {
		return c
	}
	return nil
}

func (a *asker) exists(t *typ, on reach, depth int) *cond {
	var open []*relation
	if a.exact {
		return nil
	}
	for n, r := range t.relations {
		c := 1 + len(t.fields) + n
		if r.same && r.iface == nil && !a.hidden(t, c) && (!a.lawful || a.o.possible(t, c, on.byKey).clear) {
			open = append(open, r)
			far := a.ss.w.types[r.targets[0]]
			if a.o.possible(t, c, on.byKey).decision() == "partly" {
				open = append(open, r, r) // held on some rows
			}
			if a.o.possible(far, 0, true) != a.o.possible(far, 0, false) {
				open = append(open, r, r) // a key would open more of its far rows
			}
		}
	}
	if len(open) == 0 {
		return nil
	}
	r := pick(a.s, open...)
	far := a.ss.w.types[r.targets[0]]
	a.hit("exists", position(a.now[:len(a.now)-1]), a.o.possible(t, 1+len(t.fields)+slices.Index(t.relations, r), on.byKey).decision())
	sub := a.where(far, nil, reach{}, depth)
	if sub == nil || a.s.chance(40) {
		sub = &cond{kind: "and"}
	}
	return &cond{kind: "exists", rel: r, far: far, subs: []*cond{sub}}
}

func (a *asker) position() string { return position(a.now) }

// position names what stands above a condition.
func position(above []string) string {
	seen := map[string]bool{}
	var parts []string
	for _, p := range above {
		if !seen[p] && p != "both" {
			seen[p] = true
			parts = append(parts, p)
		}
	}
	if len(parts) == 0 {
		return "top"
	}
	slices.Sort(parts)
	return strings.Join(parts, "+")
}

// leaf draws a comparison.
func (a *asker) leaf(t *typ, i *iface, on reach) *cond {
	members := []*typ{t}
	var names []string
	if i != nil {
		members = nil
		for _, m := range i.members {
			members = append(members, a.ss.w.types[m])
		}
		names = i.fields
	} else {
		for _, f := range t.fields {
			names = append(names, f.name)
		}
	}
	worst := map[string]string{}
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		for _, m := range members {
			at, _ := m.field(name)
			p := a.o.possible(m, 1+at, on.byKey)
			if worst[name] == "" || p.decision() > worst[name] {
				worst[name] = p.decision()
			}
			rowThere := a.o.possible(m, 0, on.byKey)
			if a.exact && a.o.possibleOf(m, 1+at, on.byKey, capAggregate|capMask|capClear).decision() != "clear" {
				return true
			}
			if a.hidden(m, 1+at) || a.lawful && !p.clear && (i == nil || rowThere.clear || rowThere.mask) {
				return true
			}
		}
		return false
	})
	if len(names) == 0 {
		return nil
	}
	name := pick(a.s, names...)
	for range 3 {
		// Outside the law, what is masked is worth more than what is withheld.
		if a.lawful || worst[name] == "masked" {
			break
		}
		name = pick(a.s, names...)
	}
	_, f := members[0].field(name)
	c := &cond{kind: "leaf", field: f, cmp: pick(a.s, operators(f)...)}
	value := func() string { return a.operand(members, f) }
	switch c.cmp {
	case "_is_null":
		c.values = []string{pick(a.s, "true", "false")}
	case "_in", "_nin":
		c.values = []string{}
		for range a.s.IntN(4) {
			c.values = append(c.values, value())
		}
	case "_like":
		v := []rune(value())
		if len(v) > 0 {
			v[a.s.IntN(len(v))] = pick(a.s, '%', '_')
		}
		c.values = []string{string(v) + pick(a.s, "", "%")}
	case "_starts_with":
		v := []rune(value())
		c.values = []string{string(v[:a.s.IntN(len(v)+1)])}
	case "_contains":
		c.values = []string{pick(a.s, "a", "b", "***")}
	default:
		c.values = []string{value()}
	}
	a.hit(c.cmp, a.position(), worst[f.name])
	return c
}

// operand draws a value that a row of one of the databases has there, or one of
// the pool.
func (a *asker) operand(members []*typ, f *field) string {
	m := pick(a.s, members...)
	at, own := m.field(f.name)
	db := pick(a.s, a.ss.first, a.ss.second)
	if rows := db[m.index]; len(rows) > 0 && a.s.chance(75) {
		if c := pick(a.s, rows...).cells[at]; !c.null && !c.bad {
			return c.text
		}
	}
	return pick(a.s, m.domain(own)...)
}

func operators(f *field) []string {
	switch {
	case f.list:
		return []string{"_contains"}
	case f.kind == schema.JSON:
		return []string{"_is_null"}
	case f.kind == schema.Boolean || f.kind == schema.Enum:
		return []string{"_eq", "_neq", "_in", "_nin", "_is_null"}
	case f.kind == schema.String:
		return []string{"_eq", "_eq", "_neq", "_in", "_nin", "_gt", "_gte", "_lt", "_lte", "_like", "_starts_with", "_is_null"}
	default:
		return []string{"_eq", "_neq", "_in", "_nin", "_gt", "_gte", "_lt", "_lte", "_is_null"}
	}
}

// order draws an orderBy argument.
func (a *asker) order(t *typ, i *iface, on reach) string {
	members, names := []*typ{t}, []string(nil)
	if i != nil {
		members, names = nil, i.fields
		for _, m := range i.members {
			members = append(members, a.ss.w.types[m])
		}
	} else {
		for _, f := range t.fields {
			if !f.list && f.kind != schema.JSON {
				names = append(names, f.name)
			}
		}
	}
	var keys []string
	for range 1 + a.s.IntN(2) {
		name := pick(a.s, names...)
		decision, ok := "", true
		for _, m := range members {
			at, _ := m.field(name)
			p := a.o.possible(m, 1+at, on.byKey)
			if p.decision() > decision {
				decision = p.decision()
			}
			row := a.o.possible(m, 0, on.byKey)
			ok = ok && !a.hidden(m, 1+at) && (!a.lawful || p.decision() == "clear" || !row.clear && !row.mask)
		}
		if !ok {
			continue
		}
		direction := pick(a.s, "ASC", "DESC", "ASC_NULLS_FIRST", "DESC_NULLS_FIRST")
		a.hit("orderBy "+direction, "list", decision)
		keys = append(keys, "{"+name+": "+direction+"}")
	}
	if len(keys) == 0 {
		return ""
	}
	return "orderBy: [" + strings.Join(keys, ", ") + "]"
}

// document puts roots together.
func (a *asker) document(roots ...string) string {
	head := "query"
	if len(a.decl) > 0 {
		head += "(" + strings.Join(a.decl, ", ") + ")"
	}
	return head + " { " + strings.Join(roots, " ") + " }"
}
