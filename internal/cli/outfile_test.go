package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/weir-data/weir/lineage"
)

// TestPlaceRemedy: what an account may not read is neither named wrongly nor
// damaged, and a full disk is no reason to name another folder.
func TestPlaceRemedy(t *testing.T) {
	denied := &fs.PathError{Op: "open", Path: "ledger/0000000000000001.wal", Err: syscall.EACCES}
	full := &fs.PathError{Op: "write", Path: "copy/tree/checkpoint", Err: syscall.ENOSPC}
	for _, c := range []struct {
		err  error
		says string
	}{
		{ledgerError("ledger", denied), "this account may not"},
		{verdict(denied), "this account may not"},
		{verdict(errors.New("there is no ledger in x")), "name a copy of the ledger's folder"},
		{exportError("ledger", denied), "this account may not"},
		{exportError("ledger", full), "the disk is full"},
		{exportError("ledger", fs.ErrExist), "name a folder that does not exist yet"},
		{ledgerError("ledger", fmt.Errorf("%w: x", lineage.ErrCorrupt)), "do not repair it by hand"},
	} {
		var exit *exitError
		if !errors.As(c.err, &exit) || exit.code != ExitEnvironment || !strings.Contains(exit.remedy, c.says) {
			t.Errorf("%v: %q, want %q", c.err, exit.remedy, c.says)
		}
	}
}

// TestWriteNew: a file is there whole, or as it was.
func TestWriteNew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "proof.json")
	if err := writeNew(path, []byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := writeNew(path, []byte("second")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("%v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "first" {
		t.Errorf("%q, %v", text, err)
	}
}
