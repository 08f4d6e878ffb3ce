package store

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if path := os.Getenv("WEIR_STORE_TEST_PATH"); path != "" {
		os.Exit(spendUntilKilled(path))
	}
	goleak.VerifyTestMain(m)
}

// clock is a clock that stands where it is put.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func at(text string) *clock {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return &clock{t}
}

func open(t testing.TB, path string, c *clock) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{Path: path, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func file(t testing.TB) string { return filepath.Join(t.TempDir(), "control.db") }

func TestOneProcess(t *testing.T) {
	path := file(t)
	s := open(t, path, at("2026-11-23T12:00:00Z"))
	if other, err := Open(t.Context(), Config{Path: path}); !errors.Is(err, ErrLocked) {
		t.Fatalf("opened twice: %v %v", other, err)
	}
	// A process that does not know of the lock cannot read past it either.
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM budgets").Scan(&n); err == nil {
		t.Error("the file could be read while the store was open")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Spend(t.Context(), []Charge{{Kind: "k", N: 1, Limit: 1}}); err != nil {
		t.Errorf("the refused processes disturbed the first: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Spend(t.Context(), []Charge{{Kind: "k", N: 1, Limit: 9}}); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	again := open(t, path, at("2026-11-23T12:00:00Z"))
	if err := again.Spend(t.Context(), []Charge{{Kind: "k", N: 1, Limit: 1}}); !errors.Is(err, ErrSpent) {
		t.Errorf("after reopening: %v", err)
	}
}

func TestPermissions(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no permission bits there")
	}
	path := file(t)
	s := open(t, path, at("2026-11-23T12:00:00Z"))
	if err := s.Spend(t.Context(), []Charge{{Kind: "k", N: 1, Limit: 1}}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + "-wal"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v", filepath.Base(name), info.Mode())
		}
	}
}

func TestRefusedFiles(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(path string) error
		want  error
	}{
		"no database": {func(path string) error {
			return os.WriteFile(path, []byte("not a database, and longer than a header has to be: "+string(make([]byte, 4096))), 0o600)
		}, ErrCorrupt},
		"a page overwritten": {func(path string) error {
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			info, err := f.Stat()
			if err != nil {
				return err
			}
			junk := make([]byte, info.Size()-4096)
			for i := range junk {
				junk[i] = byte(i * 7)
			}
			_, err = f.WriteAt(junk, 4096)
			return errors.Join(err, f.Close())
		}, ErrCorrupt},
		"a newer version": {func(path string) error {
			db, err := sql.Open("sqlite", "file:"+path)
			if err != nil {
				return err
			}
			_, err = db.ExecContext(context.Background(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)")
			return errors.Join(err, db.Close())
		}, ErrNewer},
	} {
		t.Run(name, func(t *testing.T) {
			path := file(t)
			s, err := Open(t.Context(), Config{Path: path})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if err := c.spoil(path); err != nil {
				t.Fatal(err)
			}
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			s, err = Open(t.Context(), Config{Path: path})
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v (%v), want %v", s, err, c.want)
			}
			after, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if string(before) != string(after) {
				t.Error("a refused file was changed")
			}
		})
	}
	if _, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "missing", "control.db")}); err == nil {
		t.Error("a folder that is missing was made")
	}
}

// TestOddPaths: characters that mean something in a URI are part of the name.
func TestOddPaths(t *testing.T) {
	for _, name := range []string{"a b.db", "a?mode=memory.db", "a#b.db", "a%20b.db", "库.db"} {
		path := filepath.Join(t.TempDir(), name)
		s := open(t, path, at("2026-11-23T12:00:00Z"))
		if err := s.Spend(t.Context(), []Charge{{Kind: "k", N: 1, Limit: 1}}); err != nil {
			t.Error(err)
		}
		if info, err := os.Stat(path + "-wal"); err != nil || info.Size() == 0 {
			t.Errorf("%s: the store is elsewhere: %v", name, err)
		}
	}
}
