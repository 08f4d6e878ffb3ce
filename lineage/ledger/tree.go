package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/weir-data/weir/lineage"
)

// The tree's files are tiles of 256 hashes as in C2SP tlog-tiles.
const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

func treeDir(dir string) string { return filepath.Join(dir, lineage.TreeFolder) }

// reader reads the files of a tree.
type reader struct{ dir string }

// checkpoint gives the newest signed tree head; fs.ErrNotExist where there is
// none yet. Only signatures of the given key count.
func (r reader) checkpoint(v note.Verifier) (text []byte, tree tlog.Tree, err error) {
	text, err = os.ReadFile(filepath.Join(r.dir, "checkpoint"))
	if err != nil {
		return nil, tree, err
	}
	n, err := note.Open(text, note.VerifierList(v))
	var unsigned *note.UnverifiedNoteError
	switch {
	case errors.As(err, &unsigned):
		return nil, tree, fmt.Errorf("%w: the checkpoint is not signed with this node's key", ErrTree)
	case err != nil:
		return nil, tree, fmt.Errorf("%w: %s is damaged: it is no checkpoint, or not as it was signed", ErrTree, filepath.Join(r.dir, "checkpoint"))
	}
	tree, err = parseCheckpoint(n.Text, v.Name())
	return text, tree, err
}

// parseCheckpoint reads a C2SP tlog-checkpoint: origin, size, root.
func parseCheckpoint(text, origin string) (tree tlog.Tree, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || lines[0] != origin {
		return tree, fmt.Errorf("%w: the checkpoint is not of origin %q", ErrTree, origin)
	}
	if _, err := fmt.Sscanf(lines[1], "%d", &tree.N); err != nil || tree.N < 0 {
		return tree, fmt.Errorf("%w: the checkpoint names no size", ErrTree)
	}
	if tree.Hash, err = tlog.ParseHash(lines[2]); err != nil {
		return tree, fmt.Errorf("%w: the checkpoint names no root", ErrTree)
	}
	return tree, nil
}

// Committed is the last record that the tree in a ledger's folder commits to,
// under its newest checkpoint; 0 where there is none.
func Committed(dir, public string) (uint64, error) {
	v, err := note.NewVerifier(public)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrKey, err)
	}
	files := reader{treeDir(dir)}
	_, head, err := files.checkpoint(v)
	if errors.Is(err, fs.ErrNotExist) || err == nil && head.N == 0 {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	last, err := files.leaf(head.N, head.N-1)
	if err != nil {
		return 0, fmt.Errorf("%w: the newest batch cannot be read: %w", ErrTree, err)
	}
	return last.Last, nil
}

// leaf gives a leaf of a tree of a size.
func (r reader) leaf(size, index int64) (Batch, error) {
	leaves, err := r.bundle(size, index/tileWidth)
	if err != nil {
		return Batch{}, err
	}
	if index%tileWidth >= int64(len(leaves)) {
		return Batch{}, fmt.Errorf("%w: leaf %d is missing", ErrTree, index)
	}
	return parseBatch(leaves[index%tileWidth])
}

// bundle gives the leaves of one bundle of a tree of a size.
func (r reader) bundle(size, n int64) ([][]byte, error) {
	b, err := r.read("entries", n, int(min(size-n*tileWidth, tileWidth)))
	if err != nil {
		return nil, err
	}
	var leaves [][]byte
	for len(b) > 0 {
		if len(b) < 2 || len(b) < 2+int(binary.BigEndian.Uint16(b)) {
			return nil, fmt.Errorf("%w: bundle %d ends within a leaf", ErrTree, n)
		}
		end := 2 + int(binary.BigEndian.Uint16(b))
		leaves = append(leaves, b[2:end])
		b = b[end:]
	}
	return leaves, nil
}

// read gives the file of a tile that is filled to a width. Partial tiles are
// removed when the full one is there, which begins with the same bytes.
func (r reader) read(level string, n int64, width int) ([]byte, error) {
	b, err := os.ReadFile(r.path(level, n, width))
	if width < tileWidth && errors.Is(err, fs.ErrNotExist) {
		return os.ReadFile(r.path(level, n, tileWidth))
	}
	return b, err
}

// path is the file of a tile that is filled to a width.
func (r reader) path(level string, n int64, width int) string {
	path := filepath.Join(r.dir, "tile", level, tilePath(n))
	if width < tileWidth {
		path = filepath.Join(path+".p", fmt.Sprint(width))
	}
	return path
}

// tilePath is a number in groups of three digits, all but the last behind an x.
func tilePath(n int64) string {
	s := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		s = fmt.Sprintf("x%03d/%s", n%1000, s)
	}
	return filepath.FromSlash(s)
}

// Height, ReadTiles and SaveTiles make it a tlog.TileReader.
func (reader) Height() int { return tileHeight }

func (r reader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(tiles))
	for i, t := range tiles {
		b, err := r.read(fmt.Sprint(t.L), t.N, t.W)
		if err != nil {
			return nil, err
		}
		if len(b) < t.W*tlog.HashSize {
			return nil, fmt.Errorf("%w: tile %s is too short", ErrTree, t.Path())
		}
		out[i] = b[:t.W*tlog.HashSize]
	}
	return out, nil
}

func (reader) SaveTiles([]tlog.Tile, [][]byte) {}
