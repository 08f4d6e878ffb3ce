package plan

import (
	"slices"
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/weir-data/weir/schema"
)

// input is an argument's value or a part of it: a literal, or a place in a
// coerced variable. What of a variable is read here is its structure, which the
// skeleton keeps; its scalars become Values.
type input struct {
	b *builder
	// literal is nil for a variable's part.
	literal  *ast.Value
	variable string
	path     []any
	value    any
	state    presence
	position *ast.Position
}

type presence uint8

const (
	absent presence = iota
	null
	present
)

// argument gives a field's argument as written or as the variable has it.
// Defaults of arguments are not applied: their users know them.
func (b *builder) argument(f *ast.Field, name string) input {
	a := f.Arguments.ForName(name)
	if a == nil {
		return input{b: b, position: f.Position}
	}
	return b.input(a.Value)
}

func (b *builder) input(v *ast.Value) input {
	switch {
	case v == nil:
		return input{b: b}
	case v.Kind == ast.Variable:
		val, ok := b.req.Variables[v.Raw]
		return b.variableInput(v.Raw, nil, val, ok, v.Position)
	case v.Kind == ast.NullValue:
		return input{b: b, literal: v, state: null, position: v.Position}
	default:
		return input{b: b, literal: v, state: present, position: v.Position}
	}
}

func (b *builder) variableInput(name string, path []any, val any, ok bool, pos *ast.Position) input {
	in := input{b: b, variable: name, path: path, value: val, position: pos}
	switch {
	case !ok:
	case val == nil:
		in.state = null
	default:
		in.state = present
	}
	return in
}

func (in input) step(key any, val any) input {
	path := append(slices.Clone(in.path), key)
	return in.b.variableInput(in.variable, path, val, true, in.position)
}

type member struct {
	name  string
	input input
}

// members gives an input object's fields: as written in a literal, by name in a
// variable, where they have no order. Absent ones are left out.
func (in input) members() []member {
	var out []member
	if in.literal != nil {
		for _, c := range in.literal.Children {
			if m := in.b.input(c.Value); m.state != absent {
				out = append(out, member{c.Name, m})
			}
		}
		return out
	}
	object, _ := in.value.(map[string]any)
	names := make([]string, 0, len(object))
	for n := range object {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		out = append(out, member{n, in.step(n, object[n])})
	}
	return out
}

// items gives a list's elements; a value that is not a list is a list of one.
func (in input) items() []input {
	if in.literal != nil {
		if in.literal.Kind != ast.ListValue {
			return []input{in}
		}
		out := make([]input, 0, len(in.literal.Children))
		for _, c := range in.literal.Children {
			out = append(out, in.b.input(c.Value))
		}
		return out
	}
	list, ok := in.value.([]any)
	if !ok {
		return []input{in}
	}
	out := make([]input, 0, len(list))
	for i, v := range list {
		out = append(out, in.step(i, v))
	}
	return out
}

// enum gives an enum's name, which the skeleton keeps.
func (in input) enum() string {
	if in.literal != nil {
		return in.literal.Raw
	}
	s, _ := in.value.(string)
	return s
}

// variables reports whether a list literal holds variables.
func (in input) variables() bool {
	return in.literal != nil && in.literal.Kind == ast.ListValue &&
		slices.ContainsFunc(in.literal.Children, func(c *ast.ChildValue) bool { return c.Value.Kind == ast.Variable })
}

// scalar makes the input a Value of a kind.
func (in input) scalar(kind schema.Scalar, list bool) (Value, error) {
	if in.literal == nil {
		return Value{From: FromVariable, Name: in.variable, Path: in.path, Kind: kind, List: list}, nil
	}
	arg, err := LiteralArg(in.literal, kind, list)
	if err != nil {
		return Value{}, err
	}
	return Value{From: FromConst, Const: arg, Kind: kind, List: list}, nil
}

// key is equal for Values that resolve alike in every request, and different
// for others.
func (v *Value) key() string {
	k := []byte{'0' + byte(v.From), 'a' + byte(v.Kind)}
	if v.List {
		k = append(k, '*')
	}
	part := func(s string) {
		k = strconv.AppendInt(k, int64(len(s)), 10)
		k = append(k, ':')
		k = append(k, s...)
	}
	switch v.From {
	case FromConst:
		switch {
		case v.Const.Null:
			k = append(k, 'N')
		case v.List:
			for _, s := range v.Const.List {
				part(s)
			}
		default:
			part(v.Const.Text)
		}
	case FromVariable, FromSubject:
		part(v.Name)
		for _, p := range v.Path {
			switch p := p.(type) {
			case string:
				part(p)
			case int:
				k = append(k, '#')
				k = strconv.AppendInt(k, int64(p), 10)
			}
		}
		if v.Default != nil {
			k = append(k, '=')
			part(v.Default.Text)
		}
	case FromCursor:
		k = strconv.AppendInt(k, int64(v.Index), 10)
	case FromSum:
		for i := range v.Terms {
			part(v.Terms[i].key())
		}
	}
	return string(k)
}
