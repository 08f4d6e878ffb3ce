package exec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/schema"
)

// restOfFreshness is for how many times as long as a question took its type is
// not asked for again: a source gives a hundredth of its time at most, also
// where it must read the whole table.
const restOfFreshness = 100

// FreshnessConfig is what a Freshness is made of. Report and Slow may be called
// by several goroutines at once.
type FreshnessConfig struct {
	Adapters map[string]adapters.Adapter
	// Catalogue gives the one in force; it is asked before each round.
	Catalogue func() *schema.Catalogue
	// Every is the time between two rounds (one minute), Timeout that of one
	// department's part of a round (ten seconds).
	Every, Timeout time.Duration
	// Now is the clock; time.Now.
	Now func() time.Time
	// Report is told of a question that failed; may be nil.
	Report func(department string, err error)
	// Slow is told, once per type, that a question took so long that it is asked
	// less often than Every; may be nil.
	Slow func(t *schema.Type, took, rest time.Duration)
}

var _ Ages = (*Freshness)(nil)

// Freshness knows how old each department's data is. It asks on a schedule and
// never on a request's way: per type with @fresh the newest value of the
// column, less often where that takes the source long. A department is as old as
// the oldest of its types, and stale when one of them is older than declared.
// Safe for concurrent use.
type Freshness struct {
	cfg  FreshnessConfig
	ages atomic.Pointer[map[string]age]

	round    sync.Mutex
	readings map[question]*reading
}

// age is what is known of a department. It is stale from the moment staleAt,
// which may lie ahead of the round.
type age struct {
	asOf, staleAt time.Time
}

// question is what a source is asked for a type. Another column is another one.
type question struct{ department, table, column, name string }

func questionOf(t *schema.Type) question {
	return question{t.Source.Department, t.Source.Table, t.Fresh.Column, t.Name}
}

// reading is what the source said last: known when it said anything, and with a
// moment when there was one.
type reading struct {
	newest        time.Time
	known, moment bool
	due           time.Time // when it may be asked again
	slow          bool      // Slow was told
}

// NewFreshness makes a Freshness that knows nothing before Run.
func NewFreshness(cfg FreshnessConfig) *Freshness {
	cfg.Every, cfg.Timeout = orElse(cfg.Every, time.Minute), orElse(cfg.Timeout, 10*time.Second)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Report == nil {
		cfg.Report = func(string, error) {}
	}
	if cfg.Slow == nil {
		cfg.Slow = func(*schema.Type, time.Duration, time.Duration) {}
	}
	f := &Freshness{cfg: cfg}
	f.ages.Store(&map[string]age{})
	return f
}

// Age implements [Ages].
func (f *Freshness) Age(department string) (asOf time.Time, stale, known bool) {
	a, known := (*f.ages.Load())[department]
	if !known {
		return time.Time{}, false, false
	}
	return a.asOf, f.cfg.Now().After(a.staleAt), true
}

