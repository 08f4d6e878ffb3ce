package gateway

import (
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-data/weir/lineage"
)

// answered counts answers, so that receipts are as long as real ones.
var answered atomic.Uint64

// recordSize is about what a record of a few fields takes, in bytes.
const recordSize = 130

// roomSize is how many bytes are written over again and again. They are there
// before the first sync, as in the log, so that none waits for the file to grow.
const roomSize = 1 << 24

// linger is how long a group fills when the one before was of several answers, as
// in the log.
const linger = 250 * time.Microsecond

// synced brings answers' bytes to disk in groups, and does nothing else: one
// group fills while another is synced.
type synced struct {
	mu    sync.Mutex
	group *syncedGroup // nil when nobody waits
	wake  chan struct{}
	file  lineage.File
}

type syncedGroup struct {
	bytes []byte
	done  chan struct{} // closed when err is there
	err   error
}

var start = sync.OnceValues(func() (*synced, error) {
	dir, err := os.MkdirTemp("", "synced")
	if err != nil {
		return nil, err
	}
	file, err := lineage.OS().Create(filepath.Join(dir, "bytes"))
	if err != nil {
		return nil, err
	}
	if err := os.RemoveAll(dir); err != nil { // the file is gone with the process
		return nil, err
	}
	if _, err := file.WriteAt(make([]byte, roomSize), 0); err != nil {
		return nil, err
	}
	s := &synced{wake: make(chan struct{}, 1), file: file}
	go s.run()
	return s, file.Sync()
})

func (s *synced) run() {
	at, several := 0, false
	for range s.wake {
		if several {
			time.Sleep(linger)
		}
		s.mu.Lock()
		g := s.group
		s.group = nil
		s.mu.Unlock()
		if at+len(g.bytes) > roomSize {
			at = 0
		}
		if _, g.err = s.file.WriteAt(g.bytes, int64(at)); g.err == nil {
			g.err = s.file.Sync()
		}
		at += len(g.bytes)
		several = len(g.bytes) > recordSize
		close(g.done)
	}
}

func (s *synced) append() *syncedGroup {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.group == nil {
		s.group = &syncedGroup{done: make(chan struct{})}
		s.wake <- struct{}{} // there is room: the one before was taken with its group
	}
	s.group.bytes = append(s.group.bytes, make([]byte, recordSize)...)
	return s.group
}

// recorded lets an answer leave when some bytes, which say nothing, are on disk.
// The benchmark builds a program with it, to find what the wait for the disk
// costs whatever is written; no other program has it.
func (g *gate) recorded(*exchange, *outcome) (lineage.Position, error) {
	s, err := start()
	if err != nil {
		return lineage.Position{}, err
	}
	group := s.append()
	<-group.done
	return lineage.Position{Origin: "node-1", Epoch: 1, Sequence: answered.Add(1)}, group.err
}
