package exec

import (
	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/resolvers"
)

// writeData writes the whole of `data`. It runs in one goroutine after all
// fetches have ended.
func (r *run) writeData() {
	var query place
	if !r.object(r.prog.root, &query) {
		r.buf = append(r.buf[:0], "null"...)
	}
}

// object writes a row's object. When a null must propagate it truncates the
// buffer to where the object began and returns false.
func (r *run) object(o *object, at *place) bool {
	mark := len(r.buf)
	if len(o.steps) == 0 {
		r.buf = append(r.buf, "{}"...)
		return true
	}
	var outcomes []lineage.Outcome
	if o.memo >= 0 {
		if r.memos[o.memo] == nil {
			r.memos[o.memo] = resolvers.NewOutcomes(r.prog.objects[o.memo])
		}
		outcomes = r.memos[o.memo].For(at.bits())
	}
	for i := range o.steps {
		s := &o.steps[i]
		if s.kind == plan.FieldLeaf {
			outcome := s.outcome
			if s.varying >= 0 {
				outcome = outcomes[s.varying]
			}
			var written resolvers.Written
			r.buf, written = r.writer.Leaf(append(r.buf, s.prefix...), &s.leaf, at.batch, at.row, outcome)
			if written != resolvers.Value && !r.leafNull(s, written) {
				r.buf = r.buf[:mark]
				return false
			}
			continue
		}
		r.buf = append(r.buf, s.prefix...)
		if !r.field(s, at) && s.nonNull {
			r.buf = r.buf[:mark]
			return false
		}
	}
	r.buf = append(r.buf, '}')
	return true
}

// leafNull notes why a leaf is null; false when the null must propagate.
func (r *run) leafNull(s *step, written resolvers.Written) bool {
	switch written {
	case resolvers.Bad:
		r.misfitOf(s.field)
		r.fail(s.field, plan.Internal)
	case resolvers.Withheld:
		r.withheld(s.field)
	case resolvers.Value, resolvers.Null:
	}
	return !s.nonNull
}

// field writes the value of every kind of field but leaves and those of
// connections; false when it is null.
func (r *run) field(s *step, at *place) bool {
	switch s.kind {
	case plan.FieldTypename:
		return true // its value stands in the prefix
	case plan.FieldWithheld:
		r.req.Reads.Count(s.field.Use, lineage.Withheld, 1)
		r.withheld(s.field)
		return false
	case plan.FieldRef:
		r.req.Reads.Count(s.field.Use, lineage.Clear, 1)
		mark := len(r.buf)
		r.buf = r.appendRef(r.buf, s.field, at)
		return r.buf[mark] != 'n'
	case plan.FieldRows:
		return r.relation(s, at)
	case plan.FieldAggregate:
		return r.aggregate(s)
	case plan.FieldMatch:
		return r.match(s)
	case plan.FieldIntrospection:
		return r.introspection(s)
	default:
		// Those of a connection are written by page.object; compile lets none
		// stand elsewhere.
		r.buf = append(r.buf, "null"...)
		return false
	}
}

func (r *run) introspection(s *step) bool {
	json, err := plan.Introspect(r.prog.plan.API, s.field.AST, r.vars)
	if err != nil {
		r.fail(s.field, plan.Internal)
		r.buf = append(r.buf, "null"...)
		return false
	}
	r.buf = append(r.buf, json...)
	return string(json) != "null"
}

// relation writes the rows that a field leads to: a list, one row, a page of a
// connection, or null.
func (r *run) relation(s *step, at *place) bool {
	truth, unknown := at.bits()
	caps := s.rows.Decision.Caps(truth, unknown)
	outcome := lineage.Withheld
	switch {
	case caps.Has(authz.Clear):
		outcome = lineage.Clear
	case caps.Has(authz.Mask):
		outcome = lineage.Masked
	}
	if !s.field.Coordinate.Row() || outcome == lineage.Withheld {
		r.req.Reads.Count(s.field.Use, outcome, 1) // roots are counted by row
	}
	if outcome == lineage.Withheld {
		r.withheld(s.field)
		r.buf = append(r.buf, "null"...)
		return false
	}
	mark, depth, base := len(r.buf), len(r.path), len(r.streams)
	streams, code, ok := r.open(r.streams, s.rows, at.number)
	r.streams = streams
	if code != "" {
		r.fail(s.field, code)
		r.misfitsOf(s.rows, at.number)
	}
	if !ok {
		r.streams = r.streams[:base]
		r.buf = append(r.buf, "null"...)
		return false
	}
	r.path = append(r.path, element{key: s.field.Key})
	switch {
	case s.rows.Connection != nil:
		ok = r.connection(s, base)
	case !s.rows.Many:
		ok = r.one(s.rows, base)
	case len(r.streams)-base == 1:
		ok = r.list(s, &r.streams[base])
	default:
		ok = r.merged(s, base)
	}
	r.path, r.streams = r.path[:depth], r.streams[:base]
	if !ok {
		r.buf = append(r.buf[:mark], "null"...)
	}
	return ok
}

