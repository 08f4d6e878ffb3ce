package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/weir-data/weir/adapters"
)

const (
	batchRows = 1024
	// batchBytes ends a batch of long rows early, so that whoever counts what a
	// request reads hears of it in time.
	batchBytes = 4 << 20
	// drainRows is how many rows are rather read to the end than given up with
	// their connection when a result is closed early.
	drainRows = 2048
)

// rows is a result being read; it owns its connection until the result ends.
type rows struct {
	ctx       context.Context //nolint:containedctx // the caller's, until Close
	until     time.Time       // when its time is up
	adapter   *Adapter
	statement *statement
	conn      *pgxpool.Conn
	socket    net.Conn // of conn
	lost      error    // why it was interrupted; the adapter's mu guards it
	prepared  *prepared
	result    *pgconn.ResultReader
	row       bool  // result stands on a row that was not taken yet
	end       error // io.EOF or what went wrong
	begun     bool  // Next has been called
	released  bool
}

var _ adapters.Rows = (*rows)(nil)

// start runs the statement up to its first row. A connection that turns out to
// have been lost while it was idle is no failure of the source: nothing was
// read, so that the statement is run once more, on a new connection.
func (r *rows) start(args []adapters.Arg, keys *adapters.Keys) error {
	err := r.try(args, keys)
	if err == nil || r.conn == nil || !r.conn.Conn().IsClosed() || r.over() != nil || r.adapter.isClosed() {
		return err
	}
	r.adapter.letGo(r)
	r.adapter.release(r.conn)
	r.conn, r.result = nil, nil
	r.adapter.pool.Reset() // the others that are idle will be lost too
	return r.try(args, keys)
}

func (r *rows) try(args []adapters.Arg, keys *adapters.Keys) error {
	conn, err := r.adapter.acquire(r.ctx, r.until)
	if err != nil {
		return err
	}
	r.adapter.hold(r, conn)
	err = r.run(args, keys)
	if stale(err) && !conn.Conn().IsClosed() {
		// The table changed since; the statement is prepared anew, once.
		delete(stateOf(conn.Conn()).prepared, r.statement.name)
		if err = conn.Conn().PgConn().Deallocate(r.ctx, r.statement.name); err == nil {
			err = r.run(args, keys)
		}
	}
	return err
}

func (r *rows) run(args []adapters.Arg, keys *adapters.Keys) error {
	p, err := r.statement.prepare(r.ctx, r.conn)
	if err != nil {
		return err
	}
	values, err := r.statement.encode(p, args, keys)
	if err != nil {
		return err
	}
	r.prepared = p
	// [Adapter.watch] ends it, not the context.
	r.result = r.conn.Conn().PgConn().ExecStatement(context.Background(), p.description, values, nil, p.formats)
	if r.row = r.result.NextRow(); r.row {
		return nil
	}
	if _, err := r.result.Close(); err != nil {
		return err
	}
	r.end = io.EOF
	return nil
}

// Next is part of adapters.Rows.
func (r *rows) Next(b *adapters.Batch) error {
	cells := r.statement.query.Cells
	b.Reset(cells)
	if r.end != nil {
		return r.end
	}
	if r.released {
		return &adapters.Error{Kind: adapters.Unavailable, Cause: errors.New("the rows are closed")}
	}
	if r.begun {
		r.lookNow() // many batches may come between two looks of [Adapter.watch]
	}
	r.begun = true
	for b.Rows < batchRows && len(b.Data) < batchBytes {
		if !r.row && !r.result.NextRow() {
			if _, err := r.result.Close(); err != nil {
				r.end = r.fail(err)
				b.Reset(cells)
				return r.end
			}
			r.end = io.EOF
			r.release()
			if b.Rows == 0 {
				return io.EOF
			}
			return nil
		}
		r.row = false
		values := r.result.Values()
		if !r.whole(values) {
			r.end = &adapters.Error{Kind: adapters.Invalid, Cause: errRow}
			b.Reset(cells)
			return r.end
		}
		r.append(b, values)
	}
	return nil
}

// errRow is a row that is not what the statement was prepared for.
var errRow = errors.New("postgres: a row without the columns of its statement")

// whole reports whether a row has the statement's columns: the server says how
// many there are with each row anew.
func (r *rows) whole(values [][]byte) bool {
	q := r.statement.query
	return len(values) == q.Width() && (!q.Keyed || len(values[0]) == 8)
}

func (r *rows) append(b *adapters.Batch, values [][]byte) {
	q := r.statement.query
	var parent uint32
	if q.Keyed {
		ordinal := binary.BigEndian.Uint64(values[0])
		parent = uint32(ordinal - uint64(q.First)) //nolint:gosec // below MaxKeys
		values = values[1:]
	}
	columns := r.statement.columns
	for i, d := range r.prepared.decoders {
		raw := values[i]
		if raw == nil {
			b.EndCell(true, false)
			continue
		}
		var ok bool
		b.Data, ok = appendCell(b.Data, d, &columns[i], raw)
		b.EndCell(false, !ok)
	}
	var truth, unknown uint64
	for i, raw := range values[q.Cells : q.Cells+q.Scopes] {
		switch {
		case raw == nil:
			unknown |= 1 << i
		case len(raw) == 1 && raw[0] != 0:
			truth |= 1 << i
		}
	}
	b.EndRow(truth, unknown, parent, q.Keyed || r.statement.parented)
}

// Close is part of adapters.Rows.
func (r *rows) Close() error {
	r.release()
	return nil
}

// release gives the connection back: as it is after the last row, drained when
// few rows remain, and closed, which cancels the statement, when many do.
func (r *rows) release() {
	if r.released {
		return
	}
	r.released = true
	if r.conn != nil {
		if r.result != nil && r.end == nil {
			r.giveUp()
		}
		r.adapter.letGo(r)
		r.adapter.release(r.conn)
	}
	r.adapter.leave()
}

// giveUp ends a result whose rows are not asked for any more, nor how they end.
func (r *rows) giveUp() {
	n := 0
	for n < drainRows && r.result.NextRow() {
		n++
	}
	if n < drainRows {
		_, _ = r.result.Close()
		return
	}
	r.interrupt()
	_, _ = r.result.Close()
	r.settle()
}

// settle lifts an interruption that found the end there already.
func (r *rows) settle() {
	if c := r.conn.Conn().PgConn(); !c.IsClosed() {
		_ = settled(c)
	}
}

// over is why nobody waits for the fetch any more; nil while somebody does.
func (r *rows) over() error {
	if lost := r.lostTo(); lost != nil {
		return lost
	}
	return ended(r.ctx, r.until)
}

// fail gives an error its kind.
func (r *rows) fail(err error) error { return r.adapter.mapError(r.over(), err) }

// interrupt ends what waits for the connection, and the connection with it.
func (r *rows) interrupt() {
	// An error says that the connection is closed already.
	_ = r.socket.SetDeadline(time.Unix(1, 0))
}
