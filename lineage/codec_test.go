package lineage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/weir-data/weir/schema"
)

func drawName(t *rapid.T, label string) string {
	return rapid.OneOf(
		rapid.SampledFrom([]string{
			"", "clerk", "公安", "public-security", "e3b0c44298fc1c14", "E3B0C44298FC1C14",
			"0193569a-2b5c-7d3e-8f40-123456789abc", "0193569A-2b5c-7d3e-8f40-123456789abc", "q83vEjRWeJCrze8SNFZ4kA",
			"q83vEjRWeJCrze8SNFZ4kB", "AAAA\nAAAA", "abcdefgh", "\x00\xff",
		}),
		rapid.StringN(0, 40, 80),
		rapid.StringMatching(`[0-9a-f]{0,64}`),
		rapid.StringMatching(`[A-Za-z0-9_-]{0,30}`),
	).Draw(t, label)
}

func drawUses(t *rapid.T) []Use {
	n := rapid.IntRange(0, 12).Draw(t, "uses")
	if n == 0 {
		return nil
	}
	uses := make([]Use, n)
	for i := range uses {
		uses[i] = Use{
			Department: drawName(t, "department"), Table: drawName(t, "table"), Column: drawName(t, "column"),
			Coordinate: schema.Coordinate{Type: drawName(t, "type"), Field: drawName(t, "field")},
			Level:      schema.Rank(rapid.IntRange(0, 255).Draw(t, "level")),
			Use:        UseKind(rapid.IntRange(0, int(Tag)).Draw(t, "use")),
		}
	}
	return uses
}

func drawTime(t *rapid.T) time.Time {
	return time.UnixMicro(rapid.Int64Range(-1<<60, 1<<60).Draw(t, "time")).UTC()
}

// drawRecord gives any record that Append takes; shapes are shared now and then.
func drawRecord(t *rapid.T, shapes [][]Use) *Record {
	fill := func(b []byte, label string) {
		if rapid.Bool().Draw(t, label) {
			copy(b, rapid.SliceOfN(rapid.Byte(), len(b), len(b)).Draw(t, label))
		}
	}
	r := &Record{
		RequestID: drawName(t, "request"), Kind: drawName(t, "kind"), Operation: drawName(t, "operation"),
		Subject: drawName(t, "subject"), Application: drawName(t, "application"), Department: drawName(t, "of"),
		Purpose: drawName(t, "purpose"), Case: drawName(t, "case"), Schema: drawName(t, "schema"),
		Policy: drawName(t, "policy"), Document: drawName(t, "document"), Status: drawName(t, "status"),
		Code: drawName(t, "code"), Rows: rapid.Uint64().Draw(t, "rows"),
		Level: schema.Rank(rapid.IntRange(0, 255).Draw(t, "level")),
		Uses:  rapid.SampledFrom(shapes).Draw(t, "shape"),
	}
	for range rapid.IntRange(0, 3).Draw(t, "roles") {
		r.Roles = append(r.Roles, drawName(t, "role"))
	}
	if len(r.Uses) > 0 && rapid.Bool().Draw(t, "counted") {
		r.Counts = make([]Counts, len(r.Uses))
		for i := range r.Counts {
			if i > 0 && rapid.Bool().Draw(t, "same") {
				r.Counts[i] = r.Counts[i-1]
				continue
			}
			r.Counts[i] = Counts{
				Withheld: rapid.Uint32().Draw(t, "withheld"), Masked: rapid.Uint32().Draw(t, "masked"),
				Clear: rapid.Uint32().Draw(t, "clear"),
			}
		}
	}
	for range rapid.IntRange(0, MaxInlineTags).Draw(t, "tags") {
		r.Tags = append(r.Tags, SubjectTag(rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "tag")))
	}
	r.TagCount = uint64(len(r.Tags))
	r.Sealed = time.Duration(rapid.Int64Range(0, 1<<33).Draw(t, "sealed")) * time.Second
	fill(r.TagDigest[:], "tag digest")
	switch rapid.IntRange(0, 3).Draw(t, "many") {
	case 0:
		r.TagCount = rapid.Uint64().Draw(t, "tag count")
	case 1: // in a frame of their own
		for i := range MaxInlineTags + rapid.IntRange(1, 300).Draw(t, "more tags") {
			r.Tags = append(r.Tags, SubjectTag{byte(i), byte(i >> 8), 1})
		}
		r.TagCount, r.TagDigest = uint64(len(r.Tags)), [16]byte{}
	}
	for range rapid.IntRange(0, 3).Draw(t, "sources") {
		s := SourceAge{Department: drawName(t, "source"), Stale: rapid.Bool().Draw(t, "stale"), Failed: rapid.Bool().Draw(t, "failed")}
		if rapid.Bool().Draw(t, "dated") {
			s.AsOf = drawTime(t)
		}
		r.Sources = append(r.Sources, s)
	}
	if n := len(r.Sources); n > 1 && rapid.Bool().Draw(t, "grouped") {
		left := len(r.Tags)
		for sources := uint64(1); sources < 1<<n && left > 0; sources++ {
			if count := rapid.IntRange(0, left).Draw(t, "of these sources"); sources == 1<<n-1 {
				r.TagGroups = append(r.TagGroups, TagGroup{sources, left})
			} else if count > 0 {
				r.TagGroups, left = append(r.TagGroups, TagGroup{sources, count}), left-count
			}
		}
	}
	fill(r.Attributes[:], "attributes")
	fill(r.Salt[:], "salt")
	fill(r.Answer[:], "answer")
	return r
}

