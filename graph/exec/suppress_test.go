package exec

import (
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// Every small class is left out, and along every line through one at least two
// classes with at least k persons are, or all of the line.
func TestSuppressionHidesSmallClasses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const k = 5
		dims := rapid.IntRange(0, 3).Draw(t, "dimensions")
		var classes []*class
		var sizes []int
		var fill func(key []part)
		fill = func(key []part) {
			if len(key) == dims {
				classes = append(classes, &class{key: append([]part(nil), key...)})
				sizes = append(sizes, rapid.SampledFrom([]int{0, 0, 1, 3, 5, 9, 20, 50}).Draw(t, "size"))
				return
			}
			for i := range 4 {
				fill(append(key, part{text: strconv.Itoa(i)}))
			}
		}
		fill(nil)
		out := suppress(classes, sizes, k, dims)
		small := 0
		for i, n := range sizes {
			if n == 0 && out[i] {
				t.Fatal("an empty class is left out")
			}
			if n == 0 || n >= k {
				continue
			}
			small++
			if !out[i] {
				t.Fatalf("a class of %d is shown", n)
			}
			for d := range dims {
				left, persons, members := 0, 0, 0
				for j, other := range classes {
					if sizes[j] == 0 || lineKey(other, d) != lineKey(classes[i], d) {
						continue
					}
					members++
					if out[j] {
						left++
						persons += sizes[j]
					}
				}
				if left < members && (left < 2 || persons < k) {
					t.Fatalf("in a line of %d classes %d with %d persons are left out", members, left, persons)
				}
			}
		}
		if small == 0 {
			for i := range out {
				if out[i] {
					t.Fatal("a class is left out though none is small")
				}
			}
		}
	})
}
