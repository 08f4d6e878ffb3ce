package control

import (
	"context"
	"fmt"
	"slices"

	generated "github.com/weir-data/weir/graph/control"
	"github.com/weir-data/weir/lineage/index"
)

// readKind is the kind of the data graph's records. Looks into the ledger are
// of another: a stream that showed them would show itself, for ever.
const readKind = "query"

// follow gives records as they come, oldest first, from now until the context
// ends. A failure of the index ends the stream; its reader opens another.
func (l *look) follow(ctx context.Context, department *string) (<-chan *generated.ReadRecord, error) {
	in := &generated.ReadFilter{Department: department}
	f, err := l.filter(in)
	if err != nil {
		return nil, err
	}
	f.Kind = readKind
	now, err := l.lineage.Index.AsOf(ctx)
	if err != nil {
		return nil, err
	}
	seen := place{}
	for _, s := range now {
		seen[s.Origin] = s.Sequence
	}
	out := make(chan *generated.ReadRecord)
	go func() {
		defer close(out)
		defer func() {
			if p := recover(); p != nil { // gqlgen's recovery is of other goroutines
				l.report(fmt.Errorf("%w: at %s", errPanic, panicPlace()))
			}
		}()
		for {
			more := l.lineage.Index.Applied()
			f.Open = l.open()
			reads, err := l.since(ctx, f, seen)
			if err != nil {
				return
			}
			for _, r := range slices.Backward(reads) {
				record := l.record(&r)
				select {
				case out <- &record:
				case <-ctx.Done():
					return
				}
			}
			select {
			case <-more:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

// place is how far a stream has come on each node's log.
type place map[string]uint64

func (p place) past(reads []index.Read) {
	for i := range reads {
		at := reads[i].Position
		p[at.Origin] = max(p[at.Origin], at.Sequence)
	}
}

// since gives the records beyond the place, newest first, and moves it on. Pages
// are read until one holds nothing new.
func (l *look) since(ctx context.Context, f index.Filter, seen place) ([]index.Read, error) {
	var out []index.Read
	var after *index.Place
	for {
		page, err := l.lineage.Index.Reads(ctx, f, 50, after)
		if err != nil {
			return nil, err
		}
		fresh := 0
		for _, r := range page.Reads {
			if r.Position.Sequence > seen[r.Position.Origin] {
				out = append(out, r)
				fresh++
			}
		}
		if after = page.Next; after == nil || fresh == 0 {
			seen.past(out)
			return out, nil
		}
	}
}
