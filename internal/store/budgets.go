package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Charge is a use of one budget.
type Charge struct {
	Kind     string   // what is counted
	Key      [16]byte // whose budget it is: a keyed digest
	N, Limit int      // how much is used, at least 1; how much a day allows
}

// Errors of budgets.
var (
	// ErrSpent: a day's limit would be exceeded; nothing was taken.
	ErrSpent = errors.New("budget of the day is spent")
	// ErrCharge: the charges make no sense; nothing was taken.
	ErrCharge = errors.New("invalid charge")
)

const (
	// keptDays is how long a day's uses are kept: not just the present one, so
	// that a clock set back does not give a spent day back.
	keptDays = 7
	// group is the most spends of one commit.
	group = 256

	used  = "SELECT used FROM budgets WHERE day = ? AND kind = ? AND key = ?"
	take  = "INSERT INTO budgets (day, kind, key, used) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET used = used + excluded.used"
	prune = "DELETE FROM budgets WHERE day < ?"
)

// budgets counts uses by kind, key and day. One goroutine writes: spends that
// arrive while it waits for the disk are committed together.
type budgets struct {
	db    *sql.DB
	now   func() time.Time
	zone  *time.Location
	queue chan *spending

	closeOnce sync.Once
	closing   chan struct{}
	stopped   chan struct{}

	pruned int // the day on which old ones were last taken out
}

// spending is one Spend on its way.
type spending struct {
	charges []Charge // unique by kind and key
	done    chan error
}

func (b *budgets) start(db *sql.DB, now func() time.Time, zone *time.Location) {
	b.db, b.now, b.zone = db, now, zone
	b.queue = make(chan *spending, group)
	b.closing, b.stopped = make(chan struct{}), make(chan struct{})
	go b.write()
}

// stop ends the writer; false when it was stopped before.
func (b *budgets) stop() (first bool) {
	b.closeOnce.Do(func() {
		close(b.closing)
		first = true
	})
	<-b.stopped
	return first
}

// Spend takes all of the charges from the budgets of the present day, or none.
// It returns nil when what was taken is on disk. [ErrSpent] and [ErrCharge] mean
// that nothing was taken; after any other error, the context's among them, it
// may have been, which errs to the reader's cost and never to the subject's.
func (s *Store) Spend(ctx context.Context, charges []Charge) error {
	p := &spending{done: make(chan error, 1)}
	var err error
	if p.charges, err = merged(charges); err != nil || len(p.charges) == 0 {
		return err
	}
	select {
	case s.queue <- p:
	case <-s.closing:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-p.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stopped:
	}
	select { // it may have been the last thing that was done
	case err := <-p.done:
		return err
	default:
		return ErrClosed
	}
}

// merged adds up what is used of one budget, under the lowest of its limits.
func merged(charges []Charge) ([]Charge, error) {
	out := make([]Charge, 0, len(charges))
next:
	for _, c := range charges {
		if c.Kind == "" || c.N < 1 {
			return nil, fmt.Errorf("%w: %d of kind %q", ErrCharge, c.N, c.Kind)
		}
		for i := range out {
			if have := &out[i]; have.Kind == c.Kind && have.Key == c.Key {
				have.Limit = min(have.Limit, c.Limit)
				if have.N += c.N; have.N < 0 {
					return nil, ErrSpent // beyond every limit that can be written
				}
				continue next
			}
		}
		out = append(out, c)
	}
	return out, nil
}

// write commits what arrives until the store is closed.
func (b *budgets) write() {
	defer close(b.stopped)
	for {
		select {
		case <-b.closing:
			b.refuse()
			return
		case first := <-b.queue:
			together := b.gather(first)
			// Nobody's deadline ends a commit that others wait for.
			verdicts, err := b.commit(context.Background(), together)
			for i, p := range together {
				if err != nil {
					p.done <- err
				} else {
					p.done <- verdicts[i]
				}
			}
		}
	}
}

func (b *budgets) gather(first *spending) []*spending {
	together := []*spending{first}
	for len(together) < group {
		select {
		case p := <-b.queue:
			together = append(together, p)
		default:
			return together
		}
	}
	return together
}

// refuse answers what is left in the queue of a closed store.
func (b *budgets) refuse() {
	for {
		select {
		case p := <-b.queue:
			p.done <- ErrClosed
		default:
			return
		}
	}
}

// today is the present day as a number: 20261123.
func (b *budgets) today() (today, oldest int) {
	at := b.now().In(b.zone)
	number := func(t time.Time) int { return t.Year()*10_000 + int(t.Month())*100 + t.Day() }
	return number(at), number(at.AddDate(0, 0, -keptDays))
}

// commit takes the charges of several spends in one transaction: each as a
// whole or not at all, in the order of their arrival. A verdict is of one of
// them; the error is of all.
func (b *budgets) commit(ctx context.Context, together []*spending) (verdicts []error, err error) {
	day, oldest := b.today()
	tx, err := b.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // nothing is left to undo after a commit
	if b.pruned != day {
		if _, err := tx.ExecContext(ctx, prune, oldest); err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
	}
	verdicts = make([]error, len(together))
	for i, p := range together {
		if verdicts[i], err = afford(ctx, tx, day, p.charges); err != nil {
			return nil, err
		}
		if verdicts[i] != nil {
			continue
		}
		for j := range p.charges {
			c := &p.charges[j]
			if _, err := tx.ExecContext(ctx, take, day, c.Kind, c.Key[:], c.N); err != nil {
				return nil, fmt.Errorf("store: %w", err)
			}
		}
	}
	if err := tx.Commit(); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	b.pruned = day
	return verdicts, nil
}

// afford tells whether the day still has what the charges use: ErrSpent as the
// verdict if not.
func afford(ctx context.Context, tx *sql.Tx, day int, charges []Charge) (verdict, err error) {
	for i := range charges {
		c := &charges[i]
		have := 0
		switch err := tx.QueryRowContext(ctx, used, day, c.Kind, c.Key[:]).Scan(&have); {
		case errors.Is(err, sql.ErrNoRows):
		case err != nil:
			return nil, fmt.Errorf("store: %w", err)
		}
		if c.N > c.Limit || have > c.Limit-c.N {
			return ErrSpent, nil
		}
	}
	return nil, nil
}
