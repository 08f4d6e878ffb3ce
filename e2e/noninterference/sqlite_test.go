package noninterference

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/adapters/sqlite"
	"github.com/weir-data/weir/schema"
)

// sqliteEngine holds a side's rows in one file, which every department reads.
type sqliteEngine struct {
	path  string
	db    *sql.DB
	kept  map[string]adapters.Adapter
	known []string // tables
}

func newSQLite(tb testing.TB) engine {
	tb.Helper()
	path := filepath.Join(fastDir(tb), "rows.db")
	// Nothing here must survive a crash.
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: "_pragma=journal_mode(MEMORY)&_pragma=synchronous(OFF)"}).String())
	if err != nil {
		tb.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	tb.Cleanup(func() { _ = db.Close() })
	if _, err := db.ExecContext(tb.Context(), "CREATE TABLE made (x)"); err != nil {
		tb.Fatal(err)
	}
	e := &sqliteEngine{path: path, db: db, kept: map[string]adapters.Adapter{}}
	for _, name := range departmentNames() {
		cfg := sqlite.DefaultConfig(path)
		cfg.BusyTimeout, cfg.StatementTimeout, cfg.ConnectTimeout = time.Minute, time.Minute, time.Minute
		a, err := sqlite.Open(cfg)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = a.Close() })
		e.kept[name] = a
	}
	return e
}

func (e *sqliteEngine) adapters() map[string]adapters.Adapter { return e.kept }

// pulse: SQLite lives in the process.
func (e *sqliteEngine) pulse(context.Context) error { return nil }

func (e *sqliteEngine) tables(w *world) error {
	var b strings.Builder
	for _, t := range e.known {
		fmt.Fprintf(&b, "DROP TABLE %s;", t)
	}
	e.known = nil
	for _, t := range w.types {
		columns := []string{"row_no INTEGER"}
		for _, f := range t.fields {
			columns = append(columns, strings.ToLower(f.name)+" "+sqliteType(f))
		}
		fmt.Fprintf(&b, "CREATE TABLE %s (%s);", t.table(), strings.Join(columns, ", "))
		e.known = append(e.known, t.table())
	}
	_, err := e.db.ExecContext(context.Background(), b.String())
	return err
}

func sqliteType(f *field) string {
	switch {
	case f.list:
	case f.kind == schema.Int || f.kind == schema.BigInt || f.kind == schema.Boolean:
		return "INTEGER"
	case f.kind == schema.Float:
		return "REAL"
	}
	return "TEXT"
}

func (e *sqliteEngine) rows(w *world, db database, s source) error {
	ctx := context.Background()
	tx, err := e.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for i, t := range w.types {
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+t.table()); err != nil {
			return err
		}
		if len(db[i]) == 0 {
			continue
		}
		var b strings.Builder
		var args []any
		for n, at := range s.Perm(len(db[i])) {
			r := db[i][at]
			b.WriteString([...]string{"INSERT INTO " + t.table() + " VALUES (?", ",(?"}[min(n, 1)])
			args = append(args, r.tie)
			for j, f := range t.fields {
				b.WriteString(",?")
				args = append(args, sqliteValue(f, r.cells[j]))
			}
			b.WriteString(")")
		}
		if _, err := tx.ExecContext(ctx, b.String(), args...); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func sqliteValue(f *field, c cell) any {
	switch {
	case c.null:
		return nil
	case c.bad:
		return []byte{0xff, 'n', 'o'}
	case f.list:
	case f.kind == schema.Int || f.kind == schema.BigInt:
		var n int64
		if _, err := fmt.Sscan(c.text, &n); err != nil {
			panic(err)
		}
		return n
	case f.kind == schema.Float:
		var x float64
		if _, err := fmt.Sscan(c.text, &x); err != nil {
			panic(err)
		}
		return x
	case f.kind == schema.Boolean:
		if c.text == "true" {
			return 1
		}
		return 0
	}
	return c.text
}

// fastDir is a folder in memory where the system has one.
func fastDir(tb testing.TB) string {
	tb.Helper()
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		if dir, err := os.MkdirTemp("/dev/shm", "weir-noninterference-"); err == nil { //nolint:usetesting // in memory, where TempDir is not
			tb.Cleanup(func() { _ = os.RemoveAll(dir) })
			return dir
		}
	}
	return tb.TempDir()
}
