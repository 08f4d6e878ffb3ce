package index

import (
	"encoding/binary"
	"errors"
	"iter"

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

// outcomesOfUse gives the outcomes of one use with the number of their cells. A
// selected field without a cell (no row, a null parent) has none.
func outcomesOfUse(r *lineage.Record, use int) iter.Seq2[Outcome, uint32] {
	return func(yield func(Outcome, uint32) bool) {
		var c lineage.Counts
		if use < len(r.Counts) {
			c = r.Counts[use]
		}
		if r.Uses[use].Use != lineage.Select {
			yield(Used, c.Clear+c.Masked+c.Withheld)
			return
		}
		_ = (c.Clear == 0 || yield(Clear, c.Clear)) && (c.Masked == 0 || yield(Masked, c.Masked)) &&
			(c.Withheld == 0 || yield(Withheld, c.Withheld))
	}
}

// outcomesOf is the set of a record's outcomes, a bit each.
func outcomesOf(r *lineage.Record) (bits uint8) {
	for i := range r.Uses {
		for o := range outcomesOfUse(r, i) {
			bits |= 1 << o
		}
	}
	return bits
}

func appendCounts(b []byte, counts []lineage.Counts) []byte {
	if b == nil {
		b = []byte{} // NOT NULL
	}
	for i := range counts {
		b = binary.AppendUvarint(b, uint64(counts[i].Clear))
		b = binary.AppendUvarint(b, uint64(counts[i].Masked))
		b = binary.AppendUvarint(b, uint64(counts[i].Withheld))
	}
	return b
}

var errCounts = errors.New("the counts of a record do not parse")

func parseCounts(b []byte, uses int) ([]lineage.Counts, error) {
	out := make([]lineage.Counts, uses)
	if len(b) == 0 {
		return out, nil
	}
	for i := range out {
		for _, v := range [...]*uint32{&out[i].Clear, &out[i].Masked, &out[i].Withheld} {
			x, n := binary.Uvarint(b)
			if n <= 0 {
				return nil, errCounts
			}
			*v, b = uint32(x), b[n:]
		}
	}
	return out, nil
}

// tagNumber is a tag as the tables hold it.
func tagNumber(t lineage.SubjectTag) int64 { return int64(binary.BigEndian.Uint64(t[:])) }
