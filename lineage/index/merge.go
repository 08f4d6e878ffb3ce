package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Persons go into the index as in other inverted indexes: every batch appends a
// run of its own, sorted, and runs of like size are merged into one of the next
// size, so that a posting is written again once for each eightfold of what there is
// and a look at one person has few runs to look into. Only the writer of a node
// touches its runs.
//
// Merging moves postings, the least first: what is in the target has gone from its
// source in the same transaction. So a large merge is many short steps, a look at
// any time finds each posting once, and whatever ends the process, the next one
// goes on.
const (
	// fanout is how many runs of like size are merged.
	fanout = 8
	// mergeShare is how many postings are moved for each that comes. On average it
	// takes one for each tier: with more, merges end before the next begin.
	mergeShare = 10
)

// sizes are in postings.
type sizes struct {
	chunk int   // at most
	small int64 // below it runs are alike
	step  int64 // what a step moves, about
	least int64 // what may be moved for a batch however small; what a step costs beside
}

var usual = sizes{chunk: chunkPostings, small: 512, step: 1 << 15, least: 512}

// tier is the size class of a run.
func (s *sizes) tier(postings int64) (tier int) {
	for most := s.small; postings >= most; most *= fanout {
		tier++
	}
	return tier
}

// leastPosting is before all: nothing happened at that time.
var leastPosting = posting{tag: math.MinInt64, time: math.MinInt64, sequence: math.MinInt64}

// standing is the target of a run that is whole.
const standing = 0

// run is a row of the table of that name.
type run struct {
	id, target, postings int64
	tier                 int
	oldest, newest       int64
}

func (r *run) filling() bool { return r.target == r.id }

const (
	addRun     = `INSERT INTO run (origin, target, tier, postings, oldest, newest) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id`
	putRun     = `UPDATE run SET target = $1, tier = $2, postings = $3, oldest = $4, newest = $5 WHERE id = $6`
	dropRun    = `DELETE FROM run WHERE id = $1`
	findRuns   = `SELECT id, target, tier, postings, oldest, newest FROM run WHERE origin = $1 ORDER BY id`
	addChunk   = `INSERT INTO chunk (run, tag, time, sequence, postings) VALUES ($1, $2, $3, $4, $5)`
	dropChunks = `DELETE FROM chunk WHERE run = $1 AND (tag, time, sequence) <= ($2, $3, $4)`
	readChunks = `SELECT tag, time, sequence, postings FROM chunk WHERE run = $1 AND (tag, time, sequence) > ($2, $3, $4) ORDER BY tag, time, sequence LIMIT $5`
)

// putPeople writes the persons of a batch, and moves some of those before.
func (b *batch) putPeople(ctx context.Context, origin int64) error {
	w := b.writer
	b.people = w.sorter.sort(b.people)
	w.people = b.people
	if len(b.people) > 0 {
		r := run{postings: int64(len(b.people)), oldest: math.MaxInt64, newest: math.MinInt64}
		for i := range b.people {
			r.oldest, r.newest = min(r.oldest, b.people[i].time), max(r.newest, b.people[i].time)
		}
		r.tier = w.sizes.tier(r.postings)
		if err := b.addRun(ctx, origin, &r); err != nil {
			return err
		}
		if err := b.putChunks(ctx, r.id, b.people); err != nil {
			return err
		}
		b.settled = false
	}
	w.room += mergeShare*int64(len(b.people)) + w.sizes.least
	return b.merge(ctx, origin)
}

func (b *batch) addRun(ctx context.Context, origin int64, r *run) error {
	return b.writer.statement(addRun).row(ctx, b.tx, []any{origin, r.target, r.tier, r.postings, r.oldest, r.newest}, &r.id)
}

// putRun notes what a run is now; one that has nothing, and gets nothing, goes.
func (b *batch) putRun(ctx context.Context, r *run) error {
	if r.postings == 0 && !r.filling() {
		return b.writer.statement(dropRun).exec(ctx, b.tx, r.id)
	}
	return b.writer.statement(putRun).exec(ctx, b.tx, r.target, r.tier, r.postings, r.oldest, r.newest, r.id)
}

