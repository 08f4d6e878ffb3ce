package lineage

import (
	"encoding/binary"
	"time"
)

// Flags of a record's body, in the order in which the parts follow. What most
// records have comes first, so that one byte is enough for them.
const (
	hasAttributes = 1 << iota
	hasCounts
	hasRows
	hasTags
	hasSources
	hasSalt
	hasAnswer
	hasCase
	hasTagCount
	hasTagDigest
	hasTagFrame // tags stand in the frame before
	hasTagGroups
	allFlags = 1<<iota - 1
)

func (r *Record) flags() (f uint64) {
	set := func(on bool, bit uint64) {
		if on {
			f |= bit
		}
	}
	set(r.Attributes != [8]byte{}, hasAttributes)
	set(r.Case != "", hasCase)
	set(r.Counts != nil, hasCounts)
	set(r.Rows != 0, hasRows)
	many := len(r.Tags) > MaxInlineTags
	set(len(r.Tags) != 0 && !many, hasTags)
	set(r.TagCount != uint64(len(r.Tags)) || many, hasTagCount)
	set(many, hasTagFrame)
	set(len(r.TagGroups) != 0, hasTagGroups)
	set(r.TagDigest != [16]byte{}, hasTagDigest)
	set(len(r.Sources) != 0, hasSources)
	set(r.Salt != [16]byte{}, hasSalt)
	set(r.Answer != [16]byte{}, hasAnswer)
	return f
}

func (e *encoder) body(b []byte, r *Record, contextID, shapeID uint64, now int64) []byte {
	f := r.flags()
	b = binary.AppendUvarint(b, f)
	b = binary.AppendVarint(b, now-e.base)
	b = binary.AppendUvarint(b, contextID)
	b = binary.AppendUvarint(b, shapeID)
	b = appendPacked(b, r.RequestID)
	b = appendPacked(b, r.Subject)
	if f&hasAttributes != 0 {
		b = append(b, r.Attributes[:]...)
	}
	if f&hasCounts != 0 {
		b = appendCounts(b, r.Counts)
	}
	if f&hasRows != 0 {
		b = binary.AppendUvarint(b, r.Rows)
	}
	if f&hasTags != 0 {
		b = binary.AppendUvarint(b, uint64(len(r.Tags)))
		for i := range r.Tags {
			b = append(b, r.Tags[i][:]...)
		}
	}
	if f&hasSources != 0 {
		b = appendSources(b, r.Sources, e.sources, now)
	}
	if f&hasSalt != 0 {
		b = append(b, r.Salt[:]...)
	}
	if f&hasAnswer != 0 {
		b = append(b, r.Answer[:]...)
	}
	if f&hasCase != 0 {
		b = appendPacked(b, r.Case)
	}
	if f&hasTagCount != 0 {
		b = binary.AppendUvarint(b, r.TagCount)
	}
	if f&hasTagDigest != 0 {
		b = append(b, r.TagDigest[:]...)
	}
	if f&hasTagGroups != 0 {
		b = binary.AppendUvarint(b, uint64(len(r.TagGroups)))
		for _, g := range r.TagGroups {
			b = binary.AppendUvarint(b, g.Sources)
			b = binary.AppendUvarint(b, uint64(g.Count))
		}
	}
	return b
}

// Which of a run's three counts follow.
const (
	runWithheld = 1 << iota
	runMasked
	runClear
	runBits = 3
)

// appendCounts writes runs of equal counts: in an answer without row scopes
// every cell of a row fares alike.
func appendCounts(b []byte, counts []Counts) []byte {
	for i := 0; i < len(counts); {
		n := 1
		for i+n < len(counts) && counts[i+n] == counts[i] {
			n++
		}
		c := counts[i]
		head := uint64(n) << runBits
		if c.Withheld != 0 {
			head |= runWithheld
		}
		if c.Masked != 0 {
			head |= runMasked
		}
		if c.Clear != 0 {
			head |= runClear
		}
		b = binary.AppendUvarint(b, head)
		for _, v := range [...]uint32{c.Withheld, c.Masked, c.Clear} {
			if v != 0 {
				b = binary.AppendUvarint(b, uint64(v))
			}
		}
		i += n
	}
	return b
}

// Bits of a source's head, under the id of its department.
const (
	sourceStale = 1 << iota
	sourceFailed
	sourceDated
	sourceBits = 3
)

func appendSources(b []byte, sources []SourceAge, names []uint64, now int64) []byte {
	b = binary.AppendUvarint(b, uint64(len(sources)))
	for i := range sources {
		s := &sources[i]
		head := names[i] << sourceBits
		if s.Stale {
			head |= sourceStale
		}
		if s.Failed {
			head |= sourceFailed
		}
		if !s.AsOf.IsZero() {
			head |= sourceDated
		}
		b = binary.AppendUvarint(b, head)
		if !s.AsOf.IsZero() {
			b = binary.AppendVarint(b, now-s.AsOf.UnixMicro())
		}
	}
	return b
}

// appendContext is who and under what: the part that many records share.
func appendContext(b []byte, r *Record) []byte {
	b = append(b, byte(r.Level))
	for _, s := range [...]string{r.Kind, r.Application, r.Department, r.Purpose, r.Status, r.Code} {
		b = appendText(b, s)
	}
	b = appendPacked(b, r.Schema)
	b = appendPacked(b, r.Policy)
	b = binary.AppendUvarint(b, uint64(len(r.Roles)))
	for _, s := range r.Roles {
		b = appendText(b, s)
	}
	b = binary.AppendUvarint(b, uint64(r.Sealed/time.Second))
	return b
}

// appendShape is which fields, of which document. Names stand once in a table
// in front of the uses.
func appendShape(b []byte, r *Record) []byte {
	b = appendText(b, r.Operation)
	b = appendPacked(b, r.Document)
	var table []string
	index := make(map[string]uint64, 2*len(r.Uses))
	add := func(s string) {
		if _, ok := index[s]; !ok {
			index[s] = uint64(len(table))
			table = append(table, s)
		}
	}
	for i := range r.Uses {
		for _, s := range r.Uses[i].texts() {
			add(s)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(table)))
	for _, s := range table {
		b = appendText(b, s)
	}
	b = binary.AppendUvarint(b, uint64(len(r.Uses)))
	for i := range r.Uses {
		for _, s := range r.Uses[i].texts() {
			b = binary.AppendUvarint(b, index[s])
		}
		b = append(b, byte(r.Uses[i].Level), byte(r.Uses[i].Use))
	}
	return b
}

func (u *Use) texts() [5]string {
	return [...]string{u.Department, u.Table, u.Column, u.Coordinate.Type, u.Coordinate.Field}
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}
