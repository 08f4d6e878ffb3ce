package exec

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/internal/keyring"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/resolvers"
	"github.com/weir-data/weir/schema"
)

// nullCell and badCell stand for SQL NULL and for a cell that is not of its
// column's kind.
const (
	nullCell = "\x00null"
	badCell  = "\x00bad"
)

// memory is a source that holds its rows in memory. It serves keys, limits and
// offsets; conditions and orders are the tests' own, through where.
type memory struct {
	capabilities adapters.Capabilities
	tables       map[string]*memoryTable
	fetches      atomic.Int64
	before       func(ctx context.Context, table string) error // may block or fail
	asked        func(table string, keys *adapters.Keys)       // hears of the keys; nil for nobody
	refuse       func(ctx context.Context, keys *adapters.Keys) error
}

type memoryTable struct {
	columns        []string
	rows           [][]string
	truth, unknown []uint64 // per row; nil for none
	where          func(row []string, args []adapters.Arg) bool
	afterRows      error                 // given instead of io.EOF
	afterSeveral   error                 // the same, where several keys were asked for
	spoil          func(*adapters.Batch) // what a source that breaks the contract does
}

func (m *memory) Capabilities() adapters.Capabilities { return m.capabilities }
func (m *memory) Close() error                        { return nil }

func (m *memory) Compile(s *adapters.Shape) (adapters.Statement, error) {
	t := m.tables[s.Table]
	if t == nil {
		return nil, &adapters.Error{Kind: adapters.Unsupported}
	}
	st := &memoryStatement{source: m, table: t, shape: s}
	for _, c := range s.Columns {
		st.columns = append(st.columns, slices.Index(t.columns, c.Name))
	}
	for _, c := range s.Keys {
		st.keys = append(st.keys, slices.Index(t.columns, c.Name))
	}
	return st, nil
}

type memoryStatement struct {
	source        *memory
	table         *memoryTable
	shape         *adapters.Shape
	columns, keys []int
}

func (s *memoryStatement) String() string { return "read " + s.shape.Table }

func (s *memoryStatement) Fetch(ctx context.Context, args []adapters.Arg, keys *adapters.Keys) (adapters.Rows, error) {
	s.source.fetches.Add(1)
	if s.source.before != nil {
		if err := s.source.before(ctx, s.shape.Table); err != nil {
			return nil, err
		}
	}
	if (keys == nil) != (len(s.shape.Keys) == 0) {
		return nil, fmt.Errorf("keys do not fit the shape of %s", s.shape.Table)
	}
	if s.source.asked != nil {
		s.source.asked(s.shape.Table, keys)
	}
	if s.source.refuse != nil {
		if err := s.source.refuse(ctx, keys); err != nil {
			return nil, err
		}
	}
	out := &memoryRows{statement: s, args: args, keys: keys, limit: -1}
	if s.shape.Limit != nil {
		out.limit = bound(s.shape.Limit, args)
	}
	if s.shape.Offset != nil {
		out.offset = bound(s.shape.Offset, args)
	}
	return out, nil
}

func bound(b *adapters.Bound, args []adapters.Arg) int {
	n := b.Plus
	if b.Param >= 0 {
		v, _ := strconv.Atoi(args[b.Param].Text)
		n += v
	}
	return n
}

type memoryRows struct {
	statement     *memoryStatement
	args          []adapters.Arg
	keys          *adapters.Keys
	limit, offset int
	ordinal, row  int
	matched       int // in this ordinal
	counted       bool
}

func (r *memoryRows) Close() error { return nil }

func (r *memoryRows) Next(b *adapters.Batch) error {
	s := r.statement
	if s.shape.Count {
		return r.count(b)
	}
	b.Reset(len(s.columns))
	ordinals := 1
	if r.keys != nil {
		ordinals = r.keys.Rows
	}
	for ; r.ordinal < ordinals; r.ordinal, r.row, r.matched = r.ordinal+1, 0, 0 {
		for ; r.row < len(s.table.rows); r.row++ {
			if b.Rows == 1024 {
				return nil
			}
			if !r.matches(r.row) {
				continue
			}
			r.matched++
			if r.matched <= r.offset || (r.limit >= 0 && r.matched > r.offset+r.limit) {
				continue
			}
			r.append(b)
		}
	}
	if b.Rows > 0 {
		if s.table.spoil != nil {
			s.table.spoil(b)
		}
		return nil
	}
	if s.table.afterRows != nil {
		return s.table.afterRows
	}
	if s.table.afterSeveral != nil && ordinals > 1 {
		return s.table.afterSeveral
	}
	return io.EOF
}

func (r *memoryRows) count(b *adapters.Batch) error {
	b.Reset(1)
	if r.counted {
		return io.EOF
	}
	r.counted = true
	n := 0
	for row := range r.statement.table.rows {
		if r.matches(row) {
			n++
		}
	}
	b.Data = strconv.AppendInt(b.Data, int64(n), 10)
	b.EndCell(false, false)
	b.EndRow(0, 0, 0, false)
	return nil
}

func (r *memoryRows) matches(row int) bool {
	s := r.statement
	cells := s.table.rows[row]
	if s.table.where != nil && !s.table.where(cells, r.args) {
		return false
	}
	for i, column := range s.keys {
		if cells[column] == nullCell || string(r.keys.Cell(r.ordinal, i)) != cells[column] {
			return false
		}
	}
	return true
}

