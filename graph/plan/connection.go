package plan

import (
	"crypto/sha256"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// connection builds what wraps the rows of a page.
func (b *builder) connection(l *listing, f *fetching) {
	out, node := l.out, l.nodes[0]
	if l.abstract {
		// A position in a merged order depends on the type of the row it was
		// taken from, which only the opened cursor tells.
		b.failf(FieldNotSortable, "pages over "+node.Definition.Type.Name()+" are not served: it has several types", out.Path, node.Position)
		return
	}
	c := &Connection{Path: out.Path, Location: locations(node.Position), CursorKinds: make([]schema.Scalar, len(f.order)), Bind: f.bind(), BindArgs: bindArgs(f.args[:f.conditions])}
	for i, o := range f.order {
		c.CursorKinds[i] = o.Column.Kind
	}
	if f.after {
		c.Continues = true
		c.After, _ = b.argument(node, argumentAfter).scalar(schema.String, false)
		if f.fetch.Cursor == nil {
			f.fetch.Cursor = c
		}
	}
	out.Rows.Connection = c
	p := page{b: b, l: l, f: f, c: c, use: out.Use}
	c.Object = p.object(node.Definition.Type.Name(), l.nodes, out.Path, p.wrapper)
}

// pageFields are the fields of a connection and of its page info that are of the
// page's rows: without one of them no row is read.
var pageFields = map[string]bool{"nodes": true, "edges": true, "hasNextPage": true, "startCursor": true, "endCursor": true}

// pageRows reports whether a connection's selections need the page's rows: the
// number of all rows, and what the request itself tells, do not.
func (b *builder) pageRows(nodes []*ast.Field) bool {
	return b.selects(nodes, func(s selection) bool {
		name := s.nodes[0].Name
		return pageFields[name] || name == "pageInfo" && b.selects(s.nodes, func(s selection) bool { return pageFields[s.nodes[0].Name] })
	})
}

// rowsWritten reports whether rows leave, and not only what a page says of
// itself.
func (b *builder) rowsWritten(nodes []*ast.Field) bool {
	return b.selects(nodes, func(s selection) bool { return s.nodes[0].Name == "nodes" || s.nodes[0].Name == "edges" })
}

func (b *builder) selects(nodes []*ast.Field, is func(selection) bool) bool {
	return slices.ContainsFunc(b.collect(nodes[0].Definition.Type.Name(), sets(nodes)...), is)
}

// bindArgs are the values of a condition that a request brings: the reader's
// attributes are bound with the reader.
func bindArgs(args []Value) []Value {
	var out []Value
	for _, a := range args {
		if a.From != FromSubject {
			out = append(out, a)
		}
	}
	return out
}

// bind digests which rows a page is of and in which order, without values and
// without the page's place and size.
func (f *fetching) bind() [16]byte {
	var s strings.Builder
	e := explainer{&s, f.args, byPosition}
	e.text(f.view.typ.Name, " ", f.view.reach.text(), "\n")
	e.predicate(conjunction(f.where))
	e.text("\n")
	e.orders(f.order)
	sum := sha256.Sum256([]byte(s.String()))
	return [16]byte(sum[:16])
}

// page builds the objects around a page's rows.
type page struct {
	b   *builder
	l   *listing
	f   *fetching
	c   *Connection
	use int // of the row
}

// object builds one of the wrapping objects; set says what a field is.
func (p page) object(typeName string, nodes []*ast.Field, path string, set func(*Field, selection)) *Object {
	o := &Object{Type: typeName}
	for _, s := range p.b.collect(typeName, sets(nodes)...) {
		f := p.b.field(s, path)
		if s.nodes[0].Name == "__typename" {
			p.b.typename(f, typeName)
		} else {
			set(f, s)
		}
		o.Fields = append(o.Fields, f)
	}
	return o
}

func (p page) wrapper(f *Field, s selection) {
	node := s.nodes[0]
	switch node.Name {
	case "nodes":
		f.Kind, f.Use = FieldNodes, p.use
		f.Selection = p.b.object(p.f, s.nodes, f.Path)
	case "edges":
		f.Kind = FieldEdges
		f.Selection = p.object(node.Definition.Type.Name(), s.nodes, f.Path, p.edge)
	case "pageInfo":
		f.Kind, f.Use = FieldPageInfo, p.use
		f.Selection = p.object(node.Definition.Type.Name(), s.nodes, f.Path, p.info)
	case "totalCount":
		f.Kind, f.Use = FieldTotalCount, p.use
		p.count()
	default:
		p.unknown(f, s)
	}
}

func (p page) edge(f *Field, s selection) {
	switch s.nodes[0].Name {
	case "node":
		f.Kind, f.Use = FieldNode, p.use
		f.Selection = p.b.object(p.f, s.nodes, f.Path)
	case "cursor":
		f.Kind = FieldCursor
		p.cursors()
	default:
		p.unknown(f, s)
	}
}

func (p page) info(f *Field, s selection) {
	switch s.nodes[0].Name {
	case "hasNextPage":
		f.Kind = FieldHasNext
	case "hasPreviousPage":
		f.Kind = FieldHasPrev
	case "startCursor":
		f.Kind = FieldStartCursor
		p.cursors()
	case "endCursor":
		f.Kind = FieldEndCursor
		p.cursors()
	default:
		p.unknown(f, s)
	}
}

// cursors reads what a cursor seals.
func (p page) cursors() {
	if p.c.CursorColumns != nil {
		return
	}
	p.c.CursorColumns = make([]int, len(p.f.order))
	for i, o := range p.f.order {
		p.f.column(o.Column, enumOf(p.f.view.typ, o.Column), false, &p.c.CursorColumns[i])
	}
}

func (p page) unknown(f *Field, s selection) {
	p.b.failf(Internal, "a page has no "+s.nodes[0].Name, f.Path, s.nodes[0].Position)
}

// count fetches how many rows are in view, the page's place aside.
func (p page) count() {
	if p.c.Count != nil {
		return
	}
	f := p.b.fetching(p.f.view)
	f.count = true
	f.source = p.l.source + " count " + p.f.view.typ.Name + " " + p.f.view.reach.text()
	p.l.narrow(f)
	p.b.filtered(f, p.l.nodes[0], p.l.out.Path)
	p.b.visible(f)
	p.b.use(f.view.typ, rowField(f.view.typ), lineage.Select)
	p.c.Count = p.b.share(f).fetch
}
