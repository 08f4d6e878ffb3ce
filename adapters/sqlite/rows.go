package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"strconv"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/adapters/cell"
	"github.com/weir-data/weir/schema"
)

const (
	batchRows = 1024
	// checkRows is how many rows are read between two looks at the context.
	checkRows = 64
)

// rows is a result being read; it owns its connection until it is closed.
type rows struct {
	ctx       context.Context //nolint:containedctx // the fetch's own, until Close
	cancel    context.CancelFunc
	pool      *pool
	conn      *conn
	result    driver.Rows
	statement *statement
	row       []driver.Value
	scratch   []byte
	end       error // io.EOF or what went wrong
	closed    bool
}

var _ adapters.Rows = (*rows)(nil)

// Next is part of adapters.Rows.
func (r *rows) Next(b *adapters.Batch) error {
	b.Reset(r.statement.query.Cells)
	if r.end != nil {
		return r.end
	}
	if r.closed {
		return unavailable(errClosed)
	}
	for b.Rows < batchRows {
		if b.Rows%checkRows == 0 {
			if err := r.interrupted(); err != nil {
				return r.stop(b, err)
			}
		}
		err := r.result.Next(r.row)
		if errors.Is(err, io.EOF) {
			r.end = io.EOF
			if b.Rows == 0 {
				return io.EOF
			}
			return nil
		}
		if err != nil {
			return r.stop(b, mapError(r.ctx, err))
		}
		r.append(b)
	}
	return nil
}

func (r *rows) interrupted() error {
	if r.pool.isClosed() {
		return unavailable(errClosed)
	}
	if r.ctx.Err() != nil {
		return contextError(r.ctx)
	}
	return nil
}

func (r *rows) stop(b *adapters.Batch, err error) error {
	b.Reset(r.statement.query.Cells)
	r.end = err
	return err
}

func (r *rows) append(b *adapters.Batch) {
	row := r.row
	var parent uint32
	q := r.statement.query
	if q.Keyed {
		ordinal, _ := row[0].(int64)
		parent = uint32(ordinal - q.First) //nolint:gosec // below MaxKeys
		row = row[1:]
	}
	for i := range r.statement.columns {
		null, ok := row[i] == nil, true
		if !null {
			b.Data, ok = r.appendCell(b.Data, &r.statement.columns[i], row[i])
		}
		b.EndCell(null, !ok)
	}
	var truth, unknown uint64
	for i, v := range row[q.Cells : q.Cells+q.Scopes] {
		switch v {
		case nil:
			unknown |= 1 << i
		case int64(0):
		default:
			truth |= 1 << i
		}
	}
	b.EndRow(truth, unknown, parent, q.Keyed)
}

// appendCell appends a stored value, if it is stored as its kind has to be.
func (r *rows) appendCell(dst []byte, c *adapters.Column, v driver.Value) ([]byte, bool) {
	switch v := v.(type) {
	case string:
		switch c.Kind {
		case schema.Int, schema.BigInt, schema.Float, schema.Boolean:
			if !c.List {
				return dst, false
			}
		case schema.UUID:
			// Upper case would not be found by its own text.
			for i := range len(v) {
				if v[i] >= 'A' && v[i] <= 'F' {
					return dst, false
				}
			}
		}
		r.scratch = append(r.scratch[:0], v...)
		return cell.Append(dst, c, r.scratch)
	case int64:
		if c.List {
			return dst, false
		}
		switch c.Kind {
		case schema.Int:
			return cell.AppendInt32(dst, v)
		case schema.BigInt, schema.Decimal:
			return strconv.AppendInt(dst, v, 10), true
		case schema.Float:
			return cell.AppendFloat(dst, float64(v), 64)
		case schema.Boolean:
			if v == 0 || v == 1 {
				return strconv.AppendBool(dst, v == 1), true
			}
		}
	case float64:
		if c.Kind == schema.Float && !c.List {
			return cell.AppendFloat(dst, v, 64)
		}
	}
	return dst, false
}

// Close is part of adapters.Rows.
func (r *rows) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	err := r.result.Close()
	r.pool.release(r.conn)
	r.cancel()
	if err != nil {
		return mapError(context.Background(), err)
	}
	return nil
}
