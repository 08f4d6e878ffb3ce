package index

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"os"
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

//go:embed indexes.sql
var indexes string

// format is the version of the tables. An index of another version is made
// anew, not migrated: everything in it comes from the log.
const format = "6"

// open opens the database. What sorts whole tables, as the end of building
// does, keeps what it sorts in files.
func open(cfg Config, building bool) (*sql.DB, error) {
	switch cfg.Driver {
	case SQLite:
		// A connection's own cache is memory beside the server's; what it does not
		// hold is mostly in the system's. A build has the machine to itself.
		sorting, cache := "temp_store(MEMORY)", "cache_size(-16384)"
		if building {
			sorting, cache = "temp_store(FILE)", "cache_size(-65536)"
		}
		q := url.Values{"_txlock": {"immediate"}, "_pragma": {
			// secure_delete: what an act has dropped is not left in free pages.
			"busy_timeout(5000)", "journal_mode(WAL)", "secure_delete(FAST)", "synchronous(NORMAL)", "trusted_schema(0)",
			cache, sorting,
		}}
		// SQLite would let everybody read what it makes, and gives its other files
		// the mode of this one.
		f, err := os.OpenFile(cfg.Path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
		db, err := sql.Open("sqlite", fileURL(cfg.Path, q))
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(8)
		return db, nil
	case Postgres:
		db, err := sql.Open("pgx", cfg.URL)
		if err != nil {
			return nil, inOwnWords(err)
		}
		db.SetMaxOpenConns(8)
		return db, nil
	default:
		return nil, fmt.Errorf("driver %q is neither %q nor %q", cfg.Driver, SQLite, Postgres)
	}
}

func fileURL(path string, q url.Values) string {
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}
	return u.String()
}

// words fills a driver's own into a statement.
func words(driver, text string) string {
	if driver == Postgres {
		return strings.NewReplacer("{id}", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "{bytes}", "BYTEA", "{clustered}", "").Replace(text)
	}
	return strings.NewReplacer("{id}", "INTEGER PRIMARY KEY", "{bytes}", "BLOB", "{clustered}", "WITHOUT ROWID").Replace(text)
}

// packed keeps PostgreSQL from packing what is packed.
const packed = `ALTER TABLE chunk ALTER COLUMN postings SET STORAGE EXTERNAL;
`

// statements takes a file apart.
func statements(text string) (out []string) {
	for s := range strings.SplitSeq(text, ";\n") {
		if strings.TrimSpace(s) != "" {
			out = append(out, s)
		}
	}
	return out
}

// create makes the tables in an empty database, and the orders of records.
func create(ctx context.Context, tx *sql.Tx, driver string, building bool) error {
	text := tables + indexes
	if building {
		text = tables
	}
	if driver == Postgres {
		text += packed
	}
	for _, s := range statements(words(driver, text)) {
		if _, err := tx.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO meta (name, value) VALUES ('format', $1)`, format); err != nil {
		return err
	}
	if !building {
		return nil
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO meta (name, value) VALUES ('building', 'yes')`)
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

// ours are the tables of every format there was.
var ours = [...]string{
	"rollup", "cell", "flow", "chunk", "run", "person_new", "person", "record", "tally", "pair", "shape_use", "shape", "context", "reader", "origin", "meta",
}

// drop removes our tables, for an index that is made anew. Nothing of other schemas
// is touched, which a search path would lead to.
func drop(ctx context.Context, tx *sql.Tx, driver string) error {
	within := ""
	if driver == Postgres {
		var schema sql.NullString
		if err := tx.QueryRowContext(ctx, `SELECT quote_ident(current_schema())`).Scan(&schema); err != nil {
			return err
		}
		if !schema.Valid {
			return errors.New("the account's search path names no schema that is there")
		}
		within = schema.String + "."
	}
	for _, table := range ours {
		if _, err := tx.ExecContext(ctx, "DROP TABLE IF EXISTS "+within+table); err != nil {
			return err
		}
	}
	return nil
}

// onlyOursThere finds tables of a PostgreSQL schema that have our names, which are
// common ones, and belong to no index.
func onlyOursThere(ctx context.Context, tx *sql.Tx) error {
	var table string
	err := tx.QueryRowContext(ctx, `SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename = ANY($1) ORDER BY tablename LIMIT 1`, ours[:]).Scan(&table)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	var columns, formats int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM information_schema.columns
		WHERE table_schema = current_schema() AND table_name = 'meta' AND column_name IN ('name', 'value') AND data_type = 'text'`).Scan(&columns); err != nil {
		return err
	}
	if columns == 2 {
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM meta WHERE name = 'format'`).Scan(&formats); err != nil {
			return err
		}
	}
	if formats != 1 {
		return fmt.Errorf("%w: it has a table %q of something else", ErrStranger, table)
	}
	return nil
}
