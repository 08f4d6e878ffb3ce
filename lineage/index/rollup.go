package index

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/weir-data/weir/lineage"
)

const (
	microsPerSecond = 1_000_000
	microsPerDay    = 24 * 60 * 60 * microsPerSecond
)

// dayKey names a row of the rollups of one origin.
type dayKey struct{ tally, day int64 }

// figures are what the records of a tally and a day sum up to.
type figures struct {
	reads, uncounted, first, last int64
	cells                         []uint64
	people                        crowd
}

// maxDays bounds the rollups that are held in memory; the days before today's
// are hardly asked for.
const maxDays = 20_000

const (
	findRollup = `SELECT reads, uncounted, first, last, cells, people FROM rollup WHERE tally = $1 AND day = $2 AND origin = $3`
	putRollup  = `INSERT INTO rollup (tally, day, origin, reads, uncounted, first, last, cells, people)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (tally, day, origin) DO UPDATE SET reads = excluded.reads,
		uncounted = excluded.uncounted, first = excluded.first, last = excluded.last, cells = excluded.cells, people = excluded.people`
)

// count adds a record to the figures of its day. The fields of one record went
// to one reader for one purpose about the same people, so these are counted
// once, not for every field.
func (b *batch) count(ctx context.Context, origin int64, t *tally, r *lineage.Record, at int64) error {
	f, err := b.figures(ctx, origin, dayKey{t.id, at / microsPerDay}, t, at)
	if err != nil {
		return err
	}
	b.touched[f] = struct{}{}
	f.reads++
	f.first, f.last = min(f.first, at), max(f.last, at)
	for i, c := range t.cells {
		f.cells[i] += uint64(cellsOf(r, c.use, c.outcome))
	}
	if len(r.Tags) == 0 && !t.shared() {
		f.uncounted += int64(r.TagCount)
	}
	if err := f.people.add(t, r); err != nil {
		return fmt.Errorf("people of tally %d: %w", t.id, err)
	}
	return nil
}

// figures finds a day's, in memory or in the table.
func (b *batch) figures(ctx context.Context, origin int64, key dayKey, t *tally, at int64) (*figures, error) {
	if f := b.writer.days[key]; f != nil {
		return f, nil
	}
	f := &figures{first: at, last: at, cells: make([]uint64, len(t.cells))}
	var cells, people []byte
	err := b.writer.statement(findRollup).row(ctx, b.tx, []any{key.tally, key.day, origin}, &f.reads, &f.uncounted, &f.first, &f.last, &cells, &people)
	switch {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return nil, err
	default:
		if f.people, err = readCrowd(people, nil); err != nil {
			return nil, fmt.Errorf("people of tally %d: %w", key.tally, err)
		}
		if f.cells, err = addCells(cells, f.cells); err != nil {
			return nil, err
		}
	}
	b.writer.days[key] = f
	return f, nil
}

// putFigures writes the rows that the batch changed, which are this origin's
// own.
func (b *batch) putFigures(ctx context.Context, origin int64) error {
	days := b.writer.days
	keys := make([]dayKey, 0, len(b.touched))
	for k, f := range days {
		if _, ok := b.touched[f]; ok {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(x, y dayKey) int { return cmp.Or(cmp.Compare(x.tally, y.tally), cmp.Compare(x.day, y.day)) })
	var newest int64
	for _, k := range keys {
		f := days[k]
		people, err := f.people.bytes()
		if err != nil {
			return err
		}
		if err := b.writer.statement(putRollup).exec(ctx, b.tx, k.tally, k.day, origin, f.reads, f.uncounted, f.first, f.last, appendCells(nil, f.cells), people); err != nil {
			return err
		}
		newest = max(newest, k.day)
	}
	if len(days) > maxDays {
		maps.DeleteFunc(days, func(k dayKey, _ *figures) bool { return k.day < newest })
	}
	if len(days) > maxDays {
		clear(days)
	}
	return nil
}

func appendCells(b []byte, cells []uint64) []byte {
	if b == nil {
		b = []byte{} // NOT NULL
	}
	for _, n := range cells {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

var errCells = fmt.Errorf("%w: the cells of a rollup do not parse", ErrDamaged)

// addCells adds the cells of a row to a sum, which may be of none yet.
func addCells(b []byte, to []uint64) ([]uint64, error) {
	fresh, i := to == nil, 0
	for ; len(b) > 0; i++ {
		v, n := binary.Uvarint(b)
		if n <= 0 || !fresh && i >= len(to) {
			return nil, errCells
		}
		if fresh {
			to = append(to, 0)
		}
		to[i] += v
		b = b[n:]
	}
	if i != len(to) {
		return nil, errCells
	}
	return to, nil
}
