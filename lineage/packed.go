package lineage

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"slices"
)

// Forms of a packed text: digests, pseudonyms and request ids are bytes in
// disguise, and take half to three quarters of their text's room.
const (
	packedRaw = iota
	packedHex
	packedBase64
	packedUUID
	packedBits = 2
)

// appendPacked writes a text in the shortest form that gives it back exactly.
func appendPacked(b []byte, s string) []byte {
	mark := len(b)
	if len(s) == 36 {
		if b = binary.AppendUvarint(b, 16<<packedBits|packedUUID); appendUUID(&b, s) {
			return b
		}
		b = b[:mark]
	}
	if len(s) >= 8 && len(s)%2 == 0 {
		b = binary.AppendUvarint(b, uint64(len(s)/2)<<packedBits|packedHex)
		if appendHex(&b, s) {
			return b
		}
		b = b[:mark]
	}
	if n := base64.RawURLEncoding.DecodedLen(len(s)); len(s) >= 8 && len(s)%4 != 1 {
		b = binary.AppendUvarint(b, uint64(n)<<packedBits|packedBase64)
		if appendBase64(&b, s, n) {
			return b
		}
		b = b[:mark]
	}
	b = binary.AppendUvarint(b, uint64(len(s))<<packedBits) // packedRaw is 0
	return append(b, s...)
}

func appendHex(b *[]byte, s string) bool {
	for i := 0; i < len(s); i += 2 {
		hi, lo := hexDigit(s[i]), hexDigit(s[i+1])
		if hi > 15 || lo > 15 {
			return false
		}
		*b = append(*b, hi<<4|lo)
	}
	return true
}

func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 255
}

func appendUUID(b *[]byte, s string) bool {
	for i, part := range [...]string{s[:8], s[9:13], s[14:18], s[19:23], s[24:]} {
		if i < 4 && s[[...]int{8, 13, 18, 23}[i]] != '-' { //nolint:gosec // i < 4
			return false
		}
		if !appendHex(b, part) {
			return false
		}
	}
	return true
}

// appendBase64 decodes by hand, since the package's decoder wants bytes and
// forgives line breaks.
func appendBase64(b *[]byte, s string, n int) bool {
	mark := len(*b)
	var acc, bits uint32
	for i := range len(s) {
		v := base64Digit(s[i])
		if v > 63 {
			return false
		}
		acc = acc<<6 | uint32(v)
		if bits += 6; bits >= 8 {
			bits -= 8
			*b = append(*b, byte(acc>>bits))
		}
	}
	// Bits left over must be zero, or the text would not come back the same.
	return acc&(1<<bits-1) == 0 && len(*b)-mark == n
}

func base64Digit(c byte) byte {
	switch {
	case c >= 'A' && c <= 'Z':
		return c - 'A'
	case c >= 'a' && c <= 'z':
		return c - 'a' + 26
	case c >= '0' && c <= '9':
		return c - '0' + 52
	case c == '-':
		return 62
	case c == '_':
		return 63
	}
	return 255
}

// unpack gives the text of a packed form.
func unpack(form uint64, raw []byte) string {
	switch form {
	case packedHex:
		return hex.EncodeToString(raw)
	case packedBase64:
		return base64.RawURLEncoding.EncodeToString(raw)
	case packedUUID:
		b := hex.AppendEncode(make([]byte, 0, 36), raw)
		for _, at := range [...]int{8, 13, 18, 23} {
			b = slices.Insert(b, at, '-')
		}
		return string(b)
	}
	return string(raw)
}
