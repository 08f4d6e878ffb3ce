package exec

import (
	"context"
	"sync"
	"time"
)

// deadline is a context that ends at a moment, as context.WithDeadline's does.
// It makes its timer when somebody first asks for what ends with it: an adapter
// that looks at the deadline alone, as most fetches of one row are answered,
// does not pay for one. Safe for concurrent use; whoever made it stops it.
type deadline struct {
	context.Context //nolint:containedctx // the parent

	at time.Time // not after the parent's own

	mu     sync.Mutex
	timed  context.Context //nolint:containedctx // nil until somebody asks for Done
	cancel context.CancelFunc
}

// withDeadline gives the parent that moment as its end, if it has no earlier.
func withDeadline(parent context.Context, at time.Time) *deadline {
	if earlier, ok := parent.Deadline(); ok && earlier.Before(at) {
		at = earlier
	}
	return &deadline{Context: parent, at: at}
}

// Deadline is part of context.Context.
func (d *deadline) Deadline() (time.Time, bool) { return d.at, true }

// Done is part of context.Context.
func (d *deadline) Done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timed == nil {
		d.timed, d.cancel = context.WithDeadline(d.Context, d.at)
	}
	return d.timed.Done()
}

// Err is part of context.Context.
func (d *deadline) Err() error {
	if timed := d.made(); timed != nil {
		return timed.Err()
	}
	if err := d.Context.Err(); err != nil {
		return err
	}
	if !time.Now().Before(d.at) {
		return context.DeadlineExceeded
	}
	return nil
}

// Value is part of context.Context. Package context finds by it what its own
// contexts hang on; else it would need a goroutine for each child of this one.
func (d *deadline) Value(key any) any {
	if timed := d.made(); timed != nil {
		return timed.Value(key)
	}
	return d.Context.Value(key)
}

func (d *deadline) made() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.timed
}

// stop gives back the timer, if there is one; what waits for Done goes on.
func (d *deadline) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cancel != nil {
		d.cancel()
	}
}
