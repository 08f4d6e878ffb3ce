package lineage

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
)

// Copy is the log of another node as a second machine keeps it: the node's frames,
// unchanged, and the wrapped data keys that they name, in a folder of the same
// form. It promises that what it has synced is a whole, linked beginning of the
// node's log, and that each key was there for good before the first frame that
// names it. It can open no key, and takes what bodies say for granted. Not safe
// for concurrent use; whoever opened it closes it.
type Copy struct {
	dir     string
	fs      FS
	lock    io.Closer
	file    File
	ordinal uint64 // of the current segment; 0 for none
	offset  int64  // of what is written of it
	pending []byte // to be written there
	reuse   bool   // the next segment's file exists, empty
	begun   bool   // the chain is known
	origin  string
	chain   chain
	keys    keys                 // of these, the folder alone
	offered map[KeyID]offeredKey // for the frames that come next
	size    int                  // of their texts
	broken  error
}

// offeredKey is a file for the keys' folder.
type offeredKey struct {
	text   []byte
	suffix string
}

// maxOffered bounds the texts that wait for their frames, in bytes.
const maxOffered = 16 << 20

// CopyState is where a copy ends.
type CopyState struct {
	Origin   string    // "" while it is empty
	Sequence uint64    // of the last record; 0 for none
	Last     FrameHash // of the last frame; zero while it is empty
}

// OpenCopy takes the folder and finds where the copy ends. It refuses what Open
// refuses, and a node's own folder (ErrForeign), and cuts off an unfinished last write as Open does.
func OpenCopy(dir string, files FS) (*Copy, error) {
	lock, err := files.Lock(dir)
	if err != nil {
		return nil, fmt.Errorf("open copy of a lineage log: %w", err)
	}
	c := &Copy{dir: dir, fs: files, lock: lock, keys: keys{fs: files, dir: filepath.Join(dir, KeysFolder)}, offered: map[KeyID]offeredKey{}}
	if err = notANodes(files, dir); err == nil {
		err = errors.Join(files.MakeDir(c.keys.dir), files.SyncDir(dir))
	}
	if err == nil {
		err = c.recover()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open copy of a lineage log: %w", err), c.Close())
	}
	return c, nil
}

// notANodes refuses the folder of a node's own log. Frames of another node would
// go behind its records, or its own behind those that its tree commits to.
func notANodes(files FS, dir string) error {
	names, err := files.List(dir)
	if err != nil {
		return err
	}
	for _, name := range [...]string{TreeFolder + "/", RingName} {
		if slices.Contains(names, name) {
			return fmt.Errorf("%w: a node's own ledger has %s, and a copy of its log has not", ErrForeign, filepath.Join(dir, name))
		}
	}
	return nil
}

// recover reads the newest segment whole, and the one before it where the newest
// was only being made.
func (c *Copy) recover() error {
	ordinals, err := segments(c.fs, c.dir)
	if err != nil {
		return err
	}
	for n := len(ordinals); n > 0; n-- {
		made, err := c.take(ordinals[n-1])
		if err != nil || made {
			return err
		}
		if n < len(ordinals) {
			return &CorruptError{File: filepath.Join(c.dir, segmentName(ordinals[n-1])), Reason: "the segment has no first frame, though a later one is there"}
		}
		c.reuse = true
	}
	return nil
}

// take makes a segment the current one; made is false when its first frame is
// not there yet.
func (c *Copy) take(ordinal uint64) (made bool, err error) {
	path := filepath.Join(c.dir, segmentName(ordinal))
	file, err := c.fs.Open(path, true)
	if err != nil {
		return false, err
	}
	s := &scanner{file: file, path: path, ordinal: ordinal}
	for {
		_, err := s.next()
		var torn *tornError
		switch {
		case err == nil:
			continue
		case errors.Is(err, io.EOF) && s.started:
			// What was written and not synced counts as soon as it is.
			if err := file.Sync(); err != nil {
				return false, errors.Join(err, file.Close())
			}
		case errors.Is(err, io.EOF):
			torn = &tornError{0, "the file ends before its first frame", true}
		case !errors.As(err, &torn):
			return false, errors.Join(err, file.Close())
		}
		if torn != nil {
			if _, err := s.cut(c.fs, file, torn); err != nil {
				return false, errors.Join(err, file.Close())
			}
		}
		break
	}
	if !s.started {
		return false, file.Close()
	}
	c.file, c.ordinal, c.offset = file, ordinal, s.offset
	c.begun, c.chain, c.origin = true, s.chain, s.decoder.origin
	return true, nil
}

