package exec

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/weir-data/weir/graph/plan"
)

// BenchmarkAggregate is a whole operation over SQLite, from planning to the
// answer: exact counts, which the source tallies, and protected sums, for which
// every person is read.
func BenchmarkAggregate(b *testing.B) {
	for _, n := range []int{1_000, 20_000} {
		w := census(b, crowd(rand.New(rand.NewPCG(1, 1)), n), nil) //nolint:gosec // the same people each time
		for _, c := range []struct{ name, who, query string }{
			{"exact count", "auditor", "{ a: peopleAggregate { group { district band } count } }"},
			{"exact sum", "auditor", "{ a: peopleAggregate { group { district band } count sum { income } avg { income } } }"},
			{"protected sum", "statistician", "{ a: peopleAggregate { group { district band } count sum { income } avg { income } } }"},
		} {
			b.Run(c.name+"/"+strconv.Itoa(n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if got := codes(b, w, c.who, c.query, nil); got == string(plan.Internal) || got == "" {
						b.Fatal(got)
					}
				}
			})
		}
	}
}
