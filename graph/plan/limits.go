package plan

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/lexer"
)

// maxNesting bounds brackets within brackets, whatever they hold: every
// recursion over a document is then shallow. Deeper selections are refused by
// Limits.Depth anyway; this is for inline fragments, literals and types.
const maxNesting = 128

// maxName bounds a name, far above what people and generators write: a record
// keeps an operation's, and refuses a text of more than four times that.
const maxName = 1 << 10

// scanTokens counts tokens and nesting before anything is parsed. It refuses
// text that is not UTF-8 and escapes of half a surrogate pair, which the lexer
// would replace in silence: a key must reach its source as it was written.
func scanTokens(text string, limits Limits) *Error {
	if !utf8.ValidString(text) {
		return &Error{Code: GraphQLParseFailed, Message: "syntax error: the document is not UTF-8"}
	}
	lex := lexer.New(&ast.Source{Input: text})
	nesting := 0
	var at offset
	for n := 0; ; n++ {
		tok, err := lex.ReadToken()
		if err != nil {
			return syntaxError(text, err)
		}
		if tok.Kind == lexer.EOF {
			return nil
		}
		if n >= limits.Tokens {
			return exceeded(limits.Tokens, "tokens", &tok.Pos)
		}
		switch tok.Kind {
		case lexer.BraceL, lexer.BracketL, lexer.ParenL:
			if nesting++; nesting > maxNesting {
				return exceeded(maxNesting, "levels of brackets", &tok.Pos)
			}
		case lexer.BraceR, lexer.BracketR, lexer.ParenR:
			nesting--
		case lexer.Name:
			if len(tok.Value) > maxName {
				return exceeded(maxName, "letters in a name", &tok.Pos)
			}
		case lexer.String:
			// The lexer gives U+FFFD for half a pair; the text may hold it too.
			if strings.ContainsRune(tok.Value, utf8.RuneError) && halfSurrogate(at.slice(text, tok.Pos.Start, tok.Pos.End)) {
				return &Error{
					Code: GraphQLParseFailed, Message: "syntax error: half a surrogate pair",
					Locations: locations(&tok.Pos),
				}
			}
		}
	}
}

// offset walks a text forward and turns the lexer's offsets, which count runes,
// into bytes.
type offset struct{ runes, bytes int }

func (o *offset) to(text string, runes int) int {
	for o.runes < runes && o.bytes < len(text) {
		_, w := utf8.DecodeRuneInString(text[o.bytes:])
		o.bytes += w
		o.runes++
	}
	return o.bytes
}

func (o *offset) slice(text string, from, to int) string {
	start := o.to(text, from)
	return text[start:o.to(text, to)]
}

// halfSurrogate reports whether a string literal escapes a surrogate that is
// not one of a pair.
func halfSurrogate(raw string) bool {
	for i := 0; i+1 < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		i++
		if raw[i] != 'u' || i+4 >= len(raw) || raw[i+1] == '{' {
			continue
		}
		switch first := strings.ToLower(raw[i+1 : i+3]); {
		case first >= "d8" && first <= "db":
			low := i + 5
			if low+5 >= len(raw) || raw[low] != '\\' || raw[low+1] != 'u' {
				return true
			}
			if second := strings.ToLower(raw[low+2 : low+4]); second < "dc" || second > "df" {
				return true
			}
			i = low + 5
		case first >= "dc" && first <= "df":
			return true
		}
	}
	return false
}

// tokenAt describes the token at a place for people, without a literal's value.
// "" when there is none, as within a broken token.
func tokenAt(text string, at Location) string {
	lex := lexer.New(&ast.Source{Input: text})
	for {
		tok, err := lex.ReadToken()
		if err != nil || tok.Pos.Line > at.Line {
			return ""
		}
		if tok.Kind == lexer.EOF {
			return "end of the document"
		}
		if tok.Pos.Line != at.Line || tok.Pos.Column != at.Column {
			continue
		}
		switch tok.Kind {
		case lexer.Name:
			if len(tok.Value) > maxMessage/4 {
				return "name"
			}
			return fmt.Sprintf("name %q", tok.Value)
		case lexer.Int, lexer.Float, lexer.String, lexer.BlockString, lexer.Comment, lexer.Invalid:
			return strings.ToLower(tok.Kind.Name())
		default:
			return fmt.Sprintf("%q", tok.Kind.String())
		}
	}
}

