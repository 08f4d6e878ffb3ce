package index

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// unavailable is an error of the database as callers know it: ErrUnavailable, and
// ErrDamaged or the system's own where SQLite has but a number for it.
func (c *Config) unavailable(err error) error {
	if err == nil || errors.Is(err, ErrUnavailable) {
		return err
	}
	if cause := c.causeOf(err); cause != nil {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, inOwnWords(err))
}

// postgresError is an error of PostgreSQL or of its driver, whose texts quote the
// URL, or what stands in the database.
type postgresError struct {
	words string
	cause error
}

func (e *postgresError) Error() string { return e.words }
func (e *postgresError) Unwrap() error { return e.cause }

// inOwnWords leaves the texts of PostgreSQL and its driver behind.
func inOwnWords(err error) error {
	var server *pgconn.PgError
	var parse *pgconn.ParseConfigError
	var connect *pgconn.ConnectError
	words := ""
	switch {
	case errors.As(err, &server):
		words = "postgres: " + meaning(server.Code) + "SQLSTATE " + server.Code
	case errors.As(err, &parse):
		words = "postgres: the URL does not parse"
	case errors.As(err, &connect):
		words = "postgres: no connection" + network(err)
	default:
		return err
	}
	return &postgresError{words, err}
}

// meaning puts into words what an operator can do something about.
func meaning(code string) string {
	switch code {
	case "28000", "28P01":
		return "the user or its password is refused, "
	case "3D000":
		return "no such database, "
	case "42501":
		return "the user may not do that, "
	case "53300":
		return "too many connections, "
	}
	return ""
}

// network is why there is no connection, where that is known.
func network(err error) string {
	var dns *net.DNSError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		return ": refused"
	case errors.As(err, &dns):
		return ": host not found"
	case errors.Is(err, context.DeadlineExceeded):
		return " in time"
	}
	return ""
}

func (x *Index) unavailable(err error) error { return x.cfg.unavailable(err) }

// causeOf is what SQLite does not say of an error; nil where it says enough.
func (c *Config) causeOf(err error) error {
	var of *sqlite.Error
	if !errors.As(err, &of) {
		return nil
	}
	switch of.Code() {
	case sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_DATA, sqlite3.SQLITE_IOERR_CORRUPTFS:
		return ErrDamaged // the disk gives back nothing, or something else
	}
	switch of.Code() & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return ErrDamaged
	case sqlite3.SQLITE_FULL:
		return syscall.ENOSPC
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY:
		// It keeps the system's error to itself: a full disk is one of many here.
		return roomBeside(c.Path)
	default:
		return nil
	}
}

// roomBeside tells why nothing can be written beside a file; nil when it can.
func roomBeside(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+"-room-*")
	if err != nil {
		return reason(err)
	}
	_, err = f.Write(make([]byte, 64<<10)) // more than SQLite makes a file larger by
	if err := errors.Join(f.Close(), os.Remove(f.Name())); err != nil {
		return reason(err)
	}
	return reason(err)
}

// reason is the system's error without the name of the file that was tried.
func reason(err error) error {
	var at *os.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}
