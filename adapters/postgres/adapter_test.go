package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/adapters/adaptertest"
	"github.com/weir-data/weir/schema"
)

const canary = "CANARY0x7c"

func text(name string) adapters.Column { return adapters.Column{Name: name, Kind: schema.String} }

// oneTable makes t(a, n) with as many rows as n.
func oneTable(t testing.TB, s *server, rows int) *Adapter {
	t.Helper()
	table := adaptertest.Table{Name: "t", Columns: []adaptertest.Column{{Column: text("a")}, {Column: adapters.Column{Name: "n", Kind: schema.Int}}}}
	for i := range rows {
		table.Rows = append(table.Rows, []adaptertest.Value{{Text: canary}, {Text: fmt.Sprint(i)}})
	}
	a, ok := s.create(t, adaptertest.Fixture{Tables: []adaptertest.Table{table}}).Adapter.(*Adapter)
	if !ok {
		t.Fatal("another adapter")
	}
	return a
}

func compile(t testing.TB, a *Adapter, shape *adapters.Shape) adapters.Statement {
	t.Helper()
	statement, err := a.Compile(shape)
	if err != nil {
		t.Fatal(err)
	}
	return statement
}

func fetchOne(ctx context.Context, statement adapters.Statement, args ...adapters.Arg) (string, error) {
	rows, err := statement.Fetch(ctx, args, nil)
	if err != nil {
		return "", err
	}
	defer func() { _ = rows.Close() }()
	var b adapters.Batch
	if err := rows.Next(&b); err != nil {
		return "", err
	}
	cell, _ := b.Cell(0, 0)
	return string(cell), nil
}

func wantKind(t testing.TB, err error, want adapters.Kind) {
	t.Helper()
	if !errors.Is(err, &adapters.Error{Kind: want}) {
		t.Errorf("error %v, want one of kind %q", err, want)
	}
	if err != nil && strings.Contains(err.Error(), canary) {
		t.Errorf("the error carries a value: %v", err)
	}
}

