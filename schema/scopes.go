package schema

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
)

// maxScopes is how many conditions a source can answer beside one row: the
// bits of adapters.Batch.True. A type's @scopes and @subjects take one each.
const maxScopes = 64

// reservedScope reports names that policies use for built-in scopes.
func reservedScope(name string) bool {
	switch name {
	case "all", "by_key", "self", "own_department", "any":
		return true
	}
	return false
}

// buildScopes reads the @scopes: their conditions can lead to any type, so all
// types are complete by now.
func (l *linter) buildScopes() {
	for _, d := range l.order {
		t := l.catalogue.Types[d.Name]
		if t == nil {
			continue
		}
		for _, s := range d.Directives {
			if s.Name == "scope" && l.argument(s, "name") != nil && l.argument(s, "where") != nil {
				l.buildScope(t, s)
			}
		}
		if n := len(t.Scopes) + len(t.Subjects); n > maxScopes {
			l.errorf(t.Position, codeTooManyScopes, "%s has %d scopes and subjects; %d is the most", t.Name, n, maxScopes)
		}
	}
}

func (l *linter) buildScope(t *Type, d *ast.Directive) {
	name, at := l.text(d, "name")
	switch {
	case reservedScope(name):
		l.errorf(at, codeScopeName, "the scope %s is built in", name)
	case !isName(name) || strings.HasPrefix(name, "_"):
		l.suggest(at, codeScopeName, "letters, digits and _", "%q cannot be the name of a scope", name)
	case t.Scope(name) != nil:
		l.errorf(at, codeDuplicateScope, "%s has the scope %s already", t.Name, name)
	}
	where := l.argument(d, "where").Value
	c := &conditions{linter: l, at: place(where.Position), inner: columnsOf(where)}
	if c.at.Line == 0 {
		c.at = place(d.Position)
	}
	scope := &Scope{Name: name, Text: where.Raw, Position: place(d.Position)}
	if v, ok := c.parse(where.Raw); ok {
		scope.Where = c.object(t, v)
	}
	slices.Sort(c.attributes)
	scope.Attributes = slices.Compact(c.attributes)
	scope.Columns = c.columns
	t.Scopes = append(t.Scopes, scope)
}

// columnsOf gives, for each rune of a string's value, its distance in runes from
// the opening quote: an escape is wider than what it stands for. It is nil when
// that cannot be told, as of block strings.
func columnsOf(v *ast.Value) []int {
	if v.Kind != ast.StringValue || v.Position == nil || v.Position.Src == nil {
		return nil
	}
	// Positions count runes.
	source := []rune(v.Position.Src.Input)
	var columns []int
	for i := v.Position.Start + 1; i < len(source) && source[i] != '"'; i++ {
		columns = append(columns, i-v.Position.Start)
		if source[i] != '\\' {
			continue
		}
		i++
		switch {
		case i+1 < len(source) && source[i] == 'u' && source[i+1] == '{':
			for i < len(source) && source[i] != '}' {
				i++
			}
		case i < len(source) && source[i] == 'u':
			i += 4
		}
	}
	if len(columns) != utf8.RuneCountInString(v.Raw) {
		return nil
	}
	return columns
}

// conditions reads one filter literal.
type conditions struct {
	*linter
	at         Position // of the literal in its file
	inner      []int    // see columnsOf
	names      map[int]bool
	attributes []string
	columns    []*Field
}

// filterPrefix makes a filter literal a document that the GraphQL parser reads.
const filterPrefix = "{f(w:"

// attributePrefix begins an attribute of the reader. GraphQL has no dot in a
// variable's name, so the dot is replaced, by a character of the same width,
// before parsing.
const attributePrefix = "$subject."

// parse reads the literal and sees to it that it is one value and nothing else.
func (c *conditions) parse(text string) (*ast.Value, bool) {
	text, c.names = replaceAttributes(text)
	text = filterPrefix + text + "\n)}"
	doc, err := parser.ParseQuery(&ast.Source{Input: text})
	if err != nil {
		at, message, suggestion := c.at, err.Error(), ""
		var syntax *gqlerror.Error
		if errors.As(err, &syntax) {
			message = syntax.Message
			if len(syntax.Locations) > 0 {
				found := Position{Line: syntax.Locations[0].Line, Column: syntax.Locations[0].Column}
				at = c.inside(found.Line, found.Column)
				if broken, remedy := brokenToken(text, found); broken != "" {
					message, suggestion = broken, remedy
				}
			}
		}
		c.suggest(at, codeScopeSyntax, suggestion, "not a filter: %s", sentence(message))
		return nil, false
	}
	var field *ast.Field
	if len(doc.Operations) == 1 && len(doc.Fragments) == 0 && len(doc.Operations[0].SelectionSet) == 1 {
		field, _ = doc.Operations[0].SelectionSet[0].(*ast.Field)
	}
	if field == nil || len(field.Arguments) != 1 || len(field.SelectionSet) > 0 || len(field.Directives) > 0 {
		c.errorf(c.at, codeScopeSyntax, "not a filter: more than one value")
		return nil, false
	}
	return field.Arguments[0].Value, true
}

