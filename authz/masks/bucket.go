package masks

import "bytes"

// bucket rounds numbers down to a multiple of width.
func bucket(width int64) Func {
	return func(dst, src []byte) ([]byte, bool) {
		n, ok := floor(src)
		if !ok {
			return dst, false
		}
		low := n - n%width
		if n < 0 && n%width != 0 {
			low -= width
		}
		if n >= minInt32 && low < minInt32 {
			// An Int has to stay one.
			return dst, false
		}
		return appendInt(dst, low), true
	}
}

const (
	minInt32 = -1 << 31
	// largest bounds the numbers that are bucketed, so that rounding down never
	// overflows.
	largest = 1 << 60
)

// floor reads a number without an exponent and rounds it down to a whole one.
func floor(s []byte) (int64, bool) {
	s, negative := bytes.CutPrefix(s, []byte("-"))
	s, fraction, point := bytes.Cut(s, []byte("."))
	if len(s) == 0 || len(s) > 19 || !digits(s) || point && (len(fraction) == 0 || !digits(fraction)) {
		return 0, false
	}
	var n int64
	for _, b := range s {
		if n > largest/10 {
			return 0, false
		}
		n = n*10 + int64(b-'0')
	}
	if negative {
		n = -n
		if len(bytes.Trim(fraction, "0")) > 0 {
			n--
		}
	}
	return n, true
}
