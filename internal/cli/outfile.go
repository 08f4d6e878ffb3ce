package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// outside refuses a place to write at within the ledger's own folder: what is not
// the ledger's keeps the node from starting.
func outside(ledger, path string) error {
	folder, err := resolved(ledger)
	if err != nil {
		return nil // it is not there to be spoilt
	}
	place, err := resolved(path)
	if err != nil {
		return nil // nothing can be written there
	}
	rel, err := filepath.Rel(folder, place)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return nil
	}
	return &exitError{ExitUsage, fmt.Errorf("%s is in the ledger's own folder, which holds nothing else", path), "name a place outside of " + ledger}
}

// resolved is an absolute path without symbolic links, of what need not be there
// yet as far as its folder is.
func resolved(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return real, err
	}
	folder, err := resolved(filepath.Dir(path))
	return filepath.Join(folder, filepath.Base(path)), err
}

// hasNoSegments tells a folder that is no ledger's. Of one that cannot be read,
// whoever reads it says why.
func hasNoSegments(folder string) bool {
	entries, err := os.ReadDir(folder)
	return err == nil && !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return strings.HasSuffix(e.Name(), ".wal") })
}

// placeRemedy tells what to do about a file or folder that cannot be read or
// written.
func placeRemedy(err error, otherwise string) string {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return "the disk is full: free space, or name a place on another one"
	case errors.Is(err, fs.ErrPermission):
		return "this account may not: run it as the one whose files these are"
	}
	return otherwise
}

// writeNew writes a file that must not exist, whole or not at all.
func writeNew(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the caller names it
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
