package noninterference

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/adapters/postgres"
	"github.com/weir-data/weir/schema"
)

// postgresEngine holds a side's rows in a database of its own.
type postgresEngine struct {
	url   string
	conn  *pgx.Conn
	alive *pgx.Conn // for pulse alone
	kept  map[string]adapters.Adapter
	known []string
}

func newPostgres(tb testing.TB, side string) engine {
	tb.Helper()
	address := os.Getenv("WEIR_TEST_POSTGRES")
	if address == "" {
		if os.Getenv("WEIR_REQUIRE_DB") == "1" {
			tb.Fatal("WEIR_TEST_POSTGRES is not set")
		}
		tb.Skip("SKIPPED: a PostgreSQL server is needed, and WEIR_TEST_POSTGRES is not set")
	}
	ctx := context.Background() // the test's own ends before its cleanups run
	admin, err := pgx.Connect(ctx, address)
	if err != nil {
		tb.Fatal(err)
	}
	name := fmt.Sprintf("weir_noninterference_%d_%d_%s", os.Getpid(), time.Now().UnixNano(), side)
	if _, err := admin.Exec(ctx, "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING 'UTF8'"); err != nil {
		tb.Fatal(err)
	}
	own := strings.Replace(address, "/postgres?", "/"+name+"?", 1)
	if own == address {
		tb.Fatal("WEIR_TEST_POSTGRES must name the database postgres")
	}
	e := &postgresEngine{url: own, kept: map[string]adapters.Adapter{}}
	if e.conn, err = pgx.Connect(ctx, own); err != nil {
		tb.Fatal(err)
	}
	if e.alive, err = pgx.Connect(ctx, own); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = e.conn.Close(ctx)
		_ = e.alive.Close(ctx)
		if _, err := admin.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			tb.Error(err)
		}
		_ = admin.Close(ctx)
	})
	for _, d := range departmentNames() {
		cfg := postgres.DefaultConfig(own)
		cfg.MaxConns, cfg.ConnectTimeout, cfg.StatementTimeout = 4, time.Minute, time.Minute
		a, err := postgres.Open(cfg)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = a.Close() })
		e.kept[d] = a
	}
	return e
}

func (e *postgresEngine) adapters() map[string]adapters.Adapter { return e.kept }

func (e *postgresEngine) pulse(ctx context.Context) error {
	_, err := e.alive.Exec(ctx, "SELECT 1")
	return err
}

func (e *postgresEngine) tables(w *world) error {
	var b strings.Builder
	for _, t := range e.known {
		fmt.Fprintf(&b, "DROP TABLE %s;", t)
	}
	e.known = nil
	for _, t := range w.types {
		columns := []string{"row_no bigint"}
		for _, f := range t.fields {
			columns = append(columns, strings.ToLower(f.name)+" "+postgresType(f))
		}
		columns = append(columns, nothing+" boolean")
		fmt.Fprintf(&b, "CREATE TABLE %s (%s);", t.table(), strings.Join(columns, ", "))
		e.known = append(e.known, t.table())
	}
	_, err := e.conn.Exec(context.Background(), b.String())
	return err
}

// nothing is a column that no catalogue names, and that is always NULL.
const nothing = "nothing"

func postgresType(f *field) string {
	if f.list {
		return "text[]"
	}
	switch f.kind {
	case schema.Int:
		return "integer"
	case schema.BigInt:
		return "bigint"
	case schema.Decimal:
		return "numeric"
	case schema.Float:
		return "double precision"
	case schema.Boolean:
		return "boolean"
	case schema.Date:
		return "date"
	case schema.DateTime:
		return "timestamptz"
	case schema.Time:
		return "time"
	case schema.UUID:
		return "uuid"
	case schema.JSON:
		return "json"
	default:
		return "text"
	}
}

func (e *postgresEngine) rows(w *world, db database, s source) error {
	var b strings.Builder
	b.WriteString("BEGIN;")
	for i, t := range w.types {
		fmt.Fprintf(&b, "DELETE FROM %s;", t.table())
		for n, at := range s.Perm(len(db[i])) {
			r := db[i][at]
			b.WriteString([...]string{"INSERT INTO " + t.table() + " VALUES (", ",("}[min(n, 1)])
			fmt.Fprintf(&b, "%d", r.tie)
			for j, f := range t.fields {
				b.WriteString("," + postgresValue(f, r.cells[j]))
			}
			b.WriteString(")")
		}
		if len(db[i]) > 0 {
			b.WriteString(";")
		}
	}
	b.WriteString("COMMIT")
	_, err := e.conn.Exec(context.Background(), b.String())
	return err
}

func postgresValue(f *field, c cell) string {
	text := c.text
	switch {
	case c.null:
		return "NULL"
	case f.list:
		text = "{" + strings.TrimSuffix(strings.TrimPrefix(text, "["), "]") + "}"
	case f.kind == schema.DateTime:
		text = strings.TrimSuffix(text, "Z") + "+00"
	}
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}
