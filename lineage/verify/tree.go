package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// width is how many hashes or leaves a full tile or bundle holds (C2SP
// tlog-tiles).
const width = 256

// hash is a node of a tree.
type hash = tlog.Hash

// batch is a leaf of the tree.
type batch struct {
	origin      string
	epoch       uint32
	first, last uint64
	frames      int
	time        int64
	root        hash
}

func (b *batch) heartbeat() bool { return b.last < b.first }

// parseBatch reads a leaf; every spelling but the one is an error.
func parseBatch(text []byte) (b batch, err error) {
	bad := errors.New("the leaf is not a batch")
	lines := strings.Split(string(text), "\n")
	if len(lines) != 8 || lines[0] != "weir batch v1" || lines[1] == "" || lines[7] != "" {
		return b, bad
	}
	first, last, _ := strings.Cut(lines[3], " ")
	var n [4]uint64
	for i, s := range [...]string{lines[2], first, last, lines[4]} {
		if n[i], err = strconv.ParseUint(s, 10, 62); err != nil || strconv.FormatUint(n[i], 10) != s {
			return b, bad
		}
	}
	b = batch{origin: lines[1], epoch: uint32(n[0]), first: n[1], last: n[2], frames: int(n[3])}
	b.time, err = strconv.ParseInt(lines[5], 10, 64)
	if err != nil || strconv.FormatInt(b.time, 10) != lines[5] || uint64(b.epoch) != n[0] ||
		b.epoch == 0 || b.first == 0 || b.last+1 < b.first {
		return b, bad
	}
	root := lines[6]
	b.root, err = parseHash(root)
	return b, err
}

// parseHash reads a digest in standard base64.
func parseHash(s string) (h hash, err error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(raw) != len(h) {
		return h, errors.New("a hash does not parse")
	}
	return hash(raw), nil
}

// rootOf is the Merkle root (RFC 9162, 2.1.1) over leaf hashes.
func rootOf(leaves []hash) hash {
	if len(leaves) == 0 {
		return sha256.Sum256(nil)
	}
	// Neighbours are joined, a lone last one goes up as it is: the same tree.
	level := append([]hash(nil), leaves...)
	for len(level) > 1 {
		n := 0
		for i := 0; i < len(level); i += 2 {
			if i+1 < len(level) {
				level[n] = tlog.NodeHash(level[i], level[i+1])
			} else {
				level[n] = level[i]
			}
			n++
		}
		level = level[:n]
	}
	return level[0]
}

// tower grows a tree leaf by leaf and keeps its right edge: for each level the
// hashes of the tile that is being filled.
type tower struct {
	size   int64
	levels [][]hash
	// full is told each tile that is filled.
	full func(level int, index int64, hashes []hash) error
}

func (t *tower) add(leaf hash) error {
	t.size++
	n := t.size
	for level := 0; ; level++ {
		if level == len(t.levels) {
			t.levels = append(t.levels, nil)
		}
		t.levels[level] = append(t.levels[level], leaf)
		n /= width
		if len(t.levels[level]) < width {
			return nil
		}
		if err := t.full(level, n-1, t.levels[level]); err != nil {
			return err
		}
		leaf = rootOf(t.levels[level])
		t.levels[level] = t.levels[level][:0]
	}
}

// root is the tree's as it is now.
func (t *tower) root() hash {
	var acc *hash
	for _, level := range t.levels {
		// Each run is a perfect tree; smaller ones stand to the right.
		for rest := level; len(rest) > 0; {
			run := len(rest) & -len(rest)
			h := rootOf(rest[len(rest)-run:])
			if acc != nil {
				h = tlog.NodeHash(h, *acc)
			}
			acc = &h
			rest = rest[:len(rest)-run]
		}
	}
	if acc == nil {
		return rootOf(nil)
	}
	return *acc
}

// tiles are the files of a tree.
type tiles struct{ dir string }

func (t tiles) path(level string, n int64) string {
	s := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		s = fmt.Sprintf("x%03d/%s", n%1000, s)
	}
	return filepath.Join(t.dir, "tile", level, filepath.FromSlash(s))
}

// read gives a tile that is filled to a width; a full one, cut, stands for a
// partial one that was removed.
func (t tiles) read(level string, n int64, filled int) (path string, b []byte, err error) {
	path = t.path(level, n)
	if filled < width {
		partial := filepath.Join(path+".p", strconv.Itoa(filled))
		b, err = os.ReadFile(partial) //nolint:gosec // numbers
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return partial, b, err
		}
		if _, err := os.Stat(path); err != nil {
			return partial, nil, fs.ErrNotExist
		}
	}
	b, err = os.ReadFile(path) //nolint:gosec // numbers
	return path, b, err
}

