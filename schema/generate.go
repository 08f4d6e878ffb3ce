package schema

import (
	"fmt"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator"
)

// Names that the generated API has whatever the departments declare.
const (
	// RefField is the opaque handle of every row.
	RefField = "_ref"
	// PageInfoType is the type of a connection's pageInfo.
	PageInfoType = "PageInfo"
	// OrderEnum is the enum of directions.
	OrderEnum = "Order"
)

// Defaults of the generated arguments.
const (
	DefaultRootLimit     = 50
	DefaultRelationLimit = 20
)

// generate prints the data API and reads it back: what clients are validated
// against is what they are shown.
func (l *linter) generate() {
	g := &generator{linter: l, text: map[string]string{}}
	sdl := g.print()
	api, err := validator.LoadSchema(validator.Prelude, &ast.Source{Name: "schema.graphql", Input: sdl})
	if err != nil {
		l.errorf(Position{}, codeGeneratedSchema, "the generated API is not valid: %s", sentence(err.Error()))
		return
	}
	// The parser's prelude knows a directive that nothing here executes.
	delete(api.Directives, "defer")
	l.catalogue.API, l.catalogue.SDL = api, sdl
	if err := newPruning(l.catalogue, nil).complete(); err != nil {
		l.errorf(Position{}, codeGeneratedSchema, "%s", err.Error())
	}
}

// generator prints definitions on demand: what no root leads to but through
// others is printed once, when it is first named.
type generator struct {
	*linter
	text    map[string]string // generated inputs and wrappers by name
	scalars [Enum]bool
}

func (g *generator) print() string {
	query := g.query()
	declared := map[string]string{}
	for _, name := range g.catalogue.TypeNames() {
		declared[name] = g.object(g.catalogue.Types[name])
	}
	for _, name := range g.catalogue.AbstractNames() {
		declared[name] = g.abstract(g.catalogue.Abstracts[name])
	}
	for _, name := range sortedKeys(g.catalogue.Enums) {
		declared[name] = g.enum(g.definitions[name])
	}
	var b strings.Builder
	b.WriteString("\"Exactly one field is given, and it is not null.\"\ndirective @oneOf on INPUT_OBJECT\n\n")
	for s := Date; s < Enum; s++ {
		if g.scalars[s] {
			fmt.Fprintf(&b, "%s\nscalar %s\n\n", description("", scalarDescriptions[s-Date]), s)
		}
	}
	b.WriteString(query)
	for _, name := range sortedKeys(declared) {
		b.WriteString("\n" + declared[name])
	}
	for _, name := range sortedKeys(g.text) {
		b.WriteString("\n" + g.text[name])
	}
	return b.String()
}

// scalarDescriptions begin with Date.
var scalarDescriptions = [...]string{
	0:               "A calendar day: 2006-01-02.",
	DateTime - Date: "A moment, in UTC: 2006-01-02T15:04:05Z, with a fraction of the second if there is one. RFC 3339 with any offset as input.",
	Time - Date:     "A time of day: 15:04:05, with a fraction of the second if there is one.",
	Decimal - Date:  "An exact decimal number, as a string.",
	BigInt - Date:   "An integer of 64 bits, as a string.",
	UUID - Date:     "A UUID in lower case, with hyphens.",
	JSON - Date:     "Any JSON value.",
}

// description prints a description line by line with an indent; "" for none.
func description(indent, s string) string {
	if s == "" {
		return ""
	}
	block := strings.Contains(s, "\n") && !strings.Contains(s, `"""`) &&
		!strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' })
	if !block {
		return indent + (&ast.Value{Kind: ast.StringValue, Raw: s}).String()
	}
	return indent + `"""` + "\n" + indent + strings.ReplaceAll(s, "\n", "\n"+indent) + "\n" + indent + `"""`
}

// body collects the members of one definition.
type body struct{ strings.Builder }

// open begins a definition: "type Person {".
func (b *body) open(text, head string) {
	if text != "" {
		b.WriteString(description("", text) + "\n")
	}
	b.WriteString(head + " {\n")
}

// member adds a line with its description.
func (b *body) member(text, line string) {
	if text != "" {
		b.WriteString(description("  ", text) + "\n")
	}
	b.WriteString("  " + line + "\n")
}

func (b *body) close() string {
	b.WriteString("}\n")
	return b.String()
}

func (g *generator) use(f *Field) {
	if f.Kind < Enum {
		g.scalars[f.Kind] = true
	}
}

