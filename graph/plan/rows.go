package plan

import (
	"slices"
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// Default sizes of lists, where the API's own definition says none.
const (
	defaultLimit      = 50 // of roots
	defaultToMany     = 20
	defaultOffset     = 0
	largestPlainSkip  = 1<<31 - 1
	argumentLimit     = "limit"
	argumentFirst     = "first"
	argumentOffset    = "offset"
	argumentAfter     = "after"
	argumentWhere     = "where"
	argumentReference = "ref"
)

// root plans a generated field of Query.
func (b *builder) root(out *Field, s selection) {
	r := b.cat.Roots[s.nodes[0].Name]
	if r == nil {
		b.failf(Internal, "the catalogue has no root "+s.nodes[0].Name, out.Path, s.nodes[0].Position)
		return
	}
	switch r.Kind {
	case schema.RootGet:
		b.get(out, s, r)
	case schema.RootRef:
		b.byRef(out, s, r)
	case schema.RootAggregate:
		b.aggregate(out, s, r)
	case schema.RootMatch:
		b.match(out, s, r)
	case schema.RootList, schema.RootConnection:
		b.list(out, s, r)
	default:
		b.failf(Internal, "the root "+r.Name+" is not served", out.Path, s.nodes[0].Position)
	}
}

// get plans a root by key. Aliases of one root fold into one fetch: their
// grants are the same, since the way to the row is.
func (b *builder) get(out *Field, s selection, r *schema.Root) {
	t := b.cat.Types[r.Type]
	v := b.view(t, reachByKey(t, r.Keys))
	out.Coordinate = schema.Coordinate{Type: t.Name}
	if v.never() {
		out.Kind, out.Use = FieldWithheld, b.withholdRows(out, v)
		return
	}
	node := s.nodes[0]
	tuple := make([]Value, 0, len(r.Keys))
	for _, k := range r.Keys {
		tuple = append(tuple, b.stating(node, k, t.Field(k), out.Path))
	}
	f := b.stated[r.Name]
	if f == nil {
		f = b.fetching(v)
		for _, k := range r.Keys {
			field := t.Field(k)
			if c, ok := b.filterable(f, v, field, matchCap, out.Path, node.Position); ok && c != nil {
				f.where = append(f.where, c)
			}
			b.use(t, field, v.statedAs(field))
			f.keys = append(f.keys, columnOf(field))
		}
		b.visible(f)
		b.stated[r.Name] = f
		b.take(f)
	}
	b.guess(t, r.Keys, tuple, out.Path, v.guessed(r.Keys))
	b.single(out, s, f, ordinal(&f.fetch.Stated, tuple))
}

// byRef plans a root by handle. That is not by key: the handle was given out to
// a reader who may have known no key.
func (b *builder) byRef(out *Field, s selection, r *schema.Root) {
	t := b.cat.Types[r.Type]
	v := b.view(t, reach{})
	out.Coordinate = schema.Coordinate{Type: t.Name}
	if v.never() {
		out.Kind, out.Use = FieldWithheld, b.withholdRows(out, v)
		return
	}
	ref, err := b.argument(s.nodes[0], argumentReference).scalar(schema.ID, false)
	if err != nil {
		b.failf(GraphQLValidationFailed, "the operand does not fit "+argumentReference, out.Path, s.nodes[0].Position)
	}
	f := b.stated[r.Name]
	if f == nil {
		f = b.fetching(v)
		for _, field := range keyFields(t) {
			b.use(t, field, lineage.Ref)
			f.keys = append(f.keys, columnOf(field))
		}
		b.visible(f)
		b.stated[r.Name] = f
		b.take(f)
	}
	at := -1
	for i := range f.fetch.Refs {
		if f.fetch.Refs[i].key() == ref.key() {
			at = i
		}
	}
	if at < 0 {
		at = len(f.fetch.Refs)
		f.fetch.Refs = append(f.fetch.Refs, ref)
	}
	b.single(out, s, f, at)
}

// single writes the row of one stated tuple.
func (b *builder) single(out *Field, s selection, f *fetching, at int) {
	t := f.view.typ
	out.Kind = FieldRows
	out.Use = b.use(t, rowField(t), lineage.Select)
	out.Rows = &Rows{Decision: openDecision(t.Level), Ordinal: at}
	b.enter(&cost{path: out.Path}, func() {
		out.Rows.Members = []Member{{Type: t.Name, Fetch: f.fetch, Object: b.objectUnder(f, s.nodes, out.Path, at)}}
	})
}

// ordinal finds or adds a tuple of values.
func ordinal(stated *[][]Value, tuple []Value) int {
	for i, have := range *stated {
		same := true
		for j := range tuple {
			same = same && have[j].key() == tuple[j].key()
		}
		if same {
			return i
		}
	}
	*stated = append(*stated, tuple)
	return len(*stated) - 1
}

// stating makes the value of an argument that a field must equal.
func (b *builder) stating(node *ast.Field, argument string, field *schema.Field, path string) Value {
	in := b.argument(node, argument)
	if in.state == present {
		if v, err := in.scalar(field.Kind, false); err == nil {
			return v
		}
	}
	b.failf(GraphQLValidationFailed, "the operand does not fit "+field.Coordinate.String(), path, in.position)
	return Value{Kind: field.Kind}
}

// statedAs is the use of a field that a request states the value of: to match
// it, where comparing is all the reader may do.
func (v *view) statedAs(field *schema.Field) lineage.UseKind {
	if v.cell(field).never(clearCap) {
		return lineage.Match
	}
	return lineage.Filter
}

// enter counts what is built in do under a list.
func (b *builder) enter(l *cost, do func()) {
	outer := b.cost
	outer.under = append(outer.under, l)
	b.cost = l
	do()
	b.cost = outer
}

// list plans a root list or page, over one type or over all of an abstract's.
func (b *builder) list(out *Field, s selection, r *schema.Root) {
	node := s.nodes[0]
	members := b.members(r.Type)
	var keyed []string
	for _, by := range r.By {
		subject := len(members) > 0
		for _, t := range members {
			subject = subject && t.IsSubject(by)
		}
		if subject {
			keyed = append(keyed, by)
		}
	}
	l := listing{out: out, nodes: s.nodes, abstract: r.Abstract, source: "root", use: -1}
	l.reach = func(t *schema.Type) reach {
		if len(keyed) == 0 {
			return reach{}
		}
		return reachByKey(t, keyed)
	}
	l.narrow = func(f *fetching) {
		for _, by := range r.By {
			field := f.view.typ.Field(by)
			want := clearCap
			if slices.Contains(keyed, by) {
				want = matchCap
			}
			value := b.stating(node, by, field, out.Path)
			c, ok := b.filterable(f, f.view, field, want, out.Path, node.Position)
			if !ok {
				continue
			}
			b.use(f.view.typ, field, f.view.statedAs(field))
			f.where = append(f.where, conjunction([]adapters.Predicate{
				adapters.Compare{Column: columnOf(field), Op: schema.Eq, Param: f.param(value)}, c,
			}))
		}
	}
	b.guessBy(l, members, keyed)
	switch r.Kind {
	case schema.RootConnection:
		l.limit = b.window(node, argumentFirst, b.defaultOf(node, argumentFirst, defaultLimit), b.req.Limits.MaxLimit, out.Path)
		l.connection = true
	default:
		l.windows(b, defaultLimit)
	}
	b.listed(l, members)
}

// relation plans the rows that a row leads to.
func (b *builder) relation(f *fetching, out *Field, field *schema.Field, s selection) {
	c := f.view.cell(field)
	rel := field.Relation
	out.Coordinate = field.Coordinate
	out.Use = b.use(f.view.typ, field, lineage.Select)
	b.describeRelation(out, c)
	if c.never(maskCap) {
		out.Kind = FieldWithheld
		out.Decision = Decision{Level: field.Level, Reason: c.reason()}
		return
	}
	l := listing{
		out: out, nodes: s.nodes, parent: f, relation: field, abstract: b.cat.Abstracts[rel.Target] != nil, use: out.Use,
		source: strconv.Itoa(f.fetch.ID) + " " + field.Coordinate.String(),
		reach:  func(t *schema.Type) reach { return f.view.reach.follow(rel, t) },
		narrow: func(*fetching) {},
	}
	l.traverse = func() Decision { return b.traversal(f, c) }
	if rel.Many {
		l.windows(b, defaultToMany)
	}
	b.listed(l, b.members(rel.Target))
}

// listing is a list or a to-one relation while it is built.
type listing struct {
	out        *Field
	nodes      []*ast.Field
	abstract   bool
	source     string // for sharing
	parent     *fetching
	relation   *schema.Field // with parent
	traverse   func() Decision
	reach      func(*schema.Type) reach
	narrow     func(*fetching) // adds the conditions of by arguments
	limit      *Window         // nil for to-one
	offset     *Window
	connection bool
	use        int // of the relation; -1 for roots, which count under the row
}

func (l *listing) windows(b *builder, def int) {
	node, path := l.nodes[0], l.out.Path
	skip := largestPlainSkip
	if l.abstract {
		skip = b.req.Limits.Rows // what is skipped is read
	}
	l.limit = b.window(node, argumentLimit, b.defaultOf(node, argumentLimit, def), b.req.Limits.MaxLimit, path)
	l.offset = b.window(node, argumentOffset, b.defaultOf(node, argumentOffset, defaultOffset), skip, path)
}

// defaultOf is an argument's default as the API declares it.
func (b *builder) defaultOf(node *ast.Field, name string, otherwise int) int {
	if node.Definition != nil {
		if a := node.Definition.Arguments.ForName(name); a != nil && a.DefaultValue != nil {
			if n, err := strconv.Atoi(a.DefaultValue.Raw); err == nil {
				return n
			}
		}
	}
	return otherwise
}

// listed makes one fetch per concrete type that has rows for the reader, and
// the object of each.
func (b *builder) listed(l listing, members []*schema.Type) {
	out, node := l.out, l.nodes[0]
	if !l.abstract {
		for _, t := range members {
			if out.Coordinate == (schema.Coordinate{}) {
				out.Coordinate = schema.Coordinate{Type: t.Name}
			}
		}
	}
	var open []*view
	for _, t := range members {
		v := b.view(t, l.reach(t))
		if v.never() {
			use := b.withholdRows(out, v)
			if l.use < 0 {
				out.Use = use
			}
			continue
		}
		open = append(open, v)
	}
	if len(open) == 0 {
		out.Kind = FieldWithheld
		return
	}
	out.Kind = FieldRows
	out.Rows = &Rows{Many: l.limit != nil, Decision: openDecision(0), Limit: l.limit, Offset: l.offset, Ordinal: -1}
	if l.traverse != nil {
		out.Rows.Decision = l.traverse()
	}
	merged := l.abstract && l.limit != nil
	var keys []orderKey
	if l.limit != nil {
		keys = b.orderKeys(node, out.Path)
	}
	c := &cost{window: l.limit, offset: l.offset, merged: merged, path: out.Path, at: out.Locations}
	out.Rows.Members = make([]Member, len(open))
	b.enter(c, func() {
		for i, v := range open {
			if l.connection && !b.pageRows(l.nodes) {
				out.Rows.Members = nil
				f := b.unread(&l, v, keys)
				out.Use = b.use(v.typ, rowField(v.typ), lineage.Select)
				b.connection(&l, f)
				continue
			}
			f, explicit := b.member(&l, v, keys, merged)
			m := &out.Rows.Members[i]
			m.Type, m.Fetch = v.typ.Name, f.fetch
			if l.use < 0 {
				out.Use = b.use(v.typ, rowField(v.typ), lineage.Select)
			}
			if merged {
				out.Rows.Merge = mergeKeys(f, explicit)
				m.MergeColumns = make([]int, min(explicit, len(f.order)))
				for k := range m.MergeColumns {
					f.column(f.order[k].Column, enumOf(v.typ, f.order[k].Column), false, &m.MergeColumns[k])
				}
			}
			if l.connection {
				b.connection(&l, f)
				continue
			}
			m.Object = b.object(f, l.nodes, out.Path)
		}
	})
}

// member makes the fetch of one concrete type, or finds one that reads the same
// rows. explicit is the number of leading order columns that were asked for.
func (b *builder) member(l *listing, v *view, keys []orderKey, merged bool) (f *fetching, explicit int) {
	f = b.share(b.reading(l, v, keys, merged))
	if l.parent != nil {
		b.attach(l, f)
	}
	if l.limit != nil {
		explicit = len(keys)
	}
	return f, explicit
}

// unread is the fetch of a page of which no row is asked for. It is checked like
// every other, and not sent: no column is used for it.
func (b *builder) unread(l *listing, v *view, keys []orderKey) *fetching {
	before := len(b.plan.Uses)
	f := b.reading(l, v, keys, false)
	for _, u := range b.plan.Uses[before:] {
		delete(b.uses, u)
	}
	b.plan.Uses = b.plan.Uses[:before]
	return f
}

// reading makes the fetch of one concrete type.
func (b *builder) reading(l *listing, v *view, keys []orderKey, merged bool) *fetching {
	f := b.fetching(v)
	f.source = l.source + " " + v.typ.Name + " " + v.reach.text()
	node, path := l.nodes[0], l.out.Path
	if l.parent != nil {
		for _, r := range l.relation.Relation.References {
			f.keys = append(f.keys, columnOf(v.typ.Field(r)))
		}
	}
	l.narrow(f)
	b.filtered(f, node, path)
	conditions := len(f.args)
	b.visible(f)
	if l.limit != nil {
		b.order(f, keys, node, path)
		if l.connection {
			f.rowless = !b.rowsWritten(l.nodes)
			f.after = b.argument(node, argumentAfter).state == present
		}
		offset := l.offset
		if offset == nil {
			offset = &Window{Value: intValue(0)}
		}
		f.bounds(l.limit, offset, merged)
		if caps, ok := b.capabilities(v.typ.Source.Department); ok && l.parent != nil && !caps.NestedLimit {
			b.failf(Internal, "the source of "+v.typ.Name+" cannot limit rows per key", path, node.Position)
		}
	}
	if l.connection {
		f.source += " page"
		if f.after {
			after, err := b.argument(node, argumentAfter).scalar(schema.String, false)
			if err != nil {
				b.failf(GraphQLValidationFailed, "the operand does not fit "+argumentAfter, path, node.Position)
			}
			f.source += " " + after.key()
		}
	}
	f.conditions = conditions
	return f
}

// filtered adds the where argument.
func (b *builder) filtered(f *fetching, node *ast.Field, path string) {
	in := b.argument(node, argumentWhere)
	if in.state != present {
		return
	}
	w := filter{b: b, fetch: f, path: path}
	if p := w.where(f.view, in, false); p != adapters.Bool(true) {
		f.where = append(f.where, p)
	}
}

// attach makes a fetch the child of the relation's row.
func (b *builder) attach(l *listing, f *fetching) {
	if f.fetch.Parent != nil {
		b.restrict(l, f)
		return
	}
	near := l.parent.view.typ
	f.fetch.Parent = l.parent.fetch
	f.fetch.Traverse = l.traverse()
	f.fetch.ParentColumns = make([]int, len(l.relation.Relation.Fields))
	for i, name := range l.relation.Relation.Fields {
		b.use(near, near.Field(name), lineage.Join)
		l.parent.cell(near.Field(name), false, &f.fetch.ParentColumns[i])
		far := f.view.typ.Field(l.relation.Relation.References[i])
		b.use(f.view.typ, far, lineage.Join)
	}
	b.restrict(l, f)
}

// restrict lets only the rows of the roots that asked for it feed keys, where
// several are folded.
func (b *builder) restrict(l *listing, f *fetching) {
	if at := b.ordinal; at >= 0 && (l.parent.fetch.Stated != nil || l.parent.fetch.Refs != nil) {
		if f.ordinals == nil {
			f.ordinals = map[int]bool{}
		}
		f.ordinals[at] = true
	}
}

// objectUnder builds the object of one of several folded roots.
func (b *builder) objectUnder(f *fetching, nodes []*ast.Field, path string, at int) *Object {
	outer := b.ordinal
	b.ordinal = at
	o := b.object(f, nodes, path)
	b.ordinal = outer
	return o
}

func enumOf(t *schema.Type, c adapters.Column) *schema.EnumType {
	if c.Kind != schema.Enum {
		return nil
	}
	return columnField(t, c.Name, c.Kind).Enum
}
