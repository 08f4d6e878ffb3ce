package lineage

import (
	"encoding/binary"
	"fmt"
	"slices"
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
	if len(r.Tags) > MaxTags {
		return fmt.Errorf("%w: more than %d tags; see Record.SetTags", ErrRecord, MaxTags)
	}
	if len(r.Tags) > MaxInlineTags && (r.TagCount != uint64(len(r.Tags)) || r.TagDigest != [16]byte{}) {
		return fmt.Errorf("%w: its tags and their number do not agree; see Record.SetTags", ErrRecord)
	}
	if !r.groupsFit() {
		return fmt.Errorf("%w: its tags and their groups do not agree; see Record.SetGroupedTags", ErrRecord)
	}
	if r.Sealed < 0 || r.Sealed%time.Second != 0 {
		return fmt.Errorf("%w: sealed for no number of seconds", ErrRecord)
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

// reference is a dictionary entry: its number, and the frame that it stands in.
type reference struct {
	id   uint64
	hash FrameHash
}

// dictionary gives ids to what the records of one key repeat. It lasts one
// segment, so that a segment can be read alone, and is encrypted with the same
// key, so that nothing of a record is left when the key is dropped.
type dictionary struct {
	number                  byte // of the key in the segment
	key                     *dataKey
	contexts, shapes, names map[string]reference
	shapeKeys               map[shapeKey]reference
}

func newDictionary(number byte, key *dataKey) *dictionary {
	return &dictionary{
		number: number, key: key,
		contexts: map[string]reference{}, shapes: map[string]reference{}, names: map[string]reference{},
		shapeKeys: map[shapeKey]reference{},
	}
}

// encoder writes frames into a buffer. It is not safe for concurrent use.
type encoder struct {
	chain
	crypter
	keys    *keys
	segment FrameHash // of the segment's first frame
	// dictionaries of the segment, by what its records are: two names may have
	// one key.
	dictionaries map[KeyName]*dictionary
	numbers      byte // of keys in the segment
	entries      int  // in all dictionaries
	base         int64
	month        monthSpan
	scratch      []byte   // of dictionary keys
	sources      []uint64 // the ids of a record's departments
	meaning      []FrameHash
}

// monthSpan spares the calendar: most records are of the month of the one
// before.
type monthSpan struct {
	month    Month
	from, to int64 // microseconds since 1970
}

func (s *monthSpan) of(now time.Time) Month {
	at := now.UnixMicro()
	if at < s.from || at >= s.to {
		s.month = MonthOf(now)
		s.from, s.to = s.month.Start().UnixMicro(), (s.month + 1).Start().UnixMicro()
	}
	return s.month
}

// size is how many dictionary entries the segment has; one more key than fits
// needs a new segment as well.
func (e *encoder) size() int {
	if e.numbers > maxKeys/2 {
		return maxDictionary
	}
	return e.entries
}

// beginSegment appends magic and segment frame and starts fresh dictionaries.
func (e *encoder) beginSegment(buf []byte, origin string, ordinal uint64, now time.Time) []byte {
	e.dictionaries, e.numbers, e.entries = map[KeyName]*dictionary{}, 0, 0
	e.base = now.UnixMicro()
	buf = append(buf, magic...)
	start := len(buf)
	buf = e.open(buf, frameSegment, 0, true)
	buf = appendText(buf, origin)
	buf = binary.AppendUvarint(buf, ordinal)
	buf = binary.AppendVarint(buf, e.base)
	e.close(buf[start:])
	e.segment = e.last
	return buf
}

// end appends the mark of a log that was closed in order.
func (e *encoder) end(buf []byte, startsGroup bool) []byte {
	start := len(buf)
	buf = e.open(buf, frameClose, 0, startsGroup)
	e.close(buf[start:])
	return buf
}

// keyNeededError is that a record waits for its key.
type keyNeededError struct{ name KeyName }

func (e *keyNeededError) Error() string { return "the data key " + e.name.String() + " is not at hand" }

// dictionaryFor finds what a record is encrypted with, and appends the frame
// that names the key where the segment has it for the first time.
func (e *encoder) dictionaryFor(buf []byte, n KeyName, startsGroup bool) ([]byte, *dictionary, error) {
	if d := e.dictionaries[n]; d != nil {
		return buf, d, nil
	}
	used, key := e.keys.forWriting(n)
	if key == nil {
		return buf, nil, &keyNeededError{used}
	}
	if d := e.dictionaries[used]; d != nil {
		e.dictionaries[n] = d
		return buf, d, nil
	}
	if e.numbers == maxKeys {
		return buf, nil, fmt.Errorf("%w: one segment has the records of %d months and levels", ErrLedgerUnavailable, maxKeys)
	}
	e.numbers++
	d := newDictionary(e.numbers, key)
	e.dictionaries[n], e.dictionaries[used] = d, d
	start := len(buf)
	buf = e.open(buf, frameKey, 0, startsGroup)
	buf = binary.AppendUvarint(buf, uint64(used.Month))
	buf = append(buf, byte(used.Level))
	buf = append(buf, key.id[:]...)
	e.close(buf[start:])
	return buf, d, nil
}

// record appends a record and whatever it names for the first time. What it
// appended before an error are whole frames, which harm nothing and must be
// kept, since the dictionaries count on them.
func (e *encoder) record(buf []byte, r *Record, now time.Time, startsGroup bool) ([]byte, error) {
	empty := len(buf)
	started := func() bool { return startsGroup && len(buf) == empty }

	buf, d, err := e.dictionaryFor(buf, KeyName{e.month.of(now), r.Level}, startsGroup)
	if err != nil {
		return buf, err
	}
	e.scratch = appendContext(e.scratch[:0], r)
	if len(e.scratch) > maxEntry {
		return buf, fmt.Errorf("%w: its context takes more than %d bytes", ErrRecord, maxEntry)
	}
	context, known := d.contexts[string(e.scratch)]
	if !known {
		buf, context = e.entry(buf, d, frameContext, d.contexts, started())
	}

	key := shapeKey{n: len(r.Uses), operation: r.Operation, document: r.Document}
	if key.n > 0 {
		key.uses = &r.Uses[0]
	}
	shape, known := d.shapeKeys[key]
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
		if shape, known = d.shapes[string(e.scratch)]; !known {
			buf, shape = e.entry(buf, d, frameShape, d.shapes, started())
		}
		if len(d.shapeKeys) >= maxShapeKeys {
			clear(d.shapeKeys)
		}
		d.shapeKeys[key] = shape
	}

	e.sources = e.sources[:0]
	e.meaning = append(e.meaning[:0], e.segment, context.hash, shape.hash)
	for i := range r.Sources {
		name, known := d.names[r.Sources[i].Department]
		if !known {
			e.scratch = append(e.scratch[:0], r.Sources[i].Department...)
			buf, name = e.entry(buf, d, frameName, d.names, started())
		}
		e.sources = append(e.sources, name.id)
		e.meaning = append(e.meaning, name.hash)
	}

	if len(r.Tags) > MaxInlineTags {
		buf = e.tags(buf, d, r.Tags, started())
		e.meaning = append(e.meaning, e.last)
	}
	first := started()
	start := len(buf)
	buf = e.begin(buf, d, frameRecord, first)
	buf = e.body(buf, r, context.id, shape.id, now.UnixMicro())
	e.finish(buf[start:], d, e.meaning...)
	return buf, nil
}

// begin appends an encrypted frame up to its plaintext.
func (e *encoder) begin(buf []byte, d *dictionary, t frameType, startsGroup bool) []byte {
	buf = e.open(buf, t, d.number, startsGroup)
	return append(buf, make([]byte, commitSize)...)
}

// finish encrypts the frame and closes it.
func (e *encoder) finish(frame []byte, d *dictionary, meaning ...FrameHash) {
	measure(frame)
	e.seal(d.key, frame, meaning...)
	e.close(frame)
}

// tags appends the frame of the tags of the record that comes next.
func (e *encoder) tags(buf []byte, d *dictionary, tags []SubjectTag, startsGroup bool) []byte {
	start := len(buf)
	buf = slices.Grow(buf, headerSize+commitSize+len(tags)*len(SubjectTag{}))
	buf = e.begin(buf, d, frameTags, startsGroup)
	for i := range tags {
		buf = append(buf, tags[i][:]...)
	}
	e.finish(buf[start:], d)
	return buf
}

// entry appends what stands in scratch to a dictionary.
func (e *encoder) entry(buf []byte, d *dictionary, t frameType, to map[string]reference, startsGroup bool) ([]byte, reference) {
	start := len(buf)
	buf = e.begin(buf, d, t, startsGroup)
	buf = append(buf, e.scratch...)
	e.finish(buf[start:], d)
	r := reference{uint64(len(to) + 1), e.last}
	to[string(e.scratch)] = r
	e.entries++
	return buf, r
}
