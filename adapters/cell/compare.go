package cell

import (
	"bytes"
	"cmp"
	"strings"
)

// CompareDecimal, CompareDateTime and CompareTime order texts by value, for
// engines that hold such values as text. They are total orders: a text that is
// not of the kind comes after all that are, and among those bytes decide.

// CompareDecimal compares decimal numbers of any length and scale.
func CompareDecimal(a, b string) int {
	okA, okB := decimal([]byte(a)), decimal([]byte(b))
	if !okA || !okB {
		return invalidLast(okA, okB, a, b)
	}
	return compareDecimal(a, b)
}

func compareDecimal(a, b string) int {
	a, minusA := strings.CutPrefix(a, "-")
	b, minusB := strings.CutPrefix(b, "-")
	wa, fa, _ := strings.Cut(a, ".")
	wb, fb, _ := strings.Cut(b, ".")
	fa, fb = strings.TrimRight(fa, "0"), strings.TrimRight(fb, "0")
	// Minus zero is zero.
	minusA = minusA && (wa != "0" || fa != "")
	minusB = minusB && (wb != "0" || fb != "")
	if minusA != minusB {
		if minusA {
			return -1
		}
		return 1
	}
	c := cmp.Or(cmp.Compare(len(wa), len(wb)), cmp.Compare(wa, wb), cmp.Compare(fa, fb))
	if minusA {
		return -c
	}
	return c
}

// CompareDateTime compares instants, whatever their offsets.
func CompareDateTime(a, b string) int {
	x, okA := parseInstant([]byte(a))
	y, okB := parseInstant([]byte(b))
	if !okA || !okB {
		return invalidLast(okA, okB, a, b)
	}
	return x.compare(y)
}

// CompareTime compares times of day.
func CompareTime(a, b string) int {
	x, restA, okA := parseClock([]byte(a))
	y, restB, okB := parseClock([]byte(b))
	okA, okB = okA && len(restA) == 0, okB && len(restB) == 0
	if !okA || !okB {
		return invalidLast(okA, okB, a, b)
	}
	return x.compare(y)
}

func invalidLast(okA, okB bool, a, b string) int {
	switch {
	case okA:
		return -1
	case okB:
		return 1
	default:
		return bytes.Compare([]byte(a), []byte(b))
	}
}
