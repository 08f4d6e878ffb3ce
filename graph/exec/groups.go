package exec

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/schema"
)

// group is one group with all that is asked of it.
type group struct {
	key      []part
	measures []outcome
}

// outcome is what is known of a measure in a group when all rows were read.
type outcome struct {
	shown    bool // false: too few persons, or none
	bad      bool // a value was not of its kind
	count    int64
	sum      number
	min, max []byte
}

// finish makes the groups, in order: by the group fields in turn, ascending,
// with no value last.
func (t *tally) finish(z noise, minimum func(schema.Rank) int) []group {
	slices.SortFunc(t.list, func(a, b *class) int { return compareKeys(t.dims, a.key, b.key) })
	var groups []group
	var members [][]*class
	g := len(t.spec.Groups)
	for _, c := range t.list {
		if n := len(groups); n == 0 || compareKeys(t.spec.Groups, groups[n-1].key, c.key[:g]) != 0 {
			groups = append(groups, group{key: c.key[:g], measures: make([]outcome, len(t.spec.Measures))})
			members = append(members, nil)
		}
		members[len(members)-1] = append(members[len(members)-1], c)
	}
	if g == 0 && len(groups) == 0 {
		groups = []group{{measures: make([]outcome, len(t.spec.Measures))}}
		members = [][]*class{nil}
	}
	var left []bool // out of the count, and so of everything
	for i, m := range t.spec.Measures {
		if !m.Protected {
			for j := range groups {
				groups[j].measures[i] = exact(m, i, members[j])
			}
			continue
		}
		k := minimum(m.Level)
		sizes := make([]int, len(t.list))
		for j, c := range t.list {
			sizes[j] = c.measures[i].size()
		}
		out := suppress(t.list, sizes, k, len(t.dims))
		for j := range left {
			out[j] = out[j] || left[j]
		}
		if i == 0 {
			left = out
		}
		at := 0
		for j := range groups {
			var kept []*measured
			for _, c := range members[j] {
				if !out[at] && sizes[at] > 0 {
					kept = append(kept, &c.measures[i])
				}
				at++
			}
			groups[j].measures[i] = t.noised(z, m, kept, k)
		}
	}
	if t.spec.Measures[0].Protected {
		groups = slices.DeleteFunc(groups, func(g group) bool { return !g.measures[0].shown })
	}
	return groups
}

// compareKeys compares the values of dimensions in turn.
func compareKeys(dims []*plan.Dimension, a, b []part) int {
	for i, d := range dims {
		x, y := &a[i], &b[i]
		c := cmp.Compare(x.state, y.state)
		if c == 0 && x.state == partValue {
			c = cmp.Or(compareCells(d.Kind, []byte(x.text), []byte(y.text)), cmp.Compare(x.text, y.text))
		}
		if c != 0 {
			return c
		}
	}
	return 0
}

// exact adds classes up.
func exact(m *plan.Measure, i int, classes []*class) outcome {
	o := outcome{shown: true}
	for _, c := range classes {
		x := &c.measures[i]
		o.count += x.rows
		o.bad = o.bad || x.bad
		if m.Sum {
			o.sum.add(&x.sum, 1)
		}
		if x.min != nil && (o.min == nil || compareCells(m.Kind, x.min, o.min) < 0) {
			o.min = x.min
		}
		if x.max != nil && (o.max == nil || compareCells(m.Kind, x.max, o.max) > 0) {
			o.max = x.max
		}
	}
	return o
}

// noised is a protected measure over the classes that were kept.
func (t *tally) noised(z noise, m *plan.Measure, kept []*measured, k int) outcome {
	if len(kept) == 0 {
		return outcome{}
	}
	all := contributors(kept[0].persons)
	if len(kept) > 1 {
		all = merge(kept)
	}
	count := z.protected("", t.names, all, countOf, false)
	o := outcome{shown: true, count: int64(k)} // there are as many at least
	if count.n.IsInt64() {
		o.count = max(o.count, count.n.Int64())
	}
	if m.Sum {
		o.sum = z.protected(m.Coordinate.Field, t.names, all, sumOf, true)
	}
	return o
}

// merge adds up what each person contributes to several classes.
func merge(kept []*measured) contributors {
	out := make(contributors, len(kept[0].persons))
	for u := range out {
		out[u] = make(map[uint32]*contribution)
		for _, x := range kept {
			for id, c := range x.persons[u] {
				sum := out[u][id]
				if sum == nil {
					sum = &contribution{}
					out[u][id] = sum
				}
				sum.rows += c.rows
				sum.sum.add(&c.sum, 1)
			}
		}
	}
	return out
}

// text appends a cell of a group; null where there is no value, bad where it
// cannot be told.
func (g *group) text(dst []byte, c plan.Cell, m *plan.Measure) (text []byte, null, bad bool) {
	if c.Op == plan.CellGroup {
		p := &g.key[c.Index]
		return append(dst, p.text...), p.state != partValue, p.state == partBad
	}
	o := &g.measures[c.Index]
	if c.Op == plan.CellCount {
		return strconv.AppendInt(dst, o.count, 10), !o.shown, false
	}
	if !o.shown || o.bad || o.count == 0 {
		return dst, true, o.bad
	}
	ok := true
	switch c.Op {
	case plan.CellSum:
		dst, ok = appendSum(dst, m.Kind, &o.sum)
	case plan.CellAvg:
		dst, ok = appendAvg(dst, m.Kind, &o.sum, o.count)
	case plan.CellMin:
		dst, ok = append(dst, o.min...), o.min != nil
	case plan.CellMax:
		dst, ok = append(dst, o.max...), o.max != nil
	case plan.CellGroup, plan.CellCount:
	}
	// What is protected must not show by an error that it is large.
	return dst, !ok, !ok && !m.Protected
}
