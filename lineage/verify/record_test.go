package verify

import (
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTagGroups: groups are read as docs/ledger-format.md has them, and none that
// are not those of all tags, in their one form. The node's own reader is held to
// the same bodies.
func TestTagGroups(t *testing.T) {
	text, err := os.ReadFile("testdata/taggroups.txt")
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		read++
		kind, rest, _ := strings.Cut(line, " ")
		digits, name, _ := strings.Cut(rest, ": ")
		b, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseRecord(b, func(uint64) (int, bool) { return 0, true })
		if kind != "good" {
			if !errors.Is(err, errBody) {
				t.Errorf("%s: %v, %v", name, got.groups, err)
			}
			continue
		}
		r := got.with("node-a/1/1", head{}, Record{}, Record{}, []string{"a", "b", "c"})
		if diff := cmp.Diff([]TagGroup{{[]string{"a"}, 1}, {[]string{"b", "c"}, 2}}, r.TagGroups); diff != "" || err != nil {
			t.Errorf("%s: %v, groups (-want +got):\n%s", name, err, diff)
		}
	}
	if read < 11 {
		t.Errorf("%d bodies", read)
	}
}
