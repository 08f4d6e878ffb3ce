//go:build unix

package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"k8s.io/klog/v2"
)

// tree is the tiled log on disk, as tessera writes it.
type tree struct {
	dir      string
	appender *tessera.Appender
	reader   tessera.LogReader
	shutdown func(context.Context) error
	cancel   context.CancelFunc
	guard    *guard
}

// setLog is the one setting of tessera's logger, which is the process's: to set
// it again would race with the goroutines of a tree that is closing.
var setLog sync.Once

// logTo sends tessera's own log lines where ours go, not to standard error.
func logTo(log *slog.Logger) {
	setLog.Do(func() { klog.SetSlogLogger(slog.New(aside{log.Handler()})) })
}

// aside makes tessera's information ours for debugging: that a new tree has no
// checkpoint yet reads like a failure.
type aside struct{ slog.Handler }

// Enabled is part of slog.Handler.
func (h aside) Enabled(ctx context.Context, level slog.Level) bool {
	return h.Handler.Enabled(ctx, lowered(level))
}

// Handle is part of slog.Handler.
func (h aside) Handle(ctx context.Context, r slog.Record) error {
	r.Level = lowered(r.Level)
	return h.Handler.Handle(ctx, r)
}

// WithAttrs is part of slog.Handler.
func (h aside) WithAttrs(attrs []slog.Attr) slog.Handler { return aside{h.Handler.WithAttrs(attrs)} }

// WithGroup is part of slog.Handler.
func (h aside) WithGroup(name string) slog.Handler { return aside{h.Handler.WithGroup(name)} }

func lowered(level slog.Level) slog.Level {
	if level == slog.LevelInfo {
		return slog.LevelDebug
	}
	return level
}

// openTree opens or makes the tree in a folder. ctx bounds the opening alone.
func openTree(c Config, dir string) (*tree, error) {
	logTo(c.Log)
	ctx, cancel := context.WithCancel(context.Background())
	t := &tree{dir: dir, cancel: cancel, guard: newGuard(&c)}
	group, err := t.guard.group(c.Witnesses)
	if err != nil {
		t.abandon()
		return nil, err
	}
	driver, err := posix.New(ctx, posix.Config{Path: dir, HTTPClient: t.guard.client()})
	if err != nil {
		t.abandon()
		return nil, fmt.Errorf("%w: %w", ErrTree, err)
	}
	options := tessera.NewAppendOptions().
		WithCheckpointSigner(c.Key.signer).
		WithBatching(1, c.Every). // one leaf is one of our batches already
		WithCheckpointInterval(c.CheckpointEvery).
		WithCheckpointRepublishInterval(max(c.Heartbeat, c.CheckpointEvery)).
		WithShutdownTimeout(10 * time.Second)
	if len(c.Witnesses.List) > 0 {
		options = options.WithWitnesses(group, &tessera.WitnessOptions{Timeout: c.Witnesses.Timeout, FailOpen: c.Witnesses.Quorum == 0})
	}
	if t.appender, t.shutdown, t.reader, err = tessera.NewAppender(ctx, driver, options); err != nil {
		t.abandon()
		if c.Witnesses.Quorum > 0 && t.guard.failing() {
			return nil, fmt.Errorf("%w: the first checkpoint needs %d cosignatures: %w", ErrWitness, c.Witnesses.Quorum, err)
		}
		return nil, fmt.Errorf("%w: %w", ErrTree, err)
	}
	return t, nil
}

// group makes the storage's policy. Without a quorum it waits for all, and goes
// on with those that came.
func (g *guard) group(w Witnesses) (tessera.WitnessGroup, error) {
	if w.Quorum < 0 || w.Quorum > len(w.List) {
		return tessera.WitnessGroup{}, fmt.Errorf("%w: a quorum of %d of %d", ErrWitness, w.Quorum, len(w.List))
	}
	group := tessera.WitnessGroup{N: w.Quorum}
	if w.Quorum == 0 {
		group.N = len(w.List)
	}
	for _, one := range w.List {
		u, err := url.Parse(one.URL)
		if err != nil || u.Host == "" {
			return group, fmt.Errorf("%w: %q is not the URL of a witness", ErrWitness, one.URL)
		}
		witness, err := tessera.NewWitness(one.Key, u)
		if err != nil || !cosigns(one.Key) {
			return group, fmt.Errorf("%w: %q is not the public key of a witness (name+hash+base64, of type 4)", ErrWitness, one.Key)
		}
		if slices.ContainsFunc(g.list, func(s *witnessState) bool {
			return s.url == witness.URL || s.verifier.Name() == witness.Key.Name()
		}) {
			return group, fmt.Errorf("%w: %s at %s is named twice", ErrWitness, witness.Key.Name(), one.URL)
		}
		g.add(witness.URL, witness.Key)
		group.Components = append(group.Components, witness)
	}
	return group, nil
}

func (t *tree) witnesses() []WitnessStats { return t.guard.stats() }

// size is how many leaves the tree has, under a checkpoint or not yet.
func (t *tree) size(ctx context.Context) (int64, error) {
	n, err := t.reader.IntegratedSize(ctx)
	return int64(n), err
}

// add appends a leaf and gives its index; the leaf is on disk then. After an
// error it may be there or not.
func (t *tree) add(ctx context.Context, leaf []byte) (int64, error) {
	// The storage ends the process where it cannot open its lock; a full table
	// of open files shows here first.
	if err := t.probe(); err != nil {
		return 0, err
	}
	index, err := t.appender.Add(ctx, tessera.NewEntry(leaf))()
	return int64(index.Index), err
}

func (t *tree) probe() error {
	f, err := os.OpenFile(filepath.Join(t.dir, ".state", "treeState.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// close waits until a checkpoint covers what was added, and ends the tree's
// work.
func (t *tree) close(ctx context.Context) error {
	err := t.shutdown(ctx)
	t.abandon()
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: no checkpoint covers the last batches yet; the next start makes it: %w", ErrTree, err)
	}
	return err
}

// abandon ends the tree's work at once.
func (t *tree) abandon() {
	t.cancel()
	t.guard.close()
}
