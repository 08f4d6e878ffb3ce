package lineage

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// AnswerDigest binds a record to the bytes of its answer: the first half of
// SHA-256 over a name, the salt, and data and errors, each after its length. The
// salt is the record's own, 16 random bytes, so that equal answers do not show
// and a short answer cannot be guessed without it.
func AnswerDigest(salt, data, errors []byte) (out [16]byte) {
	h := sha256.New()
	part := func(b []byte) {
		var n [8]byte
		binary.LittleEndian.PutUint64(n[:], uint64(len(b)))
		_, _ = h.Write(n[:])
		_, _ = h.Write(b)
	}
	part([]byte("weir answer v1"))
	part(salt)
	part(data)
	part(errors)
	copy(out[:], h.Sum(nil))
	return out
}

// SetTags puts tags into the record, each once: themselves up to MaxTags, a
// digest of the sorted tags beyond. It takes tags over, and sorts them.
func (r *Record) SetTags(tags []SubjectTag) {
	tags = UniqueTags(tags)
	r.Tags, r.TagCount, r.TagDigest = tags, uint64(len(tags)), [16]byte{}
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
