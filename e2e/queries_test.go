package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/weir-data/weir/schema"
)

// member is one entry of an input object; enum is an enum value. Together with
// strings, json.Numbers, bools, nil and []any they are GraphQL values that can
// be printed as a literal and as JSON.
type (
	member struct {
		key   string
		value any
	}
	enum     string
	variable string
)

// role is what the reference and the generator know of a reader.
type role struct {
	Withheld []string                     `json:"withheld"`
	Closed   []string                     `json:"closed,omitempty"`
	Order    map[string][]string          `json:"order,omitempty"`
	Rows     map[string]map[string]string `json:"rows,omitempty"`
}

// generator makes random queries that a reader of the role may send. Equal
// seeds give equal queries.
type generator struct {
	r      *rand.Rand
	c      *schema.Catalogue
	values map[schema.Coordinate][]any // from the rows, as in JSON
	people map[string][]map[string]any // the rows, by type
	role   role

	declared  []string
	variables []member
	fragments []string
	aliases   int
	rows      []int // the static cost of the roots so far, and the product of the open limits
}

// query gives a document and its variables as JSON.
func (g *generator) query() (text, variables string) {
	g.declared, g.variables, g.fragments, g.aliases = nil, nil, nil, 0
	body := g.roots()
	var b strings.Builder
	b.WriteString("query Q")
	if len(g.declared) > 0 {
		b.WriteString("(" + strings.Join(g.declared, ", ") + ")")
	}
	b.WriteString(" {" + body + " }")
	for _, f := range g.fragments {
		b.WriteString("\n" + f)
	}
	return b.String(), printJSON(g.variables)
}

func (g *generator) chance(percent int) bool { return g.r.IntN(100) < percent }

func (g *generator) alias() string {
	g.aliases++
	return fmt.Sprintf("a%d", g.aliases)
}

// full is when no more aliases or variables should be spent: the limits of a
// query are Weir's own and no subject of the comparison.
func (g *generator) full() bool { return g.aliases >= 20 || len(g.declared) >= 20 }

