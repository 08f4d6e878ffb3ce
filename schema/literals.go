package schema

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/vektah/gqlparser/v2/ast"
)

// Operators lists the operators that the filter language has for the field, in
// the order of their declaration; nil for relations.
func (f *Field) Operators() []Operator {
	switch {
	case f.Relation != nil:
		return nil
	case f.List:
		return []Operator{Contains}
	}
	switch f.Kind {
	case JSON:
		return []Operator{IsNull}
	case Boolean, Enum:
		return []Operator{Eq, Neq, In, Nin, IsNull}
	case String:
		return []Operator{Eq, Neq, In, Nin, Gt, Gte, Lt, Lte, Like, StartsWith, IsNull}
	default:
		return []Operator{Eq, Neq, In, Nin, Gt, Gte, Lt, Lte, IsNull}
	}
}

// Sortable reports whether rows can be ordered by the field.
func (f *Field) Sortable() bool {
	return f.Relation == nil && !f.List && f.Kind != JSON
}

// Canonical gives the form of a value as it stands in a cell (see
// adapters.Batch), from the form in which people and JSON write it: what
// equals it in the source has the same form there, but for Decimal, whose
// scale is kept. ok is false when the text is no value of the kind. Enum and
// JSON are not checked.
func (s Scalar) Canonical(text string) (canonical string, ok bool) {
	switch s {
	case String, ID:
		return text, utf8.ValidString(text) && !strings.Contains(text, "\x00")
	case Int:
		n, err := strconv.ParseInt(text, 10, 32)
		return strconv.FormatInt(n, 10), err == nil
	case Float:
		return canonicalFloat(text)
	case Boolean:
		return text, text == "true" || text == "false"
	case Date:
		t, err := time.Parse(time.DateOnly, text)
		return text, err == nil && t.Year() >= 1
	case DateTime:
		return canonicalDateTime(text)
	case Time:
		return canonicalTime(text)
	case Decimal:
		return canonicalDecimal(text)
	case BigInt:
		return canonicalBigInt(text)
	case UUID:
		text = strings.ToLower(text)
		return text, isUUID(text)
	default:
		return text, true
	}
}

func canonicalFloat(text string) (string, bool) {
	// ParseFloat reads more than JSON has: NaN, Inf, hexadecimals, underscores.
	if strings.ContainsFunc(text, func(r rune) bool { return !strings.ContainsRune("+-.0123456789eE", r) }) {
		return "", false
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(x, 0) {
		return "", false
	}
	return strconv.FormatFloat(x, 'g', -1, 64), true
}

func canonicalDateTime(text string) (string, bool) {
	t, err := time.Parse(time.RFC3339Nano, text)
	// time.Parse takes more than RFC 3339 has: a comma, an hour of one digit.
	if err != nil || strings.Contains(text, ",") || text[len("2006-01-02T15")] != ':' {
		return "", false
	}
	t = t.UTC()
	if t.Year() < 1 || t.Year() > 9999 {
		return "", false
	}
	return t.Format("2006-01-02T15:04:05.999999999Z"), true
}

func canonicalTime(text string) (string, bool) {
	t, err := time.Parse("15:04:05", text)
	if err != nil || strings.Contains(text, ",") || text[len("15")] != ':' {
		return "", false
	}
	return t.Format("15:04:05.999999999"), true
}

// canonicalDecimal takes digits with an optional sign and point, no exponent.
func canonicalDecimal(text string) (string, bool) {
	sign, digits := "", text
	if strings.HasPrefix(digits, "-") || strings.HasPrefix(digits, "+") {
		sign, digits = strings.Trim(digits[:1], "+"), digits[1:]
	}
	whole, fraction, point := strings.Cut(digits, ".")
	if !isDigits(whole) || point && !isDigits(fraction) {
		return "", false
	}
	whole = strings.TrimLeft(whole, "0")
	if whole == "" {
		whole = "0"
	}
	if strings.Trim(whole+fraction, "0") == "" {
		sign = ""
	}
	if point {
		whole += "."
	}
	return sign + whole + fraction, true
}

func canonicalBigInt(text string) (string, bool) {
	if !isDigits(strings.TrimLeft(text[:min(1, len(text))], "+-") + text[min(1, len(text)):]) {
		return "", false
	}
	n, ok := new(big.Int).SetString(text, 10)
	// Every engine's own limit: a column of 64 bits.
	if !ok || !n.IsInt64() {
		return "", false
	}
	return n.String(), true
}

func isDigits(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch b := s[i]; i {
		case 8, 13, 18, 23:
			if b != '-' {
				return false
			}
		default:
			if (b < '0' || b > '9') && (b < 'a' || b > 'f') {
				return false
			}
		}
	}
	return true
}

// literalText gives the text form of a literal in SDL, if it is one of the
// field's kind: the GraphQL rules, so that "5" is no Int.
func literalText(f *Field, v *ast.Value) (string, bool) {
	switch f.Kind {
	case Enum:
		return v.Raw, v.Kind == ast.EnumValue && f.Enum.Has(v.Raw)
	case Boolean:
		return v.Raw, v.Kind == ast.BooleanValue
	case Int:
		if v.Kind != ast.IntValue {
			return "", false
		}
	case Float:
		if v.Kind != ast.IntValue && v.Kind != ast.FloatValue {
			return "", false
		}
	case ID, BigInt:
		if v.Kind != ast.IntValue && !isString(v) {
			return "", false
		}
	case Decimal:
		if v.Kind != ast.IntValue && v.Kind != ast.FloatValue && !isString(v) {
			return "", false
		}
	default:
		if !isString(v) {
			return "", false
		}
	}
	return f.Kind.Canonical(v.Raw)
}