// TestRoundTrip: what was encoded is read back the same, in order, over segments
// and epochs.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shapes := [][]Use{nil, drawUses(t), drawUses(t)}
		e := encoderAt(chain{sequence: 1, epoch: 1})
		var last chain
		linked := false
		for ordinal := uint64(1); ordinal <= 2; ordinal++ {
			now := drawTime(t)
			buf := e.beginSegment(nil, "node-a", ordinal, now)
			var want []*Record
			var times []time.Time
			for range rapid.IntRange(0, 6).Draw(t, "records") {
				r, at := drawRecord(t, shapes), drawTime(t)
				var err error
				if buf, err = e.write(buf, r, at, false); err != nil {
					t.Fatal(err)
				}
				want, times = append(want, r), append(times, at)
			}
			s := &scanner{
				file: bytes.NewReader(buf), path: "segment", ordinal: ordinal, chain: last, linked: linked,
				decoder: decoder{find: e.keys.find},
			}
			for n := 0; ; {
				f, err := s.next()
				if errors.Is(err, io.EOF) {
					if n != len(want) {
						t.Fatalf("%d records of %d", n, len(want))
					}
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if f.kind() != frameRecord {
					continue
				}
				var got Entry
				if err := s.decoder.record(f, &got); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want[n], &got.Record); diff != "" {
					t.Fatalf("record %d (-want +got):\n%s", n, diff)
				}
				if !got.Time.Equal(times[n]) {
					t.Fatalf("time %s, want %s", got.Time, times[n])
				}
				n++
			}
			last, linked = s.chain, true
			e.epoch++
		}
	})
}

// TestDecoderBounds: no body, however damaged, makes the decoder panic or
// allocate beyond its input's size in things.
func TestDecoderBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRecord(t, [][]Use{drawUses(t)})
		now := time.UnixMicro(1795000000000000)
		e := encoderAt(chain{sequence: 1, epoch: 1})
		buf, err := e.write(e.beginSegment(nil, "n", 1, now), r, now, false)
		if err != nil {
			t.Fatal(err)
		}
		var frames []frame
		s := &scanner{file: bytes.NewReader(buf), ordinal: 1, decoder: decoder{find: e.keys.find}}
		for {
			f, err := s.next()
			if err != nil {
				break
			}
			frames = append(frames, bytes.Clone(f))
		}
		f := rapid.SampledFrom(frames).Draw(t, "frame")
		body := f.body()
		secret := f.key() != 0
		if secret { // what the key's holder may have written
			body, _ = s.decoder.decrypt(e.keys.known[KeyName{MonthOf(now), r.Level}], f, nil)
		}
		for range rapid.IntRange(1, 4).Draw(t, "damages") {
			if len(body) == 0 {
				break
			}
			body[rapid.IntRange(0, len(body)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		if rapid.Bool().Draw(t, "cut") {
			body = body[:rapid.IntRange(0, len(body)).Draw(t, "length")]
		}
		d := s.decoder
		p := parser{b: body}
		switch f.kind() {
		case frameRecord:
			if r, _, err := d.parse(d.keys[0], body); err == nil && !r.groupsFit() {
				t.Fatalf("%d tags of %d sources in groups %v", len(r.Tags), len(r.Sources), r.TagGroups)
			}
		case frameContext:
			p.context()
		case frameShape:
			p.shape()
		case frameSegment:
			_, _ = d.segment(append(f[:headerSize:headerSize], body...), FrameHash{})
		case frameKey:
			_ = d.addKey(append(f[:headerSize:headerSize], body...))
		case frameTags:
			d.plain = body
			_ = d.tagged(f, FrameHash{})
		case frameName, frameClose, frameDrop, frameTypes:
		}
	})
}

