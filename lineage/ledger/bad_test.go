package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/lineage/verify"
)

// filled is the folder of a node that was stopped in order.
func filled(t *testing.T) (dir string, key *Key, last lineage.Position) {
	t.Helper()
	dir = filepath.Join(inMemory(t), "ledger")
	n := open(t, dir, nil)
	last = n.append(100)
	n.close()
	return dir, n.key, last
}

// refuses opens and wants an error of a kind whose text says so.
func refuses(t *testing.T, dir string, kind error, says string, change func(*lineage.Config, *Config)) {
	t.Helper()
	n, err := tryOpen(dir, change)
	if err == nil {
		n.t = t
		n.close()
		t.Fatalf("it opens, and should say %q", says)
	}
	if !errors.Is(err, kind) || !strings.Contains(err.Error(), says) {
		t.Errorf("%v, want %v and %q", err, kind, says)
	}
}

// lastSegment is the newest one that holds records.
func lastSegment(t *testing.T, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil || len(found) == 0 {
		t.Fatal(err, found)
	}
	return found[len(found)-1]
}

// TestTruncatedLog: records that the tree commits to are gone. The node does not
// start, and the verifier names the first that is missing.
func TestTruncatedLog(t *testing.T) {
	dir, key, _ := filled(t)
	path := lastSegment(t, dir)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := places(b)
	var cut place
	for _, p := range at {
		if p.record {
			cut = p
		}
	}
	if err := os.Truncate(path, int64(cut.from)+20); err != nil {
		t.Fatal(err)
	}
	_, err = verify.Folder(t.Context(), dir, verify.Options{Key: key.Public()})
	var found *verify.TamperError
	if !errors.As(err, &found) || found.Record != (lineage.Position{Origin: origin, Epoch: 1, Sequence: cut.sequence}).String() {
		t.Errorf("the verifier: %v", err)
	}
	refuses(t, dir, ErrBehind, "the log ends at", nil)
}

// TestForeignAndWrong: what does not belong together does not start, and nothing
// is repaired in silence.
func TestForeignAndWrong(t *testing.T) {
	dir, key, _ := filled(t)
	o := verify.Options{Key: key.Public()}
	before := copied(t, dir)

	other, err := CreateKey(filepath.Join(t.TempDir(), "key"), origin)
	if err != nil {
		t.Fatal(err)
	}
	refuses(t, dir, ErrTree, "not signed with this node's key", func(_ *lineage.Config, c *Config) { c.Key = other })
	_, err = verify.Folder(t.Context(), dir, verify.Options{Key: other.Public()})
	if err == nil || !strings.Contains(err.Error(), "not signed with the key of node-a") {
		t.Errorf("another key: %v", err)
	}
	if _, err := LoadKey(dir+".key", "node-b"); !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), `this node is "node-b"`) {
		t.Errorf("the key of another node: %v", err)
	}
	if err := os.Chmod(dir+".key", 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(dir+".key", origin); !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), "0600") {
		t.Errorf("a key that others may read: %v", err)
	}
	if err := os.Chmod(dir+".key", 0o600); err != nil {
		t.Fatal(err)
	}

	for _, foreign := range []string{"notes.txt", "tree/notes.txt", "tree/tile/0/000.bak"} {
		path := filepath.Join(dir, filepath.FromSlash(foreign))
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := verify.Folder(t.Context(), dir, o); err == nil || !strings.Contains(err.Error(), foreign) || !strings.Contains(err.Error(), "not part of a ledger") {
			t.Errorf("%s: %v", foreign, err)
		}
		if foreign == "notes.txt" {
			refuses(t, dir, lineage.ErrForeign, "notes.txt", nil)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}

	n := open(t, dir, nil)
	refuses(t, dir, lineage.ErrLocked, "in use by another process", nil)
	n.close()

	// An older log under the newest tree.
	n = open(t, dir, nil)
	n.append(50)
	n.close()
	if err := errors.Join(os.RemoveAll(filepath.Join(before, "tree")), os.Rename(filepath.Join(dir, "tree"), filepath.Join(before, "tree"))); err != nil {
		t.Fatal(err)
	}
	refuses(t, before, ErrBehind, "up to 150, the log ends at 100", func(_ *lineage.Config, c *Config) { c.Key = key })
}

