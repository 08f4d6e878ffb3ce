package policytest

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/schema"
)

// Words of the language.
const (
	wordAs         = "as"
	wordDepartment = "department"
	wordOpen       = "open"
	wordPurpose    = "purpose"
	wordWhen       = "when"

	none     = "none"
	nothing  = "nothing"
	unknown  = "unknown"
	withheld = "withheld"
	hidden   = "hidden"
)

// The codes of findings. They are stable.
const (
	codeEncoding   = "test-encoding"
	codeWord       = "test-unknown-word"
	codeEmpty      = "test-empty"
	codeOrder      = "test-no-reader"
	codeRole       = "test-unknown-role"
	codeDepartment = "test-unknown-department"
	codePurpose    = "test-unknown-purpose"
	codeScope      = "test-unknown-scope"
	codeCoordinate = "test-unknown-coordinate"
	codeTwice      = "test-stated-twice"
	codeNothing    = "test-states-nothing"
)

// block is one "when" of a reader and what is expected there.
type block struct {
	profile      authz.Profile
	scopes       map[string]authz.Truth
	expectations []expectation
}

func (b *block) truth(scope string) authz.Truth { return b.scopes[scope] }

// expectation is one line, its coordinates written out.
type expectation struct {
	position    schema.Position
	decision    string
	coordinates []schema.Coordinate
}

// Parse reads test files, whose words must be those of the subject. What cannot
// be read is a finding with its place; a suite whose findings
// [schema.Diagnostics.Failed] must not be run.
func Parse(files []schema.File, on Subject) (*Suite, schema.Diagnostics) {
	p := &parser{on: on, suite: &Suite{}}
	for _, f := range files {
		p.file(f)
	}
	p.found.Sort()
	return p.suite, p.found
}

// parser reads one file after the other.
type parser struct {
	on    Subject
	suite *Suite
	found schema.Diagnostics

	at      schema.Position
	profile authz.Profile
	started bool // a reader was named in this file
	lines   []line
	scopes  map[string]authz.Truth
}

// line is an expectation as written.
type line struct {
	position schema.Position
	decision string
	names    []word
}

// word is a word and its column.
type word struct {
	text   string
	column int
}

func (p *parser) fail(column int, code, suggestion, format string, args ...any) {
	at := p.at
	at.Column = column
	p.found = append(p.found, schema.Diagnostic{Position: at, Code: code, Message: fmt.Sprintf(format, args...), Suggestion: suggestion})
}

func (p *parser) file(f schema.File) {
	text := strings.TrimPrefix(f.Text, "\ufeff")
	p.at = schema.Position{File: f.Name, Line: 1, Column: 1}
	p.profile, p.started, p.lines, p.scopes = authz.Profile{}, false, nil, nil
	if at, ok := f.UTF8(); !ok {
		p.at = at
		p.fail(at.Column, codeEncoding, "save the file as UTF-8", "the file is not UTF-8")
		return
	}
	before := len(p.suite.blocks) + len(p.found)
	for n, l := range strings.Split(text, "\n") {
		p.at.Line = n + 1
		l, _, _ = strings.Cut(strings.TrimSuffix(l, "\r"), "#")
		p.line(l)
	}
	p.endBlock()
	if len(p.suite.blocks)+len(p.found) == before {
		p.at.Line = 1
		p.fail(1, codeNothing, "write as ROLE, and below it what the role is to get", "the file expects nothing")
	}
}

// line reads one line: its first word says what it is.
func (p *parser) line(text string) {
	rest := strings.TrimLeft(text, " \t")
	if rest == "" {
		return
	}
	column := utf8.RuneCountInString(text) - utf8.RuneCountInString(rest) + 1
	first, rest, _ := strings.Cut(rest, " ")
	if i := strings.IndexByte(first, '\t'); i >= 0 {
		first, rest = first[:i], first[i+1:]+" "+rest
	}
	first = strings.TrimRight(first, " \t")
	values := list(rest, column+utf8.RuneCountInString(first)+1)
	if len(values) == 0 {
		p.fail(column, codeEmpty, "", "nothing follows %q", first)
		return
	}
	for _, v := range values {
		if v.text == "" {
			p.fail(v.column, codeEmpty, "remove a comma", "a value is empty")
			return
		}
	}
	if first != wordAs && !p.started {
		p.fail(column, codeOrder, "begin with: as ROLE", "%q stands before any reader", first)
		p.started = true // said once
		return
	}
	switch first {
	case wordAs:
		p.as(values)
	case wordDepartment:
		p.department(column, values)
	case wordOpen:
		p.endBlock()
		p.profile.Purposes = p.purposes(values)
	case wordPurpose:
		p.purpose(column, values)
	case wordWhen:
		p.when(values)
	default:
		p.expect(word{first, column}, values)
	}
}

