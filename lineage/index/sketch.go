package index

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/axiomhq/hyperloglog"

	"github.com/weir-data/weir/lineage"
)

// sketchPrecision gives 4,096 registers: exact for a few hundred people, and
// within about 1.6 % above.
const sketchPrecision = 12

// crowd is the distinct persons of a rollup by the department that they came
// from, in its order. A tally of one department has one sketch, under no name.
// As bytes: the name and the sketch of each, behind its length as a uvarint.
type crowd []sketch

type sketch struct {
	department string
	people     *hyperloglog.Sketch
}

// add adds the persons of a record.
func (c *crowd) add(t *tally, r *lineage.Record) error {
	if !t.shared() {
		return c.insert("", r.Tags)
	}
	for i := range r.Sources {
		if tags, known := r.TagsOf(i); known {
			if err := c.insert(r.Sources[i].Department, tags); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *crowd) insert(department string, tags []lineage.SubjectTag) error {
	if len(tags) == 0 {
		return nil
	}
	at, found := slices.BinarySearchFunc(*c, department, func(s sketch, d string) int { return cmp.Compare(s.department, d) })
	if !found {
		people, err := hyperloglog.NewSketch(sketchPrecision, true)
		if err != nil {
			return err
		}
		*c = slices.Insert(*c, at, sketch{department, people})
	}
	for i := range tags {
		(*c)[at].people.InsertHash(uint64(tagNumber(tags[i]))) // a tag is a CMAC: a hash already
	}
	return nil
}

// bytes are never nil: the column is NOT NULL.
func (c crowd) bytes() ([]byte, error) {
	b := []byte{}
	for i := range c {
		// Brings the sketch into its one form, so that the same records make the
		// same bytes however they were cut into batches.
		c[i].people.Estimate()
		people, err := c[i].people.MarshalBinary()
		if err != nil {
			return nil, err
		}
		b = append(binary.AppendUvarint(b, uint64(len(c[i].department))), c[i].department...)
		b = append(binary.AppendUvarint(b, uint64(len(people))), people...)
	}
	return b, nil
}

var errCrowd = fmt.Errorf("%w: the people of a rollup do not parse", ErrDamaged)

// readCrowd reads the sketches of a crowd's bytes whose departments are wanted; of
// all where that is nil.
func readCrowd(b []byte, wanted func(department string) bool) (c crowd, err error) {
	part := func() (out []byte) {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			b, err = nil, errCrowd
			return nil
		}
		out, b = b[size:size+int(n)], b[size+int(n):]
		return out
	}
	for len(b) > 0 {
		name := string(part())
		people := part()
		if err != nil {
			return nil, err
		}
		if wanted != nil && !wanted(name) {
			continue
		}
		s := new(hyperloglog.Sketch)
		if err := s.UnmarshalBinary(people); err != nil {
			return nil, fmt.Errorf("%w: %w", errCrowd, err)
		}
		c = append(c, sketch{name, s})
	}
	return c, nil
}
