package guangdong

import "testing"

func BenchmarkWriteSQLite(b *testing.B) {
	for b.Loop() {
		if err := WriteSQLite(b.Context(), b.TempDir(), Options{}, nil); err != nil {
			b.Fatal(err)
		}
	}
}
