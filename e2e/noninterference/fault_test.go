package noninterference

import (
	"context"
	"errors"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/lineage"
)

// fault is what a side's sources do wrong, the same on both sides.
type fault struct {
	department string
	table      string // "" for every one
	after      int    // batches before it happens
	kind       adapters.Kind
	reload     *plan.Generation // instead of an error: swapped in while the fetch runs
}

// faultyAdapter does what the side's fault says.
type faultyAdapter struct {
	adapters.Adapter
	sd   *side
	name string
}

func (a faultyAdapter) Compile(s *adapters.Shape) (adapters.Statement, error) {
	st, err := a.Adapter.Compile(s)
	return faultyStatement{st, a, s}, err
}

type faultyStatement struct {
	adapters.Statement
	a     faultyAdapter
	shape *adapters.Shape
}

func (s faultyStatement) Fetch(ctx context.Context, args []adapters.Arg, keys *adapters.Keys) (adapters.Rows, error) {
	if w := s.a.sd.watch; w != nil {
		w.note(s, args, keys)
	}
	f := s.a.sd.fault.Load()
	if f == nil || f.department != s.a.name || f.table != "" && f.table != s.shape.Table {
		return s.Statement.Fetch(ctx, args, keys)
	}
	if f.reload != nil {
		s.a.sd.current.Store(f.reload)
		return s.Statement.Fetch(ctx, args, keys)
	}
	if f.after == 0 {
		return nil, &adapters.Error{Kind: f.kind, Cause: errors.New("injected")}
	}
	rows, err := s.Statement.Fetch(ctx, args, keys)
	if err != nil {
		return nil, err
	}
	return &faultyRows{Rows: rows, left: f.after, kind: f.kind}, nil
}

type faultyRows struct {
	adapters.Rows
	left int
	kind adapters.Kind
}

func (r *faultyRows) Next(b *adapters.Batch) error {
	if r.left == 0 {
		return &adapters.Error{Kind: r.kind, Cause: errors.New("injected")}
	}
	r.left--
	return r.Rows.Next(b)
}

// unsynced leaves out what only a power cut would show.
type unsynced struct{ lineage.FS }

type unsyncedFile struct{ lineage.File }

func (u unsynced) Create(path string) (lineage.File, error) {
	f, err := u.FS.Create(path)
	return unsyncedFile{f}, err
}

func (u unsynced) Open(path string, write bool) (lineage.File, error) {
	f, err := u.FS.Open(path, write)
	if err != nil {
		return nil, err
	}
	return unsyncedFile{f}, nil
}

func (unsynced) SyncDir(string) error { return nil }
func (unsyncedFile) Sync() error      { return nil }
