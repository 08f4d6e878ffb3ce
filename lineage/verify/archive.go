package verify

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Names of the lists of segments that were taken out of a ledger's folder: in
// that folder, and in an archive.
const (
	archivedName = "archived"
	archiveName  = "archive"
)

// archivedSegment is a line of such a list, as far as it is believed: where the
// log goes on. That it does is held against the links, and the tree.
type archivedSegment struct {
	last  uint64 // record
	epoch uint32
	frame digest // last
}

// readArchived reads the list in a ledger's folder; nothing where there is none.
func readArchived(dir, origin string) (map[uint64]archivedSegment, error) {
	path := filepath.Join(dir, archivedName)
	text, err := os.ReadFile(path) //nolint:gosec // the caller's folder
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	bad := &TamperError{File: path, Reason: "this is no list of the segments that were archived"}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines) < 2 || lines[0] != "weir archive 1" || lines[1] != "origin "+origin {
		return nil, bad
	}
	out := map[uint64]archivedSegment{}
	for _, line := range lines[2:] {
		parts := strings.Split(line, " ")
		if len(parts) != 8 || parts[0] != "segment" {
			return nil, bad
		}
		ordinal, err1 := strconv.ParseUint(parts[1], 10, 64)
		last, err2 := strconv.ParseUint(parts[5], 10, 48)
		epoch, err3 := strconv.ParseUint(parts[6], 10, 24)
		frame, err4 := hex.DecodeString(parts[7])
		if errors.Join(err1, err2, err3, err4) != nil || len(frame) != len(digest{}) {
			return nil, bad
		}
		out[ordinal] = archivedSegment{last, uint32(epoch), digest(frame)}
	}
	return out, nil
}

// addArchive adds the segments of an archive to those of the log.
func (l *log) addArchive(archive string) error {
	entries, err := os.ReadDir(archive)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		if name == archiveName || strings.HasSuffix(name, ".new") {
			continue
		}
		ordinal, ok := segmentOrdinal(name)
		if e.IsDir() || !ok {
			return &TamperError{File: filepath.Join(archive, name), Reason: "this file is not part of an archive"}
		}
		if _, here := l.places[ordinal]; !here {
			l.places[ordinal] = archive
		}
	}
	return nil
}

// behind begins the log where its first segment does, when those before it are
// listed as archived.
func (l *log) behind(archived map[uint64]archivedSegment, archive string) error {
	if len(l.ordinals) == 0 || l.ordinals[0] == 1 {
		return nil
	}
	first := l.ordinals[0]
	before, listed := archived[first-1]
	if !listed || archive != "" {
		dir := l.dir
		if listed {
			dir = archive
		}
		return &TamperError{File: filepath.Join(dir, segmentName(first-1)), Reason: "the segment is missing"}
	}
	l.absent, l.absentSegments = before.last, first-1
	l.sequence, l.epoch, l.last = before.last+1, before.epoch, before.frame
	return nil
}

// notHere says what was not looked at.
func (l *log) notHere() string {
	return fmt.Sprintf("records 1 to %d (segments 1 to %d) are NOT HERE: they were archived. The tree commits to their batches, and they were not held against it: name the archive with --archive",
		l.absent, l.absentSegments)
}
