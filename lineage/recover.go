package lineage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"path/filepath"
	"strings"
)

// Recovery is what Open found of the run before.
type Recovery struct {
	// Clean: the log was new or had been closed in order.
	Clean bool
	// Last is the last record found; its sequence is zero when there is none.
	Last Position
	// File, Offset and Bytes tell what the last, unfinished write left behind
	// and Open cut off; Bytes is zero when nothing was. No record that
	// [Ticket.Wait] vouched for at the durability that the crash left standing
	// is among it.
	File   string
	Offset int64
	Bytes  int64
	// Kept is the file that the cut bytes were moved to, "" when none were.
	Kept string
	// RingTaken: there were records, and nothing said which key ring keyed them;
	// from now on it is the one that was given.
	RingTaken bool
}

// recovered is where the next segment goes.
type recovered struct {
	Recovery
	chain   chain
	ordinal uint64
	named   []*keyed // keys that the newest segments name
	// reuse: the file of that ordinal exists, empty, since the crash came while
	// it was being made.
	reuse bool
}

// recoverLog reads what is in the folder, cuts off an unfinished last write, and
// refuses everything that no crash explains. The headers of all segments are
// checked, the newest segment whole, and the one before it as well; the others
// are checked when they are read.
func recoverLog(fs FS, dir, origin string) (recovered, error) {
	out := recovered{Recovery: Recovery{Clean: true}, chain: chain{sequence: 1}, ordinal: 1}
	ordinals, err := segments(fs, dir)
	if err != nil || len(ordinals) == 0 {
		return out, err
	}
	full := max(0, len(ordinals)-2)
	for _, ordinal := range ordinals[:full] {
		if _, err := scanSegment(fs, dir, origin, ordinal, chain{}, false, headerOnly); err != nil {
			return out, err
		}
	}
	linked := false
	for i, ordinal := range ordinals[full:] {
		depth := wholeSegment
		if full+i == len(ordinals)-1 {
			depth = lastSegment
		}
		r, err := scanSegment(fs, dir, origin, ordinal, out.chain, linked, depth)
		if err != nil {
			return out, err
		}
		out.named = append(out.named, r.named...)
		if !r.reuse {
			out.chain, linked = r.chain, true
			out.ordinal = ordinal + 1
			out.Clean = r.Clean
		} else {
			out.ordinal, out.reuse, out.Clean = ordinal, true, false
		}
		out.File, out.Offset, out.Bytes, out.Kept = r.File, r.Offset, r.Bytes, r.Kept
	}
	if out.chain.sequence > 1 {
		out.Last = Position{Origin: origin, Epoch: out.chain.epoch, Sequence: out.chain.sequence - 1}
	}
	return out, nil
}

type scanDepth uint8

const (
	headerOnly scanDepth = iota
	wholeSegment
	lastSegment // whole, and an unfinished write at its end is cut off
)

func scanSegment(fs FS, dir, origin string, ordinal uint64, c chain, linked bool, depth scanDepth) (out recovered, err error) {
	path := filepath.Join(dir, segmentName(ordinal))
	file, err := fs.Open(path, depth == lastSegment)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	s := &scanner{file: file, path: path, ordinal: ordinal, chain: c, linked: linked}
	defer func() { out.named = s.decoder.keys }()
	for {
		f, err := s.next()
		var torn *tornError
		switch {
		case errors.Is(err, io.EOF):
			out.chain = s.chain
			if !s.started { // magic alone
				torn = &tornError{0, "the file ends before its first frame", true}
				break
			}
			if depth == lastSegment {
				// A killed process leaves its last group to the system's memory.
				// The next segment vouches for everything before it, so it may
				// not begin until that group cannot be lost.
				if err := file.Sync(); err != nil {
					return out, err
				}
			}
			return out, nil
		case errors.As(err, &torn):
		case err != nil:
			return out, err
		}
		if torn != nil {
			if depth != lastSegment {
				return out, s.corrupt(torn.offset, torn.reason)
			}
			return s.cut(fs, file, torn)
		}
		out.Clean = f.kind() == frameClose
		if s.decoder.origin != origin {
			return out, fmt.Errorf("%w: %s belongs to the log of origin %q, this one is %q", ErrForeign, path, s.decoder.origin, origin)
		}
		if depth == headerOnly {
			return out, nil
		}
	}
}

// cut takes an unfinished last write off the file and makes that last. It never
// takes anything that is proven to have been synced, and what it takes it keeps
// beside the segment: without an outside anchor, damage to the very last group
// cannot be told from a crash.
func (s *scanner) cut(fs FS, file File, torn *tornError) (out recovered, err error) {
	size, err := file.Size()
	if err != nil {
		return out, err
	}
	at, synced, err := s.syncedAfter(torn.offset, size)
	if err != nil {
		return out, err
	}
	if synced {
		return out, s.corrupt(torn.offset, fmt.Sprintf("%s, and a later group is whole at byte %d", torn.reason, at))
	}
	if size, err = s.written(torn.offset, size); err != nil {
		return out, err
	}
	end := torn.offset
	if !s.started {
		if !torn.short && !s.begun() {
			return out, s.corrupt(torn.offset, torn.reason)
		}
		end = 0
	}
	out.chain, out.reuse = s.chain, !s.started
	if size = max(size, end); size > end {
		out.File, out.Offset, out.Bytes = s.path, end, size-end
		if out.Kept, err = s.keep(fs, file, end, size); err != nil {
			return out, fmt.Errorf("keep an unfinished write: %w", err)
		}
	}
	if err := file.Truncate(end); err != nil {
		return out, fmt.Errorf("cut off an unfinished write: %w", err)
	}
	if err := file.Sync(); err != nil {
		return out, fmt.Errorf("cut off an unfinished write: %w", err)
	}
	return out, nil
}

// written is where the zeroes begin that a file ends in: those were written
// ahead, and are nothing that a crash left unfinished. A few behind other bytes
// may well be a frame's own.
func (s *scanner) written(from, size int64) (int64, error) {
	b := make([]byte, max(0, size-from))
	n, err := s.file.ReadAt(b, from)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("%s: %w", s.path, err)
	}
	rest := bytes.TrimRight(b[:n], "\x00")
	if len(rest) > 0 && n-len(rest) < headerSize {
		rest = b[:n]
	}
	return from + int64(len(rest)), nil
}

// begun reports whether a file without a sound first frame can be a segment all
// the same: it begins with the magic, or with zeroes, where its size reached the
// disk before a power cut and its content did not. Anything else is a file that
// the log never wrote.
func (s *scanner) begun() bool {
	s.offset = 0
	s.forget()
	b, err := s.view(len(magic) + headerSize)
	if err != nil {
		return false
	}
	return strings.HasPrefix(string(b), magic) || len(bytes.Trim(b, "\x00")) == 0
}

// keep copies the bytes from an offset on into a file of their own.
func (s *scanner) keep(fs FS, file File, from, size int64) (path string, err error) {
	cut := make([]byte, size-from)
	n, err := file.ReadAt(cut, from)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	cut = cut[:n]
	dir := filepath.Dir(s.path)
	var kept File
	for n := 1; ; n++ {
		path = filepath.Join(dir, cutName(s.ordinal, n))
		if kept, err = fs.Create(path); err == nil {
			break
		} else if !errors.Is(err, iofs.ErrExist) {
			return "", err
		}
	}
	_, err = kept.WriteAt(cut, 0)
	return path, errors.Join(err, kept.Sync(), kept.Close(), fs.SyncDir(dir))
}
