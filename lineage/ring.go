package lineage

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// ErrRing says that another key ring than the one given made the tags and
// pseudonyms of this log: with it the same person would have another tag from here
// on.
var ErrRing = errors.New("the ledger was keyed with another key ring")

// RingName is the file, in a log's own folder, that says which key ring keyed it.
const RingName = "ring"

const ringHeader = "weir ledger ring 1"

// ringText is the file's content: the fingerprint of one key.
func ringText(origin, fingerprint string) string {
	return fmt.Sprintf("%s\norigin %s\nkey %s\n", ringHeader, origin, fingerprint)
}

// readRing gives the fingerprint of the key that the log was keyed with last; ""
// where nothing says so.
func readRing(files FS, dir, origin string) (string, error) {
	path := filepath.Join(dir, RingName)
	b, err := readAll(files, path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	lines := strings.Split(string(b), "\n")
	if len(lines) != 4 || lines[0] != ringHeader || lines[3] != "" {
		return "", &CorruptError{File: path, Reason: "it does not say which key ring keyed the ledger"}
	}
	of, ok1 := strings.CutPrefix(lines[1], "origin ")
	fingerprint, ok2 := strings.CutPrefix(lines[2], "key ")
	switch {
	case !ok1 || !ok2 || fingerprint == "":
		return "", &CorruptError{File: path, Reason: "it does not say which key ring keyed the ledger"}
	case of != origin:
		return "", fmt.Errorf("%w: %s belongs to the log of origin %q, this one is %q", ErrForeign, path, of, origin)
	}
	return fingerprint, nil
}

// checkRing wants the key that keyed the log last to be in the ring, and gives
// its fingerprint; "" where nothing says which it was. A ring may have got newer
// keys since, and lost older ones, but not become another.
func (l *Log) checkRing() (string, error) {
	if len(l.config.Ring) == 0 {
		return "", nil
	}
	was, err := readRing(l.config.Files, l.config.Dir, l.config.Origin)
	if err == nil && was != "" && !slices.Contains(l.config.Ring, was) {
		err = fmt.Errorf("%w: %s", ErrRing, filepath.Join(l.config.Dir, RingName))
	}
	return was, err
}

// nameRing has the file say which key is in use, for good before any record is
// made with it.
func (l *Log) nameRing(was string) error {
	if len(l.config.Ring) == 0 || l.config.Ring[0] == was {
		return nil
	}
	path := filepath.Join(l.config.Dir, RingName)
	return putFile(l.config.Files, l.config.Dir, path, path+newSuffix, []byte(ringText(l.config.Origin, l.config.Ring[0])))
}