// list splits at commas and remembers columns.
func list(s string, column int) []word {
	if strings.TrimSpace(s) == "" {
		return nil
	}
	var out []word
	for _, part := range strings.Split(s, ",") {
		left := strings.TrimLeft(part, " \t")
		out = append(out, word{
			strings.Join(strings.Fields(left), " "),
			column + utf8.RuneCountInString(part) - utf8.RuneCountInString(left),
		})
		column += utf8.RuneCountInString(part) + 1
	}
	return out
}

func (p *parser) as(values []word) {
	p.endBlock()
	p.started, p.scopes = true, nil
	p.profile = authz.Profile{Purposes: slices.Clone(p.on.Purposes)}
	known := append(p.on.Table.Roles(), p.on.Roles...)
	for _, v := range values {
		if !slices.Contains(known, v.text) {
			p.fail(v.column, codeRole, schema.DidYouMean(v.text, known...), "the policy knows no role %q", v.text)
			continue
		}
		p.profile.Roles = append(p.profile.Roles, v.text)
	}
}

// department takes any name: readers may be of departments that offer nothing.
func (p *parser) department(column int, values []word) {
	p.endBlock()
	if len(values) != 1 || strings.Contains(values[0].text, " ") {
		p.fail(column, codeDepartment, "write department NAME, or department none", "a reader is of one department")
		return
	}
	p.profile.Department = values[0].text
	if values[0].text == none {
		p.profile.Department = ""
	}
}

func (p *parser) purposes(values []word) []string {
	var out []string
	for _, v := range values {
		switch {
		case v.text == none && len(values) == 1:
		case !slices.Contains(p.on.Purposes, v.text):
			p.fail(v.column, codePurpose, schema.DidYouMean(v.text, p.on.Purposes...), "purpose %q is not registered", v.text)
		default:
			out = append(out, v.text)
		}
	}
	slices.Sort(out)
	return out
}

func (p *parser) purpose(column int, values []word) {
	p.endBlock()
	p.profile.Purpose, p.scopes = "", nil
	if len(values) != 1 {
		p.fail(column, codePurpose, "write purpose NAME, or purpose none", "a request states one purpose")
		return
	}
	if open := p.purposes(values); len(open) == 1 {
		p.profile.Purpose = open[0]
	}
}

func (p *parser) when(values []word) {
	p.endBlock()
	p.scopes = map[string]authz.Truth{}
	if len(values) == 1 && values[0].text == nothing {
		return
	}
	known := []string{authz.ScopeByKey, authz.ScopeSelf}
	for _, t := range p.on.Catalogue.Types {
		for _, s := range t.Scopes {
			known = append(known, s.Name)
		}
	}
	slices.Sort(known)
	known = slices.Compact(known)
	for _, v := range values {
		name, rest, _ := strings.Cut(v.text, " ")
		truth := authz.True
		switch {
		case rest == unknown && name != authz.ScopeByKey:
			truth = authz.Unknown
		case rest != "":
			remedy := "write " + name + ", or " + name + " unknown"
			if name == authz.ScopeByKey {
				remedy = "write by_key, or leave it out: how a row was reached is always known"
			}
			p.fail(v.column, codeScope, remedy, "%q is not a state of a scope", v.text)
			continue
		}
		switch {
		case name == authz.ScopeAll:
			p.fail(v.column, codeScope, "leave it out", "all is always true")
		case name == authz.ScopeOwnDepartment:
			p.fail(v.column, codeScope, "write department NAME above", "own_department follows from the reader's department")
		case !slices.Contains(known, name):
			p.fail(v.column, codeScope, schema.DidYouMean(name, append(known, nothing)...), "no type declares scope %q", name)
		default:
			p.scopes[name] = truth
		}
	}
}

