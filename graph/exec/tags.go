package exec

import "github.com/weir-data/weir/lineage"

// tag records whom a row, or a stated key, is about.
func (r *run) tag(identifier []byte) { r.tags.add(r.tagger.Tag(identifier)) }

// tagSet collects tags. Some may stand in it more than once until it is asked;
// its memory follows the number of different ones all the same.
type tagSet struct{ list []lineage.SubjectTag }

// manyTags is from where on a full list is rid of duplicates before it grows.
const manyTags = 1 << 12

func (s *tagSet) add(t lineage.SubjectTag) {
	n := len(s.list)
	if n > 0 && s.list[n-1] == t {
		return
	}
	if n == cap(s.list) && n >= manyTags {
		s.unique()
	}
	s.list = append(s.list, t)
}

// unique gives each tag once, sorted.
func (s *tagSet) unique() []lineage.SubjectTag {
	s.list = lineage.UniqueTags(s.list)
	return s.list
}