func (r *memoryRows) append(b *adapters.Batch) {
	s := r.statement
	for _, column := range s.columns {
		switch cell := s.table.rows[r.row][column]; cell {
		case nullCell:
			b.EndCell(true, false)
		case badCell:
			b.EndCell(true, true)
		default:
			b.Data = append(b.Data, cell...)
			b.EndCell(false, false)
		}
	}
	var truth, unknown uint64
	if s.table.truth != nil {
		truth, unknown = s.table.truth[r.row], s.table.unknown[r.row]
	}
	b.EndRow(truth, unknown, uint32(r.ordinal), r.keys != nil) //nolint:gosec // small
}

// bench is an executor over memory sources with plans made by hand.
type bench struct {
	t        testing.TB
	executor *Executor
	plan     *plan.Plan
	sources  map[string]*memory
}

// newBench makes an executor over these sources; adjust may change its
// configuration.
func newBench(t testing.TB, sources map[string]*memory, adjust func(*Config)) *bench {
	t.Helper()
	ring, err := keyring.Generate()
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Adapters: map[string]adapters.Adapter{}, Keys: ring, Report: func(err error) { t.Error(err) }}
	for name, source := range sources {
		cfg.Adapters[name] = source
	}
	if adjust != nil {
		adjust(&cfg)
	}
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return &bench{t: t, executor: e, plan: &plan.Plan{Root: &plan.Object{Type: "Query"}}, sources: sources}
}

// fetch adds a fetch to the plan.
func (b *bench) fetch(department, typeName string, shape adapters.Shape, adjust func(*plan.Fetch)) *plan.Fetch {
	b.t.Helper()
	f := &plan.Fetch{ID: len(b.plan.Fetches), Department: department, Type: typeName, Shape: &shape}
	if adjust != nil {
		adjust(f)
	}
	var err error
	if f.Statement, err = b.sources[department].Compile(&shape); err != nil {
		b.t.Fatal(err)
	}
	b.plan.Fetches = append(b.plan.Fetches, f)
	if !slices.Contains(b.plan.Departments, department) {
		b.plan.Departments = append(b.plan.Departments, department)
		slices.Sort(b.plan.Departments)
	}
	return f
}

// root adds a field to Query.
func (b *bench) root(f *plan.Field) { b.plan.Root.Fields = append(b.plan.Root.Fields, f) }

// use adds a use to the plan.
func (b *bench) use(typeName, field string) int {
	b.plan.Uses = append(b.plan.Uses, lineage.Use{Coordinate: schema.Coordinate{Type: typeName, Field: field}, Use: lineage.Select})
	return len(b.plan.Uses) - 1
}

// answer is one execution's outcome.
type answer struct {
	data, extension string
	errors          []string // "CODE path xCOUNT"
	reads           *resolvers.ReadSet
}

func (b *bench) request() *resolvers.Request {
	return &resolvers.Request{ID: "r1", Subject: &authz.Subject{ID: "reader"}, Purpose: "p", Reads: &resolvers.ReadSet{}}
}

// start compiles the plan and prepares a run.
func (b *bench) start(req *resolvers.Request, vars map[string]any) (*run, plan.Errors) {
	b.t.Helper()
	prog, err := compile(b.plan, [32]byte{})
	if err != nil {
		b.t.Fatal(err)
	}
	r := &run{}
	r.begin(b.executor, req, prog, vars)
	if errs := r.prepare(); errs != nil {
		return nil, errs
	}
	req.Reads.Begin(b.plan.Uses, b.plan.Level)
	return r, nil
}

// run executes the plan.
func (b *bench) run(ctx context.Context, req *resolvers.Request, vars map[string]any) answer {
	b.t.Helper()
	r, errs := b.start(req, vars)
	if errs != nil {
		b.t.Fatal(errs)
	}
	return b.respond(ctx, r)
}

func (b *bench) respond(ctx context.Context, r *run) answer {
	req := r.req
	response := r.respond(ctx)
	a := answer{data: string(response.Data), extension: string(req.Reads.Extension), reads: req.Reads}
	for _, e := range response.Errors {
		a.errors = append(a.errors, fmt.Sprintf("%s %s %v x%v", e.Extensions["code"], e.Path, e.Extensions["selection"], e.Extensions["count"]))
	}
	return a
}

// Plans by hand: short forms.

func cleared() plan.Decision {
	return plan.Decision{Base: authz.Clear.Closure()}
}

func textColumns(names ...string) []adapters.Column {
	var out []adapters.Column
	for _, n := range names {
		out = append(out, adapters.Column{Name: n, Kind: schema.String})
	}
	return out
}

func leaf(path, key string, column int) *plan.Field {
	f := named(path, key)
	f.Kind, f.Column, f.Decision = plan.FieldLeaf, column, cleared()
	return f
}

func named(path, key string) *plan.Field {
	f := &plan.Field{Key: key, Quoted: []byte(`"` + key + `":`), Path: key, Use: -1, Locations: []plan.Location{{Line: 1, Column: 1}}}
	if path != "" {
		f.Path = path + "." + key
	}
	return f
}

func list(path, key string, many bool, members ...plan.Member) *plan.Field {
	f := named(path, key)
	f.Kind = plan.FieldRows
	f.Rows = &plan.Rows{Many: many, Members: members, Decision: cleared(), Ordinal: -1}
	return f
}

func constant(kind schema.Scalar, text string) plan.Value {
	return plan.Value{From: plan.FromConst, Const: adapters.Arg{Text: text}, Kind: kind}
}

func windowOf(n int) *plan.Window {
	return &plan.Window{Value: constant(schema.Int, strconv.Itoa(n)), Default: 50, Max: 1000}
}
