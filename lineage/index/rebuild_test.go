package index

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/weir-data/weir/lineage"
)

// closed is the configuration of a SQLite index of n records that is closed.
func closed(t *testing.T, n int) (Config, []lineage.Entry) {
	t.Helper()
	x, entries := opened(t, Config{Driver: SQLite, Reading: reading(t), Path: filepath.Join(t.TempDir(), "index.db")}, seeded(t), n)
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	return x.cfg, entries
}

// killed copies the files of an open index, as they are, to where a process that
// was killed would have left them.
func killed(t *testing.T, from, to string) {
	t.Helper()
	for _, end := range [...]string{"", "-wal", "-shm"} {
		b, err := os.ReadFile(from + end)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to+end, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// alone holds a folder to having these files and no others.
func alone(t *testing.T, path string, want ...string) {
	t.Helper()
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name())
	}
	if !slices.Equal(names, want) {
		t.Errorf("%v are there, and not %v", names, want)
	}
}

// answersAll holds an index to the records of a log.
func answersAll(t *testing.T, cfg Config, entries []lineage.Entry) {
	t.Helper()
	x, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	compareAnswers(t, x, seeded(t), slices.Clone(entries))
	var result string
	if err := x.db.QueryRowContext(t.Context(), `PRAGMA integrity_check`).Scan(&result); err != nil || result != "ok" {
		t.Errorf("%s, %v", result, err)
	}
	if err := x.Close(); err != nil {
		t.Error(err)
	}
}

