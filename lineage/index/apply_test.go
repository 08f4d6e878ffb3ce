package index

import (
	"testing"
	"time"
)

// TestTurns: the index takes little, in small turns, while others want the
// processors, and half of the time when they do not, also while the log grows.
func TestTurns(t *testing.T) {
	busy := true
	w := newWriter(&Index{cfg: Config{Batch: 4096, Share: 0.05, Busy: func() bool { return busy }}})
	if got := w.turn(); got != 0.05 || w.most != busyRecords || w.mostTags != busyTags {
		t.Errorf("busy: %v of the time, %d records, %d tags", got, w.most, w.mostTags)
	}
	busy = false
	if got := w.turn(); got != idleShare || w.most != 4096 || w.mostTags != maxTags {
		t.Errorf("not busy: %v of the time, %d records, %d tags", got, w.most, w.mostTags)
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
