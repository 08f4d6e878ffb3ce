package postgres

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/adapters/adaptertest"
	"github.com/weir-data/weir/adapters/sqlgen"
	"github.com/weir-data/weir/schema"
)

func TestConformance(t *testing.T) {
	adaptertest.Run(t, newServer(t).harness())
}

// server is a database of the test's own on the server that the environment
// names; each fixture is a schema of it.
type server struct {
	url      *url.URL
	conn     *pgx.Conn
	schemas  int
	readOnly string // a role
}

func newServer(t testing.TB) *server {
	t.Helper()
	address := os.Getenv("WEIR_TEST_POSTGRES")
	if address == "" {
		if os.Getenv("WEIR_REQUIRE_DB") == "1" {
			t.Fatal("WEIR_TEST_POSTGRES is not set")
		}
		t.Skip("SKIPPED: a PostgreSQL server is needed, and WEIR_TEST_POSTGRES is not set")
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal("WEIR_TEST_POSTGRES is not a URL")
	}
	// The test's own context ends before its cleanups run.
	ctx := context.Background()
	admin, err := pgx.Connect(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("weir_adapter_%d_%d", os.Getpid(), time.Now().UnixNano())
	s := &server{readOnly: name + "_reader"}
	for _, text := range []string{
		"CREATE DATABASE " + name + " TEMPLATE template0 ENCODING 'UTF8'",
		"CREATE ROLE " + s.readOnly + " LOGIN PASSWORD 'reader'",
	} {
		if _, err := admin.Exec(ctx, text); err != nil {
			t.Fatal(err)
		}
	}
	own := *u
	own.Path = "/" + name
	s.url = &own
	if s.conn, err = pgx.Connect(ctx, own.String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.conn.Close(ctx)
		for _, text := range []string{"DROP DATABASE " + name + " WITH (FORCE)", "DROP ROLE " + s.readOnly} {
			if _, err := admin.Exec(ctx, text); err != nil {
				t.Error(err)
			}
		}
		_ = admin.Close(ctx)
	})
	s.exec(t, "CREATE EXTENSION citext; "+
		"CREATE COLLATION no_accents (provider = icu, locale = 'und-u-ks-level1', deterministic = false); "+
		"CREATE COLLATION people (provider = icu, locale = 'zh-u-kn-true'); "+
		"CREATE TYPE colour AS ENUM ('RED', 'GREEN', 'BLUE'); CREATE DOMAIN label AS varchar(30); CREATE DOMAIN amount AS numeric(20,2)")
	return s
}

func (s *server) exec(t testing.TB, text string) {
	t.Helper()
	if _, err := s.conn.Exec(context.Background(), text, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatalf("%v\n%.2000s", err, text)
	}
}

