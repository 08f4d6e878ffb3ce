package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/adapters/cell"
	"github.com/weir-data/weir/adapters/sqlgen"
	"github.com/weir-data/weir/schema"
)

// statement is a compiled shape.
type statement struct {
	adapter *Adapter
	query   *sqlgen.Query
	columns []adapters.Column
	keys    []adapters.Column
	params  int
}

var _ adapters.Statement = (*statement)(nil)

func countColumns() []adapters.Column {
	return []adapters.Column{{Name: "count", Kind: schema.BigInt}}
}

// String is part of adapters.Statement.
func (s *statement) String() string { return s.query.Text }

// Fetch is part of adapters.Statement.
func (s *statement) Fetch(ctx context.Context, args []adapters.Arg, keys *adapters.Keys) (adapters.Rows, error) {
	values, err := s.bind(args, keys)
	if err != nil {
		return nil, &adapters.Error{Kind: adapters.Unsupported, Cause: err}
	}
	ctx, cancel := context.WithTimeout(ctx, s.adapter.config.StatementTimeout)
	c, err := s.adapter.pool.acquire(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	stmt, err := c.prepare(ctx, s.query.Text)
	var result driver.Rows
	if err == nil {
		result, err = stmt.QueryContext(ctx, values)
	}
	if err != nil {
		err = mapError(ctx, err)
		s.adapter.pool.release(c)
		cancel()
		return nil, err
	}
	return &rows{
		ctx: ctx, cancel: cancel, pool: s.adapter.pool, conn: c, result: result,
		statement: s, row: make([]driver.Value, s.query.Width()),
	}, nil
}

var errArguments = errors.New("arguments do not fit the shape")

func (s *statement) bind(args []adapters.Arg, keys *adapters.Keys) ([]driver.NamedValue, error) {
	switch {
	case len(args) != s.params:
		return nil, fmt.Errorf("%w: %d values for %d parameters", errArguments, len(args), s.params)
	case (keys != nil) != s.query.Keyed:
		return nil, fmt.Errorf("%w: keys without a keyed shape, or the reverse", errArguments)
	case keys != nil && keys.Rows > MaxKeys:
		return nil, fmt.Errorf("%w: more than %d keys", errArguments, MaxKeys)
	case keys != nil && (keys.Rows > 0 && keys.Cols != len(s.keys) || len(keys.Ends) != keys.Rows*keys.Cols):
		return nil, fmt.Errorf("%w: keys of another width", errArguments)
	}
	values := make([]driver.NamedValue, len(s.query.Slots))
	for i := range s.query.Slots {
		slot := &s.query.Slots[i]
		var v driver.Value
		var err error
		switch slot.Use {
		case sqlgen.UseKeys:
			v = s.keyArray(keys)
		case sqlgen.UseBound:
			v, err = bound(&args[slot.Index], slot.Plus)
		default:
			v = argument(slot, &args[slot.Index])
		}
		if err != nil {
			return nil, err
		}
		values[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return values, nil
}

// bound reads a limit or an offset. SQLite takes a negative limit for none, so
// that nothing but a natural number may reach it.
func bound(arg *adapters.Arg, plus int) (driver.Value, error) {
	n, err := strconv.ParseUint(arg.Text, 10, 31)
	if arg.Null || err != nil {
		return nil, fmt.Errorf("%w: a limit or offset is no natural number", errArguments)
	}
	return int64(n) + int64(plus), nil //nolint:gosec // 31 bits
}

// argument is what is bound for an argument; nil, so NULL, when it is NULL or
// not of the column's kind.
func argument(slot *sqlgen.Slot, arg *adapters.Arg) driver.Value {
	switch slot.Use {
	case sqlgen.UseTruth:
		return single(&slot.Column, arg)
	case sqlgen.UseNull:
		return truth(single(&slot.Column, arg) == nil)
	case sqlgen.UsePattern:
		if v, ok := single(&slot.Column, arg).(string); ok {
			if glob := sqlgen.Glob(v); len(glob) <= sqlgen.MaxGlob {
				return glob
			}
		}
		return nil
	}
	if !slot.List {
		return single(&slot.Column, arg)
	}
	if arg.Null {
		return "[null]" // to be in it is unknown; to be in no list would be false
	}
	list := []byte{'['}
	for i, text := range arg.List {
		if i > 0 {
			list = append(list, ',')
		}
		list = appendOperand(list, &slot.Column, []byte(text))
	}
	return string(append(list, ']'))
}

func truth(b bool) driver.Value {
	if b {
		return int64(1)
	}
	return int64(0)
}

func single(c *adapters.Column, arg *adapters.Arg) driver.Value {
	if arg.Null {
		return nil
	}
	text, ok := cell.Arg(c.Kind, c.Enum, arg.Text)
	if !ok {
		return nil
	}
	switch c.Kind {
	case schema.Boolean:
		return truth(text == "true")
	case schema.Int, schema.BigInt:
		if v, err := strconv.ParseInt(text, 10, 64); err == nil {
			return v
		}
		return nil
	case schema.Float:
		if v, err := strconv.ParseFloat(text, 64); err == nil {
			return v
		}
		return nil
	default:
		return text
	}
}

// appendOperand appends a value for SQLite's JSON functions: null when it is
// not of the column's kind.
func appendOperand(dst []byte, c *adapters.Column, text []byte) []byte {
	start := len(dst)
	out, ok := cell.AppendScalar(dst, c.Kind, c.Enum, text)
	value := out[start:]
	switch {
	case !ok:
	case c.Kind == schema.Boolean:
		if string(value) == "true" {
			return append(dst, '1')
		}
		return append(dst, '0')
	case c.Kind == schema.BigInt:
		if _, err := strconv.ParseInt(string(value), 10, 64); err == nil {
			return out
		}
	case c.Kind == schema.Int || c.Kind == schema.Float:
		return out
	default:
		return cell.AppendQuoted(dst, []byte(string(value)))
	}
	return append(dst, "null"...)
}

// keyArray is the JSON array of the key tuples.
func (s *statement) keyArray(keys *adapters.Keys) string {
	size := min(len(keys.Data)+6*len(keys.Ends)+2, math.MaxInt32)
	out := append(make([]byte, 0, size), '[')
	for row := range keys.Rows {
		if row > 0 {
			out = append(out, ',')
		}
		if keys.Cols > 1 {
			out = append(out, '[')
		}
		for col := range keys.Cols {
			if col > 0 {
				out = append(out, ',')
			}
			out = appendOperand(out, &s.keys[col], keys.Cell(row, col))
		}
		if keys.Cols > 1 {
			out = append(out, ']')
		}
	}
	return string(append(out, ']'))
}
