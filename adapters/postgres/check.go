package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/adapters/sqlgen"
	"github.com/weir-data/weir/schema"
)

// Check is part of adapters.Checker. It reads the database's own catalogue
// alone.
func (a *Adapter) Check(ctx context.Context, tables []adapters.Table) error {
	if !a.begin() {
		return &adapters.Error{Kind: adapters.Unavailable, Cause: errClosed}
	}
	defer a.leave()
	until := a.until(ctx)
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	conn, err := a.acquire(ctx, until)
	if err != nil {
		return a.mapError(ctx.Err(), err)
	}
	defer a.release(conn)
	var missing []error
	for _, t := range tables {
		columns, err := describeTable(ctx, conn.Conn().PgConn(), t.Name)
		switch {
		case errors.Is(err, errNoTable):
			missing = append(missing, fmt.Errorf("no table %q", t.Name))
			continue
		case err != nil:
			return a.mapError(ctx.Err(), err)
		}
		for i := range t.Columns {
			if err := fits(&t.Columns[i], columns); err != nil {
				missing = append(missing, fmt.Errorf("table %q: %w", t.Name, err))
			}
		}
	}
	if len(missing) > 0 {
		return &adapters.Error{Kind: adapters.Invalid, Cause: errors.Join(missing...)}
	}
	return nil
}

// column is what the server says about a column: base is its type, under all
// domains; category as in pg_type ('A' array, 'E' enum, 'S' string).
type column struct {
	name     string // the type's
	base     uint32
	category string
	readable bool
}

var errNoTable = errors.New("no such table")

func describeTable(ctx context.Context, c *pgconn.PgConn, table string) (map[string]column, error) {
	const query = `WITH RECURSIVE c AS (
  SELECT a.attname, a.attnum, a.atttypid AS typ, pg_catalog.format_type(a.atttypid, a.atttypmod) AS name,
         pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT') AS readable
  FROM pg_catalog.pg_attribute a WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
), base AS (
  SELECT c.attnum, c.typ FROM c
  UNION ALL
  SELECT b.attnum, t.typbasetype FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.typ WHERE t.typtype = 'd'
)
SELECT c.attname, c.name, t.oid, t.typcategory, c.readable
FROM c JOIN base b USING (attnum) JOIN pg_catalog.pg_type t ON t.oid = b.typ AND t.typtype <> 'd'`
	quoted, err := sqlgen.QuoteTable(table, 63)
	if err != nil {
		return nil, err
	}
	result := c.ExecParams(ctx, query, [][]byte{[]byte(quoted)}, []uint32{pgtype.TextOID}, nil, nil).Read()
	if result.Err != nil {
		return nil, result.Err
	}
	if len(result.Rows) == 0 {
		return nil, errNoTable
	}
	columns := make(map[string]column, len(result.Rows))
	for _, r := range result.Rows {
		oid, err := strconv.ParseUint(string(r[2]), 10, 32)
		if err != nil {
			return nil, errors.New("postgres: a type without a number")
		}
		columns[string(r[0])] = column{name: string(r[1]), base: uint32(oid), category: string(r[3]), readable: string(r[4]) == "t"}
	}
	return columns, nil
}

func fits(c *adapters.Column, columns map[string]column) error {
	has, ok := columns[c.Name]
	switch {
	case !ok:
		return fmt.Errorf("no column %q", c.Name)
	case !has.readable:
		return fmt.Errorf("column %q: no right to read it", c.Name)
	case c.List && (has.category == "A" || has.base == pgtype.JSONOID || has.base == pgtype.JSONBOID):
		return nil
	case c.List || !holds(has, c.Kind):
		kind := c.Kind.String()
		if c.List {
			kind = "list of " + kind
		}
		return fmt.Errorf("column %q: a %s cannot be of type %s", c.Name, kind, has.name)
	}
	return nil
}

// comparesAsText reports whether the type is one whose input is known, so that
// any text can be compared with it. The server refuses what is no input of
// another one, as of inet or jsonb, and some have no equality, or are shown in
// another form than they are compared in.
func comparesAsText(c column) bool {
	_, known := domainOf(c.base)
	return known || c.category == "S" || c.category == "E"
}

// holds reports whether a type can hold values of a kind.
func holds(c column, kind schema.Scalar) bool {
	switch kind {
	case schema.String:
		return comparesAsText(c)
	case schema.ID: // an identifier that loses blanks names several things
		return c.base != pgtype.BPCharOID && comparesAsText(c)
	case schema.Enum:
		return c.category == "S" || c.category == "E"
	case schema.JSON:
		return c.base == pgtype.JSONOID || c.base == pgtype.JSONBOID || c.category == "S"
	case schema.UUID:
		return c.base == pgtype.UUIDOID || c.category == "S"
	}
	switch c.base {
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.NumericOID:
		return kind == schema.Int || kind == schema.BigInt || kind == schema.Decimal || kind == schema.Float
	case pgtype.Float4OID, pgtype.Float8OID:
		return kind == schema.Float
	case pgtype.BoolOID:
		return kind == schema.Boolean
	case pgtype.DateOID:
		return kind == schema.Date
	case pgtype.TimestampOID, pgtype.TimestamptzOID:
		return kind == schema.DateTime
	case pgtype.TimeOID:
		return kind == schema.Time
	}
	return false
}
