// Package sqlite reads rows from a SQLite file.
//
// It promises what package adapters promises, over connections that can only
// read: the file is opened with mode=ro and query_only, and an authorizer
// refuses everything but reading. It writes nothing and creates no file.
//
// SQLite's columns have no types of their own, so values must be stored as
// follows; a value stored otherwise is a bad cell.
//
//	String ID Enum     TEXT
//	Int BigInt         INTEGER
//	Float              REAL or INTEGER
//	Boolean            INTEGER 0 or 1
//	Date               TEXT 2006-01-02
//	DateTime           TEXT 2006-01-02 15:04:05, "T" or a blank between, a fraction
//	                   and an offset (none or "Z" for UTC) as need be
//	Time               TEXT 15:04:05, with a fraction as need be
//	Decimal            TEXT, or INTEGER
//	UUID               TEXT, lower-case with hyphens
//	JSON, lists        TEXT, JSON; elements of lists as they stand in JSON
//
// An index serves equality on texts, dates, UUIDs and numbers whatever the
// column's collation; Decimal, DateTime and Time compare by value, through
// collations of this package, and by no index. The database must be UTF-8.
//
// An argument that is not of its column's kind, or a BigInt beyond 64 bits, is
// sent as NULL: the comparison is unknown, for every row alike. So is a Like
// pattern of more than 50,000 bytes.
package sqlite

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/adapters/sqlgen"
)

// MaxKeys is the most key tuples in one fetch.
const MaxKeys = 10_000

// Config says which file, and how much of the machine to use on it.
type Config struct {
	Path string // of the database file
	// MaxConns bounds the connections, and with them the fetches at one time.
	MaxConns int
	// ConnectTimeout bounds the wait for a free connection.
	ConnectTimeout time.Duration
	// StatementTimeout bounds a fetch, from its start to its last row.
	StatementTimeout time.Duration
	// BusyTimeout bounds the wait for a writer's lock.
	BusyTimeout time.Duration
}

// DefaultConfig is the configuration for a file.
func DefaultConfig(path string) Config {
	return Config{
		Path:             path,
		MaxConns:         8,
		ConnectTimeout:   5 * time.Second,
		StatementTimeout: 10 * time.Second,
		BusyTimeout:      2 * time.Second,
	}
}

// ErrConfig is the kind of all configuration errors.
var ErrConfig = errors.New("sqlite: configuration")

func (c Config) validate() error {
	switch {
	case c.Path == "":
		return fmt.Errorf("%w: no path", ErrConfig)
	case c.MaxConns < 1:
		return fmt.Errorf("%w: no connections", ErrConfig)
	case c.ConnectTimeout <= 0 || c.StatementTimeout <= 0 || c.BusyTimeout < 0:
		return fmt.Errorf("%w: a time limit is missing", ErrConfig)
	}
	return nil
}

// Adapter reads one SQLite file.
type Adapter struct {
	config Config
	pool   *pool
}

var (
	_ adapters.Adapter = (*Adapter)(nil)
	_ adapters.Checker = (*Adapter)(nil)
)

// Open prepares an adapter; the file is opened by the first fetch. The caller
// closes it.
func Open(config Config) (*Adapter, error) {
	return open(config, nil)
}

// readable says whether a statement may read a column; "" stands for a table of
// which no column is read.
type readable func(table, column string) bool

// open lets tests say what may be read; nil is everything.
func open(config Config, may readable) (*Adapter, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	p, err := newPool(config, may)
	if err != nil {
		return nil, err
	}
	return &Adapter{config: config, pool: p}, nil
}

// Capabilities is part of adapters.Adapter.
func (*Adapter) Capabilities() adapters.Capabilities {
	return adapters.Capabilities{Engine: "sqlite", Exists: true, NestedLimit: true, MaxKeys: MaxKeys}
}

// Compile is part of adapters.Adapter.
func (a *Adapter) Compile(shape *adapters.Shape) (adapters.Statement, error) {
	q, err := sqlgen.Render(sqlgen.SQLite, shape)
	if err != nil {
		return nil, err
	}
	columns := shape.Columns
	if shape.Count {
		columns = countColumns()
	}
	if shape.Tally {
		columns = append(slices.Clone(columns), countColumns()...)
	}
	return &statement{adapter: a, query: q, columns: columns, keys: shape.Keys, params: len(shape.Params)}, nil
}

// Close is part of adapters.Adapter. It does not wait for running fetches;
// their connections close when their Rows do.
func (a *Adapter) Close() error {
	a.pool.close()
	return nil
}
