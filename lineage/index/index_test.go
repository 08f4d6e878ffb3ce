package index

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/weir-data/weir/lineage"
)

// TestFileIsTheOwners: the index says who read what, to its owner alone.
func TestFileIsTheOwners(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files have no such modes there")
	}
	path := filepath.Join(t.TempDir(), "index.db")
	x, err := Open(t.Context(), Config{Driver: SQLite, Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = x.Close() }()
	for _, name := range []string{path, path + "-wal"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %v", filepath.Base(name), mode)
		}
	}
}

// TestGoesOn: an index that is closed and opened again goes on where it was,
// while the log grows, and another log is refused.
func TestGoesOn(t *testing.T) {
	drivers(t, func(t *testing.T, cfg Config) {
		r := seeded(t)
		cfg.Dir = t.TempDir()
		cfg.Poll = time.Millisecond
		for round := 1; round <= 3; round++ {
			fill(t, cfg.Dir, "node-a", r, 50)
			x, err := Open(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- x.Run(ctx) }()
			for {
				more := x.Applied()
				asOf, err := x.AsOf(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if len(asOf) == 1 && asOf[0].Sequence == uint64(50*round) && asOf[0].Epoch == uint32(round) {
					break
				}
				select {
				case <-more:
				case <-time.After(20 * time.Second):
					t.Fatalf("stuck at %+v", asOf)
				}
			}
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if x.Reached() != uint64(50*round) {
				t.Errorf("reached %d of %d records", x.Reached(), 50*round)
			}
			if err := x.Close(); err != nil {
				t.Error(err)
			}
		}
		// Nodes share an index in PostgreSQL alone.
		cfg.Dir = t.TempDir()
		fill(t, cfg.Dir, "node-b", r, 5)
		x, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Check(t.Context()); errors.Is(err, ErrForeign) != (cfg.Driver == SQLite) || err != nil && cfg.Driver != SQLite {
			t.Errorf("the log of another node: %v", err)
		}
		if err := x.Close(); err != nil {
			t.Error(err)
		}
		cfg.Dir = t.TempDir()
		fill(t, cfg.Dir, "node-a", r, 200)
		x, err = Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := x.CatchUp(t.Context()); !errors.Is(err, ErrForeign) {
			t.Errorf("another log: %v", err)
		}
		// What it says was never in this log, and is not told.
		_, asOf := x.AsOf(t.Context())
		_, reads := x.Reads(t.Context(), Filter{}, 10, nil)
		_, has := x.Has(t.Context(), lineage.Position{Origin: "node-a", Epoch: 1, Sequence: 1}, Filter{})
		_, flows := x.Flows(t.Context(), FlowFilter{})
		_, usages := x.Usages(t.Context(), UsageFilter{})
		for what, err := range map[string]error{"asOf": asOf, "reads": reads, "has": has, "flows": flows, "usages": usages} {
			if !errors.Is(err, ErrForeign) || !errors.Is(err, ErrUnavailable) {
				t.Errorf("%s of another log's index: %v", what, err)
			}
		}
		if err := x.Close(); err != nil {
			t.Error(err)
		}
		if asOf, err := Rebuild(t.Context(), cfg); err != nil || len(asOf) == 0 || asOf[0].Sequence != 200 {
			t.Errorf("%v, %v", asOf, err)
		}
	})
}

// TestFormat: tables of another version are refused, and made anew on request.
func TestFormat(t *testing.T) {
	drivers(t, func(t *testing.T, cfg Config) {
		x, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := x.db.ExecContext(t.Context(), `UPDATE meta SET value = '0'`); err != nil {
			t.Fatal(err)
		}
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), cfg); !errors.Is(err, ErrFormat) {
			t.Errorf("another format: %v", err)
		}
		cfg.Dir = t.TempDir()
		if _, err := Rebuild(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		if x, err = Open(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		_ = x.Close()
	})
}