func (g *generator) roots() string {
	names := make([]string, 0, len(g.c.Roots))
	for name, root := range g.c.Roots {
		stated := slices.ContainsFunc(root.Keys, func(k string) bool { return slices.Contains(g.role.Withheld, root.Type+"."+k) })
		if !stated && (root.Kind == schema.RootGet || root.Kind == schema.RootMatch || root.Kind == schema.RootAggregate || root.Kind == schema.RootList || root.Kind == schema.RootConnection) {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	var b strings.Builder
	for range 1 + g.r.IntN(3) {
		name := names[g.r.IntN(len(names))]
		if sums := g.sums(names); len(sums) > 0 && g.chance(20) {
			name = sums[g.r.IntN(len(sums))]
		}
		root := g.c.Roots[name]
		if root.Kind == schema.RootMatch {
			b.WriteString(" " + g.alias() + ": " + name + printArguments(g.match(root)))
			continue
		}
		var args []member
		for _, k := range append(slices.Clone(root.Keys), root.By...) {
			typeName := root.Type
			if root.Abstract {
				typeName = g.c.Abstracts[root.Type].Members[g.r.IntN(len(g.c.Abstracts[root.Type].Members))]
			}
			f := g.c.Types[typeName].Field(k)
			args = append(args, member{k, g.maybeVariable(g.valueOf(f), f.Kind.String()+"!")})
		}
		if root.Kind == schema.RootAggregate {
			if w := g.where(root.Type, 2); w != nil && g.chance(60) {
				args = append(args, member{"where", g.maybeVariable(w, root.Type+"Where")})
			}
			b.WriteString(" " + g.alias() + ": " + name + printArguments(args) + g.aggregate(root.Type))
			continue
		}
		limit := 1
		if root.Kind != schema.RootGet {
			word := "limit"
			if root.Kind == schema.RootConnection {
				word = "first"
			}
			var more []member
			more, limit = g.listArguments(root.Type, word, 12)
			args = append(args, more...)
		}
		b.WriteString(" " + g.alias() + ": " + name + printArguments(args))
		if root.Kind == schema.RootConnection {
			b.WriteString(g.connection(root.Type, limit))
		} else {
			b.WriteString(g.selection(root.Type, 3, limit))
		}
		if g.full() {
			break
		}
	}
	if g.chance(10) {
		b.WriteString(" __typename")
	}
	if g.chance(4) {
		b.WriteString(` __type(name: "` + []string{"Person", "Certificate", "Sex", "PersonWhere", "Nothing"}[g.r.IntN(5)] + `") { kind name fields { name } enumValues { name } inputFields { name } }`)
	}
	return b.String()
}

func (g *generator) connection(typeName string, limit int) string {
	var b strings.Builder
	b.WriteString(" {")
	if g.chance(60) {
		b.WriteString(" nodes" + g.selection(typeName, 2, limit))
	}
	if g.chance(40) {
		b.WriteString(" edges { __typename node" + g.selection(typeName, 1, limit) + " }")
	}
	if g.chance(50) {
		b.WriteString(" pageInfo { hasNextPage more: hasNextPage hasPreviousPage }")
	}
	b.WriteString(" totalCount __typename }")
	return b.String()
}

// listArguments gives random where, orderBy, limit and offset arguments, and
// the limit that they set.
func (g *generator) listArguments(typeName, limitWord string, most int) ([]member, int) {
	limit := 1 + g.r.IntN(most)
	args := []member{{limitWord, g.maybeVariable(json.Number(fmt.Sprint(limit)), "Int")}}
	if limitWord == "limit" && g.chance(20) {
		args = append(args, member{"offset", g.maybeVariable(json.Number(fmt.Sprint(g.r.IntN(6))), "Int")})
	}
	if g.chance(50) {
		if w := g.where(typeName, 2); w != nil {
			args = append(args, member{"where", g.maybeVariable(w, typeName+"Where")})
		}
	}
	if g.chance(50) {
		if o := g.orderBy(typeName); o != nil {
			args = append(args, member{"orderBy", g.maybeVariable(o, "["+typeName+"Order!]")})
		}
	}
	return args, limit
}

// usable are the fields of a type that the role may filter and sort by.
func (g *generator) usable(typeName string) []*schema.Field {
	var out []*schema.Field
	if a, ok := g.c.Abstracts[typeName]; ok {
		first := g.c.Types[a.Members[0]]
		for _, f := range first.Fields {
			if def := g.c.API.Types[typeName]; def.Fields.ForName(f.Name) == nil || f.Relation != nil {
				continue
			}
			if !slices.ContainsFunc(a.Members, func(m string) bool { return slices.Contains(g.role.Withheld, m+"."+f.Name) }) {
				out = append(out, f)
			}
		}
		return out
	}
	for _, f := range g.c.Types[typeName].Fields {
		if !slices.Contains(g.role.Withheld, f.Coordinate.String()) {
			out = append(out, f)
		}
	}
	return out
}

func (g *generator) where(typeName string, depth int) any {
	input := g.c.API.Types[typeName+"Where"]
	fields := g.usable(typeName)
	if input == nil || len(fields) == 0 {
		return nil
	}
	var out []member
	if depth > 0 && g.chance(30) {
		switch g.r.IntN(3) {
		case 0:
			out = append(out, member{"_not", g.where(typeName, depth-1)})
		default:
			word := []string{"_and", "_or"}[g.r.IntN(2)]
			list := []any{}
			for range g.r.IntN(3) {
				list = append(list, g.where(typeName, depth-1))
			}
			out = append(out, member{word, list})
		}
	}
	for range 1 + g.r.IntN(2) {
		f := fields[g.r.IntN(len(fields))]
		def := input.Fields.ForName(f.Name)
		if def == nil || slices.ContainsFunc(out, func(m member) bool { return m.key == f.Name }) {
			continue
		}
		if f.Relation != nil {
			if depth > 0 {
				if far := g.where(f.Relation.Target, depth-1); far != nil {
					out = append(out, member{f.Name, far})
				}
			}
			continue
		}
		out = append(out, member{f.Name, g.comparison(f, g.c.API.Types[def.Type.Name()])})
	}
	return out
}

func (g *generator) comparison(f *schema.Field, input *ast.Definition) []member {
	var out []member
	for range 1 + g.r.IntN(2)/1 {
		op := input.Fields[g.r.IntN(len(input.Fields))]
		if slices.ContainsFunc(out, func(m member) bool { return m.key == op.Name }) {
			continue
		}
		var v any
		switch op.Name {
		case "_is_null":
			v = g.chance(50)
		case "_in", "_nin":
			list := []any{}
			for range g.r.IntN(4) {
				list = append(list, g.valueOf(f))
			}
			v = list
		case "_like":
			v = g.pattern(f)
		case "_starts_with":
			s, _ := g.valueOf(f).(string)
			runes := []rune(s)
			v = string(runes[:g.r.IntN(len(runes)+1)])
		default:
			v = g.valueOf(f)
		}
		out = append(out, member{op.Name, g.maybeVariable(v, op.Type.String())})
	}
	return out
}

func (g *generator) pattern(f *schema.Field) string {
	s, _ := g.valueOf(f).(string)
	runes := []rune(s)
	for i := range runes {
		switch g.r.IntN(8) {
		case 0:
			runes[i] = '_'
		case 1:
			runes[i] = '%'
		}
	}
	if g.chance(30) {
		return string(runes) + "%"
	}
	if g.chance(10) {
		return `%\%%`
	}
	return string(runes)
}

// valueOf draws a value of a field: mostly one that is there.
func (g *generator) valueOf(f *schema.Field) any {
	if f.Kind == schema.Enum {
		return enum(f.Enum.Values[g.r.IntN(len(f.Enum.Values))])
	}
	if vs := g.values[f.Coordinate]; len(vs) > 0 && g.chance(90) {
		return vs[g.r.IntN(len(vs))]
	}
	switch f.Kind {
	case schema.Int:
		return json.Number(fmt.Sprint(g.r.IntN(1000) - 500))
	case schema.Float:
		return json.Number("1.5")
	case schema.Boolean:
		return g.chance(50)
	case schema.BigInt:
		return fmt.Sprint(g.r.Int64N(1 << 50))
	case schema.Decimal:
		return fmt.Sprintf("%d.%03d", g.r.IntN(100_000)-50_000, g.r.IntN(1000))
	case schema.Date:
		return fmt.Sprintf("20%02d-%02d-%02d", g.r.IntN(27), 1+g.r.IntN(12), 1+g.r.IntN(28))
	case schema.DateTime:
		return fmt.Sprintf("20%02d-%02d-%02dT01:02:03Z", g.r.IntN(27), 1+g.r.IntN(12), 1+g.r.IntN(28))
	case schema.Time:
		return "12:30:00"
	case schema.UUID:
		return "00000000-0000-4000-8000-000000000000"
	default:
		return []string{"", " ", "张", "O'Brien", `"; --`, "\\", "a\nb", "𠮷", "é", "e\u0301"}[g.r.IntN(10)]
	}
}

func (g *generator) orderBy(typeName string) any {
	input := g.c.API.Types[typeName+"Order"]
	if input == nil {
		return nil
	}
	usable := g.usable(typeName)
	var out []any
	for range 1 + g.r.IntN(2) {
		f := usable[g.r.IntN(len(usable))]
		if input.Fields.ForName(f.Name) == nil {
			continue
		}
		directions := []enum{"ASC", "DESC", "ASC_NULLS_FIRST", "DESC_NULLS_FIRST"}
		out = append(out, []member{{f.Name, directions[g.r.IntN(4)]}})
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// maybeVariable moves a value into a variable now and then.
func (g *generator) maybeVariable(v any, typeName string) any {
	if g.full() || !g.chance(25) || holdsVariable(v) {
		return v
	}
	name := fmt.Sprintf("v%d", len(g.declared))
	declaration := "$" + name + ": " + typeName
	if g.chance(20) && !strings.HasSuffix(typeName, "!") {
		// Left out, so that the default applies.
		g.declared = append(g.declared, declaration+" = "+printLiteral(v))
		return variable(name)
	}
	g.declared = append(g.declared, declaration)
	g.variables = append(g.variables, member{name, v})
	return variable(name)
}

func holdsVariable(v any) bool {
	switch v := v.(type) {
	case variable:
		return true
	case []any:
		return slices.ContainsFunc(v, holdsVariable)
	case []member:
		return slices.ContainsFunc(v, func(m member) bool { return holdsVariable(m.value) })
	}
	return false
}

// directive gives @skip or @include now and then.
func (g *generator) directive() string {
	if !g.chance(6) || g.full() {
		return ""
	}
	word := []string{"skip", "include"}[g.r.IntN(2)]
	return " @" + word + printArguments([]member{{"if", g.maybeVariable(g.chance(50), "Boolean!")}})
}

// selection gives a selection set on a concrete or abstract type. rows is the
// product of the limits so far.
func (g *generator) selection(typeName string, depth, rows int) string {
	var b strings.Builder
	b.WriteString(" {")
	a, abstract := g.c.Abstracts[typeName]
	if abstract {
		def := g.c.API.Types[typeName]
		for range 1 + g.r.IntN(3) {
			f := def.Fields[g.r.IntN(len(def.Fields))]
			if len(f.Arguments) == 0 && !strings.HasPrefix(f.Name, "_") && g.c.API.Types[f.Type.Name()].IsLeafType() {
				b.WriteString(" " + f.Name)
			}
		}
		b.WriteString(" __typename")
		for _, m := range a.Members {
			if g.chance(50) && !g.full() {
				// Type-specific fields get aliases, so that two members never
				// claim one response key with different types.
				b.WriteString(" ... on " + m + g.directive() + " {" + g.fields(m, depth-1, rows, true) + " }")
			}
		}
	} else {
		b.WriteString(g.fields(typeName, depth, rows, false))
	}
	b.WriteString(" }")
	return b.String()
}

func (g *generator) fields(typeName string, depth, rows int, aliased bool) string {
	t := g.c.Types[typeName]
	var b strings.Builder
	if aliased {
		b.WriteString(" __typename")
	}
	for range 1 + g.r.IntN(5) {
		f := t.Fields[g.r.IntN(len(t.Fields))]
		if f.Relation == nil {
			switch {
			case g.full():
				b.WriteString(" __typename")
			case aliased || g.chance(10):
				b.WriteString(" " + g.alias() + ": " + f.Name + g.directive())
			default:
				b.WriteString(" " + f.Name + g.directive())
			}
			continue
		}
		if depth <= 0 || g.full() {
			continue
		}
		var args []member
		limit := 1
		if f.Relation.Many {
			args, limit = g.listArguments(f.Relation.Target, "limit", 4)
		}
		if rows*limit > 2000 {
			continue
		}
		b.WriteString(" " + g.alias() + ": " + f.Name + printArguments(args) + g.directive() + g.selection(f.Relation.Target, depth-1, rows*limit))
	}
	if g.chance(10) {
		b.WriteString(" __typename")
	}
	if depth > 0 && g.chance(12) && !g.full() {
		b.WriteString(" ... on " + typeName + g.directive() + " {" + g.fields(typeName, depth-1, rows, aliased) + " __typename }")
	}
	if depth > 0 && g.chance(12) && !g.full() && !aliased {
		name := fmt.Sprintf("F%d", g.r.IntN(1_000_000))
		body := g.fields(typeName, depth-1, rows, aliased)
		g.fragments = append(g.fragments, "fragment "+name+" on "+typeName+" {"+body+" __typename }")
		b.WriteString(" ..." + name)
	}
	if b.Len() == 0 {
		return " __typename"
	}
	return b.String()
}

func printArguments(args []member) string {
	if len(args) == 0 {
		return ""
	}
	parts := make([]string, len(args))
	for i, a := range args {
		parts[i] = a.key + ": " + printLiteral(a.value)
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

func printLiteral(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case variable:
		return "$" + string(v)
	case enum:
		return string(v)
	case json.Number:
		return v.String()
	case bool:
		return fmt.Sprint(v)
	case string:
		raw, _ := json.Marshal(v)
		return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(raw))
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = printLiteral(v[i])
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case []member:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = v[i].key + ": " + printLiteral(v[i].value)
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	panic(fmt.Sprintf("no literal for %T", v))
}

func printJSON(v any) string {
	switch v := v.(type) {
	case enum:
		return printJSON(string(v))
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = printJSON(v[i])
		}
		return "[" + strings.Join(parts, ",") + "]"
	case []member:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = printJSON(v[i].key) + ":" + printJSON(v[i].value)
		}
		return "{" + strings.Join(parts, ",") + "}"
	default:
		raw, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return string(raw)
	}
}