// TestSize holds the budget of a record of 20 fields: 160 bytes.
func TestSize(t *testing.T) {
	e := encoderAt(chain{sequence: 1 << 40, epoch: 1 << 20})
	now := time.UnixMicro(1795000000000000)
	buf := e.beginSegment(nil, "node", 1, now)
	r := sampleRecord()
	for range 1000 {
		buf = must(e.write(buf[:0], r, now.Add(8*time.Hour), false))
	}
	if len(buf) > 160 {
		t.Errorf("a record of %d fields takes %d bytes", len(r.Uses), len(buf))
	}
	if allocs := testing.AllocsPerRun(100, func() { buf = must(e.write(buf[:0], r, now, false)) }); allocs > 0 {
		t.Errorf("%v allocations per record of a known shape", allocs)
	}
}

// TestDictionary: equal shapes at different addresses are one entry, and the
// cache of addresses stays bounded.
func TestDictionary(t *testing.T) {
	e := encoderAt(chain{sequence: 1, epoch: 1})
	now := time.UnixMicro(0)
	buf := e.beginSegment(nil, "node", 1, now)
	name := KeyName{MonthOf(now), sampleRecord().Level}
	for range maxShapeKeys + 10 {
		buf = must(e.write(buf[:0], sampleRecord(), now, false))
	}
	if n := len(e.dictionaries[name].shapes); n != 1 {
		t.Errorf("%d shapes", n)
	}
	if n := len(e.dictionaries[name].shapeKeys); n > maxShapeKeys {
		t.Errorf("%d addresses are kept", n)
	}
}

// grouped gives a record of two sources and two persons these groups.
func grouped(groups ...TagGroup) func(*Record) {
	return func(r *Record) {
		r.Sources = []SourceAge{{Department: "a"}, {Department: "b"}}
		r.SetTags([]SubjectTag{{1}, {2}})
		r.TagGroups = groups
	}
}

