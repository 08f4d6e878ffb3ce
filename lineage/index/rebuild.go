package index

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/weir-data/weir/lineage"
)

// longestWait is how long Rebuild waits for others to close the file that it
// replaces.
const longestWait = time.Minute

// Rebuild makes the index anew from the log, and gives how far that was read. No
// server may have the index meanwhile.
//
// A file is made beside the one that is there and takes its place when it is whole:
// whatever ends it before then, the index is what it was. One that is damaged is
// replaced as well, anything else is not: that is ErrStranger. In PostgreSQL what
// was there is dropped first.
func Rebuild(ctx context.Context, cfg Config) ([]Sequence, error) {
	return rebuild(ctx, cfg, longestWait)
}

func rebuild(ctx context.Context, cfg Config, wait time.Duration) (_ []Sequence, err error) {
	if cfg.Driver != SQLite {
		return readWhole(ctx, cfg)
	}
	path, err := realPath(cfg.Path)
	if err != nil {
		return nil, cfg.unavailable(err)
	}
	if err := replaceable(ctx, &cfg, path); err != nil {
		return nil, err
	}
	if err := RemoveUnfinished(cfg); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, RemoveUnfinished(cfg))
		}
	}()
	beside := cfg
	beside.Path = path + unfinished
	asOf, err := readWhole(ctx, beside)
	if err != nil {
		return nil, err
	}
	return asOf, cfg.unavailable(replace(ctx, beside.Path, path, wait))
}

// readWhole fills an index that has nothing in it, and closes it.
func readWhole(ctx context.Context, cfg Config) ([]Sequence, error) {
	x, err := anew(ctx, cfg)
	if err != nil {
		return nil, err
	}
	err = x.CatchUp(ctx)
	asOf, more := x.AsOf(ctx)
	return asOf, errors.Join(err, more, x.Close())
}

// unfinished is what the name of a file that is being made ends with.
const unfinished = ".new"

// companions are what SQLite puts beside a file, by the ends of their names.
var companions = [...]string{"-wal", "-shm", "-journal"}

// RemoveUnfinished removes what a Rebuild that was killed has left. None may be
// under way.
func RemoveUnfinished(cfg Config) error {
	if cfg.Driver != SQLite {
		return nil
	}
	path, err := realPath(cfg.Path)
	if err != nil {
		return cfg.unavailable(err)
	}
	path += unfinished
	return cfg.unavailable(errors.Join(remove(path), removeCompanions(path)))
}

func removeCompanions(path string) error {
	var errs []error
	for _, end := range companions {
		errs = append(errs, remove(path+end))
	}
	return errors.Join(errs...)
}

func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// realPath follows links: SQLite puts its files beside the one that they lead to.
func realPath(path string) (string, error) {
	found, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return path, nil
	}
	return found, err
}

// replaceable refuses to put an index in the place of anything else that can be
// told: a path of the configuration may be wrong.
func replaceable(ctx context.Context, c *Config, path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return c.unavailable(err)
	case !info.Mode().IsRegular():
		return c.unavailable(fmt.Errorf("%w: it is no file", ErrStranger))
	}
	err = c.unavailable(onlyOurs(ctx, path))
	if !errors.Is(err, ErrDamaged) {
		return err
	}
	return c.unavailable(begun(path))
}

// begun refuses a file that does not begin as SQLite's do: a key, a configuration.
// An index whose first bytes are damaged cannot be told from it. Nothing is lost
// with zeros, which is what a power cut leaves of a new file.
func begun(path string) error {
	f, err := os.Open(path) //nolint:gosec // the operator names it
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // read only
	const magic = "SQLite format 3\x00"
	first := make([]byte, len(magic))
	if n, err := io.ReadFull(f, first); errors.Is(err, io.ErrUnexpectedEOF) {
		first = first[:n]
	} else if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if string(first) != magic && len(bytes.Trim(first, "\x00")) > 0 {
		return fmt.Errorf("%w: it is no database", ErrStranger)
	}
	return nil
}

// onlyOurs finds tables in a file that no index has.
func onlyOurs(ctx context.Context, path string) error {
	db, err := sql.Open("sqlite", fileURL(path, url.Values{"mode": {"rw"}, "_pragma": {"busy_timeout(5000)", "trusted_schema(0)"}}))
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // read only
	rows, err := db.QueryContext(ctx, `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'`)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // read to the end or given up
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		if !slices.Contains(ours[:], name) {
			return fmt.Errorf("%w: it has a table %q", ErrStranger, name)
		}
	}
	return rows.Err()
}

// replace puts a file that is whole and closed into the place of another, which is
// gone then, with all that SQLite had beside it: such a log would be played into
// the new file.
func replace(ctx context.Context, with, path string, wait time.Duration) error {
	if err := fold(ctx, with); err != nil {
		return err
	}
	old, err := os.Stat(path)
	switch {
	case err == nil:
		if err := takeOwner(with, old); err != nil {
			return err
		}
		if err := foldAlone(ctx, path, wait); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := errors.Join(syncFile(with), removeCompanions(path)); err != nil {
		return err
	}
	if err := os.Rename(with, path); err != nil {
		return err
	}
	return lineage.OS().SyncDir(filepath.Dir(path)) // the new name lasts through a power cut
}

// foldAlone folds a file that is about to go, so that it is whole whenever this is
// cut short. Whoever still has it open would remove the new file's log when he
// closes it: he is waited for. A damaged file cannot be folded, and needs not.
func foldAlone(ctx context.Context, path string, wait time.Duration) error {
	const pause = 100 * time.Millisecond
	for {
		err := fold(ctx, path)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.Is(err, ErrInUse):
			return nil
		case wait <= 0:
			return err
		}
		wait -= pause
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// fold brings what SQLite has beside a file into it. Nobody else may have the file
// open: else it is ErrInUse.
func fold(ctx context.Context, path string) error {
	db, err := sql.Open("sqlite", fileURL(path, url.Values{"mode": {"rw"}}))
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // there is no log any more that it could write
	var mode string
	err = db.QueryRowContext(ctx, `PRAGMA journal_mode = DELETE`).Scan(&mode)
	var of *sqlite.Error
	if errors.As(err, &of) && of.Code()&0xff == sqlite3.SQLITE_BUSY || err == nil && mode != "delete" {
		return ErrInUse
	}
	return err
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // the operator names it
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
