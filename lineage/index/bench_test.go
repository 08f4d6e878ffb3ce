package index

import (
	"path/filepath"
	"testing"

	"github.com/weir-data/weir/lineage"
)

// BenchmarkApply is what a record costs that brings no new name: beside a server,
// whose tables are kept in their orders, and when an index is made anew. The
// figure to look at is records a second of the processor.
func BenchmarkApply(b *testing.B) {
	for _, c := range [...]struct {
		name  string
		batch int
		anew  bool
	}{{"following/batch=256", 256, false}, {"following/batch=4096", 4096, false}, {"anew", 4096, true}} {
		b.Run(c.name, func(b *testing.B) {
			open := Open
			if c.anew {
				open = Anew
			}
			x, err := open(b.Context(), Config{Driver: SQLite, Path: filepath.Join(b.TempDir(), "index.db")})
			if err != nil {
				b.Fatal(err)
			}
			defer x.Close() //nolint:errcheck // thrown away
			g := newTraffic(1, 1<<40, 400_000_000, 1, 300, 2000, 1_000_000)
			w := newWriter(x)
			defer w.close()
			entries := make([]lineage.Entry, 0, c.batch)
			for range 30_000 / c.batch { // the names
				if err := w.apply(b.Context(), g.next(entries)); err != nil {
					b.Fatal(err)
				}
			}
			n := 0
			var worked float64
			for b.Loop() {
				b.StopTimer()
				entries = g.next(entries)
				b.StartTimer()
				began := processor()
				if err := w.apply(b.Context(), entries); err != nil {
					b.Fatal(err)
				}
				worked += (processor() - began).Seconds()
				n += len(entries)
			}
			b.ReportMetric(float64(n)/worked, "records/cpu-s")
			b.ReportMetric(worked*1e6/float64(n), "cpu-us/record")
		})
	}
}