// bundle takes the file of a bundle of leaves apart.
func bundle(b []byte) ([][]byte, error) {
	var leaves [][]byte
	for len(b) > 0 {
		if len(b) < 2 || len(b)-2 < int(binary.BigEndian.Uint16(b)) {
			return nil, errors.New("the bundle ends within a leaf")
		}
		end := 2 + int(binary.BigEndian.Uint16(b))
		leaves = append(leaves, b[2:end])
		b = b[end:]
	}
	return leaves, nil
}

// holds compares every file of a hash tile, partial ones included, with what it
// must hold. filled is how many hashes are proven; files may hold more.
func (t tiles) holds(level int, n int64, hashes []hash, required bool) error {
	want := make([]byte, 0, len(hashes)*tlog.HashSize)
	for _, h := range hashes {
		want = append(want, h[:]...)
	}
	path, got, err := t.read(strconv.Itoa(level), n, len(hashes))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if required {
			return &TamperError{File: path, Reason: "the tile is missing"}
		}
	case err != nil:
		return err
	case len(got) < len(want) || !bytes.Equal(got[:len(want)], want) || len(got)%tlog.HashSize != 0 ||
		len(hashes) == width && len(got) != len(want):
		return &TamperError{File: path, Reason: "the tile does not hold the hashes of the leaves"}
	}
	return t.partials(t.path(strconv.Itoa(level), n), want, func(filled int) int { return filled * tlog.HashSize })
}

// partials compares the partial files beside a tile or bundle with its bytes.
// size gives how many bytes so many entries take, as far as it is known.
func (t tiles) partials(path string, want []byte, size func(filled int) int) error {
	entries, err := os.ReadDir(path + ".p")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		file := filepath.Join(path+".p", e.Name())
		filled, err := strconv.Atoi(e.Name())
		if err != nil || filled < 1 || filled >= width || strconv.Itoa(filled) != e.Name() {
			if leftover(e.Name()) {
				continue
			}
			return &TamperError{File: file, Reason: "this file is not part of a ledger"}
		}
		got, err := os.ReadFile(file) //nolint:gosec // listed
		if err != nil {
			return err
		}
		n := size(filled)
		if n > len(want) { // of more than a checkpoint covers
			if len(got) >= len(want) && bytes.Equal(got[:len(want)], want) {
				continue
			}
		} else if bytes.Equal(got, want[:n]) {
			continue
		}
		return &TamperError{File: file, Reason: "the partial tile does not hold what the tile does"}
	}
	return nil
}

// leftovers are what an interrupted write of the storage leaves: a file's name
// with a random number behind it.
func leftover(name string) bool {
	return regexp.MustCompile(`^(checkpoint|treeState|gcState|version|[0-9]{1,3})[0-9]{1,10}$`).MatchString(name)
}

// strays finds files that no tree has.
func (t tiles) strays() error {
	known := regexp.MustCompile(`^(tile/(entries|[0-9]{1,2})/(x[0-9]{3}/)*[0-9]{3}(\.p/[0-9]{1,3})?|checkpoint|\.state/(treeState|gcState|version|(treeState|gcState|publish)(\.lock)?))$`)
	return filepath.WalkDir(t.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(t.dir, path)
		if err != nil {
			return err
		}
		if !e.Type().IsRegular() || !known.MatchString(filepath.ToSlash(rel)) && !leftover(e.Name()) {
			return &TamperError{File: path, Reason: "this file is not part of a ledger"}
		}
		return nil
	})
}

// state checks the storage's own notes, where they were copied along.
func (t tiles) state(size int64, root hash) error {
	path := filepath.Join(t.dir, ".state", "treeState")
	b, err := os.ReadFile(path) //nolint:gosec // the operator's folder
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var s struct {
		Size int64  `json:"size"`
		Root []byte `json:"root"`
	}
	switch err := json.Unmarshal(b, &s); {
	case err != nil:
		return &TamperError{File: path, Reason: "the state of the tree does not parse"}
	case s.Size < size:
		return &TamperError{File: path, Reason: fmt.Sprintf("the state of the tree is of %d batches, the checkpoint of %d", s.Size, size)}
	case s.Size == size && string(b) != fmt.Sprintf(`{"size":%d,"root":"%s"}`, size, root):
		return &TamperError{File: path, Reason: "the state of the tree has another root than the checkpoint"}
	}
	if s.Size > size {
		// Leaves that no checkpoint covers yet are there all the same.
		last := s.Size - 1
		filled := int(last%width) + 1
		file, raw, err := t.read("entries", last/width, filled)
		leaves, bad := bundle(raw)
		if err != nil || bad != nil || len(leaves) < filled {
			return &TamperError{File: path, Reason: fmt.Sprintf("the state of the tree is of %d batches, and %s does not hold the last", s.Size, file)}
		}
	}
	path = filepath.Join(t.dir, ".state", "version")
	if b, err := os.ReadFile(path); err == nil && string(b) != "1" { //nolint:gosec // the operator's folder
		return &TamperError{File: path, Reason: "the version of the tree's files is not 1"}
	}
	return nil
}
