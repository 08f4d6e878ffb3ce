// Package cell knows the text forms of the scalar kinds: it turns what engines
// store or print into the canonical text of a cell (see [adapters.Batch]), and
// checks arguments before they are sent.
//
// It promises that whatever it accepts is of the kind and that equal values of
// a kind get equal text, but for the scale of a Decimal, which stays as stored.
// It does not guess: a value in a form that is not listed here is refused, and
// the cell is marked bad. It knows no engine and no SQL.
package cell

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/schema"
)

// Append appends the canonical text of a value of the column's kind, given in
// one of the text forms in which databases hold or print it. When text is not
// of the kind, ok is false and dst comes back unchanged. A list column's text
// is a JSON array.
func Append(dst []byte, c *adapters.Column, text []byte) (out []byte, ok bool) {
	if c.List {
		return AppendList(dst, c, text)
	}
	return AppendScalar(dst, c.Kind, c.Enum, text)
}

// AppendScalar is [Append] for one value of a kind; enum is used for
// schema.Enum alone.
func AppendScalar(dst []byte, kind schema.Scalar, enum []string, text []byte) (out []byte, ok bool) {
	switch kind {
	case schema.String, schema.ID:
		return AppendString(dst, text)
	case schema.Int:
		return appendInt(dst, text)
	case schema.Float:
		return appendFloatText(dst, text)
	case schema.Boolean:
		return appendBoolean(dst, text)
	case schema.Date:
		return appendDateText(dst, text)
	case schema.DateTime:
		return appendDateTimeText(dst, text)
	case schema.Time:
		return appendTimeText(dst, text)
	case schema.Decimal:
		return appendDecimal(dst, text)
	case schema.BigInt:
		return appendBigInt(dst, text)
	case schema.UUID:
		return appendUUIDText(dst, text)
	case schema.JSON:
		return AppendJSON(dst, text)
	case schema.Enum:
		return appendEnum(dst, enum, text)
	default:
		return dst, false
	}
}

// AppendString accepts UTF-8 without NUL.
func AppendString(dst, text []byte) ([]byte, bool) {
	if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
		return dst, false
	}
	return append(dst, text...), true
}

// AppendInt32 appends an Int that is in range.
func AppendInt32(dst []byte, v int64) ([]byte, bool) {
	if v < math.MinInt32 || v > math.MaxInt32 {
		return dst, false
	}
	return strconv.AppendInt(dst, v, 10), true
}

// AppendFloat appends a finite number in the shortest form that reads back as
// the same number of the given size (32 or 64 bits), spelt as JSON.stringify
// of ECMA-262 spells it.
func AppendFloat(dst []byte, v float64, bits int) ([]byte, bool) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return dst, false
	}
	if v == 0 {
		return append(dst, '0'), true
	}
	format := byte('f')
	if abs := math.Abs(v); abs < 1e-6 || abs >= 1e21 {
		format = 'e'
	}
	dst = strconv.AppendFloat(dst, v, format, -1, bits)
	if format == 'e' {
		// strconv writes at least two digits of exponent.
		if n := len(dst); n >= 4 && dst[n-4] == 'e' && dst[n-2] == '0' {
			dst[n-2] = dst[n-1]
			dst = dst[:n-1]
		}
	}
	return dst, true
}

func appendInt(dst, text []byte) ([]byte, bool) {
	if !integer(text) {
		return dst, false
	}
	v, err := strconv.ParseInt(string(text), 10, 32)
	if err != nil {
		return dst, false
	}
	return strconv.AppendInt(dst, v, 10), true
}

func appendFloatText(dst, text []byte) ([]byte, bool) {
	// ParseFloat also takes hexadecimal, "inf" and "nan"; none is a number here.
	for _, c := range text {
		if (c < '0' || c > '9') && c != '-' && c != '+' && c != '.' && c != 'e' && c != 'E' {
			return dst, false
		}
	}
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return dst, false
	}
	return AppendFloat(dst, v, 64)
}

func appendBoolean(dst, text []byte) ([]byte, bool) {
	switch string(text) {
	case "true", "t":
		return append(dst, "true"...), true
	case "false", "f":
		return append(dst, "false"...), true
	}
	return dst, false
}

func appendBigInt(dst, text []byte) ([]byte, bool) {
	if !integer(text) {
		return dst, false
	}
	return append(dst, text...), true
}

func appendDecimal(dst, text []byte) ([]byte, bool) {
	if !decimal(text) {
		return dst, false
	}
	return append(dst, text...), true
}

// decimal reports whether text is an integer with an optional fraction.
func decimal(text []byte) bool {
	whole, fraction, point := bytes.Cut(text, []byte{'.'})
	if point && !digits(fraction) {
		return false
	}
	if string(whole) == "-0" { // as in -0.5
		return true
	}
	return integer(whole)
}

func appendEnum(dst []byte, enum []string, text []byte) ([]byte, bool) {
	if slices.ContainsFunc(enum, func(v string) bool { return v == string(text) }) {
		return append(dst, text...), true
	}
	return dst, false
}

// AppendUUID appends the 16 bytes of a UUID in hexadecimal.
func AppendUUID(dst []byte, raw [16]byte) []byte {
	const hex = "0123456789abcdef"
	for i, b := range raw {
		switch i {
		case 4, 6, 8, 10:
			dst = append(dst, '-')
		}
		dst = append(dst, hex[b>>4], hex[b&15])
	}
	return dst
}

func appendUUIDText(dst, text []byte) ([]byte, bool) {
	if len(text) != 36 {
		return dst, false
	}
	start := len(dst)
	for i, c := range text {
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return dst[:start], false
			}
		case c >= 'A' && c <= 'F':
			c += 'a' - 'A'
		case (c < '0' || c > '9') && (c < 'a' || c > 'f'):
			return dst[:start], false
		}
		dst = append(dst, c)
	}
	return dst, true
}

// integer reports whether text is an optional minus and digits without leading
// zeros; there is one text per number, so "-0" is not one.
func integer(text []byte) bool {
	d := text
	if len(d) > 0 && d[0] == '-' {
		d = d[1:]
		if len(d) > 0 && d[0] == '0' {
			return false
		}
	}
	return digits(d) && (d[0] != '0' || len(d) == 1)
}

func digits(text []byte) bool {
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(text) > 0
}
