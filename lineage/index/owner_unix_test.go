//go:build unix

package index

import (
	"os"
	"syscall"
	"testing"
)

// TestRebuildKeepsOwner: whoever makes it anew, the file stays the server's.
func TestRebuildKeepsOwner(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: only root gives files away")
	}
	cfg, entries := closed(t, 20)
	const other = 12345
	if err := os.Chown(cfg.Path, other, other); err != nil {
		t.Fatal(err)
	}
	if _, err := Rebuild(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	if s := info.Sys().(*syscall.Stat_t); s.Uid != other || s.Gid != other || info.Mode().Perm() != 0o600 {
		t.Errorf("%d:%d %v", s.Uid, s.Gid, info.Mode())
	}
	answersAll(t, cfg, entries)
}
