package cell

import (
	"testing"
	"time"
)

// TestEveryDate holds every date there is to package time, and parses it back.
func TestEveryDate(t *testing.T) {
	var b, want []byte
	for days := int64(daysToYear1); days < daysToYear10000; days++ {
		var ok bool
		if b, ok = AppendDate(b[:0], days); !ok {
			t.Fatalf("day %d is refused", days)
		}
		at := time.Unix(days*secondsPerDay, 0).UTC()
		if want = at.AppendFormat(want[:0], time.DateOnly); string(b) != string(want) {
			t.Fatalf("day %d is %s, want %s", days, b, want)
		}
		if y, m, d := at.Date(); daysOf(int64(y), int64(m), int64(d)) != days {
			t.Fatalf("%s is another day than %d", b, days)
		}
	}
	for _, days := range []int64{daysToYear1 - 1, daysToYear10000} {
		if b, ok := AppendDate(nil, days); ok || len(b) > 0 {
			t.Errorf("day %d gives %q", days, b)
		}
	}
}

func BenchmarkAppendDateTime(b *testing.B) {
	out := make([]byte, 0, 64)
	for micros := int64(1795000000000000); b.Loop(); micros += 86400123456 {
		out, _ = AppendDateTime(out[:0], micros)
	}
}
