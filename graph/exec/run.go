package exec

import (
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/internal/keyring"
	"github.com/weir-data/weir/resolvers"
)

// run is one operation's execution: everything that belongs to the request and
// to nobody else. Its memory goes from one request to the next.
type run struct {
	e    *Executor
	req  *resolvers.Request
	prog *program
	vars map[string]any

	args    [][]adapters.Arg // per fetch
	argSlab []adapters.Arg
	results []result       // per fetch
	pending []atomic.Int32 // per merge set: fetches that have not ended
	windows []window       // per rows of the program
	memos   []*resolvers.Outcomes
	bytes   atomic.Int64 // read so far, of all fetches

	writer resolvers.Writer
	buf    []byte
	// extensions is the buffer of the answer's extensions: like buf, the
	// answer's until the run is recycled.
	extensions []byte
	scratch    []byte
	path       []element
	failures   []failure
	misfits    []Misfit
	truncated  []string
	tags       tagSet
	tagger     *keyring.Tagger
	streams    []stream // a stack: nested merged lists
	done       bool
}

// window is a resolved limit and offset; limit is -1 without one.
type window struct{ limit, offset int }

// begin readies a run for a request.
func (r *run) begin(e *Executor, req *resolvers.Request, prog *program, vars map[string]any) {
	r.e, r.req, r.prog, r.vars = e, req, prog, vars
	if r.tagger == nil {
		r.tagger = e.ring.Tagger(resolvers.TagUse)
	}
	r.writer.Reads, r.writer.Masks = req.Reads, prog.masksFor(e, req.Purpose)
	r.results = grown(r.results, len(prog.fetches))
	r.windows = grown(r.windows, len(prog.rows))
	r.memos = grown(r.memos, len(prog.objects))
	clear(r.memos)
	r.args = grown(r.args, len(prog.fetches))
	r.tags.begin(len(prog.plan.Departments))
	r.pending = make([]atomic.Int32, len(prog.merges))
	for i := range prog.merges {
		r.pending[i].Store(int32(len(prog.merges[i].fetches))) //nolint:gosec // a plan's fetches are few
	}
	r.done = false
	r.bytes.Store(0)
}

// grown gives a slice of n elements with those kept that there are.
func grown[T any](s []T, n int) []T {
	if cap(s) < n {
		next := make([]T, n)
		copy(next, s[:cap(s)])
		return next
	}
	return s[:n]
}

// prepare resolves everything that variables, attributes, handles and cursors
// decide, before a source is touched.
func (r *run) prepare() plan.Errors {
	if errs := r.resolveArgs(); errs != nil {
		return errs
	}
	if errs := r.resolveWindows(); errs != nil {
		return errs
	}
	for i := range r.prog.fetches {
		f := &r.prog.fetches[i]
		if f.Cursor != nil {
			position, errs := r.position(f.Cursor)
			if errs != nil {
				return errs
			}
			if errs := r.resolveCursor(f, position); errs != nil {
				return errs
			}
		}
		if f.Stated != nil || f.Refs != nil {
			if errs := r.resolveKeys(f); errs != nil {
				return errs
			}
		}
	}
	for _, rows := range r.prog.rows {
		// No statement needs the position, but what is stated must hold.
		if conn := rows.Connection; conn != nil && conn.Continues && len(rows.members) == 0 {
			if _, errs := r.position(conn); errs != nil {
				return errs
			}
		}
	}
	return nil
}

func (r *run) resolve(v plan.Value) (adapters.Arg, plan.Errors) {
	switch v.From {
	case plan.FromConst:
		return v.Const, nil
	case plan.FromSum:
		return r.sum(v.Terms)
	case plan.FromVariable, plan.FromSubject, plan.FromCursor:
	}
	arg, err := plan.Resolve(v, r.vars, r.req.Subject.Attributes)
	if err != nil {
		return adapters.Arg{}, refusal(plan.BadRequest)
	}
	return arg, nil
}

// sum adds integers; a NULL among them makes it NULL.
func (r *run) sum(terms []plan.Value) (adapters.Arg, plan.Errors) {
	total := 0
	for _, term := range terms {
		arg, errs := r.resolve(term)
		if errs != nil || arg.Null {
			return arg, errs
		}
		n, err := strconv.Atoi(arg.Text)
		if err != nil {
			return adapters.Arg{}, refusal(plan.BadRequest)
		}
		total += n
	}
	return adapters.Arg{Text: strconv.Itoa(total)}, nil
}

func (r *run) resolveArgs() plan.Errors {
	n := 0
	for i := range r.prog.fetches {
		n += len(r.prog.fetches[i].Args)
	}
	r.argSlab = grown(r.argSlab, n)
	clear(r.argSlab)
	rest := r.argSlab
	for i := range r.prog.fetches {
		f := &r.prog.fetches[i]
		args := rest[:len(f.Args):len(f.Args)]
		rest = rest[len(f.Args):]
		for j := range f.Args {
			if f.Args[j].From == plan.FromCursor {
				continue
			}
			arg, errs := r.resolve(f.Args[j])
			if errs != nil {
				return errs
			}
			// A NULL bound would be no bound: the plan resolved nulls to
			// defaults, so this is not one of its requests.
			if arg.Null && (isBound(f.Shape.Limit, j) || isBound(f.Shape.Offset, j)) {
				return refusal(plan.BadRequest)
			}
			args[j] = arg
		}
		r.args[i] = args
	}
	return nil
}

