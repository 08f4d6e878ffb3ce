//go:build unix

package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
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
}

// setLog is the one setting of tessera's logger, which is the process's: to set
// it again would race with the goroutines of a tree that is closing.
var setLog sync.Once

// logTo sends tessera's own log lines where ours go, not to standard error.
func logTo(log *slog.Logger) { setLog.Do(func() { klog.SetSlogLogger(log) }) }

// openTree opens or makes the tree in a folder. ctx bounds the opening alone.
func openTree(c Config, dir string) (*tree, error) {
	logTo(c.Log)
	ctx, cancel := context.WithCancel(context.Background())
	t := &tree{dir: dir, cancel: cancel}
	driver, err := posix.New(ctx, posix.Config{Path: dir})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("%w: %w", ErrTree, err)
	}
	options := tessera.NewAppendOptions().
		WithCheckpointSigner(c.Key.signer).
		WithBatching(1, c.Every). // one leaf is one of our batches already
		WithCheckpointInterval(c.CheckpointEvery).
		WithCheckpointRepublishInterval(max(c.Heartbeat, c.CheckpointEvery)).
		WithShutdownTimeout(10 * time.Second)
	if t.appender, t.shutdown, t.reader, err = tessera.NewAppender(ctx, driver, options); err != nil {
		cancel()
		return nil, fmt.Errorf("%w: %w", ErrTree, err)
	}
	return t, nil
}

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
	t.cancel()
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: no checkpoint covers the last batches yet; the next start makes it: %w", ErrTree, err)
	}
	return err
}

// abandon ends the tree's work at once.
func (t *tree) abandon() { t.cancel() }
