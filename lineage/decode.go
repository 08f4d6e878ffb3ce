package lineage

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/weir-data/weir/schema"
)

// Entry is a record with the order and time that the log gave it.
type Entry struct {
	Position Position
	Hash     FrameHash // of the record's frame
	Key      KeyName   // that the record is encrypted with
	// Content says whether Time and Record are there.
	Content Content
	Time    time.Time // to the microsecond, UTC
	Record  Record
}

// errBody is what is wrong with a sound frame whose body does not parse.
var errBody = errors.New("the body of the frame does not parse")

// errCommitment is a frame that does not decrypt to what it commits to. The
// frame is as it was written: whoever wrote it, or the key's file, is at fault.
var errCommitment = errors.New("the frame decrypts to something else than it commits to")

// decoder reads bodies; it holds the dictionaries of one segment.
type decoder struct {
	crypter
	// find gives the keys that a segment names; nil to look at the clear parts
	// alone.
	find func(KeyName, KeyID) (*dataKey, Content, error)
	// keep says to keep what a disclosure needs.
	keep   bool
	origin string
	base   int64
	head   Disclosure // the segment's frame
	hash   FrameHash  // its hash
	keys   []*keyed
	plain  []byte
	refs   references // of the record read last
	tags   *tagFrame  // read last

	meaning []FrameHash
}

// keyed is a key of the segment, and the dictionary that is encrypted with it.
type keyed struct {
	name     KeyName
	id       KeyID
	asked    bool // for the key
	key      *dataKey
	content  Content
	contexts []meant[Record] // only the fields of a context are set
	shapes   []meant[Record] // only the fields of a shape are set
	names    []meant[string]
}

// tagFrame holds the tags of the record behind it.
type tagFrame struct {
	sequence uint64
	key      byte
	tags     []SubjectTag
	hash     FrameHash
	bytes    []byte // of the frame, where it is kept
}

// meant is a dictionary entry.
type meant[T any] struct {
	value     T
	hash      FrameHash
	disclosed Disclosure
}

// references are the dictionary entries that a record refers to.
type references struct {
	context, shape uint64
	names          []uint64
	tags           bool
}

// Disclosure is a frame with what opens it.
type Disclosure struct {
	Frame []byte
	// Opening is the blinding value and the plaintext; nil for a clear frame.
	Opening []byte
}

// segment reads a segment frame and forgets the dictionaries before it.
func (d *decoder) segment(f frame, hash FrameHash) (ordinal uint64, err error) {
	if f.key() != 0 {
		return 0, errBody
	}
	p := parser{b: f.body()}
	d.origin, d.keys, d.hash, d.tags = p.text(), nil, hash, nil
	ordinal = p.uvarint()
	d.base = p.varint()
	if d.keep {
		d.head.Frame = append([]byte(nil), f...)
	}
	return ordinal, p.end()
}

// addKey reads a key frame.
func (d *decoder) addKey(f frame) error {
	p := parser{b: f.body()}
	k := &keyed{name: KeyName{Month(p.uvarint()), schema.Rank(p.byte())}}
	copy(k.id[:], p.bytes(len(k.id)))
	if f.key() != 0 || len(d.keys) == maxKeys {
		return errBody
	}
	d.keys = append(d.keys, k)
	return p.end()
}

// under finds the key of an encrypted frame.
func (d *decoder) under(f frame) (*keyed, error) {
	n := int(f.key())
	if n == 0 || n > len(d.keys) || len(f.body()) < commitSize {
		return nil, errBody
	}
	k := d.keys[n-1]
	if k.asked || d.find == nil {
		return k, nil
	}
	k.asked = true
	var err error
	k.key, k.content, err = d.find(k.name, k.id)
	return k, err
}

// entry reads a dictionary frame, as far as its key is at hand.
func (d *decoder) entry(f frame, hash FrameHash) error {
	k, err := d.under(f)
	if err != nil || k.key == nil {
		return err
	}
	var ok bool
	if d.plain, ok = d.decrypt(k.key, f, d.plain); !ok {
		return errBody
	}
	if !d.holds(f, d.plain) {
		return errCommitment
	}
	disclosed := d.disclose(f)
	p := parser{b: d.plain}
	switch f.kind() {
	case frameContext:
		k.contexts = append(k.contexts, meant[Record]{p.context(), hash, disclosed})
	case frameShape:
		k.shapes = append(k.shapes, meant[Record]{p.shape(), hash, disclosed})
	case frameName:
		k.names = append(k.names, meant[string]{string(p.bytes(len(d.plain))), hash, disclosed})
	case frameTags:
		return d.tagged(f, hash)
	case frameSegment, frameRecord, frameClose, frameKey, frameDrop, frameTypes:
		return errBody
	}
	return p.end()
}

