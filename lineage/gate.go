package lineage

import (
	"context"

	"github.com/weir-data/weir/schema"
)

// Gate is what a response waits at. It knows which level waits for what; the
// caller sends bytes only after Release returned nil. Safe for concurrent use.
type Gate struct {
	log     *Log
	written schema.Rank
}

// NewGate makes the gate of a log. Answers that touched nothing above lowest go
// once their record is written; all others once it is synced.
func NewGate(log *Log, lowest schema.Rank) *Gate { return &Gate{log: log, written: lowest} }

// Append gives the record its position, for the receipt, and queues it; see
// [Log.Append].
func (g *Gate) Append(ctx context.Context, r *Record) (Position, *Ticket, error) {
	return g.log.Append(ctx, r)
}

// Durability is what answers of a level wait for.
func (g *Gate) Durability(level schema.Rank) Durability {
	if level <= g.written {
		return Written
	}
	return Synced
}

// Release returns nil when an answer that touched the level may leave. Any error
// is an ErrLedgerUnavailable, after which nothing of the answer may.
func (g *Gate) Release(ctx context.Context, t *Ticket, level schema.Rank) error {
	return t.Wait(ctx, g.Durability(level))
}

// Healthy is nil while answers can be released, for /readyz.
func (g *Gate) Healthy() error { return g.log.Healthy() }

// Stats gives the figures of the log.
func (g *Gate) Stats() Stats { return g.log.Stats() }