// putChunks writes sorted postings as chunks of a run.
func (b *batch) putChunks(ctx context.Context, run int64, list []posting) error {
	w := b.writer
	for part := range slices.Chunk(list, w.sizes.chunk) {
		w.packing = appendChunk(w.packing[:0], part)
		if err := w.statement(addChunk).exec(ctx, b.tx, run, part[0].tag, part[0].time, part[0].sequence, w.packing); err != nil {
			return err
		}
	}
	return nil
}

// settle goes on with merging while the log has nothing new, a step at a time.
func (w *writer) settle(ctx context.Context) error {
	if w.settled || w.origin == 0 {
		return nil
	}
	tx, err := w.index.db.BeginTx(ctx, nil)
	if err != nil {
		return w.index.unavailable(err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	b := &batch{tx: tx, writer: w}
	w.room = 1 // one step
	if err := b.merge(ctx, w.origin); err != nil {
		return w.index.unavailable(err)
	}
	if err := tx.Commit(); err != nil {
		return w.index.unavailable(err)
	}
	w.settled = b.settled
	return nil
}

// merge takes as many steps as there is room for.
func (b *batch) merge(ctx context.Context, origin int64) error {
	w := b.writer
	if b.settled {
		w.room = 0
	}
	if w.room <= 0 {
		return nil
	}
	runs, err := b.runs(ctx, origin)
	if err != nil {
		return err
	}
	for w.room > 0 {
		m := due(runs)
		if m == nil {
			b.settled, w.room = true, 0
			return nil
		}
		moved, err := b.step(ctx, origin, m)
		if err != nil {
			return err
		}
		w.room -= moved
		if !slices.Contains(runs, m.to) {
			runs = append(runs, m.to)
		}
		runs = slices.DeleteFunc(runs, func(r *run) bool { return r.postings == 0 && !r.filling() })
	}
	return nil
}

func (b *batch) runs(ctx context.Context, origin int64) (out []*run, err error) {
	stmt, err := b.writer.statement(findRuns).in(ctx, b.tx) //nolint:sqlclosecheck // the transaction closes it
	if err != nil {
		return nil, err
	}
	rows, err := stmt.QueryContext(ctx, origin)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // read to the end or given up
	for rows.Next() {
		r := &run{}
		if err := rows.Scan(&r.id, &r.target, &r.tier, &r.postings, &r.oldest, &r.newest); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// merging is a merge: from some runs, of one tier, to one.
type merging struct {
	from []*run
	to   *run // id 0: it is not there yet
}

// due finds the merge that is most due: small runs come often, and are merged
// before a large merge goes on.
func due(runs []*run) *merging {
	alike := map[int][]*run{}
	var to *run
	least := math.MaxInt
	for _, r := range runs {
		if r.filling() && r.tier < least {
			to, least = r, r.tier
		}
		if r.target == standing {
			alike[r.tier] = append(alike[r.tier], r)
		}
	}
	for tier, some := range alike {
		if len(some) >= fanout && tier < least {
			to, least = nil, tier
		}
	}
	switch {
	case to != nil:
		m := &merging{to: to}
		for _, r := range runs {
			if r.target == to.id && r != to {
				m.from = append(m.from, r)
			}
		}
		return m
	case least == math.MaxInt:
		return nil
	}
	m := &merging{from: alike[least], to: &run{tier: least, oldest: math.MaxInt64, newest: math.MinInt64}}
	for _, r := range m.from {
		m.to.oldest, m.to.newest = min(m.to.oldest, r.oldest), max(m.to.newest, r.newest)
	}
	return m
}

// source is a run that is merged, as a step sees it.
type source struct {
	*run
	part  []int // where each chunk that was read ends, in the postings of the step
	from  int   // where the first begins
	whole bool  // there are no more
}

// step moves the least postings of a merge, and tells how many.
func (b *batch) step(ctx context.Context, origin int64, m *merging) (moved int64, err error) {
	w := b.writer
	sources, err := b.read(ctx, m)
	if err != nil {
		return 0, err
	}
	all := w.merging
	// Up to where nothing less can be in what was not read.
	cut, last := posting{tag: math.MaxInt64, time: math.MaxInt64, sequence: math.MaxInt64}, true
	for _, s := range sources {
		if end := s.part[len(s.part)-1]; !s.whole {
			last = false
			if all[end-1].compare(cut) < 0 {
				cut = all[end-1]
			}
		}
	}
	if m.to.id == 0 {
		if err := b.begin(ctx, origin, m, last); err != nil {
			return 0, err
		}
	}
	taken := all[:0]
	for _, s := range sources {
		end, err := b.take(ctx, s, all, cut)
		if err != nil {
			return 0, err
		}
		taken = append(taken, all[s.from:end]...)
		m.to.oldest, m.to.newest = min(m.to.oldest, s.oldest), max(m.to.newest, s.newest)
	}
	taken = w.sorter.sort(taken)
	w.merging = taken
	if err := b.putChunks(ctx, m.to.id, taken); err != nil {
		return 0, err
	}
	m.to.postings += int64(len(taken))
	if last {
		m.to.target, m.to.tier = standing, w.sizes.tier(m.to.postings)
	}
	return int64(len(taken)) + w.sizes.least, b.putRun(ctx, m.to)
}

// begin makes the target of a merge, and notes what goes into it unless all of it
// does in this step.
func (b *batch) begin(ctx context.Context, origin int64, m *merging, last bool) error {
	if err := b.addRun(ctx, origin, m.to); err != nil {
		return err
	}
	m.to.target = m.to.id
	if last {
		return nil
	}
	for _, r := range m.from {
		r.target = m.to.id
		if err := b.putRun(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// read reads the next chunks of each source, as many of each as it has its part in
// all that is left.
func (b *batch) read(ctx context.Context, m *merging) (out []*source, err error) {
	w := b.writer
	w.merging = w.merging[:0]
	var left int64
	for _, r := range m.from {
		left += r.postings
	}
	for _, r := range m.from {
		if r.postings == 0 {
			continue
		}
		limit := int64(math.MaxInt32)
		if left > w.sizes.step {
			limit = max(1, w.sizes.step*r.postings/left/int64(w.sizes.chunk))
		}
		s := &source{run: r, from: len(w.merging)}
		if w.merging, s.part, err = b.readChunks(ctx, w.merging, r.id, leastPosting, limit); err != nil {
			return nil, err
		}
		n := int64(len(w.merging) - s.from)
		if len(s.part) == 0 || n > r.postings {
			return nil, fmt.Errorf("run %d: %w", r.id, errChunk)
		}
		s.whole = n == r.postings
		out = append(out, s)
	}
	return out, nil
}

// readChunks appends the postings of some chunks of a run, of those that begin
// after a place in it, and tells where each chunk ends.
func (b *batch) readChunks(ctx context.Context, to []posting, run int64, after posting, limit int64) (list []posting, ends []int, err error) {
	stmt, err := b.writer.statement(readChunks).in(ctx, b.tx) //nolint:sqlclosecheck // the transaction closes it
	if err != nil {
		return nil, nil, err
	}
	rows, err := stmt.QueryContext(ctx, run, after.tag, after.time, after.sequence, limit)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close() //nolint:errcheck // read to the end or given up
	last := after
	for rows.Next() {
		var first posting
		var c sql.RawBytes
		if err := rows.Scan(&first.tag, &first.time, &first.sequence, &c); err != nil {
			return nil, nil, err
		}
		at := len(to)
		if to, err = readChunk(to, c); err == nil && (to[at].compare(first) != 0 || first.compare(last) <= 0) {
			err = errChunk
		}
		if err != nil {
			return nil, nil, fmt.Errorf("run %d: %w", run, err)
		}
		last = to[len(to)-1]
		ends = append(ends, len(to))
	}
	return to, ends, rows.Err()
}

// take takes what a step moves out of a source, and tells where it ends. Of a
// chunk that is moved in part, the rest stays as a chunk of its own.
func (b *batch) take(ctx context.Context, s *source, all []posting, cut posting) (end int, err error) {
	w := b.writer
	n, found := slices.BinarySearchFunc(all[s.from:s.part[len(s.part)-1]], cut, posting.compare)
	if found {
		n++
	}
	if n == 0 {
		return s.from, nil
	}
	end = s.from + n
	if err := w.statement(dropChunks).exec(ctx, b.tx, s.id, cut.tag, cut.time, cut.sequence); err != nil {
		return 0, err
	}
	s.postings -= int64(n)
	for _, partEnd := range s.part {
		if partEnd >= end {
			if partEnd > end {
				err = b.putChunks(ctx, s.id, all[end:partEnd])
			}
			break
		}
	}
	return end, errors.Join(err, b.putRun(ctx, s.run))
}
