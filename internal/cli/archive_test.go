package cli

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-data/weir/internal/config"
	"github.com/weir-data/weir/internal/keyring"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/lineage/replica"
)

// stuckFS is a disk whose syncs wait, from the next write on once it is told to.
type stuckFS struct {
	lineage.FS
	told, stuck atomic.Bool
	end         chan struct{}
}

type stuckFile struct {
	lineage.File
	fs *stuckFS
}

func (s *stuckFS) Create(path string) (lineage.File, error) {
	f, err := s.FS.Create(path)
	return stuckFile{f, s}, err
}

func (s *stuckFS) Open(path string, write bool) (lineage.File, error) {
	f, err := s.FS.Open(path, write)
	return stuckFile{f, s}, err
}

func (f stuckFile) WriteAt(b []byte, at int64) (int, error) {
	if f.fs.told.Load() {
		f.fs.stuck.Store(true)
	}
	return f.File.WriteAt(b, at)
}

func (f stuckFile) Sync() error {
	if f.fs.stuck.Load() {
		<-f.fs.end
	}
	return f.File.Sync()
}

// TestAcknowledged: a second machine that is there and has not synced all that
// would be archived keeps it here.
func TestAcknowledged(t *testing.T) {
	dir := t.TempDir()
	ring, err := keyring.Generate()
	if err != nil {
		t.Fatal(err)
	}
	log, err := lineage.Open(lineage.Config{Dir: filepath.Join(dir, "ledger"), Origin: "node-a", Reading: ring.Box(useReading)})
	if err != nil {
		t.Fatal(err)
	}
	add := func() uint64 {
		at, ticket, err := log.Append(t.Context(), &lineage.Record{Kind: "query", Status: "ok"})
		if err == nil {
			err = ticket.Wait(t.Context(), lineage.Synced)
		}
		if err != nil {
			t.Fatal(err)
		}
		return at.Sequence
	}
	identity := func(name string) *replica.Identity {
		i, err := replica.OpenIdentity(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	second := identity("second.key")
	node, err := replica.ParsePublic(identity("node.key").Public())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	disk := &stuckFS{FS: lineage.OS(), end: make(chan struct{})}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- replica.Receive(ctx, l, replica.ReceiverConfig{Dir: filepath.Join(dir, "second"), Identity: second, Node: node, Files: disk, Fatal: func(err error) { t.Error(err) }})
	}()
	t.Cleanup(func() {
		stop()
		close(disk.end)
		if err := errors.Join(<-done, log.Close()); err != nil {
			t.Error(err)
		}
	})
	cfg := config.Default()
	cfg.Ledger.Folder = filepath.Join(dir, "ledger")
	cfg.Ledger.Replica.Address, cfg.Ledger.Replica.Key, cfg.Ledger.Replica.Identity = l.Addr().String(), second.Public(), filepath.Join(dir, "node.key")
	if err := acknowledged(t.Context(), cfg, log, add(), 20*time.Second); err != nil {
		t.Errorf("what it has: %v", err)
	}
	disk.told.Store(true)
	if err := acknowledged(t.Context(), cfg, log, add(), 2*time.Second); err == nil || !strings.Contains(err.Error(), "has records up to 1, and up to 2 would be archived") {
		t.Errorf("what it has not: %v", err)
	}
}
