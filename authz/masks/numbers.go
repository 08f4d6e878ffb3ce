package masks

import "unicode/utf8"

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
		dst = append(dst, src[len(src)-last:]...)
		if last > 0 && dst[len(dst)-1] == 'x' {
			dst[len(dst)-1] = 'X'
		}
		return dst, true
	}
}

// idNumber tells the shape. Neither the checksum (GB 11643) nor the birthday is
// verified: what is shown would then depend on digits that are not.
func idNumber(s []byte) bool {
	switch len(s) {
	case 15:
		return digits(s)
	case 18:
		return digits(s[:17]) && (digit(s[17]) || s[17] == 'X' || s[17] == 'x')
	}
	return false
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
