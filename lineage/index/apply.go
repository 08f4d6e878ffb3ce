package index

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/weir-data/weir/lineage"
)

// writer brings records from the log into the tables.
type writer struct {
	index  *Index
	reader *lineage.Reader
	names  names
	origin int64
	last   Sequence
	hash   []byte // of the last record applied
	// most and mostTags bound a batch.
	most, mostTags int
	// days are the figures of this origin that were touched last, as they stand
	// in the table: only this writer changes them.
	days map[dayKey]*figures
	// The statements that insert many rows, prepared, and those of the rollups.
	records, cells, uses inserts
	// What merging works with, and how many postings it may move: see merge.go.
	sizes   sizes
	sorter  sorter
	merging []posting
	people  []posting // memory of a batch's
	packing []byte
	room    int64
	settled bool // nothing is there to be merged
	// purged: no bytes of what an act has dropped are left in SQLite's files. A new
	// writer looks.
	purged bool
	// Other statements, prepared, by their text.
	statements map[string]*prepared
}

func newWriter(x *Index) *writer {
	return &writer{
		index: x, most: x.cfg.Batch, mostTags: maxTags, sizes: usual, names: newNames(), days: make(map[dayKey]*figures), statements: make(map[string]*prepared),
		records: inserts{
			db: x.db, driver: x.cfg.Driver, columns: 11,
			into: "record (origin, sequence, epoch, time, tally, reader, request, rows_read, people, cohorts, counts)",
		},
		cells: inserts{db: x.db, driver: x.cfg.Driver, columns: 3, into: "cell (tally, ordinal, flow)"},
		uses: inserts{
			db: x.db, driver: x.cfg.Driver, columns: 9,
			into: "shape_use (shape, ordinal, department, source_table, source_column, type, field, level, kind)",
		},
	}
}

// statement is a statement that is prepared once: reading its text costs more
// than running it.
func (w *writer) statement(text string) *prepared {
	p := w.statements[text]
	if p == nil {
		p = &prepared{db: w.index.db, text: text}
		w.statements[text] = p
	}
	return p
}

func (w *writer) close() {
	if w.reader != nil {
		w.reader.Close()
	}
	w.records.close()
	w.cells.close()
	w.uses.close()
	for _, p := range w.statements {
		p.close()
	}
	clear(w.statements)
}

// step applies one batch and tells how many records it had.
func (w *writer) step(ctx context.Context) (int, error) {
	if w.reader == nil {
		// They hold what an act may drop, and nobody would take it out of them.
		if err := RemoveUnfinished(w.index.cfg); err != nil {
			return 0, err
		}
		if err := w.start(ctx); err != nil {
			return 0, err
		}
		w.index.reached.Store(w.last.Sequence)
	}
	entries := make([]lineage.Entry, 0, 64)
	for tags := 0; len(entries) < w.most && tags < w.mostTags; {
		e, err := w.reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, err
		}
		if e.Content == lineage.Sealed {
			return 0, fmt.Errorf("%w: record %s is sealed", ErrReadingKey, e.Position)
		}
		entries = append(entries, e)
		tags += len(e.Record.Tags)
		if _, act := droppedBy(&e); act {
			break
		}
	}
	if len(entries) == 0 {
		return 0, errors.Join(w.built(ctx), w.purge(ctx), w.settle(ctx))
	}
	if err := w.apply(ctx, entries); err != nil {
		// What the failed transaction named does not exist.
		w.names = newNames()
		clear(w.days)
		w.close()
		w.reader = nil
		return 0, err
	}
	w.names.bound()
	w.index.reached.Store(w.last.Sequence)
	return len(entries), nil
}

// droppedBy tells which key a record says was dropped. A batch ends with such a
// record.
func droppedBy(e *lineage.Entry) (lineage.KeyName, bool) {
	if e.Content != lineage.Readable {
		return lineage.KeyName{}, false
	}
	return e.Record.Dropped()
}

// Check tells whether the index stands on this log; ErrForeign when it does not.
// From then on it answers nothing, until it does. It does not go beside Run.
func (x *Index) Check(ctx context.Context) error {
	w := newWriter(x)
	defer w.close()
	return w.start(ctx)
}

