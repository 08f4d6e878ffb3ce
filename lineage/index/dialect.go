package index

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"strings"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"
)

// Drivers of an index.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
)

//go:embed schema.sql
var tables string

// format is the version of the tables. An index of another version is made
// anew, not migrated: everything in it comes from the log.
const format = "1"

func open(cfg Config) (*sql.DB, error) {
	switch cfg.Driver {
	case SQLite:
		q := url.Values{"_txlock": {"immediate"}, "_pragma": {
			"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(NORMAL)", "trusted_schema(0)",
			"cache_size(-65536)", "temp_store(MEMORY)",
		}}
		u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: cfg.Path}).EscapedPath(), RawQuery: q.Encode()}
		db, err := sql.Open("sqlite", u.String())
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(8)
		return db, nil
	case Postgres:
		db, err := sql.Open("pgx", cfg.URL)
		if err != nil {
			// The driver's text could hold the URL.
			return nil, errors.New("the URL of the index cannot be read")
		}
		db.SetMaxOpenConns(8)
		return db, nil
	default:
		return nil, fmt.Errorf("driver %q is neither %q nor %q", cfg.Driver, SQLite, Postgres)
	}
}

// create makes the tables in an empty database.
func create(ctx context.Context, tx *sql.Tx, driver string) error {
	words := strings.NewReplacer("{id}", "INTEGER PRIMARY KEY", "{bytes}", "BLOB", "{clustered}", "WITHOUT ROWID")
	if driver == Postgres {
		words = strings.NewReplacer("{id}", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "{bytes}", "BYTEA", "{clustered}", "")
	}
	for statement := range strings.SplitSeq(words.Replace(tables), ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO meta (name, value) VALUES ('format', $1)`, format)
	return err
}

// exists reports whether the database has our tables.
func exists(ctx context.Context, tx *sql.Tx, driver string) (bool, error) {
	query := `SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'meta'`
	if driver == Postgres {
		query = `SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'meta'`
	}
	var n int
	err := tx.QueryRowContext(ctx, query).Scan(&n)
	return n > 0, err
}

// drop removes our tables, for an index that is made anew.
func drop(ctx context.Context, tx *sql.Tx) error {
	for _, table := range [...]string{"rollup", "flow", "person", "record", "pair", "shape_use", "shape", "context", "origin", "meta"} {
		if _, err := tx.ExecContext(ctx, "DROP TABLE IF EXISTS "+table); err != nil {
			return err
		}
	}
	return nil
}
