package noninterference

import (
	"os"
	"strconv"
	"testing"
)

// Sizes of runs, in trials: compared pairs of answers. PostgreSQL takes a share.
const (
	shortTrials   = 2_000
	soakTrials    = 1_000_000
	postgresShare = 20
)

// TestNonInterference runs sessions over two databases that are alike for their
// reader, and compares every byte. WEIR_SOAK=1 runs a million trials,
// WEIR_TRIALS any number; WEIR_SEED and WEIR_FROM (a world's number) begin where
// a run left off.
func TestNonInterference(t *testing.T) {
	c := newCampaign(t, func() [2]engine { return [2]engine{newSQLite(t), newSQLite(t)} }, 2)
	c.run(t, trialsWanted())
	t.Log(c.summary())
}

// TestNonInterferencePostgres is the same over PostgreSQL.
func TestNonInterferencePostgres(t *testing.T) {
	c := newCampaign(t, func() [2]engine { return [2]engine{newPostgres(t, "a"), newPostgres(t, "b")} }, 1)
	c.run(t, trialsWanted()/postgresShare)
	t.Log(c.summary())
}

func trialsWanted() int {
	if n, err := strconv.Atoi(os.Getenv("WEIR_TRIALS")); err == nil && n > 0 {
		return n
	}
	if os.Getenv("WEIR_SOAK") == "1" {
		return soakTrials
	}
	return shortTrials
}

func number(name string, otherwise uint64) uint64 {
	if n, err := strconv.ParseUint(os.Getenv(name), 10, 64); err == nil {
		return n
	}
	return otherwise
}

func seed() uint64 { return number("WEIR_SEED", 1) }

// TestPositiveControl changes a cell that is clear and selected: the answer
// changes, or the harness would see nothing.
func TestPositiveControl(t *testing.T) {
	t.Parallel()
	const wanted = 60
	rig := newRig(t, [2]engine{newSQLite(t), newSQLite(t)})
	controls := 0
	for n := uint64(0); controls < wanted; n++ {
		w := newWorld(seed(), 1<<32+n)
		st, err := rig.stage(w)
		if err != nil {
			t.Fatal(err)
		}
		for i := range uint64(4) {
			ss := rig.newSession(w, i)
			ss.oracles = ss.oracles[:1]
			changed, field, ok := ss.clearCell(newSource(seed(), n<<8|i))
			if !ok {
				continue
			}
			controls++
			query := "{ a: " + w.types[changed.t].plural() + "(limit: 1000) { " + field + " } }"
			ss.steps = []step{{reader: ss.reader, purpose: ss.purpose, watched: true, doc: query}}
			second, _ := changed.apply(w, ss.first)
			d, err := st.run(ss, second, nil)
			if err != nil {
				t.Fatal(err)
			}
			if d == nil {
				t.Errorf("%s: the answer to %s is the same", changed.what, query)
			}
		}
		st.close()
	}
}

// clearCell draws a change of a cell that the reader sees as it is.
func (ss *session) clearCell(s source) (c change, field string, ok bool) {
	o := ss.oracles[0]
	for range 30 {
		t := pick(s, ss.w.types...)
		if len(ss.first[t.index]) == 0 {
			continue
		}
		r := pick(s, ss.first[t.index]...)
		i := s.IntN(len(t.fields))
		to := ss.w.newCell(s, t, t.fields[i])
		tr := o.truths(ss.first, t, r)
		if o.held(t, 0, tr, false)&(capMask|capClear) == 0 || o.held(t, 1+i, tr, false)&capClear == 0 ||
			to == r.cells[i] || !to.null && !r.cells[i].null && compare(t.fields[i].kind, to.text, r.cells[i].text) == 0 {
			continue
		}
		next := r.clone()
		next.cells[i] = to
		c = change{t.index, r.id, next, t.name + "." + t.fields[i].name + ": " + r.cells[i].String() + " -> " + to.String()}
		changed, applies := c.apply(ss.w, ss.first)
		// It must stay clear: else its mask could look like it did.
		if applies && o.held(t, 1+i, o.truths(changed, t, next), false)&capClear != 0 && o.held(t, 0, o.truths(changed, t, next), false)&(capMask|capClear) != 0 {
			return c, t.fields[i].name, true
		}
	}
	return change{}, "", false
}
