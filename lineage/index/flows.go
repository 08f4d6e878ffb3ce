package index

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
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
	// People are the distinct persons who came from this department's rows and
	// keys: exact for some hundreds, within about 1.6 % above; Uncounted are those
	// in records of this department alone that name too many to be told apart, at
	// most so many more.
	People, Uncounted uint64
	First, Last       time.Time
}

// FlowFilter chooses flows. From and To are whole days, UTC: From's day and all
// before To's day, To's too when it is not midnight.
type FlowFilter struct {
	Department, Type, Field string
	From, To                time.Time
	// Open leaves out the days that are not wholly open at that time; see
	// [Filter].
	Open time.Time
}

// Flows tells where a department's fields went. It reads figures per day, not
// records. Figures of sealed records are shown when their whole day is open.
func (x *Index) Flows(ctx context.Context, f FlowFilter) ([]Flow, error) {
	if err := x.ours(); err != nil {
		return nil, err
	}
	flows, err := x.flowsOf(ctx, &f)
	if err != nil || len(flows) == 0 {
		return nil, x.unavailable(err)
	}
	tallies, err := x.sums(ctx, &f)
	if err != nil {
		return nil, x.unavailable(err)
	}
	var out []Flow
	people := make(union)
	for _, w := range flows {
		if err := w.sum(tallies, people); err != nil {
			return nil, x.unavailable(err)
		}
		if w.flow.Reads > 0 {
			out = append(out, w.flow)
		}
	}
	slices.SortFunc(out, func(a, b Flow) int {
		return cmp.Or(cmp.Compare(a.Coordinate.Type, b.Coordinate.Type), cmp.Compare(a.Coordinate.Field, b.Coordinate.Field),
			cmp.Compare(b.Reads, a.Reads), cmp.Compare(a.Consumer, b.Consumer), cmp.Compare(a.Application, b.Application),
			cmp.Compare(a.Purpose, b.Purpose), cmp.Compare(a.Use, b.Use), cmp.Compare(b.Outcome, a.Outcome), cmp.Compare(a.Level, b.Level))
	})
	return out, nil
}

// ofField is the condition on the flows themselves.
func (f *FlowFilter) ofField(w *where) {
	w.add("f.department = %", f.Department)
	if f.Type != "" {
		w.add("f.type = %", f.Type)
	}
	if f.Field != "" {
		w.add("f.field = %", f.Field)
	}
}

// cells joins flows with their cells, of tallies that may have something to say.
func (f *FlowFilter) cells(w *where) string {
	if f.From.IsZero() {
		return "flow f JOIN cell c ON c.flow = f.id"
	}
	w.add("t.last >= %", microsPerDay*day(f.From))
	return "flow f JOIN cell c ON c.flow = f.id JOIN tally t ON t.id = c.tally"
}

// going is a flow, and the cells of tallies that are part of it.
type going struct {
	flow    Flow
	tallies []int64 // each once, in order
	cells   []part
}

type part struct{ tally, ordinal int64 }

