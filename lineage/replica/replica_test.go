package replica

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-data/weir/lineage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// reading is the reading key of all ledgers here.
var reading = func() lineage.Sealer {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return box{aead}
}()

type box struct{ cipher.AEAD }

func (b box) Seal(plaintext, aad []byte) []byte { return b.AEAD.Seal(nil, nil, plaintext, aad) }

func (b box) Open(sealed, aad []byte) ([]byte, error) { return b.AEAD.Open(nil, nil, sealed, aad) }

// pair is a node's log and where its replica is to be.
type pair struct {
	t             *testing.T
	dir, copyDir  string
	node, replica *Identity
	log           *lineage.Log
	listener      string
	stop          func()
	sender        *Sender
	clock         func() time.Time // of the log; nil for the system's
}

func identity(t *testing.T, name string) *Identity {
	t.Helper()
	i, err := OpenIdentity(filepath.Join(t.TempDir(), name))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{t: t, dir: filepath.Join(t.TempDir(), "ledger"), copyDir: filepath.Join(t.TempDir(), "copy"), node: identity(t, "node"), replica: identity(t, "replica")}
	p.openLog()
	t.Cleanup(func() {
		if p.sender != nil {
			_ = p.sender.Close()
		}
		if p.stop != nil {
			p.stop()
		}
		_ = p.log.Close()
	})
	return p
}

func (p *pair) openLog() {
	p.t.Helper()
	var err error
	if p.log, err = lineage.Open(lineage.Config{Dir: p.dir, Origin: "node-a", Reading: reading, Clock: p.clock, SegmentSize: 32 << 10}); err != nil {
		p.t.Fatal(err)
	}
}

// reopenAt opens the log anew with a clock that stands at what is returned.
func (p *pair) reopenAt(now time.Time) *atomic.Pointer[time.Time] {
	p.t.Helper()
	if err := p.log.Close(); err != nil {
		p.t.Fatal(err)
	}
	var at atomic.Pointer[time.Time]
	at.Store(&now)
	p.clock = func() time.Time { return *at.Load() }
	p.openLog()
	return &at
}

