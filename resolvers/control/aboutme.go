package control

import (
	"context"
	"slices"

	generated "github.com/weir-data/weir/graph/control"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/lineage/index"
	"github.com/weir-data/weir/resolvers"
	"github.com/weir-data/weir/schema"
)

// identity is the attribute by which a reader is the person of a row, as in the
// scope `self`.
const identity = "id"

// aboutMe tells the reader who read data about himself.
func (l *look) aboutMe(ctx context.Context, first *int, after *string) (*generated.AboutMe, error) {
	n, err := pageSize(first)
	if err != nil {
		return nil, err
	}
	place, err := placeOf(after)
	if err != nil {
		return nil, err
	}
	tag, ok := l.tag()
	if !ok {
		return nil, forbidden()
	}
	out := &generated.AboutMe{Reads: []generated.ReadAboutMe{}}
	if out.AsOfSequence, err = l.asOf(ctx); err != nil {
		return nil, err
	}
	// Sealed reads are sealed for the person also where he is an auditor.
	page, err := l.lineage.Index.Reads(ctx, index.Filter{Tag: &tag, Any: true, Open: l.now()}, n, place)
	if err != nil {
		return nil, err
	}
	self := l.lineage.Keys.Pseudonym(resolvers.SubjectUse, l.req.Subject.ID)
	for i := range page.Reads {
		r := &page.Reads[i]
		item := generated.ReadAboutMe{
			Receipt: r.Position.String(), Time: r.Time.Format(instant), Office: optional(r.Consumer), OfficeTitles: titlesOf(l.departments[r.Consumer]),
			Self: r.Subject == self, Kinds: l.kinds(r),
		}
		if r.Purpose != "" {
			item.Purpose = l.purpose(r.Purpose)
		}
		out.Reads = append(out.Reads, item)
	}
	out.Next = cursorOf(page.Next)
	return out, nil
}

// tag is the reader's own, as the person of a row.
func (l *look) tag() (lineage.SubjectTag, bool) {
	id := l.req.Subject.Attributes[identity]
	if id == "" {
		return lineage.SubjectTag{}, false
	}
	return l.lineage.Keys.Tag(resolvers.TagUse, []byte(id)), true
}

// part is what of a record is about persons who cannot be told apart in it: one
// department's fields, or all of them where the record does not say from which
// departments' rows or keys each of its persons came.
type part struct {
	people   uint64
	rows     uint64 // of the types that persons' rows are of
	subjects map[schema.Coordinate]bool
}

// certain reports whether all of its fields are about each of its persons: where
// there is one, or where one field alone, the same in every row, says whom a row is
// about, and there are rows enough for all. Who was asked for and not found is a
// person of the record, too.
func (p *part) certain() bool {
	return p.people == 1 || len(p.subjects) == 1 && p.rows >= p.people
}

// partsOf are the parts that are about the reader, by department.
func partsOf(r *index.Read, about map[string]bool) map[string]*part {
	parts := map[string]*part{}
	for _, s := range r.Shares {
		if s.Asked {
			parts[s.Department] = &part{people: s.People, subjects: map[schema.Coordinate]bool{}}
		}
	}
	whole := &part{people: r.People, subjects: map[schema.Coordinate]bool{}}
	for i := range r.Fields {
		u := &r.Fields[i].Use
		if r.Shares == nil {
			parts[u.Department] = whole
		}
		p := parts[u.Department]
		switch {
		case p == nil || !about[u.Coordinate.Type]:
		case u.Use == lineage.Tag:
			p.subjects[u.Coordinate] = true
		case u.Use == lineage.Select && u.Coordinate.Row():
			p.rows += uint64(r.Fields[i].Counts.Clear)
		}
	}
	return parts
}

// kinds are the kinds of data that a record is about, as far as they are the
// reader's own. A record says from which departments its persons came, and not
// which of a department's fields each is in. So fields are named where all of them
// are surely about him, and of other parts only the types that hold persons' data
// are.
func (l *look) kinds(r *index.Read) []generated.KindRead {
	about := map[string]bool{} // types with a field that names a person
	for i := range r.Fields {
		if u := &r.Fields[i].Use; u.Use == lineage.Tag {
			about[u.Coordinate.Type] = true
		}
	}
	parts := partsOf(r, about)
	out := []generated.KindRead{}
	for i := range r.Fields {
		f := &r.Fields[i]
		if !about[f.Use.Coordinate.Type] || f.Use.Use != lineage.Select {
			continue
		}
		part := parts[f.Use.Department]
		if part == nil || f.Counts.Clear+f.Counts.Masked == 0 {
			continue
		}
		at := slices.IndexFunc(out, func(k generated.KindRead) bool { return k.Type == f.Use.Coordinate.Type })
		if at < 0 {
			at = len(out)
			out = append(out, generated.KindRead{Department: f.Use.Department, Type: f.Use.Coordinate.Type, Fields: []generated.KindField{}})
		}
		if !part.certain() || f.Use.Coordinate.Row() {
			continue
		}
		field := generated.KindField{Name: f.Use.Coordinate.Field, Outcome: generated.ReadOutcomeMasked}
		if f.Counts.Clear > 0 {
			field.Outcome = generated.ReadOutcomeClear
		}
		if t := l.sight.catalogue.Types[f.Use.Coordinate.Type]; t != nil {
			if known := t.Field(f.Use.Coordinate.Field); known != nil {
				field.Category = optional(known.Category)
			}
		}
		out[at].Fields = append(out[at].Fields, field)
	}
	return out
}
