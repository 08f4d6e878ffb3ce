package verify

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"
)

// TestInTime: an act is held both to the month of the key under which its record
// lies and, where it can be read, to what the record says; a ledger's own writer
// makes both of one time, others need not.
func TestInTime(t *testing.T) {
	t.Parallel()
	n, sum := keyName{2023*12 + 7, 3}, []byte{1, 2}
	due := uint64(2026*12 + 8)
	at := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)
	says := [3]string{"retention", "2023-08.3", hex.EncodeToString(sum)}
	for name, c := range map[string]struct {
		told *saying
		want string
	}{
		"in time, closed":              {&saying{month: due}, ""},
		"in time":                      {&saying{due, at, says}, ""},
		"closed, under an early key":   {&saying{month: due - 1}, "2023-08 are kept until 2026-09-01, and 2023-08.3 was dropped in 2026-08"},
		"late, under an early key":     {&saying{due - 1, at, says}, "was dropped in 2026-08"},
		"early, under a key in time":   {&saying{due, at.Add(-time.Second), says}, "2023-08 are kept until 2026-09-01, and 2023-08.3 was dropped at 2026-08-31T23:59:59Z"},
		"of something else":            {&saying{due, at, [3]string{"query", "2023-08.3", says[2]}}, "of something else"},
		"said by nothing":              {nil, "behind no record"},
		"of a month before the others": {&saying{month: 0}, "was dropped in 0000-01"},
	} {
		err := c.told.inTime(n, sum)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