// TestUnreachable: kinds of errors, without the address or the password.
func TestUnreachable(t *testing.T) {
	var config net.ListenConfig
	silent, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0") // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	refusing, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := refusing.Addr().String()
	if err := refusing.Close(); err != nil {
		t.Fatal(err)
	}
	for name, address := range map[string]string{
		"refused": closed,
		"silent":  silent.Addr().String(),
		"no host": canary + ".invalid:5432",
		"no file": "%2Fnowhere%2F" + canary + ":5432",
	} {
		c := DefaultConfig("postgres://user:" + canary + "@" + address + "/" + canary + "?sslmode=disable")
		c.ConnectTimeout = 200 * time.Millisecond
		a, err := Open(c)
		if err != nil {
			t.Fatal(err)
		}
		statement := compile(t, a, &adapters.Shape{Table: "t", Columns: []adapters.Column{text("a")}})
		start := time.Now()
		_, err = fetchOne(t.Context(), statement)
		wantKind(t, err, adapters.Unavailable)
		wantKind(t, a.Check(t.Context(), nil), adapters.Unavailable)
		if waited := time.Since(start); waited > 5*time.Second {
			t.Errorf("%s: %s until the error", name, waited)
		}
		for e := err; e != nil; e = errors.Unwrap(e) {
			if strings.Contains(e.Error(), canary) || strings.Contains(e.Error(), "127.0.0.1") {
				t.Errorf("%s: %v", name, e)
			}
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestCloseWhileConnecting: a fetch does not wait for a server that takes
// connections and says nothing once the adapter is closed.
func TestCloseWhileConnecting(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	a, err := Open(DefaultConfig("postgres://weir@" + l.Addr().String() + "/x?sslmode=disable"))
	if err != nil {
		t.Fatal(err)
	}
	statement, err := a.Compile(&adapters.Shape{Table: "t", Columns: []adapters.Column{{Name: "n", Kind: schema.Int}}})
	if err != nil {
		t.Fatal(err)
	}
	waits := make(chan error, 1)
	go func() {
		_, err := statement.Fetch(t.Context(), nil, nil)
		waits <- err
	}()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	select {
	case err := <-waits:
		if !errors.Is(err, &adapters.Error{Kind: adapters.Unavailable}) {
			t.Errorf("after Close: %v", err)
		}
	case <-time.After(3 * time.Second):
		t.Error("a fetch waits for the server of a closed adapter")
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, config := range map[string]Config{
		"no URL":         {URL: "postgres://%zz" + canary, MaxConns: 1, ConnectTimeout: 1, StatementTimeout: 1},
		"no connections": {ConnectTimeout: 1, StatementTimeout: 1},
		"no time":        {MaxConns: 1},
	} {
		_, err := Open(config)
		if !errors.Is(err, ErrConfig) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", name, err)
		}
	}
	config := DefaultConfig("postgres://" + canary)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, config); strings.Contains(got, canary) {
			t.Errorf("%s prints %s", verb, got)
		}
	}
}

func TestCredentials(t *testing.T) {
	s := newServer(t)
	u := *s.url
	u.Path = "/" + canary
	a, err := Open(DefaultConfig(u.String()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	wantKind(t, a.Check(t.Context(), nil), adapters.Unavailable)
}

// TestSession: what the meaning of a statement depends on is fixed, whatever
// the URL or the account says, in whatever case.
func TestSession(t *testing.T) {
	s := newServer(t)
	s.exec(t, "ALTER DATABASE "+strings.TrimPrefix(s.url.Path, "/")+" SET default_transaction_read_only = off")
	for _, parameters := range []string{
		"",
		"default_transaction_read_only=off&statement_timeout=0&timezone=Asia/Shanghai&datestyle=German&standard_conforming_strings=off",
		// As many as make it unlikely that ours come last by chance.
		"Default_Transaction_Read_Only=off&DEFAULT_TRANSACTION_READ_ONLY=off&default_transaction_read_onlY=off&Statement_Timeout=0&STATEMENT_TIMEOUT=0&TimeZone=Asia/Shanghai&DateStyle=German",
		"options=-c%20default_transaction_read_only%3Doff%20-c%20statement_timeout%3D0%20-c%20timezone%3DAsia/Shanghai",
	} {
		u := *s.url
		u.RawQuery = strings.Trim(u.RawQuery+"&"+parameters, "&")
		a, err := Open(DefaultConfig(u.String()))
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{
			"default_transaction_read_only": "on", "transaction_read_only": "on", "timezone": "UTC", "datestyle": "ISO, MDY",
			"client_encoding": "UTF8", "statement_timeout": "10s", "standard_conforming_strings": "on",
		} {
			var got string
			if err := a.pool.QueryRow(t.Context(), "SELECT current_setting($1)", name).Scan(&got); err != nil || got != want {
				t.Errorf("%q: %s is %q, %v", parameters, name, got, err)
			}
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestUntil: a fetch ends by itself where its caller set no end, or a later one:
// the server's own limit is none for a server that does not answer.
func TestUntil(t *testing.T) {
	a := &Adapter{config: Config{StatementTimeout: time.Minute}}
	for name, c := range map[string]struct{ given, want time.Duration }{
		"none": {0, time.Minute}, "later": {time.Hour, time.Minute}, "earlier": {time.Second, time.Second},
	} {
		ctx, cancel := t.Context(), context.CancelFunc(func() {})
		if c.given > 0 {
			ctx, cancel = context.WithTimeout(ctx, c.given)
		}
		if left := time.Until(a.until(ctx)); left > c.want || left < c.want-30*time.Second {
			t.Errorf("%s: %s left", name, left)
		}
		cancel()
	}
}

// TestLongTexts: PostgreSQL cuts what it takes for a name to 63 bytes. A text
// that begins as a stored one is not equal to it, and a column whose name begins
// as another's is not read for it.
func TestLongTexts(t *testing.T) {
	s := newServer(t)
	a := oneTable(t, s, 1)
	long := strings.Repeat("a", 63)
	s.exec(t, "CREATE TABLE named AS SELECT repeat('a', 63)::name AS a, 'short' AS "+long)
	for op, list := range map[schema.Operator]bool{schema.Eq: false, schema.In: true} {
		statement := compile(t, a, &adapters.Shape{
			Table: "named", Columns: []adapters.Column{text("a")}, Params: []adapters.Param{{Kind: schema.String, List: list}},
			Where: adapters.Compare{Column: text("a"), Op: op},
		})
		for value, found := range map[string]bool{long: true, long + "a": false, long + "b": false} {
			got, err := fetchOne(t.Context(), statement, adapters.Arg{Text: value, List: []string{value}})
			if found && (err != nil || got != long) || !found && !errors.Is(err, io.EOF) {
				t.Errorf("%s of %d bytes: %q, %v", op, len(value), got, err)
			}
		}
	}
	if got, err := fetchOne(t.Context(), compile(t, a, &adapters.Shape{Table: "named", Columns: []adapters.Column{text(long)}})); err != nil || got != "short" {
		t.Errorf("a column's name of 63 bytes: %q, %v", got, err)
	}
	for _, shape := range []*adapters.Shape{
		{Table: "named", Columns: []adapters.Column{text(long + "a")}}, {Table: long + "a"}, {Table: "public." + long + "a"},
	} {
		_, err := a.Compile(shape)
		wantKind(t, err, adapters.Unsupported)
	}
}

// TestEncoding: another server encoding than UTF8 orders texts by other bytes.
func TestEncoding(t *testing.T) {
	s := newServer(t)
	name := strings.TrimPrefix(s.url.Path, "/") + "_latin1"
	s.exec(t, "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
	defer s.exec(t, "DROP DATABASE "+name+" WITH (FORCE)")
	u := *s.url
	u.Path = "/" + name
	a, err := Open(DefaultConfig(u.String()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	wantKind(t, a.Check(t.Context(), nil), adapters.Invalid)
}

// TestComparesAsText: a text stands over the types with which any text can be
// compared. The server refuses what is no input of others, and an inet of one
// host is shown as 10.0.0.1 and compared as 10.0.0.1/32.
func TestComparesAsText(t *testing.T) {
	s := newServer(t)
	a := oneTable(t, s, 1)
	s.exec(t, "CREATE TYPE mood AS ENUM ('a', 'b'); CREATE DOMAIN nick AS varchar(9)")
	good := strings.Fields("text varchar(3) char(3) name citext nick mood integer numeric(5,2) float8 boolean date time timestamptz timestamp uuid")
	bad := strings.Fields("inet cidr macaddr bytea jsonb json xml interval timetz money bit(3) oid int4range")
	var columns []string
	for i, name := range append(slices.Clone(good), bad...) {
		columns = append(columns, fmt.Sprintf("c%d %s", i, name))
	}
	s.exec(t, "CREATE TABLE typed ("+strings.Join(columns, ", ")+")")
	for i := range columns {
		c := text(fmt.Sprintf("c%d", i))
		err := a.Check(t.Context(), []adapters.Table{{Name: "typed", Columns: []adapters.Column{c}}})
		if i < len(good) && err != nil {
			t.Errorf("%s: %v", columns[i], err)
		}
		if i >= len(good) {
			wantKind(t, err, adapters.Invalid)
		}
		statement := compile(t, a, &adapters.Shape{
			Table: "typed", Columns: []adapters.Column{c}, Params: []adapters.Param{{Kind: schema.String}},
			Where: adapters.Compare{Column: c, Op: schema.Eq},
		})
		if _, err := fetchOne(t.Context(), statement, adapters.Arg{Text: "zzz"}); i < len(good) && !errors.Is(err, io.EOF) {
			t.Errorf("%s is not compared with a text: %v", columns[i], err)
		}
	}
}

// TestTableChanges: a statement that was prepared before the table changed is
// prepared again, without an error.
func TestTableChanges(t *testing.T) {
	s := newServer(t)
	a := oneTable(t, s, 1)
	statement := compile(t, a, &adapters.Shape{Table: "t", Columns: []adapters.Column{text("n")}})
	for _, change := range []string{"", "ALTER TABLE t ALTER n TYPE bigint", "ALTER TABLE t ALTER n TYPE text", "ALTER TABLE t ALTER n TYPE citext"} {
		if change != "" {
			s.exec(t, change)
		}
		for range 3 {
			if got, err := fetchOne(t.Context(), statement); err != nil || got != "0" {
				t.Errorf("after %q: %q, %v", change, got, err)
			}
		}
	}
	s.exec(t, "DROP TABLE t")
	_, err := fetchOne(t.Context(), statement)
	wantKind(t, err, adapters.Invalid)
	if _, err := a.pool.Exec(t.Context(), "DEALLOCATE ALL"); err != nil {
		t.Fatal(err)
	}
	s.exec(t, "CREATE TABLE t AS SELECT 7 AS n")
	if got, err := fetchOne(t.Context(), statement); err != nil || got != "7" {
		t.Errorf("after all: %q, %v", got, err)
	}
}

// TestManyStatements: a connection keeps a bounded number of them.
func TestManyStatements(t *testing.T) {
	s := newServer(t)
	a := oneTable(t, s, 1)
	var statements []adapters.Statement
	for i := range maxPrepared + 20 {
		statements = append(statements, compile(t, a, &adapters.Shape{Table: "t", Columns: []adapters.Column{text("n")}, Limit: &adapters.Bound{Param: -1, Plus: i + 1}}))
	}
	for range 2 {
		for _, statement := range statements {
			if got, err := fetchOne(t.Context(), statement); err != nil || got != "0" {
				t.Fatalf("%q, %v", got, err)
			}
		}
	}
	var prepared int
	if err := a.pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'weir%'").Scan(&prepared); err != nil || prepared > maxPrepared {
		t.Errorf("%d prepared statements, %v", prepared, err)
	}
}

// TestStatementTimeout: the server ends what takes too long.
func TestStatementTimeout(t *testing.T) {
	s := newServer(t)
	oneTable(t, s, 1)
	s.exec(t, "CREATE VIEW slow AS SELECT a FROM t, pg_sleep(20)")
	u := *s.url
	query := u.Query()
	query.Set("search_path", "fixture1,public")
	u.RawQuery = query.Encode()
	config := DefaultConfig(u.String())
	config.StatementTimeout = 100 * time.Millisecond
	a, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	start := time.Now()
	_, err = fetchOne(t.Context(), compile(t, a, &adapters.Shape{Table: "slow", Columns: []adapters.Column{text("a")}}))
	wantKind(t, err, adapters.Timeout)
	if waited := time.Since(start); waited > 3*time.Second {
		t.Errorf("%s until the error", waited)
	}
}

// TestInterruptedAtItsEnd: a fetch whose caller goes away when all of its rows are
// there already leaves a connection that serves the next one.
func TestInterruptedAtItsEnd(t *testing.T) {
	s := newServer(t)
	a := oneTable(t, s, 1)
	statement := compile(t, a, &adapters.Shape{Table: "t", Columns: []adapters.Column{text("a")}})
	var first uint32
	for i := range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		fetched, err := statement.Fetch(ctx, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, ok := fetched.(*rows)
		if !ok {
			t.Fatalf("rows are a %T", fetched)
		}
		pid := r.conn.Conn().PgConn().PID()
		if i == 0 {
			first = pid
		} else if pid != first {
			t.Fatalf("fetch %d has another connection", i)
		}
		cancel()
		r.lookNow()
		if r.lostTo() == nil {
			t.Fatal("the fetch was not interrupted")
		}
		var b adapters.Batch
		// Its one row has arrived with its end.
		if err := r.Next(&b); err != nil || b.Rows != 1 {
			t.Fatalf("fetch %d: %d rows, %v", i, b.Rows, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestKilled: a session that the server ends is an error of the source, and the
// next fetch has a new one.
func TestKilled(t *testing.T) {
	s := newServer(t)
	a := oneTable(t, s, 20_000)
	statement := compile(t, a, &adapters.Shape{Table: "t", Columns: []adapters.Column{text("a"), text("n")}})
	rows, err := statement.Fetch(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'weir' AND datname = current_database()")
	var b adapters.Batch
	for err = nil; err == nil; {
		err = rows.Next(&b)
	}
	if !errors.Is(err, io.EOF) { // all may have arrived before
		wantKind(t, err, adapters.Unavailable)
	}
	if err := rows.Close(); err != nil {
		t.Error(err)
	}
	if _, err := fetchOne(t.Context(), statement); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestGivenUp: a result that is closed early keeps its connection while few rows
// are left, and when what was read last happens to be all; else the connection
// goes, so that nobody waits for rows that he does not want.
func TestGivenUp(t *testing.T) {
	s := newServer(t)
	for n, keeps := range map[int]bool{1: true, drainRows: true, drainRows + 1: true, 50 * drainRows: false} {
		a := oneTable(t, s, n)
		session := func() (pid int) {
			if err := a.pool.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&pid); err != nil {
				t.Fatal(err)
			}
			return pid
		}
		before := session()
		statement := compile(t, a, &adapters.Shape{Table: "t", Columns: []adapters.Column{text("n")}})
		rows, err := statement.Fetch(t.Context(), nil, nil) // stands on the first row
		if err != nil {
			t.Fatal(err)
		}
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
		if _, err := fetchOne(t.Context(), statement); err != nil {
			t.Errorf("after %d rows that nobody read: %v", n, err)
		}
		if after := session(); (after == before) != keeps {
			t.Errorf("after %d rows that nobody read the session is the same: %v, want %v", n, after == before, keeps)
		}
	}
}

// TestServerErrors: an error that quotes a row's value on the server.
func TestServerErrors(t *testing.T) {
	s := newServer(t)
	a := oneTable(t, s, 1)
	s.exec(t, "CREATE VIEW broken AS SELECT a::integer AS n FROM t")
	_, err := fetchOne(t.Context(), compile(t, a, &adapters.Shape{Table: "broken", Columns: []adapters.Column{{Name: "n", Kind: schema.Int}}}))
	wantKind(t, err, adapters.Invalid)
	if !strings.Contains(err.Error(), "22P02") {
		t.Errorf("no SQLSTATE in %v", err)
	}
}

// TestRounding: a DateTime finer than a microsecond has its place.
func TestRounding(t *testing.T) {
	s := newServer(t)
	column := adapters.Column{Name: "at", Kind: schema.DateTime}
	a := s.create(t, adaptertest.Fixture{Tables: []adaptertest.Table{{
		Name: "t", Columns: []adaptertest.Column{{Column: column}},
		Rows: [][]adaptertest.Value{{{Text: "2026-11-23T08:00:00.000001Z"}}},
	}}}).Adapter
	for op, want := range map[schema.Operator]string{schema.Eq: "00", schema.Neq: "00", schema.Gt: "10", schema.Gte: "10", schema.Lt: "01", schema.Lte: "01"} {
		statement, err := a.Compile(&adapters.Shape{Table: "t", Count: true, Params: []adapters.Param{{}}, Where: adapters.Compare{Column: column, Op: op}})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, at := range []string{"2026-11-23T08:00:00.0000009Z", "2026-11-23T08:00:00.0000011Z"} {
			n, err := fetchOne(t.Context(), statement, adapters.Arg{Text: at})
			if err != nil {
				t.Fatal(err)
			}
			got += n
		}
		if got != want {
			t.Errorf("%s: %s, want %s", op, got, want)
		}
	}
}

// TestWider: an argument that the column's type cannot hold keeps its meaning
// beside an integer column.
func TestWider(t *testing.T) {
	s := newServer(t)
	for _, c := range []struct {
		kind schema.Scalar
		typ  string
		arg  string
		want string // of = <> < <= > >= in, with the column's value 2
	}{
		{schema.Int, "smallint", "70000", "0111000"},
		{schema.Int, "smallint", "2", "1001011"},
		{schema.BigInt, "smallint", "3000000000", "0111000"},
		{schema.BigInt, "integer", "-3000000000", "0100110"},
		{schema.Float, "smallint", "2.5", "0111000"},
		{schema.Float, "integer", "1.5", "0100110"},
		{schema.Float, "bigint", "1e+300", "0111000"},
		{schema.Decimal, "integer", "2.00", "1001011"},
		{schema.Decimal, "integer", "2.01", "0111000"},
		{schema.BigInt, "bigint", "99999999999999999999", "0000000"}, // held by no type: unknown
	} {
		column := adapters.Column{Name: "n", Kind: c.kind}
		a := s.create(t, adaptertest.Fixture{Tables: []adaptertest.Table{{
			Name: "t", Columns: []adaptertest.Column{{Column: column, Type: c.typ}},
			Rows: [][]adaptertest.Value{{{Text: "2"}}},
		}}}).Adapter
		got := ""
		for _, op := range []schema.Operator{schema.Eq, schema.Neq, schema.Lt, schema.Lte, schema.Gt, schema.Gte, schema.In} {
			arg := adapters.Arg{Text: c.arg}
			if op == schema.In {
				arg = adapters.Arg{List: []string{c.arg}}
			}
			statement, err := a.Compile(&adapters.Shape{Table: "t", Count: true, Params: []adapters.Param{{List: op == schema.In}}, Where: adapters.Compare{Column: column, Op: op}})
			if err != nil {
				t.Fatal(err)
			}
			n, err := fetchOne(t.Context(), statement, arg)
			if err != nil {
				t.Fatal(err)
			}
			got += n
		}
		if got != c.want {
			t.Errorf("%s over %s beside %s: %s, want %s", c.kind, c.typ, c.arg, got, c.want)
		}
	}
}

func TestElements(t *testing.T) {
	for array, want := range map[string][]string{
		`{}`:                 nil,
		`{a}`:                {"a"},
		`{a,b c,"d,e"}`:      {"a", "b c", "d,e"},
		`{"","NULL","\"\\"}`: {"", "NULL", `"\`},
		`{"{}","中"}`:         {"{}", "中"},
	} {
		var got []string
		if err := elements([]byte(array), func(text []byte) bool { got = append(got, string(text)); return true }); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", array, got, err)
		}
	}
	for _, array := range []string{"", "{", "}", "a", "{NULL}", "{a,NULL}", "{{a}}", "[1:1]={a}", `{"a}`, `{"a"b}`, "{,}", "{a,}"} {
		if err := elements([]byte(array), func([]byte) bool { return true }); err == nil {
			t.Errorf("%s is taken", array)
		}
	}
}

func FuzzElements(f *testing.F) {
	for _, seed := range []string{`{}`, `{a,"b\"c"}`, `{{1},{2}}`, `{"`, `{\`, `{,}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, array []byte) {
		var parts [][]byte
		if elements(array, func(text []byte) bool { parts = append(parts, slices.Clone(text)); return true }) != nil {
			return
		}
		// What was read is read again from its own spelling.
		again := []byte{'{'}
		for i, p := range parts {
			if i > 0 {
				again = append(again, ',')
			}
			again = appendElement(again, string(p), true)
		}
		var got [][]byte
		if err := elements(append(again, '}'), func(text []byte) bool { got = append(got, slices.Clone(text)); return true }); err != nil || len(got) != len(parts) {
			t.Fatalf("%q: %q and %q, %v", array, parts, got, err)
		}
		for i := range got {
			if string(got[i]) != string(parts[i]) {
				t.Fatalf("%q: %q and %q", array, parts, got)
			}
		}
	})
}

func TestDomains(t *testing.T) {
	for oid, c := range map[uint32]struct{ takes, refuses []string }{
		pgtype.Int2OID:    {[]string{"0", "-32768", "32767"}, []string{"32768", "", "1.0", " 1", "+1", "01"}},
		pgtype.Int8OID:    {[]string{"9223372036854775807"}, []string{"9223372036854775808", "x"}},
		pgtype.Float4OID:  {[]string{"0", "0.1", "1e+38"}, []string{"1e+39", "1e-60", "NaN", "inf"}},
		pgtype.Float8OID:  {[]string{"1e-300", "5e-324"}, []string{"1e+309", "0x1p1"}},
		pgtype.NumericOID: {[]string{"1.10", "1e+300"}, []string{"NaN", strings.Repeat("9", maxNumeric+1)}},
		pgtype.DateOID:    {[]string{"2026-11-23"}, []string{"now", "2026-02-30", "2026-11-23T00:00:00Z"}},
		pgtype.UUIDOID:    {[]string{"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}, []string{"a0eebc999c0b4ef8bb6d6bb9bd380a11"}},
		pgtype.TextOID:    {[]string{"", "x"}, nil},
	} {
		d, ok := domainOf(oid)
		if !ok {
			t.Fatalf("type %d is not known", oid)
		}
		for _, text := range c.takes {
			if !d.takes(text) {
				t.Errorf("type %d refuses %q", oid, text)
			}
		}
		for _, text := range c.refuses {
			if d.takes(text) {
				t.Errorf("type %d takes %.40q", oid, text)
			}
		}
	}
}
