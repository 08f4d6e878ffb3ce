// Package postgres reads rows from a PostgreSQL server.
//
// It promises what package adapters promises, over sessions whose transactions
// are read-only, in UTC, with a time limit for each statement. Statements go
// through the extended protocol and are prepared once per connection;
// parameters are sent as text and never stand in a statement. It asks the
// database for nothing but reading, and trusts it with nothing but the rows:
// what a column holds is checked against the kind the catalogue declares.
//
// Columns may be of any type that holds the kind: Int, BigInt and Decimal over
// the integer types and numeric, String and ID over whatever casts to text
// (citext, varchar, name, uuid and enums included), lists over arrays, json or
// jsonb. Texts compare by code point and equal to the byte whatever the
// column's collation; its index serves equality. An index over
// (column COLLATE "C"), or a column so declared, serves order and range.
// character(n) loses trailing blanks for good, so that its values are read and
// compared without them.
//
// An argument that is not of its kind, or that the column's type cannot hold
// (99999999999999999999 beside a bigint, NUL in a text), is sent as NULL: the
// comparison is unknown, for every row alike. PostgreSQL's own types decide
// what can be held; a DateTime finer than a microsecond is equal to nothing and
// has its place between its neighbours.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/adapters/sqlgen"
)

// MaxKeys is the most key tuples in one fetch.
const MaxKeys = 10_000

// MaxRow is the longest row that is read, and the longest message: what a server
// announces beyond it is refused before there is memory for it.
const MaxRow = 16 << 20

// Config says which database, and how much of it to use.
type Config struct {
	// URL is a URL or a list of keywords and values, as libpq reads them. It
	// may hold a password and never appears in an error.
	URL string
	// MaxConns bounds the connections, and with them the fetches at one time.
	MaxConns int
	// ConnectTimeout bounds the making of a connection.
	ConnectTimeout time.Duration
	// StatementTimeout bounds a fetch, from its start to its last row.
	StatementTimeout time.Duration
}

// DefaultConfig is the configuration for a database.
func DefaultConfig(url string) Config {
	return Config{URL: url, MaxConns: 16, ConnectTimeout: 5 * time.Second, StatementTimeout: 10 * time.Second}
}

// String hides the URL.
func (c Config) String() string {
	return fmt.Sprintf("postgres.Config{URL:*** MaxConns:%d ConnectTimeout:%s StatementTimeout:%s}", c.MaxConns, c.ConnectTimeout, c.StatementTimeout)
}

// GoString hides the URL.
func (c Config) GoString() string { return c.String() }

// ErrConfig is the kind of all configuration errors.
var ErrConfig = errors.New("postgres: configuration")

func (c Config) validate() error {
	switch {
	case c.MaxConns < 1 || c.MaxConns > 10_000:
		return fmt.Errorf("%w: from 1 to 10000 connections", ErrConfig)
	case c.ConnectTimeout <= 0 || c.StatementTimeout <= 0:
		return fmt.Errorf("%w: a time limit is missing", ErrConfig)
	}
	return nil
}

// Adapter reads one PostgreSQL database.
type Adapter struct {
	config Config
	pool   *pgxpool.Pool
	// places is what pool has room for. Waiting for one of them, and not in the
	// pool, ends when the adapter is closed, without a context for each fetch.
	places  chan struct{}
	life    context.Context //nolint:containedctx // until Close
	endLife context.CancelFunc
	// connections counts those that the pool has.
	connections atomic.Int64

	mu       sync.Mutex
	running  map[*rows]struct{} // those that hold a connection
	fetches  int                // running, and those about to be
	watching bool               // [Adapter.watch] runs
	closed   bool
}

var (
	_ adapters.Adapter = (*Adapter)(nil)
	_ adapters.Checker = (*Adapter)(nil)
)

