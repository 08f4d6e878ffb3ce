package lineage

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
)

// A segment file is the magic followed by frames. A frame is a header of fixed
// size and a body; numbers are little-endian:
//
//	 0  4  CRC32C of everything after this field
//	 4  3  length of the body
//	 7  1  number of the key that the body is encrypted with, 0 for a clear body
//	 8  3  boot epoch
//	11  6  sequence: a record's own; for other frames, that of the next record
//	17 16  link: the first half of the SHA-256 of the previous frame, all of it
//	33  1  type; the top bit marks the first frame of a commit group
//	34  …  body
//
// The link crosses from segment to segment; the very first frame's is zero. The
// mark of groups tells recovery what was synced: a group is written only after
// the one before it has been.
const (
	magic      = "WEIRWAL\x02" // the last byte is the version of the format
	atKey      = 7
	atEpoch    = 8
	atSequence = 11
	atLink     = 17
	atType     = 33
	headerSize = 34
	linkSize   = 16
	// maxEpoch and maxSequence are what the header has room for: a restart every
	// second for half a year, a million records a second for nine.
	maxEpoch    = 1<<24 - 1
	maxSequence = 1<<48 - 1
	// maxBody is far above what the limits on records allow; a longer length is
	// not believed.
	maxBody   = 8 << 20
	groupMark = 0x80
)

// frameType is what the body of a frame is.
type frameType uint8

const (
	frameSegment frameType = 1 + iota // origin, ordinal, base time: the first frame of a file
	frameContext                      // dictionary: who and under what
	frameShape                        // dictionary: which fields
	frameName                         // dictionary: a department
	frameRecord
	frameClose // the log was closed in order; nothing follows in this file
	frameKey   // dictionary: month, level and id of a data key
	frameTags  // whom the next record is about, where they are many
	frameDrop  // a data key was dropped, by which act
	frameTypes
)

// FrameHash is the SHA-256 of a whole frame.
type FrameHash [sha256.Size]byte

// castagnoli is a constant table.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// chain is where the next frame goes: what is the same for every writer and
// reader of frames.
type chain struct {
	epoch    uint32
	sequence uint64 // of the next record
	last     FrameHash
}

// open appends an empty frame of a type; the body is appended after it, then
// close is called with the length that the buffer had before.
func (c *chain) open(buf []byte, t frameType, key byte, startsGroup bool) []byte {
	var h [headerSize]byte
	h[atKey] = key
	// Each is overwritten by the next where it is longer than its place.
	binary.LittleEndian.PutUint32(h[atEpoch:], c.epoch)
	binary.LittleEndian.PutUint64(h[atSequence:], c.sequence)
	copy(h[atLink:], c.last[:linkSize])
	h[atType] = byte(t)
	if startsGroup {
		h[atType] |= groupMark
	}
	return append(buf, h[:]...)
}

// measure fills in the length of the body.
func measure(frame []byte) {
	binary.LittleEndian.PutUint32(frame[4:], uint32(len(frame)-headerSize)|uint32(frame[atKey])<<24)
}

// close fills in what depends on the body and moves the chain on.
func (c *chain) close(frame []byte) {
	measure(frame)
	binary.LittleEndian.PutUint32(frame, crc32.Checksum(frame[4:], castagnoli))
	c.last = sha256.Sum256(frame)
	if frameType(frame[atType]&^groupMark) == frameRecord {
		c.sequence++
	}
}

// frame is a parsed view on the bytes of one frame.
type frame []byte

func (f frame) key() byte        { return f[atKey] }
func (f frame) epoch() uint32    { return binary.LittleEndian.Uint32(f[atEpoch:]) & maxEpoch }
func (f frame) sequence() uint64 { return binary.LittleEndian.Uint64(f[atSequence:]) & maxSequence }
func (f frame) link() [linkSize]byte {
	return [linkSize]byte(f[atLink:atType])
}
func (f frame) kind() frameType   { return frameType(f[atType] &^ groupMark) }
func (f frame) startsGroup() bool { return f[atType]&groupMark != 0 }
func (f frame) body() []byte      { return f[headerSize:] }

// bodyLength reads the length from a header; it is not to be believed before
// the checksum agrees.
func bodyLength(header []byte) uint32 { return binary.LittleEndian.Uint32(header[4:]) & 0xffffff }

// sound reports whether the checksum of a whole frame agrees.
func (f frame) sound() bool {
	return binary.LittleEndian.Uint32(f) == crc32.Checksum(f[4:], castagnoli)
}

// follow checks that a sound frame is the next of the chain and moves it on; it
// gives what is wrong, "" for nothing. A frame that begins a segment may begin a
// new epoch.
func (c *chain) follow(f frame) string {
	switch {
	case f.link() != [linkSize]byte(c.last[:linkSize]):
		return "the frame does not link to the one before it"
	case f.sequence() != c.sequence:
		return "the sequence has a gap"
	case f.epoch() != c.epoch && (f.kind() != frameSegment || f.epoch() < c.epoch):
		return "the epoch changes within a segment or goes back"
	}
	c.epoch = f.epoch()
	c.last = sha256.Sum256(f)
	if f.kind() == frameRecord {
		c.sequence++
	}
	return ""
}
