package verify

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// log walks over all frames of a log's files in order and holds each against
// the one before it.
type log struct {
	dir      string
	origin   string // "" until the first segment names it
	ordinals []uint64
	places   map[uint64]string // the folder of each: dir, or an archive
	// absent is the last record that was archived and is not here, in so many
	// segments.
	absent, absentSegments uint64
	at                     int // index of the segment that is read
	seg                    *segment
	over                   *bufio.Reader

	epoch    uint32
	sequence uint64 // of the next record
	last     digest // of the last frame

	keyFiles  *keyFolder
	opened    uint64 // records that were read
	truncated string // the file that ends within a frame, "" for none

	// Of the segment.
	begun bool
	head  entryOf[head]
	keys  []*segmentKey
	tags  tagFrame // read last
	told  *saying  // the record that was read last, where nothing stands behind it
}

// tagFrame is a frame of the tags of the record behind it.
type tagFrame struct {
	hash     digest
	sequence uint64
	key      byte
	count    uint64
}

// entryOf is a frame's hash and what its body says.
type entryOf[T any] struct {
	hash  digest
	value T
}

// segmentOrdinal reads the name of a segment.
func segmentOrdinal(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, ".wal")
	ordinal, err := strconv.ParseUint(digits, 10, 64)
	return ordinal, ok && err == nil && ordinal > 0 && segmentName(ordinal) == name
}

// openLog lists the files of a log, and those of its archive where there is one.
// What does not belong there is a TamperError.
func openLog(dir, archive, origin string) (*log, []string, error) {
	l := &log{dir: dir, places: map[uint64]string{}, sequence: 1, over: bufio.NewReaderSize(nil, 64<<10)}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	var notes []string
	for _, e := range entries {
		name := e.Name()
		ordinal, isSegment := segmentOrdinal(name)
		switch {
		case e.IsDir() && (name == "tree" || name == "keys" || name == "lost+found"), name == "lock", name == archivedName, name == archivedName+".new", name == "ring", name == "ring.new":
			continue
		case !e.IsDir() && isSegment:
			l.places[ordinal] = dir
		case !e.IsDir() && strings.HasSuffix(name, ".cut"):
			notes = append(notes, name+" holds what recovery cut off after a crash; nothing in it was vouched for")
		default:
			return nil, nil, &TamperError{File: filepath.Join(dir, name), Reason: "this file is not part of a ledger"}
		}
	}
	if archive != "" {
		if err := l.addArchive(archive); err != nil {
			return nil, nil, err
		}
	}
	l.ordinals = slices.Sorted(maps.Keys(l.places))
	for i, ordinal := range l.ordinals[min(1, len(l.ordinals)):] {
		if due := l.ordinals[i] + 1; ordinal != due {
			return nil, nil, &TamperError{File: filepath.Join(l.places[l.ordinals[i]], segmentName(due)), Reason: "the segment is missing"}
		}
	}
	archived, err := readArchived(dir, origin)
	if err == nil {
		err = l.behind(archived, archive)
	}
	return l, notes, err
}

// place is the folder of the current segment.
func (l *log) place() string { return l.places[l.ordinals[min(l.at, len(l.ordinals)-1)]] }

func (l *log) close() {
	if l.seg != nil {
		l.seg.close()
	}
}

// item is a frame as the tree holds it.
type item struct {
	frame
	leaf hash // of the batch's tree
}

func (i *item) record() bool { return i.kind() == typeRecord }

