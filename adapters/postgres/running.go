package postgres

import (
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// begin announces a fetch; leave takes it back.
func (a *Adapter) begin() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return false
	}
	a.fetches++
	if !a.watching {
		a.watching = true
		go a.watch()
	}
	return true
}

func (a *Adapter) leave() {
	a.mu.Lock()
	a.fetches--
	last := a.closed && a.fetches == 0
	a.mu.Unlock()
	if last {
		a.pool.Close()
	}
}

// hold makes a fetch one that is interrupted, on its connection c, when it takes
// too long, nobody waits for it, or the adapter is closed.
func (a *Adapter) hold(r *rows, c *pgxpool.Conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	// Others may look at the fetch meanwhile, when this is its second connection.
	r.conn, r.socket = c, c.Conn().PgConn().Conn()
	a.running[r] = struct{}{}
	if a.closed || r.lost != nil {
		r.interrupt()
	}
}

// letGo ends that: the connection may be another fetch's from now on.
func (a *Adapter) letGo(r *rows) {
	a.mu.Lock()
	delete(a.running, r)
	interrupted := r.lost != nil
	a.mu.Unlock()
	if interrupted {
		r.settle()
	}
}

// looksEvery is how soon a running fetch is interrupted whose time is up, or
// whose caller went away.
const looksEvery = 20 * time.Millisecond

// watch interrupts running fetches that nobody waits for any more, while there
// are fetches. One goroutine looks after all of them: a timer and a watcher for
// each are a good part of what a fetch of one row costs here.
func (a *Adapter) watch() {
	for watching := true; watching; {
		time.Sleep(looksEvery)
		a.mu.Lock()
		for r := range a.running {
			r.look()
		}
		watching = a.fetches > 0
		a.watching = watching
		a.mu.Unlock()
	}
}

// look interrupts the fetch if nobody waits for it any more. The caller holds the
// adapter's mu.
func (r *rows) look() {
	if r.lost != nil {
		return
	}
	if r.lost = ended(r.ctx, r.until); r.lost != nil {
		r.interrupt()
	}
}

// lookNow does so at once.
func (r *rows) lookNow() {
	r.adapter.mu.Lock()
	defer r.adapter.mu.Unlock()
	r.look()
}

// lostTo is why the fetch was interrupted; nil when it was not.
func (r *rows) lostTo() error {
	r.adapter.mu.Lock()
	defer r.adapter.mu.Unlock()
	return r.lost
}
