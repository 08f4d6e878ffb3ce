package exec

import (
	"slices"

	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/lineage"
)

// page is one page of a connection while it is written.
type page struct {
	rows    *rows
	member  *member // nil when none of the rows is selected
	first   place   // of the page
	size    int
	more    bool
	binding []byte // of its cursors; made when the first is written
}

// connection writes a connection's object over the stream of its rows.
func (r *run) connection(s *step, base int) bool {
	p := page{rows: s.rows}
	if len(r.streams) > base {
		st := r.streams[base]
		p.member, p.first, p.size = st.member, st.at, st.left
		if limit := r.windows[s.rows.slot].limit; limit >= 0 && p.size > limit {
			p.size, p.more = limit, true
			r.cut(s.field)
		}
	}
	return r.wrapper(s.rows.object, &p, nil)
}

// wrapper writes one of a connection's own objects: the connection, its page
// info, or with at an edge.
func (r *run) wrapper(o *object, p *page, at *place) bool {
	mark := len(r.buf)
	if len(o.steps) == 0 {
		r.buf = append(r.buf, "{}"...)
		return true
	}
	for i := range o.steps {
		s := &o.steps[i]
		r.buf = append(r.buf, s.prefix...)
		start := len(r.buf)
		depth := len(r.path)
		ok := false
		if s.kind == plan.FieldWithheld {
			r.field(s, &place{}) // its null stands in the prefix
		} else if ok = r.wrapped(s, p, at); !ok {
			r.buf = append(r.buf[:start], null...)
		}
		r.path = r.path[:depth]
		if !ok {
			if s.nonNull {
				r.buf = r.buf[:mark]
				return false
			}
		}
	}
	r.buf = append(r.buf, '}')
	return true
}

func (r *run) wrapped(s *step, p *page, at *place) bool {
	switch s.kind {
	case plan.FieldTypename:
		return true
	case plan.FieldNodes, plan.FieldEdges:
		return r.items(s, p)
	case plan.FieldNode:
		if at == nil {
			return false
		}
		r.path = append(r.path, element{key: s.field.Key})
		return r.row(s.inner, p.member, *at)
	case plan.FieldCursor:
		return r.cursor(s, p, at)
	case plan.FieldPageInfo:
		r.path = append(r.path, element{key: s.field.Key})
		if p.member != nil && s.inner.ofRows() {
			// That there are rows, and more of them, is a datum of the rows.
			r.req.Reads.Count(s.field.Use, lineage.Clear, 1)
		}
		return r.wrapper(s.inner, p, nil)
	case plan.FieldHasNext:
		r.bool(p.more)
		return true
	case plan.FieldHasPrev:
		r.bool(p.rows.Connection.Continues)
		return true
	case plan.FieldStartCursor, plan.FieldEndCursor:
		if p.size == 0 {
			return false
		}
		edge := p.first
		if s.kind == plan.FieldEndCursor && p.size > 1 {
			edge = edge.result.at(edge.number + p.size - 1)
		}
		return r.cursor(s, p, &edge)
	case plan.FieldTotalCount:
		return r.total(s, p)
	default:
		return false
	}
}

// items writes the page's rows, as nodes or as edges.
func (r *run) items(s *step, p *page) bool {
	r.buf = append(r.buf, '[')
	r.path = append(r.path, element{key: s.field.Key}, element{})
	index := len(r.path) - 1
	at := p.first
	for i := range p.size {
		if i > 0 {
			r.buf = append(r.buf, ',')
			at.next()
		}
		r.path[index].index = i
		ok := false
		if s.kind == plan.FieldNodes {
			ok = r.row(s.inner, p.member, at)
		} else {
			r.see(p.member, &at) // an edge shows that there is a row, also without it
			ok = r.wrapper(s.inner, p, &at)
		}
		if !ok {
			return false
		}
	}
	r.buf = append(r.buf, ']')
	return true
}

// ofRows reports whether a page info tells anything of the page's rows.
func (o *object) ofRows() bool {
	return slices.ContainsFunc(o.steps, func(s step) bool {
		return s.kind == plan.FieldHasNext || s.kind == plan.FieldStartCursor || s.kind == plan.FieldEndCursor
	})
}

func (r *run) cursor(s *step, p *page, at *place) bool {
	if at == nil || p.member == nil {
		return false
	}
	// The source has put the row somewhere by a value that nobody can state: as a
	// NULL it would lead back, or past rows that were never shown.
	if i := at.misfit(p.rows.Connection.CursorColumns); i >= 0 {
		f := &r.prog.fetches[p.member.fetch]
		r.misfit(f.Department, f.Type, f.Shape.Order[i].Column.Name)
		r.fail(s.field, plan.Internal)
		return false
	}
	if p.binding == nil {
		binding, errs := r.cursorBinding(p.rows.Connection)
		if errs != nil {
			return false
		}
		p.binding = binding
	}
	r.buf = r.appendCursor(r.buf, p.rows.Connection, p.binding, at)
	return true
}

func (r *run) bool(v bool) {
	if v {
		r.buf = append(r.buf, "true"...)
	} else {
		r.buf = append(r.buf, "false"...)
	}
}

// total writes the number of rows in view, a BigInt.
func (r *run) total(s *step, p *page) bool {
	res := &r.results[p.rows.Connection.Count.ID]
	code := res.failure
	if code == "" && res.rows != 1 {
		code = plan.Internal
	}
	if code != "" {
		r.fail(s.field, code)
		return false
	}
	r.req.Reads.Count(s.field.Use, lineage.Clear, 1)
	text, isNull := res.batches[0].Cell(0, 0)
	if isNull {
		return false
	}
	r.buf = append(r.buf, '"')
	r.buf = append(r.buf, text...)
	r.buf = append(r.buf, '"')
	return true
}
