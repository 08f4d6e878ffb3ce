package index

import (
	"testing"
	"time"
)

// TestShare: the index takes little while the log grows, and half of the time
// when it does not.
func TestShare(t *testing.T) {
	appended := uint64(7)
	x := &Index{cfg: Config{Share: 0.05, Appended: func() uint64 { return appended }}}
	var last uint64
	for i, want := range []float64{0.05, idleShare, 0.05, idleShare} {
		if i == 2 {
			appended++
		}
		if got := x.share(&last); got != want {
			t.Errorf("turn %d: %v of the time, want %v", i, got, want)
		}
	}
	if got := (&Index{cfg: Config{Share: 0.3}}).share(&last); got != 0.3 {
		t.Errorf("where nobody knows: %v", got)
	}
	for share, want := range map[float64]time.Duration{0.05: 190 * time.Millisecond, 0.5: 10 * time.Millisecond, 1: 0} {
		if got := pauseAfter(10*time.Millisecond, share).Round(time.Microsecond); got != want {
			t.Errorf("after 10ms it waits %v at a share of %v, want %v", got, share, want)
		}
	}
}