// tagged takes the tags of the record that comes next.
func (d *decoder) tagged(f frame, hash FrameHash) error {
	const size = len(SubjectTag{})
	n := len(d.plain) / size
	if len(d.plain)%size != 0 || n <= MaxInlineTags || n > MaxTags {
		return errBody
	}
	t := &tagFrame{sequence: f.sequence(), key: f.key(), hash: hash, tags: make([]SubjectTag, n)}
	for i := range t.tags {
		copy(t.tags[i][:], d.plain[size*i:])
	}
	if d.keep {
		t.bytes = append([]byte(nil), f...)
	}
	d.tags = t
	return nil
}

// disclose keeps what opens the frame that was decrypted last.
func (d *decoder) disclose(f frame) Disclosure {
	if !d.keep {
		return Disclosure{}
	}
	return Disclosure{append([]byte(nil), f...), append(append([]byte(nil), d.blind[:]...), d.plain...)}
}

func (p *parser) context() (r Record) {
	r.Level = schema.Rank(p.byte())
	for _, s := range [...]*string{&r.Kind, &r.Application, &r.Department, &r.Purpose, &r.Status, &r.Code} {
		*s = p.text()
	}
	r.Schema = p.packed()
	r.Policy = p.packed()
	if n := p.count(maxRoles); n > 0 {
		r.Roles = make([]string, n)
		for i := range r.Roles {
			r.Roles[i] = p.text()
		}
	}
	seconds := p.uvarint()
	if seconds > uint64(math.MaxInt64/time.Second) {
		p.bad = true
		return r
	}
	r.Sealed = time.Duration(seconds) * time.Second
	return r
}

func (p *parser) shape() (r Record) {
	r.Operation = p.text()
	r.Document = p.packed()
	table := make([]string, p.count(5*maxUses))
	for i := range table {
		table[i] = p.text()
	}
	if n := p.count(maxUses); n > 0 {
		r.Uses = make([]Use, n)
	}
	name := func() string {
		i := p.uvarint()
		if i >= uint64(len(table)) {
			p.bad = true
			return ""
		}
		return table[i]
	}
	for i := range r.Uses {
		u := &r.Uses[i]
		for _, s := range [...]*string{&u.Department, &u.Table, &u.Column, &u.Coordinate.Type, &u.Coordinate.Field} {
			*s = name()
		}
		u.Level, u.Use = schema.Rank(p.byte()), UseKind(p.byte())
		if u.Use > Tag {
			p.bad = true
		}
	}
	return r
}

// record reads a record frame as far as its key is at hand. Uses and roles are
// shared with other records of the segment; the receiver does not change them.
func (d *decoder) record(f frame, e *Entry) error {
	k, err := d.under(f)
	if err != nil {
		return err
	}
	e.Key, e.Content = k.name, k.content
	if k.key == nil {
		return nil
	}
	var ok bool
	if d.plain, ok = d.decrypt(k.key, f, d.plain); !ok {
		return errBody
	}
	if d.tags != nil && (d.tags.sequence != f.sequence() || d.tags.key != f.key()) {
		d.tags = nil // of a record before
	}
	if e.Record, e.Time, err = d.parse(k, d.plain); err != nil {
		return err
	}
	d.meaning = append(d.meaning[:0], d.hash, k.contexts[d.refs.context-1].hash, k.shapes[d.refs.shape-1].hash)
	for _, id := range d.refs.names {
		d.meaning = append(d.meaning, k.names[id-1].hash)
	}
	if d.refs.tags {
		d.meaning = append(d.meaning, d.tags.hash)
	}
	if !d.holds(f, d.plain, d.meaning...) {
		return errCommitment
	}
	return nil
}

