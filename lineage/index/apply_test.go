package index

import (
	"testing"
	"time"
)

// TestTurns: the index takes little, in small turns, while others want the
// processors, and half of the time when they do not, also while the log grows.
func TestTurns(t *testing.T) {
	var load Load
	w := newWriter(&Index{cfg: Config{Batch: 4096, Share: 0.05, Load: func() Load { return load }}})
	for _, c := range []struct {
		load          Load
		share         float64
		records, tags int
	}{{Full, 0.05, 64, 1 << 12}, {Light, 0.5, 256, 1 << 13}, {Idle, 0.5, 4096, maxTags}} {
		load = c.load
		if got := w.turn(); got != c.share || w.most != c.records || w.mostTags != c.tags {
			t.Errorf("load %d: %v of the time, %d records, %d tags", load, got, w.most, w.mostTags)
		}
	}
	if got := newWriter(&Index{cfg: Config{Batch: 16, Share: 0.3}}).turn(); got != 0.3 {
		t.Errorf("where nobody knows: %v", got)
	}
	for share, want := range map[float64]time.Duration{0.05: 190 * time.Millisecond, 0.5: 10 * time.Millisecond, 1: 0} {
		if got := pauseAfter(10*time.Millisecond, share).Round(time.Microsecond); got != want {
			t.Errorf("after 10ms it waits %v at a share of %v, want %v", got, share, want)
		}
	}
}
