package index

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"

	"github.com/weir-data/weir/lineage"
)

// departmentSet is some of a record's departments: a bit for each of
// [departmentsOf] its uses, the least for the first. It is empty where a record is
// of one department, and where it does not tell.
type departmentSet uint64

const maxDepartments = 64

// departmentsOf are the departments of uses, each once, in order.
func departmentsOf(uses []lineage.Use) (out []string) {
	for i := range uses {
		if d := uses[i].Department; i == 0 || d != uses[i-1].Department {
			out = append(out, d)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// cohort is how many of a record's persons came from the rows, or were asked for
// by the keys, of the same departments.
type cohort struct {
	from   departmentSet
	people int
}

// cohortsOf are the cohorts of a record's tags, in their order; none where the
// record is of one department, or does not tell.
func cohortsOf(departments []string, r *lineage.Record) []cohort {
	groups := r.TagGroups
	switch {
	case len(departments) < 2 || len(departments) > maxDepartments || len(r.Tags) == 0:
		return nil
	case len(r.Sources) == 1:
		groups = []lineage.TagGroup{{Sources: 1, Count: len(r.Tags)}}
	case len(groups) == 0:
		return nil
	}
	out := make([]cohort, len(groups))
	for i, g := range groups {
		out[i].people = g.Count
		for of := g.Sources; of != 0; of &= of - 1 {
			at, found := slices.BinarySearch(departments, r.Sources[bits.TrailingZeros64(of)].Department)
			if !found {
				return nil // of nothing that was used: nobody could be told
			}
			out[i].from |= 1 << at
		}
	}
	return out
}

func appendCohorts(b []byte, cohorts []cohort) []byte {
	if b == nil {
		b = []byte{} // NOT NULL
	}
	for _, c := range cohorts {
		b = binary.AppendUvarint(b, uint64(c.from))
		b = binary.AppendUvarint(b, uint64(c.people)) //nolint:gosec // not negative
	}
	return b
}

var errCohorts = fmt.Errorf("%w: the persons of a record do not parse", ErrDamaged)

// parseCohorts reads the cohorts of a record of so many departments.
func parseCohorts(b []byte, departments int) (out []cohort, err error) {
	for len(b) > 0 {
		from, n := binary.Uvarint(b)
		if n <= 0 || from == 0 || bits.Len64(from) > departments {
			return nil, errCohorts
		}
		people, m := binary.Uvarint(b[n:])
		if m <= 0 || people == 0 || people > lineage.MaxTags {
			return nil, errCohorts
		}
		out, b = append(out, cohort{departmentSet(from), int(people)}), b[n+m:] //nolint:gosec // at most MaxTags
	}
	return out, nil
}

// Share is the part of a department in the persons of a record of several.
type Share struct {
	Department string
	// People is how many came from its rows or were asked for by its keys.
	People uint64
	// Asked is set where the person that was asked for is one of them.
	Asked bool
}

// shares are those of the departments in which there are any persons; nil where
// the record does not tell. asked is where the person came from that was asked
// for.
func shares(departments []string, cohorts []cohort, asked departmentSet) (out []Share) {
	for i, d := range departments {
		s := Share{Department: d, Asked: asked&(1<<i) != 0}
		for _, c := range cohorts {
			if c.from&(1<<i) != 0 {
				s.People += uint64(c.people) //nolint:gosec // not negative
			}
		}
		if s.People > 0 {
			out = append(out, s)
		}
	}
	return out
}

// SharesOf are the [Read.Shares] of a record that was not read from an index, and
// of one person.
func SharesOf(r *lineage.Record, asked lineage.SubjectTag) []Share {
	departments := departmentsOf(r.Uses)
	cohorts := cohortsOf(departments, r)
	at := 0
	for _, c := range cohorts {
		if slices.Contains(r.Tags[at:at+c.people], asked) {
			return shares(departments, cohorts, c.from)
		}
		at += c.people
	}
	return shares(departments, cohorts, 0)
}
