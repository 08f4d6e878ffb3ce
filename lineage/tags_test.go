package lineage

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestGroupTags: every tag once, beside those of the same sources and in order,
// under the sources that it came from and no other.
func TestGroupTags(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 5).Draw(t, "sources")
		lists, want := make([][]SubjectTag, n), map[SubjectTag]uint64{}
		for i := range lists {
			for range rapid.IntRange(0, 40).Draw(t, "tags") {
				tag := SubjectTag{byte(rapid.IntRange(0, 30).Draw(t, "tag")), 1}
				lists[i] = append(lists[i], tag)
				want[tag] |= 1 << i
			}
		}
		r := Record{Sources: make([]SourceAge, n)}
		r.SetGroupedTags(GroupTags(lists))
		if !r.groupsFit() || len(r.Tags) != len(want) || r.TagCount != uint64(len(want)) || n == 1 != (r.TagGroups == nil) && len(want) > 0 {
			t.Fatalf("%d tags instead of %d, groups %v of %d sources", len(r.Tags), len(want), r.TagGroups, n)
		}
		at := 0
		for _, g := range r.TagGroups {
			part := r.Tags[at : at+g.Count]
			if !slices.IsSortedFunc(part, compareTags) {
				t.Fatalf("a group is not in order: %v", part)
			}
			for _, tag := range part {
				if want[tag] != g.Sources {
					t.Fatalf("%v is of %b, and stands under %b", tag, want[tag], g.Sources)
				}
			}
			at += g.Count
		}
		for i := range lists {
			tags, known := r.TagsOf(i)
			if !known || len(tags) != len(UniqueTags(slices.Clone(lists[i]))) {
				t.Fatalf("source %d has %v instead of %v", i, tags, lists[i])
			}
			for _, tag := range tags {
				if want[tag]&(1<<i) == 0 {
					t.Fatalf("%v is none of source %d", tag, i)
				}
			}
		}
	})
	r := Record{Sources: make([]SourceAge, 2)}
	r.SetTags([]SubjectTag{{1}})
	if _, known := r.TagsOf(0); known {
		t.Error("a record of two sources without groups tells whose its persons are")
	}
	many := make([]SubjectTag, MaxTags)
	for i := range many {
		binary.BigEndian.PutUint32(many[i][:], uint32(i)) //nolint:gosec // few
	}
	r.SetGroupedTags(GroupTags([][]SubjectTag{many, {{0xff}}}))
	if _, known := r.TagsOf(0); known || r.TagGroups != nil || r.Tags != nil || r.TagCount != MaxTags+1 {
		t.Errorf("of %d tags: %v", r.TagCount, r.TagGroups)
	}
	if tags, groups := GroupTags(make([][]SubjectTag, maxGroupedSources+1)); tags != nil || groups != nil {
		t.Error("nobody is grouped")
	}
	lists := make([][]SubjectTag, maxGroupedSources+1)
	lists[maxGroupedSources], lists[0] = []SubjectTag{{2}, {1}}, []SubjectTag{{2}}
	if tags, groups := GroupTags(lists); len(tags) != 2 || groups != nil {
		t.Errorf("of more sources than a group can tell: %v, %v", tags, groups)
	}
}

// TestReadTagGroups: what whoever holds the key may have written is no record when
// its groups are not those of all its tags, in their one form. The verifier's own
// reader is held to the same bodies.
func TestReadTagGroups(t *testing.T) {
	text, err := os.ReadFile("verify/testdata/taggroups.txt")
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
		k := &keyed{contexts: make([]meant[Record], 1), shapes: make([]meant[Record], 1), names: make([]meant[string], 3)}
		r, _, err := new(decoder).parse(k, must(hex.DecodeString(digits)))
		if kind == "good" && (err != nil || !slices.Equal(r.TagGroups, []TagGroup{{1, 1}, {6, 2}})) || kind != "good" && !errors.Is(err, errBody) {
			t.Errorf("%s %s: %v, %v", kind, name, r.TagGroups, err)
		}
	}
	if read < 11 {
		t.Errorf("%d bodies", read)
	}
}

// TestUniqueTags: each tag once, in the order of their bytes, however many there
// are and however unevenly they are spread.
func TestUniqueTags(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 11))
	for _, n := range []int{0, 1, 2, fewTags, fewTags + 1, 300, 5000} {
		for _, first := range []int{1, 3, 256} {
			tags := make([]SubjectTag, n)
			known := map[SubjectTag]bool{}
			for i := range tags {
				if i > 0 && r.IntN(3) == 0 {
					tags[i] = tags[r.IntN(i)]
				} else {
					tags[i] = SubjectTag{byte(255 - r.IntN(first)), byte(r.IntN(256)), 7: byte(r.IntN(256))}
				}
				known[tags[i]] = true
			}
			got := UniqueTags(tags)
			if !slices.IsSortedFunc(got, func(a, b SubjectTag) int { return bytes.Compare(a[:], b[:]) }) {
				t.Errorf("%d tags of %d first bytes are not sorted", n, first)
			}
			for _, tag := range got {
				delete(known, tag)
			}
			if len(known) > 0 || len(slices.Compact(slices.Clone(got))) != len(got) {
				t.Errorf("%d tags of %d first bytes: %d are lost, or some stand twice", n, first, len(known))
			}
		}
	}
}
