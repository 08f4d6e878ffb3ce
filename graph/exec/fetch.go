package exec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/graph/plan"
)

// Kinds of failure that are the executor's own.
var (
	errTooMuch = errors.New("more rows or bytes than one request may read")
	errRows    = errors.New("source broke the contract of batched rows")
	errPanic   = errors.New("panic in a fetch")
)

// fetchAll runs the plan's fetches: roots side by side, children as soon as
// their parent is complete. It returns when all have ended, each within its
// department's time; a plan of one chain runs without a goroutine.
func (r *run) fetchAll(ctx context.Context) {
	roots := r.prog.roots
	if len(roots) == 0 {
		return
	}
	var group sync.WaitGroup
	for _, id := range roots[1:] {
		group.Go(func() { r.fetchTree(ctx, id, &group) })
	}
	r.fetchTree(ctx, roots[0], &group)
	group.Wait()
}

// fetchTree runs a fetch and then its children. Of fetches whose rows are merged
// the last to end runs the children of all.
func (r *run) fetchTree(ctx context.Context, id int, group *sync.WaitGroup) {
	for {
		r.fetch(ctx, id)
		children := r.prog.fetches[id].children
		if m := r.prog.fetches[id].merge; m >= 0 {
			if r.pending[m].Add(-1) > 0 {
				return
			}
			set := &r.prog.merges[m]
			r.chooseGuarded(set)
			children = set.children
		}
		if len(children) == 0 {
			return
		}
		for _, child := range children[1:] {
			group.Go(func() { r.fetchTree(ctx, child, group) })
		}
		id = children[0]
	}
}

// fetch runs one fetch into its result. It never fails but through the result.
func (r *run) fetch(ctx context.Context, id int) {
	f, res := &r.prog.fetches[id], &r.results[id]
	start := r.e.now()
	err := r.guarded(ctx, f, res)
	if err != nil {
		res.failure = codeOf(err)
	}
	if r.e.observe != nil && !errors.Is(err, errParent) {
		r.e.observe(Fetched{
			Department: f.Department, Type: f.Type, Took: r.e.now().Sub(start), Rows: res.rows,
			Code: res.failure, Cause: err, Request: r.req.ID,
		})
	}
}

// errParent ends a fetch whose parent failed.
var errParent = errors.New("parent fetch failed")

// guarded keeps a panic inside its fetch: one department's adapter must not
// take the process down, nor another department's data.
func (r *run) guarded(ctx context.Context, f *fetchNode, res *result) (err error) {
	defer func() {
		if p := recover(); p != nil {
			// The panic's value may hold a row's value; its place does not.
			err = fmt.Errorf("%w: at %s", errPanic, panicPlace(debug.Stack()))
		}
	}()
	var keys *adapters.Keys
	switch {
	case f.Parent != nil:
		parent := &r.results[f.Parent.ID]
		if parent.failure != "" {
			return fmt.Errorf("%w: %w", errParent, &adapters.Error{Kind: adapters.Unavailable})
		}
		open, err := collectKeys(f, parent, res, r.shownOf(&r.prog.fetches[f.Parent.ID]))
		if err != nil || !open {
			return err
		}
		keys = &res.keys.keys
	case len(f.Shape.Keys) > 0:
		if keys = &res.keys.keys; keys.Rows == 0 {
			return nil
		}
	}
	department := r.e.department(f.Department)
	timed := withDeadline(ctx, r.until(department.timeout))
	defer timed.stop()
	ctx = timed
	if keys != nil && keys.Rows == 1 && department.remote {
		res.asked = true
		if c, n := f.lane.enter(r.args[f.ID], keys, timed.at); c == nil {
			defer f.lane.leave(r.e, f, time.Now())
		} else if <-c.done; !errors.Is(c.err, errAlone) {
			return r.receive(f, res, c, n, keys)
		}
	}
	if err := department.acquire(ctx); err != nil {
		return err
	}
	defer department.release()
	res.asked = true
	if f.Aggregate != nil {
		return r.tally(ctx, f, res)
	}
	if keys == nil {
		return r.read(ctx, f, res, nil, 0)
	}
	most := department.maxKeys
	if most <= 0 || keys.Rows <= most {
		err = r.read(ctx, f, res, keys, 0)
	} else {
		for first := 0; first < keys.Rows && err == nil; first += most {
			err = r.read(ctx, f, res, piece(keys, first, min(first+most, keys.Rows)), first)
		}
	}
	if err == nil {
		res.close(keys.Rows)
	}
	return err
}

// until is when something that may take so long ends: with the request at the
// latest.
func (r *run) until(most time.Duration) time.Time {
	end := time.Now().Add(most)
	if d := r.req.Deadline; !d.IsZero() && d.Before(end) {
		return d
	}
	return end
}

