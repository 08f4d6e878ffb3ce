package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/adapters/sqlgen"
	"github.com/weir-data/weir/schema"
)

// Check is part of adapters.Checker.
func (a *Adapter) Check(ctx context.Context, tables []adapters.Table) error {
	c, err := a.pool.acquire(ctx)
	if err != nil {
		return err
	}
	defer a.pool.release(c)
	var missing []error
	for _, t := range tables {
		declared, err := declaredTypes(ctx, c, t.Name)
		if err != nil {
			return mapError(ctx, err)
		}
		if len(declared) == 0 {
			missing = append(missing, fmt.Errorf("no table %q", t.Name))
			continue
		}
		for i := range t.Columns {
			if err := fits(&t.Columns[i], declared); err != nil {
				missing = append(missing, fmt.Errorf("table %q: %w", t.Name, err))
			}
		}
	}
	if len(missing) > 0 {
		return &adapters.Error{Kind: adapters.Invalid, Cause: errors.Join(missing...)}
	}
	return nil
}

// declaredTypes maps the columns of a table, in lower case since SQLite's names
// have none, to their declared types.
func declaredTypes(ctx context.Context, c *conn, table string) (map[string]string, error) {
	if _, err := sqlgen.QuoteTable(table, 0); err != nil {
		return nil, err
	}
	namespace, name, qualified := strings.Cut(table, ".")
	if !qualified {
		namespace, name = "main", table
	}
	stmt, err := c.prepare(ctx, "SELECT name, type || '' FROM pragma_table_xinfo(?1, ?2)")
	if err != nil {
		return nil, err
	}
	rows, err := stmt.QueryContext(ctx, []driver.NamedValue{{Ordinal: 1, Value: name}, {Ordinal: 2, Value: namespace}})
	if err != nil {
		return nil, err
	}
	declared := map[string]string{}
	row := make([]driver.Value, 2)
	for {
		err := rows.Next(row)
		if errors.Is(err, io.EOF) {
			return declared, rows.Close()
		}
		if err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		column, _ := row[0].(string)
		text, _ := row[1].(string)
		declared[strings.ToLower(column)] = text
	}
}

// isRowID reports whether a column that no table declares is the number that
// SQLite gives its rows, as a tie-break may be.
func isRowID(c *adapters.Column) bool {
	switch strings.ToLower(c.Name) {
	case "rowid", "oid", "_rowid_":
		return c.Kind == schema.Int || c.Kind == schema.BigInt
	}
	return false
}

func fits(c *adapters.Column, declared map[string]string) error {
	text, ok := declared[strings.ToLower(c.Name)]
	if !ok && isRowID(c) {
		return nil
	}
	if !ok {
		return fmt.Errorf("no column %q", c.Name)
	}
	switch a := affinity(text); {
	case c.List || sqlgen.Textual(c.Kind) || c.Kind == schema.Decimal || c.Kind == schema.JSON:
		if a != affinityText && a != affinityBlob {
			return fmt.Errorf("column %q: declared %q, which may turn a %s into a number", c.Name, text, c.Kind)
		}
	case c.Kind == schema.Int || c.Kind == schema.BigInt || c.Kind == schema.Float || c.Kind == schema.Boolean:
		if a == affinityText {
			return fmt.Errorf("column %q: declared %q, which turns a %s into text", c.Name, text, c.Kind)
		}
	}
	return nil
}

// affinities of SQLite, by the rules of its documentation ("Datatypes In
// SQLite", 3.1).
type typeAffinity uint8

const (
	affinityNumeric typeAffinity = iota
	affinityText
	affinityBlob
)

func affinity(declared string) typeAffinity {
	d := strings.ToUpper(declared)
	switch {
	case strings.Contains(d, "INT"):
		return affinityNumeric
	case strings.Contains(d, "CHAR"), strings.Contains(d, "CLOB"), strings.Contains(d, "TEXT"):
		return affinityText
	case d == "", strings.Contains(d, "BLOB"):
		return affinityBlob
	default:
		return affinityNumeric
	}
}
