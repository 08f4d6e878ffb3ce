package verify

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
)

// The frames of a segment, as docs/ledger-format.md describes them.
const (
	segmentMagic = "WEIRWAL\x02"
	headerSize   = 34
	linkSize     = 16
	maxBody      = 8 << 20
	groupMark    = 0x80
)

// Types of frames.
const (
	typeSegment = 1 + iota
	typeContext
	typeShape
	typeName
	typeRecord
	typeClose
	typeKey
	typeTags
	typeDrop
)

// digest is a SHA-256.
type digest = [sha256.Size]byte

// frame is one whole frame.
type frame struct {
	bytes  []byte
	offset int64
}

func (f frame) length() uint32   { return uint32(f.number(4, 3)) }
func (f frame) key() byte        { return f.bytes[7] }
func (f frame) epoch() uint32    { return uint32(f.number(8, 3)) }
func (f frame) sequence() uint64 { return f.number(11, 6) }
func (f frame) link() []byte     { return f.bytes[17 : 17+linkSize] }
func (f frame) kind() byte       { return f.bytes[33] &^ groupMark }
func (f frame) group() bool      { return f.bytes[33]&groupMark != 0 }
func (f frame) body() []byte     { return f.bytes[headerSize:] }
func (f frame) hash() digest     { return sha256.Sum256(f.bytes) }

// number is little-endian.
func (f frame) number(at, size int) (n uint64) {
	for i := range size {
		n |= uint64(f.bytes[at+i]) << (8 * i)
	}
	return n
}

// fault is what is wrong with a frame by itself; "" for nothing.
func (f frame) fault() string {
	switch {
	case len(f.bytes) < headerSize || int(f.length()) != len(f.bytes)-headerSize:
		return "the length of the frame is wrong"
	case binary.LittleEndian.Uint32(f.bytes) != crc32.Checksum(f.bytes[4:], crc32.MakeTable(crc32.Castagnoli)):
		return "the checksum of the frame is wrong"
	case f.kind() < typeSegment || f.kind() > typeDrop:
		return fmt.Sprintf("a frame of type %d is not known", f.kind())
	}
	return ""
}

// errUnfinished is the end of a file within a frame: what a copy of a live log,
// or a crash, may leave at the very end.
var errUnfinished = errors.New("the file ends within a frame")

// errRoom is the end of the frames in a file that goes on with the zeroes that
// the writer has put ahead of itself.
var errRoom = errors.New("the file goes on with zeroes")

// segment reads the frames of one file, each by itself.
type segment struct {
	path   string
	file   *os.File
	r      *bufio.Reader
	offset int64
	buf    []byte
}

// openSegment opens a file over a reader that is used again and again.
func openSegment(dir string, ordinal uint64, over *bufio.Reader) (*segment, error) {
	s := &segment{path: filepath.Join(dir, segmentName(ordinal)), r: over}
	var err error
	if s.file, err = os.Open(s.path); err != nil {
		return nil, err
	}
	s.r.Reset(s.file)
	start := make([]byte, len(segmentMagic))
	n, err := io.ReadFull(s.r, start)
	switch {
	case err == nil && string(start) == segmentMagic:
	case (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) && string(start[:n]) == segmentMagic[:n]:
		err = errUnfinished
	case err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		err = &fault{0, "the file does not begin as a segment"}
	}
	s.offset = int64(len(segmentMagic))
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// fault is a place within a file that is not as it must be.
type fault struct {
	offset int64
	reason string
}

func (f *fault) Error() string { return f.reason }

// next gives the next frame, valid until the call after it; io.EOF between two
// frames, errRoom before zeroes, errUnfinished within a frame, a *fault where it
// is not sound.
func (s *segment) next() (frame, error) {
	f := frame{offset: s.offset}
	header, err := s.r.Peek(headerSize)
	if len(header) == 0 {
		return f, err
	}
	if len(header) < headerSize {
		if errors.Is(err, io.EOF) {
			err = errUnfinished
		}
		return f, err
	}
	if zero(header) {
		return f, s.room(&fault{s.offset, "zeroes stand where a frame is due"}, errRoom)
	}
	length := frame{bytes: header}.length()
	if length > maxBody {
		return f, &fault{s.offset, "the length of the frame is out of bounds"}
	}
	whole := headerSize + int(length)
	if cap(s.buf) < whole {
		s.buf = make([]byte, whole)
	}
	f.bytes = s.buf[:whole]
	if _, err := io.ReadFull(s.r, f.bytes); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errUnfinished
		}
		return f, err
	}
	if reason := f.fault(); reason != "" {
		bad := &fault{s.offset, reason}
		if zero(f.bytes[whole-fade:]) {
			return f, s.room(bad, errUnfinished)
		}
		return f, bad
	}
	s.offset += int64(whole)
	return f, nil
}

// fade is how many zeroes at the end of a frame tell that it was not written to
// its end: the writer writes over zeroes.
const fade = 16

// room is the given end where nothing but zeroes follows, and otherwise the
// fault.
func (s *segment) room(bad *fault, end error) error {
	for {
		b, err := s.r.Peek(1)
		if len(b) == 0 {
			if errors.Is(err, io.EOF) {
				return end
			}
			return err
		}
		if b, err = s.r.Peek(s.r.Buffered()); err != nil {
			return err
		}
		if !zero(b) {
			return bad
		}
		if _, err := s.r.Discard(len(b)); err != nil {
			return err
		}
	}
}

func zero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

func (s *segment) close() { _ = s.file.Close() }

func segmentName(ordinal uint64) string { return fmt.Sprintf("%016d.wal", ordinal) }