// TestRebuildKeeps: an index is what it was while another is made, and when that
// came to nothing.
func TestRebuildKeeps(t *testing.T) {
	cfg, entries := closed(t, 300)
	before, err := os.ReadFile(cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	keeps := func(what string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", what, err)
		}
		if now, err := os.ReadFile(cfg.Path); err != nil || !bytes.Equal(now, before) {
			t.Errorf("%s: the index is another, %v", what, err)
		}
		alone(t, cfg.Path, "index.db")
	}
	ended, end := context.WithCancel(t.Context())
	end()
	_, err = Rebuild(ended, cfg)
	keeps("it is ended", err, context.Canceled)

	segments, err := filepath.Glob(filepath.Join(cfg.Dir, "*.wal"))
	if err != nil || len(segments) < 3 {
		t.Fatalf("%d segments, %v", len(segments), err)
	}
	middle := segments[len(segments)/2]
	whole, err := os.ReadFile(middle)
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(whole)
	damaged[len(damaged)/2] ^= 1
	if err := os.WriteFile(middle, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Rebuild(t.Context(), cfg)
	keeps("the log is damaged in the middle", err, lineage.ErrCorrupt)
	if err := os.WriteFile(middle, whole, 0o600); err != nil {
		t.Fatal(err)
	}

	if asOf, err := Rebuild(t.Context(), cfg); err != nil || len(asOf) != 1 || asOf[0].Sequence != uint64(len(entries)) {
		t.Errorf("%v, %v", asOf, err)
	}
	alone(t, cfg.Path, "index.db")
	if info, err := os.Stat(cfg.Path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	answersAll(t, cfg, entries)
}

// TestRebuildAfterKill: what a killed server and a killed Rebuild have left gets
// into no index, and does not stay.
func TestRebuildAfterKill(t *testing.T) {
	r := seeded(t)
	// A server that has written more since the file's log was folded.
	x, _ := opened(t, Config{Driver: SQLite, Reading: reading(t), Path: filepath.Join(t.TempDir(), "index.db")}, r, 200)
	cfg := x.cfg
	cfg.Path = filepath.Join(t.TempDir(), "index.db")
	killed(t, x.cfg.Path, cfg.Path)
	if wal, err := os.Stat(cfg.Path + "-wal"); err != nil || wal.Size() == 0 {
		t.Fatalf("nothing is in the log: %v", err)
	}
	entries := fill(t, cfg.Dir, "node-a", r, 100)
	half := x.cfg
	half.Path = filepath.Join(t.TempDir(), "half.db")
	h, err := anew(t.Context(), half)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close() //nolint:errcheck // it was killed
	w := newWriter(h)
	defer w.close()
	if _, err := w.step(t.Context()); err != nil {
		t.Fatal(err)
	}
	killed(t, half.Path, cfg.Path+unfinished)

	if _, err := Rebuild(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	alone(t, cfg.Path, "index.db")
	answersAll(t, cfg, entries)

	killed(t, half.Path, cfg.Path+unfinished)
	again, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(again.CatchUp(t.Context()), again.Close()); err != nil {
		t.Fatal(err)
	}
	alone(t, cfg.Path, "index.db")
}

// TestReplaceFolds: what SQLite has in a log beside the new file is in the file that
// takes the place.
func TestReplaceFolds(t *testing.T) {
	x, entries := opened(t, Config{Driver: SQLite, Reading: reading(t), Path: filepath.Join(t.TempDir(), "index.db")}, seeded(t), 100)
	cfg := x.cfg
	cfg.Path = filepath.Join(t.TempDir(), "index.db")
	killed(t, x.cfg.Path, cfg.Path+unfinished)
	if err := replace(t.Context(), cfg.Path+unfinished, cfg.Path, 0); err != nil {
		t.Fatal(err)
	}
	alone(t, cfg.Path, "index.db")
	answersAll(t, cfg, entries)
}

// TestRebuildReplaces: an index that SQLite cannot read is replaced, where it may
// be one at all.
func TestRebuildReplaces(t *testing.T) {
	for _, how := range spoilt {
		if how == noDatabase {
			continue
		}
		cfg, entries := closed(t, 200)
		spoil(t, cfg.Path, how)
		if _, err := Rebuild(t.Context(), cfg); err != nil {
			t.Errorf("%s: %v", how, err)
			continue
		}
		alone(t, cfg.Path, "index.db")
		answersAll(t, cfg, entries)
	}
}

// TestRebuildWithoutFile: a log that was left of a file that is gone is not played
// into the new one.
func TestRebuildWithoutFile(t *testing.T) {
	r := seeded(t)
	x, _ := opened(t, Config{Driver: SQLite, Reading: reading(t), Path: filepath.Join(t.TempDir(), "index.db")}, r, 100)
	cfg := x.cfg
	cfg.Path = filepath.Join(t.TempDir(), "index.db")
	killed(t, x.cfg.Path, cfg.Path)
	if err := os.Remove(cfg.Path); err != nil {
		t.Fatal(err)
	}
	entries := fill(t, cfg.Dir, "node-a", r, 100)
	if _, err := Rebuild(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	alone(t, cfg.Path, "index.db")
	answersAll(t, cfg, entries)
}

// TestRebuildLeavesStrangers: what the path leads to by mistake is not replaced.
func TestRebuildLeavesStrangers(t *testing.T) {
	cfg, _ := closed(t, 10)
	x, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.db.ExecContext(t.Context(), `CREATE TABLE citizens (name TEXT)`); err != nil {
		t.Fatal(err)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Rebuild(t.Context(), cfg); !errors.Is(err, ErrStranger) {
		t.Errorf("another's table: %v", err)
	}
	if _, err := Attach(t.Context(), cfg); !errors.Is(err, ErrStranger) || !errors.Is(err, ErrUnavailable) {
		t.Errorf("another's table, opened: %v", err)
	}
	if now, err := os.ReadFile(cfg.Path); err != nil || !bytes.Equal(before, now) {
		t.Errorf("it is another, %v", err)
	}
	alone(t, cfg.Path, "index.db")
	cfg.Path = filepath.Join(t.TempDir(), "folder")
	if err := os.Mkdir(cfg.Path, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Rebuild(t.Context(), cfg); !errors.Is(err, ErrStranger) {
		t.Errorf("a folder: %v", err)
	}
	for _, text := range []string{"mode: demo", "# A configuration of more bytes than a database begins with.\nmode: demo\n", "SQLite format 3?", "\x00\x00a"} {
		cfg.Path = filepath.Join(t.TempDir(), "weir.yaml")
		if err := os.WriteFile(cfg.Path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Rebuild(t.Context(), cfg); !errors.Is(err, ErrStranger) || !errors.Is(err, ErrUnavailable) {
			t.Errorf("%q: %v", text, err)
		}
		if now, err := os.ReadFile(cfg.Path); err != nil || string(now) != text {
			t.Errorf("%q became %q, %v", text, now, err)
		}
		alone(t, cfg.Path, "weir.yaml")
	}
}

// TestRebuildWaits: who still reads the old file would remove the new one's log in
// the end, so he is waited for.
func TestRebuildWaits(t *testing.T) {
	cfg, entries := closed(t, 100)
	x, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.AsOf(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := rebuild(t.Context(), cfg, 0); !errors.Is(err, ErrInUse) || !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v", err)
	}
	compareAnswers(t, x, seeded(t), slices.Clone(entries))
	alone(t, cfg.Path, "index.db", "index.db-shm", "index.db-wal")
	ended := make(chan error, 1)
	go func() {
		_, err := rebuild(t.Context(), cfg, time.Minute)
		ended <- err
	}()
	select {
	case err := <-ended:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(time.Second):
	}
	if err := errors.Join(x.Close(), <-ended); err != nil {
		t.Error(err)
	}
	alone(t, cfg.Path, "index.db")
	answersAll(t, cfg, entries)
}

// TestRebuildFollowsLinks: a file on another disk stays there.
func TestRebuildFollowsLinks(t *testing.T) {
	cfg, entries := closed(t, 50)
	there := cfg.Path
	cfg.Path = filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(there, cfg.Path); err != nil {
		t.Skipf("SKIPPED: no links here: %v", err)
	}
	if err := os.WriteFile(there+unfinished, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Rebuild(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(cfg.Path); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is a file, %v", err)
	}
	alone(t, there, "index.db")
	answersAll(t, cfg, entries)
}

// TestRebuildForgets: records whose key was dropped are in no file when an index
// was made anew: neither of the old one, nor of one that was not finished.
func TestRebuildForgets(t *testing.T) {
	r := seeded(t)
	cfg := Config{Driver: SQLite, Reading: reading(t), Path: filepath.Join(t.TempDir(), "index.db"), Dir: t.TempDir(), Batch: 100}
	before := fillFrom(t, cfg.Dir, "node-a", r, 1200, time.Date(2023, 3, 30, 22, 0, 0, 0, time.UTC))
	x, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	traces := tracesOf(t, x, cfg.Path)
	to := filepath.Join(t.TempDir(), "index.db")
	killed(t, cfg.Path, to)
	killed(t, cfg.Path, to+unfinished)
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	cfg.Path = to
	dropKey(t, cfg.Dir, lineage.KeyName{Month: lineage.MonthOf(before[0].Time), Level: 3})
	open, redacted := readable(t, cfg.Dir)
	if _, err := Rebuild(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	for i := range redacted {
		redacted[i] = before[redacted[i].Position.Sequence-1]
	}
	alone(t, cfg.Path, "index.db")
	forgotten(t, cfg.Path, redacted, open)
	noTraces(t, cfg.Path, redacted, open, traces)
}

// TestAttach: a damaged index is there, answers nothing and says why, and one of
// another version is refused.
func TestAttach(t *testing.T) {
	for _, how := range spoilt {
		cfg, _ := closed(t, 100)
		spoil(t, cfg.Path, how)
		x, err := Attach(t.Context(), cfg)
		if err != nil {
			t.Errorf("%s: %v", how, err)
			continue
		}
		_, asOf := x.AsOf(t.Context())
		_, reads := x.Reads(t.Context(), Filter{}, 10, nil)
		_, has := x.Has(t.Context(), lineage.Position{Origin: "node-a", Epoch: 1, Sequence: 1}, Filter{})
		_, flows := x.Flows(t.Context(), FlowFilter{Department: departments[0]})
		_, usages := x.Usages(t.Context(), UsageFilter{From: start, To: start.AddDate(0, 0, 9)})
		for what, err := range map[string]error{
			"asOf": asOf, "reads": reads, "has": has, "flows": flows, "usages": usages, "check": x.Check(t.Context()), "run": x.Run(t.Context()),
		} {
			if !errors.Is(err, ErrDamaged) || !errors.Is(err, ErrUnavailable) || !Bearable(err) {
				t.Errorf("%s, %s: %v", how, what, err)
			}
		}
		if x.Reached() != 0 {
			t.Errorf("%s: it has reached %d", how, x.Reached())
		}
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	}
	cfg, entries := closed(t, 10)
	x, err := Attach(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	compareAnswers(t, x, seeded(t), slices.Clone(entries))
	if _, err := x.db.ExecContext(t.Context(), `UPDATE meta SET value = '0'`); err != nil {
		t.Fatal(err)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Attach(t.Context(), cfg); !errors.Is(err, ErrFormat) {
		t.Errorf("another format: %v", err)
	}
	cfg.Path = filepath.Join(t.TempDir(), "none", "index.db")
	if _, err := Attach(t.Context(), cfg); err == nil || Bearable(err) {
		t.Errorf("no folder: %v", err)
	}
}
