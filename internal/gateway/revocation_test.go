package gateway

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/weir-data/weir/authz"
)

func TestRevocationFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revoked")
	if err := os.WriteFile(path, []byte("# none yet\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := OpenRevocations(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s := &authz.Subject{ID: "s", TokenID: "t"}
	if f.Revoked(s) || f.Revoked(&authz.Subject{ID: "x"}) {
		t.Error("revoked without a reason")
	}
	for _, text := range []string{"t # stolen\n", "sub:s\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := f.refresh(); err != nil || !f.Revoked(s) {
			t.Errorf("%q does not revoke: %v", text, err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := f.refresh(); err == nil || !f.Revoked(s) {
		t.Error("a list that disappeared let a revoked reader in")
	}
}
