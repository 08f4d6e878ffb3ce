package index

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

type flowID struct {
	coordinate                     schema.Coordinate
	use                            lineage.UseKind
	outcome                        Outcome
	consumer, application, purpose string
}

// TestFlows: the rollups say what the records say.
func TestFlows(t *testing.T) {
	drivers(t, func(t *testing.T, cfg Config) {
		r := seeded(t)
		x, entries := opened(t, cfg, r, 800)
		for _, department := range departments {
			for range 6 {
				f := FlowFilter{Department: department}
				if r.IntN(2) == 0 {
					f.From = start.Add(time.Duration(r.IntN(10)) * time.Hour).Truncate(24 * time.Hour)
				}
				if r.IntN(2) == 0 {
					f.To = start.Add(time.Duration(r.IntN(48)) * time.Hour).Truncate(24 * time.Hour)
				}
				if r.IntN(2) == 0 {
					f.Open = start.Add(time.Duration(r.IntN(30)) * time.Hour)
				}
				got, err := x.Flows(t.Context(), f)
				if err != nil {
					t.Fatal(err)
				}
				want, people := flowsOf(entries, &f)
				if len(got) != len(want) {
					t.Errorf("%+v: %d flows instead of %d", f, len(got), len(want))
				}
				for _, g := range got {
					key := flowID{g.Coordinate, g.Use, g.Outcome, g.Consumer, g.Application, g.Purpose}
					w := want[key]
					if w == nil {
						t.Fatalf("%+v was not", g)
					}
					g.Level, w.Level = 0, 0
					w.Department, w.Coordinate, w.Use, w.Outcome, w.Consumer, w.Application, w.Purpose, w.People = department, g.Coordinate, g.Use, g.Outcome, g.Consumer, g.Application, g.Purpose, g.People
					if diff := cmp.Diff(*w, g); diff != "" {
						t.Fatalf("flow (-want +got):\n%s", diff)
					}
					if n := uint64(len(people[key])); g.People != n {
						t.Errorf("%v: %d people instead of %d", key, g.People, n)
					}
				}
			}
		}
	})
}

func flowsOf(entries []lineage.Entry, f *FlowFilter) (map[flowID]*Flow, map[flowID]map[lineage.SubjectTag]bool) {
	flows, people := map[flowID]*Flow{}, map[flowID]map[lineage.SubjectTag]bool{}
	for i := range entries {
		e := &entries[i]
		r := &e.Record
		if !f.From.IsZero() && e.Time.Before(f.From) || !f.To.IsZero() && !e.Time.Before(f.To) ||
			!f.Open.IsZero() && r.Sealed > 0 && e.Time.Truncate(24*time.Hour).Add(24*time.Hour+r.Sealed).After(f.Open) {
			continue
		}
		for j, u := range r.Uses {
			if u.Department != f.Department || u.Use == lineage.Tag {
				continue
			}
			for outcome := range Outcome(4) {
				if outcomesOfUse(r, j)&(1<<outcome) == 0 {
					continue
				}
				cells := cellsOf(r, j, outcome)
				key := flowID{u.Coordinate, u.Use, outcome, r.Department, r.Application, r.Purpose}
				if flows[key] == nil {
					flows[key] = &Flow{First: e.Time, Last: e.Time}
					people[key] = map[lineage.SubjectTag]bool{}
				}
				w := flows[key]
				w.Reads++
				w.Cells += uint64(cells)
				w.Last = e.Time
				at := 0
				for _, g := range r.TagGroups {
					for of := range r.Sources {
						if g.Sources&(1<<of) != 0 && r.Sources[of].Department == f.Department {
							for _, tag := range r.Tags[at : at+g.Count] {
								people[key][tag] = true
							}
						}
					}
					at += g.Count
				}
				if len(r.Sources) == 1 && r.Sources[0].Department == f.Department { // else whose persons they are, it does not say
					if len(r.Tags) == 0 {
						w.Uncounted += r.TagCount
					}
					for _, tag := range r.Tags {
						people[key][tag] = true
					}
				}
			}
		}
	}
	return flows, people
}