func (s *server) harness() adaptertest.Harness {
	column := func(kind schema.Scalar, typ string) adaptertest.Column {
		c := adaptertest.Column{Column: adapters.Column{Name: "v", Kind: kind}, Type: typ}
		if kind == schema.Enum {
			c.Enum = []string{"BLUE", "GREEN", "RED"}
		}
		return c
	}
	list := func(kind schema.Scalar, typ string) adaptertest.Column {
		c := column(kind, typ)
		c.List = true
		return c
	}
	words := []string{"a", "A", "ab", "á", "中", ""}
	uuids := []string{"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "f0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}
	typ := func(kind schema.Scalar, name string, values ...string) adaptertest.TypedColumn {
		return adaptertest.TypedColumn{Column: column(kind, name), Values: values}
	}
	return adaptertest.Harness{
		Create:     s.create,
		Collations: []adaptertest.Collation{adaptertest.IgnoreCase, adaptertest.IgnoreAccents, adaptertest.Locale},
		Types: []adaptertest.TypedColumn{
			typ(schema.String, "citext", words...),
			typ(schema.String, "varchar(30)", words...),
			typ(schema.String, "name", append(words, strings.Repeat("x", 63))...),
			typ(schema.String, "label", words...),
			typ(schema.String, "uuid", uuids...),
			typ(schema.String, "colour", "RED", "GREEN", "BLUE"),
			typ(schema.String, "char(4)", "a", "A", "ab"),
			typ(schema.String, "bigint", "5", "10", "-1"),
			typ(schema.String, "boolean", "true", "false"),
			typ(schema.String, "date", "2026-11-23", "1999-01-01"),
			typ(schema.String, "numeric", "1.10", "1.1", "9"),
			typ(schema.ID, "integer", "5", "10", "-1"),
			typ(schema.ID, "uuid", uuids...),
			typ(schema.ID, "varchar COLLATE \"C\"", words...),
			typ(schema.Int, "smallint", "-32768", "0", "32767"),
			typ(schema.Int, "bigint", "-2147483648", "2147483647"),
			typ(schema.Int, "numeric(12)", "-2147483648", "2147483647"),
			typ(schema.BigInt, "smallint", "-32768", "0", "32767"),
			typ(schema.BigInt, "integer", "-2147483648", "2147483647"),
			typ(schema.BigInt, "numeric(40)", "99999999999999999999", "-99999999999999999999", "5"),
			typ(schema.Float, "real", "0.1", "-3.4028235e+38", "16777216", "1e-7"),
			typ(schema.Float, "integer", "-1", "3"),
			typ(schema.Float, "smallint", "-1", "3"),
			typ(schema.Float, "bigint", "-1", "9007199254740992"),
			typ(schema.Float, "numeric", "0.1", "100"),
			typ(schema.Decimal, "numeric(20,2)", "1.10", "-3.00"),
			typ(schema.Decimal, "amount", "1.10", "-3.00"),
			typ(schema.Decimal, "integer", "1", "-3"),
			typ(schema.Decimal, "bigint", "1", "9223372036854775807"),
			typ(schema.DateTime, "timestamp", "2026-11-23T08:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"),
			typ(schema.DateTime, "timestamp(0)", "2026-11-23T08:00:00Z"),
			typ(schema.Time, "time(3)", "08:00:00.125", "23:59:59"),
			typ(schema.UUID, "text", uuids...),
			typ(schema.UUID, "citext", uuids...),
			typ(schema.Enum, "colour", "RED", "GREEN", "BLUE"),
			typ(schema.Enum, "citext", "RED", "GREEN", "BLUE"),
			typ(schema.JSON, "jsonb", `{"a":[1,2.50]}`, `"x"`),
			typ(schema.JSON, "text", `{"b":1,"a":2}`),
		},
		Bad: []adaptertest.BadValue{
			{Name: "Int out of range", Column: column(schema.Int, "bigint"), Literal: "2147483648"},
			{Name: "fraction as Int", Column: column(schema.Int, "numeric"), Literal: "1.0"},
			{Name: "NaN", Column: column(schema.Float, "float8"), Literal: "'NaN'"},
			{Name: "infinity", Column: column(schema.Float, "float8"), Literal: "'-Infinity'"},
			{Name: "NaN of 32 bits", Column: column(schema.Float, "float4"), Literal: "'NaN'"},
			{Name: "NaN numeric", Column: column(schema.Decimal, "numeric"), Literal: "'NaN'"},
			{Name: "infinite numeric", Column: column(schema.BigInt, "numeric"), Literal: "'Infinity'"},
			{Name: "NaN numeric as Float", Column: column(schema.Float, "numeric"), Literal: "'NaN'"},
			{Name: "infinite day", Column: column(schema.Date, "date"), Literal: "'infinity'"},
			{Name: "infinite past day", Column: column(schema.Date, "date"), Literal: "'-infinity'"},
			{Name: "day before Christ", Column: column(schema.Date, "date"), Literal: "'0001-12-31 BC'"},
			{Name: "far day", Column: column(schema.Date, "date"), Literal: "'10000-01-01'"},
			{Name: "infinite instant", Column: column(schema.DateTime, "timestamptz"), Literal: "'infinity'"},
			{Name: "infinite past instant", Column: column(schema.DateTime, "timestamp"), Literal: "'-infinity'"},
			{Name: "far instant", Column: column(schema.DateTime, "timestamptz"), Literal: "'294276-12-31 23:59:59.999999+00'"},
			{Name: "instant before Christ", Column: column(schema.DateTime, "timestamptz"), Literal: "'4713-01-01 00:00:00+00 BC'"},
			{Name: "last hour", Column: column(schema.Time, "time"), Literal: "'24:00:00'"},
			{Name: "time with zone", Column: column(schema.Time, "timetz"), Literal: "'08:00:00+08'"},
			{Name: "unknown enum value", Column: column(schema.Enum, "text"), Literal: "'PINK'"},
			{Name: "no UUID", Column: column(schema.UUID, "text"), Literal: "'a0eebc99'"},
			{Name: "no Boolean", Column: column(schema.Boolean, "integer"), Literal: "1"},
			{Name: "text as Date", Column: column(schema.Date, "text"), Literal: "'now'"},
			{Name: "broken JSON", Column: column(schema.JSON, "text"), Literal: "'{'"},
			{Name: "NULL in a list", Column: list(schema.Int, "integer[]"), Literal: "'{1,NULL}'"},
			{Name: "list of lists", Column: list(schema.Int, "integer[]"), Literal: "'{{1,2},{3,4}}'"},
			{Name: "list with bounds", Column: list(schema.Int, "integer[]"), Literal: "'[2:3]={1,2}'"},
			{Name: "infinity in a list", Column: list(schema.Date, "date[]"), Literal: "'{infinity}'"},
			{Name: "JSON that is no list", Column: list(schema.Int, "jsonb"), Literal: "'{}'"},
			{Name: "text in a JSON list of Int", Column: list(schema.Int, "json"), Literal: `'["1"]'`},
		},
	}
}