// checkShape holds a parsed document to the limits, before validation. Its work
// is linear in the document plus Limits.Selections: fragments are measured once
// each, and only what the measure found small enough is expanded.
func checkShape(q *ast.QueryDocument, limits Limits) *Error {
	if len(q.Fragments) > limits.Fragments {
		return exceeded(limits.Fragments, "fragments", q.Fragments[limits.Fragments].Position)
	}
	s := &documentShape{limits: limits, fragments: make(map[string]*ast.FragmentDefinition, len(q.Fragments))}
	for _, f := range q.Fragments {
		// The first of two with one name, as the validator does before it
		// refuses the second.
		if s.fragments[f.Name] == nil {
			s.fragments[f.Name] = f
		}
	}
	s.sizes = make(map[string]int, len(q.Fragments))
	return s.check(q)
}

// documentShape is the state of one check.
type documentShape struct {
	limits     Limits
	fragments  map[string]*ast.FragmentDefinition
	sizes      map[string]int // expanded selections per fragment; measuring while in progress
	directives int
	aliases    int
}

// measuring marks a fragment whose size is being taken.
const measuring = -1

func (s *documentShape) check(q *ast.QueryDocument) *Error {
	for _, op := range q.Operations {
		if err := s.scanOperation(op); err != nil {
			return err
		}
	}
	for _, f := range q.Fragments {
		if err := s.scanNode(f.Directives, f.Position); err != nil {
			return err
		}
		if err := s.scanSelections(f.SelectionSet); err != nil {
			return err
		}
	}
	// Fragments that nothing spreads are measured too: the validator walks them.
	for _, f := range q.Fragments {
		if n, err := s.fragmentSize(f); err != nil {
			return err
		} else if n > s.limits.Selections {
			return exceeded(s.limits.Selections, "selections", f.Position)
		}
	}
	total := 0
	for _, op := range q.Operations {
		n, err := s.size(op.SelectionSet)
		if err != nil {
			return err
		}
		if total += n; total > s.limits.Selections {
			return exceeded(s.limits.Selections, "selections", op.Position)
		}
	}
	for _, op := range q.Operations {
		s.aliases = 0
		if err := s.expand([]ast.SelectionSet{op.SelectionSet}, 1, 0); err != nil {
			return err
		}
	}
	return nil
}

// scanOperation and the scans below it count what is counted as written:
// directives, and the depth and length of literals.
func (s *documentShape) scanOperation(op *ast.OperationDefinition) *Error {
	for _, v := range op.VariableDefinitions {
		if v.DefaultValue != nil {
			if err := s.scanValue(v.DefaultValue, 1); err != nil {
				return err
			}
		}
		if err := s.scanNode(v.Directives, v.Position); err != nil {
			return err
		}
	}
	if err := s.scanNode(op.Directives, op.Position); err != nil {
		return err
	}
	return s.scanSelections(op.SelectionSet)
}

