package guangdong

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"
	_ "modernc.org/sqlite" // the data writer's driver
)

// version changes whenever the data does, so that old files are not taken for
// new ones.
const version = 1

// Progress is told how a table's writing goes: rows written so far, and whether
// it is done. It is called from several goroutines.
type Progress func(department, table string, rows int, done bool)

// ErrOtherData is returned where data of another size, version or origin is in
// the way.
var ErrOtherData = errors.New("other data is in the way")

// manifest stands beside the files and is written last: without it, files are
// leftovers of an interrupted run.
type manifest struct {
	Version     int `json:"version"`
	People      int `json:"people"`
	PermitsEach int `json:"permitsEach"`
}

const manifestName = "manifest.json"

// WriteSQLite writes the departments' databases, "<department>.db", into dir,
// unless they are there already. An interrupted run is begun anew. Data of
// another size or version is ErrOtherData and left alone.
func WriteSQLite(ctx context.Context, dir string, o Options, progress Progress) error {
	o = o.withDefaults()
	want := manifest{Version: version, People: o.People, PermitsEach: o.PermitsEach}
	path := filepath.Join(dir, manifestName)
	raw, err := os.ReadFile(path) //nolint:gosec // the caller's own state folder
	switch {
	case err == nil:
		var have manifest
		if json.Unmarshal(raw, &have) != nil || have != want {
			return fmt.Errorf("%w: %s holds the example with %d people, version %d; choose another folder or remove it", ErrOtherData, dir, have.People, have.Version)
		}
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	for _, d := range o.departments() {
		g.Go(func() error {
			if err := writeSQLite(gctx, filepath.Join(dir, d+".db"), d, o, progress); err != nil {
				return fmt.Errorf("writing the example's %s: %w", d, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	raw, err = json.Marshal(want)
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o600)
}

func writeSQLite(ctx context.Context, path, department string, o Options, progress Progress) (err error) {
	for _, leftover := range []string{path, path + "-journal", path + "-wal", path + "-shm"} {
		if err := os.Remove(leftover); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	// The file counts only once the manifest is there, so a crash costs nothing
	// and no journal is needed while it is written.
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(off)&_pragma=synchronous(off)&_pragma=locking_mode(exclusive)&_pragma=cache_size(-65536)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for _, t := range tablesOf(department) {
		if err := fillSQLite(ctx, tx, department, t, o, progress); err != nil {
			return fmt.Errorf("table %s: %w", t.name, err)
		}
	}
	return tx.Commit()
}

// rowsPerInsert keeps a statement's parameters below SQLite's limit and the
// number of statements low.
const rowsPerInsert = 50

func fillSQLite(ctx context.Context, tx *sql.Tx, department string, t table, o Options, progress Progress) error {
	if _, err := tx.ExecContext(ctx, createTable(t, sqliteType)); err != nil {
		return err
	}
	tuple := "(" + strings.TrimSuffix(strings.Repeat("?,", len(t.columns)), ",") + ")"
	insert := func(rows int) string {
		return fmt.Sprintf(`INSERT INTO %q VALUES %s`, t.name, strings.TrimSuffix(strings.Repeat(tuple+",", rows), ",")) //nolint:gosec // names of this package
	}
	full, err := tx.PrepareContext(ctx, insert(rowsPerInsert))
	if err != nil {
		return err
	}
	defer func() { _ = full.Close() }()
	var args []any
	written := 0
	for row := range t.rows(o) {
		for _, c := range row {
			if l, ok := c.([]string); ok {
				raw, err := json.Marshal(l)
				if err != nil {
					return err
				}
				c = string(raw)
			}
			args = append(args, c)
		}
		if written++; written%rowsPerInsert == 0 {
			if _, err := full.ExecContext(ctx, args...); err != nil {
				return err
			}
			args = args[:0]
			if written%5000 == 0 && progress != nil {
				progress(department, t.name, written, false)
			}
		}
	}
	if len(args) > 0 {
		if _, err := tx.ExecContext(ctx, insert(len(args)/len(t.columns)), args...); err != nil {
			return err
		}
	}
	for _, statement := range createIndexes(t) {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	if progress != nil {
		progress(department, t.name, written, true)
	}
	return nil
}

func sqliteType(k kind) string {
	switch k {
	case integer, boolean:
		return "INTEGER"
	default:
		return "TEXT"
	}
}

func createTable(t table, typeOf func(kind) string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE TABLE %q (", t.name)
	for _, c := range t.columns {
		fmt.Fprintf(&b, "%q %s", c.name, typeOf(c.kind))
		if c.name == "row_no" {
			b.WriteString(" NOT NULL UNIQUE")
		}
		b.WriteString(", ")
	}
	b.WriteString("PRIMARY KEY (")
	for i, k := range t.key {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", k)
	}
	b.WriteString("))")
	return b.String()
}

func createIndexes(t table) []string {
	var out []string
	for _, columns := range t.indexes {
		names := strings.Fields(columns)
		out = append(out, fmt.Sprintf("CREATE INDEX %q ON %q (\"%s\")", t.name+"_"+strings.Join(names, "_"), t.name, strings.Join(names, `", "`)))
	}
	return out
}
