package masks

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

const (
	// hidden stands for what is left out of a text, whatever its length.
	hidden = "****"
	// longestGrapheme bounds what a kept character may carry: combining marks
	// stack without end, and a stack is data.
	longestGrapheme = 16
)

// keep keeps first and last graphemes. Values of which fewer than two
// graphemes would stay hidden are masked wholly, with the same length.
func keep(first, last int) Func {
	whole := bytes.Repeat([]byte("*"), first+len(hidden)+last)
	return func(dst, src []byte) ([]byte, bool) {
		mark := len(dst)
		if !utf8.Valid(src) {
			return append(dst, whole...), true
		}
		var tail [17]int // the starts of the latest graphemes, in turn
		n, start, state := 0, 0, -1
		for rest := src; len(rest) > 0; n++ {
			var g []byte
			g, rest, state = nextGrapheme(rest, state)
			tail[n%len(tail)] = start
			start += len(g)
			if n < first {
				if !presentable(g) {
					return append(dst[:mark], whole...), true
				}
				dst = append(dst, g...)
			}
		}
		if n < first+last+2 {
			return append(dst[:mark], whole...), true
		}
		dst = append(dst, hidden...)
		for i := n - last; i < n; i++ {
			end := len(src)
			if i+1 < n {
				end = tail[(i+1)%len(tail)]
			}
			g := src[tail[i%len(tail)]:end]
			if !presentable(g) {
				return append(dst[:mark], whole...), true
			}
			dst = append(dst, g...)
		}
		return dst, true
	}
}

// presentable reports whether a grapheme is one character for a reader too, and
// not a carrier of something else.
func presentable(g []byte) bool {
	if len(g) > longestGrapheme {
		return false
	}
	r, _ := utf8.DecodeRune(g)
	return unicode.IsPrint(r) && !unicode.IsMark(r) // a mark alone would join what stands before it
}

// maskName keeps the surname: one character, or two where they are a compound
// surname and a given name follows. Blanks and signs are no given name: of "张 "
// one character would be the whole, and of "欧阳 " two.
func maskName(dst, src []byte) ([]byte, bool) {
	const whole = "***"
	if !utf8.Valid(src) {
		return append(dst, whole...), true
	}
	first, rest, state := nextGrapheme(src, -1)
	r, _ := utf8.DecodeRune(first)
	if len(first) > longestGrapheme || !unicode.IsLetter(r) || !named(rest) {
		return append(dst, whole...), true
	}
	dst = append(dst, first...)
	second, rest, _ := nextGrapheme(rest, state)
	if compoundSurname(first, second) && named(rest) {
		dst = append(dst, second...)
	}
	return append(dst, "**"...), true
}

// named reports whether a text has a letter, or an asterisk in a letter's place.
func named(text []byte) bool {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if unicode.IsLetter(r) || r == '*' {
			return true
		}
		text = text[n:]
	}
	return false
}

// nextGrapheme cuts the first grapheme off a text (UAX #29). state is -1 at the
// text's start and what the call before gave further on. Most characters here
// are Han or ASCII: they have no property of grapheme breaks, so that one before
// another is a grapheme of its own, without a look into the tables.
func nextGrapheme(text []byte, state int) (g, rest []byte, _ int) {
	if n := plainRune(text); n > 0 && state == -1 && (n == len(text) || plainRune(text[n:]) > 0) {
		return text[:n], text[n:], -1
	}
	g, rest, _, state = uniseg.FirstGraphemeCluster(text, state)
	return g, rest, state
}

// plainRune is the length of the first character if it is printable ASCII or of
// the block CJK Unified Ideographs (U+4E00 to U+9FFF), else 0.
func plainRune(text []byte) int {
	switch {
	case len(text) == 0:
		return 0
	case text[0] >= ' ' && text[0] <= '~':
		return 1
	case text[0] >= 0xe4 && text[0] <= 0xe9 && len(text) >= 3 && (text[0] > 0xe4 || text[1] >= 0xb8):
		return 3
	}
	return 0
}

func compoundSurname(first, second []byte) bool {
	a, n := utf8.DecodeRune(first)
	b, m := utf8.DecodeRune(second)
	if n != len(first) || m != len(second) {
		return false
	}
	for i := range compoundSurnames {
		if compoundSurnames[i] == [2]rune{a, b} {
			return true
		}
	}
	return false
}

// maskEmail keeps the first character of the local part, and a public
// provider's domain: any other domain can be a person's or a small office's own.
func maskEmail(dst, src []byte) ([]byte, bool) {
	local, domain, ok := bytes.Cut(src, []byte("@"))
	if !ok || len(local) < 2 || len(local) > 64 || !alphanumeric(local[0]) || bytes.ContainsFunc(local, notInAddress) || bytes.IndexByte(domain, '@') >= 0 {
		return append(dst, "****@***"...), true
	}
	dst = append(dst, local[0])
	dst = append(dst, "***@"...)
	for i := range mailProviders {
		if equalFoldASCII(domain, mailProviders[i]) {
			return append(dst, mailProviders[i]...), true
		}
	}
	return append(dst, "***"...), true
}

// notInAddress reports what no local part has as providers give them out, such as
// an accent that would belong to the kept character.
func notInAddress(r rune) bool { return r <= ' ' || r > '~' }

func alphanumeric(b byte) bool {
	return digit(b) || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}

func digit(b byte) bool { return b >= '0' && b <= '9' }

// equalFoldASCII compares with a lower-case word. strings.EqualFold would let
// the Kelvin sign pass for a k.
func equalFoldASCII(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
