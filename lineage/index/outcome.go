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
// field without a cell (no row, a null parent) has none, nor a filter whose
// statement was not sent.
func outcomesOfUse(r *lineage.Record, use int) (bits byte) {
	c := countsOf(r, use)
	switch kind := r.Uses[use].Use; {
	case kind.ByStatement() && c.Clear == 0:
		return 0
	case kind != lineage.Select:
		return 1 << Used
	}
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

// cellsOf is the number of cells of a use that fared so. Statements are none.
func cellsOf(r *lineage.Record, use int, o Outcome) uint32 {
	c := countsOf(r, use)
	if r.Uses[use].Use.ByStatement() {
		return 0
	}
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
