package resolvers

import "encoding/binary"

const (
	ones   = 0x0101010101010101
	highs  = 0x8080808080808080
	digits = "0123456789abcdef"
)

// AppendText appends s as a JSON string, escaped exactly as JSON.stringify
// does: the quotation mark, the reverse solidus and the control characters
// below U+0020, nothing else. s is UTF-8.
func AppendText(dst, s []byte) []byte {
	dst = append(dst, '"')
	for {
		n := plainPrefix(s)
		dst = append(dst, s[:n]...)
		if n == len(s) {
			return append(dst, '"')
		}
		switch c := s[n]; c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		}
		s = s[n+1:]
	}
}

// plainPrefix is the number of leading bytes that need no escape. It looks at
// eight at a time: the tests for "below 0x20", "is a quotation mark" and "is a
// reverse solidus" set the high bit of a byte that fits, and of bytes above a
// fitting one at most, so that a zero word is certain.
func plainPrefix(s []byte) int {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		x := binary.LittleEndian.Uint64(s[i:])
		q, b := x^(ones*'"'), x^(ones*'\\')
		if ((x-ones*0x20)&^x|(q-ones)&^q|(b-ones)&^b)&highs != 0 {
			break
		}
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' {
			break
		}
	}
	return i
}
