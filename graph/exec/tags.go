package exec

import (
	"slices"

	"github.com/weir-data/weir/lineage"
)

// tag records whom a row, or a stated key, of one of the plan's departments is
// about.
func (r *run) tag(department int, identifier []byte) {
	r.tags.add(department, r.tagger.Tag(identifier))
}

// tagSet collects tags by department. Some may stand in it more than once until
// it is asked; its memory follows the number of different ones all the same.
type tagSet struct{ lists [][]lineage.SubjectTag }

// manyTags is from where on a full list is rid of duplicates before it grows.
const manyTags = 1 << 12

func (s *tagSet) begin(departments int) { s.lists = grown(s.lists, departments) }

func (s *tagSet) add(department int, t lineage.SubjectTag) {
	list := s.lists[department]
	n := len(list)
	if n > 0 && list[n-1] == t {
		return
	}
	if n == cap(list) && n >= manyTags {
		list = lineage.UniqueTags(list)
	}
	s.lists[department] = append(list, t)
}

// grouped gives each tag once, and which departments it came from.
func (s *tagSet) grouped() ([]lineage.SubjectTag, []lineage.TagGroup) {
	return lineage.GroupTags(s.lists)
}

// end forgets the tags and keeps their memory.
func (s *tagSet) end() {
	for i := range s.lists {
		s.lists[i] = s.lists[i][:0]
	}
}

// oversize reports whether it has grown beyond what is worth keeping.
func (s *tagSet) oversize() bool {
	return slices.ContainsFunc(s.lists[:cap(s.lists)], func(list []lineage.SubjectTag) bool { return cap(list) > 1<<16 })
}
