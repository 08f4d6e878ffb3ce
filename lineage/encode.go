package lineage

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Limits of one record; package graph/plan and the gateway stay far below.
const (
	maxUses    = 1 << 16
	maxText    = 1 << 12 // of any one string
	maxRoles   = 1 << 8
	maxSources = 1 << 8
	maxEntry   = 4 << 20 // bytes of one dictionary entry
)

// check refuses what the format cannot carry. A refused record is a refused
// answer, so the limits are wide.
func (r *Record) check() error {
	if r.Counts != nil && len(r.Counts) != len(r.Uses) {
		return fmt.Errorf("%w: %d counts for %d uses", ErrRecord, len(r.Counts), len(r.Uses))
	}
	if len(r.Uses) > maxUses || len(r.Roles) > maxRoles || len(r.Sources) > maxSources {
		return fmt.Errorf("%w: more than %d uses, %d roles or %d sources", ErrRecord, maxUses, maxRoles, maxSources)
	}
	if len(r.Tags) > MaxInlineTags {
		return fmt.Errorf("%w: more than %d tags; see Record.SetTags", ErrRecord, MaxInlineTags)
	}
	for _, s := range [...]string{
		r.RequestID, r.Kind, r.Operation, r.Subject, r.Application, r.Department,
		r.Purpose, r.Case, r.Schema, r.Policy, r.Document, r.Status, r.Code,
	} {
		if len(s) > maxText {
			return fmt.Errorf("%w: a text longer than %d bytes", ErrRecord, maxText)
		}
	}
	for _, s := range r.Roles {
		if len(s) > maxText {
			return fmt.Errorf("%w: a role longer than %d bytes", ErrRecord, maxText)
		}
	}
	for i := range r.Sources {
		if len(r.Sources[i].Department) > maxText {
			return fmt.Errorf("%w: a department longer than %d bytes", ErrRecord, maxText)
		}
	}
	return nil
}

// shapeKey finds a shape without encoding it: uses are shared by the records of
// one plan and not changed, so their address stands for them while it is held.
type shapeKey struct {
	uses                *Use
	n                   int
	operation, document string
}

// maxShapeKeys bounds what the address cache keeps alive: the control graph
// makes its uses anew for each request.
const maxShapeKeys = 4096

// dictionary gives ids to what records repeat. It lasts one segment, so that a
// segment can be read alone.
type dictionary struct {
	contexts, shapes, names map[string]uint64
	shapeKeys               map[shapeKey]uint64
}

func newDictionary() dictionary {
	return dictionary{
		contexts: map[string]uint64{}, shapes: map[string]uint64{}, names: map[string]uint64{},
		shapeKeys: map[shapeKey]uint64{},
	}
}

func (d *dictionary) size() int { return len(d.contexts) + len(d.shapes) + len(d.names) }

// encoder writes frames into a buffer. It is not safe for concurrent use.
type encoder struct {
	chain
	dictionary
	base    int64    // microseconds since 1970: times are differences from it
	scratch []byte   // of dictionary keys
	sources []uint64 // the ids of a record's departments
}

// beginSegment appends magic and segment frame and starts a fresh dictionary.
func (e *encoder) beginSegment(buf []byte, origin string, ordinal uint64, now time.Time) []byte {
	e.dictionary = newDictionary()
	e.base = now.UnixMicro()
	buf = append(buf, magic...)
	start := len(buf)
	buf = e.open(buf, frameSegment, true)
	buf = appendText(buf, origin)
	buf = binary.AppendUvarint(buf, ordinal)
	buf = binary.AppendVarint(buf, e.base)
	e.close(buf[start:])
	return buf
}

// end appends the mark of a log that was closed in order.
func (e *encoder) end(buf []byte, startsGroup bool) []byte {
	start := len(buf)
	buf = e.open(buf, frameClose, startsGroup)
	e.close(buf[start:])
	return buf
}

// record appends a record and whatever it names for the first time. What it
// appended before an error are whole dictionary entries, which harm nothing and
// must be kept, since the dictionary counts on them.
func (e *encoder) record(buf []byte, r *Record, now time.Time, startsGroup bool) ([]byte, error) {
	empty := len(buf)
	started := func() bool { return startsGroup && len(buf) == empty }

	e.scratch = appendContext(e.scratch[:0], r)
	if len(e.scratch) > maxEntry {
		return buf, fmt.Errorf("%w: its context takes more than %d bytes", ErrRecord, maxEntry)
	}
	contextID, known := e.contexts[string(e.scratch)]
	if !known {
		contextID = uint64(len(e.contexts) + 1)
		e.contexts[string(e.scratch)] = contextID
		buf = e.entry(buf, frameContext, started())
	}

	key := shapeKey{n: len(r.Uses), operation: r.Operation, document: r.Document}
	if key.n > 0 {
		key.uses = &r.Uses[0]
	}
	shapeID, known := e.shapeKeys[key]
	if !known {
		for i := range r.Uses {
			if r.Uses[i].Use > Tag {
				return buf, fmt.Errorf("%w: use %d is not known", ErrRecord, r.Uses[i].Use)
			}
		}
		e.scratch = appendShape(e.scratch[:0], r)
		if len(e.scratch) > maxEntry {
			return buf, fmt.Errorf("%w: its shape takes more than %d bytes", ErrRecord, maxEntry)
		}
		if shapeID, known = e.shapes[string(e.scratch)]; !known {
			shapeID = uint64(len(e.shapes) + 1)
			e.shapes[string(e.scratch)] = shapeID
			buf = e.entry(buf, frameShape, started())
		}
		if len(e.shapeKeys) >= maxShapeKeys {
			clear(e.shapeKeys)
		}
		e.shapeKeys[key] = shapeID
	}

	e.sources = e.sources[:0]
	for i := range r.Sources {
		name := r.Sources[i].Department
		id, known := e.names[name]
		if !known {
			id = uint64(len(e.names) + 1)
			e.names[name] = id
			e.scratch = append(e.scratch[:0], name...)
			buf = e.entry(buf, frameName, started())
		}
		e.sources = append(e.sources, id)
	}

	first := started()
	start := len(buf)
	buf = e.open(buf, frameRecord, first)
	buf = e.body(buf, r, contextID, shapeID, now.UnixMicro())
	e.close(buf[start:])
	return buf, nil
}

func (e *encoder) entry(buf []byte, t frameType, startsGroup bool) []byte {
	start := len(buf)
	buf = e.open(buf, t, startsGroup)
	buf = append(buf, e.scratch...)
	e.close(buf[start:])
	return buf
}

// Flags of a record's body, in the order in which the parts follow.
const (
	hasAttributes = 1 << iota
	hasCase
	hasCounts
	hasRows
	hasTags
	hasTagCount
	hasTagDigest
	hasSources
	hasSalt
	hasAnswer
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
	set(len(r.Tags) != 0, hasTags)
	set(r.TagCount != uint64(len(r.Tags)), hasTagCount)
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
	if f&hasCase != 0 {
		b = appendPacked(b, r.Case)
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
	if f&hasTagCount != 0 {
		b = binary.AppendUvarint(b, r.TagCount)
	}
	if f&hasTagDigest != 0 {
		b = append(b, r.TagDigest[:]...)
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
