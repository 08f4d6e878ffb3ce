package lineage

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestUniqueTags: each tag once, in the order of their bytes, however many there
// are and however unevenly they are spread.
func TestUniqueTags(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 11))
	for _, n := range []int{0, 1, 2, fewTags, fewTags + 1, 300, 5000} {
		for _, first := range []int{1, 3, 256} {
			tags := make([]SubjectTag, n)
			known := map[SubjectTag]bool{}
			for i := range tags {
				if i > 0 && r.IntN(3) == 0 {
					tags[i] = tags[r.IntN(i)]
				} else {
					tags[i] = SubjectTag{byte(255 - r.IntN(first)), byte(r.IntN(256)), 7: byte(r.IntN(256))}
				}
				known[tags[i]] = true
			}
			got := UniqueTags(tags)
			if !slices.IsSortedFunc(got, func(a, b SubjectTag) int { return bytes.Compare(a[:], b[:]) }) {
				t.Errorf("%d tags of %d first bytes are not sorted", n, first)
			}
			for _, tag := range got {
				delete(known, tag)
			}
			if len(known) > 0 || len(slices.Compact(slices.Clone(got))) != len(got) {
				t.Errorf("%d tags of %d first bytes: %d are lost, or some stand twice", n, first, len(known))
			}
		}
	}
}