// receive starts the replica, on the address that it had.
func (p *pair) receive(files lineage.FS, fatal func(error)) {
	p.t.Helper()
	address := p.listener
	if address == "" {
		address = "127.0.0.1:0"
	}
	var l net.Listener
	var err error
	for range 100 {
		if l, err = net.Listen("tcp", address); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.listener = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	if fatal == nil {
		fatal = func(err error) { p.t.Errorf("the replica ends: %v", err) }
	}
	key, err := ParsePublic(p.node.Public())
	if err != nil {
		p.t.Fatal(err)
	}
	go func() {
		done <- Receive(ctx, l, ReceiverConfig{Dir: p.copyDir, Identity: p.replica, Node: key, Files: files, Fatal: fatal})
	}()
	p.stop = func() {
		cancel()
		if err := <-done; err != nil {
			p.t.Errorf("receive: %v", err)
		}
		p.stop = nil
	}
}

func (p *pair) send() {
	p.t.Helper()
	key, err := ParsePublic(p.replica.Public())
	if err != nil {
		p.t.Fatal(err)
	}
	p.sender = NewSender(SenderConfig{Dir: p.dir, Source: p.log, Address: p.listener, Identity: p.node, Replica: key, Logger: slog.New(slog.DiscardHandler)})
}

func record(id string) *lineage.Record {
	return &lineage.Record{RequestID: id, Kind: "query", Subject: "0123456789abcdef0123456789abcdef", Application: "desk", Document: id, Status: "ok"}
}

// append appends a record and waits until it is on this machine, then on both.
func (p *pair) append(id string, grace time.Duration) (lineage.Position, error) {
	at, ticket, err := p.log.Append(context.Background(), record(id))
	if err != nil {
		return at, err
	}
	if err := ticket.Wait(context.Background(), lineage.Synced); err != nil {
		return at, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	return at, p.sender.Wait(ctx, at.Sequence)
}

// copied gives the request ids of the copy's records, by sequence.
func copied(t *testing.T, dir string) map[uint64]string {
	t.Helper()
	out := map[uint64]string{}
	for e, err := range lineage.Read(lineage.Folder{Dir: dir, Reading: reading}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		out[e.Position.Sequence] = e.Record.RequestID
	}
	return out
}

// load appends from several sides and gives what was acknowledged.
func (p *pair) load(sides, each int) map[uint64]string {
	p.t.Helper()
	var mu sync.Mutex
	acked := map[uint64]string{}
	var group sync.WaitGroup
	for s := range sides {
		group.Go(func() {
			for i := range each {
				id := fmt.Sprintf("%d-%d-%d", p.log.Epoch(), s, i)
				at, err := p.append(id, 10*time.Second)
				if err != nil {
					p.t.Errorf("%s: %v", id, err)
					return
				}
				mu.Lock()
				acked[at.Sequence] = id
				mu.Unlock()
			}
		})
	}
	group.Wait()
	return acked
}

func (p *pair) holds(acked map[uint64]string) {
	p.t.Helper()
	found := copied(p.t, p.copyDir)
	for sequence, id := range acked {
		if found[sequence] != id {
			p.t.Errorf("record %d of %s was acknowledged, the copy has %q", sequence, id, found[sequence])
		}
	}
}

// TestCopyIsTheLog: over many segments, restarts of both sides and a partition,
// what was acknowledged stands in the copy, and in the end the copy's files are
// the log's to the byte.
func TestCopyIsTheLog(t *testing.T) {
	p := newPair(t)
	p.receive(nil, nil)
	p.send()
	acked := p.load(8, 100)
	p.holds(acked)
	for round := range 3 {
		p.stop() // the replica goes and comes, under no load and then under one
		p.receive(nil, nil)
		for k, v := range p.load(4, 25) {
			acked[k] = v
		}
		// The node closes its log and opens another epoch.
		if err := errors.Join(p.sender.Close(), p.log.Close()); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		p.openLog()
		p.send()
		for k, v := range p.load(4, 25) {
			acked[k] = v
		}
	}
	p.holds(acked)
	p.stop()
	names, err := filepath.Glob(filepath.Join(p.copyDir, "*.wal"))
	if err != nil || len(names) < 5 {
		t.Fatalf("%d segments, %v", len(names), err)
	}
	for _, name := range names {
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(p.dir, filepath.Base(name)))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(want), string(got)) {
			t.Errorf("%s is not the beginning of the node's", filepath.Base(name))
		}
	}
	if found := copied(t, p.copyDir); len(found) != len(acked) {
		t.Errorf("%d records in the copy, %d were acknowledged", len(found), len(acked))
	}
}

