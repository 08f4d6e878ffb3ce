package lineage

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/weir-data/weir/schema"
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
}

// DataKey gives the data key that a frame names, or records the dropping of;
// false for the frames that do neither.
func (f *Frame) DataKey() (n KeyName, id KeyID, names bool) {
	err := errBody
	switch frame(f.Bytes).kind() {
	case frameKey:
		n, id, err = keyNamed(f.Bytes)
	case frameDrop:
		n, id, _, err = keyDropped(f.Bytes)
	default:
	}
	return n, id, err == nil
}

// keyDropped reads the frame of an act.
func keyDropped(f frame) (n KeyName, id KeyID, act [sha256.Size]byte, err error) {
	if err := parseDrop(f); err != nil {
		return n, id, act, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	p := parser{b: f.body()}
	n = KeyName{Month(p.uvarint()), schema.Rank(p.byte())}
	copy(id[:], p.bytes(len(id)))
	copy(act[:], p.bytes(len(act)))
	return n, id, act, nil
}

// keyNamed reads a key frame.
func keyNamed(f frame) (KeyName, KeyID, error) {
	var d decoder
	if err := d.addKey(f); err != nil {
		return KeyName{}, KeyID{}, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	return d.keys[0].name, d.keys[0].id, nil
}

// KeyText gives the file of a data key, still wrapped, or the text in its place
// where it was dropped; ErrKeyMissing where there is neither, or another key.
func KeyText(dir string, n KeyName, id KeyID) (text []byte, dropped bool, err error) {
	folder := filepath.Join(dir, KeysFolder)
	text, dropped, err = keyOrAct(OS(), folder, n)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, false, fmt.Errorf("%w: %s", ErrKeyMissing, filepath.Join(folder, n.String()+keySuffix))
	case err == nil && !dropped && keyIDOf(text) != id:
		return nil, false, fmt.Errorf("%w: %s is not the file that the log names", ErrKeyMissing, filepath.Join(folder, n.String()+keySuffix))
	}
	return text, dropped, err
}

// keyOrAct reads what stands for a data key in the folder of the keys. The key
// may be dropped meanwhile, so the act is looked for last, too.
func keyOrAct(files FS, folder string, n KeyName) (text []byte, dropped bool, err error) {
	path := filepath.Join(folder, n.String())
	for _, suffix := range [...]string{droppedSuffix, keySuffix, droppedSuffix} {
		if text, err = readAll(files, path+suffix); !errors.Is(err, fs.ErrNotExist) {
			return text, suffix == droppedSuffix, err
		}
	}
	return nil, false, err
}

// Frames walks over all frames of a log in order, each checked against the one
// before it. It needs no lock and may run beside the writer. Not safe for
// concurrent use; whoever made it closes it.
type Frames struct {
	r    reader
	past bool // the record to begin behind has been passed
	open bool // the segment frame that start has read has been given
	last frame
}

// NewFrames begins behind a record: with the frame after it; 0 for the very
// first frame. It decrypts nothing.
func NewFrames(dir string, after uint64) *Frames { return Folder{Dir: dir}.Frames(after) }

// Frames is [NewFrames] for a folder with an archive.
func (f Folder) Frames(after uint64) *Frames {
	out := &Frames{r: *newReader(f, after), past: after == 0}
	out.r.blind = true
	return out
}

// NewSegmentFrames begins with the first frame of the segment that holds a
// record: what the record refers to and its whole commit group are in it.
// Records can be disclosed where the folder has a reading key.
func NewSegmentFrames(folder Folder, sequence uint64) *Frames {
	f := &Frames{r: *newReader(folder, sequence), past: true}
	f.r.keep = true
	return f
}

// Close gives the files back.
func (f *Frames) Close() { f.r.close() }

// Next gives the next frame; io.EOF where there is none yet, after which it may
// be called again; a *[CorruptError] where the log is damaged; ErrArchived where
// the record to begin behind is not in the folder.
func (f *Frames) Next() (Frame, error) {
	for {
		b, err := f.read()
		if err != nil {
			return Frame{}, err
		}
		f.last = b
		out := Frame{
			Hash: f.r.scan.chain.last, Epoch: b.epoch(), Sequence: b.sequence(),
			Record: b.kind() == frameRecord, StartsGroup: b.startsGroup(), Bytes: b,
		}
		if f.past {
			return out, nil
		}
		f.past = out.Record && out.Sequence >= f.r.from
		if f.past && out.Sequence > f.r.from {
			return Frame{}, ErrArchived
		}
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

// Disclose opens the record that Next gave last to whoever it is handed to, and
// the frames that it cannot be read without: its segment's, its context, its
// shape, and its sources' departments, in this order. Where the tags of a record
// have a frame of their own, that comes last and stays closed: the record binds
// it, and whom else it is about is not told. It opens no other frame.
// Where the content is not readable, the record comes without an opening, and
// alone.
func (f *Frames) Disclose() (record Disclosure, meaning []Disclosure, content Content, err error) {
	d := &f.r.scan.decoder
	var e Entry
	if err := f.r.scan.blame(f.last, d.record(f.last, &e)); err != nil {
		return record, nil, e.Content, err
	}
	if e.Content != Readable {
		return Disclosure{Frame: append([]byte(nil), f.last...)}, nil, e.Content, nil
	}
	k := d.keys[f.last.key()-1]
	meaning = append(meaning, d.head, k.contexts[d.refs.context-1].disclosed, k.shapes[d.refs.shape-1].disclosed)
	for _, id := range d.refs.names {
		meaning = append(meaning, k.names[id-1].disclosed)
	}
	if d.refs.tags {
		meaning = append(meaning, Disclosure{Frame: d.tags.bytes})
	}
	return d.disclose(f.last), meaning, Readable, nil
}

// SyncedTo is the sequence up to which every record is known to be on disk, so
// that no power cut takes it back; 0 for none. What is behind the log builds on
// these alone.
func (l *Log) SyncedTo() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.recovery.Last.Sequence + l.stats.Synced
}
