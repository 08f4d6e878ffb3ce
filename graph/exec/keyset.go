package exec

import (
	"bytes"
	"hash/maphash"

	"github.com/weir-data/weir/adapters"
)

// noOrdinal marks a row, or a stated tuple, that leads to no key.
const noOrdinal = -1

// keySet gathers key tuples without duplicates, in the order of their first
// appearance. Tuples are compared as bytes, exactly as sources compare them.
type keySet struct {
	keys  adapters.Keys
	table []uint32 // open addressing: ordinal+1, 0 is free
	seed  maphash.Seed
}

// reset empties the set and keeps its memory.
func (s *keySet) reset(cols int) {
	if s.seed == (maphash.Seed{}) {
		s.seed = maphash.MakeSeed()
	}
	clear(s.table)
	s.keys = adapters.Keys{Cols: cols, Data: s.keys.Data[:0], Ends: s.keys.Ends[:0]}
}

// part appends one part of the tuple that add ends.
func (s *keySet) part(text []byte) {
	s.keys.Data = append(s.keys.Data, text...)
	s.keys.Ends = append(s.keys.Ends, uint32(len(s.keys.Data))) //nolint:gosec // bounded by the limits on rows and bytes
}

// drop forgets the parts since the last add.
func (s *keySet) drop() {
	s.keys.Ends = s.keys.Ends[:s.keys.Rows*s.keys.Cols]
	s.keys.Data = s.keys.Data[:s.end()]
}

// end is where the tuples added so far end in the data.
func (s *keySet) end() uint32 {
	if n := s.keys.Rows * s.keys.Cols; n > 0 {
		return s.keys.Ends[n-1]
	}
	return 0
}

// add ends a tuple and gives its ordinal: that of its equal, if there is one.
func (s *keySet) add() int32 {
	if 4*(s.keys.Rows+1) > 3*len(s.table) {
		s.grow()
	}
	row := s.keys.Rows
	mask := uint64(len(s.table) - 1)
	for slot := s.hash(row) & mask; ; slot = (slot + 1) & mask {
		if s.table[slot] == 0 {
			s.keys.Rows++
			s.table[slot] = uint32(s.keys.Rows) //nolint:gosec // bounded by the limit on rows
			return int32(row)                   //nolint:gosec // as above
		}
		if other := int(s.table[slot] - 1); s.equal(other, row) {
			s.drop()
			return int32(other) //nolint:gosec // as above
		}
	}
}

func (s *keySet) hash(row int) uint64 {
	first, last := row*s.keys.Cols, (row+1)*s.keys.Cols
	start := uint32(0)
	if first > 0 {
		start = s.keys.Ends[first-1]
	}
	return maphash.Bytes(s.seed, s.keys.Data[start:s.keys.Ends[last-1]])
}

func (s *keySet) equal(a, b int) bool {
	for c := range s.keys.Cols {
		if !bytes.Equal(s.keys.Cell(a, c), s.keys.Cell(b, c)) {
			return false
		}
	}
	return true
}

// grow doubles the table and places the tuples anew; the one being added is
// not in it.
func (s *keySet) grow() {
	s.table = make([]uint32, max(64, 2*len(s.table)))
	mask := uint64(len(s.table) - 1)
	for row := range s.keys.Rows {
		slot := s.hash(row) & mask
		for s.table[slot] != 0 {
			slot = (slot + 1) & mask
		}
		s.table[slot] = uint32(row + 1) //nolint:gosec // bounded by the limit on rows
	}
}

// piece copies the tuples from first up to last, for sources that take only so
// many at once.
func piece(keys *adapters.Keys, first, last int) *adapters.Keys {
	start := uint32(0)
	if first > 0 {
		start = keys.Ends[first*keys.Cols-1]
	}
	out := &adapters.Keys{
		Rows: last - first, Cols: keys.Cols,
		Data: keys.Data[start:keys.Ends[last*keys.Cols-1]],
		Ends: make([]uint32, 0, (last-first)*keys.Cols),
	}
	for _, end := range keys.Ends[first*keys.Cols : last*keys.Cols] {
		out.Ends = append(out.Ends, end-start)
	}
	return out
}
