package plan

import (
	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// matchable are the capabilities of a row any of which lets it be verified.
const matchable = authz.Match | authz.Mask

// Match is a verification: whether a row of the stated key exists for the reader
// and has all expected values, in cells that he may compare.
type Match struct {
	// Fetch counts such rows. It sends the same statement whether the row is
	// absent, has a NULL or another value, or matches, and reads one number.
	Fetch *Fetch
}

// match plans a verification root. There is one answer for all that is stated,
// so that a wrong conjunction does not tell which part of it is wrong.
func (b *builder) match(out *Field, s selection, r *schema.Root) {
	t, node := b.cat.Types[r.Type], s.nodes[0]
	v := b.viewFor(t, reachByKey(t, r.Keys), matchable)
	out.Coordinate = schema.Coordinate{Type: t.Name}
	if v.never() {
		out.Kind, out.Use = FieldWithheld, b.withholdRows(out, v)
		return
	}
	m := &Match{}
	f := b.fetching(v)
	f.count, f.as = true, lineage.Match
	f.source = r.Name
	tuple := make([]Value, 0, len(r.Keys))
	guessed := 0
	state := func(field *schema.Field, in input) adapters.Predicate {
		c, _ := b.filterable(f, v, field, matchCap, out.Path, in.position)
		b.use(t, field, lineage.Match)
		if !v.cell(field).always(clearCap) {
			guessed++
		}
		return c
	}
	for _, k := range r.Keys {
		field := t.Field(k)
		value := b.stating(node, k, field, out.Path)
		tuple = append(tuple, value)
		f.source += " " + value.key()
		f.keys = append(f.keys, columnOf(field))
		if c := state(field, b.argument(node, k)); c != nil {
			f.where = append(f.where, c)
		}
	}
	expected := b.argument(node, schema.ExpectArgument)
	members := expected.members()
	if expected.state != present || len(members) == 0 || expected.omits() {
		b.failf(GraphQLValidationFailed, "expect states at least one value, and none that is null or an absent variable", out.Path, expected.position)
	}
	for _, e := range members {
		field := t.Field(e.name)
		if field == nil || !field.Matchable() {
			b.failf(GraphQLValidationFailed, "unknown field "+t.Name+"."+e.name+" in "+schema.ExpectArgument, out.Path, e.input.position)
			continue
		}
		if e.input.state != present {
			b.failf(GraphQLValidationFailed, "a null is no value to expect of "+field.Coordinate.String(), out.Path, e.input.position)
			continue
		}
		value, err := e.input.scalar(field.Kind, false)
		if err != nil {
			b.failf(GraphQLValidationFailed, "the operand does not fit "+field.Coordinate.String(), out.Path, e.input.position)
			continue
		}
		f.where = append(f.where, conjunction([]adapters.Predicate{
			adapters.Compare{Column: columnOf(field), Op: schema.Eq, Param: f.param(value)}, state(field, e.input),
		}))
	}
	b.visible(f)
	f.fetch.Stated = [][]Value{tuple}
	out.Kind, out.Match = FieldMatch, m
	m.Fetch = b.share(f).fetch
	out.Use = b.use(t, rowField(t), lineage.Match)
	b.enter(&cost{path: out.Path}, func() {})
	b.guess(t, r.Keys, tuple, out.Path, guessed)
}

// omits reports whether an object literal names a variable that the request
// leaves out: a condition would be dropped in silence.
func (in input) omits() bool {
	if in.literal == nil {
		return false
	}
	for _, c := range in.literal.Children {
		if in.b.input(c.Value).state == absent {
			return true
		}
	}
	return false
}
