// Package ledger commits to a lineage log: behind the log, batches of its frames
// become leaves of a tiled transparency log whose heads are signed.
//
// It promises: each record is in exactly one batch, in order, whatever ends the
// process at whichever step; only records that no power cut takes back are
// committed to; what is under a checkpoint can be proven to anyone who has the
// public key. It is behind the gate and never in its way: when it fails, answers
// go on, and its figures and the log tell. It does not check what others wrote;
// package lineage/verify does, and shares no code with this one.
package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/weir-data/weir/lineage"
)

// Errors of the ledger.
var (
	// ErrTree: the tree is not as this node left it, or cannot be written.
	ErrTree = errors.New("ledger tree")
	// ErrBehind: the tree commits to records that the log does not have: the log
	// was cut, or one of the two was restored from another copy.
	ErrBehind = errors.New("the ledger's tree commits to records that its log does not have")
	// ErrKey: the signing key cannot be used.
	ErrKey = errors.New("ledger key is not valid")
	// ErrUnknown: there is no such record.
	ErrUnknown = lineage.ErrUnknown
	// ErrPending: the record is not under a checkpoint yet.
	ErrPending = errors.New("the record is not under a checkpoint yet")
	// ErrWitness: the witnesses are not configured as they must be, or the first
	// checkpoint did not get the quorum that it needs.
	ErrWitness = errors.New("ledger witness")
)

// Log is what the ledger stands behind; *lineage.Log is one.
type Log interface {
	Origin() string
	Epoch() uint32
	// SyncedTo is the sequence up to which records are on disk for good.
	SyncedTo() uint64
}

// Config is what a ledger needs. Dir, Source and Key are required.
type Config struct {
	Dir    string // the log's folder; the tree is in its folder "tree"
	Source Log
	Key    *Key
	// Reading opens the data keys, so that proofs say what records hold. Without
	// it they prove that there is a record.
	Reading lineage.Sealer
	// Every is the least time between two batches. Default 50 ms. Batches that
	// take long come less often, but once in CheckpointEvery at least.
	Every time.Duration
	// Heartbeat is the most time between two batches. Default 60 s.
	Heartbeat time.Duration
	// CheckpointEvery is the least time between two checkpoints, at least
	// 100 ms. Default 1 s.
	CheckpointEvery time.Duration
	// Witnesses cosign the checkpoints; none by default.
	Witnesses Witnesses
	// Clock gives the batches' times. Default time.Now.
	Clock func() time.Time
	// Log tells of failures. Default: nobody.
	Log *slog.Logger
	// step is told each named step, for tests that end the process there.
	step func(string)
	// patience is how long a batch may wait for a checkpoint before that is told
	// in the log. Default 30 s, ten checkpoints, or what witnesses may take.
	patience time.Duration
}

