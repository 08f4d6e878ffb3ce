package guangdong

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// DatabaseName is the name of a department's database on a PostgreSQL server.
func DatabaseName(prefix, department string) string { return prefix + "_" + department }

// WritePostgres creates the departments' databases, named by [DatabaseName], on
// the server that serverURL leads to, and fills them, unless they are there
// already. It never touches a database that it did not make: one without this
// example's mark, or of another size or version, is ErrOtherData.
func WritePostgres(ctx context.Context, serverURL, prefix string, o Options, progress Progress) error {
	o = o.withDefaults()
	server, err := pgx.Connect(ctx, serverURL)
	if err != nil {
		return fmt.Errorf("connecting to the PostgreSQL server: %w", withoutCredentials(err))
	}
	defer func() { _ = server.Close(context.WithoutCancel(ctx)) }()
	for _, d := range o.departments() {
		if err := writePostgres(ctx, server, DatabaseName(prefix, d), d, o, progress); err != nil {
			return fmt.Errorf("writing the example's %s: %w", d, err)
		}
	}
	return nil
}

// withoutCredentials keeps of a connection error what helps: pgx puts host and
// user into it, never the password.
func withoutCredentials(err error) error {
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) {
		return errors.New("the URL cannot be read; it looks like postgres://user:password@host:5432/postgres")
	}
	return err
}

func writePostgres(ctx context.Context, server *pgx.Conn, database, department string, o Options, progress Progress) error {
	var exists bool
	if err := server.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", database).Scan(&exists); err != nil {
		return err
	}
	if !exists {
		if _, err := server.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{database}.Sanitize()+" TEMPLATE template0 ENCODING 'UTF8'"); err != nil {
			return err
		}
	}
	config := server.Config().Copy()
	config.Database = database
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	// The mark is made first and completed last: a database that holds it with
	// complete = false is an interrupted run of ours, and may be begun anew.
	const mark = "weir_example"
	if exists {
		have := manifest{}
		var complete bool
		err := conn.QueryRow(ctx, "SELECT version, people, permits_each, complete FROM "+mark).Scan(&have.Version, &have.People, &have.PermitsEach, &complete)
		if err != nil {
			return fmt.Errorf("%w: database %s exists and was not made by this example; choose another server or rename it", ErrOtherData, database)
		}
		if complete {
			if want := (manifest{Version: version, People: o.People, PermitsEach: o.PermitsEach}); have != want {
				return fmt.Errorf("%w: database %s holds the example with %d people, version %d; drop it or choose another server", ErrOtherData, database, have.People, have.Version)
			}
			return nil
		}
	} else {
		if _, err := conn.Exec(ctx, "CREATE TABLE "+mark+" (version int, people int, permits_each int, complete boolean)"); err != nil {
			return err
		}
		if _, err := conn.Exec(ctx, "INSERT INTO "+mark+" VALUES ($1, $2, $3, false)", version, o.People, o.PermitsEach); err != nil {
			return err
		}
	}
	for _, t := range tablesOf(department) {
		if err := fillPostgres(ctx, conn, department, t, o, progress); err != nil {
			return fmt.Errorf("table %s: %w", t.name, err)
		}
	}
	_, err = conn.Exec(ctx, "UPDATE "+mark+" SET complete = true, version = $1, people = $2, permits_each = $3", version, o.People, o.PermitsEach)
	return err
}

func fillPostgres(ctx context.Context, conn *pgx.Conn, department string, t table, o Options, progress Progress) error {
	for _, statement := range []string{fmt.Sprintf("DROP TABLE IF EXISTS %q", t.name), createTable(t, postgresType)} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	read, write := io.Pipe()
	written := 0
	go func() {
		w := bufio.NewWriterSize(write, 1<<16)
		for row := range t.rows(o) {
			if copyRow(w, row) != nil {
				break // the reader is gone, and knows why
			}
			if written++; written%50_000 == 0 && progress != nil {
				progress(department, t.name, written, false)
			}
		}
		write.CloseWithError(w.Flush())
	}()
	_, err := conn.PgConn().CopyFrom(ctx, read, fmt.Sprintf("COPY %q FROM STDIN", t.name))
	_ = read.CloseWithError(io.ErrClosedPipe) // ends the writer if the copy ended early
	if err != nil {
		return err
	}
	for _, statement := range append(createIndexes(t), fmt.Sprintf("ANALYZE %q", t.name)) {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	if progress != nil {
		progress(department, t.name, written, true)
	}
	return nil
}

// copyRow writes a row in COPY's text format.
func copyRow(w *bufio.Writer, row []any) error {
	escape := strings.NewReplacer(`\`, `\\`, "\t", `\t`, "\n", `\n`, "\r", `\r`)
	for i, c := range row {
		if i > 0 {
			_ = w.WriteByte('\t') // a bufio.Writer keeps its first error for the last write
		}
		switch v := c.(type) {
		case nil:
			_, _ = w.WriteString(`\N`)
		case string:
			_, _ = escape.WriteString(w, v)
		case int64:
			_, _ = w.WriteString(strconv.FormatInt(v, 10))
		case bool:
			_, _ = w.WriteString(strconv.FormatBool(v))
		case []string:
			quoted := make([]string, len(v))
			for j, s := range v {
				quoted[j] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
			}
			_, _ = escape.WriteString(w, "{"+strings.Join(quoted, ",")+"}")
		default:
			return fmt.Errorf("a cell of an unknown kind %T", c)
		}
	}
	return w.WriteByte('\n')
}

func postgresType(k kind) string {
	switch k {
	case integer:
		return "bigint"
	case boolean:
		return "boolean"
	case date:
		return "date"
	case moment:
		return "timestamptz"
	case clock:
		return "time"
	case decimal:
		return "numeric"
	case uuid:
		return "uuid"
	case document:
		return "json"
	case list:
		return "text[]"
	default:
		// Weir orders by code point on every engine; under this collation an
		// index serves that order.
		return `text COLLATE "C"`
	}
}
