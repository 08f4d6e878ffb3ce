package lineage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
)

// TreeFolder is the folder, within a log's own, of the tree that commits to it.
const TreeFolder = "tree"

const (
	lockName      = "lock"
	segmentSuffix = ".wal"
	cutSuffix     = ".cut"
	ordinalDigits = 16
)

// segmentName is the file name of a segment; ordinals count from 1 without gaps.
func segmentName(ordinal uint64) string {
	return fmt.Sprintf("%0*d%s", ordinalDigits, ordinal, segmentSuffix)
}

// cutName is the file name of what was cut off a segment the nth time.
func cutName(ordinal uint64, n int) string {
	return fmt.Sprintf("%0*d.%d%s", ordinalDigits, ordinal, n, cutSuffix)
}

// isCutName reports whether a file holds what recovery cut off.
func isCutName(name string) bool {
	var ordinal uint64
	var n int
	_, err := fmt.Sscanf(name, "%d.%d"+cutSuffix, &ordinal, &n)
	return err == nil && cutName(ordinal, n) == name
}

// segments gives the ordinals of the segments in a folder, ascending and without
// a gap. Any file that is not the log's is refused: whoever put it there meant
// another folder.
func segments(fs FS, dir string) ([]uint64, error) {
	names, err := fs.List(dir)
	if err != nil {
		return nil, err
	}
	var ordinals []uint64
	for _, name := range names {
		switch name {
		case lockName, ArchivedName, ArchivedName + newSuffix, RingName, RingName + newSuffix, TreeFolder + "/", KeysFolder + "/", "lost+found/": // the last where the folder is a disk of its own
			continue
		}
		if isCutName(name) {
			continue
		}
		digits, ok := strings.CutSuffix(name, segmentSuffix)
		ordinal, err := strconv.ParseUint(digits, 10, 64)
		if !ok || err != nil || ordinal == 0 || segmentName(ordinal) != name {
			return nil, fmt.Errorf("%w: %s; the folder of the log holds nothing else", ErrForeign, filepath.Join(dir, name))
		}
		if n := len(ordinals); n > 0 && ordinals[n-1]+1 != ordinal {
			return nil, &CorruptError{
				File:   filepath.Join(dir, segmentName(ordinals[n-1]+1)),
				Reason: "the segment is missing, though later ones are there",
			}
		}
		ordinals = append(ordinals, ordinal)
	}
	return ordinals, nil
}

// tornError is a frame that is not all there, or whose checksum is wrong. Whether
// that is the trace of a crash or damage depends on where it stands.
type tornError struct {
	offset int64
	reason string
	short  bool // the file, or what was written over its zeroes, ends within the frame
}

func (e *tornError) Error() string { return e.reason }

// scanner reads the frames of one segment in order, and checks each against the
// chain. The file may grow while it is read.
type scanner struct {
	file    io.ReaderAt
	path    string
	chain   chain
	started bool  // the segment frame has been read
	linked  bool  // chain.last is known, so the segment frame must link to it
	offset  int64 // of the next frame
	buf     []byte
	at      int64 // offset of buf[0]
	decoder decoder
	ordinal uint64 // that the segment frame must name
}

const readSize = 256 << 10

// view gives n bytes at the scanner's offset, fewer where the file ends.
func (s *scanner) view(n int) ([]byte, error) {
	from := int(s.offset - s.at)
	if s.buf != nil && from+n <= len(s.buf) {
		return s.buf[from : from+n], nil
	}
	size := max(n, readSize)
	if cap(s.buf) < size {
		s.buf = make([]byte, size)
	}
	s.buf = s.buf[:size]
	got, err := s.file.ReadAt(s.buf, s.offset)
	s.buf, s.at = s.buf[:got], s.offset
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", s.path, err)
	}
	return s.buf[:min(n, got)], nil
}

// forget drops what was read ahead, so that the next call sees the file as it is.
func (s *scanner) forget() { s.buf, s.at = s.buf[:0], s.offset }

func (s *scanner) corrupt(offset int64, reason string) error {
	return &CorruptError{File: s.path, Offset: offset, Reason: reason}
}

// next gives the next frame, valid until the call after it; io.EOF at the end
// between two frames; a *tornError where the bytes are not a frame; and a
// *CorruptError where they are one that does not belong there.
func (s *scanner) next() (frame, error) {
	if !s.started {
		if err := s.magic(); err != nil {
			return nil, err
		}
	}
	header, err := s.view(headerSize)
	if err != nil {
		return nil, err
	}
	if len(header) == 0 {
		return nil, io.EOF
	}
	if len(header) < headerSize {
		return nil, &tornError{s.offset, "the file ends within a frame's header", true}
	}
	if zero(header) {
		return nil, &tornError{s.offset, "the file goes on with zeroes", true}
	}
	length := bodyLength(header)
	if length > maxBody {
		return nil, &tornError{s.offset, "the length of the frame is out of bounds", false}
	}
	whole := headerSize + int(length)
	b, err := s.view(whole)
	if err != nil {
		return nil, err
	}
	if len(b) < whole {
		return nil, &tornError{s.offset, "the file ends within a frame", true}
	}
	f := frame(b)
	if !f.sound() {
		fading, err := s.fading(f)
		if err != nil {
			return nil, err
		}
		return nil, &tornError{s.offset, "the checksum of the frame is wrong", fading}
	}
	if err := s.accept(f); err != nil {
		return nil, err
	}
	s.offset += int64(whole)
	return f, nil
}

