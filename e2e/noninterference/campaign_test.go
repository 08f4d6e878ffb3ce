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
	seed   uint64
	trials atomic.Int64
	next   atomic.Uint64 // world

	mu      sync.Mutex
	data    int // answers with rows
	changes int
	queries map[string]int
	codes   map[string]int
	hits    map[hit]int
}

func newCampaign(t *testing.T, engines func() [2]engine, workers int) *campaign {
	t.Helper()
	c := &campaign{seed: seed(), queries: map[string]int{}, codes: map[string]int{}, hits: map[hit]int{}}
	for range workers {
		c.rigs = append(c.rigs, newRig(t, engines()))
	}
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

// world runs the sessions of one.
func (c *campaign) world(r *rig, number uint64) error {
	w := newWorld(c.seed, number)
	st, err := r.stage(w)
	if err != nil {
		return fmt.Errorf("seed %d, world %d: %w\n%s\n%s", c.seed, number, err, w.sdl(), w.policies[0].text())
	}
	defer st.close()
	for n := range uint64(sessionsPerWorld) {
		ss := r.newSession(w, n)
		d, err := st.run(ss, ss.second, c.count)
		if err != nil {
			return fmt.Errorf("seed %d, world %d, session %d: %w", c.seed, number, n, err)
		}
		if d != nil {
			return fmt.Errorf("seed %d, world %d, session %d, after %d trials:\n%s", c.seed, number, n, c.trials.Load()+1, st.explain(ss, d))
		}
		c.mu.Lock()
		c.changes += len(ss.changes)
		c.mu.Unlock()
	}
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
	return fmt.Sprintf("%d trials, %d with rows, %d cells and rows redrawn, 0 differing\nqueries %v\nfirst codes %v\n%s",
		c.trials.Load(), c.data, c.changes, c.queries, c.codes, c.table())
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
