package lineage

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// SubjectTag is a keyed, truncated fingerprint of a person's identifier.
type SubjectTag [8]byte

// TagGroup is tags that stand side by side, in order, because they came from the
// rows and stated keys of the same sources.
type TagGroup struct {
	Sources uint64 // a bit for each of Record.Sources, the least for the first
	Count   int
}

// maxGroupedSources is how many sources a TagGroup can tell apart.
const maxGroupedSources = 64

// Limits of a record's tags. Up to MaxInlineTags stand in the record's own
// frame, up to MaxTags in a frame before it, so that neither a page of records
// nor a proof has to carry them.
const (
	MaxInlineTags = 64
	MaxTags       = 1 << 18
)

// SetTags puts tags into the record, each once: themselves up to MaxTags, a
// digest of the sorted tags beyond. It takes tags over, and sorts them.
func (r *Record) SetTags(tags []SubjectTag) {
	tags = UniqueTags(tags)
	r.Tags, r.TagGroups, r.TagCount, r.TagDigest = tags, nil, uint64(len(tags)), [16]byte{}
	if len(tags) <= MaxTags {
		return
	}
	h := sha256.New()
	_, _ = h.Write([]byte("weir tags v1"))
	for i := range tags {
		_, _ = h.Write(tags[i][:])
	}
	r.Tags = nil
	copy(r.TagDigest[:], h.Sum(nil))
}

// SetGroupedTags puts tags into the record as [GroupTags] gives them, and takes
// them over. Of more than MaxTags nothing is known but their digest.
func (r *Record) SetGroupedTags(tags []SubjectTag, groups []TagGroup) {
	if len(groups) == 0 || len(tags) > MaxTags {
		r.SetTags(tags)
		return
	}
	r.Tags, r.TagGroups, r.TagCount, r.TagDigest = tags, groups, uint64(len(tags)), [16]byte{}
}

// GroupTags gives the tags of all sources, each once, those that came from the
// same sources side by side and in order. It leaves the lists sorted and each tag
// in them once, and may give one of them. There are no groups where there is one
// source, or more than a group can tell apart.
func GroupTags(sources [][]SubjectTag) ([]SubjectTag, []TagGroup) {
	for i := range sources {
		sources[i] = UniqueTags(sources[i])
	}
	if len(sources) == 1 {
		return sources[0], nil
	}
	heads := make([][]SubjectTag, len(sources))
	only, total := 0, 0
	for i := range sources {
		if heads[i] = sources[i]; len(heads[i]) > 0 {
			only, total = i, total+len(heads[i])
		}
	}
	switch {
	case total == 0:
		return nil, nil
	case len(sources) > maxGroupedSources:
		return UniqueTags(slices.Concat(heads...)), nil
	case total == len(heads[only]):
		return heads[only], []TagGroup{{1 << only, total}}
	}
	type tagged struct {
		tag     SubjectTag
		sources uint64
	}
	all := make([]tagged, 0, total)
	for {
		var next tagged
		for i, list := range heads {
			if len(list) == 0 {
				continue
			}
			switch c := compareTags(list[0], next.tag); {
			case next.sources == 0 || c < 0:
				next = tagged{list[0], 1 << i}
			case c == 0:
				next.sources |= 1 << i
			}
		}
		if next.sources == 0 {
			break
		}
		for i := range heads {
			if next.sources&(1<<i) != 0 {
				heads[i] = heads[i][1:]
			}
		}
		all = append(all, next)
	}
	slices.SortStableFunc(all, func(a, b tagged) int { return cmp.Compare(a.sources, b.sources) })
	tags, groups := make([]SubjectTag, len(all)), []TagGroup(nil)
	for i := range all {
		tags[i] = all[i].tag
		if n := len(groups); n == 0 || groups[n-1].Sources != all[i].sources {
			groups = append(groups, TagGroup{Sources: all[i].sources})
		}
		groups[len(groups)-1].Count++
	}
	return tags, groups
}

// TagsOf are the tags that came from the rows and stated keys of one of the
// record's sources, by its number. known is false where the record does not tell:
// of more than MaxTags, and of several sources without groups.
func (r *Record) TagsOf(source int) (tags []SubjectTag, known bool) {
	switch {
	case r.TagCount != uint64(len(r.Tags)):
		return nil, false
	case len(r.Sources) == 1 || len(r.Tags) == 0:
		return r.Tags, true
	case len(r.TagGroups) == 0:
		return nil, false
	}
	at := 0
	for _, g := range r.TagGroups {
		if g.Sources&(1<<source) != 0 {
			tags = append(tags, r.Tags[at:at+g.Count]...)
		}
		at += g.Count
	}
	return tags, true
}

// sourcesOf are the departments of a group.
func (r *Record) sourcesOf(g TagGroup) (departments []string) {
	for i := range r.Sources {
		if g.Sources&(1<<i) != 0 {
			departments = append(departments, r.Sources[i].Department)
		}
	}
	return departments
}

// groupsFit reports whether the groups are those of the tags, in their one form.
func (r *Record) groupsFit() bool {
	if len(r.TagGroups) == 0 {
		return true
	}
	if len(r.Sources) < 2 || len(r.Sources) > maxGroupedSources {
		return false
	}
	at, before := 0, uint64(0)
	for _, g := range r.TagGroups {
		if g.Sources <= before || g.Sources>>(len(r.Sources)-1) > 1 || g.Count <= 0 {
			return false
		}
		at, before = at+g.Count, g.Sources
	}
	return at == len(r.Tags)
}

// UniqueTags sorts tags where they are and leaves each once.
func UniqueTags(tags []SubjectTag) []SubjectTag {
	if !slices.IsSortedFunc(tags, compareTags) {
		sortTags(tags)
	}
	return slices.Compact(tags)
}

// fewTags are not worth parting.
const fewTags = 64

// sortTags sorts tags as their bytes compare. They are keyed and therefore
// spread evenly, so that the first byte parts them into heaps of a few.
func sortTags(tags []SubjectTag) {
	if len(tags) <= fewTags {
		slices.SortFunc(tags, compareTags)
		return
	}
	var ends [256]int
	for i := range tags {
		ends[tags[i][0]]++
	}
	var next [256]int // the first place in each heap that is not settled
	at := 0
	for b, n := range ends {
		next[b] = at
		at += n
		ends[b] = at
	}
	for b := range ends {
		for next[b] < ends[b] {
			t := &tags[next[b]]
			if to := int(t[0]); to != b {
				*t, tags[next[to]] = tags[next[to]], *t
				next[to]++
				continue
			}
			next[b]++
		}
	}
	at = 0
	for _, end := range ends {
		slices.SortFunc(tags[at:end], compareTags)
		at = end
	}
}

func compareTags(a, b SubjectTag) int {
	return cmp.Compare(binary.BigEndian.Uint64(a[:]), binary.BigEndian.Uint64(b[:]))
}
