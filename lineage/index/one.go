package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/weir-data/weir/lineage"
)

// Has reports whether the index knows a record at a position that fits the
// filter, of which Subject, Tag and Open count.
func (x *Index) Has(ctx context.Context, at lineage.Position, f Filter) (bool, error) {
	if err := x.ours(); err != nil {
		return false, err
	}
	ok, err := x.has(ctx, at, &f)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, x.unavailable(fmt.Errorf("record %s: %w", at, err))
	}
	return ok, nil
}

func (x *Index) has(ctx context.Context, at lineage.Position, f *Filter) (bool, error) {
	var time, origin, sealed int64
	var epoch uint32
	var subject string
	err := x.db.QueryRowContext(ctx,
		`SELECT r.time, r.origin, r.epoch, s.name, c.sealed
		 FROM origin o JOIN record r ON r.origin = o.id JOIN reader s ON s.id = r.reader
		 JOIN tally t ON t.id = r.tally JOIN pair p ON p.id = t.pair JOIN context c ON c.id = p.context
		 WHERE o.name = $1 AND r.sequence = $2`, at.Origin, int64(at.Sequence)). //nolint:gosec // 48 bits
		Scan(&time, &origin, &epoch, &subject, &sealed)
	if err != nil || epoch != at.Epoch || f.Subject != "" && f.Subject != subject {
		return false, err
	}
	if !f.Open.IsZero() && sealed > 0 && time+microsPerSecond*sealed > f.Open.UnixMicro() {
		return false, nil
	}
	if f.Tag == nil {
		return true, nil
	}
	tx, err := x.snapshot(ctx)
	if err != nil {
		return false, err
	}
	defer tx.Rollback()                                                     //nolint:errcheck // it wrote nothing
	this := Place{Time: time, Origin: origin, Sequence: int64(at.Sequence)} //nolint:gosec // 48 bits
	// From its time on, and before what comes after it.
	l := &look{tx: tx, tag: tagNumber(*f.Tag), from: time, before: time + 1, after: &Place{Time: time, Origin: origin, Sequence: this.Sequence + 1}, limit: 1}
	places, err := l.places(ctx)
	return len(places) == 1 && places[0].Place == this, err
}