// collectKeys gathers a child's keys from its parent's rows, without
// duplicates: only rows that can be shown, and from which the relation may be
// traversed, feed them. open
// tells whether there is such a row. The source is asked then even if all their
// keys are NULL: whether one is not would show in the time that it takes, and
// in the error of a department that is down.
func collectKeys(f *fetchNode, parent, res *result, visible shown) (open bool, err error) {
	cols := len(f.ParentColumns)
	res.keys.reset(cols)
	if cap(res.ordinals) < parent.rows {
		res.ordinals = make([]int32, 0, parent.rows)
	}
	varies := f.Traverse.Varies()
	if !varies && !f.Traverse.Open(0, 0) {
		return false, nil
	}
	feeding := feedingTuples(f, parent)
	place := places{groups: parent.groups}
	for i, b := range parent.batches {
		for row := range b.Rows {
			if !visible.holds(parent.starts[i]+row, place.of(parent.starts[i]+row)) || (varies && !f.Traverse.Open(b.True[row], b.Unknown[row])) ||
				(feeding != nil && !feeding[parent.ordinal(parent.starts[i]+row)]) {
				res.ordinals = append(res.ordinals, noOrdinal)
				continue
			}
			open = true
			whole := true
			for _, column := range f.ParentColumns {
				text, null := b.Cell(row, column)
				if null {
					whole = false
					break
				}
				res.keys.part(text)
			}
			if !whole {
				res.keys.drop()
				res.ordinals = append(res.ordinals, noOrdinal)
				continue
			}
			if len(res.keys.keys.Data) > 1<<31 {
				return false, errTooMuch
			}
			res.ordinals = append(res.ordinals, res.keys.add())
		}
	}
	return open, nil
}

// feedingTuples gives the ordinals of a parent's stated tuples whose rows feed
// a child's keys; nil for all. Under folded roots only some aliases may select
// the relation.
func feedingTuples(f *fetchNode, parent *result) map[int32]bool {
	if f.ParentOrdinals == nil {
		return nil
	}
	feeding := make(map[int32]bool, len(f.ParentOrdinals))
	for _, tuple := range f.ParentOrdinals {
		if ordinal := ordinalOf(parent, tuple); ordinal != noOrdinal {
			feeding[ordinal] = true
		}
	}
	return feeding
}

// read runs one statement and keeps its batches. Ordinals of its keys start at
// base.
func (r *run) read(ctx context.Context, f *fetchNode, res *result, keys *adapters.Keys, base int) (err error) {
	r.e.department(f.Department).statements.Add(1)
	rows, err := f.Statement.Fetch(ctx, r.args[f.ID], keys)
	if err != nil {
		return err
	}
	defer func() {
		if closing := rows.Close(); err == nil && closing != nil {
			err = closing
		}
	}()
	for {
		b := r.e.getBatch()
		err := rows.Next(b)
		if errors.Is(err, io.EOF) || (err == nil && b.Rows == 0) {
			r.e.putBatch(b)
			return nil
		}
		if err == nil {
			err = r.keep(f, res, b, keys, base)
		}
		if err != nil {
			r.e.putBatch(b)
			return err
		}
	}
}

// keep checks a batch against the contract and the limits, and indexes it.
func (r *run) keep(f *fetchNode, res *result, b *adapters.Batch, keys *adapters.Keys, base int) error {
	if !f.fits(b) {
		return errRows
	}
	if res.rows+b.Rows > r.e.maxRows || r.bytes.Add(int64(len(b.Data))) > r.e.maxBytes {
		return errTooMuch
	}
	if keys != nil {
		if len(b.Parent) != b.Rows {
			return errRows
		}
		for i, ordinal := range b.Parent {
			// Ascending and known: otherwise a row could reach a parent that it
			// does not belong to.
			n := base + int(ordinal)
			if int(ordinal) >= keys.Rows || n+1 < len(res.groups) {
				return errRows
			}
			for len(res.groups) <= n {
				res.groups = append(res.groups, uint32(res.rows+i)) //nolint:gosec // bounded by maxRows
			}
		}
	}
	res.batches = append(res.batches, b)
	res.starts = append(res.starts, res.rows)
	res.rows += b.Rows
	return nil
}

// fits reports whether a batch is one of the fetch's shape.
func (f *fetchNode) fits(b *adapters.Batch) bool {
	cols := len(f.Shape.Columns)
	if f.Shape.Count {
		cols = 1
	}
	return b.Cols == cols && len(b.Ends) == b.Rows*cols && len(b.True) == b.Rows && len(b.Unknown) == b.Rows
}

// close ends the groups of a keyed result.
func (r *result) close(ordinals int) {
	for len(r.groups) <= ordinals {
		r.groups = append(r.groups, uint32(r.rows)) //nolint:gosec // bounded by maxRows
	}
}

// panicPlace is the place at which a panic arose, from a stack: the line behind
// the runtime's own frames.
func panicPlace(stack []byte) string {
	_, rest, ok := bytes.Cut(stack, []byte("\npanic("))
	if !ok {
		return "an unknown place"
	}
	lines := bytes.SplitN(rest, []byte("\n"), 5)
	if len(lines) < 4 {
		return "an unknown place"
	}
	place, _, _ := bytes.Cut(bytes.TrimSpace(lines[3]), []byte(" "))
	return string(place[bytes.LastIndexByte(place, '/')+1:])
}

// department is what the executor keeps per source.
type department struct {
	timeout time.Duration
	maxKeys int
	remote  bool // fetches of one key may travel in company
	slots   chan struct{}

	statements atomic.Uint64 // sent
}

// acquire waits for a place among the department's running fetches.
func (d *department) acquire(ctx context.Context) error {
	select {
	case d.slots <- struct{}{}:
		return nil
	default:
	}
	select {
	case d.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *department) release() { <-d.slots }

// Fetched tells an observer how one fetch went. Cause is for operators' eyes
// and holds no value of a row.
type Fetched struct {
	Request          string // id
	Department, Type string
	Took             time.Duration
	Rows             int
	Code             plan.Code // "" on success
	Cause            error
}
