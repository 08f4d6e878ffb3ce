package index

import (
	"database/sql"
	"errors"
	"net/url"
	"path/filepath"
	"testing"
)

// execute runs statements in a database.
func execute(t *testing.T, at string, statements ...string) {
	t.Helper()
	db, err := sql.Open("pgx", at)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // nothing is under way
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// TestRebuildLeavesTables: the tables of somebody else who has our names for them are
// not dropped, whether the URL leads there by mistake or the search path passes by.
func TestRebuildLeavesTables(t *testing.T) {
	server := postgres(t)
	logged := func(t *testing.T, at string) Config {
		cfg := Config{Driver: Postgres, Reading: reading(t), URL: at, Dir: filepath.Join(t.TempDir(), "ledger")}
		fill(t, cfg.Dir, "node-a", seeded(t), 20)
		return cfg
	}
	for what, statement := range map[string]string{
		"a table":            `CREATE TABLE record (citizen TEXT)`,
		"another's meta":     `CREATE TABLE meta (name TEXT, value TEXT)`,
		"a meta of numbers":  `CREATE TABLE meta (name TEXT, value BIGINT)`,
		"a meta that counts": `CREATE TABLE meta (format TEXT)`,
	} {
		t.Run(what, func(t *testing.T) {
			cfg := logged(t, ownSchema(t, server))
			execute(t, cfg.URL, statement)
			if _, err := Rebuild(t.Context(), cfg); !errors.Is(err, ErrStranger) || !errors.Is(err, ErrUnavailable) {
				t.Errorf("%v", err)
			}
			if _, err := Attach(t.Context(), cfg); !errors.Is(err, ErrStranger) || !errors.Is(err, ErrUnavailable) {
				t.Errorf("opened: %v", err)
			}
			execute(t, cfg.URL, `DROP TABLE `+map[bool]string{true: "record", false: "meta"}[what == "a table"])
			if _, err := Rebuild(t.Context(), cfg); err != nil {
				t.Errorf("without it: %v", err)
			}
		})
	}
	t.Run("on the search path", func(t *testing.T) {
		theirs := ownSchema(t, server)
		execute(t, theirs, `CREATE TABLE record (citizen TEXT)`, `INSERT INTO record VALUES ('one')`, `CREATE TABLE meta (name TEXT, value TEXT)`)
		u, err := url.Parse(ownSchema(t, server))
		if err != nil {
			t.Fatal(err)
		}
		other, err := url.Parse(theirs)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		q.Set("search_path", q.Get("search_path")+","+other.Query().Get("search_path"))
		u.RawQuery = q.Encode()
		cfg := logged(t, u.String())
		for range 2 {
			if asOf, err := Rebuild(t.Context(), cfg); err != nil || len(asOf) != 1 || asOf[0].Sequence != 20 {
				t.Errorf("%v, %v", asOf, err)
			}
		}
		execute(t, theirs, `INSERT INTO record SELECT citizen FROM record`, `INSERT INTO meta VALUES ('a', 'b')`)
	})
	t.Run("no schema", func(t *testing.T) {
		u, err := url.Parse(server)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		q.Set("search_path", "nowhere_at_all")
		u.RawQuery = q.Encode()
		if _, err := Rebuild(t.Context(), logged(t, u.String())); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%v", err)
		}
	})
}
