package metamorphic

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// selection is a field as it is meant: what a rewriting must keep.
type selection struct {
	parent, name string
	args         []argument
	children     []*selection // nil for a leaf
	on           string       // a concrete type of an interface: asked of its rows alone
	typ          string       // of the children
}

type argument struct {
	name, typ, literal, json string
}

// drawing makes random queries.
type drawing struct {
	r *rand.Rand
	w *world
}

func (d *drawing) pick(of ...string) string { return of[d.r.IntN(len(of))] }

func leaves(typ string) []string {
	switch typ {
	case "Person":
		return []string{"idNumber", "name", "phone", "district", "grade", "note"}
	case "Permit":
		return []string{"number", "holder", "issuer", "grade", "size"}
	case "Certificate":
		return []string{"number", "holder", "issuer", "grade"}
	}
	return []string{"number", "holder", "issuer", "grade"}
}

// query draws root fields.
func (d *drawing) query() []*selection {
	var roots []*selection
	for range 1 + d.r.IntN(3) {
		roots = append(roots, d.root())
	}
	return roots
}

func (d *drawing) root() *selection {
	text := func(name, v string) argument { return argument{name, "String!", `"` + v + `"`, `"` + v + `"`} }
	switch d.r.IntN(7) {
	case 0, 1:
		return d.fill(&selection{parent: "Query", name: "person", typ: "Person", args: []argument{text("idNumber", d.pick(d.w.ids...))}}, 2)
	case 2:
		return d.fill(&selection{parent: "Query", name: "permit", typ: "Permit", args: []argument{text("number", d.pick(d.w.permits...))}}, 2)
	case 3:
		nodes := d.fill(&selection{parent: "PersonConnection", name: "nodes", typ: "Person"}, 1)
		return &selection{parent: "Query", name: "personsConnection", typ: "PersonConnection", args: d.listArguments("Person", "first"), children: []*selection{nodes}}
	case 4:
		args := append(d.listArguments("Paper", "limit"), text("holder", d.pick(d.w.ids...)))
		return d.fill(&selection{parent: "Query", name: "papers", typ: "Paper", args: args}, 1)
	case 5:
		return d.fill(&selection{parent: "Query", name: "certificates", typ: "Certificate", args: d.listArguments("Certificate", "limit")}, 2)
	}
	return d.fill(&selection{parent: "Query", name: "persons", typ: "Person", args: d.listArguments("Person", "limit")}, 2)
}

func (d *drawing) fill(s *selection, depth int) *selection {
	have := map[string]bool{}
	for range 1 + d.r.IntN(4) {
		name := d.pick(leaves(s.typ)...)
		if !have[name] {
			have[name] = true
			s.children = append(s.children, &selection{parent: s.typ, name: name})
		}
	}
	if s.typ == "Paper" {
		for _, f := range []struct{ on, name string }{{"Permit", "size"}, {"Permit", "issuer"}, {"Certificate", "issuer"}} {
			if d.r.IntN(3) == 0 && !have[f.name] {
				s.children = append(s.children, &selection{parent: f.on, name: f.name, on: f.on})
			}
		}
		return s
	}
	if depth == 0 || d.r.IntN(2) == 0 {
		return s
	}
	switch s.typ {
	case "Person":
		name, typ := "permits", "Permit"
		if d.r.IntN(2) == 0 {
			name, typ = "certificates", "Certificate"
		}
		s.children = append(s.children, d.fill(&selection{parent: s.typ, name: name, typ: typ, args: d.listArguments(typ, "limit")}, depth-1))
	default:
		s.children = append(s.children, d.fill(&selection{parent: s.typ, name: "person", typ: "Person"}, depth-1))
	}
	return s
}

func (d *drawing) listArguments(typ, limit string) []argument {
	n := fmt.Sprint(1 + d.r.IntN(12))
	args := []argument{{limit, "Int", n, n}}
	if d.r.IntN(5) == 0 {
		literal, json := d.where(typ, 2)
		args = append(args, argument{"where", typ + "Where", literal, json})
	}
	if d.r.IntN(6) == 0 {
		f, o := d.pick(leaves(typ)...), d.pick("ASC", "DESC")
		if typ == "Paper" {
			f = "number"
		}
		args = append(args, argument{"orderBy", "[" + typ + "Order!]", "[{" + f + ": " + o + "}]", `[{"` + f + `": "` + o + `"}]`})
	}
	return args
}

func (d *drawing) where(typ string, depth int) (literal, json string) {
	if depth > 0 && d.r.IntN(3) == 0 {
		a, b := d.where(typ, depth-1)
		switch d.r.IntN(3) {
		case 0:
			return "{_not: " + a + "}", `{"_not": ` + b + "}"
		case 1:
			c, e := d.where(typ, depth-1)
			return "{_or: [" + a + ", " + c + "]}", `{"_or": [` + b + ", " + e + "]}"
		}
		return "{_and: [" + a + "]}", `{"_and": [` + b + "]}"
	}
	f := d.pick(leaves(typ)...)
	op, v := d.pick("_eq", "_neq", "_gt", "_lte"), `"`+d.pick(append(slices.Clone(d.w.words[f]), "b")...)+`"`
	if f == "grade" || f == "size" {
		v = fmt.Sprint(d.r.IntN(8))
	}
	if d.r.IntN(5) == 0 {
		op, v = "_is_null", d.pick("true", "false")
	}
	return "{" + f + ": {" + op + ": " + v + "}}", `{"` + f + `": {"` + op + `": ` + v + "}}"
}

// plainly prints a query as it is meant.
func plainly(roots []*selection) string {
	var b strings.Builder
	var all func(ss []*selection)
	all = func(ss []*selection) {
		b.WriteString("{")
		for i, s := range ss {
			if s.parent == "Query" {
				fmt.Fprintf(&b, " r%d:", i)
			}
			if s.on != "" {
				b.WriteString(" ... on " + s.on + " {")
			}
			b.WriteString(" " + s.name)
			for j, a := range s.args {
				b.WriteString([]string{"(", ", "}[min(j, 1)] + a.name + ": " + a.literal)
			}
			if len(s.args) > 0 {
				b.WriteString(")")
			}
			if s.children != nil {
				all(s.children)
			}
			if s.on != "" {
				b.WriteString(" }")
			}
		}
		b.WriteString(" }")
	}
	all(roots)
	return b.String()
}
