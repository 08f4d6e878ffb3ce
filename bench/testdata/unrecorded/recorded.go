package gateway

import (
	"sync/atomic"

	"github.com/weir-data/weir/lineage"
)

// unrecorded counts answers, so that receipts are as long as real ones.
var unrecorded atomic.Uint64

// recorded lets an answer leave without a record. The benchmark builds a program
// with it, to find what the record costs; no other program has it.
func (*gate) recorded(*exchange, *outcome) (lineage.Position, error) {
	return lineage.Position{Origin: "node-1", Epoch: 1, Sequence: unrecorded.Add(1)}, nil
}