func (s *documentShape) scanSelections(set ast.SelectionSet) *Error {
	for _, sel := range set {
		var err *Error
		switch sel := sel.(type) {
		case *ast.Field:
			if err = s.scanArguments(sel.Arguments); err == nil {
				err = s.scanNode(sel.Directives, sel.Position)
			}
			if err == nil {
				err = s.scanSelections(sel.SelectionSet)
			}
		case *ast.InlineFragment:
			if err = s.scanNode(sel.Directives, sel.Position); err == nil {
				err = s.scanSelections(sel.SelectionSet)
			}
		case *ast.FragmentSpread:
			err = s.scanNode(sel.Directives, sel.Position)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *documentShape) scanNode(ds ast.DirectiveList, at *ast.Position) *Error {
	if len(ds) > s.limits.DirectivesPerNode {
		return exceeded(s.limits.DirectivesPerNode, "directives at one place", at)
	}
	if s.directives += len(ds); s.directives > s.limits.Directives {
		return exceeded(s.limits.Directives, "directives", at)
	}
	for _, d := range ds {
		if err := s.scanArguments(d.Arguments); err != nil {
			return err
		}
	}
	return nil
}

func (s *documentShape) scanArguments(args ast.ArgumentList) *Error {
	for _, a := range args {
		if err := s.scanValue(a.Value, 1); err != nil {
			return err
		}
	}
	return nil
}

func (s *documentShape) scanValue(v *ast.Value, depth int) *Error {
	if len(v.Children) == 0 {
		return nil
	}
	if depth > s.limits.VariableDepth {
		return exceeded(s.limits.VariableDepth, "levels in a value", v.Position)
	}
	if v.Kind == ast.ListValue && len(v.Children) > s.limits.ListItems {
		return exceeded(s.limits.ListItems, "items in a list", v.Position)
	}
	for _, c := range v.Children {
		if err := s.scanValue(c.Value, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// size counts the selections of a set with all fragments expanded. It never
// grows much beyond the limit, so it cannot overflow.
func (s *documentShape) size(set ast.SelectionSet) (int, *Error) {
	n := 0
	for _, sel := range set {
		var more int
		var err *Error
		switch sel := sel.(type) {
		case *ast.Field:
			more, err = s.size(sel.SelectionSet)
		case *ast.InlineFragment:
			more, err = s.size(sel.SelectionSet)
		case *ast.FragmentSpread:
			if f := s.fragments[sel.Name]; f != nil {
				more, err = s.fragmentSize(f)
			}
		}
		if err != nil {
			return 0, err
		}
		n = min(n+1+more, s.limits.Selections+1)
	}
	return n, nil
}

func (s *documentShape) fragmentSize(f *ast.FragmentDefinition) (int, *Error) {
	switch n, known := s.sizes[f.Name]; {
	case n == measuring:
		return 0, &Error{
			Code:    GraphQLValidationFailed,
			Message: fmt.Sprintf("Cannot spread fragment %q within itself.", shorten(f.Name)), Locations: locations(f.Position),
		}
	case known:
		return n, nil
	}
	s.sizes[f.Name] = measuring
	n, err := s.size(f.SelectionSet)
	if err != nil {
		return 0, err
	}
	s.sizes[f.Name] = n
	return n, nil
}

// expand walks the fields of one level of the answer, fields of one response
// key merged, type conditions ignored: what it counts is an upper bound over all
// types. depth counts from 1 at the root; inside is the depth within
// introspection, 0 outside.
func (s *documentShape) expand(sets []ast.SelectionSet, depth, inside int) *Error {
	level := &answerLevel{fields: make(map[string][]*ast.Field)}
	for _, set := range sets {
		if err := s.collect(set, level); err != nil {
			return err
		}
	}
	if depth == 1 && len(level.keys) > s.limits.Roots {
		return exceeded(s.limits.Roots, "root fields", level.fields[level.keys[s.limits.Roots]][0].Position)
	}
	for _, key := range level.keys {
		fields := level.fields[key]
		in := inside
		if in > 0 || fields[0].Name == "__schema" || fields[0].Name == "__type" {
			if in++; in > s.limits.IntrospectionDepth {
				return exceeded(s.limits.IntrospectionDepth, "levels of introspection", fields[0].Position)
			}
		} else if depth > s.limits.Depth {
			return exceeded(s.limits.Depth, "levels", fields[0].Position)
		}
		var below []ast.SelectionSet
		for _, f := range fields {
			if len(f.SelectionSet) > 0 {
				below = append(below, f.SelectionSet)
			}
		}
		if len(below) == 0 {
			continue
		}
		if err := s.expand(below, depth+1, in); err != nil {
			return err
		}
	}
	return nil
}

// answerLevel is the fields of one level by response key, keys in document order.
type answerLevel struct {
	keys   []string
	fields map[string][]*ast.Field
}

func (s *documentShape) collect(set ast.SelectionSet, into *answerLevel) *Error {
	for _, sel := range set {
		var err *Error
		switch sel := sel.(type) {
		case *ast.Field:
			if sel.Alias != sel.Name {
				if s.aliases++; s.aliases > s.limits.Aliases {
					return exceeded(s.limits.Aliases, "aliases", sel.Position)
				}
			}
			fields := into.fields[sel.Alias]
			if fields == nil {
				into.keys = append(into.keys, sel.Alias)
			}
			if len(fields) >= s.limits.FieldsPerKey {
				return exceeded(s.limits.FieldsPerKey, "fields with one response key", sel.Position)
			}
			into.fields[sel.Alias] = append(fields, sel)
		case *ast.InlineFragment:
			err = s.collect(sel.SelectionSet, into)
		case *ast.FragmentSpread:
			if f := s.fragments[sel.Name]; f != nil {
				err = s.collect(f.SelectionSet, into)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// shorten keeps a name of the client's within a message's bounds.
func shorten(name string) string {
	if len(name) > maxMessage/4 {
		return name[:maxMessage/4] + "…"
	}
	return name
}

func exceeded(limit int, what string, at *ast.Position) *Error {
	return &Error{
		Code: LimitExceeded, Message: fmt.Sprintf("the document has more than %d %s", limit, what),
		Locations: locations(at),
	}
}