// next gives the next frame; io.EOF at the end of the log, an unfinished write
// there included, which is noted; a *TamperError where the log is not sound.
func (l *log) next() (item, error) {
	for {
		if l.seg == nil {
			if l.at == len(l.ordinals) {
				return item{}, io.EOF
			}
			var err error
			if l.seg, err = openSegment(l.place(), l.ordinals[l.at], l.over); err != nil {
				if l.at == len(l.ordinals)-1 && errors.Is(err, errUnfinished) {
					l.truncated = segmentName(l.ordinals[l.at])
					l.at++
					return item{}, io.EOF
				}
				return item{}, l.found(0, err)
			}
			l.begun = false
		}
		f, err := l.seg.next()
		last := l.at == len(l.ordinals)-1
		switch {
		case err == nil:
			it, err := l.accept(f)
			if err != nil {
				return it, l.found(f.offset, err)
			}
			return it, nil
		case errors.Is(err, io.EOF) && l.begun:
			l.seg.close()
			l.seg = nil
			l.at++
		case last && (errors.Is(err, errUnfinished) || errors.Is(err, errRoom) || errors.Is(err, io.EOF)):
			if !l.begun || !errors.Is(err, errRoom) {
				l.truncated = l.seg.path
			}
			l.seg.close()
			l.seg = nil
			l.at++
			return item{}, io.EOF
		default:
			return item{}, l.found(f.offset, err)
		}
	}
}

// found makes a finding of what is wrong at a place of the current segment. The
// first record that can no longer be vouched for is the one that was due.
func (l *log) found(offset int64, err error) error {
	f := &TamperError{
		Record: l.due(), File: filepath.Join(l.place(), segmentName(l.ordinals[min(l.at, len(l.ordinals)-1)])),
		Offset: offset, Reason: err.Error(),
	}
	var bad *fault
	switch {
	case errors.Is(err, ErrInput):
		return err
	case errors.As(err, &bad):
		f.Offset, f.Reason = max(offset, bad.offset), bad.reason
	case errors.Is(err, errRoom):
		f.Reason = "the segment goes on with zeroes, though a later one is there"
	case errors.Is(err, io.EOF), errors.Is(err, errUnfinished):
		f.Reason = "the segment ends within a frame, though a later one is there"
	default:
		var path *os.PathError
		if errors.As(err, &path) {
			return err
		}
	}
	return f
}

// due is the record that comes next.
func (l *log) due() string {
	origin := l.origin
	if origin == "" {
		origin = "?"
	}
	return fmt.Sprintf("%s/%d/%d", origin, max(l.epoch, 1), l.sequence)
}

// accept holds a sound frame against what came before it.
func (l *log) accept(f frame) (item, error) {
	it := item{frame: f}
	first := l.at == 0 && !l.begun
	switch {
	case string(f.link()) != string(l.last[:linkSize]):
		return it, errors.New("the frame does not link to the one before it")
	case f.sequence() != l.sequence:
		return it, fmt.Errorf("the sequence has a gap: the frame is of %d", f.sequence())
	case (f.kind() == typeSegment) == l.begun:
		return it, fmt.Errorf("a frame of type %d does not belong here", f.kind())
	case !first && (f.epoch() < l.epoch || f.epoch() != l.epoch && f.kind() != typeSegment):
		return it, errors.New("the epoch changes within a segment or goes back")
	case f.epoch() == 0:
		return it, errors.New("the epoch is 0")
	}
	l.epoch, l.last = f.epoch(), f.hash()
	it.leaf = tlog.RecordHash(l.last[:])
	if err := l.read(f); err != nil {
		return it, err
	}
	if f.kind() == typeRecord {
		l.sequence++
	} else {
		l.told = nil
	}
	return it, nil
}

// read looks into a frame's body as far as its key is at hand.
func (l *log) read(f frame) error {
	switch f.kind() {
	case typeSegment, typeKey, typeDrop, typeClose:
		if f.key() != 0 {
			return errBody
		}
	default:
		return l.readKeyed(f)
	}
	switch f.kind() {
	case typeSegment:
		return l.begin(f)
	case typeKey:
		k, err := parseKeyFrame(f.body())
		if err != nil {
			return err
		}
		l.keys = append(l.keys, k)
		return l.keyFiles.find(k)
	case typeDrop:
		return l.keyFiles.drop(f.body(), l.told)
	}
	if len(f.body()) > 0 {
		return errBody
	}
	return nil
}

