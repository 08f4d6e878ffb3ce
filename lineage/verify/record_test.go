package verify

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTagGroups: groups are read as docs/ledger-format.md has them, and none that
// are not those of all tags, in their one form.
func TestTagGroups(t *testing.T) {
	parse := func(sources int, groups ...uint64) (Record, error) {
		b := binary.AppendUvarint(nil, hasTags|hasSources|hasTagGroups)
		b = append(b, 0, 1, 1, 0, 0) // time, context, shape, no request, nobody
		b = append(b, 3)             // tags
		b = append(b, make([]byte, 24)...)
		b = append(b, byte(sources))
		names := []string{"a", "b", "c"}[:sources]
		for i := range names {
			b = append(b, byte(8*(i+1)))
		}
		b = append(b, byte(len(groups)/2))
		for _, n := range groups {
			b = binary.AppendUvarint(b, n)
		}
		got, err := parseRecord(b, func(uint64) (int, bool) { return 0, true })
		if err != nil {
			return Record{}, err
		}
		return got.with("node-a/1/1", head{}, Record{}, Record{}, names), nil
	}
	got, err := parse(3, 1, 1, 6, 2)
	if diff := cmp.Diff([]TagGroup{{[]string{"a"}, 1}, {[]string{"b", "c"}, 2}}, got.TagGroups); diff != "" || err != nil {
		t.Errorf("%v, groups (-want +got):\n%s", err, diff)
	}
	for name, bad := range map[string][]uint64{
		"one source":     {1, 1, 3},
		"none":           {2},
		"fewer tags":     {2, 1, 2},
		"more tags":      {2, 1, 4},
		"an empty group": {2, 1, 0, 2, 3},
		"no source":      {2, 0, 1, 2, 2},
		"a third source": {2, 1, 1, 4, 2},
		"another order":  {2, 2, 1, 1, 2},
		"one set twice":  {2, 1, 1, 1, 2},
		"beyond numbers": {2, 1, 1, 2, 1<<64 - 1, 3, 3},
	} {
		if got, err := parse(int(bad[0]), slices.Clone(bad[1:])...); err == nil {
			t.Errorf("%s: %+v", name, got.TagGroups)
		}
	}
}