// fade is how many zeroes at the end of a frame tell that it was not written to
// its end. Frames end in what is drawn or digested, or in names.
const fade = 16

// fading reports whether an unsound frame is the beginning of one over the
// zeroes that were written ahead: it ends in zeroes, and so does the file.
func (s *scanner) fading(f frame) (bool, error) {
	if !zero(f[len(f)-fade:]) {
		return false, nil
	}
	return s.room(s.offset + int64(len(f)))
}

// zero reports whether there is nothing but zeroes.
func zero(b []byte) bool {
	var zeroes [4096]byte
	for len(b) > len(zeroes) {
		if !bytes.Equal(b[:len(zeroes)], zeroes[:]) {
			return false
		}
		b = b[len(zeroes):]
	}
	return bytes.Equal(b, zeroes[:len(b)])
}

// room reports whether the file holds nothing but zeroes from an offset on, which
// is behind what was viewed: the view is read anew afterwards.
func (s *scanner) room(offset int64) (bool, error) {
	if cap(s.buf) == 0 {
		s.buf = make([]byte, readSize)
	}
	b := s.buf[:cap(s.buf)]
	s.forget()
	for {
		n, err := s.file.ReadAt(b, offset)
		if !zero(b[:n]) {
			return false, nil
		}
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		offset += int64(n)
	}
}

func (s *scanner) magic() error {
	if s.offset != 0 {
		return nil
	}
	b, err := s.view(len(magic))
	if err != nil {
		return err
	}
	switch {
	case string(b) == magic:
		s.offset = int64(len(magic))
		return nil
	case len(b) < len(magic) && strings.HasPrefix(magic, string(b)):
		return &tornError{0, "the file ends before its first frame", true}
	case len(b) == len(magic) && string(b[:len(magic)-1]) == magic[:len(magic)-1]:
		return s.corrupt(0, fmt.Sprintf("the file has version %d of the format, this program writes and reads version %d alone", b[len(magic)-1], magic[len(magic)-1]))
	}
	return &tornError{0, "the file is not a segment of a lineage log", false}
}

// accept checks a sound frame against the chain and reads what later frames
// need: the segment frame and the dictionary.
func (s *scanner) accept(f frame) error {
	kind := f.kind()
	if (kind == frameSegment) == s.started || kind == 0 || kind >= frameTypes {
		return s.corrupt(s.offset, fmt.Sprintf("a frame of type %d does not belong here", kind))
	}
	if !s.started && !s.linked {
		// The first segment that is read: its chain is taken as it is, but the
		// first of all begins at the beginning.
		s.chain = chain{epoch: f.epoch(), sequence: f.sequence()}
		link := f.link()
		copy(s.chain.last[:], link[:])
		if s.ordinal == 1 && (s.chain.last != FrameHash{} || s.chain.sequence != 1) {
			return s.corrupt(s.offset, "the first segment does not begin the log")
		}
	}
	if reason := s.chain.follow(f); reason != "" {
		return s.corrupt(s.offset, reason)
	}
	var err error
	switch kind {
	case frameSegment:
		s.started = true
		var ordinal uint64
		if ordinal, err = s.decoder.segment(f, s.chain.last); err == nil && ordinal != s.ordinal {
			return s.corrupt(s.offset, fmt.Sprintf("the file holds segment %d", ordinal))
		}
	case frameKey:
		err = s.decoder.addKey(f)
	case frameDrop:
		err = parseDrop(f)
	case frameContext, frameShape, frameName, frameTags:
		err = s.decoder.entry(f, s.chain.last)
	case frameRecord:
		_, err = s.decoder.under(f)
	case frameClose:
		if len(f.body()) != 0 || f.key() != 0 {
			err = errBody
		}
	case frameTypes:
	}
	return s.fault(s.offset, err)
}

// fault makes what is wrong with a frame's body a finding with its place.
func (s *scanner) fault(offset int64, err error) error {
	if errors.Is(err, errBody) || errors.Is(err, errCommitment) {
		return s.corrupt(offset, err.Error())
	}
	return err
}

// blame is [scanner.fault] for the frame read last.
func (s *scanner) blame(f frame, err error) error { return s.fault(s.offset-int64(len(f)), err) }

// syncedAfter reports where, behind a place that is not a frame, a whole frame
// of this log begins a commit group. Such a group was written only after
// everything before it was synced, so the place is damage and no crash's trace.
func (s *scanner) syncedAfter(offset, size int64) (int64, bool, error) {
	rest := make([]byte, max(0, size-offset))
	n, err := s.file.ReadAt(rest, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, false, fmt.Errorf("%s: %w", s.path, err)
	}
	rest = rest[:n]
	if zero(rest) {
		return 0, false, nil
	}
	for i := 1; i+headerSize <= len(rest); i++ {
		f := frame(rest[i:])
		kind := f.kind()
		if !f.startsGroup() || kind == 0 || kind >= frameTypes {
			continue
		}
		if s.started && (f.epoch() != s.chain.epoch || f.sequence() < s.chain.sequence) {
			continue
		}
		whole := headerSize + int64(bodyLength(f))
		if whole > int64(len(f)) {
			continue
		}
		if f[:whole].sound() {
			return offset + int64(i), true, nil
		}
	}
	return 0, false, nil
}
