package exec

import (
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/resolvers"
)

// tag records whom a row, or a stated key, is about.
func (r *run) tag(identifier []byte) {
	r.tags.add(r.e.ring.Tag(resolvers.TagUse, identifier))
}

// tagSet holds tags without duplicates in the order of their first appearance.
type tagSet struct {
	list  []lineage.SubjectTag
	known map[lineage.SubjectTag]struct{}
}

func (s *tagSet) add(t lineage.SubjectTag) {
	if len(s.list) > 0 && s.list[len(s.list)-1] == t {
		return
	}
	if s.known == nil {
		s.known = make(map[lineage.SubjectTag]struct{})
	}
	if _, ok := s.known[t]; ok {
		return
	}
	s.known[t] = struct{}{}
	s.list = append(s.list, t)
}
