package exec

// shown is which rows of each group of a result can be written, by their place
// in the group: a half-open range, last -1 without an end. One row more than a
// list shows is read, to know whether there are more; a list that is merged from
// several fetches may show none of the rows of one. Rows outside are shown to
// nobody, so that no other department is asked for what belongs to them.
type shown struct{ first, last int }

// shownOf gives the range that all lists over a fetch's rows need together.
func (r *run) shownOf(f *fetchNode) shown {
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

func (r *run) shownIn(rows *rows) shown {
	if !rows.Many && rows.Connection == nil {
		return shown{last: 1}
	}
	w := r.windows[rows.slot]
	s := shown{last: w.limit}
	if rows.skip && w.limit >= 0 {
		s.last += w.offset
	}
	if rows.skip && len(rows.members) == 1 {
		s.first = w.offset
	}
	return s
}

// holds reports whether the row at a place of its group is in the range.
func (s shown) holds(place int) bool {
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
