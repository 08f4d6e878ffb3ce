package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/schema"
)

// A coerced value has one Go form per kind, wherever it came from:
//
//	null         nil
//	Boolean      bool
//	JSON         string: compact JSON text, object keys sorted
//	other scalar string: the text form of a cell, see adapters.Batch
//	enum         string: the value's name
//	list         []any
//	input object map[string]any: the fields stated and those with a default

// ErrLiteral says that a literal is not of its position's type. Validation has
// found that before; whoever meets it holds a tree that was not validated.
var ErrLiteral = errors.New("literal is not of the expected type")

// scalarKind finds a scalar by its GraphQL name; enums are none.
func scalarKind(name string) (schema.Scalar, bool) {
	for k := schema.String; k < schema.Enum; k++ {
		if k.String() == name {
			return k, true
		}
	}
	return 0, false
}

// scalarText gives the text form of a value of the kind from the text in which
// a client wrote it.
func scalarText(kind schema.Scalar, text string) (string, bool) {
	switch kind {
	case schema.Date:
		// Year 0 is no year of the calendar that the engines share.
		if !fits(text, "dddd-dd-dd") || strings.HasPrefix(text, "0000") {
			return "", false
		}
	case schema.DateTime:
		if !fitsDateTime(text) {
			return "", false
		}
	case schema.Time:
		if len(text) < len("15:04:05") || !fits(text[:8], "dd:dd:dd") || !fitsFraction(text[8:]) {
			return "", false
		}
	case schema.Decimal, schema.BigInt:
		if len(text) > maxDigits || strings.HasPrefix(text, "+") {
			return "", false
		}
	}
	return kind.Canonical(text)
}

// maxDigits bounds the text of a Decimal; no engine stores more by default.
const maxDigits = 1_000

// fits compares text with a pattern in which d stands for a digit.
func fits(text, pattern string) bool {
	if len(text) != len(pattern) {
		return false
	}
	for i := range len(text) {
		if pattern[i] == 'd' {
			if text[i] < '0' || text[i] > '9' {
				return false
			}
		} else if text[i] != pattern[i] {
			return false
		}
	}
	return true
}

// fitsDateTime holds to RFC 3339, section 5.6, upper case, where time.Parse is
// lenient: one-digit hours, offsets of 24 hours and more, fractions cut off.
func fitsDateTime(text string) bool {
	const seconds = "dddd-dd-ddTdd:dd:dd"
	if len(text) <= len(seconds) || !fits(text[:len(seconds)], seconds) {
		return false
	}
	rest := text[len(seconds):]
	if fraction, ok := strings.CutSuffix(rest, "Z"); ok {
		return fitsFraction(fraction)
	}
	const offset = "+dd:dd"
	if len(rest) < len(offset) {
		return false
	}
	fraction, zone := rest[:len(rest)-len(offset)], rest[len(rest)-len(offset):]
	return fitsFraction(fraction) && (fits(zone, offset) || fits(zone, "-dd:dd")) && zone[1:3] <= "23" && zone[4:] <= "59"
}

// fitsFraction takes "" or a point and up to six digits: microseconds are the
// finest that every engine keeps, and a rounded bound would compare wrongly.
func fitsFraction(text string) bool {
	return text == "" || len(text) > 1 && len(text) <= 7 && fits(text, ".dddddd"[:len(text)])
}

// literalScalar coerces a literal of the document. Variables are none.
func literalScalar(kind schema.Scalar, v *ast.Value) (any, bool) {
	if kind == schema.JSON {
		text, ok := appendJSONLiteral(nil, v)
		return string(text), ok
	}
	switch v.Kind {
	case ast.BooleanValue:
		return v.Raw == "true", kind == schema.Boolean
	case ast.StringValue, ast.BlockValue:
		switch kind {
		case schema.Int, schema.Float, schema.Boolean:
			return nil, false
		}
		return textOf(kind, v.Raw)
	case ast.IntValue:
		switch kind {
		case schema.Int, schema.Float, schema.ID, schema.BigInt, schema.Decimal:
			return textOf(kind, v.Raw)
		}
	case ast.FloatValue:
		if kind == schema.Float || kind == schema.Decimal {
			return textOf(kind, v.Raw)
		}
	}
	return nil, false
}

