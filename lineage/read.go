package lineage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"
	"time"
)

// Read gives the records of the log in a folder, from a sequence on, in order.
// It needs no lock and may run while another process writes: it ends at the last
// whole frame. Every frame it passes is checked against the one before it; the
// first error ends it and names the place. Records share their uses and roles
// and are not to be changed. Those whose key is not at hand come without
// contents; see [Content].
func Read(f Folder, from uint64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		r := newReader(f, from)
		defer r.close()
		for {
			e, err := r.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// reader walks over the segments of a log that may grow.
type reader struct {
	fs     FS
	dir    string
	from   uint64
	folder Folder
	keep   bool // what disclosures need
	blind  bool // nothing is decrypted

	file File
	scan *scanner
	torn *place // where the log ends within a frame, as far as it was read
}

// place is one in a file.
type place struct {
	file   string
	offset int64
}

func newReader(f Folder, from uint64) *reader {
	return &reader{fs: f.fs(), dir: f.Dir, from: from, folder: f}
}

// scanner begins a segment.
func (r *reader) scanner(file File, path string, ordinal uint64) *scanner {
	s := &scanner{file: file, path: path, ordinal: ordinal, decoder: decoder{keep: r.keep}}
	if !r.blind {
		s.decoder.find = r.folder.dataKey
	}
	return s
}

// next gives the next record, or io.EOF where there is none yet; it may be
// called again then.
func (r *reader) next() (Entry, error) {
	for {
		if r.scan == nil {
			if err := r.start(); err != nil {
				return Entry{}, err
			}
		}
		f, err := r.frame()
		if err != nil {
			return Entry{}, err
		}
		if f == nil { // another segment
			continue
		}
		if f.kind() != frameRecord || f.sequence() < r.from {
			continue
		}
		e := Entry{
			Position: Position{Origin: r.scan.decoder.origin, Epoch: f.epoch(), Sequence: f.sequence()},
			Hash:     r.scan.chain.last,
		}
		return e, r.scan.blame(f, r.scan.decoder.record(f, &e))
	}
}

// frame gives the next frame, nil after a step to the next segment.
func (r *reader) frame() (frame, error) {
	f, err := r.scan.next()
	var torn *tornError
	if err == nil {
		r.torn = nil
		return f, nil
	}
	if !errors.Is(err, io.EOF) && !errors.As(err, &torn) {
		return nil, err
	}
	// The writer finishes a segment before it makes the next. So when there is a
	// next, one more look at this one sees its end.
	file, err := r.fs.Open(filepath.Join(r.dir, segmentName(r.scan.ordinal+1)), false)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	isLast := err != nil
	f, err = r.again()
	switch {
	case err == nil:
		if !isLast {
			_ = file.Close()
		}
		return f, nil
	case errors.Is(err, io.EOF), errors.As(err, &torn):
	default:
		if !isLast {
			_ = file.Close()
		}
		return nil, err
	}
	atEnd := errors.Is(err, io.EOF)
	switch {
	case isLast && atEnd:
		return nil, io.EOF // not written yet
	case isLast && torn.short:
		return r.unfinished(torn)
	case isLast:
		return nil, r.scan.corrupt(torn.offset, torn.reason)
	case !atEnd || !r.scan.started:
		_ = file.Close()
		return nil, r.scan.corrupt(r.scan.offset, "the segment ends within a frame, though a later one is there")
	}
	last := r.scan
	_ = r.file.Close()
	r.file = file
	r.scan = r.scanner(file, filepath.Join(r.dir, segmentName(last.ordinal+1)), last.ordinal+1)
	r.scan.chain, r.scan.linked = last.chain, true
	return nil, nil
}

// again looks at the same place anew. A frame is written over zeroes while it is
// read, page by page, and not always seen in this order: what does not hold is
// looked at once more, and a few times, before it is said to be damaged.
func (r *reader) again() (f frame, err error) {
	var torn *tornError
	for tries := 0; ; tries++ {
		r.scan.forget()
		f, err = r.scan.next()
		if !errors.As(err, &torn) || torn.short || tries == 5 || !r.written() {
			return f, err
		}
		time.Sleep(time.Millisecond)
	}
}

// written reports whether the file may be written at this moment: it has zeroes
// at its end, which the writer takes off when it is done with it.
func (r *reader) written() bool {
	size, err := r.file.Size()
	if err != nil || size < fade {
		return false
	}
	var end [fade]byte
	n, _ := r.file.ReadAt(end[:], size-fade)
	return zero(end[:n])
}

// unfinished tells a frame that is being written, io.EOF, from one whose length
// is damaged: the latter has whole groups behind it.
func (r *reader) unfinished(torn *tornError) (frame, error) {
	nothing, err := r.scan.room(torn.offset)
	if err != nil {
		return nil, err
	}
	if nothing {
		return nil, io.EOF
	}
	size, err := r.file.Size()
	if err != nil {
		return nil, err
	}
	_, behind, err := r.scan.syncedAfter(torn.offset, size)
	if err != nil {
		return nil, err
	}
	if !behind {
		r.torn = &place{r.scan.path, torn.offset}
		return nil, io.EOF
	}
	// Or the writer was quick: then the frame is whole by now.
	r.scan.forget()
	f, err := r.scan.next()
	if errors.As(err, &torn) {
		return nil, r.scan.corrupt(torn.offset, torn.reason)
	}
	return f, err
}

// start opens the newest segment that begins at or before the first record
// wanted.
func (r *reader) start() error {
	ordinals, err := segments(r.fs, r.dir)
	if err != nil {
		return fmt.Errorf("read lineage log: %w", err)
	}
	for i, ordinal := range slices.Backward(ordinals) {
		first, err := r.open(ordinal)
		if err != nil {
			var torn *tornError
			newest := i == len(ordinals)-1
			switch {
			case newest && i > 0 && errors.Is(err, io.EOF):
				continue // being made this moment
			case !newest && errors.Is(err, io.EOF):
				torn = &tornError{reason: "the segment ends within its first frame, though a later one is there"}
				fallthrough
			case errors.As(err, &torn):
				return &CorruptError{File: filepath.Join(r.dir, segmentName(ordinal)), Offset: torn.offset, Reason: torn.reason}
			}
			return err
		}
		if first <= r.from || i == 0 {
			return nil
		}
		r.close()
	}
	return io.EOF
}

// open opens a segment, reads its first frame, and gives the first sequence;
// io.EOF when the frame is not there yet.
func (r *reader) open(ordinal uint64) (uint64, error) {
	path := filepath.Join(r.dir, segmentName(ordinal))
	file, err := r.fs.Open(path, false)
	if err != nil {
		return 0, err
	}
	r.file, r.scan = file, r.scanner(file, path, ordinal)
	f, err := r.scan.next()
	var torn *tornError
	if errors.As(err, &torn) && torn.short {
		f, err = r.unfinished(torn)
	}
	if err != nil {
		r.close()
		return 0, err
	}
	return f.sequence(), nil
}

func (r *reader) close() {
	if r.file != nil {
		_ = r.file.Close()
	}
	r.file, r.scan = nil, nil
}
