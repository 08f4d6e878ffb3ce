package plan

import (
	"math"
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/schema"
)

// cost is one list of a plan, with the lists under it: what static cost is
// computed from. One row of a root by key, and a to-one relation, cost what is
// under them.
type cost struct {
	window *Window // nil: one row
	offset *Window
	merged bool // here, from several fetches: the skipped rows are read as well
	path   string
	at     []Location
	under  []*cost
}

// window reads a limit or an offset argument. Absent and null are the default;
// literals are checked here, variables by [Plan.CheckValues].
func (b *builder) window(node *ast.Field, name string, def, maximum int, path string) *Window {
	w := &Window{Name: name, Default: def, Max: maximum, Value: intValue(def)}
	in := b.argument(node, name)
	if in.state != present {
		return w
	}
	if in.literal == nil {
		w.Value = Value{From: FromVariable, Name: in.variable, Path: in.path, Kind: schema.Int, Default: &adapters.Arg{Text: strconv.Itoa(def)}}
		return w
	}
	n, err := strconv.ParseInt(in.literal.Raw, 10, 32)
	if err != nil {
		b.failf(GraphQLValidationFailed, name+" is not an Int", path, in.position)
		return w
	}
	w.Value = intValue(int(n))
	if e := w.check(int(n), path, locations(in.position)); e != nil {
		b.fail(e)
		w.Value = intValue(def)
	}
	return w
}

func (w *Window) check(n int, path string, at []Location) *Error {
	switch {
	case n < 0:
		return &Error{Code: BadRequest, Message: w.Name + " is negative", Path: path, Locations: at}
	case n > w.Max:
		return &Error{Code: LimitExceeded, Message: w.Name + " is above " + strconv.Itoa(w.Max), Path: path, Locations: at}
	}
	return nil
}

// constant gives a window's value when no variable is needed for it.
func (w *Window) constant() (int, bool) {
	if w.Value.From != FromConst {
		return 0, false
	}
	n, err := strconv.Atoi(w.Value.Const.Text)
	return n, err == nil
}

// Resolve gives the window's number under these variables. It is an error below
// 0 and above Max; path and locations are the caller's to add.
func (w *Window) Resolve(vars map[string]any) (int, *Error) {
	n, err := resolveInt(w.Value, vars)
	if err != nil {
		return 0, &Error{Code: BadRequest, Message: w.Name + " is not an Int"}
	}
	if e := w.check(n, "", nil); e != nil {
		return 0, e
	}
	return n, nil
}

func resolveInt(v Value, vars map[string]any) (int, error) {
	arg, err := Resolve(v, vars, nil)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(arg.Text)
}

// sum adds Int values, as the limit and the offset of a merged list.
func sum(terms []Value, vars map[string]any) (adapters.Arg, error) {
	total := 0
	for _, t := range terms {
		n, err := resolveInt(t, vars)
		if err != nil {
			return adapters.Arg{}, ErrLiteral
		}
		total += n
	}
	return adapters.Arg{Text: strconv.Itoa(total)}, nil
}

func intValue(n int) Value {
	return Value{From: FromConst, Const: adapters.Arg{Text: strconv.Itoa(n)}, Kind: schema.Int}
}

// bound makes a fetch's limit of a window. A list that is merged from several
// fetches needs the skipped rows of each as well; one row more tells whether
// there were more.
func (f *fetching) bounds(limit, offset *Window, merged bool) {
	plus := 1
	value := limit.Value
	skipped, constant := offset.constant()
	switch {
	case !merged:
		if !constant || skipped != 0 {
			f.offset = &adapters.Bound{Param: f.param(offset.Value)}
		}
	case constant:
		plus += skipped
	default:
		value = Value{From: FromSum, Terms: []Value{limit.Value, offset.Value}, Kind: schema.Int}
	}
	// A limit that stands in the document stands in the statement too: a source
	// that knows it plans once, and not at every request. It is a natural number
	// up to Max, so that it cannot be anything else.
	if n, constant := limit.constant(); constant && value.From == FromConst {
		f.limit = &adapters.Bound{Param: -1, Plus: n + plus}
		return
	}
	f.limit = &adapters.Bound{Param: f.param(value), Plus: plus}
}

// CheckValues checks what a plan cannot know: that limits and offsets in
// variables are within their bounds, and the static cost with their actual
// values. It is to be called for each request, before anything is fetched.
func (p *Plan) CheckValues(vars map[string]any) Errors {
	c := costing{vars: vars, limit: p.limits.Errors}
	total := 0
	for _, root := range p.costs {
		total = saturate(total + c.rows(root))
	}
	if len(c.errs) == 0 && total > p.limits.Rows {
		c.errs = append(c.errs, tooCostly(p.limits.Rows))
	}
	return c.errs
}

func tooCostly(bound int) *Error {
	return &Error{Code: LimitExceeded, Message: "the limits multiply to more than " + strconv.Itoa(bound) + " rows"}
}

type costing struct {
	vars    map[string]any
	unknown bool // variables count as one row: a lower bound
	limit   int
	errs    Errors
}

// rows is the number of rows below and at a list: its limit times what is under
// each row. Side by side adds up; so a chain costs the product of its limits.
func (c *costing) rows(l *cost) int {
	under := 0
	for _, u := range l.under {
		under = saturate(under + c.rows(u))
	}
	own := 1
	if l.window != nil {
		own = c.value(l.window, l)
	}
	if l.offset != nil {
		skipped := c.value(l.offset, l)
		if l.merged {
			own = saturate(own + skipped)
		}
	}
	return saturate(own * max(1, under))
}

func (c *costing) value(w *Window, l *cost) int {
	n, ok := w.constant()
	if !ok {
		if c.unknown {
			return 1
		}
		var err error
		n, err = resolveInt(w.Value, c.vars)
		if err != nil {
			c.fail(&Error{Code: BadRequest, Message: w.Name + " is not an Int", Path: l.path, Locations: l.at})
			return 1
		}
		if e := w.check(n, l.path, l.at); e != nil {
			c.fail(e)
			return 1
		}
	}
	return n
}

func (c *costing) fail(e *Error) {
	if len(c.errs) < max(1, c.limit) {
		c.errs = append(c.errs, e)
	}
}

// saturate keeps products far above any bound from overflowing: both factors
// stay below 2^31.
func saturate(n int) int {
	if n < 0 || n > math.MaxInt32 {
		return math.MaxInt32
	}
	return n
}