func (g *generator) query() string {
	var b body
	b.open("What can be asked. Everything is nullable: a department may be down, and a reader may not see it.", "type Query")
	for _, name := range g.catalogue.RootNames() {
		r := g.catalogue.Roots[name]
		switch r.Kind {
		case RootGet:
			b.member("One "+r.Type+" by its key.", fmt.Sprintf("%s(%s): %s", name, list(g.keys(r)), r.Type))
		case RootRef:
			b.member("One "+r.Type+" by the _ref that this reader was given.", fmt.Sprintf("%s(ref: ID!): %s", name, r.Type))
		case RootMatch:
			args := append(g.keys(r), ExpectArgument+": "+g.expect(g.catalogue.Types[r.Type])+"!")
			b.member("Whether the "+r.Type+" of this key has all of the expected values. False as well if there is none.", name+arguments(args)+": Boolean")
		case RootList:
			b.member("A list of "+r.Type+".", name+arguments(append(g.rootArguments(r), g.window(DefaultRootLimit)...))+": ["+r.Type+"!]")
		case RootConnection:
			args := append(g.rootArguments(r), fmt.Sprintf("first: Int = %d", DefaultRootLimit), "after: String")
			b.member("Pages of "+r.Type+".", name+arguments(args)+": "+g.connection(r.Type))
		case RootAggregate:
			b.member("Counts, sums and averages of "+r.Type+", by the selected fields of `group`.",
				name+arguments(g.aggregateArguments(r))+": ["+g.aggregate(g.catalogue.Types[r.Type])+"!]")
		}
	}
	return b.close()
}

// keys gives the arguments that state a root's key.
func (g *generator) keys(r *Root) []string {
	t := g.catalogue.Types[r.Type]
	args := make([]string, 0, len(r.Keys))
	for _, k := range r.Keys {
		args = append(args, required(t.Field(k)))
	}
	return args
}

// field finds a field of a type or interface.
func (g *generator) field(owner, name string) *Field {
	if t := g.catalogue.Types[owner]; t != nil {
		return t.Field(name)
	}
	return g.catalogue.Abstracts[owner].Field(name)
}

func required(f *Field) string { return f.Name + ": " + f.TypeSDL + "!" }

func arguments(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return "(" + list(args) + ")"
}

func (g *generator) rootArguments(r *Root) []string {
	var args []string
	for _, name := range r.By {
		args = append(args, required(g.field(r.Type, name)))
	}
	return append(args, g.filters(r.Type)...)
}

// filters gives the arguments where and orderBy, as far as the type has them.
func (g *generator) filters(target string) []string {
	var args []string
	if name := g.where(target); name != "" {
		args = append(args, "where: "+name)
	}
	if name := g.orderBy(target); name != "" {
		args = append(args, "orderBy: ["+name+"!]")
	}
	return args
}

func (g *generator) window(limit int) []string {
	return []string{fmt.Sprintf("limit: Int = %d", limit), "offset: Int = 0"}
}

func (g *generator) object(t *Type) string {
	var b body
	head := "type " + t.Name
	if d := g.definitions[t.Name]; len(d.Interfaces) > 0 {
		head += " implements " + strings.Join(d.Interfaces, " & ")
	}
	b.open(t.Description, head)
	if t.KeyedByRef() {
		b.ref()
	}
	g.members(&b, t.Fields)
	return b.close()
}

func (b *body) ref() {
	b.member("An opaque handle of this row, stable for this reader and purpose, and meaningless to others.", RefField+": ID")
}

func (g *generator) members(b *body, fields []*Field) {
	for _, f := range fields {
		g.use(f)
		line := f.Name
		if f.Relation != nil && f.Relation.Many {
			line += arguments(append(g.filters(f.Relation.Target), g.window(DefaultRelationLimit)...))
		}
		b.member(f.Description, line+": "+f.TypeSDL+deprecated(g.fields[f].Directives))
	}
}

// deprecated carries over the one directive that clients are to see.
func deprecated(used ast.DirectiveList) string {
	d := used.ForName("deprecated")
	if d == nil {
		return ""
	}
	if reason := d.Arguments.ForName("reason"); reason != nil && isString(reason.Value) {
		return " @deprecated(reason: " + (&ast.Value{Kind: ast.StringValue, Raw: reason.Value.Raw}).String() + ")"
	}
	return " @deprecated"
}

func (g *generator) abstract(a *Abstract) string {
	if a.Union {
		text := ""
		if a.Description != "" {
			text = description("", a.Description) + "\n"
		}
		return text + "union " + a.Name + " = " + strings.Join(a.Members, " | ") + "\n"
	}
	var b body
	head := "interface " + a.Name
	if d := g.definitions[a.Name]; len(d.Interfaces) > 0 {
		head += " implements " + strings.Join(d.Interfaces, " & ")
	}
	b.open(a.Description, head)
	if g.allKeyed(a) {
		b.ref()
	}
	g.members(&b, a.fields)
	return b.close()
}

// allKeyed reports whether all members have a _ref. The members of an interface
// are among those of the interfaces that it implements, so that it has one
// where they do.
func (g *generator) allKeyed(a *Abstract) bool {
	for _, name := range a.Members {
		if !g.catalogue.Types[name].KeyedByRef() {
			return false
		}
	}
	return true
}

func (g *generator) enum(d *ast.Definition) string {
	var b body
	b.open(d.Description, "enum "+d.Name)
	for _, v := range d.EnumValues {
		b.member(v.Description, v.Name+deprecated(v.Directives))
	}
	return b.close()
}
