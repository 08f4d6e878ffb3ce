package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"modernc.org/sqlite"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/adapters/cell"
	"github.com/weir-data/weir/adapters/sqlgen"
)

// maxPrepared is the most statements that one connection keeps prepared.
const maxPrepared = 128

// pool hands out connections, at most Config.MaxConns at a time. It stands in
// for database/sql, which would convert and copy each cell once more.
type pool struct {
	config Config
	driver *sqlite.Driver
	dsn    string
	tokens chan struct{}
	done   chan struct{}

	mu     sync.Mutex
	idle   []*conn
	closed bool
}

// conn is one connection. It has one owner at a time.
type conn struct {
	driver.Conn
	prepared []prepared // the most recently used last
}

type prepared struct {
	text string
	stmt driver.StmtQueryContext
}

var errClosed = errors.New("the adapter is closed")

func newPool(config Config, may readable) (*pool, error) {
	d := &sqlite.Driver{}
	for name, compare := range map[string]func(a, b string) int{
		sqlgen.CollateDecimal:  cell.CompareDecimal,
		sqlgen.CollateDateTime: cell.CompareDateTime,
		sqlgen.CollateTime:     cell.CompareTime,
	} {
		if err := d.RegisterCollationUtf8(name, compare); err != nil {
			return nil, fmt.Errorf("sqlite: register a collation: %w", err)
		}
	}
	d.RegisterConnectionHook(func(c sqlite.ExecQuerierContext, _ string) error {
		return harden(c, may)
	})
	dsn, err := dataSource(config)
	if err != nil {
		return nil, err
	}
	return &pool{config: config, driver: d, dsn: dsn, tokens: make(chan struct{}, config.MaxConns), done: make(chan struct{})}, nil
}

// dataSource is a URI, since only in a URI does mode=ro count.
func dataSource(config Config) (string, error) {
	path, err := filepath.Abs(config.Path)
	if err != nil {
		return "", fmt.Errorf("%w: the path cannot be made absolute", ErrConfig)
	}
	query := url.Values{
		"mode":        {"ro"},
		"_query_only": {"1"},
		"_dqs":        {"0"},
		"_defensive":  {"1"},
		"_pragma":     {"trusted_schema(0)"},
	}
	query.Set("_busy_timeout", strconv.FormatInt(config.BusyTimeout.Milliseconds(), 10))
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: query.Encode()}).String(), nil
}

var errEncoding = errors.New("the database is not encoded in UTF-8")

// harden refuses databases whose texts would not compare by code point, and
// leaves a connection able to do nothing but read.
func harden(c sqlite.ExecQuerierContext, may readable) error {
	rows, err := c.QueryContext(context.Background(), "PRAGMA encoding", nil)
	if err != nil {
		return err
	}
	encoding := make([]driver.Value, 1)
	err = rows.Next(encoding)
	if closeErr := rows.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if encoding[0] != "UTF-8" {
		return errEncoding
	}
	registerer, ok := c.(sqlite.AuthorizerRegisterer)
	if !ok {
		return errors.New("sqlite: the driver has no authorizer")
	}
	return registerer.RegisterAuthorizer(func(action sqlite.AuthorizerActionCode, arg1, arg2, _, _ string) sqlite.AuthorizerReturnCode {
		switch action {
		case sqlite.AuthRead:
			if may == nil || may(arg1, arg2) {
				return sqlite.AuthorizerOK
			}
		case sqlite.AuthSelect, sqlite.AuthFunction, sqlite.AuthRecursive:
			return sqlite.AuthorizerOK
		case sqlite.AuthPragma:
			if strings.EqualFold(arg1, "table_xinfo") {
				return sqlite.AuthorizerOK
			}
		}
		return sqlite.AuthorizerDeny
	})
}

// acquire waits for a connection. The caller releases it.
func (p *pool) acquire(ctx context.Context) (*conn, error) {
	select {
	case p.tokens <- struct{}{}:
	default:
		wait := time.NewTimer(p.config.ConnectTimeout)
		defer wait.Stop()
		select {
		case p.tokens <- struct{}{}:
		case <-ctx.Done():
			return nil, contextError(ctx)
		case <-p.done:
			return nil, unavailable(errClosed)
		case <-wait.C:
			return nil, unavailable(errors.New("all connections are in use"))
		}
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		<-p.tokens
		return nil, unavailable(errClosed)
	}
	if n := len(p.idle); n > 0 {
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return c, nil
	}
	p.mu.Unlock()
	c, err := p.driver.Open(p.dsn)
	if err != nil {
		<-p.tokens
		return nil, openError(err)
	}
	return &conn{Conn: c}, nil
}

// release takes a connection back, or closes it when it is of no more use.
func (p *pool) release(c *conn) {
	v, ok := c.Conn.(driver.Validator)
	valid := !ok || v.IsValid()
	p.mu.Lock()
	keep := valid && !p.closed
	if keep {
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	if !keep {
		c.close()
	}
	<-p.tokens
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	close(p.done)
	for _, c := range p.idle {
		c.close()
	}
	p.idle = nil
}

func (p *pool) isClosed() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// prepare gives a prepared statement, kept for the next time.
func (c *conn) prepare(ctx context.Context, text string) (driver.StmtQueryContext, error) {
	for i := len(c.prepared) - 1; i >= 0; i-- {
		if found := c.prepared[i]; found.text == text {
			copy(c.prepared[i:], c.prepared[i+1:])
			c.prepared[len(c.prepared)-1] = found
			return found.stmt, nil
		}
	}
	preparer, ok := c.Conn.(driver.ConnPrepareContext)
	if !ok {
		return nil, errors.New("sqlite: the driver cannot prepare")
	}
	s, err := preparer.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	stmt, ok := s.(driver.StmtQueryContext)
	if !ok {
		return nil, errors.Join(errors.New("sqlite: the driver cannot query"), s.Close())
	}
	if len(c.prepared) == maxPrepared {
		closeQuietly(c.prepared[0].stmt)
		c.prepared = slices.Delete(c.prepared, 0, 1)
	}
	c.prepared = append(c.prepared, prepared{text, stmt})
	return stmt, nil
}

func (c *conn) close() {
	for _, p := range c.prepared {
		closeQuietly(p.stmt)
	}
	c.prepared = nil
	closeQuietly(c.Conn)
}

// closeQuietly: nothing depends on a read-only handle that fails to close.
func closeQuietly(v any) {
	if c, ok := v.(io.Closer); ok {
		_ = c.Close()
	}
}

func unavailable(cause error) error {
	return &adapters.Error{Kind: adapters.Unavailable, Cause: cause}
}
