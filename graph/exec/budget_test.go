package exec

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-data/weir/graph/plan"
)

// memoryBudgets keeps what was spent in memory, for tests.
type memoryBudgets struct {
	mu     sync.Mutex
	used   map[Charge]int // without N and Limit
	broken error
	asked  int
}

func (b *memoryBudgets) Spend(_ context.Context, charges []Charge) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	if b.broken != nil {
		return b.broken
	}
	next := map[Charge]int{}
	for _, c := range charges {
		k := Charge{Kind: c.Kind, Key: c.Key}
		next[k] += c.N
		if b.used[k]+next[k] > c.Limit {
			return ErrSpent
		}
	}
	if b.used == nil {
		b.used = map[Charge]int{}
	}
	for k, n := range next {
		b.used[k] += n
	}
	return nil
}

// spent lists what was used, by kind.
func (b *memoryBudgets) spent(kind string) []int {
	var out []int
	for k, n := range b.used {
		if k.Kind == kind {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

func codes(t testing.TB, w *world, who, query string, variables map[string]any) string {
	t.Helper()
	a := w.ask(w.as(who), query, variables)
	if len(a.Errors) == 0 {
		return string(a.Data)
	}
	code, _ := a.Errors[0].Extensions["code"].(string)
	return code
}

// TestChargesCountWhatIsStated: aliases each, hits and misses alike, per reader
// and per stated key; what the reader sees anyway is free.
func TestChargesCountWhatIsStated(t *testing.T) {
	w := newWorld(t)
	const clerk = "clerk purpose births"
	check(t, "answers", codes(t, w, clerk, `{
		a: personMatch(id: "100", expect: {name: "张伟"})
		b: personMatch(id: "100", expect: {name: "nobody", householdNumber: "h1"})
		c: personMatch(id: "404", expect: {name: "x"})
		d: personMatch(id: "100", expect: {name: "张伟"})
		e: person(id: "100") { district }
		f: person(id: "100") { district }
	}`, nil), `{"a":true,"b":false,"c":false,"d":true,"e":{"district":null},"f":{"district":null}}`)
	if diff := cmp.Diff([]int{2 + 3 + 2 + 2 + 1 + 1}, w.budgets.spent(chargeReader)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{2, 2 + 3 + 2 + 1 + 1}, w.budgets.spent(chargeKey)); diff != "" {
		t.Error(diff)
	}
	// One key is one key in whatever type it is stated; another reader's is his.
	codes(t, w, clerk, `{ people: certificates(holder: "100") { number } }`, nil)
	codes(t, w, clerk+" subject other", `query($id: String!) { personMatch(id: $id, expect: {name: "x"}) }`, map[string]any{"id": "100"})
	if diff := cmp.Diff([]int{2, 2, 2 + 3 + 2 + 1 + 1 + 1}, w.budgets.spent(chargeKey)); diff != "" {
		t.Error(diff)
	}
	before := w.budgets.asked
	check(t, "in clear", codes(t, w, "reader purpose births", `{ personMatch(id: "100", expect: {name: "张伟"}) person(id: "100") { name } }`, nil),
		`{"personMatch":true,"person":{"name":"张伟"}}`)
	if w.budgets.asked != before {
		t.Error("what a reader sees in clear was charged")
	}
}

// TestBudgetsAreOfAllPurposes: to state another purpose gives no further guesses,
// neither of the key nor to the reader.
func TestBudgetsAreOfAllPurposes(t *testing.T) {
	w := newWorld(t)
	for _, purpose := range []string{"births", "cases"} {
		check(t, purpose, codes(t, w, "notary purpose "+purpose, `{ personMatch(id: "100", expect: {name: "x"}) }`, nil), `{"personMatch":false}`)
	}
	if key, reader := w.budgets.spent(chargeKey), w.budgets.spent(chargeReader); !slices.Equal(key, []int{4}) || !slices.Equal(reader, []int{4}) {
		t.Errorf("of the key %v, of the reader %v: want four each", key, reader)
	}
}

// TestSpentBudgets: over budget nothing is sent and the request is recorded as
// refused; within it the rest goes on.
func TestSpentBudgets(t *testing.T) {
	w := newWorld(t)
	w.executor.matchLimits = MatchLimits{Reader: 8, Key: 4}
	sent := w.sent.Load
	const clerk = "clerk purpose births"
	ask := func(query string) string { return codes(t, w, clerk, query, nil) }
	check(t, "first", ask(`{ personMatch(id: "100", expect: {name: "a"}) }`), `{"personMatch":false}`)
	check(t, "second", ask(`{ personMatch(id: "100", expect: {name: "b"}) }`), `{"personMatch":false}`)
	before := sent()
	check(t, "the key is spent", ask(`{ personMatch(id: "100", expect: {name: "张伟"}) }`), "RATE_LIMITED")
	check(t, "also by another root", ask(`{ person(id: "100") { name } }`), "RATE_LIMITED")
	check(t, "also beside what is free", ask(`{ __typename person(id: "100") { name } certificates(holder: "101") { number } }`), "RATE_LIMITED")
	if n := sent(); n != before {
		t.Errorf("%d statements were sent over budget", n-before)
	}
	if r := w.last.Reads; r.Kind != "refused" || r.Code != "RATE_LIMITED" {
		t.Errorf("recorded as %s %s", r.Kind, r.Code)
	}
	// A refused request takes nothing: four are left for other keys.
	check(t, "another key", ask(`{ personMatch(id: "101", expect: {name: "b"}) personMatch2: personMatch(id: "102", expect: {name: "b"}) }`), `{"personMatch":false,"personMatch2":false}`)
	check(t, "the reader is spent", ask(`{ personMatch(id: "103", expect: {name: "b"}) }`), "RATE_LIMITED")
}

// TestBudgetsFailClosed: without a store, or with one that fails, nothing that
// would be charged is served, and all else is.
func TestBudgetsFailClosed(t *testing.T) {
	w := newWorld(t)
	w.executor.report = func(error) {}
	query := `{ personMatch(id: "100", expect: {name: "张伟"}) }`
	w.budgets.broken = errors.New("disk")
	before := w.sent.Load()
	check(t, "broken", codes(t, w, "clerk purpose births", query, nil), string(plan.Internal))
	w.executor.budgets = nil
	check(t, "none", codes(t, w, "clerk purpose births", query, nil), string(plan.Internal))
	if w.sent.Load() != before {
		t.Error("a statement was sent")
	}
	check(t, "free", codes(t, w, "reader purpose births", query, nil), `{"personMatch":true}`)
}
