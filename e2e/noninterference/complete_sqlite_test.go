package noninterference

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"modernc.org/sqlite"

	cells "github.com/weir-data/weir/adapters/cell"
	"github.com/weir-data/weir/adapters/sqlgen"
)

// authorized prepares statements on a connection of its own whose authorizer
// writes down the columns that SQLite means to read for them.
type authorized struct {
	conn        driver.Conn
	prepared    map[string][]tableColumn // by text, for one world
	now         []tableColumn
	departments map[string]string // by table
}

type tableColumn struct{ table, column string }

var _ databaseView = (*authorized)(nil)

func newAuthorized(t *testing.T, e *sqliteEngine) *authorized {
	t.Helper()
	a := &authorized{}
	d := &sqlite.Driver{}
	for name, compare := range map[string]func(a, b string) int{
		sqlgen.CollateDecimal: cells.CompareDecimal, sqlgen.CollateDateTime: cells.CompareDateTime, sqlgen.CollateTime: cells.CompareTime,
	} {
		if err := d.RegisterCollationUtf8(name, compare); err != nil {
			t.Fatal(err)
		}
	}
	d.RegisterConnectionHook(func(c sqlite.ExecQuerierContext, _ string) error {
		registerer, ok := c.(sqlite.AuthorizerRegisterer)
		if !ok {
			return errors.New("the driver has no authorizer")
		}
		return registerer.RegisterAuthorizer(func(action sqlite.AuthorizerActionCode, table, column, _, _ string) sqlite.AuthorizerReturnCode {
			if action == sqlite.AuthRead {
				a.now = append(a.now, tableColumn{table, column})
			}
			return sqlite.AuthorizerOK
		})
	})
	conn, err := d.Open((&url.URL{Scheme: "file", Path: e.path, RawQuery: "mode=ro"}).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	a.conn = conn
	return a
}

func (a *authorized) world(w *world) error {
	a.prepared, a.departments = map[string][]tableColumn{}, map[string]string{}
	for _, t := range w.types {
		a.departments[t.table()] = t.dept
	}
	return nil
}

func (a *authorized) read(statements []sent, _ map[column]bool) (map[column]bool, bool, error) {
	out := map[column]bool{}
	for i := range statements {
		reads, ok := a.prepared[statements[i].text]
		if !ok {
			var err error
			if reads, err = a.prepare(statements[i].text); err != nil {
				return nil, false, err
			}
			a.prepared[statements[i].text] = reads
		}
		for _, r := range reads {
			department, ok := a.departments[r.table]
			switch {
			case ok:
				out[column{department, r.table, r.column}] = true
			case !strings.HasPrefix(r.table, "json_"): // the statement's own arguments
				return nil, false, fmt.Errorf("%w: table %s was read, which is no department's\n%s", errIncomplete, r.table, statements[i].text)
			}
		}
	}
	return out, true, nil
}

func (a *authorized) prepare(text string) ([]tableColumn, error) {
	preparer, ok := a.conn.(driver.ConnPrepareContext)
	if !ok {
		return nil, errors.New("the driver cannot prepare")
	}
	a.now = nil
	s, err := preparer.PrepareContext(context.Background(), text)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w\n%s", err, text)
	}
	reads := a.now
	return reads, s.Close()
}
