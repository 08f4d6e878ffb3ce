package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/adapters/adaptertest"
	"github.com/weir-data/weir/adapters/sqlgen"
	"github.com/weir-data/weir/schema"
)

func TestConformance(t *testing.T) {
	adaptertest.Run(t, harness())
}

func harness() adaptertest.Harness {
	column := func(kind schema.Scalar, typ string) adaptertest.Column {
		c := adaptertest.Column{Column: adapters.Column{Name: "v", Kind: kind}, Type: typ}
		if kind == schema.Enum {
			c.Enum = []string{"RED"}
		}
		return c
	}
	list := column(schema.Int, "TEXT")
	list.List = true
	return adaptertest.Harness{
		Create:     create,
		Collations: []adaptertest.Collation{adaptertest.IgnoreCase, adaptertest.IgnoreBlanks},
		Types: []adaptertest.TypedColumn{
			{Column: column(schema.String, "VARCHAR(10)"), Values: []string{"a", "A", ""}},
			{Column: column(schema.String, "BLOB"), Values: []string{"1", "01", "1.0", "a"}},
			{Column: column(schema.ID, "CHARACTER(2)"), Values: []string{"1", "1 ", "01"}},
			{Column: column(schema.Int, "BLOB"), Values: []string{"1", "-2147483648"}},
			{Column: column(schema.BigInt, "INTEGER"), Values: []string{"1", "9223372036854775807"}},
			{Column: column(schema.Boolean, "INTEGER"), Values: []string{"true", "false"}},
			{Column: column(schema.Float, "NUMERIC"), Values: []string{"1", "1.5", "9007199254740992"}},
			{Column: column(schema.Date, "DATE"), Values: []string{"2026-11-23", "1999-01-01"}},
			{Column: column(schema.DateTime, "TIMESTAMP"), Values: []string{"2026-11-23T08:00:00Z", "2026-11-23T08:00:00.123456789Z"}},
			{Column: column(schema.DateTime, "TEXT COLLATE NOCASE"), Values: []string{"2026-11-23T08:00:00Z"}},
			{Column: column(schema.Decimal, "BLOB"), Values: []string{"1.10", "1.2", "-3"}},
			{Column: column(schema.UUID, "CHAR(36) COLLATE NOCASE"), Values: []string{"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}},
		},
		Bad: []adaptertest.BadValue{
			{Name: "text that is not UTF-8", Column: column(schema.String, "TEXT"), Literal: "CAST(x'ff' AS TEXT)"},
			{Name: "text with NUL", Column: column(schema.String, "TEXT"), Literal: "CAST(x'610062' AS TEXT)"},
			{Name: "blob as text", Column: column(schema.String, "BLOB"), Literal: "x'61'"},
			{Name: "number as text", Column: column(schema.String, "BLOB"), Literal: "1"},
			{Name: "text as Int", Column: column(schema.Int, "BLOB"), Literal: "'1'"},
			{Name: "real as Int", Column: column(schema.Int, "BLOB"), Literal: "1.5"},
			{Name: "Int out of range", Column: column(schema.Int, "BLOB"), Literal: "2147483648"},
			{Name: "two as Boolean", Column: column(schema.Boolean, "BLOB"), Literal: "2"},
			{Name: "text as Boolean", Column: column(schema.Boolean, "BLOB"), Literal: "'true'"},
			{Name: "infinity", Column: column(schema.Float, "BLOB"), Literal: "9e999"},
			{Name: "text as Float", Column: column(schema.Float, "BLOB"), Literal: "'1.5'"},
			{Name: "no such day", Column: column(schema.Date, "DATE"), Literal: "'2026-02-29'"},
			{Name: "day without date", Column: column(schema.DateTime, "DATETIME"), Literal: "'2026-11-23'"},
			{Name: "seconds as DateTime", Column: column(schema.DateTime, "DATETIME"), Literal: "1763884800"},
			{Name: "no such hour", Column: column(schema.Time, "TEXT"), Literal: "'24:00:00'"},
			{Name: "real as Decimal", Column: column(schema.Decimal, "DECIMAL(10,2)"), Literal: "'1.10'"},
			{Name: "exponent as Decimal", Column: column(schema.Decimal, "TEXT"), Literal: "'1e5'"},
			{Name: "upper-case UUID", Column: column(schema.UUID, "TEXT"), Literal: "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'"},
			{Name: "broken JSON", Column: column(schema.JSON, "TEXT"), Literal: "'{\"a\":'"},
			{Name: "unknown enum value", Column: column(schema.Enum, "TEXT"), Literal: "'PINK'"},
			{Name: "NULL in a list", Column: list, Literal: "'[1,null]'"},
			{Name: "list in a list", Column: list, Literal: "'[[1]]'"},
			{Name: "text in a list of Int", Column: list, Literal: "'[\"1\"]'"},
			{Name: "no list", Column: list, Literal: "'1'"},
		},
	}
}

// create writes a file with the driver's own defaults, as anybody would.
func create(t testing.TB, f adaptertest.Fixture) adaptertest.Source {
	path := filepath.Join(t.TempDir(), "source ?%#.db")
	write(t, path, f)
	config := DefaultConfig(path)
	config.MaxConns = 2
	var may readable
	if f.Readable != nil {
		may = func(table, column string) bool {
			return column == "" || strings.HasPrefix(table, "json_") || slices.Contains(f.Readable[table], column)
		}
	}
	a, err := open(config, may)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return adaptertest.Source{
		Adapter: a,
		InUse:   func() int { return len(a.pool.tokens) },
		Explain: func(t testing.TB, statement string) string { return explain(t, a, statement, "SEARCH ") },
		Scans:   func(t testing.TB, statement string) string { return explain(t, a, statement, "SCAN ") },
		Write: func(ctx context.Context, table string) error {
			c, err := a.pool.acquire(ctx)
			if err != nil {
				t.Fatal(err)
			}
			defer a.pool.release(c)
			_, err = c.prepare(ctx, "INSERT INTO "+quoted(t, table)+" DEFAULT VALUES")
			return err
		},
	}
}

func write(t testing.TB, path string, f adaptertest.Fixture) {
	t.Helper()
	uri, err := dataSource(Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", uri[:strings.Index(uri, "?")])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	exec := func(q querier, text string) {
		if _, err := q.ExecContext(context.Background(), text); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	}
	for _, table := range f.Tables {
		exec(db, createTable(t, table))
		tx, err := db.BeginTx(context.Background(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for chunk := range slices.Chunk(table.Rows, 200) {
			exec(tx, "INSERT INTO "+quoted(t, table.Name)+" VALUES "+tuples(table, chunk))
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		for _, column := range table.Indexes {
			exec(db, "CREATE INDEX "+quoted(t, "ix_"+table.Name+"_"+column)+" ON "+quoted(t, table.Name)+"("+quoted(t, column)+")")
		}
		exec(db, "ANALYZE")
	}
}

type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func quoted(t testing.TB, name string) string {
	t.Helper()
	q, err := sqlgen.Quote(name, 0)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func createTable(t testing.TB, table adaptertest.Table) string {
	var columns []string
	for _, c := range table.Columns {
		typ := c.Type
		if typ == "" {
			typ = usualType(c.Column)
		}
		switch c.Collation {
		case adaptertest.IgnoreCase:
			typ += " COLLATE NOCASE"
		case adaptertest.IgnoreBlanks:
			typ += " COLLATE RTRIM"
		}
		columns = append(columns, quoted(t, c.Name)+" "+typ)
	}
	return "CREATE TABLE " + quoted(t, table.Name) + "(" + strings.Join(columns, ", ") + ")"
}

func usualType(c adapters.Column) string {
	if c.List {
		return "TEXT"
	}
	switch c.Kind {
	case schema.Int, schema.BigInt:
		return "INTEGER"
	case schema.Float:
		return "REAL"
	case schema.Boolean:
		return "BOOLEAN"
	case schema.Date:
		return "DATE"
	case schema.DateTime:
		return "DATETIME"
	default:
		return "TEXT"
	}
}

func tuples(table adaptertest.Table, rows [][]adaptertest.Value) string {
	var b strings.Builder
	for i, row := range rows {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('(')
		for j, value := range row {
			if j > 0 {
				b.WriteByte(',')
			}
			b.WriteString(literal(table.Columns[j].Column, value))
		}
		b.WriteByte(')')
	}
	return b.String()
}

func literal(c adapters.Column, value adaptertest.Value) string {
	switch {
	case value.Null:
		return "NULL"
	case value.Literal != "":
		return value.Literal
	case !c.List && (c.Kind == schema.Int || c.Kind == schema.BigInt || c.Kind == schema.Float || c.Kind == schema.Boolean):
		return value.Text
	default:
		return "'" + strings.ReplaceAll(value.Text, "'", "''") + "'"
	}
}

// explain gives the lines of the plan that begin so.
func explain(t testing.TB, a *Adapter, statement, begin string) string {
	t.Helper()
	ctx := context.Background()
	c, err := a.pool.driver.Open(a.pool.dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	stmt, err := (&conn{Conn: c}).prepare(ctx, "EXPLAIN QUERY PLAN "+statement)
	if err != nil {
		t.Fatal(err)
	}
	var args []driver.NamedValue
	for i := range strings.Count(statement, "?") { // at least as many as there are parameters
		args = append(args, driver.NamedValue{Ordinal: i + 1})
	}
	rows, err := stmt.QueryContext(ctx, args)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var b strings.Builder
	row := make([]driver.Value, 4)
	for {
		if err := rows.Next(row); errors.Is(err, io.EOF) {
			return b.String()
		} else if err != nil {
			t.Fatal(err)
		}
		if detail, _ := row[3].(string); strings.HasPrefix(detail, begin) {
			b.WriteString(detail + "\n")
		}
	}
}

func TestStoredForms(t *testing.T) {
	column := adapters.Column{Name: "v", Kind: schema.DateTime}
	stored := map[string]string{
		"2026-11-23 08:00:00":           "2026-11-23T08:00:00Z",
		"2026-11-23T08:00:00.500":       "2026-11-23T08:00:00.5Z",
		"2026-11-23 16:00:00+08:00":     "2026-11-23T08:00:00Z",
		"2026-11-23T00:30:00.25-0730":   "2026-11-23T08:00:00.25Z",
		"2026-03-01T00:00:00+24":        "",
		"9999-12-31T23:59:59-01:00":     "",
		"2026-02-28T23:00:00-01:00":     "2026-03-01T00:00:00Z",
		"2024-02-28T23:00:00-01:00":     "2024-02-29T00:00:00Z",
		"0001-01-01T00:00:00+00:00:01":  "",
		"2026-11-23 08:00":              "",
		"2026-11-23 08:00:00 +0000 UTC": "",
	}
	f := adaptertest.Fixture{Tables: []adaptertest.Table{{Name: "t", Columns: []adaptertest.Column{
		{Column: adapters.Column{Name: "k", Kind: schema.String}}, {Column: column},
	}}}}
	for text := range stored {
		f.Tables[0].Rows = append(f.Tables[0].Rows, []adaptertest.Value{{Text: text}, {Text: text}})
	}
	a := create(t, f).Adapter
	st, err := a.Compile(&adapters.Shape{Table: "t", Columns: []adapters.Column{f.Tables[0].Columns[0].Column, column}})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := st.Fetch(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var b adapters.Batch
	if err := rows.Next(&b); err != nil || b.Rows != len(stored) {
		t.Fatalf("%d rows, %v", b.Rows, err)
	}
	for i := range b.Rows {
		text, _ := b.Cell(i, 0)
		got, _ := b.Cell(i, 1)
		if string(got) != stored[string(text)] || b.IsBad(i, 1) != (stored[string(text)] == "") {
			t.Errorf("%s was read as %q, bad %t", text, got, b.IsBad(i, 1))
		}
	}
}

// TestNumericColumn: in a column that SQLite takes for numbers '05' equals 5. A
// key is exact to the byte there too.
func TestNumericColumn(t *testing.T) {
	id, n := adapters.Column{Name: "id", Kind: schema.String}, adapters.Column{Name: "n", Kind: schema.Int}
	a := create(t, adaptertest.Fixture{Tables: []adaptertest.Table{{
		Name: "t", Columns: []adaptertest.Column{{Column: id, Type: "NUMERIC"}, {Column: n}}, Rows: [][]adaptertest.Value{{{Text: "5"}, {Text: "1"}}},
	}}}).Adapter
	equal := adapters.Compare{Column: id, Op: schema.Eq}
	for value, want := range map[string]int{"5": 1, "05": 0, "5.0": 0, " 5": 0, "+5": 0, "5e0": 0} {
		keys := &adapters.Keys{}
		keys.Append([]byte(value))
		for name, c := range map[string]struct {
			shape *adapters.Shape
			args  []adapters.Arg
			keys  *adapters.Keys
		}{
			"equal": {&adapters.Shape{Where: equal, Params: []adapters.Param{{}}}, []adapters.Arg{{Text: value}}, nil},
			"within": {
				&adapters.Shape{Where: adapters.Compare{Column: id, Op: schema.In}, Params: []adapters.Param{{List: true}}},
				[]adapters.Arg{{List: []string{value}}},
				nil,
			},
			"keys": {&adapters.Shape{Keys: []adapters.Column{id}}, nil, keys},
		} {
			c.shape.Table, c.shape.Columns = "t", []adapters.Column{n}
			st, err := a.Compile(c.shape)
			if err != nil {
				t.Fatal(err)
			}
			rows, err := st.Fetch(t.Context(), c.args, c.keys)
			if err != nil {
				t.Fatal(err)
			}
			var b adapters.Batch
			if err := rows.Next(&b); err != nil && !errors.Is(err, io.EOF) || b.Rows != want {
				t.Errorf("%s %q: %d rows, %v", name, value, b.Rows, err)
			}
			if err := rows.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, config := range map[string]Config{
		"no path":        {MaxConns: 1, ConnectTimeout: 1, StatementTimeout: 1},
		"no connections": {Path: "x", ConnectTimeout: 1, StatementTimeout: 1},
		"no time":        {Path: "x", MaxConns: 1},
	} {
		if _, err := Open(config); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNoFile: a file that is not there is not made, and named by nobody.
func TestNoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "CANARY.db")
	a, err := Open(DefaultConfig(path))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	err = a.Check(t.Context(), nil)
	if !errors.Is(err, &adapters.Error{Kind: adapters.Unavailable}) || strings.Contains(err.Error(), "CANARY") {
		t.Errorf("error %v", err)
	}
	if found, _ := filepath.Glob(path); len(found) > 0 {
		t.Error("the file was made")
	}
}

// TestUTF16: in such a database BINARY does not compare by code point.
func TestUTF16(t *testing.T) {
	path := filepath.Join(t.TempDir(), "utf16.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"PRAGMA encoding = 'UTF-16le'", "CREATE TABLE t(a TEXT)"} {
		if _, err := db.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	a, err := Open(DefaultConfig(path))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	if err := a.Check(t.Context(), nil); !errors.Is(err, &adapters.Error{Kind: adapters.Invalid}) {
		t.Errorf("error %v", err)
	}
}

// TestLocked: a writer's exclusive lock ends the wait with a time-out.
func TestLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "locked.db")
	write(t, path, adaptertest.Fixture{Tables: []adaptertest.Table{{Name: "t", Columns: []adaptertest.Column{{Column: adapters.Column{Name: "a"}}}}}})
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := c.ExecContext(t.Context(), "BEGIN EXCLUSIVE"); err != nil {
		t.Fatal(err)
	}
	config := DefaultConfig(path)
	config.BusyTimeout = 10 * time.Millisecond
	a, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	st, err := a.Compile(&adapters.Shape{Table: "t", Columns: []adapters.Column{{Name: "a"}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = st.Fetch(t.Context(), nil, nil); !errors.Is(err, &adapters.Error{Kind: adapters.Timeout}) {
		t.Errorf("error %v", err)
	}
}

func BenchmarkFetch(b *testing.B) { adaptertest.Benchmark(b, harness()) }

// TestAllocations: the driver gives each text as a string in an interface.
func TestAllocations(t *testing.T) {
	if got := adaptertest.AllocationsPerRow(t, harness()); got > 20 {
		t.Errorf("%.1f allocations per row of eight cells", got)
	}
}
