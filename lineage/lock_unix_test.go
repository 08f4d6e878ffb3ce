//go:build unix

package lineage

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"
)

// TestLockIsGivenBack: a lock that is closed is free, also while a process that is
// being started has the same open file still, as it has between fork and exec.
func TestLockIsGivenBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	lock, err := LockFile(path)
	if err != nil {
		t.Fatal(err)
	}
	child, err := syscall.Dup(int(lock.(lockedFile).file.Fd())) //nolint:forcetypeassert // it is of this system
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(child) //nolint:errcheck // nothing was written
	if _, err := LockFile(path); !errors.Is(err, ErrLocked) {
		t.Fatalf("a second lock: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := LockFile(path)
	if err != nil {
		t.Fatalf("after it was closed: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}
