package lineage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// openMem opens a log on a layer; a failed sync fails the test unless the
// configuration says otherwise.
func openMem(t testing.TB, files FS, config Config) *Log {
	t.Helper()
	config.Dir, config.Origin, config.Files, config.Reading = "log", "node-a", files, testReading
	config.RetryEvery = time.Millisecond
	if config.Room == 0 {
		config.Room = -1 // see room_test.go
	}
	if config.Fatal == nil {
		config.Fatal = func(err error) { t.Errorf("fatal: %v", err) }
	}
	l, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	// The faults that tests ask for are those of the log's own files.
	if err := l.enc.keys.fetch(KeyName{MonthOf(l.config.Clock()), sampleRecord().Level}); err != nil {
		t.Fatal(err)
	}
	return l
}

func appendOne(t testing.TB, l *Log, d Durability) Position {
	t.Helper()
	p, ticket, err := l.Append(context.Background(), sampleRecord())
	if err != nil {
		t.Fatal(err)
	}
	if err := ticket.Wait(context.Background(), d); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestConcurrentAppend: many writers on the real disk, small segments; every
// position is given once, and what is read is what was appended there.
func TestConcurrentAppend(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(Config{Reading: testReading, Dir: dir, Origin: "node-a", SegmentSize: 8 << 10, QueueSize: 5})
	if err != nil {
		t.Fatal(err)
	}
	const writers, each = 16, 40
	var mu sync.Mutex
	acknowledged := map[uint64]string{}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			r := sampleRecord()
			for i := range each {
				r.RequestID = fmt.Sprintf("request-%d-%d", w, i)
				p, ticket, err := l.Append(t.Context(), r)
				if err == nil {
					err = ticket.Wait(t.Context(), Durability(i%2))
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if old, ok := acknowledged[p.Sequence]; ok {
					t.Errorf("%v was given twice, to %s and %s", p, old, r.RequestID)
				}
				acknowledged[p.Sequence] = r.RequestID
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	got := map[uint64]string{}
	want := sampleRecord()
	for e, err := range Read(opened(dir), 0) {
		if err != nil {
			t.Fatal(err)
		}
		got[e.Position.Sequence] = e.Record.RequestID
		want.RequestID = e.Record.RequestID
		if diff := cmp.Diff(want, &e.Record); diff != "" {
			t.Fatal(diff)
		}
	}
	if diff := cmp.Diff(acknowledged, got); diff != "" {
		t.Error(diff)
	}
	if s := l.Stats(); s.Appended != writers*each || s.Synced != s.Appended || s.Queued != 0 || s.Segment < 5 {
		t.Errorf("%+v", s)
	}
}

// TestEpochs: each run has an epoch of its own, and the sequence goes on.
func TestEpochs(t *testing.T) {
	files := newMemFS()
	for epoch := uint32(1); epoch <= 3; epoch++ {
		l := openMem(t, files, Config{})
		if r := l.Recovery(); !r.Clean || r.Bytes != 0 || r.Last.Sequence != 2*uint64(epoch-1) {
			t.Errorf("recovery %+v", r)
		}
		appendOne(t, l, Synced)
		want := Position{Origin: "node-a", Epoch: epoch, Sequence: 2 * uint64(epoch)}
		if p := appendOne(t, l, Written); p != want {
			t.Errorf("position %v, want %v", p, want)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if _, _, err := l.Append(t.Context(), sampleRecord()); !errors.Is(err, ErrClosed) {
			t.Errorf("append after close: %v", err)
		}
		if err := l.Healthy(); !errors.Is(err, ErrClosed) {
			t.Errorf("healthy after close: %v", err)
		}
		if err := l.Close(); err != nil {
			t.Errorf("second close: %v", err)
		}
	}
	if got := must(records(files, "log")); len(got) != 6 {
		t.Errorf("%d records", len(got))
	}
}

// TestReadFrom gives exactly the records from a sequence on.
func TestReadFrom(t *testing.T) {
	dir := t.TempDir()
	for range 3 {
		l := must(Open(Config{Reading: testReading, Dir: dir, Origin: "node-a", SegmentSize: 2000}))
		for range 20 {
			appendOne(t, l, Written)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for from := uint64(0); from <= 62; from++ {
		next := max(from, 1)
		for e, err := range Read(opened(dir), from) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Position.Sequence != next {
				t.Fatalf("from %d: %d, want %d", from, e.Position.Sequence, next)
			}
			next++
		}
		if want := max(from, 61); next != want {
			t.Fatalf("from %d: ends before %d", from, next)
		}
	}
	// Leaving early releases the file; goleak and the next removal would show.
	for range Read(opened(dir), 0) {
		break
	}
}

// TestFullQueueBlocks: nothing is dropped, and the context ends the wait.
func TestFullQueueBlocks(t *testing.T) {
	files := newMemFS()
	l := openMem(t, files, Config{QueueSize: 2})
	entered, release := make(chan struct{}), make(chan struct{})
	files.set(func() {
		files.fault = func(op, _ string) error {
			if op == "write" {
				entered <- struct{}{}
				<-release
			}
			return nil
		}
	})
	var tickets []*Ticket
	add := func(ctx context.Context) error {
		_, ticket, err := l.Append(ctx, sampleRecord())
		if err == nil {
			tickets = append(tickets, ticket)
		}
		return err
	}
	if err := add(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-entered // the first is being written; two more fill the queue
	if err := errors.Join(add(t.Context()), add(t.Context())); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := add(short); !errors.Is(err, ErrLedgerUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a full queue: %v", err)
	}
	if err := tickets[0].Wait(short, Synced); !errors.Is(err, ErrLedgerUnavailable) {
		t.Fatalf("an undecided ticket: %v", err)
	}
	blocked := make(chan error)
	go func() {
		_, _, err := l.Append(context.Background(), sampleRecord())
		blocked <- err
	}()
	select {
	case err := <-blocked:
		t.Fatalf("the queue is not bounded: %v", err)
	case <-time.After(10 * time.Millisecond):
	}
	files.set(func() { files.fault = nil })
	close(release)
	if err := <-blocked; err != nil {
		t.Fatal(err)
	}
	for _, ticket := range tickets {
		if err := ticket.Wait(t.Context(), Synced); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := must(records(files, "log")); len(got) != 4 {
		t.Errorf("%d records", len(got))
	}
}

// TestGroupCommit: what comes while a group is written goes out with one sync.
func TestGroupCommit(t *testing.T) {
	files := newMemFS()
	l := openMem(t, files, Config{})
	entered, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	files.set(func() {
		files.fault = func(op, _ string) error {
			if op == "sync" {
				once.Do(func() { close(entered); <-release })
			}
			return nil
		}
	})
	_, first, err := l.Append(t.Context(), sampleRecord())
	if err != nil {
		t.Fatal(err)
	}
	<-entered
	// The lowest level goes once written; the others wait for the sync.
	if err := first.Wait(t.Context(), Written); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	if err := first.Wait(short, Synced); err == nil {
		t.Fatal("vouched for as synced before the sync")
	}
	tickets := make([]*Ticket, 50)
	for i := range tickets {
		if _, tickets[i], err = l.Append(t.Context(), sampleRecord()); err != nil {
			t.Fatal(err)
		}
	}
	close(release)
	for _, ticket := range append(tickets, first) {
		if err := ticket.Wait(t.Context(), Synced); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s := l.Stats()
	if s.Groups != 3 { // one, fifty, and the end
		t.Errorf("%d groups", s.Groups)
	}
	if s.SyncTime < 5*time.Millisecond || s.SyncTime <= s.LastSync {
		t.Errorf("all syncs took %s, the last one %s", s.SyncTime, s.LastSync)
	}
}

// TestEmptyGroup: the first record of a month and level opens a group and then
// waits for its data key; the committer, when it looks meanwhile, has nothing to
// write or to sync.
func TestEmptyGroup(t *testing.T) {
	l := openMem(t, newMemFS(), Config{})
	l.mu.Lock()
	l.openGroup()
	l.mu.Unlock()
	if g := l.take(); g != nil {
		t.Errorf("a group of %d records and %d bytes was taken", g.records, len(g.buf))
	}
	_, ticket, err := l.Append(t.Context(), sampleRecord())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(ticket.Wait(t.Context(), Synced), l.Close()); err != nil {
		t.Fatal(err)
	}
	if s := l.Stats(); s.Groups != 2 { // the record, and the end
		t.Errorf("%d groups", s.Groups)
	}
}

func TestGate(t *testing.T) {
	files := newMemFS()
	l := openMem(t, files, Config{})
	g := NewGate(l, 0)
	if g.Durability(0) != Written || g.Durability(1) != Synced || g.Durability(3) != Synced {
		t.Error("levels wait for the wrong thing")
	}
	_, ticket, err := g.Append(t.Context(), sampleRecord())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(g.Release(t.Context(), ticket, 3), g.Healthy()); err != nil {
		t.Error(err)
	}
	if s := g.Stats(); !s.Available || s.Appended != 1 {
		t.Errorf("%+v", s)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestConfig(t *testing.T) {
	for name, c := range map[string]Config{
		"no folder":   {Origin: "a"},
		"no origin":   {Dir: "x"},
		"bad origin":  {Dir: "x", Origin: "a/b"},
		"upper case":  {Dir: "x", Origin: "A"},
		"dot first":   {Dir: "x", Origin: ".."},
		"segment":     {Dir: "x", Origin: "a", SegmentSize: -1},
		"queue":       {Dir: "x", Origin: "a", QueueSize: -1},
		"retry":       {Dir: "x", Origin: "a", RetryEvery: -1},
		"long origin": {Dir: "x", Origin: string(bytes.Repeat([]byte("a"), 65))},
	} {
		c.Files = newMemFS()
		if _, err := Open(c); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// openOnce is the second process of TestLock.
func openOnce() int {
	l, err := Open(Config{Reading: testReading, Dir: os.Getenv("WEIR_LINEAGE_TEST_DIR"), Origin: "node-a"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	if err := l.Close(); err != nil {
		return 4
	}
	return 0
}

// TestLock: a second process does not start on the folder, and says which.
func TestLock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	l := must(Open(Config{Reading: testReading, Dir: dir, Origin: "node-a"}))
	again := func() (string, error) {
		cmd := exec.CommandContext(t.Context(), must(os.Executable()))
		cmd.Env = append(os.Environ(), roleVariable+"=opener", "WEIR_LINEAGE_TEST_DIR="+dir)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := again(); err == nil || !bytes.Contains([]byte(out), []byte(ErrLocked.Error()+": folder "+dir)) {
		t.Errorf("the second process: %v, %s", err, out)
	}
	if _, err := Open(Config{Reading: testReading, Dir: dir, Origin: "node-a"}); !errors.Is(err, ErrLocked) {
		t.Errorf("a second log of this process: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if out, err := again(); err != nil {
		t.Errorf("after close: %v, %s", err, out)
	}
}

func TestProbeFsync(t *testing.T) {
	dir := t.TempDir()
	if d, err := ProbeFsync(dir); err != nil || d <= 0 {
		t.Error(d, err)
	}
	if left := must(os.ReadDir(dir)); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := ProbeFsync(filepath.Join(dir, "missing")); err == nil {
		t.Error("a missing folder has an fsync time")
	}
}

// TestReplicatedElsewhere: the log itself never says that a second machine has a
// record, however safe it is here.
func TestReplicatedElsewhere(t *testing.T) {
	log, err := Open(Config{Dir: t.TempDir(), Origin: "node-a"})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() //nolint:errcheck // the test's own
	_, ticket, err := log.Append(t.Context(), &Record{Kind: "query", Status: "ok"})
	if err != nil {
		t.Fatal(err)
	}
	if err := ticket.Wait(t.Context(), Synced); err != nil {
		t.Fatal(err)
	}
	if err := ticket.Wait(t.Context(), Replicated); !errors.Is(err, ErrLedgerUnavailable) {
		t.Errorf("without a second machine: %v", err)
	}
}
