package exec

import (
	"slices"

	"github.com/weir-data/weir/graph/plan"
)

// shown is which rows of a result can be written. One row more than a list
// shows is read, to know whether there are more; a list that is merged from
// several fetches may show none of the rows of one. Rows outside are shown to
// nobody, so that no other department is asked for what belongs to them.
type shown struct {
	// first and last are a half-open range of places in each group; last is -1
	// without an end.
	first, last int
	// chosen holds the rows' own numbers instead, where several lists or the
	// rows of other fetches decide.
	chosen []uint64
	choice bool
}

// shownOf gives what all lists over a fetch's rows need together.
func (r *run) shownOf(f *fetchNode) shown {
	if f.merge >= 0 {
		return shown{chosen: r.results[f.ID].chosen, choice: true}
	}
	all := shown{last: -1}
	for i, rows := range f.lists {
		one := r.shownIn(rows)
		if i == 0 {
			all = one
			continue
		}
		all.first = min(all.first, one.first)
		if all.last >= 0 && (one.last < 0 || one.last > all.last) {
			all.last = one.last
		}
	}
	return all
}

// shownIn is the range of the rows of a list that is not merged.
func (r *run) shownIn(rows *rows) shown {
	if !rows.Many && rows.Connection == nil {
		return shown{last: 1}
	}
	w := r.windows[rows.slot]
	s := shown{last: w.limit}
	if rows.skip {
		s.first = w.offset
		if w.limit >= 0 {
			s.last += w.offset
		}
	}
	return s
}

// holds reports whether a row, at a place of its group, is shown.
func (s *shown) holds(row, place int) bool {
	if s.choice {
		return row>>6 < len(s.chosen) && s.chosen[row>>6]>>(row&63)&1 != 0
	}
	return place >= s.first && (s.last < 0 || place < s.last)
}

// places walks over a result's rows in order and gives each one's place in its
// group; without keys, all rows are one group.
type places struct {
	groups []uint32
	group  int
}

func (p *places) of(row int) int {
	for p.group+1 < len(p.groups) && int(p.groups[p.group+1]) <= row {
		p.group++
	}
	if len(p.groups) == 0 {
		return row
	}
	return row - int(p.groups[p.group])
}

// mergeSet is fetches whose rows are merged into common lists. Which of them are
// shown is known when all have ended, and not before: only then are their
// children asked, with the keys of what survives the merge.
type mergeSet struct {
	fetches  []int
	lists    []*rows // over the rows of any of them
	children []int
}

// mergeSets finds the fetches that have to wait for each other. Without
// children nothing waits.
func (c *compiler) mergeSets() {
	for i := range c.fetches {
		c.fetches[i].merge = -1
	}
	for _, list := range c.rows {
		if len(list.members) < 2 {
			continue
		}
		set := mergeSet{}
		for _, m := range list.members {
			if !slices.Contains(set.fetches, m.fetch) {
				set.fetches = append(set.fetches, m.fetch)
			}
		}
		// A fetch that several lists share makes one set of theirs.
		c.merges = slices.DeleteFunc(c.merges, func(other mergeSet) bool {
			if !slices.ContainsFunc(other.fetches, func(id int) bool { return slices.Contains(set.fetches, id) }) {
				return false
			}
			for _, id := range other.fetches {
				if !slices.Contains(set.fetches, id) {
					set.fetches = append(set.fetches, id)
				}
			}
			return true
		})
		c.merges = append(c.merges, set)
	}
	c.merges = slices.DeleteFunc(c.merges, func(set mergeSet) bool {
		return !slices.ContainsFunc(set.fetches, func(id int) bool { return len(c.fetches[id].children) > 0 })
	})
	for i := range c.merges {
		set := &c.merges[i]
		for _, id := range set.fetches {
			f := &c.fetches[id]
			f.merge = i
			set.children = append(set.children, f.children...)
			for _, list := range f.lists {
				if !slices.Contains(set.lists, list) {
					set.lists = append(set.lists, list)
				}
			}
		}
	}
}

// chooseGuarded fails the set's fetches where choosing goes wrong, so that their
// lists are errors and not lists whose children were forgotten.
func (r *run) chooseGuarded(set *mergeSet) {
	defer func() {
		if recover() == nil {
			return
		}
		for _, id := range set.fetches {
			r.results[id].failure = plan.Internal
		}
	}()
	r.choose(set)
}

// choose notes, of all fetches of a set, the rows that one of its lists shows.
// All of them have ended.
func (r *run) choose(set *mergeSet) {
	for _, id := range set.fetches {
		res := &r.results[id]
		res.chosen = grown(res.chosen, (res.rows+63)/64)
		clear(res.chosen)
	}
	var streams []stream
	for _, list := range set.lists {
		if len(list.members) == 1 {
			r.results[list.members[0].fetch].choose(r.shownIn(list))
			continue
		}
		// As often as the list is written: once per row of the parent.
		n := 1
		if parent := r.prog.fetches[list.members[0].fetch].Parent; parent != nil {
			n = r.results[parent.ID].rows
		}
		for number := range n {
			var whole bool
			if streams, _, whole = r.open(streams[:0], list, number); whole {
				r.chooseMerged(list, streams)
			}
		}
	}
}

// choose takes the rows of a range.
func (r *result) choose(s shown) {
	place := places{groups: r.groups}
	for row := range r.rows {
		if s.holds(row, place.of(row)) {
			r.chosen[row>>6] |= 1 << (row & 63)
		}
	}
}

// chooseMerged takes the rows that a merged list shows of its streams, which are
// used up.
func (r *run) chooseMerged(list *rows, streams []stream) {
	w := window{limit: 1}
	if list.Many {
		w = r.windows[list.slot]
	}
	if !list.skip {
		w.offset = 0
	}
	for n := 0; w.limit < 0 || n < w.offset+w.limit; n++ {
		_, at, ok := pop(streams, list.Merge)
		if !ok {
			return
		}
		if n >= w.offset {
			at.result.chosen[at.number>>6] |= 1 << (at.number & 63)
		}
	}
}