// State tells where the copy ends.
func (c *Copy) State() CopyState {
	if !c.begun {
		return CopyState{}
	}
	return CopyState{Origin: c.origin, Sequence: c.chain.sequence - 1, Last: c.chain.last}
}

// Add writes whole frames of an origin behind what is there, each checked against
// the one before it. They are not promised before Sync. After an error the copy
// takes nothing more: it is to be closed and opened again.
func (c *Copy) Add(origin string, frames []byte) error {
	if c.broken != nil {
		return c.broken
	}
	for len(frames) > 0 {
		if len(frames) < headerSize || uint64(len(frames)) < headerSize+uint64(bodyLength(frames)) {
			return c.fail(fmt.Errorf("%w: a frame is not whole", ErrRecord))
		}
		n := headerSize + int(bodyLength(frames))
		if err := c.frame(origin, frame(frames[:n])); err != nil {
			return c.fail(err)
		}
		frames = frames[n:]
	}
	if err := c.flush(); err != nil {
		return c.fail(err)
	}
	clear(c.offered)
	c.size = 0
	return nil
}

// Offer gives the file of a data key, or the text in its place where the node
// has dropped it, for the frames of the next call of Add. It is written when a
// frame names it.
func (c *Copy) Offer(id KeyID, text []byte, dropped bool) error {
	c.size += len(text)
	switch {
	case !dropped && keyIDOf(text) != id:
		return fmt.Errorf("%w: the data key that was sent is not %s", ErrRecord, id)
	case c.size > maxOffered:
		return fmt.Errorf("%w: data keys of %d bytes are too many at once", ErrRecord, c.size)
	}
	o := offeredKey{slices.Clone(text), keySuffix}
	if dropped {
		o.suffix = droppedSuffix
	}
	c.offered[id] = o
	return nil
}

// named has the file of a data key on disk for good before the frame that names
// it. One that was dropped here stays so, whatever the node has.
func (c *Copy) named(n KeyName, id KeyID) error {
	text, dropped, err := keyOrAct(c.fs, c.keys.dir, n)
	switch {
	case err == nil && !dropped && keyIDOf(text) != id:
		return fmt.Errorf("%w: %s is not the file that the log names", ErrForeign, c.keys.path(n, keySuffix))
	case err == nil || !errors.Is(err, fs.ErrNotExist):
		return err
	}
	o, ok := c.offered[id]
	if !ok {
		return fmt.Errorf("%w: the node has not sent %s", ErrKeyMissing, n)
	}
	return c.keys.put(c.keys.path(n, o.suffix), c.keys.path(n, newSuffix), o.text)
}

// drop drops a data key as the node did: the recorded act stands in its place
// before the frame is written, and the key is gone before it is vouched for.
func (c *Copy) drop(f frame) error {
	n, id, sum, err := keyDropped(f)
	if err != nil {
		return err
	}
	text, dropped, err := keyOrAct(c.fs, c.keys.dir, n)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if !dropped {
		o := c.offered[id]
		if o.suffix != droppedSuffix {
			return fmt.Errorf("%w: the node has not sent the act that dropped %s", ErrKeyMissing, n)
		}
		text = o.text
	}
	if sha256.Sum256(text) != sum {
		return fmt.Errorf("%w: the act that dropped %s is not the one that the log records", ErrForeign, n)
	}
	if !dropped {
		if err := c.keys.put(c.keys.path(n, droppedSuffix), c.keys.path(n, newSuffix), text); err != nil {
			return err
		}
	}
	return c.keys.remove(n)
}

func (c *Copy) fail(err error) error {
	c.broken = err
	return err
}

