package lineage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
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
// its groups are not those of all its tags, in their one form.
func TestReadTagGroups(t *testing.T) {
	parse := func(sources int, groups ...uint64) (Record, error) {
		b := binary.AppendUvarint(nil, hasTags|hasSources|hasTagGroups)
		b = append(b, 0, 1, 1, 0, 0) // time, context, shape, no request, nobody
		b = append(b, 3)             // tags
		b = append(b, make([]byte, 24)...)
		b = append(b, byte(sources))
		for i := range sources {
			b = append(b, byte(8*(i+1)))
		}
		b = append(b, byte(len(groups)/2))
		for _, n := range groups {
			b = binary.AppendUvarint(b, n)
		}
		k := &keyed{contexts: make([]meant[Record], 1), shapes: make([]meant[Record], 1), names: make([]meant[string], 3)}
		r, _, err := new(decoder).parse(k, b)
		return r, err
	}
	if r, err := parse(3, 1, 1, 6, 2); err != nil || !slices.Equal(r.TagGroups, []TagGroup{{1, 1}, {6, 2}}) {
		t.Errorf("%v, %v", r.TagGroups, err)
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
		if r, err := parse(int(bad[0]), bad[1:]...); !errors.Is(err, errBody) {
			t.Errorf("%s: %v, %v", name, r.TagGroups, err)
		}
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
