package exec

import (
	"time"

	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/resolvers"
)

// Ages tells how old a department's data is. It does no I/O.
type Ages interface {
	// Age gives the time of the department's newest data and whether that is
	// older than its owner declares it to be; known is false when nobody has
	// been able to tell.
	Age(department string) (asOf time.Time, stale, known bool)
}

// complete fills what the record and the answer's extensions say of the
// request.
func (r *run) complete() {
	reads, p := r.req.Reads, r.prog.plan
	reads.Tags, reads.TagGroups = r.tags.grouped()
	reads.Sources = reads.Sources[:0]
	for _, name := range p.Departments {
		age := lineage.SourceAge{Department: name}
		if r.e.ages != nil {
			if asOf, stale, known := r.e.ages.Age(name); known {
				age.AsOf, age.Stale = asOf, stale
			}
		}
		for i := range r.prog.fetches {
			if r.prog.fetches[i].Department == name && r.results[i].failure != "" {
				age.Failed = true
			}
		}
		reads.Sources = append(reads.Sources, age)
	}
	r.extensions = r.extension(r.extensions[:0])
	reads.Extension = r.extensions
}

// extension appends the executor's members of extensions.weir, each only when
// it has something to say.
func (r *run) extension(dst []byte) []byte {
	p := r.prog.plan
	member := func(name string) {
		if len(dst) > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, '"'), name...), '"', ':')
	}
	if len(p.Access.Masked)+len(p.Access.Withheld)+len(p.Access.Noised) > 0 {
		member("access")
		dst = append(dst, p.Access.JSON...)
	}
	for i, path := range r.truncated {
		if i == 0 {
			member("truncated")
		}
		dst = append(dst, "[,"[min(i, 1)])
		dst = resolvers.AppendText(dst, []byte(path))
	}
	if len(r.truncated) > 0 {
		dst = append(dst, ']')
	}
	for i := range r.req.Reads.Sources {
		s := &r.req.Reads.Sources[i]
		if i == 0 {
			member("sources")
		}
		dst = append(dst, "[,"[min(i, 1)])
		dst = append(dst, `{"department":`...)
		dst = resolvers.AppendText(dst, []byte(s.Department))
		dst = append(dst, `,"asOf":`...)
		if s.AsOf.IsZero() {
			dst = append(dst, null...)
		} else {
			dst = s.AsOf.UTC().AppendFormat(append(dst, '"'), time.RFC3339)
			dst = append(dst, '"')
		}
		dst = append(dst, `,"stale":`...)
		if s.Stale {
			dst = append(dst, "true}"...)
		} else {
			dst = append(dst, "false}"...)
		}
	}
	if len(r.req.Reads.Sources) > 0 {
		dst = append(dst, ']')
	}
	return dst
}