// foreign keeps the index from answering when an error says that it is not of
// this log.
func (x *Index) foreign(err error) {
	if errors.Is(err, ErrForeign) {
		x.refused.Store(&err)
	}
}

// ours is the error of every question to an index of another log, as what it says
// of this node's positions was never in this log, and to one without its tables.
func (x *Index) ours() error {
	if err := x.refused.Load(); err != nil {
		return x.unavailable(*err)
	}
	return nil
}

// start finds where the index stands, and that it stands on this log: the last
// record that it has must be in the log, with the hash that it had.
func (w *writer) start(ctx context.Context) (err error) {
	defer func() {
		if w.index.foreign(err); err == nil {
			w.index.refused.Store(nil)
		}
	}()
	if err := w.index.ready(ctx); err != nil {
		return err
	}
	origin, err := firstOrigin(w.index.folder())
	if err != nil {
		return err
	}
	if err := w.alone(ctx, origin); err != nil {
		return err
	}
	if origin == "" {
		w.reader = lineage.NewReader(w.index.folder(), 0)
		return nil
	}
	var hash []byte
	err = w.index.db.QueryRowContext(ctx, `SELECT id, name, epoch, sequence, hash FROM origin WHERE name = $1`, origin).
		Scan(&w.origin, &w.last.Origin, &w.last.Epoch, &w.last.Sequence, &hash)
	if errors.Is(err, sql.ErrNoRows) {
		w.reader = lineage.NewReader(w.index.folder(), 0)
		return nil
	}
	if err != nil {
		return w.index.unavailable(err)
	}
	reader := lineage.NewReader(w.index.folder(), w.last.Sequence)
	e, err := reader.Next()
	if err == nil && (e.Position.Sequence != w.last.Sequence || !bytes.Equal(e.Hash[:], hash)) || errors.Is(err, io.EOF) {
		reader.Close()
		return fmt.Errorf("%w: record %s/%d of the index is not in the log", ErrForeign, w.last.Origin, w.last.Sequence)
	}
	if err != nil {
		reader.Close()
		return err
	}
	w.reader = reader
	return nil
}

// alone finds another log's records in a file: several nodes share an index in
// PostgreSQL alone.
func (w *writer) alone(ctx context.Context, origin string) error {
	if w.index.cfg.Driver != SQLite {
		return nil
	}
	var other string
	err := w.index.db.QueryRowContext(ctx, `SELECT name FROM origin WHERE name <> $1 LIMIT 1`, origin).Scan(&other)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return w.index.unavailable(err)
	}
	return fmt.Errorf("%w: it has records of %s", ErrForeign, other)
}

// firstOrigin is the name of the log, "" while it has no record.
func firstOrigin(f lineage.Folder) (string, error) {
	r := lineage.NewReader(f, 0)
	defer r.Close()
	e, err := r.Next()
	if errors.Is(err, io.EOF) {
		return "", nil
	}
	return e.Position.Origin, err
}

// batch is one transaction.
type batch struct {
	tx      *sql.Tx
	writer  *writer
	names   *names
	hash    hasher
	touched map[*figures]struct{}
	tallies map[int64]*newRecords
	scratch []byte
	people  []posting
	settled bool // as of the writer, when this is committed
	records rows
}

// newRecords are those of a tally in a batch.
type newRecords struct{ n, last int64 }