// create makes a schema with the fixture's tables. With Readable the adapter
// logs in as a role with grants on columns.
func (s *server) create(t testing.TB, f adaptertest.Fixture) adaptertest.Source {
	s.schemas++
	space := fmt.Sprintf("fixture%d", s.schemas)
	s.exec(t, "CREATE SCHEMA "+space+"; SET search_path = "+space+", public")
	for _, table := range f.Tables {
		s.makeTable(t, table)
	}
	u := *s.url
	if f.Readable != nil {
		u.User = url.UserPassword(s.readOnly, "reader")
		s.exec(t, "GRANT USAGE ON SCHEMA "+space+" TO "+s.readOnly)
		for table, columns := range f.Readable {
			var names []string
			for _, c := range columns {
				names = append(names, quoted(t, c))
			}
			s.exec(t, "GRANT SELECT ("+strings.Join(names, ", ")+") ON "+quoted(t, table)+" TO "+s.readOnly)
		}
	}
	query := u.Query()
	query.Set("search_path", space+",public")
	u.RawQuery = query.Encode()
	config := DefaultConfig(u.String())
	config.MaxConns = 2
	a, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return adaptertest.Source{
		Adapter: a,
		InUse:   func() int { return int(a.pool.Stat().AcquiredConns()) },
		Explain: func(t testing.TB, statement string) string { return searched(s.explain(t, space, statement)) },
		Scans:   func(t testing.TB, statement string) string { return scanned(s.explain(t, space, statement)) },
		Write: func(ctx context.Context, table string) error {
			_, err := a.pool.Exec(ctx, "INSERT INTO "+quoted(t, table)+" DEFAULT VALUES")
			return err
		},
	}
}

