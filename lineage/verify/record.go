package verify

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"time"
)

// Record is what a record says, as read from its frame and those it refers to.
// It is printed as JSON.
type Record struct {
	Position    string    `json:"position"`
	Time        time.Time `json:"time"`
	RequestID   string    `json:"requestId,omitempty"`
	Kind        string    `json:"kind"`
	Operation   string    `json:"operation,omitempty"`
	Document    string    `json:"document,omitempty"`
	Subject     string    `json:"subject,omitempty"`
	Application string    `json:"application,omitempty"`
	Department  string    `json:"department,omitempty"`
	Roles       []string  `json:"roles,omitempty"`
	Attributes  string    `json:"attributes,omitempty"`
	Purpose     string    `json:"purpose,omitempty"`
	Case        string    `json:"case,omitempty"`
	Schema      string    `json:"schema,omitempty"`
	Policy      string    `json:"policy,omitempty"`
	Level       int       `json:"level"` // rank, 0 the lowest
	Status      string    `json:"status"`
	Code        string    `json:"code,omitempty"`
	Rows        uint64    `json:"rows"`
	Uses        []Use     `json:"uses,omitempty"`
	Tags        []string  `json:"tags,omitempty"`
	TagCount    uint64    `json:"tagCount,omitempty"`
	// TagGroups are of the tags, one after the other.
	TagGroups []TagGroup `json:"tagGroups,omitempty"`
	TagDigest string     `json:"tagDigest,omitempty"`
	Sources   []Source   `json:"sources,omitempty"`
	Salt      string     `json:"salt,omitempty"`
	Answer    string     `json:"answer,omitempty"`
	// SealedUntil is until when the record is shown to auditors alone.
	SealedUntil *time.Time `json:"sealedUntil,omitempty"`

	sealed uint64 // seconds
}

// TagGroup is tags that came from the rows and stated keys of the same sources.
type TagGroup struct {
	Sources []string `json:"sources"`
	Tags    uint64   `json:"tags"`
}

// Use is a field that was read, for what, and how its cells fared.
type Use struct {
	Department string `json:"department,omitempty"`
	Table      string `json:"table,omitempty"`
	Column     string `json:"column,omitempty"`
	Coordinate string `json:"coordinate"`
	Level      int    `json:"level"`
	Use        string `json:"use"`
	Withheld   uint32 `json:"withheld"`
	Masked     uint32 `json:"masked"`
	Clear      uint32 `json:"clear"`
}

// Source is how old a department's data was.
type Source struct {
	Department string     `json:"department"`
	AsOf       *time.Time `json:"asOf,omitempty"`
	Stale      bool       `json:"stale,omitempty"`
	Failed     bool       `json:"failed,omitempty"`
}

func useName(u byte) (string, bool) {
	names := [...]string{"select", "filter", "sort", "group", "aggregate", "match", "join", "scope", "ref", "tag"}
	if int(u) >= len(names) {
		return "", false
	}
	return names[u], true
}

var errBody = errors.New("the body of the frame does not parse")

// head is a segment's first frame.
type head struct {
	origin  string
	ordinal uint64
	base    int64 // microseconds since 1970
}

func parseHead(body []byte) (h head, err error) {
	p := parser{b: body}
	h.origin, h.ordinal, h.base = p.text(), p.uvarint(), p.varint()
	return h, p.end()
}

// parseContext reads who and under what into a record.
func parseContext(body []byte) (r Record, err error) {
	p := parser{b: body}
	r.Level = int(p.byte())
	for _, s := range [...]*string{&r.Kind, &r.Application, &r.Department, &r.Purpose, &r.Status, &r.Code} {
		*s = p.text()
	}
	r.Schema, r.Policy = p.packed(), p.packed()
	for range p.count() {
		r.Roles = append(r.Roles, p.text())
	}
	r.sealed = p.uvarint()
	if r.sealed > math.MaxInt64/uint64(time.Second) {
		return r, errBody
	}
	return r, p.end()
}

