package index

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/weir-data/weir/lineage"
)

// TestRequests: every id comes back as it was, and equal ids alone are equal.
func TestRequests(t *testing.T) {
	for _, c := range [...]struct {
		id   string
		size int
	}{
		{"lF2kIosqgiHB0CGp", 13},
		{"0193569a-2b5c-7d3e-8f40-123456789abc", 17},
		{"0193569A-2b5c-7d3e-8f40-123456789abc", 28},
		{"", 1},
		{"a b", 4},
		{"lF2k\nIosq", 10},
		{"lF2kI", 6},
	} {
		b := packRequest(c.id)
		if got, err := unpackRequest(b); err != nil || got != c.id || len(b) != c.size {
			t.Errorf("%q takes %d bytes and comes back as %q, %v", c.id, len(b), got, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.OneOf(rapid.String(), rapid.StringMatching(`[A-Za-z0-9_-]{0,20}`), rapid.StringMatching(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)).Draw(t, "id")
		if got, err := unpackRequest(packRequest(id)); err != nil || got != id {
			t.Fatalf("%q comes back as %q, %v", id, got, err)
		}
	})
	for _, bad := range [][]byte{nil, {9}, {uuidRequest, 1}} {
		if got, err := unpackRequest(bad); err == nil {
			t.Errorf("%v is %q", bad, got)
		}
	}
}

// TestCounts: counts come back, none as zeros, and damage is told.
func TestCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint32Range(0, 3)
		counts := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) lineage.Counts {
			return lineage.Counts{Clear: n.Draw(t, "clear") * 100, Masked: n.Draw(t, "masked"), Withheld: n.Draw(t, "withheld")}
		}), 1, 30).Draw(t, "counts")
		b := appendCounts(nil, counts)
		got, err := parseCounts(b, len(counts))
		if err != nil || !slices.Equal(got, counts) {
			t.Fatalf("%v comes back as %v, %v", counts, got, err)
		}
		if _, err := parseCounts(b[:len(b)-1], len(counts)); err == nil && len(b) > 1 {
			t.Fatal("cut counts parse")
		}
		if _, err := parseCounts(b, len(counts)-1); err == nil {
			t.Fatal("counts of another shape parse")
		}
	})
	if got, err := parseCounts(nil, 3); err != nil || len(got) != 3 {
		t.Errorf("%v, %v", got, err)
	}
}
