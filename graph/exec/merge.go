package exec

import (
	"bytes"
	"cmp"
	"strconv"

	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/schema"
)

// stream is what is left of one member's rows.
type stream struct {
	member *member
	at     place
	left   int
}

// unmergeable finds the first merge key that is not of its kind in one of the
// stream's rows; -1 when there is none. The source has put such a row somewhere
// among its others, and no other source's rows can be put before or behind it.
func (s *stream) unmergeable() int {
	if len(s.member.mergeColumns) == 0 {
		return -1
	}
	at := s.at
	for n := range s.left {
		if n > 0 {
			at.next()
		}
		if key := at.misfit(s.member.mergeColumns); key >= 0 {
			return key
		}
	}
	return -1
}

// least gives the index of the stream whose head comes first in the merged
// order, or -1 when all are empty. Streams are in the order of their types'
// names and equal heads leave the earlier one first.
func least(streams []stream, keys []plan.MergeKey) int {
	best := -1
	for i := range streams {
		if streams[i].left == 0 {
			continue
		}
		if best < 0 || before(&streams[i], &streams[best], keys) {
			best = i
		}
	}
	return best
}

// pop takes the head that comes first in the merged order.
func pop(streams []stream, keys []plan.MergeKey) (m *member, at place, ok bool) {
	i := least(streams, keys)
	if i < 0 {
		return nil, place{}, false
	}
	s := &streams[i]
	m, at = s.member, s.at
	if s.left--; s.left > 0 {
		s.at.next()
	}
	return m, at, true
}

// before reports whether a's head comes strictly before b's.
func before(a, b *stream, keys []plan.MergeKey) bool {
	for k := range keys {
		key := &keys[k]
		x, xNull := a.at.batch.Cell(a.at.row, a.member.mergeColumns[k])
		y, yNull := b.at.batch.Cell(b.at.row, b.member.mergeColumns[k])
		if xNull || yNull {
			if xNull == yNull {
				continue
			}
			return xNull == key.NullsFirst
		}
		c := compareCells(key.Kind, x, y)
		if c == 0 {
			continue
		}
		return (c < 0) != key.Desc
	}
	return false
}

// compareCells compares two cells of a kind as the sources order them: text by
// code point, which in UTF-8 is by byte; numbers by value.
func compareCells(kind schema.Scalar, x, y []byte) int {
	switch kind {
	case schema.Int, schema.BigInt, schema.Decimal:
		return compareDecimals(x, y)
	case schema.Float:
		a, errA := strconv.ParseFloat(string(x), 64)
		b, errB := strconv.ParseFloat(string(y), 64)
		if errA == nil && errB == nil {
			return cmp.Compare(a, b)
		}
	case schema.DateTime:
		// Without the Z a time without a fraction is a prefix of the later ones
		// within its second.
		return bytes.Compare(bytes.TrimSuffix(x, []byte("Z")), bytes.TrimSuffix(y, []byte("Z")))
	default:
	}
	return bytes.Compare(x, y)
}

// compareDecimals compares two decimal texts exactly: an optional sign, digits,
// an optional fraction of any scale.
func compareDecimals(x, y []byte) int {
	negX, intX, fracX := splitDecimal(x)
	negY, intY, fracY := splitDecimal(y)
	zeroX, zeroY := len(intX) == 0 && len(fracX) == 0, len(intY) == 0 && len(fracY) == 0
	switch {
	case zeroX && zeroY:
		return 0
	case zeroX:
		negX = false
	case zeroY:
		negY = false
	}
	if negX != negY {
		if negX {
			return -1
		}
		return 1
	}
	c := cmp.Or(cmp.Compare(len(intX), len(intY)), bytes.Compare(intX, intY), bytes.Compare(fracX, fracY))
	if negX {
		return -c
	}
	return c
}

// splitDecimal takes a decimal apart: zeros before the integer part and behind
// the fraction are cut off.
func splitDecimal(s []byte) (negative bool, whole, fraction []byte) {
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		negative, s = s[0] == '-', s[1:]
	}
	whole, fraction, _ = bytes.Cut(s, []byte("."))
	return negative, bytes.TrimLeft(whole, "0"), bytes.TrimRight(fraction, "0")
}
