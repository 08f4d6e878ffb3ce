package index

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/weir-data/weir/lineage"
)

// What an act has dropped goes out of the index, too, when the index reads the
// record of the act: in one transaction with it, so that every index of this log
// comes to it by itself, whatever ended the process. An index that is built later
// never gets to see those records.
//
// Records of a month and level are those of their time and of their context's
// level: no other key is ever used for them before its own is dropped. Figures are
// kept per tally, which is of one level, and per day: those of a month and level
// are whole rows.

// redaction are the parameters of the statements below.
type redaction struct {
	origin         int64
	from, to       int64 // microseconds
	firstDay, days int64 // the day after the last
	level          int64
}

func redactionOf(origin int64, n lineage.KeyName) redaction {
	from, to := n.Month.Start().UnixMicro(), (n.Month + 1).Start().UnixMicro()
	return redaction{origin, from, to, from / microsPerDay, to / microsPerDay, int64(n.Level)}
}

const (
	ofLevel = ` IN (SELECT t.id FROM tally t JOIN pair p ON p.id = t.pair JOIN context c ON c.id = p.context WHERE c.level = $4)`

	redactedTallies = `SELECT tally, count(*) FROM record WHERE origin = $1 AND time >= $2 AND time < $3 AND tally` + ofLevel + ` GROUP BY tally ORDER BY tally`
	redactedRecords = `SELECT sequence FROM record WHERE origin = $1 AND time >= $2 AND time < $3 AND tally` + ofLevel
	redactRecords   = `DELETE FROM record WHERE origin = $1 AND time >= $2 AND time < $3 AND tally` + ofLevel
	redactFigures   = `DELETE FROM rollup WHERE origin = $1 AND day >= $2 AND day < $3 AND tally` + ofLevel
	redactTally     = `UPDATE tally SET records = records - $1,
		last = COALESCE((SELECT max(time) FROM record WHERE record.tally = tally.id), 0) WHERE id = $2`
)

// orphans are what nothing is left of: names of operations and of their fields,
// digests of documents, and stand-ins for readers, which a requester could have
// chosen. Each statement needs the one before it.
var orphans = [...]string{
	`DELETE FROM cell WHERE tally IN (SELECT id FROM tally WHERE records = 0)`,
	`DELETE FROM tally WHERE records = 0`,
	`DELETE FROM pair WHERE NOT EXISTS (SELECT 1 FROM tally t WHERE t.pair = pair.id)`,
	`DELETE FROM context WHERE NOT EXISTS (SELECT 1 FROM pair p WHERE p.context = context.id)`,
	`DELETE FROM shape WHERE NOT EXISTS (SELECT 1 FROM pair p WHERE p.shape = shape.id)`,
	`DELETE FROM shape_use WHERE NOT EXISTS (SELECT 1 FROM shape s WHERE s.id = shape_use.shape)`,
	`DELETE FROM flow WHERE NOT EXISTS (SELECT 1 FROM cell c WHERE c.flow = flow.id)`,
	`DELETE FROM reader WHERE NOT EXISTS (SELECT 1 FROM record r WHERE r.reader = reader.id)`,
}

// redact takes the records of a month and level of this log out of the tables.
func (b *batch) redact(ctx context.Context, origin int64, n lineage.KeyName) error {
	at := redactionOf(origin, n)
	tallies, err := b.redacted(ctx, at)
	if err != nil {
		return err
	}
	// Before the records go: whom they are about is in runs by their sequences.
	gone, err := b.redactedRecords(ctx, at)
	if err != nil {
		return err
	}
	if err := b.redactPeople(ctx, at, gone); err != nil {
		return err
	}
	for _, s := range [...]struct {
		text string
		args []any
	}{
		{redactRecords, []any{at.origin, at.from, at.to, at.level}},
		{redactFigures, []any{at.origin, at.firstDay, at.days, at.level}},
	} {
		if _, err := b.tx.ExecContext(ctx, s.text, s.args...); err != nil {
			return err
		}
	}
	for _, t := range tallies {
		if _, err := b.tx.ExecContext(ctx, redactTally, t.n, t.id); err != nil {
			return err
		}
	}
	for _, s := range orphans {
		if _, err := b.tx.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	if b.writer.index.cfg.Driver != SQLite {
		return nil
	}
	_, err = b.tx.ExecContext(ctx, owe)
	return err
}

// redactedTally is a tally that loses records.
type redactedTally struct{ id, n int64 }

func (b *batch) redacted(ctx context.Context, at redaction) (out []redactedTally, err error) {
	rows, err := b.tx.QueryContext(ctx, redactedTallies, at.origin, at.from, at.to, at.level)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // read to the end or given up
	for rows.Next() {
		var t redactedTally
		if err := rows.Scan(&t.id, &t.n); err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, rows.Err()
}

// hold keeps writers of a shared index from naming what a redaction takes away: a
// writer that remembers a name has a record under it, unless that is of this very
// moment.
func (b *batch) hold(ctx context.Context, alone bool) error {
	if b.writer.index.cfg.Driver != Postgres {
		return nil // one transaction writes at a time
	}
	const lock = 0x7765697249 // any number, the same for all writers
	text := `SELECT pg_advisory_xact_lock_shared($1)`
	if alone {
		text = `SELECT pg_advisory_xact_lock($1)`
	}
	_, err := b.tx.ExecContext(ctx, text, int64(lock))
	return err
}

// That it is owed is noted with a redaction until its bytes are gone, too.
const (
	owe  = `INSERT INTO meta (name, value) VALUES ('purge', 'yes') ON CONFLICT DO NOTHING`
	owes = `SELECT count(*) FROM meta WHERE name = 'purge'`
	paid = `DELETE FROM meta WHERE name = 'purge'`
)

// purge takes the bytes of what was deleted out of SQLite's files. In the rows'
// last places secure_delete has put zeroes over them. Where pages were split
// copies are left, in gaps that nothing reads: VACUUM writes the file anew without
// them. The write-ahead log keeps pages as they were, until it is cut. Readers go
// on meanwhile, and may be in the way of the cut: then it is tried again.
func (w *writer) purge(ctx context.Context) error {
	if w.purged || w.index.cfg.Driver != SQLite {
		return nil
	}
	conn, err := w.index.db.Conn(ctx)
	if err != nil {
		return w.index.unavailable(err)
	}
	defer conn.Close() //nolint:errcheck // it goes back to the pool
	var owed, busy, frames, done sql.NullInt64
	if err := conn.QueryRowContext(ctx, owes).Scan(&owed); err != nil {
		return w.index.unavailable(err)
	}
	if owed.Int64 > 0 {
		// It may be larger than the memory.
		for _, s := range [...]string{`PRAGMA temp_store = FILE`, `VACUUM`, `PRAGMA temp_store = MEMORY`} {
			if _, err := conn.ExecContext(ctx, s); err != nil {
				return w.index.unavailable(fmt.Errorf("what an act has dropped is out of the tables and not out of the file: %w", err))
			}
		}
		if err := conn.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &frames, &done); err != nil {
			return w.index.unavailable(err)
		}
		if busy.Int64 != 0 {
			return nil
		}
		if _, err := conn.ExecContext(ctx, paid); err != nil {
			return w.index.unavailable(err)
		}
	}
	w.purged = true
	return nil
}
