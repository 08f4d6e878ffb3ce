package schema

import (
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/lexer"
	"github.com/vektah/gqlparser/v2/parser"
)

//go:embed directives.graphqls
var directivesSDL string

// Directives is the SDL that declares the directives of the schema language.
func Directives() string { return directivesSDL }

// linter holds what one Load knows so far. Each step adds to the catalogue and
// to the findings, and skips what an earlier step has refused, so that one
// mistake is one finding.
type linter struct {
	settings   Settings
	directives map[string]*ast.DirectiveDefinition
	values     map[string][]string // enums of directive arguments

	found     Diagnostics
	documents []*ast.SchemaDocument
	// lost are the names that files which do not parse seem to declare: what
	// they are is unknown, so nothing is said about their uses.
	lost map[string]bool

	definitions map[string]*ast.Definition // the first of each name
	order       []*ast.Definition          // those in definitions, in file order
	fields      map[*Field]*ast.FieldDefinition
	catalogue   *Catalogue
}

func newLinter(settings Settings) *linter {
	l := &linter{
		settings:    settings,
		directives:  map[string]*ast.DirectiveDefinition{},
		values:      map[string][]string{},
		lost:        map[string]bool{},
		definitions: map[string]*ast.Definition{},
		fields:      map[*Field]*ast.FieldDefinition{},
		catalogue: &Catalogue{
			Levels: settings.Levels,
			Types:  map[string]*Type{}, Abstracts: map[string]*Abstract{},
			Enums: map[string]*EnumType{}, Roots: map[string]*Root{},
		},
	}
	doc, err := parser.ParseSchema(&ast.Source{Name: "directives.graphqls", Input: directivesSDL})
	if err != nil {
		panic("schema: the embedded directives do not parse: " + err.Error())
	}
	for _, d := range doc.Directives {
		l.directives[d.Name] = d
	}
	for _, d := range doc.Definitions {
		if d.Kind == ast.Enum {
			for _, v := range d.EnumValues {
				l.values[d.Name] = append(l.values[d.Name], v.Name)
			}
		}
	}
	// The one standard directive that the language takes over.
	l.directives["deprecated"] = &ast.DirectiveDefinition{
		Name:      "deprecated",
		Arguments: ast.ArgumentDefinitionList{{Name: "reason", Type: ast.NamedType("String", nil)}},
		Locations: []ast.DirectiveLocation{ast.LocationFieldDefinition, ast.LocationEnumValue},
	}
	return l
}

func (l *linter) errorf(at Position, code, format string, args ...any) {
	l.found.add(at, code, fmt.Sprintf(format, args...), "")
}

// suggest is errorf with what to do about it.
func (l *linter) suggest(at Position, code, suggestion, format string, args ...any) {
	l.found.add(at, code, fmt.Sprintf(format, args...), suggestion)
}

// place is the position of a parsed thing.
func place(p *ast.Position) Position {
	if p == nil {
		return Position{}
	}
	at := Position{Line: p.Line, Column: p.Column}
	if p.Src == nil {
		return at
	}
	at.File = p.Src.Name
	if at.Column < 1 {
		// The lexer gives a block string the line it ends on.
		at.Line, at.Column = lineAndColumn(p.Src.Input, p.Start)
	}
	return at
}

// lineAndColumn finds the place of a rune.
func lineAndColumn(text string, offset int) (line, column int) {
	line, column = 1, 1
	for _, r := range text {
		if offset == 0 {
			break
		}
		offset--
		column++
		if r == '\n' {
			line, column = line+1, 1
		}
	}
	return line, column
}

// parse reads each file by itself, so that a broken one hides nothing that is
// wrong with the others.
func (l *linter) parse(files []File) {
	for _, f := range files {
		if at, ok := f.UTF8(); !ok {
			l.suggest(at, codeSyntax, "save the file as UTF-8", "the file is not UTF-8")
			l.lose(f.Text)
			continue
		}
		// A mark of the byte order is no character of the first line.
		text := strings.TrimPrefix(f.Text, "\ufeff")
		doc, err := parser.ParseSchema(&ast.Source{Name: f.Name, Input: text})
		if err == nil {
			l.documents = append(l.documents, doc)
			continue
		}
		at := Position{File: f.Name, Line: 1, Column: 1}
		message, suggestion := err.Error(), ""
		var syntax *gqlerror.Error
		if errors.As(err, &syntax) {
			message = syntax.Message
			if len(syntax.Locations) > 0 {
				at.Line, at.Column = syntax.Locations[0].Line, max(1, syntax.Locations[0].Column)
			}
			if broken, remedy := brokenToken(text, at); broken != "" {
				message, suggestion = broken, remedy
			}
		}
		l.suggest(at, codeSyntax, suggestion, "%s", sentence(message))
		l.lose(f.Text)
	}
}

// brokenToken says why the text at a place is no token, where the parser only
// found that it is none, and what to do; "" when it is one.
func brokenToken(text string, at Position) (message, suggestion string) {
	lex := lexer.New(&ast.Source{Input: text})
	tok, err := lex.ReadToken()
	for err == nil && tok.Kind != lexer.EOF {
		tok, err = lex.ReadToken()
	}
	var broken *gqlerror.Error
	if !errors.As(err, &broken) || tok.Pos.Line != at.Line || max(1, tok.Pos.Column) != at.Column {
		return "", ""
	}
	// The lexer quotes the rest of the file behind some escapes.
	message, _, _ = strings.Cut(strings.TrimSuffix(broken.Message, "."), "\n")
	if r := []rune(message); len(r) > maxSuggestion {
		message = string(r[:maxSuggestion]) + "…"
	}
	if c := runeAt(text, tok.Pos.Start); c > unicode.MaxASCII {
		message = fmt.Sprintf("the character %q cannot stand here", c)
		suggestion = "names are made of a-z, A-Z, 0-9 and _, and signs and blanks are those of ASCII; others stand in strings and comments alone"
	}
	return message, suggestion
}

