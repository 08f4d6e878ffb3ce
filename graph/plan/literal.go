package plan

import (
	"strings"
	"unicode/utf8"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/weir-data/weir/schema"
)

// appendLiteral prints a default in GraphQL's syntax, in the form it has after
// coercion: a single value for a list as a list, fields in the type's order.
func appendLiteral(b []byte, v *ast.Value, t *ast.Type, api *ast.Schema) []byte {
	if v.Kind == ast.NullValue {
		return append(b, "null"...)
	}
	if t.Elem != nil {
		items := ast.ChildValueList{{Value: v}}
		if v.Kind == ast.ListValue {
			items = v.Children
		}
		b = append(b, '[')
		for k, item := range items {
			if k > 0 {
				b = append(b, ", "...)
			}
			b = appendLiteral(b, item.Value, t.Elem, api)
		}
		return append(b, ']')
	}
	def := api.Types[t.NamedType]
	if def != nil && def.Kind == ast.InputObject {
		return appendObjectLiteral(b, v, def, api)
	}
	switch v.Kind {
	case ast.StringValue, ast.BlockValue:
		return appendGraphQLString(b, v.Raw)
	case ast.FloatValue:
		if text, ok := schema.Float.Canonical(v.Raw); ok {
			return append(b, text...)
		}
	}
	return append(b, v.Raw...)
}

func appendObjectLiteral(b []byte, v *ast.Value, def *ast.Definition, api *ast.Schema) []byte {
	b = append(b, '{')
	first := true
	for _, f := range def.Fields {
		child := v.Children.ForName(f.Name)
		if child == nil {
			child = f.DefaultValue
		}
		if child == nil {
			continue
		}
		if !first {
			b = append(b, ", "...)
		}
		first = false
		b = append(append(b, f.Name...), ": "...)
		b = appendLiteral(b, child, f.Type, api)
	}
	return append(b, '}')
}

const hexDigits = "0123456789abcdef"

// appendJSONString quotes as JSON.stringify does.
func appendJSONString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\t':
			b = append(b, `\t`...)
		case r == '\r':
			b = append(b, `\r`...)
		case r == '\b':
			b = append(b, `\b`...)
		case r == '\f':
			b = append(b, `\f`...)
		case r < 0x20:
			b = append(b, `\u00`...)
			b = append(b, hexDigits[r>>4], hexDigits[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

// appendGraphQLString quotes as graphql-js prints strings: JSON's escapes, and
// the controls above ASCII in upper-case hexadecimals.
func appendGraphQLString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		if r < 0x20 && !strings.ContainsRune("\n\t\r\b\f", r) || r >= 0x7f && r < 0xa0 {
			b = append(b, `\u00`...)
			b = append(b, strings.ToUpper(hexDigits)[r>>4], strings.ToUpper(hexDigits)[r&15])
			continue
		}
		quoted := appendJSONString(nil, string(r))
		b = append(b, quoted[1:len(quoted)-1]...)
	}
	return append(b, '"')
}
