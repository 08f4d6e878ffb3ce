package noninterference

import (
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"testing"
)

// TestNonInterference runs sessions over two databases that are alike for their
// reader, and compares every byte.
func TestNonInterference(t *testing.T) {
	c := newCampaign(t)
	c.run(t, trialsWanted())
	t.Log(c.summary())
}

func trialsWanted() int {
	if n, err := strconv.Atoi(os.Getenv("WEIR_TRIALS")); err == nil && n > 0 {
		return n
	}
	if os.Getenv("WEIR_SOAK") == "1" {
		return 1_000_000
	}
	return 2_000
}

func seed() uint64 {
	if n, err := strconv.ParseUint(os.Getenv("WEIR_SEED"), 10, 64); err == nil {
		return n
	}
	return 1
}

// campaign counts what was tried.
type campaign struct {
	rig     *rig
	seed    uint64
	trials  int
	data    int // answers with data that is not null throughout
	refused int
	changes int
	queries map[string]int
	codes   map[string]int
	hits    map[hit]int
}

func newCampaign(t *testing.T) *campaign {
	c := &campaign{
		seed: seed(), queries: map[string]int{}, codes: map[string]int{}, hits: map[hit]int{},
		rig: newRig(t, [2]engine{newSQLite(t), newSQLite(t)}),
	}
	t.Logf("WEIR_SEED=%d", c.seed)
	return c
}

const sessionsPerWorld = 12

// run makes worlds until enough pairs were compared.
func (c *campaign) run(t *testing.T, trials int) {
	for number := uint64(0); c.trials < trials; number++ {
		w := newWorld(c.seed, number)
		st, err := c.rig.stage(w)
		if err != nil {
			t.Fatalf("seed %d, world %d: %v\n%s\n%s", c.seed, number, err, w.sdl(), w.policies[0].text())
		}
		for n := range uint64(sessionsPerWorld) {
			ss := c.rig.newSession(w, n)
			c.changes += len(ss.changes)
			found, err := st.run(ss, ss.second, c.count)
			if err != nil {
				t.Fatalf("seed %d, world %d, session %d: %v", c.seed, number, n, err)
			}
			if found != nil {
				t.Fatalf("seed %d, world %d, session %d, after %d trials:\n%s", c.seed, number, n, c.trials, st.explain(ss, found))
			}
		}
		st.close()
	}
}

func (c *campaign) count(st *step, a answer) {
	c.trials++
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
	return fmt.Sprintf("%d trials, %d with rows, %d cells and rows redrawn\nqueries %v\nfirst codes %v\n%s", c.trials, c.data, c.changes, c.queries, c.codes, c.table())
}

func (c *campaign) table() string {
	var lines []string
	for h, n := range c.hits {
		lines = append(lines, fmt.Sprintf("%-28s %-24s %-14s %7d", h.operator, h.position, h.decision, n))
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

// explain prints a reproduction with as few redrawn things and requests as it
// takes.
func (st *stage) explain(ss *session, found *difference) string {
	var b strings.Builder
	small, steps, d := st.shrink(ss, found)
	fmt.Fprintf(&b, "an answer depends on what its reader may not see.\n\nschema:\n%s\npolicy 0:\n%s\n", ss.w.sdl(), ss.w.policies[0].text())
	if len(ss.oracles) > 1 {
		fmt.Fprintf(&b, "policy 1:\n%s\n", ss.w.policies[1].text())
	}
	fmt.Fprintf(&b, "purposes required from %s, hidden from %s\nrows:\n", levelNames[ss.w.purposeFrom], levelNames[ss.w.hideFrom])
	for i, t := range ss.w.types {
		for _, r := range ss.first[i] {
			fmt.Fprintf(&b, "  %s#%d %s\n", t.name, r.id, t.show(r))
		}
	}
	b.WriteString("redrawn:\n")
	for _, c := range small {
		fmt.Fprintf(&b, "  %s\n", c.what)
	}
	b.WriteString("requests:\n")
	for i := range steps {
		fmt.Fprintf(&b, "  %d %s\n", i, steps[i].describe())
	}
	fmt.Fprintf(&b, "first:  %d\n%s\n%s\nsecond: %d\n%s\n%s\n", d.a.status, d.a.headers, d.a.body, d.b.status, d.b.headers, d.b.body)
	return b.String()
}

// shrink leaves out redrawn things and requests while the answers still differ.
func (st *stage) shrink(ss *session, found *difference) ([]change, []step, *difference) {
	changes, steps := ss.changes, ss.steps[:found.step+1]
	before := ss.observe(ss.first)
	attempt := func(cs []change, sts []step) *difference {
		db := ss.first
		for _, c := range cs {
			next, ok := c.apply(ss.w, db)
			if !ok {
				return nil
			}
			db = next
		}
		if !equalViews(before, ss.observe(db)) || st.fresh() != nil {
			return nil
		}
		again := *ss
		again.steps = sts
		d, err := st.run(&again, db, nil)
		if err != nil {
			return nil
		}
		return d
	}
	if attempt(changes, steps) == nil {
		return changes, steps, found // it needs what came before
	}
	for i := len(changes) - 1; i >= 0; i-- {
		fewer := append(append([]change(nil), changes[:i]...), changes[i+1:]...)
		if d := attempt(fewer, steps); d != nil {
			changes, found = fewer, d
		}
	}
	for i := len(steps) - 2; i >= 0; i-- {
		if handedOn(steps, i) {
			continue
		}
		fewer := append(append([]step(nil), steps[:i]...), renumbered(steps[i+1:], i)...)
		if d := attempt(changes, fewer); d != nil {
			steps, found = fewer, d
		}
	}
	return changes, steps, found
}

// handedOn reports whether a later step uses what step i was answered.
func handedOn(steps []step, i int) bool {
	for _, st := range steps[i+1:] {
		for _, v := range st.vars {
			if h, ok := v.(handed); ok && h.step == i {
				return true
			}
		}
	}
	return false
}

// renumbered moves references behind a removed step.
func renumbered(steps []step, removed int) []step {
	out := make([]step, len(steps))
	for n, st := range steps {
		vars := map[string]any{}
		for k, v := range st.vars {
			if h, ok := v.(handed); ok && h.step > removed {
				h.step--
				v = h
			}
			vars[k] = v
		}
		st.vars = vars
		out[n] = st
	}
	return out
}