func (r *run) resolveWindows() plan.Errors {
	for _, rows := range r.prog.rows {
		w := window{limit: -1}
		if rows.Limit != nil {
			n, errs := r.resolveWindow(rows.Limit)
			if errs != nil {
				return errs
			}
			w.limit = n
		}
		if rows.Offset != nil {
			n, errs := r.resolveWindow(rows.Offset)
			if errs != nil {
				return errs
			}
			w.offset = n
		}
		r.windows[rows.slot] = w
	}
	return nil
}

// resolveWindow gives a limit's or offset's value; null and absent are the
// default.
func (r *run) resolveWindow(w *plan.Window) (int, plan.Errors) {
	arg, errs := r.resolve(w.Value)
	if errs != nil {
		return 0, errs
	}
	if arg.Null {
		return w.Default, nil
	}
	n, err := strconv.Atoi(arg.Text)
	switch {
	case err != nil || n < 0:
		return 0, refusal(plan.BadRequest)
	case w.Max > 0 && n > w.Max:
		return 0, refusal(plan.LimitExceeded)
	}
	return n, nil
}

// position opens a connection's cursor.
func (r *run) position(conn *plan.Connection) ([]adapters.Arg, plan.Errors) {
	after, errs := r.resolve(conn.After)
	if errs != nil {
		return nil, errs
	}
	if after.Null {
		return nil, cursorInvalid(conn)
	}
	binding, errs := r.cursorBinding(conn)
	if errs != nil {
		return nil, errs
	}
	position, err := r.openCursor(after.Text, conn, binding)
	if err != nil {
		return nil, cursorInvalid(conn)
	}
	return position, nil
}

// cursorInvalid names the selection: a document may continue several pages.
func cursorInvalid(conn *plan.Connection) plan.Errors {
	errs := refusal(plan.CursorInvalid)
	errs[0].Path, errs[0].Locations = conn.Path, conn.Location
	return errs
}

// resolveCursor puts a position into the fetch's last arguments.
func (r *run) resolveCursor(f *fetchNode, position []adapters.Arg) plan.Errors {
	args := r.args[f.ID]
	for i := range f.Args {
		v := &f.Args[i]
		if v.From != plan.FromCursor {
			continue
		}
		if v.Index < 0 || v.Index >= len(position) {
			return refusal(plan.CursorInvalid)
		}
		args[i] = position[v.Index]
	}
	return nil
}

// resolveKeys gathers the stated key tuples. A handle that does not open, and a
// tuple with a NULL part, leads to no row, like a key that does not exist.
func (r *run) resolveKeys(f *fetchNode) plan.Errors {
	res := &r.results[f.ID]
	cols := len(f.Shape.Keys)
	res.keys.reset(cols)
	n := max(len(f.Stated), len(f.Refs))
	for i := range n {
		var tuple []adapters.Arg
		if f.Refs != nil {
			arg, errs := r.resolve(f.Refs[i])
			if errs != nil {
				return errs
			}
			if !arg.Null {
				if opened, err := r.openRef(arg.Text, f.Type, cols); err == nil {
					tuple = opened
				}
			}
		} else {
			tuple = make([]adapters.Arg, 0, cols)
			for _, v := range f.Stated[i] {
				arg, errs := r.resolve(v)
				if errs != nil {
					return errs
				}
				tuple = append(tuple, arg)
			}
		}
		res.ordinals = append(res.ordinals, r.stated(f, res, tuple))
	}
	return nil
}

// stated adds one stated tuple and records that it was asked for, found or not.
func (r *run) stated(f *fetchNode, res *result, tuple []adapters.Arg) int32 {
	if len(tuple) != len(f.Shape.Keys) {
		return noOrdinal
	}
	for i := range tuple {
		if tuple[i].Null {
			return noOrdinal
		}
	}
	for i := range tuple {
		res.keys.part([]byte(tuple[i].Text))
		r.tag(f.department, []byte(tuple[i].Text))
	}
	return res.keys.add()
}

// end forgets the request and keeps memory of a bounded size.
func (r *run) end() {
	r.releaseBatches()
	for i := range r.results {
		r.results[i].reset()
	}
	if reads := r.req.Reads; len(reads.Tags) > 0 {
		// No record took them over, as after a panic: whoever still makes one must
		// not find the next request's there.
		reads.Tags, reads.TagGroups = slices.Clone(reads.Tags), slices.Clone(reads.TagGroups)
	}
	r.req, r.prog, r.vars = nil, nil, nil
	r.writer = resolvers.Writer{}
	clear(r.argSlab)
	clear(r.memos)
	r.path, r.truncated = r.path[:0], r.truncated[:0]
	clear(r.failures)
	r.failures = r.failures[:0]
	clear(r.misfits)
	r.misfits = r.misfits[:0]
	clear(r.streams)
	r.streams = r.streams[:0]
	r.tags.end()
	r.buf = r.buf[:0]
}

// releaseBatches gives the batches back as soon as their bytes stand in the
// response.
func (r *run) releaseBatches() {
	for i := range r.results {
		for _, b := range r.results[i].batches {
			r.e.putBatch(b)
		}
		clear(r.results[i].batches)
		r.results[i].batches = r.results[i].batches[:0]
	}
}

func isBound(b *adapters.Bound, param int) bool { return b != nil && b.Param == param }

// oversize reports whether a run has grown beyond what is worth keeping.
func (r *run) oversize() bool {
	const most = 4 << 20
	return cap(r.buf) > most || r.tags.oversize() || cap(r.results) > 256
}
