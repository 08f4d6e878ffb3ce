package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// storedHashes are those of a tree, in the order of package tlog.
type storedHashes []tlog.Hash

func (s storedHashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		out[i] = s[at]
	}
	return out, nil
}

// grown is a tree of so many leaves, as files.
func grown(t *testing.T, size int64) (reader, tlog.Hash) {
	t.Helper()
	r := reader{filepath.Join(inMemory(t), "tree")}
	write := func(path string, b []byte) {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, b, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	var stored storedHashes
	var bundle []byte
	for n := range size {
		leaf := fmt.Appendf(nil, "leaf %d", n)
		more, err := tlog.StoredHashes(n, leaf, stored)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, more...)
		bundle = append(binary.BigEndian.AppendUint16(bundle, uint16(len(leaf))), leaf...)
		if (n+1)%tileWidth == 0 || n+1 == size {
			write(r.path("entries", n/tileWidth, int(n%tileWidth)+1), bundle)
			bundle = nil
		}
	}
	for _, tile := range tlog.NewTiles(tileHeight, 0, size) {
		b, err := tlog.ReadTileData(tile, stored)
		if err != nil {
			t.Fatal(err)
		}
		write(r.path(fmt.Sprint(tile.L), tile.N, tile.W), b)
	}
	root, err := tlog.TreeHash(size, stored)
	if err != nil {
		t.Fatal(err)
	}
	return r, root
}

// TestEdge: of trees of all shapes, whatever the next batch is put onto is found
// to be there and to be right, or is named.
func TestEdge(t *testing.T) {
	if err := (reader{"nowhere"}).edge(0, tlog.Hash{}); err != nil {
		t.Errorf("nothing: %v", err)
	}
	for _, size := range []int64{1, 2, 255, 256, 257, 511, 512, 1000, 1<<16 - 1, 1 << 16, 1<<16 + 300} {
		r, root := grown(t, size)
		if err := r.edge(size, root); err != nil {
			t.Errorf("%d leaves: %v", size, err)
		}
		if err := r.edge(size, tlog.Hash{1}); !errors.Is(err, ErrTree) || !strings.Contains(err.Error(), "treeState does not say the root") {
			t.Errorf("%d leaves under another root: %v", size, err)
		}
		var paths []string
		for level, n := 0, size; n > 0; level, n = level+1, n/tileWidth {
			if width := int(n % tileWidth); width > 0 {
				paths = append(paths, r.path(fmt.Sprint(level), n/tileWidth, width))
				if level == 0 {
					paths = append(paths, r.path("entries", n/tileWidth, width))
				}
			}
		}
		for _, path := range paths {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, change := range []func() error{
				func() error { return os.Remove(path) },
				func() error { return os.Truncate(path, int64(len(b)-1)) },
				func() error { return os.WriteFile(path, append([]byte{b[0] ^ 1}, b[1:]...), 0o600) },
				func() error { return os.WriteFile(path, append(b[:len(b)-1:len(b)-1], b[len(b)-1]^1), 0o600) },
			} {
				if err := change(); err != nil {
					t.Fatal(err)
				}
				if err := r.edge(size, root); !errors.Is(err, ErrTree) || !strings.Contains(err.Error(), path) {
					t.Errorf("%d leaves, %s: %v", size, path, err)
				}
				if err := os.WriteFile(path, b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// TestEdgeRemoved: a partial tile goes away some time after the full one is there,
// which begins with the same hashes.
func TestEdgeRemoved(t *testing.T) {
	r, _ := grown(t, 300)
	_, root := grown(t, 200)
	if err := r.edge(200, root); err != nil {
		t.Error(err)
	}
}
