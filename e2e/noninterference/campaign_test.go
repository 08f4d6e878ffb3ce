package noninterference

import (
	"fmt"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"
)

// campaign runs worlds side by side and counts what was tried.
type campaign struct {
	rigs   []*rig
	stops  *stops
	log    func(format string, args ...any)
	seed   uint64
	trials atomic.Int64
	next   atomic.Uint64 // world

	mu       sync.Mutex
	data     int // answers with rows
	changes  int
	repeated int // worlds, after a stop
	queries  map[string]int
	codes    map[string]int
	hits     map[hit]int
}

func newCampaign(t *testing.T, engines func() [2]engine, workers int) *campaign {
	t.Helper()
	c := &campaign{log: t.Logf, seed: seed(), queries: map[string]int{}, codes: map[string]int{}, hits: map[hit]int{}}
	for range workers {
		c.rigs = append(c.rigs, newRig(t, engines()))
	}
	var beating []engine
	for _, r := range c.rigs {
		beating = append(beating, r.sides[0].engine, r.sides[1].engine)
	}
	c.stops = watchStops(t, beating...)
	c.next.Store(number("WEIR_FROM", 0))
	t.Logf("WEIR_SEED=%d WEIR_FROM=%d", c.seed, c.next.Load())
	return c
}

// sessionsPerWorld share a schema and policies. Few do: what a leak takes is
// mostly the world's, and making one costs less than one session.
const sessionsPerWorld = 4

// progress is how often a long run says where it is.
const progress = 10_000

// run makes worlds until enough pairs were compared.
func (c *campaign) run(t *testing.T, trials int) {
	t.Helper()
	var group errgroup.Group
	for _, r := range c.rigs {
		group.Go(func() error {
			for c.trials.Load() < int64(trials) {
				before, n := c.trials.Load(), c.next.Add(1)-1
				if err := c.world(r, n); err != nil {
					return err
				}
				if before/progress != c.trials.Load()/progress {
					t.Logf("%d trials, 0 differing; to go on from here: WEIR_SEED=%d WEIR_FROM=%d", c.trials.Load(), c.seed, n)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// world runs the sessions of one, and once more those that a stop interrupted.
func (c *campaign) world(r *rig, number uint64) error {
	counted := uint64(0)
	for repeats := 0; ; repeats++ {
		begin := c.stops.now()
		err := c.attempt(r, number, &counted)
		stop, yes := c.stops.interrupted(begin, err)
		if !yes {
			return err
		}
		if repeats == mostRepeats {
			return fmt.Errorf("%d stops: %w", repeats, err)
		}
		c.log("stopped for %.1f s; what failed meanwhile is run again, from the world's beginning: %v", stop.Seconds(), err)
		c.mu.Lock()
		c.repeated++
		c.mu.Unlock()
		c.stops.over()
	}
}

// attempt runs the sessions of a world from the first, so that caches are what
// they were. The first ones that are counted are not counted again.
func (c *campaign) attempt(r *rig, number uint64, counted *uint64) error {
	w := newWorld(c.seed, number)
	st, err := r.stage(w)
	if err != nil {
		return fmt.Errorf("seed %d, world %d: %w\n%s\n%s", c.seed, number, err, w.sdl(), w.policies[0].text())
	}
	defer st.close()
	for n := range uint64(sessionsPerWorld) {
		if err := c.session(st, n, counted); err != nil {
			return fmt.Errorf("seed %d, world %d, session %d, %w", c.seed, number, n, err)
		}
	}
	return nil
}

// session runs one of a stage's world.
func (c *campaign) session(st *stage, n uint64, counted *uint64) error {
	type pair struct {
		step *step
		a    answer
	}
	var pairs []pair
	begin, ss := c.stops.now(), st.rig.newSession(st.w, n)
	d, err := st.run(ss, ss.second, func(s *step, a answer) { pairs = append(pairs, pair{s, a}) })
	if err != nil {
		return err
	}
	if d != nil && d.late && c.stops.since(begin) > 0 {
		return fmt.Errorf("request %d: %w: %s\n%s\n%s", d.step, errLate, ss.steps[d.step].describe(), d.a.raw, d.b.raw)
	}
	if n >= *counted {
		for _, p := range pairs {
			c.count(p.step, p.a)
		}
	}
	if d != nil {
		return fmt.Errorf("after %d trials:\n%s", c.trials.Load()+1, st.explain(ss, d))
	}
	if n < *counted {
		return nil
	}
	*counted = n + 1
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes += len(ss.changes)
	return nil
}

func (c *campaign) count(st *step, a answer) {
	c.trials.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queries[st.expecting]++
	for _, h := range st.hits {
		c.hits[h]++
	}
	if data, ok := strings.CutPrefix(a.raw, `{"data":{`); ok {
		data, _, _ = strings.Cut(data, `,"extensions":{"weir"`)
		if strings.Contains(data, `":[{`) || strings.Contains(data, `":{"`) {
			c.data++
		}
	}
	if _, after, found := strings.Cut(a.raw, `"code":"`); found {
		code, _, _ := strings.Cut(after, `"`)
		c.codes[code]++
	}
}

func (c *campaign) summary() string {
	return fmt.Sprintf("%d trials, %d with rows, %d cells and rows redrawn, 0 differing; %d worlds run again after a stop\nqueries %v\nfirst codes %v\n%s",
		c.trials.Load(), c.data, c.changes, c.repeated, c.queries, c.codes, c.table())
}

// table prints how often each operator met each decision, by position.
func (c *campaign) table() string {
	columns := decisions()
	rows := map[string][]int{}
	for h, n := range c.hits {
		key := fmt.Sprintf("%-28s %-24s", h.operator, h.position)
		if rows[key] == nil {
			rows[key] = make([]int, len(columns)+1)
		}
		at := len(columns)
		for i, d := range columns {
			if d == h.decision {
				at = i
			}
		}
		rows[key][at] += n
	}
	var lines []string
	for key, ns := range rows {
		line := key
		for _, n := range ns {
			line += fmt.Sprintf(" %8d", n)
		}
		lines = append(lines, line)
	}
	sort.Strings(lines)
	return fmt.Sprintf("%-28s %-24s", "operator", "position") + fmt.Sprintf(" %8s %8s %8s %8s %8s\n", "clear", "partly", "masked", "withheld", "other") + strings.Join(lines, "\n")
}

func decisions() []string { return []string{"clear", "partly", "masked", "withheld"} }
