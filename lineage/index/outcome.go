package index

import (
	"encoding/binary"

	"github.com/weir-data/weir/lineage"
)

// Outcome is how a field fared: shown in clear, masked, withheld, or used
// without being shown (a filter, an order, a join).
type Outcome uint8

// Outcomes.
const (
	Used Outcome = iota
	Withheld
	Masked
	Clear
)

var outcomeNames = [...]string{"used", "withheld", "masked", "clear"}

// String is the outcome in lower case.
func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return "?"
}

// countsOf are the cells of one use.
func countsOf(r *lineage.Record, use int) lineage.Counts {
	if use < len(r.Counts) {
		return r.Counts[use]
	}
	return lineage.Counts{}
}

// outcomesOfUse is the set of the outcomes of one use, a bit each. A selected
// field without a cell (no row, a null parent) has none.
func outcomesOfUse(r *lineage.Record, use int) (bits byte) {
	if r.Uses[use].Use != lineage.Select {
		return 1 << Used
	}
	c := countsOf(r, use)
	if c.Clear > 0 {
		bits |= 1 << Clear
	}
	if c.Masked > 0 {
		bits |= 1 << Masked
	}
	if c.Withheld > 0 {
		bits |= 1 << Withheld
	}
	return bits
}

// cellsOf is the number of cells of a use that fared so.
func cellsOf(r *lineage.Record, use int, o Outcome) uint32 {
	c := countsOf(r, use)
	switch o {
	case Clear:
		return c.Clear
	case Masked:
		return c.Masked
	case Withheld:
		return c.Withheld
	default:
		return c.Clear + c.Masked + c.Withheld
	}
}

// tagNumber is a tag as the tables hold it.
func tagNumber(t lineage.SubjectTag) int64 { return int64(binary.BigEndian.Uint64(t[:])) }
