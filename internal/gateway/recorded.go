package gateway

import (
	"context"

	"github.com/weir-data/weir/lineage"
)

// recorded appends the record and waits until it is as durable as its level
// demands. The request's own deadline is for the sources: the record is written
// whether or not the reader still waits for his answer.
func (g *gate) recorded(x *exchange, o *outcome) (lineage.Position, error) {
	ctx := g.front.patience.wait(ledgerPatience)
	record := g.front.record(x, o)
	position, ticket, err := g.front.cfg.Ledger.Append(ctx, record)
	if err == nil {
		durability := g.front.durability(record.Level)
		if durability == lineage.Replicated {
			grace, cancel := context.WithTimeout(ctx, g.front.grace(record.Level))
			defer cancel()
			ctx = grace
		}
		err = ticket.Wait(ctx, durability)
	}
	return position, err
}
