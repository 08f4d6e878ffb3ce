package index

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// snapshot is a transaction that sees one moment, so that what is merged
// meanwhile is seen once. It holds a connection: nothing else of the index may be
// asked before it has ended.
func (x *Index) snapshot(ctx context.Context) (*sql.Tx, error) {
	options := &sql.TxOptions{ReadOnly: true}
	if x.cfg.Driver == Postgres {
		options.Isolation = sql.LevelRepeatableRead
	}
	return x.db.BeginTx(ctx, options)
}

// look looks for the postings of one tag, within bounds, newest first.
type look struct {
	tx           *sql.Tx
	tag          int64
	from, before int64
	after        *Place
	limit        int
	found        []place
	list         []posting // of a chunk
}

const (
	runsBetween  = `SELECT id, origin, newest FROM run WHERE newest >= $1 AND oldest < $2 ORDER BY newest DESC`
	chunksBefore = `SELECT tag, time, sequence, postings FROM chunk WHERE run = $1 AND (tag, time, sequence) < ($2, $3, $4)
		ORDER BY tag DESC, time DESC, sequence DESC LIMIT `
)

// places finds the newest places, limit of them at most. Runs are of some time
// each, the large ones of long ones: those that are older than what was found are
// not looked into.
func (l *look) places(ctx context.Context) ([]place, error) {
	before := l.before
	if l.after != nil && l.after.Time < before {
		before = l.after.Time + 1
	}
	rows, err := l.tx.QueryContext(ctx, runsBetween, l.from, before)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // read to the end or given up
	type found struct{ id, origin, newest int64 }
	var runs []found
	for rows.Next() {
		var r found
		if err := rows.Scan(&r.id, &r.origin, &r.newest); err != nil {
			return nil, err
		}
		runs = append(runs, r)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	for _, r := range runs {
		if len(l.found) == l.limit && l.found[l.limit-1].Time > r.newest {
			break
		}
		if err := l.in(ctx, r.id, r.origin); err != nil {
			return nil, fmt.Errorf("run %d: %w", r.id, err)
		}
		slices.SortFunc(l.found, newer)
		l.found = l.found[:min(len(l.found), l.limit)]
	}
	return l.found, nil
}

// end is where, in the order of one node's records, those that are asked for end.
func (l *look) end(origin int64) (time, sequence int64) {
	a := l.after
	switch {
	case a == nil || a.Time >= l.before:
		return l.before, math.MinInt64
	case origin < a.Origin:
		return a.Time + 1, math.MinInt64
	case origin == a.Origin:
		return a.Time, a.Sequence
	default:
		return a.Time, math.MinInt64
	}
}

// in finds the newest places in one run.
func (l *look) in(ctx context.Context, run, origin int64) error {
	time, sequence := l.end(origin)
	end := posting{tag: l.tag, time: time, sequence: sequence}
	begin := posting{tag: l.tag, time: l.from, sequence: math.MinInt64}
	mark := len(l.found)
	for at, limit := end, 1; ; limit = min(2*limit, 16) {
		chunks, err := l.chunks(ctx, run, at, limit)
		if err != nil {
			return err
		}
		for _, c := range chunks {
			if l.list, err = readTag(l.list[:0], c.postings, c.first.tag, l.tag); err != nil {
				return err
			}
			for _, p := range slices.Backward(l.list) {
				if p.compare(end) < 0 && p.compare(begin) >= 0 {
					l.found = append(l.found, place{Place: Place{Time: p.time, Origin: origin, Sequence: p.sequence}, from: p.from})
				}
				if len(l.found)-mark == l.limit {
					return nil
				}
			}
			if at = c.first; at.compare(begin) < 0 {
				return nil // what is before it is all before
			}
		}
		if len(chunks) < limit {
			return nil
		}
	}
}

// storedChunk is a row of table chunk.
type storedChunk struct {
	first    posting
	postings []byte
}

func (l *look) chunks(ctx context.Context, run int64, before posting, limit int) (out []storedChunk, err error) {
	rows, err := l.tx.QueryContext(ctx, chunksBefore+strconv.Itoa(limit), run, before.tag, before.time, before.sequence)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // read to the end or given up
	for rows.Next() {
		var c storedChunk
		if err := rows.Scan(&c.first.tag, &c.first.time, &c.first.sequence, &c.postings); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// person walks the records about one person.
func (q *query) person(ctx context.Context, after *Place, want, limit int) (walked, error) {
	tx, err := q.index.snapshot(ctx)
	if err != nil {
		return walked{}, err
	}
	defer tx.Rollback() //nolint:errcheck // it wrote nothing
	from, before := q.filter.asked()
	l := &look{tx: tx, tag: tagNumber(*q.filter.Tag), from: from, before: before, after: after, limit: limit}
	places, err := l.places(ctx)
	if err != nil {
		return walked{}, err
	}
	more := len(places) == limit
	s := q.sieve(want)
	for len(places) > 0 && !s.full() {
		// A page is made of some and not of all that a person has.
		some := places[:min(len(places), max(2*want, 64))]
		places = places[len(some):]
		records, err := q.recordsAt(ctx, tx, some)
		if err != nil {
			return walked{}, err
		}
		for _, p := range some {
			if s.full() {
				break
			}
			r := records[p.Place]
			p.tally = r.tally
			if q.reader != 0 && r.reader != q.reader {
				s.pass(p)
				continue
			}
			s.take(p, r.request)
		}
	}
	return s.walked(more), nil
}

// recordAt is what a walk needs to know of a record.
type recordAt struct {
	tally, reader int64
	request       []byte
}

func (q *query) recordsAt(ctx context.Context, tx *sql.Tx, places []place) (map[Place]recordAt, error) {
	out := make(map[Place]recordAt, len(places))
	byOrigin := make(map[int64][]string)
	for _, p := range places {
		byOrigin[p.Origin] = append(byOrigin[p.Origin], strconv.FormatInt(p.Sequence, 10))
	}
	for origin, sequences := range byOrigin {
		if err := q.recordsOf(ctx, tx, origin, strings.Join(sequences, ", "), out); err != nil {
			return nil, err
		}
	}
	for _, p := range places {
		if _, ok := out[p.Place]; !ok {
			return nil, fmt.Errorf("%w: the person's record %d is not there", ErrDamaged, p.Sequence)
		}
	}
	return out, nil
}

func (q *query) recordsOf(ctx context.Context, tx *sql.Tx, origin int64, sequences string, to map[Place]recordAt) error {
	rows, err := tx.QueryContext(ctx, `SELECT r.sequence, r.time, r.tally, r.reader`+q.request()+
		` FROM record r WHERE r.origin = $1 AND r.sequence IN (`+sequences+`)`, origin)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // read to the end or given up
	for rows.Next() {
		at, r := Place{Origin: origin}, recordAt{}
		if err := rows.Scan(&at.Sequence, &at.Time, &r.tally, &r.reader, &r.request); err != nil {
			return err
		}
		to[at] = r
	}
	return rows.Err()
}
