package exec

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/schema"
)

// queue asks one plan for many keys at once: the files of a person, in a district.
type queue struct {
	*bench
	source *memory
	prog   *program
	lane   *lane
	free   chan struct{} // closed when the source answers those who came first
}

// files are those of "0" to "49": person n has n%4 of them, half in each district.
func files() *memory {
	t := &memoryTable{
		columns: []string{"no", "holder", "district"},
		where:   func(row []string, args []adapters.Arg) bool { return row[2] == args[0].Text },
	}
	for n := range 50 {
		for i := range n % 4 {
			for _, district := range []string{"north", "south"} {
				t.rows = append(t.rows, []string{fmt.Sprintf("%s%d.%d", district[:1], n, i), strconv.Itoa(n), district})
			}
		}
	}
	return &memory{capabilities: adapters.Capabilities{Remote: true}, tables: map[string]*memoryTable{"file": t}}
}

func filesOf(n int, district string) string {
	var all []string
	for i := range n % 4 {
		all = append(all, fmt.Sprintf(`{"no":"%s%d.%d"}`, district[:1], n, i))
	}
	return `{"files":[` + strings.Join(all, ",") + `]}`
}

func newQueue(t *testing.T, adjust func(*Config)) *queue {
	c := &queue{source: files(), free: make(chan struct{})}
	c.source.before = func(ctx context.Context, _ string) error {
		select {
		case <-c.free:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	c.bench = newBench(t, map[string]*memory{"police": c.source}, adjust)
	f := c.fetch("police", "File", adapters.Shape{
		Table: "file", Columns: textColumns("no"), Keys: textColumns("holder"), Params: []adapters.Param{{Kind: schema.String}},
	}, func(f *plan.Fetch) {
		f.Stated = [][]plan.Value{{{From: plan.FromVariable, Name: "holder", Kind: schema.String}}}
		f.Args = []plan.Value{{From: plan.FromVariable, Name: "district", Kind: schema.String}}
	})
	c.root(list("", "files", true, plan.Member{Fetch: f, Object: &plan.Object{Fields: []*plan.Field{leaf("files", "no", 0)}}}))
	var err error
	if c.prog, err = compile(c.plan, [32]byte{}); err != nil {
		t.Fatal(err)
	}
	c.lane = c.prog.fetches[0].lane
	return c
}

func (c *queue) ask(holder int, district string) answer {
	r, req := &run{}, c.request()
	r.begin(c.executor, req, c.prog, map[string]any{"holder": strconv.Itoa(holder), "district": district})
	if errs := r.prepare(); errs != nil {
		c.t.Error(errs)
		return answer{}
	}
	req.Reads.Begin(c.plan.Uses, c.plan.Level)
	return c.respond(context.Background(), r)
}

// rush asks for all holders while the source is busy with others, and lets it
// answer when so many wait for company.
func (c *queue) rush(holders []int, district func(i int) string, waiting int) []answer {
	c.t.Helper()
	var group sync.WaitGroup
	for range atOnce {
		group.Go(func() { c.ask(49, "north") })
	}
	c.until("those who came first are under way", func() bool { return c.lane.running >= atOnce })
	out := make([]answer, len(holders))
	for i, holder := range holders {
		group.Go(func() { out[i] = c.ask(holder, district(i)) })
		// In turn, so that it is known with whom a company begins.
		c.until("all are there", func() bool {
			n := c.lane.running - atOnce
			if c.lane.waiting != nil {
				n += len(c.lane.waiting.members)
			}
			return n == i+1
		})
	}
	c.until("some wait", func() bool {
		if c.lane.waiting == nil {
			return waiting == 0
		}
		return len(c.lane.waiting.members) == waiting
	})
	close(c.free)
	group.Wait()
	c.until("nobody is under way", func() bool { return c.lane.running == 0 && c.lane.waiting == nil })
	return out
}

func (c *queue) until(what string, holds func() bool) {
	c.t.Helper()
	for range 2000 {
		c.lane.mu.Lock()
		is := holds()
		c.lane.mu.Unlock()
		if is {
			return
		}
		time.Sleep(time.Millisecond)
	}
	c.t.Fatalf("not so: %s", what)
}

func north(int) string { return "north" }

// holders are some with no file, one, and several, some of them twice, and one
// that does not exist.
var holders = []int{0, 1, 2, 3, 7, 7, 11, 4, 4, 10, 99, 1, 23}

// TestCompany: fetches that wait travel as one, and everybody gets what he asked
// for, and no more.
func TestCompany(t *testing.T) {
	c := newQueue(t, nil)
	var together atomic.Int64 // keys of statements with several
	c.source.asked = func(_ string, keys *adapters.Keys) {
		if n := int64(keys.Rows); n > 1 {
			together.Add(n)
		}
	}
	for i, a := range c.rush(holders, north, len(holders)) {
		want := filesOf(holders[i], "north")
		if holders[i] == 99 {
			want = `{"files":[]}`
		}
		check(t, fmt.Sprint("files of ", holders[i]), a.data, want)
		if got := strings.Count(a.data, `"no"`); int(a.reads.Rows) != got {
			t.Errorf("files of %d: the record has %d rows, the answer %d", holders[i], a.reads.Rows, got)
		}
	}
	if n := c.source.fetches.Load(); n != atOnce+1 || together.Load() != 10 {
		t.Errorf("%d statements, that of several keys had %d", n, together.Load())
	}
}

// TestCompanyOfEqualArguments: other arguments are other rows, so that whoever
// has them goes alone.
func TestCompanyOfEqualArguments(t *testing.T) {
	c := newQueue(t, nil)
	district := func(i int) string { return []string{"north", "south"}[i%3&1] }
	waiting := 0
	for i := range holders {
		if district(i) == "north" {
			waiting++
		}
	}
	for i, a := range c.rush(holders[:10], district, 7) {
		check(t, fmt.Sprintf("files of %d in %s", holders[i], district(i)), a.data, filesOf(holders[i], district(i)))
	}
	if n := c.source.fetches.Load(); n != atOnce+1+3 {
		t.Errorf("%d statements", n)
	}
}

// TestCompanyIsDissolved: what only the company met is nobody's error.
func TestCompanyIsDissolved(t *testing.T) {
	for name, adjust := range map[string]func(*memory){
		"a panic": func(m *memory) {
			m.asked = func(_ string, keys *adapters.Keys) {
				if keys.Rows > 1 {
					panic("canary")
				}
			}
		},
		"a statement that is refused": func(m *memory) {
			m.refuse = func(_ context.Context, keys *adapters.Keys) error {
				if keys.Rows > 1 {
					return &adapters.Error{Kind: adapters.Invalid}
				}
				return nil
			}
		},
		"a key that takes long": func(m *memory) {
			m.refuse = func(ctx context.Context, keys *adapters.Keys) error {
				if keys.Rows > 1 {
					<-ctx.Done()
				}
				if ctx.Err() == nil {
					return nil
				}
				return &adapters.Error{Kind: adapters.Timeout, Cause: ctx.Err()}
			}
		},
		"a key with too many rows": func(m *memory) {
			t := m.tables["file"]
			for i := range 1500 {
				t.rows = append(t.rows, []string{strconv.Itoa(i), "99", "north"})
			}
		},
		"rows under a number that is none": func(m *memory) {
			m.tables["file"].spoil = func(b *adapters.Batch) {
				if last := b.Parent[b.Rows-1]; last > 0 {
					b.Parent[b.Rows-1] = last + 1
				}
			}
		},
		"rows out of order": func(m *memory) {
			m.tables["file"].spoil = func(b *adapters.Batch) {
				slices.Reverse(b.Parent)
			}
		},
		"a column less": func(m *memory) {
			m.tables["file"].spoil = func(b *adapters.Batch) {
				if b.Parent[b.Rows-1] > 0 {
					b.Cols--
				}
			}
		},
		"a cell less": func(m *memory) {
			m.tables["file"].spoil = func(b *adapters.Batch) {
				if b.Parent[b.Rows-1] > 0 {
					b.Ends = b.Ends[1:]
				}
			}
		},
		"an error behind the rows": func(m *memory) {
			m.tables["file"].afterSeveral = errors.New("canary")
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newQueue(t, func(cfg *Config) { cfg.Report, cfg.DefaultDepartment.Timeout = nil, 3*time.Second })
			adjust(c.source)
			for i, a := range c.rush(holders, north, len(holders)) {
				want := filesOf(holders[i], "north")
				if holders[i] == 99 {
					want = a.data // it may have many
				}
				check(t, fmt.Sprint("files of ", holders[i]), a.data, want)
			}
			if n := c.source.fetches.Load(); n != int64(atOnce+1+len(holders)) {
				t.Errorf("%d statements", n)
			}
			if c.lane.open() {
				t.Error("the next ones wait for company again, at once")
			}
		})
	}
}

// TestCompanyOfASourceThatIsDown: what is so whatever is asked is found out once.
func TestCompanyOfASourceThatIsDown(t *testing.T) {
	c := newQueue(t, nil)
	c.source.refuse = func(_ context.Context, keys *adapters.Keys) error {
		if keys.Rows > 1 {
			return &adapters.Error{Kind: adapters.Unavailable}
		}
		return nil
	}
	for i, a := range c.rush(holders, north, len(holders)) {
		if a.data != `{"files":null}` || len(a.errors) != 1 || !strings.HasPrefix(a.errors[0], "SOURCE_UNAVAILABLE ") {
			t.Errorf("files of %d: %s %v", holders[i], a.data, a.errors)
		}
		if len(a.reads.Sources) != 1 || !a.reads.Sources[0].Failed {
			t.Errorf("files of %d: the record has sources %+v", holders[i], a.reads.Sources)
		}
	}
	if n := c.source.fetches.Load(); n != atOnce+1 {
		t.Errorf("%d statements", n)
	}
}

// TestCompanyAndLimits: a request's own limits hold for what it got in company.
func TestCompanyAndLimits(t *testing.T) {
	c := newQueue(t, func(cfg *Config) { cfg.Report, cfg.MaxRows = nil, 2 })
	for i, a := range c.rush(holders, north, len(holders)) {
		want := filesOf(holders[i], "north")
		switch {
		case holders[i] == 99:
			want = `{"files":[]}`
		case holders[i]%4 > 2:
			want = `{"files":null}`
		}
		check(t, fmt.Sprint("files of ", holders[i]), a.data, want)
	}
}

// TestCompanyIsBounded: no more travel together than there is room for.
func TestCompanyIsBounded(t *testing.T) {
	c := newQueue(t, func(cfg *Config) { cfg.DefaultDepartment.Concurrency = 200 })
	many := make([]int, mostCompany+9)
	for i := range many {
		many[i] = i % 50
	}
	for i, a := range c.rush(many, north, mostCompany) {
		check(t, fmt.Sprint("files of ", many[i]), a.data, filesOf(many[i], "north"))
	}
	if n := c.source.fetches.Load(); n != atOnce+9+1 {
		t.Errorf("%d statements", n)
	}
}

// TestNoCompanyOfSlowFetches: nobody waits for the rest of a fetch that takes long.
func TestNoCompanyOfSlowFetches(t *testing.T) {
	c := newQueue(t, nil)
	for took, waiting := range map[time.Duration]int{slow: 0, slow - 1: len(holders)} {
		c.free = make(chan struct{})
		c.lane.running++
		if c.lane.next(took) != nil {
			t.Fatal("somebody waited already")
		}
		for i, a := range c.rush(holders[:5], north, min(waiting, 5)) {
			check(t, fmt.Sprint("files of ", holders[i]), a.data, filesOf(holders[i], "north"))
		}
	}
}

// TestCompanyAtRandom: whoever comes when, from wherever.
func TestCompanyAtRandom(t *testing.T) {
	c := newQueue(t, nil)
	close(c.free)
	c.source.refuse = func(context.Context, *adapters.Keys) error {
		time.Sleep(time.Duration(rand.IntN(200)) * time.Microsecond) //nolint:gosec // not a secret
		return nil
	}
	const each = 300
	var group sync.WaitGroup
	for range 24 {
		group.Go(func() {
			for range each {
				n, district := rand.IntN(50), []string{"north", "north", "north", "south"}[rand.IntN(4)] //nolint:gosec // not a secret
				if a := c.ask(n, district); a.data != filesOf(n, district) || len(a.errors) > 0 {
					t.Errorf("files of %d in %s: %s %v", n, district, a.data, a.errors)
				}
			}
		})
	}
	group.Wait()
	if n := c.source.fetches.Load(); n >= 24*each {
		t.Errorf("%d statements for %d requests: nobody travelled in company", n, 24*each)
	}
	c.until("nobody is under way", func() bool { return c.lane.running == 0 && c.lane.waiting == nil })
}
