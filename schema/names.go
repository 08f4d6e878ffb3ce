package schema

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// words splits a GraphQL name at capitals and underscores: idNumber, ID_number
// and IDNumber all give id, number. A digit stays with the word before it.
func words(name string) []string {
	var out []string
	start := 0
	cut := func(end int) {
		if w := strings.Trim(name[start:end], "_"); w != "" {
			out = append(out, strings.ToLower(w))
		}
		start = end
	}
	for i := 1; i < len(name); i++ {
		switch {
		case name[i] == '_':
			cut(i)
		case isUpper(name[i]) && !isUpper(name[i-1]):
			cut(i)
		case isUpper(name[i]) && i+1 < len(name) && isLower(name[i+1]):
			// The last capital of a run begins the next word: IDNumber.
			cut(i)
		}
	}
	cut(len(name))
	return out
}

func isUpper(b byte) bool { return 'A' <= b && b <= 'Z' }
func isLower(b byte) bool { return 'a' <= b && b <= 'z' }

// snake is the default column of a field.
func snake(name string) string { return strings.Join(words(name), "_") }

// lowerFirst is the default singular of a type: BirthCertificate becomes
// birthCertificate, and IDCard becomes idCard.
func lowerFirst(name string) string {
	n := 0
	for n < len(name) && isUpper(name[n]) {
		n++
	}
	if n > 1 && n < len(name) && isLower(name[n]) {
		n--
	}
	return strings.ToLower(name[:n]) + name[n:]
}

// isName reports whether s is a GraphQL name.
func isName(s string) bool {
	for i := range len(s) {
		b := s[i]
		if !isUpper(b) && !isLower(b) && b != '_' && (i == 0 || b < '0' || b > '9') {
			return false
		}
	}
	return s != ""
}

// isIdentifier reports whether s can name a table or column. Adapters quote
// identifiers, so all printable characters will do.
func isIdentifier(s string) bool {
	return s != "" && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// maxSuggestion is the length of the longest name that is compared with others:
// the comparison is quadratic.
const maxSuggestion = 100

// didYouMean suggests the known name nearest to the one written; "" when none
// is near.
func didYouMean(written string, known []string, format func(string) string) string {
	if len(written) > maxSuggestion {
		return ""
	}
	best, bestDistance := "", 1+max(1, utf8.RuneCountInString(written)/3)
	for _, k := range known {
		if d := distance(strings.ToLower(written), strings.ToLower(k)); d < bestDistance || d == bestDistance && best != "" && k < best {
			best, bestDistance = k, d
		}
	}
	if best == "" {
		return ""
	}
	return "did you mean " + format(best) + "?"
}

// DidYouMean suggests the known name nearest to the one written, as in "did you
// mean phone?"; "" when none is near.
func DidYouMean(written string, known ...string) string {
	return didYouMean(written, known, func(s string) string { return s })
}

func quoted(s string) string { return `"` + s + `"` }

// distance is the number of insertions, deletions, replacements and swaps of
// neighbours that turn a into b (optimal string alignment).
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, last := make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row := make([]int, len(y)+1)
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(y)]
}

// sortedKeys gives a map's keys in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