// parse reads a record's plaintext.
func (d *decoder) parse(k *keyed, body []byte) (r Record, at time.Time, err error) {
	p := parser{b: body}
	f := p.uvarint()
	now := d.base + p.varint()
	c, s := p.uvarint(), p.uvarint()
	if p.bad || f&^allFlags != 0 || c-1 >= uint64(len(k.contexts)) || s-1 >= uint64(len(k.shapes)) {
		return r, at, errBody
	}
	d.refs.context, d.refs.shape, d.refs.names, d.refs.tags = c, s, d.refs.names[:0], f&hasTagFrame != 0
	r = k.contexts[c-1].value
	shape := &k.shapes[s-1].value
	r.Operation, r.Document, r.Uses = shape.Operation, shape.Document, shape.Uses
	r.RequestID = p.packed()
	r.Subject = p.packed()
	if f&hasAttributes != 0 {
		copy(r.Attributes[:], p.bytes(len(r.Attributes)))
	}
	if f&hasCounts != 0 {
		r.Counts = p.counts(len(r.Uses))
	}
	if f&hasRows != 0 {
		r.Rows = p.uvarint()
	}
	if f&hasTags != 0 {
		r.Tags = make([]SubjectTag, p.count(MaxInlineTags))
		for i := range r.Tags {
			copy(r.Tags[i][:], p.bytes(len(r.Tags[i])))
		}
	}
	if d.refs.tags {
		if d.tags == nil || f&(hasTags|hasTagDigest) != 0 || f&hasTagCount == 0 {
			return r, at, errBody
		}
		r.Tags = d.tags.tags
	}
	r.TagCount = uint64(len(r.Tags))
	if f&hasSources != 0 {
		r.Sources = p.sources(k.names, now, &d.refs.names)
	}
	if f&hasSalt != 0 {
		copy(r.Salt[:], p.bytes(len(r.Salt)))
	}
	if f&hasAnswer != 0 {
		copy(r.Answer[:], p.bytes(len(r.Answer)))
	}
	if f&hasCase != 0 {
		r.Case = p.packed()
	}
	if f&hasTagCount != 0 {
		r.TagCount = p.uvarint()
	}
	if d.refs.tags && r.TagCount != uint64(len(r.Tags)) {
		return r, at, errBody
	}
	if f&hasTagDigest != 0 {
		copy(r.TagDigest[:], p.bytes(len(r.TagDigest)))
	}
	if f&hasTagGroups != 0 {
		r.TagGroups = make([]TagGroup, p.count(len(r.Tags)))
		for i := range r.TagGroups {
			r.TagGroups[i] = TagGroup{p.uvarint(), int(min(p.uvarint(), MaxTags+1))} //nolint:gosec // few
		}
		if len(r.TagGroups) == 0 || !r.groupsFit() {
			return r, at, errBody
		}
	}
	return r, time.UnixMicro(now).UTC(), p.end()
}

// parser takes a body apart. After a failure everything it gives is zero and
// bad is set, so that only the end needs to be checked.
type parser struct {
	b   []byte
	bad bool
}

func (p *parser) end() error {
	if p.bad || len(p.b) != 0 {
		return errBody
	}
	return nil
}

func (p *parser) uvarint() uint64 {
	v, n := binary.Uvarint(p.b)
	if p.bad || n <= 0 {
		p.bad = true
		return 0
	}
	p.b = p.b[n:]
	return v
}

func (p *parser) varint() int64 {
	v, n := binary.Varint(p.b)
	if p.bad || n <= 0 {
		p.bad = true
		return 0
	}
	p.b = p.b[n:]
	return v
}

// bytes gives a view, not a copy; nil after a failure.
func (p *parser) bytes(n int) []byte {
	if p.bad || n < 0 || n > len(p.b) {
		p.bad = true
		return nil
	}
	b := p.b[:n]
	p.b = p.b[n:]
	return b
}

func (p *parser) byte() byte {
	if b := p.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

// count reads a number of things, each of which takes a byte at least.
func (p *parser) count(most int) int {
	n := p.uvarint()
	if n > uint64(most) || n > uint64(len(p.b)) {
		p.bad = true
		return 0
	}
	return int(n)
}

func (p *parser) text() string {
	n := p.uvarint()
	if n > uint64(len(p.b)) {
		p.bad = true
		return ""
	}
	return string(p.bytes(int(n)))
}

func (p *parser) packed() string {
	head := p.uvarint()
	n, form := head>>packedBits, head&(1<<packedBits-1)
	if n > uint64(len(p.b)) || form == packedUUID && n != 16 {
		p.bad = true
		return ""
	}
	return unpack(form, p.bytes(int(n)))
}

func (p *parser) counts(uses int) []Counts {
	out := make([]Counts, 0, uses)
	for len(out) < uses && !p.bad {
		head := p.uvarint()
		n := head >> runBits
		if n == 0 || n > uint64(uses-len(out)) {
			p.bad = true
			break
		}
		var c Counts
		for bit, v := range [...]*uint32{&c.Withheld, &c.Masked, &c.Clear} {
			if head&(1<<bit) == 0 {
				continue
			}
			x := p.uvarint()
			if x == 0 || x > math.MaxUint32 {
				p.bad = true
			}
			*v = uint32(x)
		}
		for range n {
			out = append(out, c)
		}
	}
	return out
}

func (p *parser) sources(names []meant[string], now int64, ids *[]uint64) []SourceAge {
	out := make([]SourceAge, p.count(maxSources))
	for i := range out {
		head := p.uvarint()
		id := head >> sourceBits
		if id-1 >= uint64(len(names)) {
			p.bad = true
			return nil
		}
		*ids = append(*ids, id)
		out[i] = SourceAge{
			Department: names[id-1].value,
			Stale:      head&sourceStale != 0,
			Failed:     head&sourceFailed != 0,
		}
		if head&sourceDated != 0 {
			out[i].AsOf = time.UnixMicro(now - p.varint()).UTC()
		}
	}
	return out
}
