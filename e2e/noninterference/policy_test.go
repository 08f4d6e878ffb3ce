package noninterference

import (
	"fmt"
	"strings"
)

// policy is a revision of the rules.
type policy struct {
	rules    []rule
	inherits [][2]string // role, parent
}

type rule struct {
	role, dept, resource string
	level                int
	purpose, scope       string
	access, effect       string
}

func (p *policy) text() string {
	var b strings.Builder
	for _, r := range p.rules {
		fmt.Fprintf(&b, "p, %s, %s, %s, %s, %s, %s, %s, %s\n", r.role, r.dept, r.resource, levelNames[r.level], r.purpose, r.scope, r.access, r.effect)
	}
	for _, g := range p.inherits {
		fmt.Fprintf(&b, "g, %s, %s\n", g[0], g[1])
	}
	return b.String()
}

// reader is who asks.
type reader struct {
	token      string
	roles      []string
	department string
	purposes   []string
	attributes map[string]string
}

func purposes() []string { return []string{"u0", "u1"} }

// newPolicy draws a policy, or changes a few lines of one. The role warm sees
// everything: it warms the caches.
func (w *world) newPolicy(s source, from *policy) *policy {
	p := &policy{}
	if from != nil {
		p.inherits = from.inherits
		for _, r := range from.rules {
			if r.role == "warm" || !s.chance(15) {
				p.rules = append(p.rules, r)
			}
		}
		for range 1 + s.IntN(2) {
			p.rules = append(p.rules, w.rule(s, pick(s, "r0", "r1"), pick(s, w.types...)))
		}
		return p
	}
	for _, d := range w.departments {
		p.rules = append(p.rules, rule{"warm", d, "*", 3, "*", "all", "clear", "allow"})
	}
	if s.chance(60) {
		p.inherits = append(p.inherits, [2]string{"r0", "r1"})
	}
	if s.chance(30) {
		p.inherits = append(p.inherits, [2]string{"r1", "r2"})
	}
	for _, t := range w.types {
		own := w.ownScope(s, t)
		if !s.chance(25) {
			own = ""
		}
		// Rows first: without them nothing else matters.
		if s.chance(92) {
			p.rules = append(p.rules, rule{
				"r0", t.dept, t.name + "._row", 3, w.purpose(s), pick(s, w.scopeName(s, t, 55), w.scopeName(s, t, 55), w.scopeName(s, t, 55), "by_key"), pick(s, "clear", "mask", "mask", "match", "aggregate"), "allow",
			})
			last := &p.rules[len(p.rules)-1]
			switch {
			case own != "":
				last.scope = own // each reader has rows of his own
			case w.lean == toKeys && s.chance(50), w.lean == toRelations && s.chance(30):
				last.scope = "by_key"
			case w.lean == toRelations:
				last.scope = "all"
			}
			if (last.access == "match" || last.access == "aggregate") && s.chance(60) {
				last.access = "mask"
			}
		}
		if s.chance(40) {
			// Masked everywhere and clear under a scope, as an officer's region.
			everywhere := pick(s, "all", "all", "by_key")
			if own != "" {
				everywhere = own
			}
			p.rules = append(p.rules,
				rule{"r0", t.dept, t.name + ".*", pick(s, 2, 3), "*", everywhere, "mask", "allow"},
				rule{"r0", t.dept, t.name + ".*", 3, w.purpose(s), w.scopeName(s, t, 0), "clear", "allow"})
		}
		if len(t.scopes) > 0 && s.chance(35) {
			// Denied where a scope holds, or is not known not to.
			p.rules = append(p.rules, rule{
				"r0", t.dept, pick(s, t.name+".*", t.name+"."+pick(s, t.fields...).name), pick(s, 0, 0, 1), "*", pick(s, t.scopes...).name, pick(s, "clear", "mask", "any"), "deny",
			})
		}
		for i, f := range t.fields {
			// Some columns to filter, sort and page by.
			if s.chance(30) && (i > 0 || s.chance(50)) {
				p.rules = append(p.rules, rule{"r0", t.dept, t.name + "." + f.name, 3, w.purpose(s), w.scopeName(s, t, 65), pick(s, "clear", "clear", "mask"), "allow"})
			}
		}
		for _, r := range t.relations {
			held, scope := 60, w.scopeName(s, t, 50)
			switch w.lean {
			case toKeys:
				held, scope = 90, w.scopeName(s, t, 80)
			case toRelations:
				held = 90
				if part := w.partOf(s, t); part != "" && s.chance(80) {
					scope = part
				}
			case even:
			}
			if s.chance(held) {
				p.rules = append(p.rules, rule{"r0", t.dept, t.name + "." + r.name, 3, w.purpose(s), scope, pick(s, "clear", "clear", "mask"), "allow"})
			}
		}
		for _, role := range []string{"r0", "r0", "r0", "r1", "r2"} {
			for range s.IntN(4) {
				p.rules = append(p.rules, w.rule(s, role, t))
			}
		}
		if s.chance(70) {
			p.rules = append(p.rules, rule{"r0", t.dept, t.name + "." + t.fields[t.keys[0]].name, 3, "*", pick(s, "by_key", "all"), pick(s, "match", "match", "clear"), "allow"})
		}
		if s.chance(70) {
			scope := pick(s, "by_key", "all")
			if !t.isSubject("holder") {
				scope = "all"
			}
			p.rules = append(p.rules, rule{"r0", t.dept, t.name + ".holder", 3, "*", scope, "match", "allow"})
			if s.chance(20) {
				// To be compared and never shown, whatever else is granted.
				p.rules = append(p.rules, rule{"r0", t.dept, t.name + ".holder", 0, "*", "all", "mask", "deny"})
			}
		}
	}
	return p
}

