package index

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

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
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
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