// Open prepares an adapter; the first fetch connects. The caller closes it.
func Open(config Config) (*Adapter, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	pc, err := pgxpool.ParseConfig(config.URL)
	if err != nil {
		// The cause would quote the URL.
		return nil, fmt.Errorf("%w: the URL does not parse", ErrConfig)
	}
	session(pc.ConnConfig, config)
	pc.MaxConns = int32(config.MaxConns) //nolint:gosec // validated
	pc.MinConns, pc.MinIdleConns = 0, 0
	pc.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false } // see Adapter.lively
	a := &Adapter{config: config, places: make(chan struct{}, config.MaxConns), running: map[*rows]struct{}{}}
	a.life, a.endLife = context.WithCancel(context.Background())
	pc.AfterConnect = func(_ context.Context, c *pgx.Conn) error {
		if c.PgConn().ParameterStatus("server_encoding") != "UTF8" {
			return errEncoding
		}
		err := settled(c.PgConn())
		if err == nil {
			a.connections.Add(1)
			stateOf(c).released = time.Now()
		}
		return err
	}
	pc.BeforeClose = func(*pgx.Conn) { a.connections.Add(-1) }
	if a.pool, err = pgxpool.NewWithConfig(context.Background(), pc); err != nil {
		a.endLife()
		return nil, fmt.Errorf("%w: the pool refuses it", ErrConfig)
	}
	return a, nil
}

var (
	errEncoding = errors.New("the database is not encoded in UTF8")
	errClosed   = errors.New("the adapter is closed")
)

// session fixes what the meaning of a statement, or the text of a value,
// depends on.
func session(c *pgx.ConnConfig, config Config) {
	c.ConnectTimeout = config.ConnectTimeout
	c.DialFunc = dialer(c.DialFunc, config.ConnectTimeout)
	c.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		f := pgproto3.NewFrontend(r, w)
		f.SetMaxBodyLen(MaxRow)
		return f
	}
	// Nothing here uses pgx's own statement cache.
	c.DefaultQueryExecMode = pgx.QueryExecModeExec
	c.StatementCacheCapacity, c.DescriptionCacheCapacity = 0, 0
	for name, value := range map[string]string{
		"application_name":              "weir",
		"client_encoding":               "UTF8",
		"datestyle":                     "ISO, MDY",
		"default_transaction_read_only": "on",
		"extra_float_digits":            "1",
		"jit":                           "off", // its compilation takes longer than these queries
		"standard_conforming_strings":   "on",
		"statement_timeout":             strconv.FormatInt(config.StatementTimeout.Milliseconds(), 10),
		"timezone":                      "UTC",
	} {
		// The server takes names in any case, and of two the one that comes last.
		maps.DeleteFunc(c.RuntimeParams, func(given, _ string) bool { return strings.EqualFold(given, name) })
		c.RuntimeParams[name] = value
	}
}

// Capabilities is part of adapters.Adapter.
func (*Adapter) Capabilities() adapters.Capabilities {
	return adapters.Capabilities{Engine: "postgres", Exists: true, NestedLimit: true, MaxKeys: MaxKeys, Remote: true}
}

// Compile is part of adapters.Adapter.
func (a *Adapter) Compile(shape *adapters.Shape) (adapters.Statement, error) {
	q, err := sqlgen.Render(sqlgen.PostgreSQL, shape)
	if err != nil {
		return nil, err
	}
	s := newStatement(a, q, shape)
	s.single = a.singleKey(shape)
	return s, nil
}

// Close is part of adapters.Adapter. It does not wait for running fetches; the
// last of their Rows to be closed closes the last connections.
func (a *Adapter) Close() error {
	a.mu.Lock()
	first, idle := !a.closed, a.fetches == 0
	a.closed = true
	for r := range a.running {
		r.interrupt()
	}
	a.mu.Unlock()
	a.endLife()
	if first && idle {
		a.pool.Close()
	}
	return nil
}

func (a *Adapter) isClosed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.closed
}
