package plan

import (
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

const aggregateCap = authz.Aggregate

// Aggregate is what becomes of the rows of a fetch that are not shown: groups
// of them, and what is computed of each.
//
// A measure that its reader holds in clear on every row, in groups of rows that
// he could list, is exact. Every other is protected: see docs/aggregates.md.
type Aggregate struct {
	// Groups are the fields that rows of one group are equal in, in the order
	// in which groups are sorted. Without any there is one group.
	Groups []*Dimension
	// Classes are the further fields that the filter names. The rows that are
	// equal in Groups and Classes are the cells of the finest table that this
	// query is about; set when a measure is protected.
	Classes []*Dimension
	// Measures: the first one counts the rows.
	Measures []*Measure
	// Limit is the most groups that are shown.
	Limit int
}

// Dimension is a field that tells rows apart.
type Dimension struct {
	Coordinate schema.Coordinate
	Column     int // of the fetch
	Kind       schema.Scalar
	// Held has the capability aggregate where the reader may use the field; on
	// other rows it is as if it had no value.
	Held Decision
}

// Measure is what is computed over one field, or over the rows.
type Measure struct {
	Coordinate schema.Coordinate
	Column     int // of the fetch; -1 for the rows
	Kind       schema.Scalar
	Use        int      // in Plan.Uses
	Held       Decision // as of Dimension
	Sum        bool     // a sum or an average is asked for
	Min, Max   bool
	// Protected: only numbers with noise over at least as many persons as
	// Level demands leave.
	Protected bool
	Level     schema.Rank
	// Units identify the persons that a row is about, as columns: a tuple for
	// each of its @subject fields, or the key where it has none. Set when
	// Protected.
	Units [][]int
}

// CellOp says what a cell of a group is.
type CellOp uint8

// Operations.
const (
	CellGroup CellOp = iota
	CellCount
	CellSum
	CellAvg
	CellMin
	CellMax
)

// Cell names a value of a group: Groups[Index] for CellGroup, else
// Measures[Index].
type Cell struct {
	Op    CellOp
	Index int
}

// aggregating is an aggregate root while it is built.
type aggregating struct {
	b     *builder
	f     *fetching
	out   *Field
	spec  *Aggregate
	named []named // by group and where, in document order
	// noisy: which rows are counted depends on what the reader may only
	// aggregate.
	noisy bool
	level schema.Rank // highest of the row and of what was named
}

// named is a field by which a query tells rows apart, and where.
type named struct {
	field *schema.Field // of the root's type; nil when it is another's
	what  string
	at    *ast.Position
}

// aggregate plans an aggregate root.
func (b *builder) aggregate(out *Field, s selection, r *schema.Root) {
	t, node := b.cat.Types[r.Type], s.nodes[0]
	var keyed []string
	for _, by := range r.By {
		if t.IsSubject(by) {
			keyed = append(keyed, by)
		}
	}
	way := reach{}
	if len(keyed) > 0 {
		way = reachByKey(t, keyed)
	}
	v := b.viewFor(t, way, aggregateCap)
	out.Coordinate = schema.Coordinate{Type: t.Name}
	if v.never() {
		out.Kind, out.Use = FieldWithheld, b.withholdRows(out, v)
		return
	}
	a := &aggregating{b: b, f: b.fetching(v), out: out, spec: &Aggregate{Limit: b.req.Limits.MaxLimit}, level: t.Level}
	a.noisy = !v.cell(rowField(t)).always(clearCap)
	a.f.as, a.f.tally = lineage.Aggregate, a.spec
	a.groups(s.nodes)
	for _, by := range r.By {
		field := t.Field(by)
		value := b.stating(node, by, field, out.Path)
		if c, ok := a.filterable(v, field, node.Position); ok {
			b.use(t, field, lineage.Filter)
			a.f.where = append(a.f.where, conjunction([]adapters.Predicate{
				adapters.Compare{Column: columnOf(field), Op: schema.Eq, Param: a.f.param(value)}, c,
			}))
		}
	}
	if in := b.argument(node, argumentWhere); in.state == present {
		w := filter{b: b, fetch: a.f, path: out.Path, aggregate: a}
		if p := w.where(v, in, false); p != adapters.Bool(true) {
			a.f.where = append(a.f.where, p)
		}
	}
	b.visible(a.f)
	if shared := b.share(a.f); shared != a.f {
		a.f, a.spec = shared, shared.tally
	}
	out.Kind, out.Aggregated = FieldAggregate, a.f.fetch
	a.f.fetch.Aggregate = a.spec
	out.Use = b.use(t, rowField(t), lineage.Aggregate)
	a.measure(&schema.Field{Coordinate: schema.Coordinate{Type: t.Name}, Level: t.Level}, node.Position)
	window := &Window{Name: "groups", Default: a.spec.Limit, Max: a.spec.Limit, Value: intValue(a.spec.Limit)}
	if len(a.spec.Groups) == 0 {
		window = nil
	}
	b.enter(&cost{window: window, path: out.Path, at: out.Locations}, func() {
		out.Selection = a.object(node.Definition.Type.Name(), s.nodes, out.Path, a.part)
	})
}

// groups finds the fields under every selected `group`. They decide which rows
// are one group before anything else is built.
func (a *aggregating) groups(nodes []*ast.Field) {
	b, v := a.b, a.f.view
	source := "aggregate " + v.typ.Name + " " + v.reach.text()
	for _, s := range b.collect(v.typ.Name+schema.AggregateSuffix, sets(nodes)...) {
		if s.nodes[0].Name != "group" {
			continue
		}
		for _, g := range b.collect(v.typ.Name+schema.GroupSuffix, sets(s.nodes)...) {
			field := v.typ.Field(g.nodes[0].Name)
			if field == nil || slices.ContainsFunc(a.spec.Groups, func(d *Dimension) bool { return d.Coordinate == field.Coordinate }) {
				continue
			}
			held, ok := a.filterable(v, field, g.nodes[0].Position)
			if !ok {
				continue
			}
			if held != nil {
				a.f.where = append(a.f.where, held)
			}
			b.use(v.typ, field, lineage.Group)
			d := &Dimension{Coordinate: field.Coordinate, Kind: field.Kind, Held: openDecision(field.Level)}
			a.f.cell(field, true, &d.Column)
			a.spec.Groups = append(a.spec.Groups, d)
			source += " by " + field.Name
		}
	}
	a.f.source = source
}

// filterable tells under which condition a field may tell rows apart: clear, or
// aggregate for a dimension. It notes what of it must be protected.
func (a *aggregating) filterable(v *view, f *schema.Field, at *ast.Position) (adapters.Predicate, bool) {
	want := clearCap
	if f.Dimension {
		want = aggregateCap
	}
	c := v.cell(f)
	if c.never(want) {
		a.b.refuse(FieldNotAggregatable, c.rights, want, f.Coordinate.String(), a.out.Path, at)
		return nil, false
	}
	n := named{what: f.Coordinate.String(), at: at}
	if v == a.f.view && f.Dimension {
		n.field = f
	}
	a.named = append(a.named, n)
	a.level = max(a.level, f.Level)
	if want == aggregateCap && !c.each(func(s authz.Caps) bool { return !s.Has(aggregateCap) || s.Has(clearCap) }) {
		a.noisy = true
	}
	if c.always(want) {
		return nil, true
	}
	p := c.rights.condition(want, func(s string) adapters.Predicate { return a.b.scope(a.f, v.typ, s) })
	return adapters.IsTrue{Predicate: p}, true
}

// part builds a field of the aggregate's object.
func (a *aggregating) part(f *Field, s selection) {
	node := s.nodes[0]
	set := func(suffix string, leaf func(*Field, selection)) {
		f.Kind = FieldPart
		f.Selection = a.object(a.f.view.typ.Name+suffix, s.nodes, f.Path, leaf)
	}
	switch node.Name {
	case "group":
		set(schema.GroupSuffix, a.groupCell)
	case "count":
		m := a.spec.Measures[0]
		a.cell(f, m, Cell{CellCount, 0}, schema.BigInt)
	case "sum":
		set(schema.SumSuffix, func(f *Field, s selection) { a.number(f, s, CellSum, schema.SumKind) })
	case "avg":
		set(schema.AvgSuffix, func(f *Field, s selection) { a.number(f, s, CellAvg, schema.AvgKind) })
	case "min":
		set(schema.MinSuffix, func(f *Field, s selection) { a.extreme(f, s, CellMin) })
	case "max":
		set(schema.MaxSuffix, func(f *Field, s selection) { a.extreme(f, s, CellMax) })
	default:
		a.unknown(f, s)
	}
}

// object builds one of the objects; set says what a field is.
func (a *aggregating) object(typeName string, nodes []*ast.Field, path string, set func(*Field, selection)) *Object {
	return page{b: a.b}.object(typeName, nodes, path, set)
}

func (a *aggregating) unknown(f *Field, s selection) {
	a.b.failf(Internal, "an aggregate has no "+s.nodes[0].Name, f.Path, s.nodes[0].Position)
}

func (a *aggregating) groupCell(f *Field, s selection) {
	field := a.f.view.typ.Field(s.nodes[0].Name)
	i := slices.IndexFunc(a.spec.Groups, func(d *Dimension) bool { return field != nil && d.Coordinate == field.Coordinate })
	if i < 0 {
		if len(a.b.errs) == 0 { // else it was refused
			a.unknown(f, s)
		}
		return
	}
	f.Coordinate, f.Use = field.Coordinate, a.b.use(a.f.view.typ, field, lineage.Group)
	a.leaf(f, Cell{CellGroup, i}, field.Kind)
}

func (a *aggregating) leaf(f *Field, c Cell, kind schema.Scalar) {
	f.Kind, f.Cell = FieldCell, c
	f.Scalar, f.Form = kind, adapters.FormOf(kind, false)
}

// cell is a number of a measure.
func (a *aggregating) cell(f *Field, m *Measure, c Cell, kind schema.Scalar) {
	f.Coordinate, f.Use = m.Coordinate, m.Use
	a.leaf(f, c, kind)
	if m.Protected {
		a.b.plan.Access.Noised = append(a.b.plan.Access.Noised, AccessEntry{
			Field: m.Coordinate.String(), Path: f.Path, Level: a.b.cat.Levels.Name(m.Level), Rows: "ALL", Locations: f.Locations,
		})
	}
}

// measured finds the field of a selection under sum, avg, min or max.
func (a *aggregating) measured(f *Field, s selection) (*schema.Field, int) {
	field := a.f.view.typ.Field(s.nodes[0].Name)
	if field == nil || field.Relation != nil {
		a.unknown(f, s)
		return nil, 0
	}
	i := a.measure(field, s.nodes[0].Position)
	if i < 0 {
		return nil, 0
	}
	return field, i
}

func (a *aggregating) number(f *Field, s selection, op CellOp, kind func(schema.Scalar) (schema.Scalar, bool)) {
	field, i := a.measured(f, s)
	if field == nil {
		return
	}
	result, ok := kind(field.Kind)
	if !ok {
		a.unknown(f, s)
		return
	}
	m := a.spec.Measures[i]
	m.Sum = true
	a.cell(f, m, Cell{op, i}, result)
}

// extreme is a least or greatest value, which is somebody's own: noise would
// make nothing of it, so that it takes clear on every row, and groups of rows
// that the reader could list.
func (a *aggregating) extreme(f *Field, s selection, op CellOp) {
	field := a.f.view.typ.Field(s.nodes[0].Name)
	if field != nil {
		if c := a.f.view.cell(field); !c.always(clearCap) || a.noisy {
			a.b.refuse(FieldNotAggregatable, c.rights, clearCap, field.Coordinate.String(), f.Path, s.nodes[0].Position)
			return
		}
	}
	field, i := a.measured(f, s)
	if field == nil {
		return
	}
	m := a.spec.Measures[i]
	m.Min, m.Max = m.Min || op == CellMin, m.Max || op == CellMax
	a.cell(f, m, Cell{op, i}, field.Kind)
}

// measure finds or adds the measure over a field, or over the rows; -1 when it
// is refused.
func (a *aggregating) measure(field *schema.Field, at *ast.Position) int {
	b, v := a.b, a.f.view
	for i, m := range a.spec.Measures {
		if m.Coordinate == field.Coordinate {
			return i
		}
	}
	c := v.cell(field)
	if c.never(aggregateCap) {
		b.refuse(FieldNotAggregatable, c.rights, aggregateCap, field.Coordinate.String(), a.out.Path, at)
		return -1
	}
	m := &Measure{
		Coordinate: field.Coordinate, Column: -1, Kind: field.Kind, Use: b.use(v.typ, field, lineage.Aggregate),
		Level: max(a.level, field.Level), Protected: a.noisy || !c.always(clearCap), Held: openDecision(field.Level),
	}
	if !m.Coordinate.Row() {
		a.f.cell(field, true, &m.Column)
		m.Held = b.bits(a.f, c, aggregateCap)
	}
	a.spec.Measures = append(a.spec.Measures, m)
	if m.Protected {
		a.protect(m)
	}
	return len(a.spec.Measures) - 1
}

// protect sees to it that what is counted with noise is told apart by
// dimensions alone: with a field that he sees in clear, a reader could make up
// any set of rows, and so as many equations as he likes.
func (a *aggregating) protect(m *Measure) {
	b, t := a.b, a.f.view.typ
	for _, n := range a.named {
		switch {
		case n.field == nil:
			b.failf(FieldNotAggregatable, n.what+" is no dimension of "+t.Name+", so that "+m.Coordinate.String()+" cannot be aggregated by it", a.out.Path, n.at)
		case !slices.ContainsFunc(slices.Concat(a.spec.Groups, a.spec.Classes), func(d *Dimension) bool { return d.Coordinate == n.field.Coordinate }):
			d := &Dimension{Coordinate: n.field.Coordinate, Kind: n.field.Kind, Held: b.bits(a.f, a.f.view.cell(n.field), aggregateCap)}
			a.f.cell(n.field, false, &d.Column)
			a.spec.Classes = append(a.spec.Classes, d)
		}
	}
	var units [][]*schema.Field
	for _, name := range t.Covering(m.Coordinate.Field) {
		units = append(units, []*schema.Field{t.Field(name)})
	}
	if len(units) == 0 {
		units = [][]*schema.Field{keyFields(t)}
	}
	for _, fields := range units {
		columns := make([]int, len(fields))
		for i, field := range fields {
			b.use(t, field, lineage.Aggregate)
			a.f.cell(field, false, &columns[i])
		}
		m.Units = append(m.Units, columns)
	}
}

// text is how a cell is written in EXPLAIN.
func (c Cell) text(a *Aggregate) string {
	if c.Op == CellGroup {
		return "group " + a.Groups[c.Index].Coordinate.String()
	}
	m := a.Measures[c.Index]
	words := [...]string{CellCount: "count", CellSum: "sum", CellAvg: "avg", CellMin: "min", CellMax: "max"}
	text := words[c.Op] + " " + m.Coordinate.String()
	if m.Protected {
		text += ", with noise"
	}
	return text
}

// names lists the coordinates of dimensions.
func names(ds []*Dimension) string {
	out := make([]string, len(ds))
	for i, d := range ds {
		out[i] = d.Coordinate.String()
	}
	return strings.Join(out, ", ")
}