// TestAway: without the replica nothing is vouched for; grace is counted from
// when it went, so that nobody waits for what is long gone; and when it comes
// back it gets what it has missed.
func TestAway(t *testing.T) {
	p := newPair(t)
	p.receive(nil, nil)
	p.send()
	if _, err := p.append("before", 10*time.Second); err != nil {
		t.Fatal(err)
	}
	p.stop()
	start := time.Now()
	if _, err := p.append("missed", 300*time.Millisecond); !errors.Is(err, lineage.ErrLedgerUnavailable) {
		t.Fatalf("without the replica: %v", err)
	}
	if took := time.Since(start); took < 100*time.Millisecond {
		t.Errorf("refused after %s, within its grace", took)
	}
	start = time.Now()
	if _, err := p.append("missed-2", 100*time.Millisecond); !errors.Is(err, lineage.ErrLedgerUnavailable) || !strings.Contains(err.Error(), "away since") {
		t.Fatalf("long without the replica: %v", err)
	}
	if took := time.Since(start); took > 90*time.Millisecond {
		t.Errorf("waited %s for a replica that had been away for longer than its grace", took)
	}
	if s := p.sender.Stats(); s.Connected || s.Behind != 2 || s.Refused != 2 {
		t.Errorf("%+v", s)
	}
	p.receive(nil, nil)
	at, err := p.append("after", 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if s := p.sender.Stats(); !s.Connected || s.Behind != 0 || s.Acknowledged != at.Sequence {
		t.Errorf("%+v", s)
	}
	found := copied(t, p.copyDir)
	if len(found) != 4 || found[2] != "missed" || found[3] != "missed-2" {
		t.Errorf("the copy: %v", found)
	}
}

// TestPartition: bytes that vanish on the way are no acknowledgement, and a dead
// connection is given up and made anew.
func TestPartition(t *testing.T) {
	p := newPair(t)
	p.receive(nil, nil)
	behind := p.listener
	var mu sync.Mutex
	dead := false
	proxy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var pipes sync.WaitGroup
	t.Cleanup(pipes.Wait)
	t.Cleanup(func() { _ = proxy.Close() })
	pipes.Go(func() {
		for {
			from, err := proxy.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", behind)
			if err != nil {
				_ = from.Close()
				continue
			}
			pipe := func(a, b net.Conn) {
				defer func() { _, _ = a.Close(), b.Close() }()
				buf := make([]byte, 4096)
				for {
					n, err := a.Read(buf)
					if err != nil {
						return
					}
					mu.Lock()
					lost := dead
					mu.Unlock()
					if lost {
						continue
					}
					if _, err := b.Write(buf[:n]); err != nil {
						return
					}
				}
			}
			pipes.Go(func() { pipe(from, to) })
			pipes.Go(func() { pipe(to, from) })
		}
	})
	p.listener = proxy.Addr().String()
	p.send()
	if _, err := p.append("before", 10*time.Second); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	dead = true
	mu.Unlock()
	if _, err := p.append("lost", 200*time.Millisecond); !errors.Is(err, lineage.ErrLedgerUnavailable) {
		t.Fatalf("over a dead network: %v", err)
	}
	time.Sleep(silence + 500*time.Millisecond)
	mu.Lock()
	dead = false
	mu.Unlock()
	if _, err := p.append("after", 20*time.Second); err != nil {
		t.Fatal(err)
	}
	if s := p.sender.Stats(); s.Connections < 2 {
		t.Errorf("the dead connection was kept: %+v", s)
	}
	if found := copied(t, p.copyDir); found[2] != "lost" || found[3] != "after" {
		t.Errorf("the copy: %v", found)
	}
	_ = p.sender.Close()
	_ = proxy.Close()
}

// TestStrangers: who holds another key is not talked to, from either side.
func TestStrangers(t *testing.T) {
	p := newPair(t)
	p.receive(nil, nil)
	own := p.node
	p.node = identity(t, "stranger")
	p.send()
	if _, err := p.append("one", 400*time.Millisecond); !errors.Is(err, lineage.ErrLedgerUnavailable) {
		t.Errorf("a stranger's log was taken: %v", err)
	}
	_ = p.sender.Close()
	p.node = own
	known := p.replica
	p.replica = identity(t, "other")
	p.send()
	if _, err := p.append("two", 400*time.Millisecond); !errors.Is(err, lineage.ErrLedgerUnavailable) {
		t.Errorf("a stranger acknowledged: %v", err)
	}
	_ = p.sender.Close()
	if found := copied(t, p.copyDir); len(found) != 0 {
		t.Errorf("the copy has %v", found)
	}
	p.replica = known
	p.send()
	if _, err := p.append("three", 10*time.Second); err != nil {
		t.Error(err)
	}
}

// TestApart: a replica that holds what is no beginning of the log is neither
// written to nor believed.
func TestApart(t *testing.T) {
	p := newPair(t)
	p.receive(nil, nil)
	p.send()
	for i := range 5 {
		if _, err := p.append(fmt.Sprint(i), 10*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	before := copied(t, p.copyDir)
	restart := func() {
		t.Helper()
		if err := errors.Join(p.sender.Close(), p.log.Close()); err != nil {
			t.Fatal(err)
		}
		p.dir = filepath.Join(t.TempDir(), "ledger")
		p.openLog()
		p.send()
	}
	restart() // the node lost its disk and began anew: behind its replica
	if _, err := p.append("anew", 400*time.Millisecond); !errors.Is(err, lineage.ErrLedgerUnavailable) {
		t.Errorf("behind the replica: %v", err)
	}
	for i := range 7 { // and past it, with other records
		_, _ = p.append(fmt.Sprint("fork-", i), time.Millisecond)
	}
	_ = p.sender.Close()
	p.send()
	if _, err := p.append("forked", 400*time.Millisecond); !errors.Is(err, lineage.ErrLedgerUnavailable) {
		t.Errorf("past the replica, with another log: %v", err)
	}
	if s := p.sender.Stats(); !s.Apart {
		t.Errorf("%+v", s)
	}
	after := copied(t, p.copyDir)
	if len(after) != len(before) {
		t.Errorf("the copy had %d records, and has %d", len(before), len(after))
	}
}

// failingFS fails what it is told to.
type failingFS struct {
	lineage.FS
	mu          sync.Mutex
	write, sync error
}

type failingFile struct {
	lineage.File
	f *failingFS
}

func (f *failingFS) Create(path string) (lineage.File, error) {
	file, err := f.FS.Create(path)
	return failingFile{file, f}, err
}

func (f *failingFS) Open(path string, write bool) (lineage.File, error) {
	file, err := f.FS.Open(path, write)
	if err != nil {
		return nil, err
	}
	return failingFile{file, f}, nil
}

func (f *failingFS) set(write, sync error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.write, f.sync = write, sync
}

func (f failingFile) WriteAt(b []byte, at int64) (int, error) {
	f.f.mu.Lock()
	err := f.f.write
	f.f.mu.Unlock()
	if err != nil {
		n, _ := f.File.WriteAt(b[:len(b)/2], at)
		return n, err
	}
	return f.File.WriteAt(b, at)
}

func (f failingFile) Sync() error {
	f.f.mu.Lock()
	err := f.f.sync
	f.f.mu.Unlock()
	if err != nil {
		return err
	}
	return f.File.Sync()
}

// TestReplicaDisk: a full disk there is no acknowledgement, and is made good when
// there is room; a failed sync there ends that process.
func TestReplicaDisk(t *testing.T) {
	p := newPair(t)
	files := &failingFS{FS: lineage.OS()}
	ended := make(chan error, 16)
	p.receive(files, func(err error) { ended <- err })
	p.send()
	if _, err := p.append("before", 10*time.Second); err != nil {
		t.Fatal(err)
	}
	files.set(errors.New("no space left on device"), nil)
	if _, err := p.append("full", 300*time.Millisecond); !errors.Is(err, lineage.ErrLedgerUnavailable) {
		t.Errorf("on a full disk: %v", err)
	}
	files.set(nil, nil)
	if _, err := p.append("room", 10*time.Second); err != nil {
		t.Error(err)
	}
	if found := copied(t, p.copyDir); len(found) != 3 || found[2] != "full" {
		t.Errorf("the copy: %v", found)
	}
	files.set(nil, io.ErrUnexpectedEOF)
	if _, err := p.append("lie", 300*time.Millisecond); !errors.Is(err, lineage.ErrLedgerUnavailable) {
		t.Errorf("over a failed sync: %v", err)
	}
	select {
	case err := <-ended:
		if !lineage.IsSyncError(err) {
			t.Errorf("ended for %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("the replica goes on after a failed sync")
	}
	files.set(nil, nil)
}
