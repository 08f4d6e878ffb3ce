package masks

import "unicode/utf8"

// maskPhone masks mainland mobile numbers, and landline numbers with their area
// code, to 11 characters. Short and service numbers, numbers abroad and
// extensions have no part that could be shown, and are masked wholly.
func maskPhone(first, last int) Func {
	const width = 11
	return func(dst, src []byte) ([]byte, bool) {
		var room [longestDialled]byte
		n, ok := dialled(src, room[:0])
		if !ok {
			return stars(dst, width), true
		}
		dst = append(dst, n[:first]...)
		dst = stars(dst, width-first-last)
		return append(dst, n[len(n)-last:]...), true
	}
}

// longestDialled is 0086, the trunk prefix and an area code with its number.
const longestDialled = 4 + 12

// dialled gives the digits that one dials inside the country.
func dialled(src, room []byte) ([]byte, bool) {
	plus := false
	separated, group := false, 0 // how many digits the latest group has
	for i := 0; i < len(src); {
		r, size := utf8.DecodeRune(src[i:])
		switch {
		case r >= '0' && r <= '9':
			if len(room) == longestDialled {
				return nil, false
			}
			if separated {
				separated, group = false, 0
			}
			group++
			room = append(room, byte(r))
		case r == '+' && len(room) == 0 && !plus:
			plus = true
		case separates(r):
			separated = true
		default:
			return nil, false
		}
		i += size
	}
	if group < 3 {
		// 0755-2612345-1 has an extension, which the number of digits does not tell.
		return nil, false
	}
	n := string(room)
	code := ""
	switch {
	case plus:
		code = "86"
	case len(n) > 4 && n[:4] == "0086":
		code = "0086"
	case len(n) == 13 && n[:2] == "86" && mobile(room[2:]):
		code = "86" // how many systems store mobile numbers
	}
	if len(n) < len(code) || n[:len(code)] != code {
		return nil, false
	}
	room = room[len(code):]
	switch {
	case mobile(room):
		return room, true
	case len(room) > 0 && room[0] != '0' && code != "" && len(room) < longestDialled-4:
		// From abroad one leaves out the area code's 0.
		room = room[:len(room)+1]
		copy(room[1:], room)
		room[0] = '0'
	}
	return room, landline(room)
}

func mobile(n []byte) bool { return len(n) == 11 && n[0] == '1' && n[1] >= '3' }

// landline reports an area code and a number of seven or eight digits: 010 and
// 02x have three digits, 03xx to 09xx four.
func landline(n []byte) bool {
	if len(n) < 10 || n[0] != '0' {
		return false
	}
	if n[1] == '2' || n[1] == '1' && n[2] == '0' {
		return len(n) <= 11
	}
	return n[1] >= '3' && (len(n) == 11 || len(n) == 12)
}

// separates reports what people write between the digits of a number, in half
// and in full width.
func separates(r rune) bool {
	switch r {
	case ' ', '-', '(', ')', '.', '\u00a0', '\u2010', '\u2011', '\u2013', '\u3000', '（', '）', '－':
		return true
	}
	return false
}
