package index

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/axiomhq/hyperloglog"

	"github.com/weir-data/weir/lineage"
)

// Run follows the log of this node until the context ends, which is no error.
// One at a time runs per log.
func (x *Index) Run(ctx context.Context) error {
	w := newWriter(x)
	defer w.close()
	for {
		start := time.Now()
		n, err := w.step(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		pause := x.cfg.Poll
		if n > 0 {
			x.applied.tell()
			pause = x.pause(time.Since(start))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// pause is how long to leave the processor to those who wait for answers, after
// a batch that took so long.
func (x *Index) pause(took time.Duration) time.Duration {
	return time.Duration(float64(took) * (1 - x.cfg.Share) / x.cfg.Share)
}

// CatchUp reads the log to its present end.
func (x *Index) CatchUp(ctx context.Context) error {
	w := newWriter(x)
	defer w.close()
	for {
		if n, err := w.step(ctx); n == 0 || err != nil {
			return err
		}
		x.applied.tell()
	}
}

// Applied gives a channel that is closed when more of the log has been read.
func (x *Index) Applied() <-chan struct{} { return x.applied.wait() }

// notice wakes all who wait, once.
type notice struct {
	mu sync.Mutex
	ch chan struct{}
}

func (n *notice) wait() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ch == nil {
		n.ch = make(chan struct{})
	}
	return n.ch
}

func (n *notice) tell() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ch != nil {
		close(n.ch)
		n.ch = nil
	}
}

// writer brings records from the log into the tables.
type writer struct {
	index  *Index
	reader *lineage.Reader
	names  names
	origin int64
	last   Sequence
	hash   []byte // of the last record applied
	// The statements that insert many rows, prepared.
	records, persons inserts
}

func newWriter(x *Index) *writer {
	return &writer{
		index: x, names: newNames(),
		records: inserts{
			db: x.db, driver: x.cfg.Driver, columns: 11,
			into: "record (origin, sequence, epoch, time, pair, subject, request, rows_read, people, outcomes, counts)",
		},
		persons: inserts{db: x.db, driver: x.cfg.Driver, columns: 4, into: "person (tag, time, origin, sequence)"},
	}
}

func (w *writer) close() {
	if w.reader != nil {
		w.reader.Close()
	}
	w.records.close()
	w.persons.close()
}

// step applies one batch and tells how many records it had.
func (w *writer) step(ctx context.Context) (int, error) {
	if w.reader == nil {
		if err := w.start(ctx); err != nil {
			return 0, err
		}
	}
	entries := make([]lineage.Entry, 0, 64)
	for len(entries) < w.index.cfg.Batch {
		e, err := w.reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, err
		}
		entries = append(entries, e)
	}
	if len(entries) == 0 {
		return 0, nil
	}
	if err := w.apply(ctx, entries); err != nil {
		// What the failed transaction named does not exist.
		w.names = newNames()
		w.close()
		w.reader = nil
		return 0, err
	}
	w.names.bound()
	return len(entries), nil
}

// start finds where the index stands, and that it stands on this log: the last
// record that it has must be in the log, with the hash that it had.
func (w *writer) start(ctx context.Context) error {
	origin, err := firstOrigin(w.index.cfg.Dir)
	if err != nil {
		return err
	}
	if origin == "" {
		w.reader = lineage.NewReader(w.index.cfg.Dir, 0)
		return nil
	}
	var hash []byte
	err = w.index.db.QueryRowContext(ctx, `SELECT id, name, epoch, sequence, hash FROM origin WHERE name = $1`, origin).
		Scan(&w.origin, &w.last.Origin, &w.last.Epoch, &w.last.Sequence, &hash)
	if errors.Is(err, sql.ErrNoRows) {
		w.reader = lineage.NewReader(w.index.cfg.Dir, 0)
		return nil
	}
	if err != nil {
		return unavailable(err)
	}
	reader := lineage.NewReader(w.index.cfg.Dir, w.last.Sequence)
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

// firstOrigin is the name of the log, "" while it has no record.
func firstOrigin(dir string) (string, error) {
	r := lineage.NewReader(dir, 0)
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
	names   *names
	hash    hasher
	last    map[int64]int64     // by pair: time of its last record
	rollups map[rollKey]*rollup // by flow and day
	groups  map[string]*group
	key     []byte
	people  []person
	records rows
}

// person is a row of the table of that name.
type person struct{ tag, time, origin, sequence int64 }

type flowKey struct {
	use     *lineage.Use
	record  *lineage.Record
	outcome Outcome
}

type rollKey struct{ flow, day int64 }

type rollup struct {
	reads, cells, uncounted, first, last int64
	people                               *hyperloglog.Sketch
}

func (w *writer) apply(ctx context.Context, entries []lineage.Entry) (err error) {
	defer func() {
		if err != nil && !errors.Is(err, ErrForeign) {
			err = unavailable(err)
		}
	}()
	tx, err := w.index.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	b := &batch{
		tx: tx, names: &w.names, last: make(map[int64]int64),
		rollups: make(map[rollKey]*rollup), groups: make(map[string]*group),
		records: rows{inserts: &w.records},
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
		if err := b.add(ctx, origin, e); err != nil {
			return err
		}
		last.Epoch, last.Sequence = e.Position.Epoch, e.Position.Sequence
	}
	hash := entries[len(entries)-1].Hash
	if err := b.finish(ctx, rows{inserts: &w.persons}, origin, last, hash[:]); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	w.origin, w.last, w.hash = origin, last, hash[:]
	return nil
}

func (b *batch) origin(ctx context.Context, name string) (int64, error) {
	n, _, err := id(ctx, b.tx,
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
	at := e.Time.UnixMicro()
	b.last[pairID] = max(b.last[pairID], at)
	if err := b.records.add(ctx, b.tx, origin, int64(e.Position.Sequence), int64(e.Position.Epoch), at, pairID,
		r.Subject, r.RequestID, int64(r.Rows), int64(r.TagCount), int64(outcomesOf(r)), appendCounts(nil, r.Counts)); err != nil {
		return err
	}
	for i := range r.Tags {
		b.people = append(b.people, person{tagNumber(r.Tags[i]), at, origin, int64(e.Position.Sequence)})
	}
	return b.flows(ctx, pairID, r, at)
}

const microsPerDay = 24 * 60 * 60 * 1_000_000

// group is what records of one day have in common that have a context, a shape
// and the outcomes of all its fields in common: the flows that they are part of,
// and the people whom they are about, each once. A record of several departments
// does not say whose its persons are: they count in no department's flow, or one
// owner would be told of another's.
type group struct {
	shared  bool // of several departments
	cells   []groupCell
	rollups []*rollup
	people  map[uint64]struct{}
}

// groupCell is an outcome of a use, and where it counts.
type groupCell struct {
	use     int
	outcome Outcome
	rollup  *rollup
}

// flows adds the record to the figures of every flow that it is part of, once
// to each: a field that was selected and filtered by is two flows.
func (b *batch) flows(ctx context.Context, pair int64, r *lineage.Record, at int64) error {
	day := at / microsPerDay
	b.key = binary.AppendVarint(binary.AppendVarint(b.key[:0], pair), day)
	for i := range r.Uses {
		var outcomes byte
		for o := range outcomesOfUse(r, i) {
			outcomes |= 1 << o
		}
		b.key = append(b.key, outcomes)
	}
	g := b.groups[string(b.key)]
	if g == nil {
		var err error
		if g, err = b.group(ctx, r, day, at); err != nil {
			return err
		}
		b.groups[string(b.key)] = g
	}
	for _, c := range g.cells {
		for o, cells := range outcomesOfUse(r, c.use) {
			if o == c.outcome {
				c.rollup.cells += int64(cells)
			}
		}
	}
	for _, f := range g.rollups {
		f.reads++
		f.first, f.last = min(f.first, at), max(f.last, at)
		if len(r.Tags) == 0 && !g.shared {
			f.uncounted += int64(r.TagCount)
		}
	}
	if g.shared {
		return nil
	}
	for t := range r.Tags {
		g.people[binary.BigEndian.Uint64(r.Tags[t][:])] = struct{}{}
	}
	return nil
}

// group finds the flows of a record.
func (b *batch) group(ctx context.Context, r *lineage.Record, day, at int64) (*group, error) {
	g := &group{people: make(map[uint64]struct{})}
	for i := range r.Uses {
		u := &r.Uses[i]
		g.shared = g.shared || u.Department != r.Uses[0].Department
		if u.Use == lineage.Tag || u.Department == "" {
			continue // the ledger's own reading; the control graph's fields
		}
		for outcome := range outcomesOfUse(r, i) {
			n, err := b.flow(ctx, &flowKey{use: u, record: r, outcome: outcome})
			if err != nil {
				return nil, err
			}
			f, err := b.rollup(rollKey{flow: n, day: day}, at)
			if err != nil {
				return nil, err
			}
			g.cells = append(g.cells, groupCell{i, outcome, f})
			if !slices.Contains(g.rollups, f) {
				g.rollups = append(g.rollups, f)
			}
		}
	}
	return g, nil
}

func (b *batch) rollup(key rollKey, at int64) (*rollup, error) {
	if f := b.rollups[key]; f != nil {
		return f, nil
	}
	sketch, err := hyperloglog.NewSketch(sketchPrecision, true)
	if err != nil {
		return nil, err
	}
	f := &rollup{first: at, people: sketch}
	b.rollups[key] = f
	return f, nil
}

// sketchPrecision gives 4,096 registers: exact for a few hundred people, and
// within about 1.6 % above.
const sketchPrecision = 12

// finish writes what was collected.
func (b *batch) finish(ctx context.Context, persons rows, origin int64, last Sequence, hash []byte) error {
	// In the order of the table, so that neighbours go in together.
	slices.SortFunc(b.people, func(x, y person) int {
		return cmp.Or(cmp.Compare(x.tag, y.tag), cmp.Compare(x.time, y.time), cmp.Compare(x.sequence, y.sequence))
	})
	for i := range b.people {
		p := &b.people[i]
		if err := persons.add(ctx, b.tx, p.tag, p.time, p.origin, p.sequence); err != nil {
			return err
		}
	}
	if err := errors.Join(b.records.flush(ctx, b.tx), persons.flush(ctx, b.tx)); err != nil {
		return err
	}
	for _, g := range b.groups {
		for tag := range g.people {
			for _, f := range g.rollups {
				f.people.InsertHash(tag) // a tag is a CMAC: a hash already
			}
		}
	}
	for _, pair := range sortedKeys(b.last) {
		if _, err := b.tx.ExecContext(ctx, `UPDATE pair SET last = $1 WHERE id = $2 AND last < $1`, b.last[pair], pair); err != nil {
			return err
		}
	}
	keys := make([]rollKey, 0, len(b.rollups))
	for k := range b.rollups {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, c rollKey) int {
		if a.flow != c.flow {
			return int(a.flow - c.flow)
		}
		return int(a.day - c.day)
	})
	for _, k := range keys {
		if err := b.roll(ctx, origin, k, b.rollups[k]); err != nil {
			return err
		}
	}
	_, err := b.tx.ExecContext(ctx, `UPDATE origin SET sequence = $1, epoch = $2, hash = $3 WHERE id = $4`,
		int64(last.Sequence), int64(last.Epoch), hash, origin)
	return err
}

// roll adds to a day's figures of a flow. The row is this origin's own, so that
// no other writer changes it.
func (b *batch) roll(ctx context.Context, origin int64, k rollKey, add *rollup) error {
	var known []byte
	err := b.tx.QueryRowContext(ctx, `SELECT people FROM rollup WHERE flow = $1 AND day = $2 AND origin = $3`, k.flow, k.day, origin).Scan(&known)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if err == nil {
		var sketch hyperloglog.Sketch
		if err := sketch.UnmarshalBinary(known); err != nil {
			return fmt.Errorf("sketch of flow %d: %w", k.flow, err)
		}
		if err := add.people.Merge(&sketch); err != nil {
			return fmt.Errorf("sketch of flow %d: %w", k.flow, err)
		}
	}
	people, err := add.people.MarshalBinary()
	if err != nil {
		return err
	}
	_, err = b.tx.ExecContext(ctx,
		`INSERT INTO rollup (flow, day, origin, reads, cells, uncounted, first, last, people) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		 ON CONFLICT (flow, day, origin) DO UPDATE SET reads = rollup.reads + excluded.reads, cells = rollup.cells + excluded.cells,
		 uncounted = rollup.uncounted + excluded.uncounted, people = excluded.people,
		 first = CASE WHEN excluded.first < rollup.first THEN excluded.first ELSE rollup.first END,
		 last = CASE WHEN excluded.last > rollup.last THEN excluded.last ELSE rollup.last END`,
		k.flow, k.day, origin, add.reads, add.cells, add.uncounted, add.first, add.last, people)
	return err
}

func sortedKeys(m map[int64]int64) []int64 {
	keys := make([]int64, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
