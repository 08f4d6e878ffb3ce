package sqlgen

import "strings"

// MaxGlob is the longest pattern that SQLite takes, in bytes.
const MaxGlob = 50_000

// Pattern completes a Like pattern: a backslash at its very end, which SQL
// leaves open, stands for itself.
func Pattern(like string) string {
	n := len(like) - len(strings.TrimRight(like, `\`))
	if n%2 == 1 {
		return like + `\`
	}
	return like
}

// Glob is the GLOB pattern that matches what a Like pattern matches.
func Glob(like string) string {
	var b strings.Builder
	b.Grow(len(like) + 8)
	for i := 0; i < len(like); i++ {
		c := like[i]
		switch c {
		case '%':
			b.WriteByte('*')
			continue
		case '_':
			b.WriteByte('?')
			continue
		case '\\':
			if i+1 < len(like) {
				i++
				c = like[i]
			}
		}
		switch c {
		case '*', '?', '[':
			b.WriteByte('[')
			b.WriteByte(c)
			b.WriteByte(']')
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
