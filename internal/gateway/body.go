package gateway

import (
	"encoding/json"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/weir-data/weir/graph/plan"
)

// decodeParams reads the body strictly: one JSON object with known keys, each
// at most once, in the right case, of the right type, and nothing behind it.
func decodeParams(body []byte) (*params, *refusal) {
	t, refused := newJSONText(body)
	if refused != nil {
		return nil, refused
	}
	switch t.peek() {
	case '{':
	case '[':
		return nil, badRequest("batches are not served: send one request at a time")
	default:
		return nil, badRequest("the request body is not a JSON object")
	}
	p := &params{}
	var seen [parameters]bool
	refused = t.members(func(name []byte) *refusal {
		key := parameterOf(name)
		if key < 0 {
			return badRequest("an unknown key stands in the request body")
		}
		if seen[key] {
			return badRequest("a key stands twice in the request body")
		}
		seen[key] = true
		v, refused := t.value(maxNesting, key == parameterExtensions)
		if refused != nil {
			return refused
		}
		return p.set(key, v)
	})
	if refused != nil {
		return nil, refused
	}
	if refused := t.end(); refused != nil {
		return nil, refused
	}
	return p.complete()
}

// decodeValue reads one JSON value and nothing behind it; free lets keys repeat
// (the last one stands).
func decodeValue(text []byte, free bool) (any, *refusal) {
	t, refused := newJSONText(text)
	if refused != nil {
		return nil, refused
	}
	v, refused := t.value(maxNesting, free)
	if refused != nil {
		return nil, refused
	}
	return v, t.end()
}

// maxNesting bounds the depth of JSON in a request, far above what variables
// may have, so that no stack grows with the input.
const maxNesting = 128

// jsonText is a JSON text (RFC 8259) being read, once, from front to back. What it
// gives is copied out of the bytes, so that they can be used again. Numbers stay
// as they are written. A surrogate without its pair is no character and is refused,
// as in a document: a key must reach its source as it was written.
type jsonText struct {
	b    []byte
	at   int
	half bool // a string was refused for such a surrogate
}

func newJSONText(b []byte) (*jsonText, *refusal) {
	if len(b) == 0 {
		return nil, badRequest("the request has no body")
	}
	if !utf8.Valid(b) {
		return nil, badRequest("the request is not UTF-8")
	}
	return &jsonText{b: b}, nil
}

func notJSON() *refusal { return badRequest("the request is not JSON") }

// noString refuses a string that could not be read.
func (t *jsonText) noString() *refusal {
	if t.half {
		return badRequest("half a surrogate pair stands in a string of the request")
	}
	return notJSON()
}