func TestRecordLimits(t *testing.T) {
	long := strings.Repeat("x", maxText+1)
	for name, spoil := range map[string]func(*Record){
		"counts of another shape": func(r *Record) { r.Counts = r.Counts[1:] },
		"too many tags":           func(r *Record) { r.Tags = make([]SubjectTag, MaxTags+1) },
		"another number of tags":  func(r *Record) { r.Tags = make([]SubjectTag, MaxInlineTags+1) },
		"groups of one source":    func(r *Record) { r.Sources, r.TagGroups = r.Sources[:1], []TagGroup{{1, len(r.Tags)}} },
		"groups of fewer tags":    grouped(TagGroup{1, 1}),
		"groups of more tags":     grouped(TagGroup{1, 1}, TagGroup{2, 2}),
		"a group of none":         grouped(TagGroup{1, 0}, TagGroup{2, 2}),
		"a group of no source":    grouped(TagGroup{0, 1}, TagGroup{2, 1}),
		"a group of a third":      grouped(TagGroup{1, 1}, TagGroup{5, 1}),
		"groups in another order": grouped(TagGroup{2, 1}, TagGroup{1, 1}),
		"one group twice":         grouped(TagGroup{2, 1}, TagGroup{2, 1}),
		"sealed for a moment":     func(r *Record) { r.Sealed = time.Millisecond },
		"long text":               func(r *Record) { r.Application = long },
		"long role":               func(r *Record) { r.Roles = []string{long} },
		"long source":             func(r *Record) { r.Sources = []SourceAge{{Department: long}} },
		"unknown use":             func(r *Record) { r.Uses[2].Use = Tag + 1 },
		"too many uses":           func(r *Record) { r.Uses, r.Counts = make([]Use, maxUses+1), nil },
	} {
		t.Run(name, func(t *testing.T) {
			files := newMemFS()
			l := openMem(t, files, Config{})
			r := sampleRecord()
			spoil(r)
			if _, _, err := l.Append(t.Context(), r); !errors.Is(err, ErrRecord) {
				t.Errorf("appended: %v", err)
			}
			// What follows is not hurt.
			p, ticket, err := l.Append(t.Context(), sampleRecord())
			if err != nil || p.Sequence != 1 {
				t.Fatal(p, err)
			}
			if err := ticket.Wait(t.Context(), Synced); err != nil {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if got := must(records(files, "log")); len(got) != 1 {
				t.Errorf("%d records", len(got))
			}
		})
	}
}

func TestSetTags(t *testing.T) {
	besideNothing(t)
	tags := func(n int) []SubjectTag {
		out := make([]SubjectTag, n)
		for i := range out {
			binary.LittleEndian.PutUint64(out[i][:], uint64(n-i)) //nolint:gosec // a small number
		}
		return out
	}
	var few, many, same, other Record
	few.SetTags(tags(MaxTags))
	many.SetTags(tags(MaxTags + 1))
	shuffled := tags(MaxTags + 1)
	shuffled[0], shuffled[5] = shuffled[5], shuffled[0]
	same.SetTags(shuffled)
	other.SetTags(tags(MaxTags + 2))
	if len(few.Tags) != MaxTags || few.TagDigest != [16]byte{} || few.TagCount != MaxTags {
		t.Error("few tags are not inline")
	}
	if many.Tags != nil || many.TagDigest == [16]byte{} || many.TagCount != MaxTags+1 {
		t.Error("many tags are not a digest")
	}
	if many.TagDigest != same.TagDigest || many.TagDigest == other.TagDigest {
		t.Error("the digest is not that of the set")
	}
}

func TestAnswerDigest(t *testing.T) {
	base := AnswerDigest([]byte("salt"), []byte(`{"a":1}`), nil)
	if base != AnswerDigest([]byte("salt"), []byte(`{"a":1}`), []byte{}) {
		t.Error("not stable")
	}
	for name, d := range map[string][16]byte{
		"salt":  AnswerDigest([]byte("tals"), []byte(`{"a":1}`), nil),
		"data":  AnswerDigest([]byte("salt"), []byte(`{"a":2}`), nil),
		"error": AnswerDigest([]byte("salt"), []byte(`{"a":1}`), []byte("[]")),
		"split": AnswerDigest([]byte("salt"), []byte(`{"a":`), []byte("1}")),
	} {
		if d == base {
			t.Errorf("the %s does not count", name)
		}
	}
}

func TestPosition(t *testing.T) {
	p := Position{Origin: "node-a", Epoch: 7, Sequence: 184467}
	if p.String() != "node-a/7/184467" {
		t.Error(p)
	}
	rapid.Check(t, func(t *rapid.T) {
		p := Position{
			Origin:   rapid.StringMatching(`[a-z0-9][a-z0-9._-]{0,20}`).Draw(t, "origin"),
			Epoch:    rapid.Uint32Min(1).Draw(t, "epoch"),
			Sequence: rapid.Uint64Min(1).Draw(t, "sequence"),
		}
		if got, err := ParsePosition(p.String()); err != nil || got != p {
			t.Fatal(got, err)
		}
	})
	for _, s := range []string{
		"", "a", "a/1", "a/1/1/1", "/1/1", "a/0/1", "a/1/0", "a/01/1", "a/+1/1", "a/1/1 ", "A/1/1",
		"a/4294967296/1", "a/1/18446744073709551616", "../1/1",
	} {
		if p, err := ParsePosition(s); err == nil {
			t.Errorf("%q is %v", s, p)
		}
	}
}