func runeAt(text string, offset int) rune {
	for _, r := range text {
		if offset == 0 {
			return r
		}
		offset--
	}
	return 0
}

// lose notes what a file that does not parse seems to declare.
func (l *linter) lose(text string) {
	declaration := regexp.MustCompile(`(?m)^\s*(?:type|interface|union|enum|scalar|input)\s+([_A-Za-z][_0-9A-Za-z]*)`)
	for _, m := range declaration.FindAllStringSubmatch(text, -1) {
		l.lost[m[1]] = true
	}
}

// sentence begins a foreign message in lower case, as ours do.
func sentence(s string) string {
	if len(s) > 1 && isUpper(s[0]) && isLower(s[1]) {
		return strings.ToLower(s[:1]) + s[1:]
	}
	return s
}

// declare takes in the declarations: names, kinds, enums.
func (l *linter) declare() {
	for _, doc := range l.documents {
		l.refuse(doc)
		for _, d := range doc.Definitions {
			at := place(d.Position)
			switch d.Kind {
			case ast.Object, ast.Interface, ast.Union, ast.Enum:
			case ast.Scalar:
				l.suggest(at, codeNotAllowed, "the scalars are "+strings.Join(knownScalars(), ", "), "scalar %s cannot be declared", d.Name)
				continue
			default:
				l.errorf(at, codeNotAllowed, "input %s cannot be declared; inputs are generated", d.Name)
				continue
			}
			if reservedType(d.Name) {
				l.errorf(at, codeReservedName, "the name %s is reserved", d.Name)
				continue
			}
			if first, twice := l.definitions[d.Name]; twice {
				p := place(first.Position)
				l.errorf(at, codeDuplicateType, "%s is declared already, in %s:%d", d.Name, p.File, p.Line)
				continue
			}
			l.definitions[d.Name] = d
			l.order = append(l.order, d)
		}
	}
	for _, d := range l.order {
		l.checkDirectives(d.Directives, ast.DirectiveLocation(d.Kind))
		if d.Kind == ast.Enum {
			l.declareEnum(d)
		}
	}
}

// refuse reports what SDL can say and the schema language does not.
func (l *linter) refuse(doc *ast.SchemaDocument) {
	for _, d := range doc.Schema {
		l.errorf(place(d.Position), codeNotAllowed, "schema cannot be declared; the root types are generated")
	}
	for _, d := range doc.SchemaExtension {
		l.errorf(place(d.Position), codeNotAllowed, "schema cannot be extended; the root types are generated")
	}
	for _, d := range doc.Directives {
		l.errorf(place(d.Position), codeNotAllowed, "directive @%s cannot be declared", d.Name)
	}
	for _, d := range doc.DirectiveExtensions {
		l.errorf(place(d.Position), codeNotAllowed, "directive @%s cannot be extended", d.Name)
	}
	for _, d := range doc.Extensions {
		l.suggest(place(d.Position), codeNotAllowed, "write it where the type is declared: a type has one owner", "%s cannot be extended", d.Name)
	}
}

func (l *linter) declareEnum(d *ast.Definition) {
	e := &EnumType{Name: d.Name, Description: d.Description}
	if len(d.EnumValues) == 0 {
		l.errorf(place(d.Position), codeEmptyType, "enum %s has no values", d.Name)
	}
	for _, v := range d.EnumValues {
		switch at := place(v.Position); {
		case e.Has(v.Name):
			l.errorf(at, codeDuplicateValue, "enum %s has the value %s already", d.Name, v.Name)
		case v.Name == "true" || v.Name == "false" || v.Name == "null" || strings.HasPrefix(v.Name, "__"):
			l.errorf(at, codeReservedName, "%s cannot be a value of an enum", v.Name)
		}
		l.checkDirectives(v.Directives, ast.LocationEnumValue)
		e.Values = append(e.Values, v.Name)
	}
	l.catalogue.Enums[d.Name] = e
}

// knownScalars lists the scalars that a field may have.
func knownScalars() []string { return scalarNames[:Enum] }

// scalarNamed finds a scalar by its GraphQL name; enums are none.
func scalarNamed(name string) (Scalar, bool) {
	for s := String; s < Enum; s++ {
		if scalarNames[s] == name {
			return s, true
		}
	}
	return 0, false
}

func isScalar(name string) bool {
	_, ok := scalarNamed(name)
	return ok
}

// reservedType reports names that the language itself uses, or GraphQL does.
func reservedType(name string) bool {
	switch name {
	case "Query", "Mutation", "Subscription", "Order", "PageInfo":
		return true
	}
	return isScalar(name) || strings.HasPrefix(name, "_")
}

// knownTypes lists the names that a field's type may have.
func (l *linter) knownTypes() []string {
	return append(knownScalars()[:Enum:Enum], sortedKeys(l.definitions)...)
}

func (l *linter) unknownType(at Position, name string) {
	if l.lost[name] {
		return
	}
	l.suggest(at, codeUnknownType, didYouMean(name, l.knownTypes(), quoted), "there is no type %s", name)
}