func (w *writer) apply(ctx context.Context, entries []lineage.Entry) (err error) {
	defer func() {
		if w.index.foreign(err); !errors.Is(err, ErrForeign) {
			err = w.index.unavailable(err)
		}
	}()
	tx, err := w.index.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	b := &batch{
		tx: tx, writer: w, names: &w.names, touched: make(map[*figures]struct{}), tallies: make(map[int64]*newRecords),
		records: rows{inserts: &w.records}, settled: w.settled,
		people: w.people[:0],
	}
	dropped, act := droppedBy(&entries[len(entries)-1])
	if err := b.hold(ctx, act); err != nil {
		return err
	}
	origin, last := w.origin, w.last
	for i := range entries {
		e := &entries[i]
		if origin == 0 || last.Origin != e.Position.Origin {
			if origin, err = b.origin(ctx, e.Position.Origin); err != nil {
				return err
			}
			last = Sequence{Origin: e.Position.Origin}
		}
		if last.Sequence != 0 && e.Position.Sequence != last.Sequence+1 {
			return fmt.Errorf("%w: record %d of the log follows record %d of the index", ErrForeign, e.Position.Sequence, last.Sequence)
		}
		if e.Content == lineage.Readable { // what is redacted is nowhere in the index
			if err := b.add(ctx, origin, e); err != nil {
				return err
			}
		}
		last.Epoch, last.Sequence = e.Position.Epoch, e.Position.Sequence
	}
	hash := entries[len(entries)-1].Hash
	if err := b.finish(ctx, origin, last, hash[:]); err != nil {
		return err
	}
	if act && !w.index.building { // what is built is read after the key has gone
		if err := b.redact(ctx, origin, dropped); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	w.origin, w.last, w.hash, w.settled = origin, last, hash[:], b.settled
	if act {
		// What is remembered may be gone.
		w.names, w.purged = newNames(), false
		clear(w.days)
	}
	return nil
}

func (b *batch) origin(ctx context.Context, name string) (int64, error) {
	n, _, err := b.id(ctx,
		`INSERT INTO origin (name, sequence, epoch, hash) VALUES ($1, 0, 0, $2) ON CONFLICT (name) DO NOTHING`,
		`SELECT id FROM origin WHERE name = $1`, []any{name}, []byte{})
	return n, err
}

// add brings one record into the batch.
func (b *batch) add(ctx context.Context, origin int64, e *lineage.Entry) error {
	r := &e.Record
	contextID, err := b.context(ctx, r)
	if err != nil {
		return err
	}
	shapeID, err := b.shape(ctx, r)
	if err != nil {
		return err
	}
	pairID, err := b.pair(ctx, contextID, shapeID)
	if err != nil {
		return err
	}
	t, err := b.tally(ctx, pairID, r)
	if err != nil {
		return err
	}
	reader, err := b.reader(ctx, r.Subject)
	if err != nil {
		return err
	}
	at, sequence := e.Time.UnixMicro(), int64(e.Position.Sequence)
	news := b.tallies[t.id]
	if news == nil {
		news = &newRecords{last: at}
		b.tallies[t.id] = news
	}
	news.n++
	news.last = max(news.last, at)
	cohorts := cohortsOf(t.departments, r)
	if err := b.records.add(ctx, b.tx, origin, sequence, int64(e.Position.Epoch), at, t.id,
		reader, packRequest(r.RequestID), int64(r.Rows), int64(r.TagCount), appendCohorts(nil, cohorts), appendCounts(nil, r.Counts)); err != nil {
		return err
	}
	if cohorts == nil {
		cohorts = []cohort{{people: len(r.Tags)}}
	}
	tags := r.Tags
	for _, c := range cohorts {
		for i := range tags[:c.people] {
			b.people = append(b.people, posting{tagNumber(tags[i]), at, sequence, c.from})
		}
		tags = tags[c.people:]
	}
	return b.count(ctx, origin, t, r, at)
}

const countTally = `UPDATE tally SET records = records + $1, last = CASE WHEN last < $2 THEN $2 ELSE last END WHERE id = $3`

// finish writes what was collected.
func (b *batch) finish(ctx context.Context, origin int64, last Sequence, hash []byte) error {
	if err := b.records.flush(ctx, b.tx); err != nil {
		return err
	}
	if err := b.putPeople(ctx, origin); err != nil {
		return err
	}
	for _, t := range slices.Sorted(maps.Keys(b.tallies)) {
		if err := b.writer.statement(countTally).exec(ctx, b.tx, b.tallies[t].n, b.tallies[t].last, t); err != nil {
			return err
		}
	}
	if err := b.putFigures(ctx, origin); err != nil {
		return err
	}
	_, err := b.tx.ExecContext(ctx, `UPDATE origin SET sequence = $1, epoch = $2, hash = $3 WHERE id = $4`,
		int64(last.Sequence), int64(last.Epoch), hash, origin)
	return err
}
