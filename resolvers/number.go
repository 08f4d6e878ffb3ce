package resolvers

import (
	"math"
	"strconv"
)

// AppendFloat appends a Float cell as JSON.stringify prints the same number
// (ECMA-262, Number::toString): the shortest digits that read back, plain
// notation from 1e-6 up to but not including 1e21, "0" for both zeros. src is
// a JSON number, or a JSON list of numbers and commas. ok is false when it is
// neither, or when it is not finite.
func AppendFloat(dst, src []byte) (out []byte, ok bool) {
	if len(src) > 0 && src[0] == '[' {
		return appendFloats(dst, src)
	}
	if canonicalFloat(src) {
		return append(dst, src...), true
	}
	f, err := strconv.ParseFloat(string(src), 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return dst, false
	}
	return appendNumber(dst, f), true
}

// appendFloats rewrites the elements of a list; it holds numbers only, so that
// commas and brackets cannot stand inside an element.
func appendFloats(dst, src []byte) ([]byte, bool) {
	mark := len(dst)
	if src[len(src)-1] != ']' {
		return dst, false
	}
	dst = append(dst, '[')
	body := src[1 : len(src)-1]
	for start, i := 0, 0; len(body) > 0 && i <= len(body); i++ {
		if i < len(body) && body[i] != ',' {
			continue
		}
		if start > 0 {
			dst = append(dst, ',')
		}
		element := body[start:i]
		if len(element) == 0 || element[0] == '[' {
			return dst[:mark], false
		}
		var ok bool
		if dst, ok = AppendFloat(dst, element); !ok {
			return dst[:mark], false
		}
		start = i + 1
	}
	return append(dst, ']'), true
}

// canonicalFloat reports whether the text is certain to be what JavaScript
// prints. Up to 15 significant digits a decimal is the shortest one of its
// double, since no two such decimals share a double.
func canonicalFloat(s []byte) bool {
	if len(s) > 0 && s[0] == '-' {
		s = s[1:]
		if len(s) == 1 && s[0] == '0' {
			return false // -0 prints as 0
		}
	}
	if len(s) == 0 || len(s) > 16 {
		return false
	}
	point := -1
	for i, c := range s {
		switch {
		case c == '.' && point < 0:
			point = i
		case c < '0' || c > '9':
			return false
		}
	}
	if point < 0 {
		return len(s) <= 15 && (s[0] != '0' || len(s) == 1)
	}
	if point == 0 || point == len(s)-1 || s[len(s)-1] == '0' {
		return false
	}
	if s[0] != '0' {
		return true
	}
	// 0.000001 is plain, 1e-7 is not: five zeros behind the point are the most.
	return point == 1 && len(s) > 2 && (len(s) < 8 || string(s[2:8]) != "000000")
}

// appendNumber is Number::toString for finite numbers.
func appendNumber(dst []byte, f float64) []byte {
	if f == 0 {
		return append(dst, '0')
	}
	if abs := math.Abs(f); abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	mark := len(dst)
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	// Go pads the exponent to two digits, JavaScript does not.
	if n := len(dst); n-mark > 3 && dst[n-2] == '0' && (dst[n-3] == '+' || dst[n-3] == '-') {
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}