// replaceAttributes turns the dot of each $subject.NAME outside of strings into
// an underscore. It gives the places, in runes of the whole document, of those
// it turned, so that a literal $subject_NAME is not taken for one.
func replaceAttributes(text string) (string, map[int]bool) {
	names := map[int]bool{}
	var out strings.Builder
	runes, inString := len(filterPrefix), false
	for i := 0; i < len(text); {
		if after := strings.TrimPrefix(text[i:], attributePrefix); !inString && len(after) < len(text[i:]) && after != "" && isName(after[:1]) {
			names[runes] = true
			out.WriteString("$subject_")
			i, runes = i+len(attributePrefix), runes+len(attributePrefix)
			continue
		}
		if text[i] == '#' && !inString {
			// A quote in a comment begins no string: the comment gives way to
			// blanks of the same width.
			comment, _, _ := strings.Cut(text[i:], "\n")
			width := utf8.RuneCountInString(comment)
			out.WriteString(strings.Repeat(" ", width))
			i, runes = i+len(comment), runes+width
			continue
		}
		switch text[i] {
		case '"':
			inString = !inString
		case '\\':
			if inString && i+1 < len(text) {
				out.WriteByte(text[i])
				i, runes = i+1, runes+1
			}
		}
		out.WriteByte(text[i])
		if text[i]&0xc0 != 0x80 {
			runes++
		}
		i++
	}
	return out.String(), names
}

// inside translates a place in the wrapped literal to one in the file.
func (c *conditions) inside(line, column int) Position {
	at, i := c.at, column-len(filterPrefix)-1
	if line == 1 && 0 <= i && i < len(c.inner) {
		at.Column += c.inner[i]
	}
	return at
}

func (c *conditions) place(v *ast.Value) Position {
	if v.Position == nil {
		return c.at
	}
	return c.inside(v.Position.Line, v.Position.Column)
}

func (c *conditions) key(child *ast.ChildValue) Position {
	if child.Position == nil {
		return c.place(child.Value)
	}
	return c.inside(child.Position.Line, child.Position.Column)
}

// object reads a where input of the type. It gives a condition also where
// something is wrong; the findings keep it from being used.
func (c *conditions) object(t *Type, v *ast.Value) Condition {
	if v.Kind != ast.ObjectValue {
		c.errorf(c.place(v), codeScopeSyntax, "a filter of %s is an object: {field: {_eq: …}}", t.Name)
		return All{}
	}
	if len(v.Children) == 0 {
		c.errorf(c.place(v), codeEmptyCondition, "{} is true for every row")
	}
	var all All
	seen := map[string]bool{}
	for _, child := range v.Children {
		if seen[child.Name] {
			c.errorf(c.key(child), codeScopeSyntax, "%s stands here twice", child.Name)
		}
		seen[child.Name] = true
		all = append(all, c.member(t, child))
	}
	return flat(all)
}

func (c *conditions) member(t *Type, child *ast.ChildValue) Condition {
	switch child.Name {
	case "_and":
		return flat(All(c.each(t, child)))
	case "_or":
		return Any(c.each(t, child))
	case "_not":
		return Not{Condition: c.object(t, child.Value)}
	}
	f := t.Field(child.Name)
	if f == nil {
		c.unknownField(c.key(child), t, child.Name)
		return All{}
	}
	if f.Relation == nil {
		return c.comparisons(f, child.Value)
	}
	far := c.catalogue.Types[f.Relation.Target]
	if far == nil || !f.Relation.SameSource {
		c.errorf(c.key(child), codeOperandType, "%s leads to another department or to several types, where a scope cannot follow", f.Coordinate)
		return All{}
	}
	for i := range f.Relation.Fields {
		c.reads(t.Field(f.Relation.Fields[i]))
		c.reads(far.Field(f.Relation.References[i]))
	}
	return Exists{Relation: f, Where: c.object(far, child.Value)}
}

