package plan

import (
	"slices"
	"strings"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// fetching is a fetch while it is built: its columns and scopes are not known
// before every selection under it was seen.
type fetching struct {
	fetch *Fetch
	view  *view

	params  []adapters.Param
	args    []Value
	paramAt map[string]int

	keys   []adapters.Column
	where  []adapters.Predicate
	order  []adapters.Order
	after  bool // behind a cursor over order
	limit  *adapters.Bound
	offset *adapters.Bound
	count  bool
	// rowless: its rows are seen, and none is written.
	rowless bool
	as      lineage.UseKind // what the row is used for; Select
	tally   *Aggregate      // of an aggregate root

	columns  []wanted
	columnAt map[columnKey]int
	refs     []*int // indices into columns, to be renumbered

	bitAt  map[string]uint8
	scopes []adapters.Predicate

	// conditions is the number of leading args that by and where arguments
	// made.
	conditions int
	ordinals   map[int]bool // ParentOrdinals so far
	source     string       // what distinguishes it besides its shape, for sharing
}

type wanted struct {
	column  adapters.Column
	written bool // by a field; else hidden
}

type columnKey struct {
	name string
	kind schema.Scalar
	list bool
	enum *schema.EnumType
}

func (b *builder) fetching(v *view) *fetching {
	t := v.typ
	return &fetching{
		fetch: &Fetch{Department: t.Source.Department, Type: t.Name, Freshness: t.Fresh != nil},
		view:  v, paramAt: map[string]int{}, columnAt: map[columnKey]int{}, bitAt: map[string]uint8{},
	}
}

// param gives the index of an argument; equal ones are sent once.
func (f *fetching) param(v Value) int {
	k := v.key()
	if i, ok := f.paramAt[k]; ok {
		return i
	}
	i := len(f.params)
	f.paramAt[k] = i
	f.params = append(f.params, adapters.Param{Kind: v.Kind, List: v.List})
	f.args = append(f.args, v)
	return i
}

func columnOf(f *schema.Field) adapters.Column {
	c := adapters.Column{Name: f.Column, Kind: f.Kind, List: f.List}
	if f.Kind == schema.Enum && f.Enum != nil {
		c.Enum = f.Enum.Values
	}
	return c
}

// cell asks for a field's column and sets *at to its index when the fetch is
// finished. at must stay where it is.
func (f *fetching) cell(field *schema.Field, written bool, at *int) {
	f.column(columnOf(field), field.Enum, written, at)
}

func (f *fetching) column(c adapters.Column, enum *schema.EnumType, written bool, at *int) {
	k := columnKey{c.Name, c.Kind, c.List, enum}
	i, ok := f.columnAt[k]
	if !ok {
		i = len(f.columns)
		f.columnAt[k] = i
		f.columns = append(f.columns, wanted{column: c})
	}
	f.columns[i].written = f.columns[i].written || written
	*at = i
	f.refs = append(f.refs, at)
}

// bit gives the bit of a scope in the fetch's rows.
func (b *builder) bit(f *fetching, scope string) uint8 {
	if i, ok := f.bitAt[scope]; ok {
		return i
	}
	i := uint8(len(f.scopes)) //nolint:gosec // at most 64, checked when the fetch is finished
	f.bitAt[scope] = i
	f.scopes = append(f.scopes, b.scope(f, f.view.typ, scope))
	f.fetch.Scopes = append(f.fetch.Scopes, scope)
	return i
}

// visible adds the condition of the rows that exist for the reader. It stands
// in a positive position, bare, so that a source may use an index for it.
func (b *builder) visible(f *fetching) {
	if c := b.visibility(f, f.view); c != nil {
		f.where = append(f.where, c)
	}
}

func (b *builder) visibility(f *fetching, v *view) adapters.Predicate {
	return v.row.anyOf(v.exists, func(s string) adapters.Predicate { return b.scope(f, v.typ, s) })
}

// share gives an earlier fetch that reads the same rows for the same reason, or
// takes this one in.
func (b *builder) share(f *fetching) *fetching {
	key := f.source + "\n" + f.signature()
	if g, ok := b.shared[key]; ok {
		if g.rowless && !f.rowless {
			g.rowless = false
			b.tags(g)
		}
		return g
	}
	b.shared[key] = f
	b.take(f)
	return f
}

func (b *builder) take(f *fetching) {
	f.fetch.ID = len(b.plan.Fetches)
	b.plan.Fetches = append(b.plan.Fetches, f.fetch)
	b.building = append(b.building, f)
	t := f.view.typ
	b.use(t, rowField(t), f.as)
	if !f.count && f.tally == nil && !f.rowless {
		b.tags(f)
	}
}

// tags reads who the rows are about, whatever is selected of them.
func (b *builder) tags(f *fetching) {
	t := f.view.typ
	f.fetch.Subjects = make([]int, len(t.Subjects))
	for i, s := range t.Subjects {
		field := t.Field(s.Field)
		b.use(t, field, lineage.Tag)
		f.cell(field, false, &f.fetch.Subjects[i])
	}
}

// signature tells fetches of one source apart: what rows, in what order, how
// many; not which columns.
func (f *fetching) signature() string {
	var s strings.Builder
	e := explainer{&s, f.args, byKey}
	for _, k := range f.keys {
		e.text("key ", k.Name, "\n")
	}
	e.predicate(conjunction(f.where))
	e.text("\n")
	e.orders(f.order)
	if f.after {
		e.text(" after")
	}
	if f.count {
		e.text(" count")
	}
	e.bound(" limit ", f.limit)
	e.bound(" offset ", f.offset)
	return s.String()
}

// finish settles the columns, written ones first, and makes the shape.
func (b *builder) finish(f *fetching) {
	if len(f.scopes) > 64 {
		b.failf(Internal, f.fetch.Type+" needs more scopes than a fetch can hold", "", nil)
		return
	}
	at := make([]int, len(f.columns))
	var columns []adapters.Column
	for _, written := range []bool{true, false} {
		for i, w := range f.columns {
			if w.written == written {
				at[i] = len(columns)
				columns = append(columns, w.column)
				if !written {
					f.fetch.Hidden++
				}
			}
		}
	}
	for _, r := range f.refs {
		*r = at[*r]
	}
	where := slices.Clone(f.where)
	if f.after {
		// The cursor's values come last of all arguments.
		after := adapters.After{Order: f.order}
		for i, o := range f.order {
			v := Value{From: FromCursor, Index: i, Kind: o.Column.Kind, List: o.Column.List}
			after.Params = append(after.Params, len(f.params))
			f.params = append(f.params, adapters.Param{Kind: v.Kind, List: v.List})
			f.args = append(f.args, v)
		}
		where = append(where, after)
	}
	s := &adapters.Shape{
		Table: f.view.typ.Source.Table, Columns: columns, Params: f.params, Keys: f.keys, Scopes: f.scopes,
		Order: f.order, Limit: f.limit, Offset: f.offset, Count: f.count, Tally: f.tally != nil,
	}
	if len(where) > 0 {
		s.Where = conjunction(where)
	}
	f.fetch.Shape, f.fetch.Args = s, f.args
	if f.ordinals != nil && f.fetch.Parent != nil && len(f.ordinals) < max(len(f.fetch.Parent.Stated), len(f.fetch.Parent.Refs)) {
		for o := range f.ordinals {
			f.fetch.ParentOrdinals = append(f.fetch.ParentOrdinals, o)
		}
		slices.Sort(f.fetch.ParentOrdinals)
	}
	if b.req.Sources == nil || len(b.errs) > 0 {
		return
	}
	statement, err := b.req.Sources.Compile(f.fetch.Department, s)
	if err != nil {
		b.failf(Internal, "the source of "+f.fetch.Type+" cannot serve this query", "", nil)
		return
	}
	f.fetch.Statement = statement
}