// frame takes one frame.
func (c *Copy) frame(origin string, f frame) error {
	kind := f.kind()
	switch {
	case !f.sound():
		return fmt.Errorf("%w: the checksum of a frame is wrong", ErrRecord)
	case kind == 0 || kind >= frameTypes, !c.begun && kind != frameSegment:
		return fmt.Errorf("%w: a frame of type %d does not belong here", ErrRecord, kind)
	case c.begun && c.origin != origin:
		return fmt.Errorf("%w: the copy is of the log of %q, not of %q", ErrForeign, c.origin, origin)
	}
	if !c.begun {
		// Whatever the node still has is where the copy begins.
		c.chain = chain{epoch: f.epoch(), sequence: f.sequence()}
		link := f.link()
		copy(c.chain.last[:], link[:])
	}
	if reason := c.chain.follow(f); reason != "" {
		return fmt.Errorf("%w: %s", ErrRecord, reason)
	}
	switch kind {
	case frameSegment:
		if err := c.segment(origin, f); err != nil {
			return err
		}
	case frameKey:
		n, id, err := keyNamed(f)
		if err != nil {
			return err
		}
		if err := c.named(n, id); err != nil {
			return err
		}
	case frameDrop:
		if err := c.drop(f); err != nil {
			return err
		}
	default:
	}
	c.pending = append(c.pending, f...)
	return nil
}

// segment begins a file.
func (c *Copy) segment(origin string, f frame) error {
	var d decoder
	ordinal, err := d.segment(f, FrameHash{})
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrRecord, err)
	case d.origin != origin:
		return fmt.Errorf("%w: a segment of the log of %q, not of %q", ErrForeign, d.origin, origin)
	case c.begun && ordinal != c.ordinal+1, ordinal == 0:
		return fmt.Errorf("%w: segment %d follows %d", ErrRecord, ordinal, c.ordinal)
	}
	if err := c.Sync(); err != nil {
		return err
	}
	path := filepath.Join(c.dir, segmentName(ordinal))
	var file File
	if c.reuse {
		file, err = c.fs.Open(path, true)
	} else {
		file, err = c.fs.Create(path)
	}
	if err != nil {
		return err
	}
	if c.file != nil {
		_ = c.file.Close() // synced; nothing is left to lose
	}
	c.file, c.reuse, c.ordinal, c.offset = file, false, ordinal, 0
	c.begun, c.origin = true, origin
	c.pending = append(c.pending, magic...)
	if err := c.fs.SyncDir(c.dir); err != nil {
		return fmt.Errorf("%w of %s: %w", errSync, c.dir, err)
	}
	return nil
}

// flush writes what is pending.
func (c *Copy) flush() error {
	if len(c.pending) == 0 {
		return nil
	}
	n, err := c.file.WriteAt(c.pending, c.offset)
	if err == nil && n < len(c.pending) {
		err = io.ErrShortWrite
	}
	if err != nil {
		_ = c.file.Truncate(c.offset) // what stays is cut off when it is opened again
		return fmt.Errorf("write %s: %w", filepath.Join(c.dir, segmentName(c.ordinal)), err)
	}
	c.offset += int64(len(c.pending))
	c.pending = c.pending[:0]
	return nil
}

// Sync makes what was added last, and then promises it. An error of the disk
// here is final for the process: a second sync may claim what the first lost.
// IsSyncError tells it from others.
func (c *Copy) Sync() error {
	if c.broken != nil {
		return c.broken
	}
	if err := c.flush(); err != nil {
		return c.fail(err)
	}
	if c.file == nil {
		return nil
	}
	if err := c.file.Sync(); err != nil {
		return c.fail(fmt.Errorf("%w of %s: %w", errSync, filepath.Join(c.dir, segmentName(c.ordinal)), err))
	}
	return nil
}

// IsSyncError reports whether an error means that nothing is known any more of
// what the disk holds.
func IsSyncError(err error) bool { return errors.Is(err, errSync) }

// Close gives the folder back. It syncs nothing.
func (c *Copy) Close() error {
	var err error
	if c.file != nil {
		err = c.file.Close()
	}
	c.file = nil
	return errors.Join(err, c.lock.Close())
}