func (c Config) withDefaults() (Config, error) {
	if c.Dir == "" || c.Source == nil || c.Key == nil {
		return c, fmt.Errorf("%w: no folder, log or key", ErrTree)
	}
	if c.Every <= 0 {
		c.Every = 50 * time.Millisecond
	}
	if c.Heartbeat <= 0 {
		c.Heartbeat = time.Minute
	}
	if c.CheckpointEvery <= 0 {
		c.CheckpointEvery = time.Second
	}
	if c.Witnesses.Timeout <= 0 {
		c.Witnesses.Timeout = 5 * time.Second
	}
	if c.patience <= 0 {
		c.patience = max(30*time.Second, 10*(c.CheckpointEvery+c.Witnesses.Timeout))
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.step == nil {
		c.step = func(string) {}
	}
	return c, nil
}

// maxBatch bounds a batch in frames, and so a proof's work.
const maxBatch = 1 << 16

// Stats are figures for metrics.
type Stats struct {
	Batches    int64  // leaves of the tree
	Committed  uint64 // sequence up to which records are in the tree
	Proven     uint64 // sequence up to which a checkpoint covers them
	Waiting    uint64 // records on disk that no checkpoint covers
	Failures   uint64 // attempts that failed, since the start
	Working    bool   // the last attempt did not
	Checkpoint time.Time
	// Witnesses are in the order of the configuration.
	Witnesses []WitnessStats
}

// Ledger builds the tree behind a log. Safe for concurrent use; whoever opened
// it closes it, before the log.
type Ledger struct {
	config Config
	tree   *tree
	files  reader
	check  note.Verifier

	// Of the builder alone.
	size   int64  // leaves
	next   uint64 // first sequence of the next batch
	frames *lineage.Frames
	leaves []tlog.Hash
	carry  []tlog.Hash // leaves of frames that were read and are in no batch yet
	beat   time.Time   // of the last batch
	lost   bool        // an attempt failed; the rest is to be found anew
	late   bool        // it was told that checkpoints are not made

	mu    sync.Mutex
	stats Stats
	ends  []span // batches that no checkpoint covers yet

	receipts receipts

	quit chan struct{}
	done chan struct{}
	once sync.Once
}

// span is the last sequence of the batches up to a size of the tree.
type span struct {
	size  int64
	last  uint64
	since time.Time // when the newest of them was added
}

// Open takes up the tree where it was left, or begins it, and builds it in the
// background. The log is open already, so its folder is this process's alone.
// It refuses a tree that is signed with another key or of another origin, one
// that is gone while the log has records, one whose newest tiles are gone or
// damaged, and one that commits to more than the log has (ErrBehind).
func Open(config Config) (*Ledger, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	l := &Ledger{
		config: config, files: reader{treeDir(config.Dir)},
		receipts: receipts{notes: map[uint64]string{}},
		quit:     make(chan struct{}), done: make(chan struct{}),
	}
	if l.check, err = note.NewVerifier(config.Key.public); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	if err := l.examine(); err != nil {
		return nil, err
	}
	if l.tree, err = openTree(config, l.files.dir); err != nil {
		return nil, err
	}
	if err := l.resume(); err != nil {
		l.tree.abandon()
		return nil, err
	}
	l.stats.Working = true
	go l.run()
	return l, nil
}

// examine looks at a tree before anything may write to it.
func (l *Ledger) examine() error {
	path := filepath.Join(l.files.dir, ".state", "treeState")
	text, err := os.ReadFile(path) //nolint:gosec // the operator's folder
	var state struct {
		Size int64
		Root []byte
	}
	if err == nil && (json.Unmarshal(text, &state) != nil || state.Size < 0 || len(state.Root) != tlog.HashSize) {
		return fmt.Errorf("%w: %s is damaged", ErrTree, path)
	}
	_, _, checkpointErr := l.files.checkpoint(l.check)
	switch {
	case checkpointErr == nil && err == nil:
		return l.files.edge(state.Size, tlog.Hash(state.Root))
	case errors.Is(checkpointErr, fs.ErrNotExist) && errors.Is(err, fs.ErrNotExist):
		// The first start makes the tree before it takes a record. Another tree
		// over the same records would be a second history under the same key.
		if synced := l.config.Source.SyncedTo(); synced > 0 {
			return fmt.Errorf("%w: %s is gone, and the log has records up to %d", ErrTree, l.files.dir, synced)
		}
		return nil
	case errors.Is(checkpointErr, fs.ErrNotExist) && err == nil:
		return nil // ended while it was being made
	case checkpointErr != nil && !errors.Is(checkpointErr, fs.ErrNotExist):
		return checkpointErr
	}
	return fmt.Errorf("%w: %s has a checkpoint and not the state behind it", ErrTree, l.files.dir)
}

// resume finds from the files where the next batch begins.
func (l *Ledger) resume() error {
	size, err := l.tree.size(context.Background())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrTree, err)
	}
	_, head, err := l.files.checkpoint(l.check)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if head.N > size {
		return fmt.Errorf("%w: the checkpoint covers %d batches, the tree has %d", ErrTree, head.N, size)
	}
	last := Batch{}
	if size > 0 {
		if last, err = l.files.leaf(size, size-1); err != nil {
			return fmt.Errorf("%w: the newest batch cannot be read: %w", ErrTree, err)
		}
		if last.Origin != l.config.Source.Origin() {
			return fmt.Errorf("%w: it belongs to the log of origin %q", ErrTree, last.Origin)
		}
	}
	if synced := l.config.Source.SyncedTo(); last.Last > synced {
		return fmt.Errorf("%w: up to %d, the log ends at %d", ErrBehind, last.Last, synced)
	}
	if l.frames != nil {
		l.frames.Close()
	}
	l.size, l.next, l.carry = size, last.Last+1, l.carry[:0]
	l.frames = lineage.NewFrames(l.config.Dir, last.Last)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ends = []span{{size: size, last: last.Last}}
	l.stats.Batches, l.stats.Committed = size, last.Last
	return nil
}