// parseShape reads which fields of which document into a record.
func parseShape(body []byte) (r Record, err error) {
	p := parser{b: body}
	r.Operation, r.Document = p.text(), p.packed()
	table := make([]string, p.count())
	for i := range table {
		table[i] = p.text()
	}
	name := func() string {
		i := p.uvarint()
		if i >= uint64(len(table)) {
			p.bad = true
			return ""
		}
		return table[i]
	}
	uses := p.count()
	for range uses {
		u := Use{Department: name(), Table: name(), Column: name()}
		u.Coordinate = name()
		if field := name(); field != "" {
			u.Coordinate += "." + field
		}
		u.Level = int(p.byte())
		known := false
		if u.Use, known = useName(p.byte()); !known {
			p.bad = true
		}
		if p.bad {
			break
		}
		r.Uses = append(r.Uses, u)
	}
	return r, p.end()
}

// Bits of a record's flags.
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
	hasTagFrame
	hasTagGroups
	allFlags = 1<<iota - 1
)

// inlineTags is the most tags that stand in a record itself.
const inlineTags = 64

// references are the ids by which a record refers to what stood before it in
// its segment, each from 1 up.
type references struct {
	context, shape uint64
	names          []uint64
	tagged         bool // its tags stand in the frame before it
}

// body is a record's own part; names of what it refers to are filled in by
// [body.with].
type body struct {
	Record
	references
	now     int64 // microseconds after the base of the segment
	counts  []Use // only the counts are set
	counted bool
	heads   []sourceHead
	groups  []tagGroup
}

// tagGroup has a bit for each source, the least for the first.
type tagGroup struct{ sources, tags uint64 }

type sourceHead struct {
	age           int64
	dated         bool
	stale, failed bool
}

// parseRecord reads a record's body. uses is how many its shape has; it is asked
// with the shape's id.
func parseRecord(b []byte, uses func(shape uint64) (int, bool)) (out body, err error) {
	p := parser{b: b}
	f := p.uvarint()
	out.now = p.varint()
	out.context, out.shape = p.uvarint(), p.uvarint()
	n, ok := uses(out.shape)
	if p.bad || f&^uint64(allFlags) != 0 || !ok {
		return out, errBody
	}
	out.RequestID, out.Subject = p.packed(), p.packed()
	if f&hasAttributes != 0 {
		out.Attributes = hex.EncodeToString(p.bytes(8))
	}
	if f&hasCounts != 0 {
		out.counted, out.counts = true, p.counts(n)
	}
	if f&hasRows != 0 {
		out.Rows = p.uvarint()
	}
	if f&hasTags != 0 {
		for range p.count() {
			out.Tags = append(out.Tags, hex.EncodeToString(p.bytes(8)))
		}
	}
	out.TagCount = uint64(len(out.Tags))
	if f&hasSources != 0 {
		out.sources(&p)
	}
	if f&hasSalt != 0 {
		out.Salt = hex.EncodeToString(p.bytes(16))
	}
	if f&hasAnswer != 0 {
		out.Answer = hex.EncodeToString(p.bytes(16))
	}
	if f&hasCase != 0 {
		out.Case = p.packed()
	}
	if f&hasTagCount != 0 {
		out.TagCount = p.uvarint()
	}
	if f&hasTagDigest != 0 {
		out.TagDigest = hex.EncodeToString(p.bytes(16))
	}
	out.tagged = f&hasTagFrame != 0
	if out.tagged && (f&(hasTags|hasTagDigest) != 0 || f&hasTagCount == 0) || len(out.Tags) > inlineTags {
		return out, errBody
	}
	if f&hasTagGroups != 0 && !out.tagGroups(&p) {
		return out, errBody
	}
	return out, p.end()
}

// tagGroups reads the groups, which are those of all tags, in their one form.
func (b *body) tagGroups(p *parser) bool {
	n := len(b.heads)
	if n < 2 || n > 64 {
		return false
	}
	left := uint64(len(b.Tags))
	if b.tagged {
		left = b.TagCount
	}
	var before uint64
	for range p.count() {
		g := tagGroup{p.uvarint(), p.uvarint()}
		if g.sources <= before || g.sources>>(n-1) > 1 || g.tags == 0 || g.tags > left {
			return false
		}
		left, before = left-g.tags, g.sources
		b.groups = append(b.groups, g)
	}
	return left == 0 && len(b.groups) > 0
}

