package replica

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// appendAt is append for a record of a level.
func (p *pair) appendAt(level schema.Rank, grace time.Duration) error {
	r := record(requestAt(level))
	r.Level = level
	at, ticket, err := p.log.Append(context.Background(), r)
	if err != nil {
		return err
	}
	if err := ticket.Wait(context.Background(), lineage.Synced); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	return p.sender.Wait(ctx, at.Sequence)
}

func requestAt(level schema.Rank) string { return "level " + string(rune('0'+level)) }

// keyOf is the path of the data key of a level.
func keyOf(t *testing.T, dir string, level schema.Rank) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, lineage.KeysFolder, "*."+string(rune('0'+level))+".*"))
	if err != nil || len(names) != 1 {
		t.Fatalf("level %d: %v, %v", level, names, err)
	}
	return names[0]
}

func sameKey(t *testing.T, p *pair, level schema.Rank) {
	t.Helper()
	want, err1 := os.ReadFile(keyOf(t, p.dir, level))
	got, err2 := os.ReadFile(keyOf(t, p.copyDir, level))
	if err1 != nil || err2 != nil || !bytes.Equal(want, got) {
		t.Errorf("the data key of level %d: %v, %v, the same %v", level, err1, err2, bytes.Equal(want, got))
	}
}

// TestKeys: what is acknowledged can be read from the copy alone, by whoever has
// the reading key and by nobody else; also behind a restart of the replica, and
// where it was empty until late.
func TestKeys(t *testing.T) {
	p := newPair(t)
	p.receive(nil, nil)
	p.send()
	for level := range schema.Rank(4) {
		if level == 2 {
			p.stop()
			p.receive(nil, nil)
		}
		if err := p.appendAt(level, 10*time.Second); err != nil {
			t.Fatal(err)
		}
		sameKey(t, p, level)
		if got := copied(t, p.copyDir)[uint64(level)+1]; got != requestAt(level) {
			t.Errorf("the record of level %d reads %q", level, got)
		}
	}
	for e, err := range lineage.Read(lineage.Folder{Dir: p.copyDir}, 0) {
		if err != nil || e.Content != lineage.Sealed || e.Record.RequestID != "" {
			t.Errorf("without the reading key: %v %q, %v", e.Content, e.Record.RequestID, err)
		}
	}
	p.stop()
	p.copyDir = filepath.Join(t.TempDir(), "late")
	p.receive(nil, nil)
	if err := p.appendAt(0, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	for level := range schema.Rank(4) {
		sameKey(t, p, level)
	}
}

// TestDroppedKeys: a recorded act drops the key at the replica, whether it had it
// or comes late; another act than was recorded is not taken.
func TestDroppedKeys(t *testing.T) {
	p := newPair(t)
	now := p.reopenAt(time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC))
	p.receive(nil, nil)
	p.send()
	contents := func(want ...lineage.Content) {
		t.Helper()
		var got []lineage.Content
		for e, err := range lineage.Read(lineage.Folder{Dir: p.copyDir, Reading: reading}, 0) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e.Content)
		}
		if !slices.Equal(got, want) {
			t.Errorf("the copy's records: %v, want %v", got, want)
		}
	}
	if err := errors.Join(p.appendAt(0, 10*time.Second), p.appendAt(1, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	before := p.copyDir
	text, err := os.ReadFile(keyOf(t, p.dir, 0))
	if err != nil {
		t.Fatal(err)
	}
	february := time.Date(2026, 2, 1, 12, 0, 0, 0, time.UTC)
	now.Store(&february)
	sum := sha256.Sum256(text)
	january := lineage.MonthOf(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	act := lineage.Act{Name: lineage.KeyName{Month: january}, Key: lineage.KeyID(sum[:16]), Text: "an act\n"}
	retention := record("retention")
	retention.Level = 3
	if err := p.log.Drop(t.Context(), act, retention); err != nil {
		t.Fatal(err)
	}
	if err := p.appendAt(1, 10*time.Second); err != nil { // in another month: another key
		t.Fatal(err)
	}
	dropped := []lineage.Content{lineage.Redacted, lineage.Readable, lineage.Readable, lineage.Readable}
	contents(dropped...)
	folder := func(want string) {
		t.Helper()
		got, err := os.ReadFile(filepath.Join(p.copyDir, lineage.KeysFolder, "2026-01.0.dropped"))
		if err != nil || string(got) != want {
			t.Errorf("in the key's place: %q, %v", got, err)
		}
		if _, err := os.Stat(filepath.Join(p.copyDir, lineage.KeysFolder, "2026-01.0.key")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the dropped key: %v", err)
		}
	}
	folder("an act\n")

	p.stop()
	p.copyDir = filepath.Join(t.TempDir(), "late")
	p.receive(nil, nil)
	if err := p.appendAt(1, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	dropped = append(dropped, lineage.Readable)
	contents(dropped...)
	folder("an act\n")

	p.stop()
	p.copyDir = filepath.Join(t.TempDir(), "other")
	if err := os.MkdirAll(filepath.Join(p.copyDir, lineage.KeysFolder), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.copyDir, lineage.KeysFolder, "2026-01.0.dropped"), []byte("another act\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.receive(nil, nil)
	if err := p.appendAt(1, 500*time.Millisecond); !errors.Is(err, lineage.ErrLedgerUnavailable) {
		t.Errorf("another act: %v", err)
	}

	// The first copy goes on where it was.
	p.stop()
	p.copyDir = before
	p.receive(nil, nil)
	if err := p.appendAt(1, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	contents(append(dropped, lineage.Readable, lineage.Readable)...)
}

// TestNoKeyNoAcknowledgement: without the very key that a frame names, on disk
// for good, nothing of it is acknowledged.
func TestNoKeyNoAcknowledgement(t *testing.T) {
	refused := func(p *pair, level schema.Rank) {
		p.t.Helper()
		if err := p.appendAt(level, 400*time.Millisecond); !errors.Is(err, lineage.ErrLedgerUnavailable) {
			p.t.Errorf("acknowledged: %v", err)
		}
		if got := copied(p.t, p.copyDir); len(got) > 1 {
			p.t.Errorf("the copy has %v", got)
		}
	}
	t.Run("the node has lost it", func(t *testing.T) {
		p := newPair(t)
		p.receive(nil, nil)
		p.send()
		if err := p.appendAt(0, 10*time.Second); err != nil {
			t.Fatal(err)
		}
		p.stop()
		p.copyDir = filepath.Join(t.TempDir(), "late")
		path := keyOf(t, p.dir, 0)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for name, change := range map[string]func() error{
			"gone":    func() error { return os.Remove(path) },
			"changed": func() error { return os.WriteFile(path, append(text, '\n'), 0o600) },
		} {
			if err := change(); err != nil {
				t.Fatal(name, err)
			}
			p.receive(nil, nil)
			refused(p, 0)
			p.stop()
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		p.receive(nil, nil)
		if err := p.appendAt(0, 10*time.Second); err != nil {
			t.Error("restored:", err)
		}
	})
	t.Run("the replica has another", func(t *testing.T) {
		p := newPair(t)
		p.receive(nil, nil)
		p.send()
		if err := p.appendAt(0, 10*time.Second); err != nil {
			t.Fatal(err)
		}
		other := filepath.Join(filepath.Dir(keyOf(t, p.copyDir, 0)), lineage.MonthOf(time.Now()).String()+".1.key")
		if err := os.WriteFile(other, []byte("another key\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		refused(p, 1)
	})
	t.Run("its sync fails", func(t *testing.T) {
		p := newPair(t)
		files := &failingFS{FS: lineage.OS()}
		ended := make(chan error, 16)
		p.receive(files, func(err error) { ended <- err })
		p.send()
		if err := p.appendAt(0, 10*time.Second); err != nil {
			t.Fatal(err)
		}
		files.set(nil, io.ErrUnexpectedEOF)
		refused(p, 1)
		select {
		case err := <-ended:
			if !lineage.IsSyncError(err) {
				t.Errorf("ended for %v", err)
			}
		case <-time.After(5 * time.Second):
			t.Error("the replica goes on after a failed sync")
		}
		files.set(nil, nil)
	})
	t.Run("the stream lies", func(t *testing.T) {
		c, err := lineage.OpenCopy(t.TempDir(), lineage.OS())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if err := c.Offer(lineage.KeyID{1}, []byte("no such file"), false); !errors.Is(err, lineage.ErrRecord) {
			t.Errorf("a key under another's id: %v", err)
		}
		if err := c.Offer(lineage.KeyID{1}, make([]byte, 17<<20), true); !errors.Is(err, lineage.ErrRecord) {
			t.Errorf("17 MiB of a key: %v", err)
		}
	})
}