// ownScope is a scope by which two readers with the same roles see other rows:
// of the reader's region or person; "" when the type has none.
func (w *world) ownScope(s source, t *typ) string {
	var names []string
	for _, sc := range t.scopes {
		sc.where.leaves(func(c *cond) {
			if c.subject != "" {
				names = append(names, sc.name)
			}
		})
	}
	if len(t.subjects()) > 0 {
		names = append(names, "self")
	}
	if len(names) == 0 {
		return ""
	}
	return pick(s, names...)
}

func (w *world) purpose(s source) string { return pick(s, "*", "*", "*", "*", "*", "u0", "u0", "u1") }

// partOf is a scope that holds for some rows of a type; "" when it has none.
func (w *world) partOf(s source, t *typ) string {
	var names []string
	for _, sc := range t.scopes {
		names = append(names, sc.name)
	}
	if len(t.subjects()) > 0 {
		names = append(names, "self")
	}
	if len(names) == 0 {
		return ""
	}
	return pick(s, names...)
}

// scopeName draws a scope that the type knows, seldom one that it does not.
func (w *world) scopeName(s source, t *typ, all int) string {
	if s.chance(all) {
		return "all"
	}
	names := []string{"by_key", "self", "own_department"}
	for range 2 {
		for _, sc := range t.scopes {
			names = append(names, sc.name)
		}
	}
	return pick(s, names...)
}

func (w *world) rule(s source, role string, t *typ) rule {
	r := rule{role: role, dept: t.dept, level: pick(s, 1, 2, 2, 3, 3), purpose: w.purpose(s), effect: "allow"}
	resources := []string{t.name + ".*", t.name + "._row", "*"}
	for _, f := range t.fields {
		resources = append(resources, t.name+"."+f.name, t.name+"."+f.name)
	}
	for _, rel := range t.relations {
		resources = append(resources, t.name+"."+rel.name, t.name+"."+rel.name)
	}
	r.resource = pick(s, resources...)
	if s.chance(15) {
		r.dept = "*"
	}
	r.scope = w.scopeName(s, t, 35)
	r.access = pick(s, "clear", "clear", "clear", "mask", "mask", "match", "aggregate")
	if s.chance(14) {
		r.effect, r.purpose = "deny", "*"
		r.access = pick(s, "any", "clear", "clear", "mask", "match")
		r.level = pick(s, 0, 1, 2, 3)
		if r.resource == "*" || r.resource == t.name+".*" {
			r.level = pick(s, 2, 3)
		}
	}
	return r
}

// newReader draws a reader of the roles at hand, sometimes an odd one.
func (w *world) newReader(s source, token string) *reader {
	rd := &reader{token: token, roles: []string{"r0"}, purposes: purposes(), attributes: map[string]string{"id": "p0", "region": "north"}}
	switch s.IntN(8) {
	case 0:
		rd.roles = []string{"r1"}
	case 1:
		rd.roles = []string{"r2", "r0"}
	case 2:
		rd.roles = []string{"r0", "unknown"}
	}
	if s.chance(40) {
		rd.department = pick(s, w.departments...)
	}
	switch s.IntN(8) {
	case 0:
		delete(rd.attributes, "id")
	case 1:
		rd.attributes["id"] = "p1"
	}
	switch s.IntN(6) {
	case 0:
		delete(rd.attributes, "region")
	case 1:
		rd.attributes["region"] = pick(s, "south", "张三", "***", "p0")
	}
	return rd
}
