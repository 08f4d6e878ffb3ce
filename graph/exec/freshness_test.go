package exec

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/schema"
)

// dated is a source of tables that hold one moment each, whose answers take
// their time and may fail. Run it in a synctest bubble.
type dated struct {
	mu    sync.Mutex
	takes map[string]time.Duration // by table
	fails map[string]error
	asked map[string]int
	deaf  bool     // it does not end with its context, as a machine that stood still
	slow  []string // of which types Slow was told
	wrong []string // what Report was told
}

func newDated() *dated {
	return &dated{takes: map[string]time.Duration{}, fails: map[string]error{}, asked: map[string]int{}}
}

// freshness is one of a department "police" with these tables; each is as old as
// its moment says, "" for a table without rows.
func (d *dated) freshness(moments map[string]string, tables ...string) *Freshness {
	source := &memory{tables: map[string]*memoryTable{}}
	catalogue := &schema.Catalogue{Types: map[string]*schema.Type{}}
	for _, name := range tables {
		source.tables[name] = &memoryTable{columns: []string{"updated_at"}}
		if moments[name] != "" {
			source.tables[name].rows = [][]string{{moments[name]}}
		}
		catalogue.Types[name] = schema.NewType(schema.Type{
			Name: name, Source: schema.Source{Department: "police", Table: name}, Fresh: &schema.Fresh{Column: "updated_at", Within: "24h"},
		})
	}
	source.before = func(ctx context.Context, table string) error {
		d.mu.Lock()
		d.asked[table]++
		takes, err := d.takes[table], d.fails[table]
		d.mu.Unlock()
		if d.deaf {
			ctx = context.WithoutCancel(ctx)
		}
		select {
		case <-ctx.Done():
			return &adapters.Error{Kind: adapters.Timeout}
		case <-time.After(takes):
			return err
		}
	}
	return NewFreshness(FreshnessConfig{
		Adapters: map[string]adapters.Adapter{"police": source}, Catalogue: func() *schema.Catalogue { return catalogue },
		Report: func(_ string, err error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.wrong = append(d.wrong, err.Error())
		},
		Slow: func(t *schema.Type, took, rest time.Duration) {
			d.mu.Lock()
			defer d.mu.Unlock()
			if rest != restOfFreshness*took {
				panic("the rest is not what the time says")
			}
			d.slow = append(d.slow, t.Name+" "+took.String())
		},
	})
}

// TestFreshnessSparesTheSource: where no index serves, a type is asked for so
// seldom that its source gives a hundredth of its time; a time-out, which may
// have left the source working, counts whole.
func TestFreshnessSparesTheSource(t *testing.T) {
	const hour = time.Hour
	for _, c := range []struct {
		name  string
		takes time.Duration
		deaf  bool
		asked int
		slow  string
	}{
		{"at once", 0, false, 61, ""},
		{"with an index", 5 * time.Millisecond, false, 61, ""},
		{"up to a round's hundredth", 590 * time.Millisecond, false, 61, ""},
		{"above it", 610 * time.Millisecond, false, 31, "t 610ms"},
		{"without an index", 3 * time.Second, false, 11, "t 3s"},
		{"longer than there is time", 90 * time.Second, false, 4, "t 10s"},
		{"while the machine stands still", 90 * time.Second, true, 4, "t 10s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDated()
				d.takes["t"], d.deaf = c.takes, c.deaf
				f := d.freshness(map[string]string{"t": "2026-11-23T08:00:00Z"}, "t")
				ctx, cancel := context.WithTimeout(t.Context(), hour+time.Second)
				defer cancel()
				if err := f.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Fatal(err)
				}
				if d.asked["t"] != c.asked {
					t.Errorf("asked %d times in an hour, want %d", d.asked["t"], c.asked)
				}
				if got := strings.Join(d.slow, ", "); got != c.slow {
					t.Errorf("told to be slow: %q, want %q", got, c.slow)
				}
			})
		})
	}
}

// TestFreshnessOfOthers: a type that takes the department's whole time leaves the
// next round to the others.
func TestFreshnessOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDated()
		d.takes["large"] = time.Minute
		f := d.freshness(map[string]string{"large": "2026-11-23T08:00:00Z", "small": "2026-11-22T08:00:00Z"}, "large", "small")
		f.Refresh(t.Context())
		if d.asked["large"] != 1 || d.asked["small"] != 0 {
			t.Fatalf("asked %v", d.asked)
		}
		time.Sleep(time.Minute)
		f.Refresh(t.Context())
		if d.asked["large"] != 1 || d.asked["small"] != 1 {
			t.Fatalf("asked %v", d.asked)
		}
		// What is known of one type alone may be younger than the department.
		if asOf, _, known := f.Age("police"); known {
			t.Errorf("the department is of %s while a type of it was never answered for", asOf)
		}
		d.takes["large"] = 0
		time.Sleep(time.Hour)
		f.Refresh(t.Context())
		if asOf, _, known := f.Age("police"); !known || asOf.Format(time.RFC3339) != "2026-11-22T08:00:00Z" {
			t.Errorf("the department is of %s, known %t", asOf, known)
		}
	})
}

// TestFreshnessWhenDown: a source that does not answer is no burden to itself: it
// is asked in each round, and keeps its age meanwhile.
func TestFreshnessWhenDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDated()
		now := time.Now().UTC() // of the bubble
		f := d.freshness(map[string]string{"a": now.Format(time.RFC3339), "b": now.Add(-time.Hour).Format(time.RFC3339), "empty": ""}, "a", "b", "empty")
		age := func(want time.Time, wantStale, wantKnown bool) {
			t.Helper()
			asOf, stale, known := f.Age("police")
			if !asOf.Equal(want) || stale != wantStale || known != wantKnown {
				t.Errorf("as of %s, stale %t, known %t; want %s, %t, %t", asOf, stale, known, want, wantStale, wantKnown)
			}
		}
		d.fails["b"] = &adapters.Error{Kind: adapters.Unavailable}
		d.takes["b"] = 4 * time.Second // until the connection is given up
		f.Refresh(t.Context())
		age(time.Time{}, false, false)
		d.fails["b"] = nil
		f.Refresh(t.Context())
		age(now.Add(-time.Hour), false, true)
		d.takes["b"] = 0
		time.Sleep(10 * time.Minute)
		d.fails["b"] = &adapters.Error{Kind: adapters.Unavailable}
		for range 3 {
			f.Refresh(t.Context())
		}
		age(now.Add(-time.Hour), false, true)
		if d.asked["b"] != 5 || len(d.wrong) != 4 || d.wrong[3] != "b: source unavailable" {
			t.Errorf("asked %d times, reported %q", d.asked["b"], d.wrong)
		}
		time.Sleep(23 * time.Hour)
		age(now.Add(-time.Hour), true, true)
	})
}
