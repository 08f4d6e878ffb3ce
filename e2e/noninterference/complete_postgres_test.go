package noninterference

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/adapters/postgres"
)

// looked is every how manieth operation is looked at column by column.
const looked = 10

// grantedView runs statements again as a role that holds SELECT on the recorded
// columns alone; on some operations, on all of them but one, for each.
type grantedView struct {
	admin       *pgx.Conn
	role        string
	adapter     adapters.Adapter
	departments map[string]string // by table
	calls       int
}

var _ databaseView = (*grantedView)(nil)

func newGranted(t *testing.T, e *postgresEngine) *grantedView {
	t.Helper()
	ctx := context.Background() // the test's own ends before its cleanups run
	g := &grantedView{admin: e.conn, role: fmt.Sprintf("weir_complete_%d_%d", os.Getpid(), time.Now().UnixNano())}
	if _, err := e.conn.Exec(ctx, "CREATE ROLE "+g.role+" LOGIN"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := e.conn.Exec(ctx, "DROP OWNED BY "+g.role+"; DROP ROLE "+g.role); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(e.url)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User(g.role)
	q := u.Query()
	q.Del("user")
	u.RawQuery = q.Encode()
	cfg := postgres.DefaultConfig(u.String())
	cfg.MaxConns, cfg.ConnectTimeout, cfg.StatementTimeout = 1, time.Minute, time.Minute
	a, err := postgres.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	g.adapter = a
	return g
}

func (g *grantedView) world(w *world) error {
	g.departments = map[string]string{}
	for _, t := range w.types {
		g.departments[t.table()] = t.dept
	}
	return nil
}

func (g *grantedView) read(statements []sent, recorded map[column]bool) (map[column]bool, bool, error) {
	g.calls++
	whole := g.calls%looked == 0
	out := map[column]bool{}
	if len(statements) == 0 {
		return out, whole, nil
	}
	ran, err := g.replay(statements, recorded)
	if err != nil {
		return nil, false, err
	}
	if !ran {
		return nil, false, fmt.Errorf("%w: as a role that holds what it names, PostgreSQL refuses %v", errIncomplete, statements)
	}
	if !whole {
		return out, false, nil
	}
	for col := range recorded {
		if col.name == "" || g.departments[col.table] == "" {
			continue
		}
		less := make(map[column]bool, len(recorded))
		for c := range recorded {
			less[c] = c != col
		}
		ran, err := g.replay(statements, less)
		if err != nil {
			return nil, false, err
		}
		out[col] = !ran
	}
	for col, read := range out {
		if !read {
			delete(out, col)
		}
	}
	return out, true, nil
}

// insufficientPrivilege is PostgreSQL's SQLSTATE for what a role may not read.
const insufficientPrivilege = "42501"

// replay reports whether the role may run all statements when it holds these
// columns.
func (g *grantedView) replay(statements []sent, columns map[column]bool) (bool, error) {
	ctx := context.Background()
	var b strings.Builder
	for table, department := range g.departments {
		// A row alone, counted, needs some column; this one holds nothing.
		names := []string{nothing}
		for c, holds := range columns {
			if holds && c.department == department && c.table == table && c.name != "" {
				names = append(names, pgx.Identifier{c.name}.Sanitize())
			}
		}
		slices.Sort(names)
		fmt.Fprintf(&b, "REVOKE ALL ON %s FROM %s;", table, g.role)
		if columns[column{department, table, ""}] {
			fmt.Fprintf(&b, "GRANT SELECT (%s) ON %s TO %s;", strings.Join(names, ", "), table, g.role)
		}
	}
	if _, err := g.admin.Exec(ctx, b.String()); err != nil {
		return false, fmt.Errorf("%w\n%s", err, b.String())
	}
	for i := range statements {
		err := g.fetch(ctx, &statements[i])
		switch {
		case err != nil && strings.HasSuffix(err.Error(), "SQLSTATE "+insufficientPrivilege):
			return false, nil
		case err != nil:
			return false, fmt.Errorf("run a statement again: %w\n%s", err, statements[i].text)
		}
	}
	return true, nil
}

// fetch runs a statement to its end.
func (g *grantedView) fetch(ctx context.Context, one *sent) (err error) {
	st, err := g.adapter.Compile(one.shape)
	if err != nil {
		return err
	}
	if st.String() != one.text {
		return fmt.Errorf("%w: another statement than was sent", errIncomplete)
	}
	rows, err := st.Fetch(ctx, one.args, one.keys)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var batch adapters.Batch
	for {
		if err := rows.Next(&batch); errors.Is(err, io.EOF) || err == nil && batch.Rows == 0 {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// TestCompletePostgres holds every record to what PostgreSQL lets a role run
// that holds SELECT on the recorded columns and no other.
func TestCompletePostgres(t *testing.T) {
	e, ok := newPostgres(t, "complete").(*postgresEngine)
	if !ok {
		t.Fatal("another engine")
	}
	newCompleteness(t, e, newGranted(t, e)).run(t, operationsWanted()/postgresOperations)
}
