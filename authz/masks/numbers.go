package masks

import (
	"bytes"
	"unicode/utf8"
)

// maskIDNumber masks resident identity numbers of 18 characters and the older
// ones of 15, both to 18: the length would tell who was registered before 1999.
func maskIDNumber(first, last int) Func {
	const width = 18
	return func(dst, src []byte) ([]byte, bool) {
		if !idNumber(src) {
			return stars(dst, width), true
		}
		dst = append(dst, src[:first]...)
		dst = stars(dst, width-first-last)
		return append(dst, src[len(src)-last:]...), true
	}
}

func idNumber(s []byte) bool {
	switch len(s) {
	case 15:
		return digits(s)
	case 18:
		return digits(s[:17]) && (digit(s[17]) || s[17] == 'X' || s[17] == 'x')
	}
	return false
}

// maskPhone masks mainland mobile numbers, and landline numbers with their area
// code, to 11 characters.
func maskPhone(first, last int) Func {
	const width = 11
	return func(dst, src []byte) ([]byte, bool) {
		var room [14]byte
		n, ok := dialled(src, room[:0])
		if !ok {
			return stars(dst, width), true
		}
		dst = append(dst, n[:first]...)
		dst = stars(dst, width-first-last)
		return append(dst, n[len(n)-last:]...), true
	}
}

// dialled gives the digits that one dials inside the country.
func dialled(src, room []byte) ([]byte, bool) {
	abroad := false
	for _, code := range [...]string{"+86", "0086"} {
		if rest, ok := bytes.CutPrefix(src, []byte(code)); ok {
			src, abroad = rest, true
			break
		}
	}
	if abroad {
		src = bytes.TrimLeft(src, " -")
		if len(src) > 0 && src[0] != '0' && src[0] != '1' || bytes.HasPrefix(src, []byte("10")) {
			room = append(room, '0') // the area code as dialled inside
		}
	}
	for _, b := range src {
		switch {
		case digit(b):
			if len(room) == cap(room) {
				return nil, false
			}
			room = append(room, b)
		case b == ' ' || b == '-' || b == '(' || b == ')':
		default:
			return nil, false
		}
	}
	switch {
	case len(room) == 11 && room[0] == '1' && room[1] >= '3':
		return room, true
	case len(room) >= 10 && len(room) <= 12 && room[0] == '0' && room[1] >= '1':
		return room, true
	}
	return nil, false
}

// maskBankCard keeps the last four digits, as receipts do.
func maskBankCard(dst, src []byte) ([]byte, bool) {
	const width = 16
	var last [4]byte
	n := 0
	for _, b := range src {
		switch {
		case digit(b):
			copy(last[:], last[1:])
			last[3] = b
			n++
		case b == ' ' || b == '-':
		default:
			return stars(dst, width), true
		}
	}
	if n < 13 || n > 19 {
		return stars(dst, width), true
	}
	return append(stars(dst, width-4), last[:]...), true
}

// maskPlate keeps province and city of a mainland plate of five or, for new
// energy vehicles, six further characters, to seven characters.
func maskPlate(dst, src []byte) ([]byte, bool) {
	const whole = "*******"
	_, n := utf8.DecodeRune(src)
	known := false
	for _, r := range plateProvinces {
		if string(r) == string(src[:n]) {
			known = true
			break
		}
	}
	if !known || len(src) < n+6 || len(src) > n+7 {
		return append(dst, whole...), true
	}
	for i, b := range src[n:] {
		upper := b >= 'A' && b <= 'Z'
		if i == 0 && !upper || !upper && !digit(b) {
			return append(dst, whole...), true
		}
	}
	return stars(append(dst, src[:n+1]...), 5), true
}

// maskCreditCode masks unified social credit codes (GB 32100): what kind of
// organization it is stays.
func maskCreditCode(dst, src []byte) ([]byte, bool) {
	const width = 18
	if len(src) != width {
		return stars(dst, width), true
	}
	for _, b := range src {
		if !digit(b) && (b < 'A' || b > 'Z') {
			return stars(dst, width), true
		}
	}
	dst = append(dst, src[:2]...)
	return append(stars(dst, width-4), src[width-2:]...), true
}

// bucket rounds whole numbers down to a multiple of width.
func bucket(width int64) Func {
	return func(dst, src []byte) ([]byte, bool) {
		n, ok := whole(src)
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

// whole reads a number without a fraction.
func whole(s []byte) (int64, bool) {
	negative := false
	if len(s) > 0 && s[0] == '-' {
		negative, s = true, s[1:]
	}
	if len(s) == 0 || len(s) > 19 || !digits(s) {
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
	}
	return n, true
}

func digits(s []byte) bool {
	for _, b := range s {
		if !digit(b) {
			return false
		}
	}
	return true
}

func stars(dst []byte, n int) []byte {
	for range n {
		dst = append(dst, '*')
	}
	return dst
}