// flowsOf finds the flows asked for.
func (x *Index) flowsOf(ctx context.Context, f *FlowFilter) ([]*going, error) {
	w := &where{}
	f.ofField(w)
	rows, err := x.db.QueryContext(ctx,
		`SELECT f.id, f.department, f.type, f.field, f.level, f.kind, f.outcome, f.consumer, f.application, f.purpose
		 FROM flow f WHERE `+w.text(), w.args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // read to the end or given up
	var out []*going
	byID := make(map[int64]*going)
	for rows.Next() {
		g := &going{}
		f := &g.flow
		var id, level, kind, outcome int64
		if err := rows.Scan(&id, &f.Department, &f.Coordinate.Type, &f.Coordinate.Field, &level, &kind, &outcome,
			&f.Consumer, &f.Application, &f.Purpose); err != nil {
			return nil, err
		}
		f.Level, f.Use, f.Outcome = schema.Rank(level), lineage.UseKind(kind), Outcome(outcome)
		out, byID[id] = append(out, g), g
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return out, x.parts(ctx, f, byID)
}

// parts finds the cells of the flows.
func (x *Index) parts(ctx context.Context, f *FlowFilter, byID map[int64]*going) error {
	w := &where{}
	f.ofField(w)
	rows, err := x.db.QueryContext(ctx,
		`SELECT c.flow, c.tally, c.ordinal FROM `+f.cells(w)+` WHERE `+w.text()+` ORDER BY c.flow, c.tally, c.ordinal`, w.args...)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // read to the end or given up
	for rows.Next() {
		var flow int64
		var p part
		if err := rows.Scan(&flow, &p.tally, &p.ordinal); err != nil {
			return err
		}
		g := byID[flow]
		if g == nil {
			continue // made since
		}
		g.cells = append(g.cells, p)
		if n := len(g.tallies); n == 0 || g.tallies[n-1] != p.tally {
			g.tallies = append(g.tallies, p.tally)
		}
	}
	return rows.Err()
}

// total is the sum of a tally's days, of one department's persons.
type total struct {
	figures
	people hyperloglog.Sketch
}

// sums adds up the days of every tally that is part of a flow asked for.
func (x *Index) sums(ctx context.Context, f *FlowFilter) (map[int64]*total, error) {
	w := &where{}
	f.ofField(w)
	cells := f.cells(w)
	of := "r.tally IN (SELECT c.tally FROM " + cells + " WHERE " + w.text() + ")"
	w.parts = []string{of}
	if !f.From.IsZero() {
		w.add("r.day >= %", day(f.From))
	}
	if !f.To.IsZero() {
		w.add("r.day < %", day(f.To.Add(24*time.Hour-time.Microsecond)))
	}
	sealed := ""
	if !f.Open.IsZero() {
		sealed = " JOIN tally t ON t.id = r.tally JOIN pair p ON p.id = t.pair JOIN context c ON c.id = p.context"
		w.add("(c.sealed = 0 OR (r.day + 1) * % + c.sealed * % <= %)", int64(microsPerDay), int64(microsPerSecond), f.Open.UnixMicro())
	}
	rows, err := x.db.QueryContext(ctx,
		`SELECT r.tally, r.reads, r.uncounted, r.first, r.last, r.cells, r.people FROM rollup r`+sealed+` WHERE `+w.text()+` ORDER BY r.tally, r.day`, w.args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // read to the end or given up
	out := make(map[int64]*total)
	theirs := func(department string) bool { return department == "" || department == f.Department }
	var went, people sql.RawBytes
	for rows.Next() {
		var tally int64
		var d figures
		if err := rows.Scan(&tally, &d.reads, &d.uncounted, &d.first, &d.last, &went, &people); err != nil {
			return nil, err
		}
		sum := out[tally]
		if sum == nil {
			sum = &total{figures: figures{first: d.first, last: d.last}}
			out[tally] = sum
		}
		sum.reads, sum.uncounted = sum.reads+d.reads, sum.uncounted+d.uncounted
		sum.first, sum.last = min(sum.first, d.first), max(sum.last, d.last)
		if sum.cells, err = addCells(went, sum.cells); err != nil {
			return nil, err
		}
		crowd, err := readCrowd(people, theirs)
		if err != nil {
			return nil, fmt.Errorf("people of tally %d: %w", tally, err)
		}
		for i := range crowd {
			if err := sum.people.Merge(crowd[i].people); err != nil {
				return nil, fmt.Errorf("people of tally %d: %w", tally, err)
			}
		}
	}
	return out, rows.Err()
}

// union counts the people of several tallies together. Many flows are made of
// the same tallies, as all fields of a query are, so each set is united once.
type union map[string]uint64

func (u union) of(tallies []int64, sums map[int64]*total) (uint64, error) {
	key := make([]byte, 0, 8*len(tallies))
	for _, t := range tallies {
		if sums[t] != nil {
			key = binary.AppendUvarint(key, uint64(t))
		}
	}
	if n, ok := u[string(key)]; ok {
		return n, nil
	}
	var all hyperloglog.Sketch
	for _, t := range tallies {
		if s := sums[t]; s != nil {
			if err := all.Merge(&s.people); err != nil {
				return 0, fmt.Errorf("sketch of tally %d: %w", t, err)
			}
		}
	}
	n := all.Estimate()
	u[string(key)] = n
	return n, nil
}

// sum completes a flow.
func (g *going) sum(sums map[int64]*total, people union) (err error) {
	f := &g.flow
	var first, last int64
	for _, t := range g.tallies {
		s := sums[t]
		if s == nil {
			continue
		}
		if f.Reads == 0 {
			first, last = s.first, s.last
		}
		f.Reads, f.Uncounted = f.Reads+uint64(s.reads), f.Uncounted+uint64(s.uncounted)
		first, last = min(first, s.first), max(last, s.last)
	}
	for _, p := range g.cells {
		s := sums[p.tally]
		if s == nil {
			continue
		}
		if p.ordinal >= int64(len(s.cells)) {
			return fmt.Errorf("cell %d of tally %d: %w", p.ordinal, p.tally, errCells)
		}
		f.Cells += s.cells[p.ordinal]
	}
	f.First, f.Last = time.UnixMicro(first).UTC(), time.UnixMicro(last).UTC()
	f.People, err = people.of(g.tallies, sums)
	return err
}

func day(t time.Time) int64 { return t.UnixMicro() / microsPerDay }
