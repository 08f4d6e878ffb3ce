package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/graph/exec"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/internal/config"
	"github.com/weir-data/weir/schema"
)

func (n *node) openAdapters() error {
	n.adapters = make(map[string]adapters.Adapter, len(n.cfg.Departments))
	for _, id := range n.cfg.DepartmentIDs() {
		a, err := openAdapter(n.cfg.Departments[id])
		if err != nil {
			return refused(fmt.Errorf("departments.%s: %w", id, err), sourceRemedy(n.cfg.Departments[id].Driver))
		}
		n.adapters[id] = a
		n.closing = append(n.closing, a.Close)
	}
	return nil
}

// sourceRemedy is for a source that cannot be opened as weir.yaml names it.
func sourceRemedy(driver string) string {
	if driver != config.DriverPostgres {
		return ""
	}
	return "url is such as postgres://user:${PASSWORD}@host:5432/database; what a password has of / ? # % [ ] and blanks is written as %XX, and files that url names (sslrootcert, sslcert, sslkey) must be there"
}

// follow tells the executor of every generation that comes into force, and has
// the sources checked against each new schema: a department is taken on while
// requests run.
func (n *node) follow(data *exec.Executor) {
	changed := make(chan struct{}, 1)
	n.revisions.Follow(func(g *plan.Generation) {
		data.Follow(g)
		select {
		case changed <- struct{}{}:
		default: // the one that waits will find the last of them
		}
	})
	n.following = append(n.following, func(ctx context.Context) error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-changed:
				n.check(ctx)
			}
		}
	})
}

// check asks every source whether it is there and holds what the catalogue says,
// once per schema. A department that is down is no reason not to serve the others.
func (n *node) check(ctx context.Context) {
	catalogue := n.revisions.Current().Catalogue
	if catalogue.Revision == n.checked {
		return
	}
	n.checked = catalogue.Revision
	asking, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	found := make([]string, len(n.cfg.Departments))
	var group errgroup.Group
	for i, id := range n.cfg.DepartmentIDs() {
		checker, ok := n.adapters[id].(adapters.Checker)
		if !ok {
			continue
		}
		group.Go(func() error {
			if err := checker.Check(asking, tablesOf(catalogue, id)); err != nil {
				found[i] = fmt.Sprintf("department %s: %s", id, err)
			}
			return nil
		})
	}
	if _ = group.Wait(); ctx.Err() != nil {
		return // the node stops, and no source is at fault
	}
	for _, f := range found {
		if f != "" {
			n.log.Warn("a source is down, or not as the catalogue says; its fields will be errors, the others are served", "finding", f)
		}
	}
}

// tablesOf lists what the catalogue expects of a department.
func tablesOf(c *schema.Catalogue, department string) []adapters.Table {
	var tables []adapters.Table
	for _, name := range c.TypeNames() {
		t := c.Types[name]
		if t.Source.Department != department {
			continue
		}
		table := adapters.Table{Name: t.Source.Table}
		for _, f := range t.Fields {
			if f.Relation != nil {
				continue
			}
			column := adapters.Column{Name: f.Column, Kind: f.Kind, List: f.List}
			if f.Enum != nil {
				column.Enum = f.Enum.Values
			}
			table.Columns = append(table.Columns, column)
		}
		expect := func(name string, kind schema.Scalar) {
			if name != "" && !slices.ContainsFunc(table.Columns, func(c adapters.Column) bool { return c.Name == name }) {
				table.Columns = append(table.Columns, adapters.Column{Name: name, Kind: kind})
			}
		}
		expect(t.Source.Tiebreak, t.Source.TiebreakKind)
		if t.Fresh != nil {
			expect(t.Fresh.Column, schema.DateTime)
		}
		tables = append(tables, table)
	}
	return tables
}

// logFailure warns of a fetch that failed. That a reader went away is no fault of
// the department, and he could do it at will.
func logFailure(log *slog.Logger, f *exec.Fetched) {
	if f.Cause == nil {
		return
	}
	level := slog.LevelWarn
	if known := (*adapters.Error)(nil); errors.As(f.Cause, &known) && known.Kind == adapters.Canceled {
		level = slog.LevelDebug
	}
	// Adapters strip values, arguments and addresses from their errors.
	log.Log(context.Background(), level, "a department's fetch failed", "requestId", f.Request, "department", f.Department,
		"type", f.Type, "code", string(f.Code), "error", f.Cause.Error())
}
