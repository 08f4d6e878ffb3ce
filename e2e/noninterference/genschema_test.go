package noninterference

import (
	"fmt"
	"strings"

	"github.com/weir-data/weir/schema"
)

// newWorld draws an installation.
func newWorld(seed, number uint64) *world {
	s := newSource(seed, number<<8|1)
	w := &world{seed: seed, number: number, purposeFrom: pick(s, 2, 2, 1, 3), hideFrom: pick(s, 3, 3, 3, 3, 3, 2), lean: pick(s, even, even, even, toKeys, toRelations)}
	for i := range pick(s, 1, 1, 2, 2, 3) {
		w.departments = append(w.departments, fmt.Sprintf("d%d", i))
	}
	for i := range 2 + s.IntN(3) {
		w.types = append(w.types, w.newType(s, i))
	}
	for i := range s.IntN(3) {
		w.newInterface(s, i)
	}
	for _, t := range w.types {
		w.relate(s, t)
	}
	for _, t := range w.types {
		if _, note := t.field("note"); s.chance(45) {
			t.scopes = append(t.scopes, &scope{name: "own", where: &cond{kind: "leaf", field: note, cmp: "_eq", subject: "region"}})
		}
		scopes := s.IntN(3)
		if w.lean == toRelations {
			scopes = max(scopes, 1)
		}
		for i := range scopes {
			t.scopes = append(t.scopes, &scope{name: fmt.Sprintf("s%d", i), where: w.scopeCond(s, t, 2)})
		}
	}
	w.scoped = map[*field]bool{}
	for _, t := range w.types {
		for _, sc := range t.scopes {
			sc.where.leaves(func(c *cond) { w.scoped[c.field] = true })
		}
	}
	w.roles = []string{"r0", "r1", "r2", "warm"}
	w.policies = []*policy{w.newPolicy(s, nil)}
	w.policies = append(w.policies, w.newPolicy(s, w.policies[0]))
	return w
}

// level draws a level, the highest seldom: what is hidden cannot be asked for.
func level(s source) int { return pick(s, 0, 1, 1, 2, 2, 2, 3) }

func (w *world) newType(s source, index int) *typ {
	t := &typ{
		index: index, world: w.number, name: fmt.Sprintf("T%d", index), dept: pick(s, w.departments...),
		level: pick(s, 0, 0, 1, 1, 2), sharing: pick(s, 0, 0, 1, 1, 1, 2),
	}
	add := func(f *field) *field {
		f.level = level(s)
		if s.chance(55) {
			if specs := maskPool(f.kind, f.list); len(specs) > 0 {
				f.mask = pick(s, specs...)
			}
		}
		if f.kind == schema.ID && f.mask != "PSEUDONYM" && f.mask != "NULL" {
			f.mask = ""
		}
		t.fields = append(t.fields, f)
		return f
	}
	kind := schema.String
	if s.chance(25) {
		kind = pick(s, schema.BigInt, schema.UUID, schema.Int, schema.ID)
	}
	add(&field{name: "k", kind: kind})
	t.keys = []int{0}
	holder := add(&field{name: "holder", kind: schema.String, subject: s.chance(70)})
	if holder.mask != "" && !s.chance(50) {
		holder.mask = "ID_NUMBER"
	}
	add(&field{name: "note", kind: schema.String, dim: s.chance(30)})
	add(&field{name: "day", kind: schema.Date})
	for i := range 1 + s.IntN(4) {
		kinds := []schema.Scalar{
			schema.String, schema.String, schema.Int, schema.Boolean, schema.Date, schema.DateTime, schema.Time,
			schema.Decimal, schema.BigInt, schema.UUID, schema.JSON, schema.Enum, schema.ID, schema.Float, schema.String, schema.String,
		}
		n := s.IntN(len(kinds))
		add(&field{name: fmt.Sprintf("f%d", i), kind: kinds[n], list: n >= len(kinds)-2})
	}
	if s.chance(20) {
		add(&field{name: "k2", kind: schema.Int})
		t.keys = append(t.keys, len(t.fields)-1)
	}
	if s.chance(35) {
		// Keyed by the person, as a register of them.
		holder.subject = true
		t.keys = []int{1}
	}
	if s.chance(30) {
		other := add(&field{name: "other", kind: schema.String, subject: true})
		var about []string
		for _, f := range t.fields {
			if f != holder && s.chance(50) {
				about = append(about, f.name)
			}
		}
		if s.chance(70) {
			other.covers = append(about, "other")
			if s.chance(50) {
				holder.covers = []string{"holder", "k", "note"}
			}
		}
	}
	return t
}

