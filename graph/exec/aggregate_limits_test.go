package exec

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/weir-data/weir/graph/plan"
)

func TestAggregatesAreCharged(t *testing.T) {
	w := census(t, crowd(rand.New(rand.NewPCG(1, 1)), 100), nil) //nolint:gosec // the same people each time
	w.groups(t, "auditor", "{ a: peopleAggregate { count sum { income } } }")
	w.groups(t, "planner", "{ a: peopleAggregate(where: {district: {_eq: \"A\"}}) { count } }")
	if got := w.budgets.spent(chargeAggregate); len(got) != 0 {
		t.Errorf("exact numbers were charged %v", got)
	}
	w.groups(t, "statistician", "{ a: peopleAggregate { count sum { income } avg { income } } b: peopleAggregate { avg { debt } } }")
	w.groups(t, "planner", "{ a: peopleAggregate { count avg { income } } }")
	if got := w.budgets.spent(chargeAggregate); !slices.Equal(got, []int{4}) {
		t.Errorf("charged %v, want count, income and debt for one and income for the other", got)
	}
	w.executor.aggregates.PerDay = 4
	if got := codes(t, w, "statistician", "{ a: peopleAggregate { count } }", nil); got != string(plan.RateLimited) {
		t.Errorf("a spent budget gives %s", got)
	}
	w.executor.budgets = nil
	w.executor.report = func(error) {}
	if got := codes(t, w, "statistician", "{ a: peopleAggregate { count } }", nil); got != string(plan.Internal) {
		t.Errorf("without budgets: %s", got)
	}
}

// A day's budget is the application's, whoever asks through it; readers without
// one have their own.
func TestBudgetIsTheApplications(t *testing.T) {
	w := census(t, crowd(rand.New(rand.NewPCG(1, 1)), 100), nil) //nolint:gosec // the same people each time
	for _, who := range []struct{ application, subject string }{{"desk", "a"}, {"desk", "b"}, {"phone", "a"}, {"", "a"}, {"", "b"}, {"", "b"}, {"", "b"}} {
		req := w.as("statistician subject " + who.subject)
		req.Subject.Application = who.application
		if a := w.ask(req, "{ a: peopleAggregate { count } }", nil); len(a.Errors) > 0 {
			t.Fatal(a.Errors)
		}
	}
	if got := w.budgets.spent(chargeAggregate); !slices.Equal(got, []int{1, 1, 2, 3}) {
		t.Errorf("spent %v, want one by phone and by a, two by desk, three by b", got)
	}
}

func TestAggregatesAreBounded(t *testing.T) {
	w := census(t, crowd(rand.New(rand.NewPCG(1, 1)), 200), nil) //nolint:gosec // the same people each time
	w.executor.aggregates.MaxRows = 100
	if got := codes(t, w, "auditor", "{ a: peopleAggregate { group { id } count } }", nil); got != string(plan.LimitExceeded) {
		t.Errorf("200 rows of at most 100: %s", got)
	}
	// Equal rows count once.
	if got := codes(t, w, "auditor", "{ a: peopleAggregate { group { district } count } }", nil); !strings.HasPrefix(got, `{"a":[{`) {
		t.Errorf("few different rows: %s", got)
	}
	w.executor.aggregates.MaxRows, w.executor.maxBytes = 1_000, 4_000
	if got := codes(t, w, "statistician", "{ a: peopleAggregate { group { district } count } }", nil); got != string(plan.LimitExceeded) {
		t.Errorf("200 persons in 4,000 bytes: %s", got)
	}
}

// At most as many groups are shown as a list may have rows, the first ones, and
// the answer says that there are more.
func TestMoreGroupsThanAreShown(t *testing.T) {
	most := plan.DefaultLimits().MaxLimit
	for _, c := range []struct {
		people    int
		truncated bool
	}{{most - 1, false}, {most, false}, {most + 1, true}, {2*most + 3, true}} {
		people := make([]citizen, c.people)
		for i := range people {
			people[i].id = strconv.Itoa(10_000 + i)
		}
		w := census(t, people, nil)
		got := w.groups(t, "auditor", "{ a: peopleAggregate { group { id } count } }")
		if len(got) != min(c.people, most) {
			t.Errorf("%d groups are shown of %d", len(got), c.people)
		}
		for i, g := range got {
			if shown, _ := g["group"].(map[string]any); shown["id"] != people[i].id {
				t.Fatalf("group %d of %d is %v, want %s", i, c.people, shown["id"], people[i].id)
			}
		}
		if said := strings.Contains(string(w.last.Reads.Extension), `"truncated":["a"]`); said != c.truncated {
			t.Errorf("of %d groups it is said: %s", c.people, w.last.Reads.Extension)
		}
	}
}

// What is not exact says so.
func TestNoiseIsDeclared(t *testing.T) {
	w := census(t, crowd(rand.New(rand.NewPCG(1, 1)), 100), nil) //nolint:gosec // the same people each time
	w.ask(w.as("planner"), "{ a: peopleAggregate { count avg { income } } }", nil)
	if got, want := string(w.last.Reads.Extension), `"access":{"noised":[{"field":"Person.income","path":"a.avg.income","level":"L3"}]}`; !strings.Contains(got, want) {
		t.Errorf("%s, want %s", got, want)
	}
}
