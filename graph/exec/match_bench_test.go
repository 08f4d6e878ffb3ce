package exec

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/weir-data/weir/internal/store"
)

// durable shows the executor a real control store.
type durable struct{ *store.Store }

func (d durable) Spend(ctx context.Context, charges []Charge) error {
	converted := make([]store.Charge, len(charges))
	for i, c := range charges {
		converted[i] = store.Charge(c)
	}
	return d.Store.Spend(ctx, converted)
}

// BenchmarkVerification is a verification without HTTP and ledger: of what the
// reader sees anyway, and of what is charged and synced first, one at a time and
// from 64 requests at once.
func BenchmarkVerification(b *testing.B) {
	const query = `{ personMatch(id: "100", expect: {name: "张伟"}) }`
	for _, c := range []struct {
		name, who string
		parallel  int
	}{{"clear", "reader purpose births", 0}, {"charged", "clerk purpose births", 0}, {"charged together", "clerk purpose births", 64}} {
		b.Run(c.name, func(b *testing.B) {
			w := newWorld(b)
			s, err := store.Open(b.Context(), store.Config{Path: filepath.Join(b.TempDir(), "control.db")})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = s.Close() })
			w.executor.budgets, w.executor.matchLimits = durable{s}, MatchLimits{1 << 40, 1 << 40}
			ask := func(w *world) {
				if a := w.ask(w.as(c.who), query, nil); string(a.Data) != `{"personMatch":true}` {
					b.Errorf("%s %v", a.Data, a.Errors)
				}
			}
			b.ReportAllocs()
			if c.parallel == 0 {
				for b.Loop() {
					ask(w)
				}
				return
			}
			b.SetParallelism(c.parallel)
			b.RunParallel(func(pb *testing.PB) {
				own := &world{t: b, executor: w.executor, generation: w.generation}
				for pb.Next() {
					ask(own)
				}
			})
		})
	}
}