// newInterface makes types implement an interface over fields that they have in
// common.
func (w *world) newInterface(s source, index int) {
	a := &iface{name: fmt.Sprintf("I%d", index), fields: []string{"holder", "note", "day"}}
	strings := true
	for _, t := range w.types {
		if !s.chance(75) {
			continue
		}
		a.members = append(a.members, t.index)
		strings = strings && t.fields[0].kind == schema.String
	}
	if len(a.members) == 0 {
		return
	}
	if strings {
		a.fields = append(a.fields, "k")
	}
	if s.chance(50) {
		a.by = "holder"
		if t := w.types[pick(s, a.members...)]; s.chance(50) && t.keys[0] != 1 {
			// Nobody's identifier in one type is no key in any.
			_, holder := t.field("holder")
			holder.subject, holder.covers = false, nil
		}
	}
	for _, i := range a.members {
		w.types[i].ifaces = append(w.types[i].ifaces, a.name)
	}
	w.ifaces = append(w.ifaces, a)
}

// relate adds relations to a type. Far keys that it needs become fields.
func (w *world) relate(s source, t *typ) {
	for i := range 2 + s.IntN(2) {
		far := pick(s, w.types...)
		r := &relation{name: fmt.Sprintf("r%d", i), targets: []int{far.index}, level: level(s), same: far.dept == t.dept}
		kind := s.IntN(6)
		if w.lean == toKeys && s.chance(40) {
			kind = 0
		}
		switch kind {
		case 0, 1, 5: // to one, by the far key
			if len(far.keys) != 1 {
				continue
			}
			name := fmt.Sprintf("fk%d", i)
			key := far.fields[far.keys[0]]
			f := &field{name: name, kind: key.kind, level: level(s), values: far.domain(key)}
			if s.chance(30) && f.kind == schema.String {
				f.mask = pick(s, "REDACT", "KEEP(1,0)", "PSEUDONYM")
			}
			t.fields = append(t.fields, f)
			r.near, r.far, r.carries = name, key.name, s.chance(65) || w.lean == toKeys && s.chance(60)
			if key.subject && s.chance(50) {
				// From person to person, as a household's entry and its insurance.
				r.near, t.fields = "holder", t.fields[:len(t.fields)-1]
			}
		case 2:
			r.near, r.far, r.many = "holder", "holder", true
			if _, other := t.field("other"); other != nil && s.chance(60) {
				// The row's other person, whom a key of the first does not open.
				r.near = "other"
			}
		case 3:
			r.near, r.far, r.many = pick(s, "note", "holder"), pick(s, "note", "holder"), true
		case 4:
			if len(w.ifaces) == 0 {
				continue
			}
			a := pick(s, w.ifaces...)
			r.iface, r.targets, r.same = a, a.members, false
			r.near, r.far, r.many = "holder", "holder", true
		}
		t.relations = append(t.relations, r)
	}
}

// scopeCond draws a scope's condition.
func (w *world) scopeCond(s source, t *typ, depth int) *cond {
	if depth > 0 && s.chance(45) {
		switch s.IntN(4) {
		case 0:
			return &cond{kind: "not", subs: []*cond{w.scopeCond(s, t, depth-1)}}
		case 1:
			return &cond{kind: "and", subs: []*cond{w.scopeCond(s, t, depth-1), w.scopeCond(s, t, depth-1)}}
		case 2:
			return &cond{kind: "or", subs: []*cond{w.scopeCond(s, t, depth-1), w.scopeCond(s, t, depth-1)}}
		case 3:
			for _, r := range t.relations {
				if r.same && r.iface == nil {
					far := w.types[r.targets[0]]
					return &cond{kind: "exists", rel: r, far: far, subs: []*cond{w.scopeCond(s, far, 0)}}
				}
			}
		}
	}
	var f *field
	for {
		f = pick(s, t.fields...)
		if !f.list && f.kind != schema.JSON && f.kind != schema.Float {
			break
		}
	}
	c := &cond{kind: "leaf", field: f, cmp: pick(s, "_eq", "_eq", "_neq", "_in", "_nin", "_is_null")}
	domain := t.domain(f)
	switch {
	case c.cmp == "_is_null":
		c.values = []string{pick(s, "true", "false")}
	case f.kind == schema.String && c.cmp == "_eq" && s.chance(50):
		c.subject = pick(s, "region", "id")
	case c.cmp == "_in" || c.cmp == "_nin":
		c.values = []string{pick(s, domain...), pick(s, domain...)}
	default:
		if f.kind != schema.Boolean && f.kind != schema.Enum && s.chance(30) {
			c.cmp = pick(s, "_gt", "_gte", "_lt", "_lte")
		}
		c.values = []string{pick(s, domain...)}
	}
	return c
}

