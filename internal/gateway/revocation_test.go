package gateway

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
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

// TestRevocationLines: every spelling that an editor may leave takes away, and a
// line that says nothing is told by its number; what was taken away stays so.
func TestRevocationLines(t *testing.T) {
	read := func(text, then string) (*RevocationFile, error) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "revoked")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := OpenRevocations(path, slog.New(slog.DiscardHandler))
		if err != nil || then == "" {
			return f, err
		}
		if err := os.WriteFile(path, []byte(then), 0o600); err != nil {
			t.Fatal(err)
		}
		err = f.refresh()
		if again := f.refresh(); (again == nil) != (err == nil) {
			t.Errorf("%q: %v, and then %v", then, err, again)
		}
		return f, err
	}
	s := &authz.Subject{ID: "s#1", TokenID: "t#1"}
	for _, text := range []string{
		"t#1", "\ufefft#1\r\n", "\ufeffsub:s#1\n", "sub: s#1\n", "\tsub:s#1 # left\r\n", "t#1\t# stolen\n", "# a\n\n#t\nt#1\n", "sub:s#1\u00a0\n",
	} {
		if f, err := read(text, ""); err != nil || !f.Revoked(s) {
			t.Errorf("%q does not revoke: %v", text, err)
		}
	}
	for _, text := range []string{"# t#1\n", "x # t#1\n", "sub:s\n", "t\n", "sub:t#1\n"} {
		if f, err := read(text, ""); err != nil || f.Revoked(s) {
			t.Errorf("%q revokes another: %v", text, err)
		}
	}
	for text, want := range map[string]string{
		"a\nSub:s#1\n": "line 2: sub: is written in small letters", "sub:\n": "line 1: sub: without a subject", "sub: # nobody\n": "line 1: sub: without a subject",
		"a b\n": "line 1: more than one token id", "a\rb\r": "line 1: not a line of UTF-8 text", "a\x00\n": "line 1: not a line of UTF-8 text",
		"\xff\xfet\x00#\x001\x00\n\x00": "line 1: not a line of UTF-8 text",
	} {
		if _, err := read(text, ""); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
		f, err := read("old\nsub:gone\n", text+"\nt#1\n")
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%q after a good list: %v", text, err)
		}
		for _, r := range []*authz.Subject{s, {ID: "x", TokenID: "old"}, {ID: "gone"}} {
			if !f.Revoked(r) {
				t.Errorf("%q lets %s in", text, r.ID)
			}
		}
	}
}

// TestRevocationsWrittenInPlace: a list that is written in its place is empty, and
// then half, for a moment. Nobody comes in meanwhile.
func TestRevocationsWrittenInPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revoked")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("\ufeffone\r\nsub: two \r\n")
	f, err := OpenRevocations(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	look := func(want ...bool) {
		t.Helper()
		if err := f.refresh(); err != nil {
			t.Fatal(err)
		}
		for i, s := range []*authz.Subject{{ID: "s", TokenID: "one"}, {ID: "two"}, {ID: "three"}} {
			if f.Revoked(s) != want[i] {
				t.Errorf("%d: revoked %v, want %v", i+1, !want[i], want[i])
			}
		}
	}
	look(true, true, false)
	put("")
	look(true, true, false)
	put("on")
	look(true, true, false)
	put("one\nsub:two\nsub:three\n")
	look(true, true, true)
	look(true, true, true)
	put("one\n")
	look(true, true, true)
	look(true, false, false)
	// Added, and taken back before it was looked at twice.
	put("one\nsub:three\n")
	look(true, false, true)
	put("one\n")
	look(true, false, true)
	look(true, false, false)
	put("\xff\xfeo\x00")
	if err := f.refresh(); err == nil {
		t.Error("a list in UTF-16 was taken")
	}
}
