package index

import (
	"context"
	"math"
	"sync"
	"time"
)

// Run follows the log of this node until the context ends, which is no error.
// One at a time runs per log.
func (x *Index) Run(ctx context.Context) error {
	w := newWriter(x)
	defer w.close()
	for {
		share := w.turn()
		start := time.Now()
		n, err := w.step(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		pause := pauseAfter(time.Since(start), share)
		if n > 0 {
			x.applied.tell()
		} else {
			pause = max(pause, x.cfg.Poll)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// Load is how much others want the processors.
type Load uint8

// Loads.
const (
	Full  Load = iota // about as much as there is, or nobody knows
	Light             // some, and others are idle
	Idle              // not at all
)

// maxTags bounds the persons of a batch: a record may name a thousand.
const maxTags = 1 << 14

// turns are the bounds of a batch of [Index.Run] under each load, and the share of
// the time that it takes. Whoever waits for an answer beside a turn waits for the
// rest of it: some milliseconds where somebody does, while nobody does as much as
// makes a record cheapest.
var turns = [...]struct {
	records, tags int
	share         float64
}{
	Full:  {64, 1 << 12, 0},
	Light: {256, 1 << 13, 0.5},
	Idle:  {math.MaxInt, maxTags, 0.5},
}

// turn bounds the next batch and gives how much of the time is the index's now.
func (w *writer) turn() (share float64) {
	c, load := &w.index.cfg, Full
	if c.Load != nil {
		load = c.Load()
	}
	t := &turns[load]
	w.most, w.mostTags = min(c.Batch, t.records), t.tags
	return max(c.Share, t.share)
}

// pauseAfter is how long to leave the processor to those who wait for answers,
// after a batch that took so long.
func pauseAfter(took time.Duration, share float64) time.Duration {
	return time.Duration(float64(took) * (1 - share) / share)
}

// CatchUp reads the log to its present end.
func (x *Index) CatchUp(ctx context.Context) error {
	w := newWriter(x)
	defer w.close()
	for {
		if n, err := w.step(ctx); n == 0 || err != nil {
			return err
		}
		x.applied.tell()
	}
}

// Applied gives a channel that is closed when more of the log has been read.
func (x *Index) Applied() <-chan struct{} { return x.applied.wait() }

// notice wakes all who wait, once.
type notice struct {
	mu sync.Mutex
	ch chan struct{}
}

func (n *notice) wait() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ch == nil {
		n.ch = make(chan struct{})
	}
	return n.ch
}

func (n *notice) tell() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ch != nil {
		close(n.ch)
		n.ch = nil
	}
}
