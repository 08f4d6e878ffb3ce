package postgres

import (
	"context"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// parting bounds how long a connection that was given up is listened to. pgx
// reads it to its end, so that the server sees no reset, for 15 s at the most;
// meanwhile it takes a place in the pool, so that a source which stalled would be
// out of reach for as long after it has come back.
const parting = 2 * time.Second

// dialer bounds what happens on connections that nobody waits for any more:
// those that are closed, and those that only carry the request to cancel a
// statement. A connection has until limit to become one of the pool, which
// [settled] then says.
func dialer(dial pgconn.DialFunc, limit time.Duration) pgconn.DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if err := c.SetDeadline(time.Now().Add(limit)); err != nil {
			_ = c.Close()
			return nil, err
		}
		return &parted{c}, nil
	}
}

// settled lifts the limit of a connection that is one of the pool.
func settled(c *pgconn.PgConn) error { return c.Conn().SetDeadline(time.Time{}) }

// parted is a connection whose deadlines, which pgx sets when it closes one, are
// near.
type parted struct{ net.Conn }

// SetDeadline is part of net.Conn.
func (c *parted) SetDeadline(t time.Time) error {
	if limit := time.Now().Add(parting); t.After(limit) {
		t = limit
	}
	return c.Conn.SetDeadline(t)
}
