// Package store is the control store of one node: what must outlive a restart
// and is no record of a read. It is one SQLite file in the state folder.
//
// It promises that one process at a time has the file; that what a method
// reported as done is on disk and survives a kill of the process and a power
// cut; and that a file which is damaged, or was written by a newer Weir, is
// refused and never repaired by guessing. Its errors are denials to whoever
// asks. It holds no identifier in clear: keys arrive as keyed digests. It is
// not the ledger, and nodes do not share it.
//
// Each concept has its own file here and its own migration.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Errors of the package.
var (
	// ErrLocked: another process has the store, or this one has it already.
	ErrLocked = errors.New("store is in use")
	// ErrCorrupt: the file is no store, or a damaged one.
	ErrCorrupt = errors.New("store is damaged")
	// ErrNewer: the file was written by a later version.
	ErrNewer = errors.New("store was written by a newer version")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store is closed")
)

// Config says where a store is and what its day is.
type Config struct {
	// Path is the file; its folder must exist. It is made when it is missing,
	// readable by the owner alone.
	Path string
	// Now is the clock; time.Now.
	Now func() time.Time
	// Zone is where a day begins; UTC.
	Zone *time.Location
}

// Store is an open control store. It is safe for concurrent use.
type Store struct {
	db *sql.DB
	budgets
}

//go:embed migrations/*.sql
var migrations embed.FS

// Open takes the store for this process and brings it to the present version.
// The caller closes it.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	s := &Store{}
	now, zone := cfg.Now, cfg.Zone
	if now == nil {
		now = time.Now
	}
	if zone == nil {
		zone = time.UTC
	}
	if err := create(cfg.Path); err != nil {
		return nil, err
	}
	var err error
	if s.db, err = sql.Open("sqlite", dsn(cfg.Path)); err != nil {
		return nil, opening(cfg.Path, err)
	}
	// The lock belongs to the connection: there is one, and it stays.
	s.db.SetMaxOpenConns(1)
	s.db.SetConnMaxLifetime(0)
	s.db.SetConnMaxIdleTime(0)
	if err := s.ready(ctx); err != nil {
		return nil, errors.Join(opening(cfg.Path, err), s.db.Close())
	}
	s.start(s.db, now, zone)
	return s, nil
}

// create makes the file before SQLite would, with permissions of our own: its
// journal takes over those of the file.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the folder is the operator's
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return errors.Join(fmt.Errorf("store: %w", err), f.Close())
	}
	// That the file is there must last as well: a new one in its place would
	// have given everything back. Where folders cannot be synced, names last.
	_ = folder.Sync()
	return errors.Join(f.Close(), folder.Close())
}

// dsn names the file with what every connection needs. EXCLUSIVE keeps the
// file's lock from the first read on until the connection or the process ends, if
// it is set before WAL is, which then needs no shared memory: so WAL is not among
// these, which the driver sorts by their names, and is set in ready.
func dsn(path string) string {
	q := url.Values{
		"_txlock": {"immediate"},
		"_pragma": {
			"busy_timeout(0)", "locking_mode(EXCLUSIVE)", "synchronous(FULL)",
			"trusted_schema(0)", "cell_size_check(1)", "foreign_keys(1)",
		},
	}
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}
	return u.String()
}

// ready takes the lock, checks the file and migrates it.
func (s *Store) ready(ctx context.Context) error {
	if _, err := s.db.ExecContext(ctx, "PRAGMA journal_mode = WAL"); err != nil {
		return err
	}
	var verdict string
	if err := s.db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return ErrCorrupt
	}
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "locking_mode": "exclusive"} {
		var have string
		if err := s.db.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(&have); err != nil {
			return err
		}
		if !strings.EqualFold(have, want) {
			return fmt.Errorf("%s is %s instead of %s", pragma, have, want)
		}
	}
	sources, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, s.db, sources)
	if err != nil {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migration: %w", err)
	}
	have, want, err := provider.GetVersions(ctx)
	if err != nil {
		return err
	}
	if have > want {
		return fmt.Errorf("%w: version %d, and this one knows %d", ErrNewer, have, want)
	}
	return nil
}

// opening names the file and the kind of what went wrong with it.
func opening(path string, err error) error {
	var e *sqlite.Error
	if errors.As(err, &e) {
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
			return fmt.Errorf("%w by another process: %s", ErrLocked, path)
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
			return fmt.Errorf("%w: %s: %w", ErrCorrupt, path, err)
		}
	}
	return fmt.Errorf("store %s: %w", path, err)
}

// Close ends what is under way, which is told [ErrClosed] if it was not done,
// and gives the file back. Closing twice is harmless.
func (s *Store) Close() error {
	if !s.stop() {
		return nil
	}
	return s.db.Close()
}
