package exec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/weir-data/weir/adapters"
)

// Most of what a fetch of one key costs a source in another process is the
// exchange, the statement's start and the waking up; the row is a small part. So
// when several such fetches of one plan's statement are under way, further ones,
// of whichever requests, wait for one of them to end and then travel together:
// one fetch of several keys. A source with time to spare sees no company.
//
// Nobody gets anything by it that he alone would not. The statement is the same,
// and so are its other arguments: conditions and scopes are part of it, and where
// one reader's differ from another's they do not travel together. Rows come back
// under the number of their key. Nor does anybody's key make another's fetch fail:
// unless the source is down, a company that fails, takes half of the time that
// there is, or has more rows than one batch is dissolved. Each fetches anew, alone,
// and for a while nobody waits for company.

const (
	// atOnce is how many fetches of one key of a statement are under way before
	// others wait for company. That costs who waits the rest of one fetch, which is
	// less than the commit of his record takes.
	atOnce = 2
	// slow is how long a fetch takes of which nobody waits for the rest: there the
	// exchange is the smaller part.
	slow = 10 * time.Millisecond
	// mostCompany is how many travel together.
	mostCompany = 64
	// apart is how long nobody waits for company after one was dissolved.
	apart = 10 * time.Second
)

// lane is where the fetches of one key of one statement wait for company. Safe
// for concurrent use.
type lane struct {
	mu      sync.Mutex
	running int
	waiting *company      // nil when nobody waits
	closed  time.Time     // until when nobody waits; zero for now
	took    time.Duration // the last fetch that went alone
}

// company is several fetches in one.
type company struct {
	args    []adapters.Arg
	until   time.Time // the earliest end of all
	keys    adapters.Keys
	members []int // the number of each member's key
	// done is closed when rows and err are there.
	done chan struct{}
	rows []*adapters.Batch // of each member; nil for none
	err  error
}

// errAlone is the error of a company whose members are to fetch alone.
var errAlone = errors.New("fetches do not fit together")

// enter lets a fetch go alone, or gives the company to wait for and the fetch's
// number in it. Who goes alone leaves.
func (l *lane) enter(args []adapters.Arg, key *adapters.Keys, until time.Time) (*company, int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running >= atOnce && l.took < slow && l.open() {
		if l.waiting == nil {
			l.waiting = &company{args: args, until: until, keys: adapters.Keys{Cols: key.Cols}, done: make(chan struct{})}
		}
		if c := l.waiting; c.takes(args, key) {
			return c, c.add(key, until)
		}
	}
	l.running++
	return nil, 0
}

// open reports whether fetches may wait for company. The caller holds mu.
func (l *lane) open() bool { return l.closed.IsZero() || time.Now().After(l.closed) }

// dissolve keeps fetches apart for a while.
func (l *lane) dissolve() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = time.Now().Add(apart)
}

// leave ends what enter began, for a fetch that began at that moment. Those who
// wait set out, if there are any, in a goroutine of their own: nobody works off
// what others asked before his answer.
func (l *lane) leave(e *Executor, f *fetchNode, began time.Time) {
	if c := l.next(time.Since(began)); c != nil {
		go func() {
			for ; c != nil; c = l.next(0) {
				e.travel(f, c)
			}
		}()
	}
}

// next gives the company that sets out in the place of what ended; nil for none.
// took is how long that was alone under way, 0 for a company.
func (l *lane) next(took time.Duration) *company {
	l.mu.Lock()
	defer l.mu.Unlock()
	if took > 0 {
		l.took = took
	}
	c := l.waiting
	if l.waiting = nil; c == nil {
		l.running--
	}
	return c
}

// takes reports whether a fetch may come along.
func (c *company) takes(args []adapters.Arg, key *adapters.Keys) bool {
	return len(c.members) < mostCompany && key.Cols == c.keys.Cols && slices.EqualFunc(c.args, args, sameArg)
}

func sameArg(a, b adapters.Arg) bool {
	return a.Null == b.Null && a.Text == b.Text && (a.List == nil) == (b.List == nil) && slices.Equal(a.List, b.List)
}