// readKeyed reads an encrypted frame.
func (l *log) readKeyed(f frame) error {
	n := int(f.key())
	if n == 0 || n > len(l.keys) || len(f.body()) < commitSize {
		return errBody
	}
	k := l.keys[n-1]
	l.told = &saying{month: k.name.month}
	if k.data == nil {
		return nil
	}
	opening := k.data.open(f)
	if f.kind() == typeRecord {
		l.opened++
		meaning, err := l.refer(k, f, opening[blindSize:])
		if err != nil {
			return err
		}
		_, err = plaintext(f, opening, meaning...)
		return err
	}
	text, err := plaintext(f, opening)
	if err != nil {
		return err
	}
	switch f.kind() {
	case typeContext:
		return define(&k.contexts, l.last, text, parseContext)
	case typeShape:
		return define(&k.shapes, l.last, text, parseShape)
	case typeTags:
		l.tags = tagFrame{l.last, f.sequence(), f.key(), uint64(len(text) / 8)}
		if len(text)%8 != 0 || l.tags.count <= inlineTags {
			return errBody
		}
		return nil
	}
	k.names = append(k.names, entryOf[string]{l.last, string(text)})
	return nil
}

func define[T any](to *[]entryOf[T], hash digest, body []byte, parse func([]byte) (T, error)) error {
	v, err := parse(body)
	*to = append(*to, entryOf[T]{hash, v})
	return err
}

func (l *log) begin(f frame) error {
	h, err := parseHead(f.body())
	switch {
	case err != nil:
		return err
	case l.origin != "" && h.origin != l.origin:
		return fmt.Errorf("the segment is of origin %q, the log of %q", h.origin, l.origin)
	case h.ordinal != l.ordinals[l.at]:
		return fmt.Errorf("the file holds segment %d", h.ordinal)
	}
	l.begun, l.origin = true, h.origin
	l.head = entryOf[head]{l.last, h}
	l.keys, l.tags = nil, tagFrame{}
	return nil
}

// refer gives the hashes of the frames that a record cannot be read without.
func (l *log) refer(k *segmentKey, f frame, text []byte) ([]digest, error) {
	b, err := parseRecord(text, func(shape uint64) (int, bool) {
		if shape-1 >= uint64(len(k.shapes)) {
			return 0, false
		}
		return len(k.shapes[shape-1].value.Uses), true
	})
	if err != nil {
		return nil, err
	}
	if b.context-1 >= uint64(len(k.contexts)) {
		return nil, errBody
	}
	context, shape := k.contexts[b.context-1], k.shapes[b.shape-1]
	l.told.time = time.UnixMicro(l.head.value.base + b.now).UTC()
	l.told.of = [3]string{context.value.Kind, shape.value.Operation, shape.value.Document}
	out := []digest{l.head.hash, context.hash, shape.hash}
	for _, id := range b.names {
		if id-1 >= uint64(len(k.names)) {
			return nil, errBody
		}
		out = append(out, k.names[id-1].hash)
	}
	if b.tagged {
		if l.tags.sequence != f.sequence() || l.tags.key != f.key() || l.tags.count != b.TagCount {
			return nil, errBody
		}
		out = append(out, l.tags.hash)
	}
	return out, nil
}

// position is a receipt's text taken apart.
type position struct {
	origin   string
	epoch    uint32
	sequence uint64
}

func (p position) String() string { return fmt.Sprintf("%s/%d/%d", p.origin, p.epoch, p.sequence) }

func parsePosition(s string) (p position, ok bool) {
	parts := strings.Split(s, "/")
	if len(parts) != 3 || parts[0] == "" {
		return p, false
	}
	epoch, err1 := strconv.ParseUint(parts[1], 10, 32)
	sequence, err2 := strconv.ParseUint(parts[2], 10, 64)
	p = position{parts[0], uint32(epoch), sequence}
	return p, err1 == nil && err2 == nil && epoch > 0 && sequence > 0 && p.String() == s
}
