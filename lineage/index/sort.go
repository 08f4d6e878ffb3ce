package index

import (
	"math/bits"
	"slices"
)

// fewPostings are not worth parting into heaps.
const fewPostings = 64

// sorter sorts postings. Tags are a MAC's bits, spread evenly, so that their
// highest bits part them into heaps of a few; should they not be, it takes longer.
type sorter struct {
	spare []posting
	ends  []int32
}

// heapSize is how many postings a heap has when tags are spread evenly.
const heapSize = 4

// sort gives postings sorted, each once. It takes the list over: what was given is
// the sorter's from then on, and what comes back is the caller's.
func (s *sorter) sort(list []posting) []posting {
	if len(list) <= fewPostings {
		slices.SortFunc(list, posting.compare)
		return slices.Compact(list)
	}
	low, high := list[0].tag, list[0].tag
	for i := range list {
		low, high = min(low, list[i].tag), max(high, list[i].tag)
	}
	heaps := bits.Len(uint(len(list) / heapSize)) //nolint:gosec // not negative
	shift := max(0, bits.Len64(uint64(high)-uint64(low))-heaps)
	s.ends = slices.Grow(s.ends[:0], 1<<heaps)[:1<<heaps]
	clear(s.ends)
	heap := func(p *posting) uint64 { return (uint64(p.tag) - uint64(low)) >> shift } //nolint:gosec // what wraps around comes back
	for i := range list {
		s.ends[heap(&list[i])]++
	}
	at := int32(0)
	for h, n := range s.ends {
		s.ends[h] = at // where it begins, and when all are in, where it ends
		at += n
	}
	s.spare = slices.Grow(s.spare[:0], len(list))[:len(list)]
	for i := range list {
		h := heap(&list[i])
		s.spare[s.ends[h]] = list[i]
		s.ends[h]++
	}
	at = 0
	for _, end := range s.ends {
		sortHeap(s.spare[at:end])
		at = end
	}
	out := slices.Compact(s.spare)
	s.spare = list[:0]
	return out
}

// sortHeap sorts what is few mostly, and may be in order.
func sortHeap(list []posting) {
	if len(list) > 3*heapSize {
		slices.SortFunc(list, posting.compare)
		return
	}
	for i := 1; i < len(list); i++ {
		p := list[i]
		at := i
		for at > 0 && (p.tag < list[at-1].tag || p.tag == list[at-1].tag && p.compare(list[at-1]) < 0) {
			list[at] = list[at-1]
			at--
		}
		list[at] = p
	}
}
