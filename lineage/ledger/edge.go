package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// edge looks at what the next batch is put onto: the newest bundle of leaves and,
// of each level, the tile that is being filled. Without them nothing can be added,
// and what is wrong in them would go into every later file and root.
func (r reader) edge(size int64, root tlog.Hash) error {
	var tiles [][]tlog.Hash // by level; nil where no tile is begun
	for level, n := 0, size; n > 0; level, n = level+1, n/tileWidth {
		hashes, err := r.hashes(level, n/tileWidth, int(n%tileWidth))
		if err != nil {
			return err
		}
		tiles = append(tiles, hashes)
	}
	if err := r.newestLeaves(size, tiles); err != nil {
		return err
	}
	if size == 0 || edgeRoot(tiles) == root {
		return nil
	}
	for level := 1; level < len(tiles); level++ {
		if err := r.children(level, size>>(tileHeight*level)/tileWidth, tiles[level]); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: %s does not say the root that the tiles have", ErrTree, filepath.Join(r.dir, ".state", "treeState"))
}

// hashes reads a tile of hashes up to a width; nil for none.
func (r reader) hashes(level int, n int64, width int) ([]tlog.Hash, error) {
	if width == 0 {
		return nil, nil
	}
	b, err := r.read(fmt.Sprint(level), n, width)
	path := r.path(fmt.Sprint(level), n, width)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %s is gone", ErrTree, path)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrTree, err)
	case len(b) < width*tlog.HashSize:
		return nil, fmt.Errorf("%w: %s is too short", ErrTree, path)
	}
	out := make([]tlog.Hash, width)
	for i := range out {
		out[i] = tlog.Hash(b[i*tlog.HashSize:])
	}
	return out, nil
}

// newestLeaves holds the bundle that is being filled against the tile of its
// hashes.
func (r reader) newestLeaves(size int64, tiles [][]tlog.Hash) error {
	if len(tiles) == 0 || tiles[0] == nil {
		return nil
	}
	n, want := size/tileWidth, tiles[0]
	path := r.path("entries", n, len(want))
	leaves, err := r.bundle(size, n)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s is gone", ErrTree, path)
	}
	if err != nil {
		return fmt.Errorf("%w: %s cannot be read: %w", ErrTree, path, err)
	}
	for i, h := range want {
		if i >= len(leaves) || tlog.RecordHash(leaves[i]) != h {
			return fmt.Errorf("%w: %s and %s do not fit each other: one is damaged", ErrTree, path, r.path("0", n, len(want)))
		}
	}
	return nil
}

// children finds a hash in a tile that is not of the tile below.
func (r reader) children(level int, n int64, hashes []tlog.Hash) error {
	for i, h := range hashes {
		below, err := r.hashes(level-1, n*tileWidth+int64(i), tileWidth)
		if err != nil {
			continue // nothing is put onto it
		}
		if rootOf(below) != h {
			return fmt.Errorf("%w: %s is damaged: it is not made of the tiles below", ErrTree, r.path(fmt.Sprint(level), n, len(hashes)))
		}
	}
	return nil
}

// edgeRoot is the root of the tree whose right edge these tiles are, the lowest
// first.
func edgeRoot(tiles [][]tlog.Hash) tlog.Hash {
	var parts []tlog.Hash // perfect trees, from the left
	for _, tile := range slices.Backward(tiles) {
		for left := tile; len(left) > 0; {
			run := 1
			for run*2 <= len(left) {
				run *= 2
			}
			parts = append(parts, rootOf(left[:run]))
			left = left[run:]
		}
	}
	root := parts[len(parts)-1]
	for _, part := range slices.Backward(parts[:len(parts)-1]) {
		root = tlog.NodeHash(part, root)
	}
	return root
}