// Run asks at once and then on the schedule, until ctx ends; it returns ctx's
// error.
func (f *Freshness) Run(ctx context.Context) error {
	ticker := time.NewTicker(f.cfg.Every)
	defer ticker.Stop()
	for {
		f.Refresh(ctx)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// Refresh is one round: it asks for the types whose time has come. What a source
// does not answer stays as it was known, and grows old by the clock.
func (f *Freshness) Refresh(ctx context.Context) {
	f.round.Lock()
	defer f.round.Unlock()
	catalogue := f.cfg.Catalogue()
	if catalogue == nil {
		return
	}
	types := f.follow(catalogue)
	var group sync.WaitGroup
	for department, list := range types {
		group.Go(func() { f.ask(ctx, department, list) })
	}
	group.Wait()
	before, after := *f.ages.Load(), map[string]age{}
	for department, list := range types {
		a, any, complete := f.ageOf(list)
		if !complete { // without the missing type it may look younger than it is
			a, any = before[department]
		}
		if any {
			after[department] = a
		}
	}
	f.ages.Store(&after)
}

// follow gives the types that are asked for, by department, each with a reading
// in f.readings; readings of what is not asked for any more are dropped.
func (f *Freshness) follow(catalogue *schema.Catalogue) map[string][]*schema.Type {
	readings, types := map[question]*reading{}, map[string][]*schema.Type{}
	for _, name := range slices.Sorted(maps.Keys(catalogue.Types)) {
		t := catalogue.Types[name]
		department := t.Source.Department
		if t.Fresh == nil || f.cfg.Adapters[department] == nil {
			continue
		}
		q := questionOf(t)
		if readings[q] = f.readings[q]; readings[q] == nil {
			readings[q] = &reading{}
		}
		types[department] = append(types[department], t)
	}
	f.readings = readings
	return types
}

// ask is a department's part of a round. What its time does not suffice for is
// asked in the next one, when those that took it rest.
func (f *Freshness) ask(ctx context.Context, department string, types []*schema.Type) {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.Timeout)
	defer cancel()
	for _, t := range types {
		a := f.readings[questionOf(t)]
		begin := f.cfg.Now()
		if ctx.Err() != nil || begin.Before(a.due) {
			continue
		}
		newest, moment, err := newest(ctx, f.cfg.Adapters[department], t)
		end := f.cfg.Now()
		if err == nil {
			a.newest, a.moment, a.known = newest, moment, true
		} else {
			f.cfg.Report(department, fmt.Errorf("%s: %w", t.Name, err))
			if !errors.Is(err, &adapters.Error{Kind: adapters.Timeout}) {
				continue // the source did no work for it
			}
		}
		took := min(end.Sub(begin), f.cfg.Timeout)
		rest := restOfFreshness * took
		a.due = end.Add(rest)
		if rest > f.cfg.Every && !a.slow {
			a.slow = true
			f.cfg.Slow(t, took, rest)
		}
	}
}

// ageOf is the age of a department with these types; any is false when none of
// them has a moment, complete when the source answered for each.
func (f *Freshness) ageOf(types []*schema.Type) (out age, any, complete bool) {
	for _, t := range types {
		a := f.readings[questionOf(t)]
		within, err := time.ParseDuration(t.Fresh.Within)
		if !a.known || err != nil { // lint refuses what is no duration
			return age{}, false, false
		}
		if !a.moment {
			continue
		}
		if !any || a.newest.Before(out.asOf) {
			out.asOf = a.newest
		}
		if staleAt := a.newest.Add(within); !any || staleAt.Before(out.staleAt) {
			out.staleAt = staleAt
		}
		any = true
	}
	return out, any, true
}

// newest reads the greatest value of a type's freshness column; false when there
// is none, or what the source takes for the greatest is no moment.
func newest(ctx context.Context, source adapters.Adapter, t *schema.Type) (at time.Time, ok bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errPanic
		}
	}()
	statement, err := source.Compile(&adapters.Shape{
		Table: t.Source.Table, Columns: []adapters.Column{{Name: t.Fresh.Column, Kind: schema.DateTime}}, Newest: true,
	})
	if err != nil {
		return time.Time{}, false, err
	}
	rows, err := statement.Fetch(ctx, nil, nil)
	if err != nil {
		return time.Time{}, false, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var b adapters.Batch
	if err := rows.Next(&b); err != nil {
		if errors.Is(err, io.EOF) {
			return time.Time{}, false, nil
		}
		return time.Time{}, false, err
	}
	if b.Rows == 0 || b.Cols != 1 {
		return time.Time{}, false, nil
	}
	text, isNull := b.Cell(0, 0)
	if isNull {
		return time.Time{}, false, nil
	}
	at, err = time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		return time.Time{}, false, fmt.Errorf("%w: not a time", errRows)
	}
	return at, true, nil
}