// open adds a stream per member whose fetch succeeded, of the rows that belong
// to the parent's row of this number, and gives the code of the first failure.
// Only a reader who asked for partial lists gets a list of the others' rows.
func (r *run) open(streams []stream, rows *rows, number int) (_ []stream, code plan.Code, ok bool) {
	base := len(streams)
	for i := range rows.members {
		failure := r.results[rows.members[i].fetch].failure
		var st stream
		if failure == "" {
			if st = r.stream(rows, i, number); len(rows.members) > 1 && st.unmergeable() >= 0 {
				failure = plan.Internal
			}
		}
		if failure == "" {
			streams = append(streams, st)
		} else if code == "" {
			code = failure
		}
	}
	partial := r.req.PartialLists && rows.Many && len(rows.members) > 1 && len(streams) > base
	return streams, code, code == "" || partial
}

// stream gives a member's rows that belong to the parent's row of this number.
// Its fetch has succeeded.
func (r *run) stream(rows *rows, member, number int) stream {
	m := &rows.members[member]
	f, res := &r.prog.fetches[m.fetch], &r.results[m.fetch]
	first, last := 0, res.rows
	switch {
	case f.Parent != nil:
		first, last = res.group(ordinalOf(res, number))
	case len(f.Shape.Keys) > 0:
		first, last = res.group(ordinalOf(res, max(rows.Ordinal, 0)))
	}
	st := stream{member: m, left: last - first}
	if st.left > 0 {
		st.at = res.at(first)
	}
	return st
}

// misfitsOf notes the columns that a list could not be merged by.
func (r *run) misfitsOf(rows *rows, number int) {
	for i := range rows.members {
		f := &r.prog.fetches[rows.members[i].fetch]
		if len(rows.members) == 1 || r.results[f.ID].failure != "" {
			continue
		}
		st := r.stream(rows, i, number)
		if key := st.unmergeable(); key >= 0 {
			r.misfit(f.Department, f.Type, f.Shape.Order[key].Column.Name)
		}
	}
}

func ordinalOf(res *result, i int) int32 {
	if i >= len(res.ordinals) {
		return noOrdinal
	}
	return res.ordinals[i]
}

// one writes the first row, or null.
func (r *run) one(rows *rows, base int) bool {
	i := least(r.streams[base:], rows.Merge)
	if i < 0 {
		return false
	}
	st := &r.streams[base+i]
	return r.row(st.member.object, st.member, st.at)
}

// list writes the rows of one member. The streams may move while a row is
// written, so this works on a copy.
func (r *run) list(s *step, st *stream) bool {
	w := r.windows[s.rows.slot]
	member, at, left := st.member, st.at, st.left
	if s.rows.skip {
		skipped := min(w.offset, left)
		if left -= skipped; left > 0 {
			at = at.result.at(at.number + skipped)
		}
	}
	if w.limit >= 0 && left > w.limit {
		left = w.limit
		r.cut(s.field)
	}
	r.buf = append(r.buf, '[')
	index := len(r.path)
	r.path = append(r.path, element{})
	for i := range left {
		if i > 0 {
			r.buf = append(r.buf, ',')
			at.next()
		}
		r.path[index].index = i
		if !r.row(member.object, member, at) {
			return false
		}
	}
	r.buf = append(r.buf, ']')
	return true
}

// merged writes the rows of several members in their common order.
func (r *run) merged(s *step, base int) bool {
	w := r.windows[s.rows.slot]
	skip := 0
	if s.rows.skip {
		skip = w.offset
	}
	end := len(r.streams)
	r.buf = append(r.buf, '[')
	index := len(r.path)
	r.path = append(r.path, element{})
	for n := 0; ; {
		member, at, ok := pop(r.streams[base:end], s.rows.Merge)
		if !ok {
			break
		}
		if skip == 0 && w.limit >= 0 && n == w.limit {
			r.cut(s.field)
			break
		}
		if skip > 0 {
			skip--
			continue
		}
		if n > 0 {
			r.buf = append(r.buf, ',')
		}
		r.path[index].index = n
		if !r.row(member.object, member, at) {
			return false
		}
		n++
	}
	r.buf = append(r.buf, ']')
	return true
}

// row writes one row's object and records whom it is about.
func (r *run) row(o *object, m *member, at place) bool {
	r.see(m, &at)
	return r.object(o, &at)
}

// see records a row that leaves: once, however often it is written.
func (r *run) see(m *member, at *place) {
	if !at.result.mark(at.number) {
		return
	}
	r.req.Reads.Rows++
	f := &r.prog.fetches[m.fetch]
	r.req.Reads.Count(f.rowUse, lineage.Clear, 1)
	for _, column := range f.Subjects {
		if text, null := at.batch.Cell(at.row, column); !null {
			r.tag(f.department, text)
		}
	}
}

// cut notes that a selection had more rows than it shows.
func (r *run) cut(f *plan.Field) {
	for _, path := range r.truncated {
		if path == f.Path {
			return
		}
	}
	r.truncated = append(r.truncated, f.Path)
}
