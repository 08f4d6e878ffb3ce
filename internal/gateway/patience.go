package gateway

import (
	"context"
	"sync/atomic"
	"time"
)

// patience gives contexts that end a given time after they were asked for, or
// up to a second later. Whoever asks within one second gets the same one: a
// timer of its own for each answer would cost more than the waiting usually
// takes.
type patience struct {
	now     func() time.Time
	current atomic.Pointer[sharedDeadline]
}

type sharedDeadline struct {
	ctx    context.Context //nolint:containedctx // shared by all that wait
	cancel context.CancelFunc
	made   time.Time
}

// wait gives a context for at least the time d, the same d at every call.
func (p *patience) wait(d time.Duration) context.Context {
	now := p.now()
	for {
		c := p.current.Load()
		if c != nil && c.ctx.Err() == nil && !now.Before(c.made) && now.Sub(c.made) < time.Second {
			return c.ctx
		}
		next := &sharedDeadline{made: now}
		next.ctx, next.cancel = context.WithTimeout(context.Background(), d+time.Second)
		if p.current.CompareAndSwap(c, next) {
			return next.ctx // whose timer ends it: others wait by it too
		}
		next.cancel()
	}
}
