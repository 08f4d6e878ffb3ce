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
	Time     time.Time // to the microsecond, UTC
	Record   Record
	Hash     FrameHash // of the record's frame
}

// errBody is what is wrong with a sound frame whose body does not parse.
var errBody = errors.New("the body of the frame does not parse")

// decoder reads bodies; it holds the dictionary of one segment.
type decoder struct {
	origin   string
	base     int64
	contexts []Record // only the fields of a context are set
	shapes   []Record // only the fields of a shape are set
	names    []string
}

// segment reads a segment frame and forgets the dictionary before it.
func (d *decoder) segment(body []byte) (ordinal uint64, err error) {
	p := parser{b: body}
	*d = decoder{origin: p.text()}
	ordinal = p.uvarint()
	d.base = p.varint()
	return ordinal, p.end()
}

// entry reads a dictionary frame.
func (d *decoder) entry(kind frameType, body []byte) error {
	p := parser{b: body}
	switch kind {
	case frameContext:
		var r Record
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
		d.contexts = append(d.contexts, r)
	case frameShape:
		var r Record
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
		d.shapes = append(d.shapes, r)
	case frameName:
		d.names = append(d.names, string(p.bytes(len(body))))
	case frameSegment, frameRecord, frameClose, frameTypes:
		return errBody
	}
	return p.end()
}

// record reads a record frame. Uses and roles are shared with other records of
// the segment; the receiver does not change them.
func (d *decoder) record(body []byte) (r Record, at time.Time, err error) {
	p := parser{b: body}
	f := p.uvarint()
	now := d.base + p.varint()
	c, s := p.uvarint(), p.uvarint()
	if p.bad || f&^allFlags != 0 || c-1 >= uint64(len(d.contexts)) || s-1 >= uint64(len(d.shapes)) {
		return r, at, errBody
	}
	r = d.contexts[c-1]
	shape := &d.shapes[s-1]
	r.Operation, r.Document, r.Uses = shape.Operation, shape.Document, shape.Uses
	r.RequestID = p.packed()
	r.Subject = p.packed()
	if f&hasAttributes != 0 {
		copy(r.Attributes[:], p.bytes(len(r.Attributes)))
	}
	if f&hasCase != 0 {
		r.Case = p.packed()
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
	r.TagCount = uint64(len(r.Tags))
	if f&hasTagCount != 0 {
		r.TagCount = p.uvarint()
	}
	if f&hasTagDigest != 0 {
		copy(r.TagDigest[:], p.bytes(len(r.TagDigest)))
	}
	if f&hasSources != 0 {
		r.Sources = p.sources(d.names, now)
	}
	if f&hasSalt != 0 {
		copy(r.Salt[:], p.bytes(len(r.Salt)))
	}
	if f&hasAnswer != 0 {
		copy(r.Answer[:], p.bytes(len(r.Answer)))
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

func (p *parser) sources(names []string, now int64) []SourceAge {
	out := make([]SourceAge, p.count(maxSources))
	for i := range out {
		head := p.uvarint()
		id := head >> sourceBits
		if id-1 >= uint64(len(names)) {
			p.bad = true
			return nil
		}
		out[i] = SourceAge{
			Department: names[id-1],
			Stale:      head&sourceStale != 0,
			Failed:     head&sourceFailed != 0,
		}
		if head&sourceDated != 0 {
			out[i].AsOf = time.UnixMicro(now - p.varint()).UTC()
		}
	}
	return out
}