// peek gives the next byte that is not white space; 0 at the end. A NUL byte
// begins no JSON value, so that the two need not be told apart.
func (t *jsonText) peek() byte {
	for ; t.at < len(t.b); t.at++ {
		switch c := t.b[t.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// end refuses what stands behind the value.
func (t *jsonText) end() *refusal {
	if t.peek(); t.at < len(t.b) {
		return notJSON()
	}
	return nil
}

// value reads one JSON value; free lets keys repeat (the last one stands).
func (t *jsonText) value(depth int, free bool) (any, *refusal) {
	switch c := t.peek(); c {
	case '"':
		s, ok := t.string(nil)
		if !ok {
			return nil, t.noString()
		}
		return string(s), nil
	case '{', '[':
		if depth == 0 {
			return nil, &refusal{plan.LimitExceeded, "the request's JSON is nested too deeply"}
		}
		if c == '[' {
			return t.list(depth-1, free)
		}
		return t.object(depth-1, free)
	case 't':
		return true, t.word("true")
	case 'f':
		return false, t.word("false")
	case 'n':
		return nil, t.word("null")
	default:
		return t.number()
	}
}

func (t *jsonText) word(expected string) *refusal {
	if len(t.b)-t.at < len(expected) || string(t.b[t.at:t.at+len(expected)]) != expected {
		return notJSON()
	}
	t.at += len(expected)
	return nil
}

func (t *jsonText) list(depth int, free bool) (any, *refusal) {
	list := []any{}
	t.at++
	if t.peek() == ']' {
		t.at++
		return list, nil
	}
	for {
		v, refused := t.value(depth, free)
		if refused != nil {
			return nil, refused
		}
		list = append(list, v)
		switch t.peek() {
		case ',':
			t.at++
		case ']':
			t.at++
			return list, nil
		default:
			return nil, notJSON()
		}
	}
}

func (t *jsonText) object(depth int, free bool) (any, *refusal) {
	object := map[string]any{}
	refused := t.members(func(name []byte) *refusal {
		key := string(name)
		if _, twice := object[key]; twice && !free {
			return badRequest("a key stands twice in the variables")
		}
		v, refused := t.value(depth, free)
		object[key] = v
		return refused
	})
	if refused != nil {
		return nil, refused
	}
	return object, nil
}

// members reads an object: member is called with each name, which is valid
// until member reads on, and reads the value.
func (t *jsonText) members(member func(name []byte) *refusal) *refusal {
	t.at++
	if t.peek() == '}' {
		t.at++
		return nil
	}
	for {
		if t.peek() != '"' {
			return notJSON()
		}
		name, ok := t.string(nil)
		if !ok {
			return t.noString()
		}
		if t.peek() != ':' {
			return notJSON()
		}
		t.at++
		if refused := member(name); refused != nil {
			return refused
		}
		switch t.peek() {
		case ',':
			t.at++
		case '}':
			t.at++
			return nil
		default:
			return notJSON()
		}
	}
}

// string reads a string: a part of the text where it holds no escape, and
// otherwise put together in dst.
func (t *jsonText) string(dst []byte) (_ []byte, ok bool) {
	t.at++
	start := t.at
	for ; t.at < len(t.b); t.at++ {
		switch c := t.b[t.at]; {
		case c == '"':
			s := t.b[start:t.at]
			t.at++
			return s, true
		case c == '\\':
			return t.escaped(append(dst, t.b[start:t.at]...))
		case c < ' ':
			return nil, false
		}
	}
	return nil, false
}

// escaped reads the rest of a string from its first escape on.
func (t *jsonText) escaped(dst []byte) (_ []byte, ok bool) {
	for t.at < len(t.b) {
		c := t.b[t.at]
		t.at++
		switch {
		case c == '"':
			return dst, true
		case c < ' ':
			return nil, false
		case c != '\\':
			dst = append(dst, c)
			continue
		}
		if t.at == len(t.b) {
			return nil, false
		}
		c = t.b[t.at]
		t.at++
		switch c {
		case '"', '\\', '/':
			dst = append(dst, c)
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, ok := t.unit()
			if !ok {
				return nil, false
			}
			if utf16.IsSurrogate(r) {
				if r = t.pair(r); r == utf8.RuneError {
					t.half = true
					return nil, false
				}
			}
			dst = utf8.AppendRune(dst, r)
		default:
			return nil, false
		}
	}
	return nil, false
}

// unit reads the four digits of a \u escape.
func (t *jsonText) unit() (rune, bool) {
	const digits = 4
	if len(t.b)-t.at < digits {
		return 0, false
	}
	var r rune
	for _, c := range t.b[t.at : t.at+digits] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	t.at += digits
	return r, true
}

// pair reads the second half of a surrogate pair; utf8.RuneError where it does not
// follow.
func (t *jsonText) pair(first rune) rune {
	if len(t.b)-t.at >= 2 && t.b[t.at] == '\\' && t.b[t.at+1] == 'u' {
		t.at += 2
		if second, ok := t.unit(); ok {
			return utf16.DecodeRune(first, second)
		}
	}
	return utf8.RuneError
}

// number reads a number.
func (t *jsonText) number() (any, *refusal) {
	start := t.at
	if t.at < len(t.b) && t.b[t.at] == '-' {
		t.at++
	}
	whole := t.digits()
	if whole == 0 || whole > 1 && t.b[t.at-whole] == '0' {
		return nil, notJSON()
	}
	if t.at < len(t.b) && t.b[t.at] == '.' {
		t.at++
		if t.digits() == 0 {
			return nil, notJSON()
		}
	}
	if t.at < len(t.b) && (t.b[t.at] == 'e' || t.b[t.at] == 'E') {
		t.at++
		if t.at < len(t.b) && (t.b[t.at] == '+' || t.b[t.at] == '-') {
			t.at++
		}
		if t.digits() == 0 {
			return nil, notJSON()
		}
	}
	return json.Number(t.b[start:t.at]), nil
}

func (t *jsonText) digits() int {
	start := t.at
	for t.at < len(t.b) && t.b[t.at] >= '0' && t.b[t.at] <= '9' {
		t.at++
	}
	return t.at - start
}
