package cell

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/schema"
)

// AppendJSON appends valid JSON without the blanks between its tokens. Strings
// and numbers stay as they are written.
func AppendJSON(dst, text []byte) ([]byte, bool) {
	if !utf8.Valid(text) || !json.Valid(text) {
		return dst, false
	}
	inString := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case inString && c == '\\':
			dst = append(dst, c, text[i+1])
			i++
			continue
		case c == '"':
			inString = !inString
		case !inString && (c == ' ' || c == '\t' || c == '\n' || c == '\r'):
			continue
		}
		dst = append(dst, c)
	}
	return dst, true
}

// AppendList appends a JSON array of values of the column's kind. A null among
// them, a nested array or one value of another kind makes it bad. BigInt and
// Decimal elements may be written as numbers; they come out as strings.
func AppendList(dst []byte, c *adapters.Column, text []byte) ([]byte, bool) {
	if !utf8.Valid(text) || !json.Valid(text) {
		return dst, false
	}
	text = bytes.TrimSpace(text)
	if text[0] != '[' {
		return dst, false
	}
	start := len(dst)
	dst = append(dst, '[')
	rest := skipBlanks(text[1:])
	for n := 0; rest[0] != ']'; n++ {
		if n > 0 {
			dst = append(dst, ',')
			rest = skipBlanks(rest[1:]) // the comma
		}
		element := rest[:valueLength(rest)]
		var ok bool
		if dst, ok = appendElement(dst, c, element); !ok {
			return dst[:start], false
		}
		rest = skipBlanks(rest[len(element):])
	}
	return append(dst, ']'), true
}

// AppendElement appends one element of a list, given as text of the kind, as
// it stands in JSON.
func AppendElement(dst []byte, c *adapters.Column, text []byte) ([]byte, bool) {
	if adapters.FormOf(c.Kind, false) == adapters.Literal {
		return AppendScalar(dst, c.Kind, c.Enum, text)
	}
	start := len(dst)
	out, ok := AppendScalar(dst, c.Kind, c.Enum, text)
	if !ok {
		return dst, false
	}
	value := bytes.Clone(out[start:])
	return AppendQuoted(out[:start], value), true
}

func appendElement(dst []byte, c *adapters.Column, element []byte) ([]byte, bool) {
	if c.Kind == schema.JSON {
		return AppendJSON(dst, element)
	}
	quoted := element[0] == '"'
	switch c.Kind {
	case schema.Int, schema.Float, schema.Boolean:
		if quoted {
			return dst, false
		}
	case schema.BigInt, schema.Decimal:
	default:
		if !quoted {
			return dst, false
		}
	}
	if !quoted {
		return AppendElement(dst, c, element)
	}
	value := element[1 : len(element)-1]
	if bytes.IndexByte(value, '\\') >= 0 {
		var s string
		if err := json.Unmarshal(element, &s); err != nil {
			return dst, false
		}
		value = []byte(s)
	}
	return AppendElement(dst, c, value)
}

// AppendQuoted appends a string as JSON.stringify of ECMA-262 writes it.
func AppendQuoted(dst, text []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c >= 0x20:
			dst = append(dst, c)
		case c == '\b':
			dst = append(dst, '\\', 'b')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\f':
			dst = append(dst, '\\', 'f')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(dst, '"')
}

func skipBlanks(text []byte) []byte {
	return bytes.TrimLeft(text, " \t\r\n")
}

// valueLength is the length of the value that valid JSON starts with.
func valueLength(text []byte) int {
	depth, inString := 0, false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case inString:
			if c == '\\' { //nolint:staticcheck // a switch here would hide the nesting
				i++
			} else if c == '"' {
				inString = false
				if depth == 0 {
					return i + 1
				}
			}
		case c == '"':
			inString = true
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case depth == 0 && (c == ',' || c == ' ' || c == '\t' || c == '\r' || c == '\n'):
			return i
		}
	}
	return len(text)
}