// sdl prints the departments' schema.
func (w *world) sdl() string {
	var b strings.Builder
	fmt.Fprintf(&b, "enum %s { %s }\n", enumName, strings.Join(enumValues(), " "))
	for _, a := range w.ifaces {
		by := ""
		if a.by != "" {
			by = fmt.Sprintf(", by: [%q]", a.by)
		}
		fmt.Fprintf(&b, "interface %s @api(singular: %q, list: %q%s) {", a.name, strings.ToLower(a.name), strings.ToLower(a.name)+"s", by)
		for _, f := range a.fields {
			_, field := w.types[a.members[0]].field(f)
			fmt.Fprintf(&b, " %s: %s", f, field.typeSDL())
		}
		b.WriteString(" }\n")
	}
	for _, t := range w.types {
		t.sdl(w, &b)
	}
	return b.String()
}

func (f *field) typeSDL() string {
	name := f.kind.String()
	if f.kind == schema.Enum {
		name = enumName
	}
	if f.list {
		return "[" + name + "!]"
	}
	return name
}

func (t *typ) sdl(w *world, b *strings.Builder) {
	implements := ""
	if len(t.ifaces) > 0 {
		implements = " implements " + strings.Join(t.ifaces, " & ")
	}
	var keys []string
	for _, k := range t.keys {
		keys = append(keys, quote(t.fields[k].name))
	}
	fmt.Fprintf(b, "type %s%s @source(department: %q, table: %q, key: [%s], tiebreak: \"row_no\") @classified(level: %q) @sharing(mode: %s, basis: \"b\")",
		t.name, implements, t.dept, t.table(), strings.Join(keys, ", "), levelNames[t.level], [...]string{"UNCONDITIONAL", "CONDITIONAL", "WITHHELD"}[t.sharing])
	for _, sc := range t.scopes {
		fmt.Fprintf(b, " @scope(name: %q, where: %s)", sc.name, quote(sc.where.literal()))
	}
	fmt.Fprintf(b, " @api(singular: %q) {\n", t.singular())
	for _, f := range t.fields {
		entropy := ""
		if f.dim && f.mask == "PSEUDONYM" { // which lint refuses where it may be guessed
			entropy = ", entropy: HIGH"
		}
		fmt.Fprintf(b, "  %s: %s @column(name: %q) @classified(level: %q%s)", f.name, f.typeSDL(), strings.ToLower(f.name), levelNames[f.level], entropy)
		if f.mask != "" {
			fmt.Fprintf(b, " @mask(with: %q)", f.mask)
		}
		if f.dim {
			b.WriteString(" @dimension")
		}
		switch {
		case f.subject && f.covers == nil:
			b.WriteString(" @subject")
		case f.subject:
			fmt.Fprintf(b, " @subject(covers: [%s])", quoted(f.covers))
		}
		b.WriteString("\n")
	}
	for _, r := range t.relations {
		target := r.target(w)
		if r.many {
			target = "[" + target + "!]"
		}
		carries := ""
		if r.carries {
			carries = ", carriesKey: true"
		}
		fmt.Fprintf(b, "  %s: %s @relation(fields: [%q], references: [%q]%s) @classified(level: %q)\n", r.name, target, r.near, r.far, carries, levelNames[r.level])
	}
	b.WriteString("}\n")
}

func (r *relation) target(w *world) string {
	if r.iface != nil {
		return r.iface.name
	}
	return w.types[r.targets[0]].name
}

func quoted(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = quote(n)
	}
	return strings.Join(out, ", ")
}