// expect keeps a line until its block is whole.
func (p *parser) expect(first word, values []word) {
	decision, ok := canonical(first.text)
	if !ok {
		p.fail(first.column, codeWord, schema.DidYouMean(first.text, wordAs, wordDepartment, wordOpen, wordPurpose, wordWhen,
			"clear", "mask", "aggregate", "match", withheld, hidden), "unknown word %q", first.text)
		return
	}
	at := p.at
	at.Column = first.column
	p.lines = append(p.lines, line{at, decision, values})
}

// canonical brings a decision to the form in which a table gives it.
func canonical(s string) (string, bool) {
	if s == withheld || s == hidden {
		return s, true
	}
	var caps authz.Caps
	for _, part := range strings.Split(s, "+") {
		switch part {
		case "clear":
			caps |= authz.Clear
		case "mask":
			caps |= authz.Mask
		case "aggregate":
			caps |= authz.Aggregate
		case "match":
			caps |= authz.Match
		default:
			return "", false
		}
	}
	return caps.Closure().String(), true
}

// endBlock writes the lines of a block out: names first, then Type.*, then *.
func (p *parser) endBlock() {
	lines := p.lines
	p.lines = nil
	if len(lines) == 0 || len(p.profile.Roles) == 0 {
		return
	}
	b := block{profile: p.profile, scopes: p.scopes}
	taken := map[schema.Coordinate]int{}
	b.expectations = make([]expectation, len(lines))
	for i, l := range lines {
		b.expectations[i] = expectation{position: l.position, decision: l.decision}
	}
	here := p.at
	for _, breadth := range [...]int{oneCoordinate, oneType, everything} {
		for i, l := range lines {
			p.at = l.position
			for _, name := range l.names {
				if breadthOf(name.text) == breadth {
					p.place(&b, i, name, breadth, taken)
				}
			}
		}
	}
	p.at = here
	p.suite.blocks = append(p.suite.blocks, b)
}

// Breadths of a name in an expectation.
const (
	oneCoordinate = iota
	oneType
	everything
)

func breadthOf(name string) int {
	switch {
	case name == "*":
		return everything
	case strings.HasSuffix(name, ".*"):
		return oneType
	default:
		return oneCoordinate
	}
}

// place gives line i of the block the coordinates of one of its names.
func (p *parser) place(b *block, i int, name word, breadth int, taken map[schema.Coordinate]int) {
	all, ok := p.resolve(name, breadth)
	if !ok {
		return
	}
	for _, at := range all {
		if other, ok := taken[at]; ok {
			if breadth == oneCoordinate {
				p.fail(name.column, codeTwice, "keep one", "%s is stated twice in this block, first on line %d", at, b.expectations[other].position.Line)
			}
			continue
		}
		taken[at] = i
		b.expectations[i].coordinates = append(b.expectations[i].coordinates, at)
	}
}

// rowName stands for the row, as in the policy.
const rowName = "_row"

func (p *parser) resolve(name word, breadth int) ([]schema.Coordinate, bool) {
	c := p.on.Catalogue
	if breadth == everything {
		return c.Coordinates(), true
	}
	typeName, field, dotted := strings.Cut(name.text, ".")
	t := c.Types[typeName]
	if t == nil {
		p.fail(name.column, codeCoordinate, schema.DidYouMean(typeName, c.TypeNames()...), "unknown type %q", typeName)
		return nil, false
	}
	if !dotted {
		p.fail(name.column, codeCoordinate, "write "+typeName+"._row for the row, "+typeName+".* for all of it", "%q names no field", name.text)
		return nil, false
	}
	if breadth == oneType {
		out := []schema.Coordinate{{Type: typeName}}
		for _, f := range t.Fields {
			out = append(out, f.Coordinate)
		}
		return out, true
	}
	if field == rowName {
		return []schema.Coordinate{{Type: typeName}}, true
	}
	if t.Field(field) == nil {
		known := []string{rowName}
		for _, f := range t.Fields {
			known = append(known, f.Name)
		}
		p.fail(name.column, codeCoordinate, schema.DidYouMean(field, known...), "type %q has no field %q", typeName, field)
		return nil, false
	}
	return []schema.Coordinate{{Type: typeName, Field: field}}, true
}
