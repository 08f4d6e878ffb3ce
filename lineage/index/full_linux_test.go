package index

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// smallDisk is a folder on a file system of its own, and what fills that but for
// some bytes.
func smallDisk(t *testing.T) (folder string, fill func(left int)) {
	t.Helper()
	folder = t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder).CombinedOutput(); err != nil { //nolint:gosec // a test's own folder
		t.Skipf("SKIPPED: this test may not mount a file system: %s", out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", folder).CombinedOutput(); err != nil { //nolint:gosec,noctx,usetesting // as above; the test's context has ended
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return folder, func(left int) {
		t.Helper()
		f, err := os.Create(filepath.Join(folder, "filler")) //nolint:gosec // as above
		if err != nil {
			t.Fatal(err)
		}
		size := 0
		for err == nil {
			_, err = f.Write(make([]byte, 4096))
			size += 4096
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		if err := errors.Join(f.Truncate(int64(size-4096-left)), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFullDisk: a disk without room is named, whatever of SQLite's files it is that
// cannot grow.
func TestFullDisk(t *testing.T) {
	for _, left := range []int{0, 4096, 8192, 36864, 65536} {
		folder, full := smallDisk(t)
		cfg := Config{Driver: SQLite, Reading: reading(t), Path: filepath.Join(folder, "index.db"), Dir: t.TempDir()}
		fill(t, cfg.Dir, "node-a", seeded(t), 500)
		full(left)
		x, err := Open(t.Context(), cfg)
		if err == nil {
			err = errors.Join(x.CatchUp(t.Context()), x.Close())
		}
		if !errors.Is(err, syscall.ENOSPC) || errors.Is(err, ErrDamaged) {
			t.Errorf("%d bytes left: %v", left, err)
		}
	}
}

// TestRebuildWithoutRoom: a disk that has no room for a second index keeps the
// first.
func TestRebuildWithoutRoom(t *testing.T) {
	folder, full := smallDisk(t)
	cfg := Config{Driver: SQLite, Reading: reading(t), Path: filepath.Join(folder, "index.db"), Dir: t.TempDir()}
	entries := fill(t, cfg.Dir, "node-a", seeded(t), 500)
	if _, err := Rebuild(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	full(200_000)
	if _, err := Rebuild(t.Context(), cfg); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%v", err)
	}
	alone(t, cfg.Path, "filler", "index.db")
	if err := os.Remove(filepath.Join(folder, "filler")); err != nil {
		t.Fatal(err)
	}
	answersAll(t, cfg, entries)
}

// TestAttachWithoutRoom: an index that had no room answers when there is some.
func TestAttachWithoutRoom(t *testing.T) {
	folder, full := smallDisk(t)
	cfg := Config{Driver: SQLite, Reading: reading(t), Path: filepath.Join(folder, "index.db"), Dir: t.TempDir()}
	entries := fill(t, cfg.Dir, "node-a", seeded(t), 100)
	full(8192)
	x, err := Attach(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Reads(t.Context(), Filter{}, 10, nil); !errors.Is(err, syscall.ENOSPC) || !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if err := os.Remove(filepath.Join(folder, "filler")); err != nil {
		t.Fatal(err)
	}
	if err := x.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	compareAnswers(t, x, seeded(t), entries)
	if err := x.Close(); err != nil {
		t.Error(err)
	}
}