func quoted(t testing.TB, name string) string {
	t.Helper()
	q, err := sqlgen.Quote(name, 63)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func (s *server) makeTable(t testing.TB, table adaptertest.Table) {
	t.Helper()
	var columns, indexes []string
	for _, c := range table.Columns {
		columns = append(columns, quoted(t, c.Name)+" "+columnType(c))
	}
	for _, c := range table.Indexes {
		indexes = append(indexes, "CREATE INDEX "+quoted(t, "ix_"+table.Name+"_"+c)+" ON "+quoted(t, table.Name)+"("+quoted(t, c)+");")
	}
	s.exec(t, "CREATE TABLE "+quoted(t, table.Name)+"("+strings.Join(columns, ", ")+")")
	for chunk := range slices.Chunk(table.Rows, 1000) {
		var tuples []string
		for _, row := range chunk {
			var cells []string
			for i, value := range row {
				cells = append(cells, literal(table.Columns[i], value))
			}
			tuples = append(tuples, "("+strings.Join(cells, ",")+")")
		}
		s.exec(t, "INSERT INTO "+quoted(t, table.Name)+" VALUES "+strings.Join(tuples, ","))
	}
	s.exec(t, strings.Join(indexes, "")+"ANALYZE "+quoted(t, table.Name))
}

func columnType(c adaptertest.Column) string {
	if c.Type != "" {
		return c.Type
	}
	switch c.Collation {
	case adaptertest.IgnoreCase:
		return "citext"
	case adaptertest.IgnoreAccents:
		return "text COLLATE no_accents"
	case adaptertest.Locale:
		return "text COLLATE people"
	}
	names := map[schema.Scalar]string{
		schema.String: "text", schema.ID: "text", schema.Int: "integer", schema.Float: "double precision", schema.Boolean: "boolean",
		schema.Date: "date", schema.DateTime: "timestamptz", schema.Time: "time", schema.Decimal: "numeric", schema.BigInt: "bigint",
		schema.UUID: "uuid", schema.JSON: "json", schema.Enum: "text",
	}
	if c.List {
		return names[c.Kind] + "[]"
	}
	return names[c.Kind]
}

func literal(c adaptertest.Column, value adaptertest.Value) string {
	text := "'" + strings.ReplaceAll(value.Text, "'", "''") + "'"
	switch {
	case value.Null:
		return "NULL"
	case value.Literal != "":
		return value.Literal
	case c.List:
		return "ARRAY(SELECT jsonb_array_elements_text(" + text + "))::" + columnType(c)
	default:
		return text
	}
}

// explain asks for the plan that serves all arguments alike.
func (s *server) explain(t testing.TB, space, statement string) []string {
	t.Helper()
	s.exec(t, "SET search_path = "+space+", public; SET plan_cache_mode = force_generic_plan; SET jit = off; PREPARE probe AS "+statement)
	defer s.exec(t, "DEALLOCATE probe")
	nulls := ""
	for n := 1; strings.Contains(statement, fmt.Sprintf("$%d", n)); n++ {
		if nulls += "NULL"; strings.Contains(statement, fmt.Sprintf("$%d", n+1)) {
			nulls += ", "
		}
	}
	if nulls != "" {
		nulls = "(" + nulls + ")"
	}
	rows, err := s.conn.Query(context.Background(), "EXPLAIN EXECUTE probe"+nulls, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func searched(plan []string) string {
	var out []string
	for i := 1; i < len(plan); i++ {
		if strings.Contains(plan[i], "Index Cond:") {
			out = append(out, plan[i-1], plan[i])
		}
	}
	return strings.Join(out, "\n")
}

func scanned(plan []string) string {
	return strings.Join(slices.DeleteFunc(plan, func(line string) bool { return !strings.Contains(line, "Seq Scan") }), "\n")
}

func BenchmarkFetch(b *testing.B) { adaptertest.Benchmark(b, newServer(b).harness()) }

// TestAllocations: bytes go from the connection's buffer into the batch.
func TestAllocations(t *testing.T) {
	if got := adaptertest.AllocationsPerRow(t, newServer(t).harness()); got > 0.1 {
		t.Errorf("%.1f allocations per row of eight cells", got)
	}
}
