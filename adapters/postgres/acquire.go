package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// acquire waits for a connection, until the context ends or that moment comes.
func (a *Adapter) acquire(ctx context.Context, until time.Time) (*pgxpool.Conn, error) {
	if err := a.place(ctx, until); err != nil {
		return nil, err
	}
	err := ctx.Err()
	for err == nil {
		var c *pgxpool.Conn
		if c, err = a.take(ctx, until); err != nil {
			break
		}
		if a.lively(ctx, c.Conn(), until) {
			return c, nil
		}
		c.Release() // of what is closed the pool makes a new one
		err = ended(ctx, until)
	}
	<-a.places
	return nil, err
}

// release gives a connection back.
func (a *Adapter) release(c *pgxpool.Conn) {
	stateOf(c.Conn()).released = time.Now()
	c.Release()
	<-a.places
}

// place waits for one of the places for connections.
func (a *Adapter) place(ctx context.Context, until time.Time) error {
	select {
	case a.places <- struct{}{}:
		return nil
	default:
	}
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	select {
	case a.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-a.life.Done():
		return errClosed
	}
}

// take takes a connection of the pool, or has it make one.
func (a *Adapter) take(ctx context.Context, until time.Time) (*pgxpool.Conn, error) {
	if int64(len(a.places)) <= a.connections.Load() {
		return a.pool.Acquire(a.life) // one is idle: nothing is waited for
	}
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	defer context.AfterFunc(a.life, cancel)() // after Close it is not waited for
	return a.pool.Acquire(ctx)
}

// doubtful is how long a connection may be idle before its server is asked
// whether it is there: one that went away without a word, behind a firewall for
// one, would take all of a fetch's time.
const doubtful = time.Second

// lively reports whether a connection has a server; without one it is closed.
func (a *Adapter) lively(ctx context.Context, c *pgx.Conn, until time.Time) bool {
	if time.Since(stateOf(c).released) < doubtful {
		return true
	}
	if limit := time.Now().Add(a.config.ConnectTimeout); limit.Before(until) {
		until = limit
	}
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	if c.Ping(ctx) == nil {
		return true
	}
	_ = c.Close(ctx) // it is of no use, whatever it says
	return false
}

// ended is why nothing is waited for any more; nil while it is.
func ended(ctx context.Context, until time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !time.Now().Before(until) {
		return context.DeadlineExceeded
	}
	return nil
}
