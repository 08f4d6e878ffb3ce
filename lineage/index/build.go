package index

import (
	"context"
	"strings"
)

// An index that is made anew has no orders of records to keep while they go in:
// they are appended, and sorted once at the end, which takes a fraction of the time
// and of the writing that it takes to put each where it belongs. Persons need no
// such care: their runs are sorted and appended always.

var onlyMissing = strings.NewReplacer("CREATE INDEX", "CREATE INDEX IF NOT EXISTS")

// built ends building, when the log has been read to its present end.
func (w *writer) built(ctx context.Context) error {
	if !w.index.building {
		return nil
	}
	return w.index.unavailable(w.index.build(ctx))
}

// build sorts. A build that was cut short can be taken up again, which is why
// each step commits for itself.
func (x *Index) build(ctx context.Context) error {
	// Two processes cannot build: reindex and the server exclude each other.
	for _, s := range statements(onlyMissing.Replace(indexes)) {
		if _, err := x.db.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	if _, err := x.db.ExecContext(ctx, `DELETE FROM meta WHERE name = 'building'`); err != nil {
		return err
	}
	x.building = false
	if x.cfg.Driver == Postgres {
		// Else it plans for empty tables until it gets to it by itself.
		_, err := x.db.ExecContext(ctx, `ANALYZE record, run, chunk, rollup, cell, flow, tally, pair, context, shape, shape_use`)
		return err
	}
	return nil
}
