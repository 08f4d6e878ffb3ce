package metamorphic

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// rewriting prints a query in another way that means the same. Each kind of
// change is drawn for itself.
type rewriting struct {
	r         *rand.Rand
	used      map[string]int // how often each kind of change was made
	declared  []string
	variables []string
	fragments []string
	names     int
	aliases   int
	spent     int // directives
}

// document gives a text, its variables as JSON, and the operation's name, "" for
// none.
func (w *rewriting) document(roots []*selection) (text, variables, operation string) {
	w.declared, w.variables, w.fragments, w.names, w.aliases, w.spent = nil, nil, nil, 0, 0, 0
	body := w.set("Query", roots, true)
	if w.chance(4) {
		operation = fmt.Sprintf("Op%d", w.r.IntN(100))
		w.used["operation name"]++
	}
	if operation != "" || len(w.declared) > 0 {
		head := "query " + operation
		if len(w.declared) > 0 {
			head += "(" + strings.Join(w.declared, ", ") + ")"
		}
		body = head + " " + body
	}
	if operation != "" && w.chance(3) {
		body += " query Another { __typename }"
		w.used["another operation"]++
	}
	parts := append([]string{body}, w.fragments...)
	w.r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	if w.chance(6) {
		w.used["comments and commas"]++
		return "# a comment\n" + strings.Join(parts, " ,,\n"), "{" + strings.Join(w.variables, ", ") + "}", operation
	}
	return strings.Join(parts, "\n"), "{" + strings.Join(w.variables, ", ") + "}", operation
}

func (w *rewriting) chance(oneIn int) bool { return w.r.IntN(oneIn) == 0 }

func (w *rewriting) name(prefix string) string {
	w.names++
	return fmt.Sprintf("%s%d", prefix, w.names)
}

// set prints a selection set on a type; fields of a root set all get aliases, so
// that they do not meet.
func (w *rewriting) set(typ string, ss []*selection, root bool) string {
	if w.chance(2) && len(ss) > 1 {
		ss = slices.Clone(ss)
		w.r.Shuffle(len(ss), func(i, j int) { ss[i], ss[j] = ss[j], ss[i] })
		w.used["order of fields"]++
	}
	var parts []string
	for _, s := range ss {
		if typ == "Paper" && s.parent == "Paper" && w.chance(3) {
			// Instead of the interface's field, that of each type.
			for _, concrete := range []string{"Permit", "Certificate"} {
				own := *s
				own.parent, own.on = concrete, concrete
				parts = append(parts, w.field(&own, root))
			}
			w.used["concrete types for an interface"]++
			continue
		}
		parts = append(parts, w.field(s, root))
		if s.children == nil && w.chance(5) {
			parts = append(parts, w.field(s, true))
			w.used["a field twice"]++
		}
	}
	if w.chance(6) {
		parts = append(parts, "__typename")
		w.used["__typename"]++
	}
	if w.chance(6) && w.spent < 40 {
		w.spent++
		// What is left out must not matter, whatever it is.
		if typ == "Person" {
			parts = append(parts, w.name("s")+": note @skip(if: true)")
			w.used["a field left out"]++
		}
	}
	if w.chance(3) && len(w.fragments) < 20 {
		// A part of the set stands in a fragment, anywhere among the others.
		w.used["fragments"]++
		at := w.r.IntN(len(parts))
		inner := "{ " + strings.Join(parts[at:], " ") + " }"
		parts = slices.Clone(parts[:at])
		switch w.r.IntN(3) {
		case 0:
			inner = "... " + w.directive() + inner
		case 1:
			inner = "... on " + typ + " " + w.directive() + inner
		default:
			name := w.name("F")
			w.fragments = append(w.fragments, "fragment "+name+" on "+typ+" "+inner)
			inner = "..." + name + " " + w.directive()
			if w.chance(3) {
				parts = append(parts, "..."+name)
			}
		}
		parts = append(parts, inner)
		if w.chance(2) {
			w.r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		}
	}
	return "{ " + strings.Join(parts, " ") + " }"
}

func (w *rewriting) field(s *selection, mustAlias bool) string {
	var b strings.Builder
	if s.on != "" {
		b.WriteString("... on " + s.on + " { ")
		mustAlias = true // two types must not meet under one key
	}
	if w.aliases < 25 && (mustAlias || w.chance(3)) {
		w.aliases++
		// Also names of other fields, which must not decide.
		alias := w.name("x")
		if w.chance(4) {
			alias = []string{"number", "name", "district", "idNumber", "issuer"}[w.r.IntN(5)] + alias
		}
		b.WriteString(alias + ": ")
		w.used["aliases"]++
	}
	b.WriteString(s.name)
	args := slices.Clone(s.args)
	w.r.Shuffle(len(args), func(i, j int) { args[i], args[j] = args[j], args[i] })
	for i, a := range args {
		b.WriteString([]string{"(", ", "}[min(i, 1)] + a.name + ": " + w.value(a))
	}
	if len(args) > 0 {
		b.WriteString(")")
	}
	b.WriteString(" " + w.directive())
	if s.children != nil {
		b.WriteString(w.set(s.typ, s.children, false))
	}
	if s.on != "" {
		b.WriteString(" }")
	}
	return b.String()
}

// value prints an argument, as a literal or through a variable.
func (w *rewriting) value(a argument) string {
	if !w.chance(3) {
		return a.literal
	}
	name := w.name("v")
	if w.chance(4) && !strings.HasSuffix(a.typ, "!") {
		w.declared = append(w.declared, "$"+name+": "+a.typ+" = "+a.literal)
		w.used["defaults of variables"]++
		return "$" + name
	}
	w.declared = append(w.declared, "$"+name+": "+a.typ)
	w.variables = append(w.variables, `"`+name+`": `+a.json)
	w.used["variables"]++
	return "$" + name
}

// directive gives one that changes nothing, or nothing.
func (w *rewriting) directive() string {
	if !w.chance(5) || w.spent >= 40 {
		return ""
	}
	w.spent++
	w.used["@skip and @include"]++
	word, truth := "include", "true"
	if w.chance(2) {
		word, truth = "skip", "false"
	}
	if w.chance(2) {
		return "@" + word + "(if: " + truth + ") "
	}
	name := w.name("b")
	w.declared = append(w.declared, "$"+name+": Boolean!")
	w.variables = append(w.variables, `"`+name+`": `+truth)
	return "@" + word + "(if: $" + name + ") "
}

// parted splits a query into two that together ask the same: by roots, or each
// root's own selections by halves. Nil where there is nothing to split.
func (w *rewriting) parted(roots []*selection) [][]*selection {
	if len(roots) > 1 && w.chance(2) {
		at := 1 + w.r.IntN(len(roots)-1)
		w.used["two queries, by roots"]++
		return [][]*selection{roots[:at], roots[at:]}
	}
	var first, second []*selection
	split := false
	for _, s := range roots {
		a, b := *s, *s
		if len(s.children) > 1 {
			at := 1 + w.r.IntN(len(s.children)-1)
			a.children, b.children = s.children[:at], s.children[at:]
			split = true
		}
		first, second = append(first, &a), append(second, &b)
	}
	if !split {
		return nil
	}
	w.used["two queries, by fields"]++
	return [][]*selection{first, second}
}
