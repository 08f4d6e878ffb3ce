package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// maxDepth bounds how deep the file may nest; the configuration needs seven. The
// parser takes quadratic time for what nests.
const maxDepth = 32

// depth tells of a file that nests too deep, before it is parsed.
func depth(name string, tokens token.Tokens) error {
	brackets, dashes, line := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, dashes = t.Position.Line, 0
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			brackets++
		case token.SequenceEndType, token.MappingEndType:
			brackets--
		case token.SequenceEntryType, token.MappingKeyType, token.AnchorType, token.TagType:
			dashes++ // in blocks, several begin on one line
		default:
		}
		if brackets > maxDepth || dashes > maxDepth && brackets == 0 {
			return Errors{{File: name, Line: t.Position.Line, Column: t.Position.Column, Message: fmt.Sprintf("nested more than %d deep", maxDepth)}}
		}
	}
	return nil
}

// shape holds a document to the type that it is decoded into. The YAML library
// stops at the first fault, speaks of Go's types, and drops a whole mapping in
// silence when one of its keys is no text.
type shape struct {
	file    string
	anchors map[string]ast.Node
	seen    map[aliased]bool
	found   Errors
}

// aliased is a value that an alias stands for, as what it is taken there.
type aliased struct {
	node ast.Node
	as   reflect.Type
}

// shapeOf gives all faults of a document's form.
func shapeOf(name string, body ast.Node) Errors {
	s := &shape{file: name, anchors: map[string]ast.Node{}, seen: map[aliased]bool{}}
	s.check(body, reflect.TypeFor[Config](), "")
	return s.found
}

func (s *shape) add(at ast.Node, key, message, remedy string) {
	p := Problem{File: s.file, Key: key, Message: message, Remedy: remedy}
	if t := at.GetToken(); t != nil && t.Position != nil {
		p.Line, p.Column = t.Position.Line, t.Position.Column
	}
	s.found = append(s.found, p)
}

// check holds a value to a type; what is null stands for the default.
func (s *shape) check(n ast.Node, as reflect.Type, key string) {
	switch v := n.(type) {
	case nil, *ast.NullNode:
		return
	case *ast.AnchorNode:
		s.check(v.Value, as, key)
		s.anchors[v.Name.GetToken().Value] = v.Value // not before: nothing holds itself
		return
	case *ast.TagNode:
		s.check(v.Value, as, key)
		return
	case *ast.AliasNode:
		name := v.Value.GetToken().Value
		value, ok := s.anchors[name]
		if !ok {
			s.add(n, key, fmt.Sprintf("no anchor %q stands before this alias", name), "")
			return
		}
		if at := (aliased{value, as}); !s.seen[at] {
			s.seen[at] = true
			s.check(value, as, key)
		}
		return
	}
	switch {
	case as == reflect.TypeFor[Secret]():
		s.secret(n, key)
	case as == reflect.TypeFor[time.Duration]():
		text, ok := n.(*ast.StringNode)
		if ok {
			_, err := time.ParseDuration(text.Value)
			ok = err == nil
		}
		if !ok {
			s.add(n, key, "not a length of time", "a number with its unit, such as 500ms, 30s or 24h")
		}
	case as.Kind() == reflect.Pointer:
		s.check(n, as.Elem(), key)
	case as.Kind() == reflect.Struct, as.Kind() == reflect.Map:
		s.mapping(n, as, key)
	case as.Kind() == reflect.Slice:
		list, ok := n.(*ast.SequenceNode)
		if !ok {
			s.mismatch(n, key, "a list")
			return
		}
		for _, v := range list.Values {
			s.check(v, as.Elem(), key)
		}
	default:
		s.scalar(n, as.Kind(), key)
	}
}

func (s *shape) scalar(n ast.Node, as reflect.Kind, key string) {
	switch as {
	case reflect.Bool:
		if _, ok := n.(*ast.BoolNode); !ok {
			s.mismatch(n, key, "true or false")
		}
	case reflect.Int:
		if !isInt(n) {
			s.mismatch(n, key, "a whole number")
		}
	default:
		if _, ok := n.(ast.ScalarNode); !ok {
			s.mismatch(n, key, "a text")
		}
	}
}

// isInt holds for a number without a fraction, quoted ones too.
func isInt(n ast.Node) bool {
	switch v := n.(type) {
	case *ast.IntegerNode:
		switch i := v.Value.(type) {
		case int64:
			return int64(int(i)) == i
		case uint64:
			return i <= uint64(^uint(0)>>1)
		}
	case *ast.StringNode:
		_, err := strconv.Atoi(v.Value)
		return err == nil
	}
	return false
}

// secret takes a text, or a file's name under file.
func (s *shape) secret(n ast.Node, key string) {
	if _, ok := n.(ast.ScalarNode); ok {
		return
	}
	entries, ok := entriesOf(n)
	if ok && len(entries) == 1 && isText(entries[0].Key) && entries[0].Key.GetToken().Value == "file" {
		if file, ok := entries[0].Value.(*ast.StringNode); ok && file.Value != "" {
			return
		}
	}
	s.add(n, key, errSecretForm.Error(), "")
}

// mapping holds the keys of a mapping to the fields of a struct, or to those of
// a map, which are free.
func (s *shape) mapping(n ast.Node, as reflect.Type, key string) {
	entries, ok := entriesOf(n)
	if !ok {
		s.mismatch(n, key, "a mapping of keys to values")
		return
	}
	for _, e := range entries {
		if e.Key.IsMergeKey() {
			s.check(e.Value, as, key)
			continue
		}
		if !isText(e.Key) {
			s.add(e.Key, key, "a key that is no plain text", "names begin with a letter; put what YAML takes for something else into quotes")
			continue
		}
		name := e.Key.GetToken().Value
		below := strings.TrimPrefix(key+"."+name, ".")
		if as.Kind() == reflect.Map {
			s.check(e.Value, as.Elem(), below)
			continue
		}
		field, known := fieldOf(as, name)
		if !known {
			s.add(e.Key, "", fmt.Sprintf("unknown key %q", name), "docs/operators.md lists the keys")
			continue
		}
		s.check(e.Value, field, below)
	}
}

func isText(key ast.Node) bool {
	_, ok := key.(*ast.StringNode)
	return ok
}

func entriesOf(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch v := n.(type) {
	case *ast.MappingNode:
		return v.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{v}, true
	}
	return nil, false
}

// fieldOf is the type of the field that a key is decoded into.
func fieldOf(t reflect.Type, key string) (reflect.Type, bool) {
	for i := range t.NumField() {
		if f := t.Field(i); f.Tag.Get("yaml") == key {
			return f.Type, true
		}
	}
	return nil, false
}

// mismatch never says what the value is: it may be a secret in a wrong place.
func (s *shape) mismatch(n ast.Node, key, want string) {
	is := "something else"
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		is = "a mapping"
	case *ast.SequenceNode:
		is = "a list"
	case *ast.StringNode, *ast.LiteralNode:
		is = "a text"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		is = "a number"
		if want == "a whole number" {
			is = "a number with a fraction, or out of range,"
		}
	case *ast.BoolNode:
		is = "true or false"
	}
	s.add(n, key, fmt.Sprintf("%s stands where %s is expected", is, want), "")
}
