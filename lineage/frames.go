package lineage

import (
	"errors"
	"io"
)

// Frame is one frame of a log, as the ledger behind it commits to it.
type Frame struct {
	Hash     FrameHash
	Epoch    uint32
	Sequence uint64 // a record's own; for other frames, that of the next record
	Record   bool
	// StartsGroup marks the first frame of a commit group.
	StartsGroup bool
	// Bytes is the whole frame, valid until the next call.
	Bytes []byte
	// Meaning is what a record cannot be read without: the frames of its
	// segment, its context, its shape, and its sources' departments, in this
	// order; nil for other frames. Valid until the next call.
	Meaning []Reference
}

// Reference is a frame that a record refers to.
type Reference struct {
	Hash FrameHash
	// Bytes is the whole frame, nil unless the Frames keep them.
	Bytes []byte
}

// Frames walks over all frames of a log in order, each checked against the one
// before it. It needs no lock and may run beside the writer. Not safe for
// concurrent use; whoever made it closes it.
type Frames struct {
	r    reader
	keep bool
	past bool // the record to begin behind has been passed
	open bool // the segment frame that start has read has been given

	segment                 Reference
	contexts, shapes, names []Reference
	meaning                 []Reference
	ids                     []uint64
}

// NewFrames begins behind a record: with the frame after it; 0 for the very
// first frame. With keep, references come with their bytes.
func NewFrames(dir string, after uint64, keep bool) *Frames {
	return &Frames{r: reader{fs: OS(), dir: dir, from: after}, keep: keep, past: after == 0}
}

// NewSegmentFrames begins with the first frame of the segment that holds a
// record: what the record refers to and its whole commit group are in it.
// References come with their bytes.
func NewSegmentFrames(dir string, sequence uint64) *Frames {
	return &Frames{r: reader{fs: OS(), dir: dir, from: sequence}, keep: true, past: true}
}

// Close gives the files back.
func (f *Frames) Close() { f.r.close() }

// Next gives the next frame; io.EOF where there is none yet, after which it may
// be called again; a *[CorruptError] where the log is damaged.
func (f *Frames) Next() (Frame, error) {
	for {
		b, err := f.read()
		if err != nil {
			return Frame{}, err
		}
		out, err := f.take(b)
		if err != nil {
			return Frame{}, err
		}
		if f.past {
			return out, nil
		}
		f.past = out.Record && out.Sequence >= f.r.from
	}
}

// read gives the bytes of the next frame.
func (f *Frames) read() (frame, error) {
	if f.r.scan == nil {
		if err := f.r.start(); err != nil {
			return nil, err
		}
		f.open = false
	}
	if !f.open {
		// start has read the segment frame already.
		b := make([]byte, f.r.scan.offset-int64(len(magic)))
		if _, err := f.r.file.ReadAt(b, int64(len(magic))); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		f.open = true
		return b, nil
	}
	for {
		b, err := f.r.frame()
		if err != nil || b != nil {
			return b, err
		}
	}
}

// take notes what later records may refer to.
func (f *Frames) take(b frame) (Frame, error) {
	out := Frame{
		Hash: f.r.scan.chain.last, Epoch: b.epoch(), Sequence: b.sequence(),
		Record: b.kind() == frameRecord, StartsGroup: b.startsGroup(), Bytes: b,
	}
	ref := Reference{Hash: out.Hash}
	if f.keep && !out.Record {
		ref.Bytes = append([]byte(nil), b...)
	}
	switch b.kind() {
	case frameSegment:
		f.segment, f.contexts, f.shapes, f.names = ref, nil, nil, nil
	case frameContext:
		f.contexts = append(f.contexts, ref)
	case frameShape:
		f.shapes = append(f.shapes, ref)
	case frameName:
		f.names = append(f.names, ref)
	case frameRecord:
		contextID, shapeID, err := f.refer(b.body())
		if err != nil {
			return out, f.r.scan.corrupt(f.r.scan.offset-int64(len(b)), err.Error())
		}
		f.meaning = append(f.meaning[:0], f.segment, f.contexts[contextID-1], f.shapes[shapeID-1])
		for _, id := range f.ids {
			f.meaning = append(f.meaning, f.names[id-1])
		}
		out.Meaning = f.meaning
	case frameClose, frameTypes:
	}
	return out, nil
}

// refer finds the ids in a record's body, those of departments in f.ids, without
// making the record.
func (f *Frames) refer(body []byte) (contextID, shapeID uint64, err error) {
	d := &f.r.scan.decoder
	p := parser{b: body}
	flags := p.uvarint()
	p.varint()
	contextID, shapeID = p.uvarint(), p.uvarint()
	if p.bad || flags&^allFlags != 0 || contextID-1 >= uint64(len(d.contexts)) || shapeID-1 >= uint64(len(d.shapes)) {
		return 0, 0, errBody
	}
	var tags int
	for _, part := range [...]struct {
		here bool
		skip func()
	}{
		{true, p.skipPacked},
		{true, p.skipPacked},
		{flags&hasAttributes != 0, func() { p.bytes(8) }},
		{flags&hasCase != 0, p.skipPacked},
		{flags&hasCounts != 0, func() { p.skipCounts(len(d.shapes[shapeID-1].Uses)) }},
		{flags&hasRows != 0, func() { p.uvarint() }},
		{flags&hasTags != 0, func() { tags = p.count(MaxInlineTags); p.bytes(8 * tags) }},
		{flags&hasTagCount != 0, func() { p.uvarint() }},
		{flags&hasTagDigest != 0, func() { p.bytes(16) }},
	} {
		if part.here {
			part.skip()
		}
	}
	f.ids = f.ids[:0]
	if flags&hasSources != 0 {
		for range p.count(maxSources) {
			head := p.uvarint()
			if head>>sourceBits-1 >= uint64(len(d.names)) {
				return 0, 0, errBody
			}
			f.ids = append(f.ids, head>>sourceBits)
			if head&sourceDated != 0 {
				p.varint()
			}
		}
	}
	if flags&hasSalt != 0 {
		p.bytes(16)
	}
	if flags&hasAnswer != 0 {
		p.bytes(16)
	}
	return contextID, shapeID, p.end()
}

func (p *parser) skipPacked() {
	n := p.uvarint() >> packedBits
	if n > uint64(len(p.b)) {
		p.bad = true
		return
	}
	p.bytes(int(n))
}

func (p *parser) skipCounts(uses int) {
	for done := 0; done < uses && !p.bad; {
		head := p.uvarint()
		n := head >> runBits
		if n == 0 || n > uint64(uses-done) {
			p.bad = true
			return
		}
		done += int(n)
		for bit := range runBits {
			if head&(1<<bit) != 0 {
				p.uvarint()
			}
		}
	}
}

// SyncedTo is the sequence up to which every record is known to be on disk, so
// that no power cut takes it back; 0 for none. What is behind the log builds on
// these alone.
func (l *Log) SyncedTo() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.recovery.Last.Sequence + l.stats.Synced
}
