package noninterference

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-data/weir/adapters"
)

// clock is one that a test moves.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()) }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

func newClock() *clock {
	c := &clock{}
	c.at.Store(1e18)
	return c
}

// handStops beats when the test says so.
func handStops(c *clock) *stops { return &stops{now: c.now, last: c.now()} }

func TestStops(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := handStops(c)
	beat := func() {
		t.Helper()
		if err := s.beat(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	want := func(what string, begin time.Time, want time.Duration) {
		t.Helper()
		if got := s.since(begin); got != want {
			t.Errorf("%s: a stop of %v, want %v", what, got, want)
		}
	}
	begin := c.now()
	for range 100 {
		c.advance(leastStop - time.Nanosecond)
		beat()
	}
	want("slow beats", begin, 0)
	c.advance(leastStop)
	want("a stop that lasts", begin, leastStop)
	middle := c.now()
	want("one that lasted before the beginning", middle, 0)
	c.advance(3 * time.Second)
	beat()
	want("a stop that is over", begin, leastStop+3*time.Second)
	want("the part of it before the beginning is not counted", middle, 0)
	want("as much of it as counts", middle.Add(-2*time.Second), leastStop)
	c.advance(time.Second)
	beat()
	want("a stop some beats ago", begin, leastStop+3*time.Second)
	want("after it", c.now(), 0)

	s.pulses = append(s.pulses, func(context.Context) error { c.advance(2 * leastStop); return nil })
	begin = c.now()
	beat()
	want("a database that stood still", begin, 2*leastStop)

	s.pulses = append(s.pulses, func(context.Context) error { return errors.New("gone") })
	if err := s.beat(t.Context()); err == nil {
		t.Error("a database is gone, and the beat says nothing")
	}
	c.advance(time.Hour)
	want("without a beat nothing is a stop", begin, 0)
}

// TestStopsBeat: the beat beside a test notices that its database hangs, and
// that it does not any more.
func TestStopsBeat(t *testing.T) {
	t.Parallel()
	e := &hanging{engine: newSQLite(t), alive: make(chan struct{})}
	s := watchStops(t, e)
	for range 3 {
		e.alive <- struct{}{}
	}
	// It hangs now. To the beat it is as though the last one had been long ago.
	s.mu.Lock()
	s.last = s.last.Add(-2 * leastStop)
	s.mu.Unlock()
	if stop := s.since(time.Now().Add(-time.Hour)); stop < 2*leastStop {
		t.Errorf("a stop of %v, want %v that lasts", stop, 2*leastStop)
	}
	over := make(chan struct{})
	go func() { s.over(); close(over) }()
	select {
	case <-over:
		t.Error("it is said to be over, and there was no beat")
	case <-time.After(5 * beatEvery):
	}
	close(e.alive)
	<-over
}

// hanging gives a sign of life when the test lets it.
type hanging struct {
	engine
	alive chan struct{}
}

func (h *hanging) pulse(ctx context.Context) error {
	select {
	case <-h.alive:
	case <-ctx.Done():
	}
	return nil
}

// failing is an engine of which one fetch fails.
type failing struct {
	engine
	fetches int    // before it
	cause   error  // nil: no error, and no row either
	then    func() // told of it

	done atomic.Int64
}

func (f *failing) adapters() map[string]adapters.Adapter {
	out := map[string]adapters.Adapter{}
	for name, a := range f.engine.adapters() {
		out[name] = failingAdapter{a, f}
	}
	return out
}

type failingAdapter struct {
	adapters.Adapter
	f *failing
}

func (a failingAdapter) Compile(s *adapters.Shape) (adapters.Statement, error) {
	st, err := a.Adapter.Compile(s)
	return failingStatement{st, a.f}, err
}

type failingStatement struct {
	adapters.Statement
	f *failing
}

func (s failingStatement) Fetch(ctx context.Context, args []adapters.Arg, keys *adapters.Keys) (adapters.Rows, error) {
	if int(s.f.done.Add(1)) == s.f.fetches+1 {
		s.f.then()
		if s.f.cause == nil {
			return noRows{}, nil
		}
		return nil, s.f.cause
	}
	return s.Statement.Fetch(ctx, args, keys)
}

type noRows struct{}

func (noRows) Next(b *adapters.Batch) error {
	b.Rows = 0
	return io.EOF
}

func (noRows) Close() error { return nil }

// What failed for a time limit is run again when there was a stop, and counts
// once; without a stop, or for another reason, it fails.
func TestStopIsNoDifference(t *testing.T) {
	t.Parallel()
	// The answer of which this fetch is a part is compared, and shows rows.
	const trials, fetches = 100, 67
	late := &adapters.Error{Kind: adapters.Timeout}
	run := func(cause error, stop time.Duration) (*campaign, []string, error) {
		c := newClock()
		s := handStops(c)
		f := &failing{engine: newSQLite(t), fetches: fetches, cause: cause, then: func() {
			c.advance(stop)
			if err := s.beat(t.Context()); err != nil {
				t.Error(err)
			}
		}}
		run := newCampaign(t, func() [2]engine { return [2]engine{newSQLite(t), f} }, 1)
		run.seed, run.stops = 1, s
		run.next.Store(0)
		var said []string
		run.log = func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
		for n := uint64(0); run.trials.Load() < trials; n++ {
			if err := run.world(run.rigs[0], n); err != nil {
				return run, said, err
			}
		}
		if f.done.Load() <= fetches {
			t.Fatal("too few fetches: nothing failed")
		}
		return run, said, nil
	}
	stopped, said, err := run(late, 2*leastStop)
	if err != nil {
		t.Fatal(err)
	}
	if stopped.repeated != 1 || len(said) != 1 || !strings.Contains(said[0], "stopped for 10.0 s") || !strings.Contains(said[0], "SOURCE_TIMEOUT") {
		t.Errorf("%d repeated, and it is said: %q", stopped.repeated, said)
	}
	if !strings.Contains(stopped.summary(), "1 worlds run again") {
		t.Errorf("the summary does not say so:\n%s", stopped.summary())
	}
	whole := newCampaign(t, func() [2]engine { return [2]engine{newSQLite(t), newSQLite(t)} }, 1)
	whole.seed = 1
	whole.next.Store(0)
	whole.run(t, trials)
	stopped.repeated = 0
	if got, want := stopped.summary(), whole.summary(); got != want {
		t.Errorf("a world that is run again counts otherwise:\n%s\nwithout a stop:\n%s", got, want)
	}
	for what, of := range map[string]struct {
		cause error
		stop  time.Duration
	}{
		"a time limit without a stop":     {late, leastStop - 1},
		"a stop without a time limit":     {nil, 2 * leastStop},
		"neither a stop nor a time limit": {nil, 0},
	} {
		_, said, err := run(of.cause, of.stop)
		if err == nil || !strings.Contains(err.Error(), "an answer depends on") || len(said) > 0 {
			t.Errorf("%s is no difference: %v\n%q", what, err, said)
		}
	}
}

// The same where a record is held to what its database saw.
func TestStopIsNoIncompleteRecord(t *testing.T) {
	t.Parallel()
	run := func(at int, cause error, stop time.Duration) (*completeness, []string, error) {
		e, ok := newSQLite(t).(*sqliteEngine)
		if !ok {
			t.Fatal("another engine")
		}
		clock := newClock()
		s := handStops(clock)
		c := newCompleteness(t, e, &failingView{databaseView: newAuthorized(t, e), left: at, cause: cause, then: func() {
			clock.advance(stop)
			if err := s.beat(t.Context()); err != nil {
				t.Error(err)
			}
		}})
		c.seed, c.stops = 1, s
		var said []string
		c.log = func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
		err := errors.Join(c.world(0), c.world(1))
		return c, said, err
	}
	late := fmt.Errorf("run again: %w", &adapters.Error{Kind: adapters.Timeout})
	whole, _, err := run(0, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	stopped, said, err := run(10, late, 2*leastStop)
	if err != nil {
		t.Fatal(err)
	}
	if stopped.repeated != 1 || len(said) != 1 || !strings.Contains(said[0], "stopped for 10.0 s") {
		t.Errorf("%d repeated, and it is said: %q", stopped.repeated, said)
	}
	if !reflect.DeepEqual(stopped.tally, whole.tally) {
		t.Errorf("a world that is run again counts %+v, and otherwise %+v", stopped.tally, whole.tally)
	}
	for what, of := range map[string]struct {
		cause error
		stop  time.Duration
	}{
		"a time limit without a stop": {late, leastStop - 1},
		"a stop without a time limit": {errIncomplete, 2 * leastStop},
		"another fault of a source":   {&adapters.Error{Kind: adapters.Invalid}, 2 * leastStop},
	} {
		if _, said, err := run(10, of.cause, of.stop); !errors.Is(err, of.cause) || len(said) > 0 {
			t.Errorf("%s is no failure: %v\n%q", what, err, said)
		}
	}
}

// failingView fails once.
type failingView struct {
	databaseView
	left  int
	cause error
	then  func() // told of it
}

func (v *failingView) read(statements []sent, recorded map[column]bool) (map[column]bool, bool, error) {
	if v.left--; v.left == 0 {
		v.then()
		return nil, false, v.cause
	}
	return v.databaseView.read(statements, recorded)
}

// A record that is written after its answer was refused for it belongs to none,
// which is no excuse but for the first record after such a refusal.
func TestRecordAfterAStop(t *testing.T) {
	t.Parallel()
	for _, behind := range []bool{true, false} {
		e, ok := newSQLite(t).(*sqliteEngine)
		if !ok {
			t.Fatal("another engine")
		}
		c := newCompleteness(t, e, newAuthorized(t, e))
		c.seed = 1
		if err := c.world(0); err != nil {
			t.Fatal(err)
		}
		another := httptest.NewRequest(http.MethodGet, "/graphql?query={__typename}", nil)
		another.Header.Set("Authorization", "Bearer warm")
		c.side.serve(another)
		c.behind = behind
		clock := newClock()
		c.stops = handStops(clock)
		c.stops.known = []interval{{clock.now(), clock.now().Add(time.Hour)}}
		err := c.world(1)
		if behind && (err != nil || c.behind) {
			t.Errorf("after a stop: %v, still behind: %v", err, c.behind)
		}
		if !behind && (err == nil || c.repeated > 0 || !strings.Contains(err.Error(), "not the answer's")) {
			t.Errorf("a record of no answer is passed over: %v", err)
		}
	}
}

// What a time limit can leave in answers.
func TestLate(t *testing.T) {
	t.Parallel()
	answered := func(codes ...string) answer {
		var raw strings.Builder
		for _, c := range codes {
			fmt.Fprintf(&raw, `{"code":"%s"}`, c)
		}
		return answer{raw: raw.String()}
	}
	none, late, ledger := answered(), answered("SOURCE_TIMEOUT"), answered("LEDGER_UNAVAILABLE")
	for _, c := range []struct {
		a, b    answer
		faulted bool
		want    bool
	}{
		{none, none, false, false},
		{none, late, false, true},
		{ledger, none, true, true},
		{late, late, false, true}, // both late, each at another place
		{late, late, true, false}, // injected
		{late, ledger, true, true},
		{answered("FORBIDDEN"), answered("INTERNAL"), false, false},
	} {
		st := &step{}
		if c.faulted {
			st.fault = &fault{}
		}
		if got := st.late(c.a, c.b); got != c.want {
			t.Errorf("%q and %q, fault injected %v: late %v", c.a.raw, c.b.raw, c.faulted, got)
		}
	}
}