// run builds until the ledger is closed.
func (l *Ledger) run() {
	defer close(l.done)
	timer := time.NewTimer(l.config.Every)
	defer timer.Stop()
	l.beat = l.config.Clock()
	for {
		closing := false
		select {
		case <-timer.C:
		case <-l.quit:
			closing = true
		}
		start := time.Now()
		err := l.build()
		l.note(err)
		l.look()
		l.hurry()
		timer.Reset(l.until(time.Since(start)))
		if closing {
			return
		}
		if err != nil {
			l.pause()
		}
	}
}

// share is which part of the time batches may take, one in so many: the disk
// and the processor are the gate's first.
const share = 20

// until is how long the next batch waits after one that took so long: the least
// time, more where the machine is busy, and never more than until the next
// checkpoint, before which nothing in a batch can be proven by it.
func (l *Ledger) until(took time.Duration) time.Duration {
	return max(l.config.Every-took, min((share-1)*took, l.config.CheckpointEvery))
}

// retryEvery is the pause after a failure.
const retryEvery = time.Second

func (l *Ledger) pause() {
	t := time.NewTimer(retryEvery)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.quit:
	}
}

// build makes batches of what is there.
func (l *Ledger) build() (err error) {
	defer func() {
		// A fault here must not end the gate's process; it shows in the figures.
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", ErrTree, r)
		}
		if err != nil {
			// What the tree holds now is read from its files, before anything
			// is added to it again: what was read ahead is in no batch.
			l.lost = true
		}
	}()
	if l.lost {
		if err := l.resume(); err != nil {
			return err
		}
		l.lost = false
	}
	// A heartbeat says that there was nothing; a clock that went back only
	// begins the wait anew.
	now := l.config.Clock()
	if now.Before(l.beat) {
		l.beat = now
	}
	to := l.config.Source.SyncedTo()
	if l.next > to && now.Sub(l.beat) < l.config.Heartbeat {
		return nil
	}
	for first := true; first || l.next <= to; first = false {
		if err := l.batch(to); err != nil {
			return err
		}
	}
	l.beat = now
	return nil
}

// batch adds one leaf: the records up to a sequence, of one epoch, or none.
func (l *Ledger) batch(to uint64) error {
	b := Batch{
		Origin: l.config.Source.Origin(), Epoch: l.config.Source.Epoch(),
		First: l.next, Last: l.next - 1, Time: l.config.Clock().UnixMicro(),
	}
	l.leaves = append(l.leaves[:0], l.carry...)
	sealed := 0 // frames up to the last record
	for b.Last < to && sealed < maxBatch {
		f, err := l.frames.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%w: the log's files end before record %d", ErrTree, b.Last+1)
		}
		if err != nil {
			return err
		}
		l.leaves = append(l.leaves, leafOf(&f))
		if sealed > 0 && f.Epoch != b.Epoch {
			break // of the next batch
		}
		b.Epoch = f.Epoch
		if f.Record {
			if f.Sequence != b.Last+1 {
				return fmt.Errorf("%w: record %d follows %d", ErrTree, f.Sequence, b.Last)
			}
			b.Last, sealed = f.Sequence, len(l.leaves)
		}
	}
	b.Frames, b.Root = sealed, rootOf(l.leaves[:sealed])
	l.carry = append(l.carry[:0], l.leaves[sealed:]...)
	return l.add(b)
}

// add makes a batch the tree's next leaf.
func (l *Ledger) add(b Batch) error {
	l.config.step("batched")
	ctx, cancel := context.WithTimeout(context.Background(), addTimeout)
	defer cancel()
	index, err := l.tree.add(ctx, b.text())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrTree, err)
	}
	if index != l.size {
		return fmt.Errorf("%w: the batch became leaf %d, expected %d", ErrTree, index, l.size)
	}
	l.config.step("added")
	l.size, l.next = index+1, b.Last+1
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Batches, l.stats.Committed = l.size, b.Last
	l.ends = append(l.ends, span{l.size, b.Last, time.Now()})
	return nil
}

// addTimeout bounds one attempt.
const addTimeout = 30 * time.Second

// Stats gives the figures of this moment.
func (l *Ledger) Stats() Stats {
	synced := l.config.Source.SyncedTo()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.Witnesses = l.tree.witnesses()
	s.Waiting = synced - min(synced, s.Proven)
	return s
}

// Close commits to what the log has on disk by now, waits a while for the
// checkpoint over it, and ends the background work. What could not be finished
// is an error; the next start takes it up.
func (l *Ledger) Close() (err error) {
	l.once.Do(func() {
		close(l.quit)
		<-l.done
		err = l.tree.close(context.Background())
		l.look()
		l.frames.Close()
	})
	return err
}
