package exec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/schema"
)

// FreshnessConfig is what a Freshness is made of.
type FreshnessConfig struct {
	Adapters map[string]adapters.Adapter
	// Catalogue gives the one in force; it is asked before each round.
	Catalogue func() *schema.Catalogue
	// Every is the time between two rounds (one minute), Timeout that of one
	// department's part of a round (ten seconds).
	Every, Timeout time.Duration
	// Now is the clock; time.Now.
	Now func() time.Time
	// Report is told of a round that failed for a department; may be nil.
	Report func(department string, err error)
}

var _ Ages = (*Freshness)(nil)

// Freshness knows how old each department's data is. It asks on a schedule and
// never on a request's way: per type with @fresh the newest value of the
// column. A department is as old as the oldest of its types, and stale when one
// of them is older than declared. Safe for concurrent use.
type Freshness struct {
	cfg  FreshnessConfig
	ages atomic.Pointer[map[string]age]
}

// age is what one round found. A department is stale from the moment staleAt,
// which may lie ahead of the round.
type age struct {
	asOf, staleAt time.Time
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

// Refresh is one round. A department that cannot be asked keeps what was known
// of it, which then grows old by the clock.
func (f *Freshness) Refresh(ctx context.Context) {
	catalogue := f.cfg.Catalogue()
	if catalogue == nil {
		return
	}
	type found struct {
		department string
		age        age
		any        bool
		err        error
	}
	results := make(chan found)
	for _, name := range catalogue.Departments {
		go func() {
			out := found{department: name}
			out.age, out.any, out.err = f.ask(ctx, catalogue, name)
			results <- out
		}()
	}
	before, after := *f.ages.Load(), map[string]age{}
	for range catalogue.Departments {
		r := <-results
		switch old, known := before[r.department]; {
		case r.err != nil:
			f.cfg.Report(r.department, r.err)
			if known {
				after[r.department] = old
			}
		case r.any:
			after[r.department] = r.age
		}
	}
	f.ages.Store(&after)
}

// ask reads the newest value per type of a department; any is false when none
// of its types declares a freshness, or none has rows.
func (f *Freshness) ask(ctx context.Context, catalogue *schema.Catalogue, department string) (out age, any bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errPanic
		}
	}()
	source := f.cfg.Adapters[department]
	if source == nil {
		return age{}, false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, f.cfg.Timeout)
	defer cancel()
	for _, t := range catalogue.Types {
		if t.Source.Department != department || t.Fresh == nil {
			continue
		}
		within, err := time.ParseDuration(t.Fresh.Within)
		if err != nil {
			return age{}, false, fmt.Errorf("%s: %w", t.Name, err)
		}
		newest, ok, err := newest(ctx, source, t)
		if err != nil {
			return age{}, false, fmt.Errorf("%s: %w", t.Name, err)
		}
		if !ok {
			continue
		}
		staleAt := newest.Add(within)
		if !any || newest.Before(out.asOf) {
			out.asOf = newest
		}
		if !any || staleAt.Before(out.staleAt) {
			out.staleAt = staleAt
		}
		any = true
	}
	return out, any, nil
}

// newest reads the greatest value of a type's freshness column; false when the
// table has no row.
func newest(ctx context.Context, source adapters.Adapter, t *schema.Type) (at time.Time, ok bool, err error) {
	column := adapters.Column{Name: t.Fresh.Column, Kind: schema.DateTime}
	statement, err := source.Compile(&adapters.Shape{
		Table: t.Source.Table, Columns: []adapters.Column{column},
		Order: []adapters.Order{{Column: column, Desc: true}}, Limit: &adapters.Bound{Param: -1, Plus: 1},
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