func (c *conditions) each(t *Type, child *ast.ChildValue) []Condition {
	if child.Value.Kind != ast.ListValue {
		c.errorf(c.place(child.Value), codeScopeSyntax, "%s takes a list of filters", child.Name)
		return nil
	}
	if len(child.Value.Children) == 0 {
		c.errorf(c.key(child), codeEmptyCondition, "%s without conditions does not depend on the row", child.Name)
	}
	var out []Condition
	for _, v := range child.Value.Children {
		out = append(out, c.object(t, v.Value))
	}
	return out
}

// reads notes a field that the condition reads.
func (c *conditions) reads(f *Field) {
	if f != nil && !slices.Contains(c.columns, f) {
		c.columns = append(c.columns, f)
	}
}

func (c *conditions) comparisons(f *Field, v *ast.Value) Condition {
	c.reads(f)
	if v.Kind != ast.ObjectValue {
		c.suggest(c.place(v), codeScopeSyntax, "{"+f.Name+": {_eq: …}}", "%s is compared by operators", f.Coordinate)
		return All{}
	}
	if len(v.Children) == 0 {
		c.errorf(c.place(v), codeEmptyCondition, "{} compares %s with nothing", f.Coordinate)
	}
	var all All
	known := f.Operators()
	seen := map[string]bool{}
	for _, child := range v.Children {
		if seen[child.Name] {
			c.errorf(c.key(child), codeScopeSyntax, "%s stands here twice", child.Name)
		}
		seen[child.Name] = true
		op, ok := ParseOperator(child.Name)
		if !ok || !slices.Contains(known, op) {
			var names []string
			for _, k := range known {
				names = append(names, k.String())
			}
			c.suggest(c.key(child), codeUnknownOperator, "one of "+list(names), "%s is %s, which has no operator %s", f.Coordinate, f.TypeSDL, child.Name)
			continue
		}
		all = append(all, Comparison{Field: f, Op: op, Operand: c.operand(f, op, child.Value)})
	}
	return flat(all)
}

func (c *conditions) operand(f *Field, op Operator, v *ast.Value) Operand {
	if v.Kind == ast.Variable {
		return Operand{Subject: c.subject(f, op, v)}
	}
	if op == In || op == Nin {
		if v.Kind != ast.ListValue || len(v.Children) == 0 {
			c.errorf(c.place(v), codeOperandType, "%s takes a list that is not empty", op)
			return Operand{}
		}
		operand := Operand{List: []string{}}
		for _, child := range v.Children {
			operand.List = append(operand.List, c.literal(f, op, child.Value))
		}
		return operand
	}
	return Operand{Literal: c.literal(f, op, v)}
}

// subject reads $subject.NAME. An attribute is one string of the reader's
// token, so only text is compared with it: any other kind could fail to convert
// in one engine and be false in another. A pattern is the owner's alone.
func (c *conditions) subject(f *Field, op Operator, v *ast.Value) string {
	if v.Position == nil || !c.names[v.Position.Start] {
		c.suggest(c.place(v), codeScopeSyntax, "$subject.NAME", "there is no variable $%s", v.Raw)
		return ""
	}
	switch {
	case op == In || op == Nin || op == Like || op == IsNull:
		c.errorf(c.place(v), codeOperandType, "%s cannot be compared with an attribute of the reader", op)
	case f.Kind != String && f.Kind != ID:
		c.errorf(c.place(v), codeOperandType, "an attribute of the reader is String, and %s is %s", f.Coordinate, f.TypeSDL)
	}
	name := strings.TrimPrefix(v.Raw, "subject_")
	c.attributes = append(c.attributes, name)
	return name
}

func (c *conditions) literal(f *Field, op Operator, v *ast.Value) string {
	if v.Kind == ast.Variable {
		// Inside a list: a list of attributes would need its own rules for
		// absent ones.
		c.errorf(c.place(v), codeOperandType, "%s cannot be compared with an attribute of the reader", op)
		return ""
	}
	if op == IsNull {
		if v.Kind != ast.BooleanValue {
			c.errorf(c.place(v), codeOperandType, "_is_null takes true or false")
		}
		return v.Raw
	}
	text, ok := literalText(f, v)
	if !ok {
		c.errorf(c.place(v), codeOperandType, "%s is compared with values of %s", f.Coordinate, strings.Trim(f.TypeSDL, "[!]"))
	}
	return text
}

// flat drops a conjunction around one condition.
func flat(all All) Condition {
	if len(all) == 1 {
		return all[0]
	}
	return all
}
