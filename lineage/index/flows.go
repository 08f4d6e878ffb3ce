package index

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/axiomhq/hyperloglog"

	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// Flow is where one field went: to whom, for what, as what, and how often.
type Flow struct {
	Department  string // the source
	Coordinate  schema.Coordinate
	Level       schema.Rank
	Use         lineage.UseKind
	Outcome     Outcome
	Consumer    string // department of the readers
	Application string
	Purpose     string
	// Reads are records, Cells the values in them.
	Reads, Cells uint64
	// People are distinct persons in records of this department alone: exact for
	// some hundreds, within about 1.6 % above; Uncounted are persons in such
	// records that name too many to be told apart, at most so many more.
	People, Uncounted uint64
	First, Last       time.Time
}

// FlowFilter chooses flows. From and To are whole days, UTC: From's day and all
// before To's day, To's too when it is not midnight.
type FlowFilter struct {
	Department, Type, Field string
	From, To                time.Time
	Sealed                  []Seal
}

// Flows tells where a department's fields went. It reads figures per day, not
// records. Figures of a sealed purpose's days that are not wholly open yet are
// left out.
func (x *Index) Flows(ctx context.Context, f FlowFilter) ([]Flow, error) {
	w := &where{}
	w.add("f.department = %", f.Department)
	if f.Type != "" {
		w.add("f.type = %", f.Type)
	}
	if f.Field != "" {
		w.add("f.field = %", f.Field)
	}
	if !f.From.IsZero() {
		w.add("r.day >= %", day(f.From))
	}
	if !f.To.IsZero() {
		w.add("r.day < %", day(f.To.Add(24*time.Hour-time.Microsecond)))
	}
	for _, s := range f.Sealed {
		w.add("(f.purpose <> % OR r.day < %)", s.Purpose, day(s.Before))
	}
	rows, err := x.db.QueryContext(ctx,
		`SELECT f.id, f.department, f.type, f.field, f.level, f.kind, f.outcome, f.consumer, f.application, f.purpose,
		 r.reads, r.cells, r.uncounted, r.first, r.last, r.people
		 FROM flow f JOIN rollup r ON r.flow = f.id WHERE `+w.text()+` ORDER BY f.id`, w.args...)
	if err != nil {
		return nil, unavailable(err)
	}
	defer rows.Close() //nolint:errcheck // read to the end or given up
	var out []Flow
	var people *hyperloglog.Sketch
	current := int64(-1)
	var raw []byte
	for rows.Next() {
		var f Flow
		var id, level, kind, outcome, first, last int64
		if err := rows.Scan(&id, &f.Department, &f.Coordinate.Type, &f.Coordinate.Field, &level, &kind, &outcome,
			&f.Consumer, &f.Application, &f.Purpose, &f.Reads, &f.Cells, &f.Uncounted, &first, &last, &raw); err != nil {
			return nil, unavailable(err)
		}
		f.Level, f.Use, f.Outcome = schema.Rank(level), lineage.UseKind(kind), Outcome(outcome)
		f.First, f.Last = time.UnixMicro(first).UTC(), time.UnixMicro(last).UTC()
		var sketch hyperloglog.Sketch
		if err := sketch.UnmarshalBinary(raw); err != nil {
			return nil, fmt.Errorf("%w: sketch of flow %d: %w", ErrUnavailable, id, err)
		}
		if id != current {
			current, people = id, &sketch
			f.People = people.Estimate()
			out = append(out, f)
			continue
		}
		if err := people.Merge(&sketch); err != nil {
			return nil, fmt.Errorf("%w: sketch of flow %d: %w", ErrUnavailable, id, err)
		}
		sum := &out[len(out)-1]
		sum.Reads, sum.Cells, sum.Uncounted = sum.Reads+f.Reads, sum.Cells+f.Cells, sum.Uncounted+f.Uncounted
		sum.People = people.Estimate()
		if f.First.Before(sum.First) {
			sum.First = f.First
		}
		if f.Last.After(sum.Last) {
			sum.Last = f.Last
		}
	}
	if err := rows.Err(); err != nil {
		return nil, unavailable(err)
	}
	slices.SortStableFunc(out, func(a, b Flow) int {
		return cmp.Or(cmp.Compare(a.Coordinate.Type, b.Coordinate.Type), cmp.Compare(a.Coordinate.Field, b.Coordinate.Field),
			cmp.Compare(b.Reads, a.Reads), cmp.Compare(a.Consumer, b.Consumer), cmp.Compare(a.Application, b.Application),
			cmp.Compare(a.Purpose, b.Purpose), cmp.Compare(a.Use, b.Use), cmp.Compare(b.Outcome, a.Outcome))
	})
	return out, nil
}

func day(t time.Time) int64 { return t.UnixMicro() / microsPerDay }