// TestLostTree: a tree that is gone or damaged under a log with records is not
// begun anew: two histories would bear signatures of one key.
func TestLostTree(t *testing.T) {
	dir, key, _ := filled(t)
	for _, c := range []struct {
		name, says string
		damage     func(tree string) error
	}{
		{"all of it", "is gone, and the log has records up to 100", os.RemoveAll},
		{"its heads", "is gone, and the log has records up to 100", func(tree string) error {
			return errors.Join(os.RemoveAll(filepath.Join(tree, ".state")), os.Remove(filepath.Join(tree, "checkpoint")))
		}},
		{"its leaves", filepath.Join("entries", "000.p"), func(tree string) error { return os.RemoveAll(filepath.Join(tree, "tile", "entries")) }},
		{"its hashes", filepath.Join("tile", "0", "000.p"), func(tree string) error { return os.RemoveAll(filepath.Join(tree, "tile", "0")) }},
		{"a byte of a tile", filepath.Join("tile", "0", "000.p"), func(tree string) error { return flipped(newest(filepath.Join(tree, "tile", "0", "000.p"))) }},
		{"a byte of a leaf", filepath.Join("entries", "000.p"), func(tree string) error { return flipped(newest(filepath.Join(tree, "tile", "entries", "000.p"))) }},
		{"the state's text", "treeState is damaged", func(tree string) error { return os.Truncate(filepath.Join(tree, ".state", "treeState"), 10) }},
		{"the checkpoint's text", "checkpoint is damaged", func(tree string) error { return os.Truncate(filepath.Join(tree, "checkpoint"), 0) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			lost := copied(t, dir)
			if err := c.damage(filepath.Join(lost, "tree")); err != nil {
				t.Fatal(err)
			}
			refuses(t, lost, ErrTree, c.says, func(_ *lineage.Config, o *Config) { o.Key = key })
		})
	}
}