func (b *body) sources(p *parser) {
	for range p.count() {
		h := p.uvarint()
		s := sourceHead{stale: h&1 != 0, failed: h&2 != 0, dated: h&4 != 0}
		if s.dated {
			s.age = p.varint()
		}
		b.names = append(b.names, h>>3)
		b.heads = append(b.heads, s)
	}
}

// with completes a record with the bodies of the frames it refers to.
func (b *body) with(position string, h head, context, shape Record, names []string) Record {
	r := b.Record
	r.Position = position
	now := h.base + b.now
	r.Time = time.UnixMicro(now).UTC()
	r.Level, r.Kind, r.Application, r.Department = context.Level, context.Kind, context.Application, context.Department
	r.Purpose, r.Status, r.Code = context.Purpose, context.Status, context.Code
	r.Schema, r.Policy, r.Roles = context.Schema, context.Policy, context.Roles
	if context.sealed > 0 {
		until := r.Time.Add(time.Duration(context.sealed) * time.Second)
		r.SealedUntil = &until
	}
	r.Operation, r.Document = shape.Operation, shape.Document
	r.Uses = append([]Use(nil), shape.Uses...)
	if b.counted {
		for i := range r.Uses {
			r.Uses[i].Withheld, r.Uses[i].Masked, r.Uses[i].Clear = b.counts[i].Withheld, b.counts[i].Masked, b.counts[i].Clear
		}
	}
	for i, s := range b.heads {
		source := Source{Department: names[i], Stale: s.stale, Failed: s.failed}
		if s.dated {
			at := time.UnixMicro(now - s.age).UTC()
			source.AsOf = &at
		}
		r.Sources = append(r.Sources, source)
	}
	for _, g := range b.groups {
		group := TagGroup{Tags: g.tags}
		for i := range names {
			if g.sources&(1<<i) != 0 {
				group.Sources = append(group.Sources, names[i])
			}
		}
		r.TagGroups = append(r.TagGroups, group)
	}
	return r
}

// parser takes a body apart; after a failure everything it gives is zero.
type parser struct {
	b   []byte
	bad bool
}

func (p *parser) end() error {
	if p.bad || len(p.b) > 0 {
		return errBody
	}
	return nil
}

func (p *parser) number(n int) bool {
	if p.bad || n <= 0 {
		p.bad = true
		return false
	}
	p.b = p.b[n:]
	return true
}

func (p *parser) uvarint() uint64 {
	v, n := binary.Uvarint(p.b)
	if !p.number(n) {
		return 0
	}
	return v
}

func (p *parser) varint() int64 {
	v, n := binary.Varint(p.b)
	if !p.number(n) {
		return 0
	}
	return v
}

func (p *parser) bytes(n uint64) []byte {
	if p.bad || n > uint64(len(p.b)) {
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

// count is a number of things that take a byte at least each.
func (p *parser) count() int {
	n := p.uvarint()
	if n > uint64(len(p.b)) {
		p.bad = true
		return 0
	}
	return int(n)
}

func (p *parser) text() string { return string(p.bytes(p.uvarint())) }

// packed is a text in one of four forms: as it is, hexadecimal, URL-safe base64,
// UUID.
func (p *parser) packed() string {
	h := p.uvarint()
	b := p.bytes(h >> 2)
	switch h & 3 {
	case 1:
		return hex.EncodeToString(b)
	case 2:
		return base64.RawURLEncoding.EncodeToString(b)
	case 3:
		if len(b) != 16 {
			p.bad = true
			return ""
		}
		return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
	}
	return string(b)
}

// counts are runs: how many uses fared alike, and which counts follow.
func (p *parser) counts(uses int) []Use {
	out := make([]Use, 0, uses)
	for len(out) < uses {
		h := p.uvarint()
		n := h >> 3
		if p.bad || n == 0 || n > uint64(uses-len(out)) {
			p.bad = true
			return out
		}
		var u Use
		for bit, v := range [...]*uint32{&u.Withheld, &u.Masked, &u.Clear} {
			if h&(1<<bit) == 0 {
				continue
			}
			x := p.uvarint()
			if x == 0 || x > math.MaxUint32 {
				p.bad = true
			}
			*v = uint32(x)
		}
		for range n {
			out = append(out, u)
		}
	}
	return out
}
