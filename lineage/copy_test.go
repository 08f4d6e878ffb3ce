package lineage

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestCopyInANodesFolder: the folder of a node's own log takes no copy, and
// nothing in it changes.
func TestCopyInANodesFolder(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		TreeFolder: func(path string) error { return os.Mkdir(path, 0o700) },
		RingName:   func(path string) error { return os.WriteFile(path, nil, 0o600) },
	} {
		dir := t.TempDir()
		if err := make(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		c, err := OpenCopy(dir, OS())
		if err == nil {
			t.Fatalf("beside %s a copy is kept: %v", name, c.Close())
		}
		if !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), filepath.Join(dir, name)) {
			t.Errorf("%s: %v", name, err)
		}
		if left := must(OS().List(dir)); len(left) != 2 || !slices.Contains(left, lockName) {
			t.Errorf("%s: it left %v", name, left)
		}
	}
}