// jsonScalar coerces a value of decoded JSON, numbers as json.Number.
func jsonScalar(kind schema.Scalar, v any) (any, bool) {
	if kind == schema.JSON {
		return jsonText(v)
	}
	switch v := v.(type) {
	case bool:
		return v, kind == schema.Boolean
	case string:
		switch kind {
		case schema.Int, schema.Float, schema.Boolean:
			return nil, false
		}
		return textOf(kind, v)
	case json.Number:
		switch kind {
		case schema.Int, schema.ID:
			text, ok := integerText(string(v), kind)
			if !ok {
				return nil, false
			}
			return textOf(kind, text)
		case schema.Float, schema.BigInt, schema.Decimal:
			return textOf(kind, string(v))
		}
	}
	return nil, false
}

// textOf is scalarText with an untyped result, so that a refusal is nil.
func textOf(kind schema.Scalar, text string) (any, bool) {
	out, ok := scalarText(kind, text)
	if !ok {
		return nil, false
	}
	return out, true
}

// integerText reads a JSON number as JavaScript does, for which 1, 1.0 and 1e0
// are one number. A number written as an integer keeps its digits as an ID.
func integerText(number string, kind schema.Scalar) (string, bool) {
	if kind == schema.ID && !strings.ContainsAny(number, ".eE") && number != "-0" {
		return number, true
	}
	x, err := strconv.ParseFloat(number, 64)
	if err != nil || x != math.Trunc(x) || math.Abs(x) > 1<<53-1 {
		return "", false
	}
	return strconv.FormatInt(int64(x), 10), true
}

func jsonText(v any) (string, bool) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "", false
	}
	return strings.TrimSuffix(b.String(), "\n"), true
}

// appendJSONLiteral writes a literal as JSON. A variable inside it is refused:
// it would have no type to be checked against.
func appendJSONLiteral(b []byte, v *ast.Value) ([]byte, bool) {
	out, ok := untypedLiteral(v)
	if !ok {
		return b, false
	}
	text, ok := jsonText(out)
	return append(b, text...), ok
}

func untypedLiteral(v *ast.Value) (any, bool) {
	switch v.Kind {
	case ast.NullValue:
		return nil, true
	case ast.BooleanValue:
		return v.Raw == "true", true
	case ast.IntValue, ast.FloatValue:
		return json.Number(v.Raw), true
	case ast.StringValue, ast.BlockValue, ast.EnumValue:
		return v.Raw, true
	case ast.ListValue:
		out := make([]any, len(v.Children))
		for i, c := range v.Children {
			var ok bool
			if out[i], ok = untypedLiteral(c.Value); !ok {
				return nil, false
			}
		}
		return out, true
	case ast.ObjectValue:
		out := make(map[string]any, len(v.Children))
		for _, c := range v.Children {
			var ok bool
			if out[c.Name], ok = untypedLiteral(c.Value); !ok {
				return nil, false
			}
		}
		return out, true
	default:
		return nil, false
	}
}

// ArgText gives the text of an argument from a coerced value (see
// CoerceVariables) or from an *ast.Value literal of the kind. ok is false for
// null, for lists and objects, and for a value that is not of the kind.
func ArgText(kind schema.Scalar, v any) (text string, ok bool) {
	if literal, isLiteral := v.(*ast.Value); isLiteral {
		if literal == nil || literal.Kind == ast.NullValue {
			return "", false
		}
		if kind == schema.Enum {
			return literal.Raw, literal.Kind == ast.EnumValue
		}
		if v, ok = literalScalar(kind, literal); !ok {
			return "", false
		}
	}
	switch v := v.(type) {
	case bool:
		return strconv.FormatBool(v), kind == schema.Boolean
	case string:
		return v, kind != schema.Boolean
	default:
		return "", false
	}
}

// LiteralArg turns a literal of a validated document into an argument. With
// list, a single value is a list of one. A null is Arg{Null: true}; a null
// within a list, or a variable, is ErrLiteral.
func LiteralArg(v *ast.Value, kind schema.Scalar, list bool) (adapters.Arg, error) {
	if v == nil || v.Kind == ast.NullValue {
		return adapters.Arg{Null: true}, nil
	}
	if !list {
		text, ok := ArgText(kind, v)
		if !ok {
			return adapters.Arg{}, ErrLiteral
		}
		return adapters.Arg{Text: text}, nil
	}
	items := []*ast.Value{v}
	if v.Kind == ast.ListValue {
		items = items[:0]
		for _, c := range v.Children {
			items = append(items, c.Value)
		}
	}
	arg := adapters.Arg{List: make([]string, len(items))}
	for i, item := range items {
		text, ok := ArgText(kind, item)
		if !ok {
			return adapters.Arg{}, ErrLiteral
		}
		arg.List[i] = text
	}
	return arg, nil
}