// newest is the file with the greatest number in a folder of partial tiles.
func newest(folder string) string {
	for n := tileWidth; n > 0; n-- {
		path := filepath.Join(folder, fmt.Sprint(n))
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return folder
}

// flipped changes one byte of a file, neither the first nor the last.
func flipped(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	b[len(b)/2] ^= 1
	return os.WriteFile(path, b, 0o600)
}

// TestClockJumps: neither order nor proofs depend on the clock.
func TestClockJumps(t *testing.T) {
	dir := filepath.Join(inMemory(t), "ledger")
	var offset atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
	n := open(t, dir, func(lc *lineage.Config, c *Config) { lc.Clock, c.Clock = clock, clock })
	for _, jump := range []time.Duration{0, 48 * time.Hour, -300 * 24 * time.Hour, 5 * time.Minute, -70 * 365 * 24 * time.Hour} {
		offset.Store(int64(jump))
		n.proven(n.append(20))
	}
	// The system's own clock went back: the checkpoint's file is from tomorrow.
	path := filepath.Join(dir, "tree", "checkpoint")
	tomorrow := time.Now().Add(24 * time.Hour)
	if err := os.Chtimes(path, tomorrow, tomorrow); err != nil {
		t.Fatal(err)
	}
	n.proven(n.append(20))
	n.close()
	r, err := verify.Folder(t.Context(), dir, verify.Options{Key: n.key.Public()})
	if err != nil || r.Records != 120 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestTreeFails: while the tree cannot be written answers go on, the figures say
// so, and when it can be again nothing is missing.
func TestTreeFails(t *testing.T) {
	dir := filepath.Join(inMemory(t), "ledger")
	n := open(t, dir, nil)
	n.proven(n.append(20))
	entries := filepath.Join(dir, "tree", "tile", "entries")
	away := filepath.Join(t.TempDir(), "entries")
	if err := os.CopyFS(away, os.DirFS(entries)); err != nil {
		t.Fatal(err)
	}
	// A file where the bundles' folder was: no bundle can be read or written.
	if err := errors.Join(os.RemoveAll(entries), os.WriteFile(entries, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	last := n.append(20) // waits for the disk, not for the tree
	for end := time.Now().Add(20 * time.Second); n.led.Stats().Failures == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no failure shows")
		}
	}
	if s := n.led.Stats(); s.Working || s.Waiting < 20 || n.log.Healthy() != nil {
		t.Errorf("%+v, log: %v", s, n.log.Healthy())
	}
	if err := errors.Join(os.Remove(entries), os.CopyFS(entries, os.DirFS(away))); err != nil {
		t.Fatal(err)
	}
	n.proven(last)
	n.close()
	r, err := verify.Folder(t.Context(), dir, verify.Options{Key: n.key.Public()})
	if err != nil || r.Records != 40 || r.Behind != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestVerifyRoom: a copy of a running log goes on with zeroes behind its last
// frame, which is sound and needs no word. Anything behind zeroes is not, nor
// are zeroes in a segment that has another behind it.
func TestVerifyRoom(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ledger")
	n := open(t, dir, func(c *lineage.Config, _ *Config) { c.SegmentSize = 1 << 20 })
	n.proven(n.append(50))
	running := copied(t, dir)
	n.close()
	path := lastSegment(t, running)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if b[len(b)-1] != 0 || len(b) < 200<<10 {
		t.Fatal("there is no room: the test is about nothing")
	}
	r, err := verify.Folder(t.Context(), running, verify.Options{Key: n.key.Public()})
	if err != nil || strings.Contains(strings.Join(r.Notes, " "), "ends within") {
		t.Errorf("%v, %v", err, r)
	}
	b[len(b)-100] = 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := verify.Folder(t.Context(), running, verify.Options{Key: n.key.Public()}); err == nil ||
		!strings.Contains(err.Error(), "zeroes stand where a frame is due (behind the newest checkpoint, in the newest file: ") {
		t.Errorf("something behind zeroes: %v", err)
	}

	// Closed in order, and begun again: the first segment is trimmed.
	again := open(t, dir, nil)
	again.proven(again.append(5))
	again.close()
	first := filepath.Join(dir, "0000000000000001.wal")
	if b, err = os.ReadFile(first); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(first, append(b, make([]byte, 500)...), 0o600); err != nil {
		t.Fatal(err)
	}
	// Not what a crash leaves, and nothing that a start would cut off.
	if _, err := verify.Folder(t.Context(), dir, verify.Options{Key: n.key.Public()}); err == nil ||
		!strings.Contains(err.Error(), "goes on with zeroes, though a later one is there") || strings.Contains(err.Error(), "cuts off") {
		t.Errorf("zeroes behind a finished segment: %v", err)
	}
}

// TestUntil: batches take at most a twentieth of the time, and wait for no longer
// than the next checkpoint.
func TestUntil(t *testing.T) {
	l := &Ledger{config: Config{Every: 50 * time.Millisecond, CheckpointEvery: time.Second}}
	for took, want := range map[time.Duration]time.Duration{
		0:                      50 * time.Millisecond,
		2 * time.Millisecond:   48 * time.Millisecond,
		5 * time.Millisecond:   95 * time.Millisecond,
		20 * time.Millisecond:  380 * time.Millisecond,
		500 * time.Millisecond: time.Second,
		2 * time.Second:        time.Second,
	} {
		if got := l.until(took); got != want {
			t.Errorf("after %v it waits %v, want %v", took, got, want)
		}
	}
}