// add takes a fetch along and gives its number.
func (c *company) add(key *adapters.Keys, until time.Time) int {
	if until.Before(c.until) {
		c.until = until
	}
	c.members = append(c.members, c.keyed(key))
	return len(c.members) - 1
}

// keyed gives the number of a key; a source is asked for each once.
func (c *company) keyed(key *adapters.Keys) int {
next:
	for n := range c.keys.Rows {
		for col := range key.Cols {
			if !bytes.Equal(c.keys.Cell(n, col), key.Cell(0, col)) {
				continue next
			}
		}
		return n
	}
	for col := range key.Cols {
		c.keys.Data = append(c.keys.Data, key.Cell(0, col)...)
		c.keys.Ends = append(c.keys.Ends, uint32(len(c.keys.Data))) //nolint:gosec // few keys
	}
	c.keys.Rows++
	return c.keys.Rows - 1
}

// travel fetches for a company. It keeps a panic inside.
func (e *Executor) travel(f *fetchNode, c *company) {
	defer close(c.done)
	defer func() {
		if p := recover(); p != nil {
			c.err = fmt.Errorf("%w: at %s", errPanic, panicPlace(debug.Stack()))
		}
		if c.err != nil && !down(c.err) {
			c.err = errAlone
			f.lane.dissolve()
		}
	}()
	c.err = e.fetchFor(f, c)
}

// down reports whether an error is about the source, whatever it is asked.
func down(err error) bool {
	var known *adapters.Error
	return errors.As(err, &known) && known.Kind == adapters.Unavailable
}

func (e *Executor) fetchFor(f *fetchNode, c *company) (err error) {
	ctx := withDeadline(context.Background(), time.Now().Add(time.Until(c.until)/2)) // the rest is for those who then fetch alone
	defer ctx.stop()
	department := e.department(f.Department)
	if err := department.acquire(ctx); err != nil {
		return err
	}
	defer department.release()
	department.statements.Add(1)
	rows, err := f.Statement.Fetch(ctx, c.args, &c.keys)
	if err != nil {
		return err
	}
	defer func() {
		if closing := rows.Close(); err == nil && closing != nil {
			err = closing
		}
	}()
	b := e.getBatch()
	defer e.putBatch(b)
	if err := rows.Next(b); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := c.share(e, f, b); err != nil {
		return err
	}
	// More rows than a batch has are not held for all: who has them fetches them.
	switch err := rows.Next(b); {
	case errors.Is(err, io.EOF) || err == nil && b.Rows == 0:
		return nil
	case err == nil:
		return errAlone
	default:
		return err
	}
}

// share gives each member the rows of its key.
func (c *company) share(e *Executor, f *fetchNode, b *adapters.Batch) error {
	c.rows = make([]*adapters.Batch, len(c.members))
	if b.Rows == 0 {
		return nil
	}
	if !f.fits(b) || len(b.Parent) != b.Rows || !slices.IsSorted(b.Parent) || int(b.Parent[b.Rows-1]) >= c.keys.Rows {
		return errRows
	}
	with := make([][]int, c.keys.Rows) // the members with each key
	for n, key := range c.members {
		with[key] = append(with[key], n)
	}
	for row, key := range b.Parent {
		for _, n := range with[key] {
			if c.rows[n] == nil {
				c.rows[n] = e.getBatch()
				c.rows[n].Reset(b.Cols)
			}
			c.rows[n].AppendRow(b, row, 0)
		}
	}
	return nil
}

// receive takes what the company brought for its nth member, whose request's
// limits it is held to like what he fetches himself.
func (r *run) receive(f *fetchNode, res *result, c *company, n int, key *adapters.Keys) error {
	if c.err != nil {
		return c.err
	}
	if b := c.rows[n]; b != nil {
		if err := r.keep(f, res, b, key, 0); err != nil {
			r.e.putBatch(b)
			return err
		}
	}
	res.close(key.Rows)
	return nil
}
