package postgres

import (
	"slices"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/adapters/sqlgen"
	"github.com/weir-data/weir/schema"
)

// singleKey is the statement for one key tuple, the most frequent number: the
// shape without its keys, which become conditions like any other. It reads the
// same rows as the statement over an array of tuples, and the server has half
// the work with it. nil when the shape cannot be put so.
func (a *Adapter) singleKey(shape *adapters.Shape) *statement {
	if len(shape.Keys) == 0 {
		return nil
	}
	one := *shape
	one.Keys, one.Params = nil, slices.Clone(shape.Params)
	where := make(adapters.And, 0, len(shape.Keys)+1)
	for _, c := range shape.Keys {
		where = append(where, adapters.Compare{Column: c, Op: schema.Eq, Param: len(one.Params)})
		one.Params = append(one.Params, adapters.Param{Kind: c.Kind})
	}
	if shape.Where != nil {
		where = append(where, shape.Where)
	}
	one.Where = where
	q, err := sqlgen.Render(sqlgen.PostgreSQL, &one)
	if err != nil {
		return nil
	}
	s := newStatement(a, q, &one)
	s.parented = true
	return s
}

// withKey gives the arguments of the statement for one tuple.
func withKey(args []adapters.Arg, keys *adapters.Keys) []adapters.Arg {
	all := make([]adapters.Arg, 0, len(args)+keys.Cols)
	all = append(all, args...)
	for i := range keys.Cols {
		all = append(all, adapters.Arg{Text: string(keys.Cell(0, i))})
	}
	return all
}
