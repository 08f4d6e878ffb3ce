package exec

import (
	"slices"
	"sort"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/graph/plan"
)

// result is what one fetch gave: its batches as they were read, and the two
// indexes that connect rows with their parents. It is written by the fetch's
// goroutine and read by the writer after all fetches have ended.
type result struct {
	batches []*adapters.Batch
	starts  []int // number of the first row of each batch
	rows    int
	bytes   int
	// groups holds, of a keyed fetch, the first row of each ordinal and, one
	// further, the number of rows.
	groups []uint32
	// ordinals maps the parent's row, or the stated tuple, to the key's
	// ordinal; noOrdinal when there is none.
	ordinals []int32
	// failure is why there are no rows; "" when the fetch succeeded.
	failure plan.Code
	// asked is whether a statement was about to reach the source.
	asked  bool
	keys   keySet
	seen   []uint64 // rows that were written, a bitset
	chosen []uint64 // rows that will be, of fetches in a merge set
	// groupRows are what became of the rows of an aggregate fetch, tallied their
	// number.
	groupRows []group
	tallied   int64
	counted   bool
}

// reset empties the result for another request and keeps its indexes' memory.
func (r *result) reset() {
	r.batches, r.starts = r.batches[:0], r.starts[:0]
	r.rows, r.bytes, r.asked = 0, 0, false
	r.groups, r.ordinals = r.groups[:0], r.ordinals[:0]
	r.failure = ""
	r.groupRows, r.tallied, r.counted = nil, 0, false
	r.seen = r.seen[:0]
}

// group gives the rows of an ordinal as a half-open range; empty for noOrdinal.
func (r *result) group(ordinal int32) (first, last int) {
	if ordinal < 0 || int(ordinal)+1 >= len(r.groups) {
		return 0, 0
	}
	return int(r.groups[ordinal]), int(r.groups[ordinal+1])
}

// ordinal is the inverse of group: the key that a row was read for.
func (r *result) ordinal(row int) int32 {
	i := sort.Search(len(r.groups), func(i int) bool { return int(r.groups[i]) > row })
	return int32(i) - 1 //nolint:gosec // bounded by the limit on rows
}

// locate finds a row's batch and its place in it.
func (r *result) locate(row int) (batch, local int) {
	if len(r.batches) == 1 {
		return 0, row
	}
	batch = sort.SearchInts(r.starts, row+1) - 1
	return batch, row - r.starts[batch]
}

// at gives a row.
func (r *result) at(row int) place {
	batch, local := r.locate(row)
	return place{result: r, batch: r.batches[batch], row: local, number: row}
}

// mark notes that a row was written, and reports whether for the first time.
func (r *result) mark(row int) bool {
	if len(r.seen) == 0 {
		n := (r.rows + 63) / 64
		if cap(r.seen) < n {
			r.seen = make([]uint64, n)
		} else {
			r.seen = r.seen[:n]
			clear(r.seen)
		}
	}
	word, bit := &r.seen[row>>6], uint64(1)<<(row&63)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}

// place is a row of a result. The zero place is the Query object, which is of
// no row.
type place struct {
	result *result
	batch  *adapters.Batch
	row    int // in batch
	number int // in result
}

// bits are the row's scope bits.
func (p *place) bits() (truth, unknown uint64) {
	if p.batch == nil {
		return 0, 0
	}
	return p.batch.True[p.row], p.batch.Unknown[p.row]
}

// misfit finds the first of some columns whose cell is not of its kind; -1 when
// there is none.
func (p *place) misfit(columns []int) int {
	return slices.IndexFunc(columns, func(c int) bool { return p.batch.IsBad(p.row, c) })
}

// next moves to the following row, which must exist.
func (p *place) next() {
	p.number++
	p.row++
	if p.row >= p.batch.Rows {
		*p = p.result.at(p.number)
	}
}
