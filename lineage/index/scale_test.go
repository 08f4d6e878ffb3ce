package index

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-data/weir/lineage"
)

// TestRepeat: days that are repeated by copying leave what applying their records
// would leave.
func TestRepeat(t *testing.T) {
	drivers(t, func(t *testing.T, cfg Config) {
		const n, days, times = 700, 2, 3
		other := cfg
		if cfg.Driver == SQLite {
			other.Path = filepath.Join(t.TempDir(), "other.db")
		} else {
			other.URL = ownSchema(t, os.Getenv("WEIR_TEST_POSTGRES"))
		}
		copied, err := anew(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer copied.Close() //nolint:errcheck // read only
		if err := load(t.Context(), copied, newTraffic(7, n, days, times, 30, 60, 300), 200, nil); err != nil {
			t.Fatal(err)
		}
		applied, err := Open(t.Context(), other)
		if err != nil {
			t.Fatal(err)
		}
		defer applied.Close() //nolint:errcheck // read only
		w := newWriter(applied)
		defer w.close()
		base := newTraffic(7, n, days, times, 30, 60, 300).next(make([]lineage.Entry, 0, n))
		for k := range times {
			entries := slices.Clone(base)
			for i := range entries {
				entries[i].Position.Sequence += uint64(k * n)
				entries[i].Time = entries[i].Time.Add(time.Duration(k*days) * 24 * time.Hour)
			}
			if err := w.apply(t.Context(), entries); err != nil {
				t.Fatal(err)
			}
		}
		same(t, applied, copied, 3*n*times)
	})
}

// TestBuild: an index that is made anew, and sorted at the end, is to the byte
// the one that followed the log, however that was cut into batches.
func TestBuild(t *testing.T) {
	drivers(t, func(t *testing.T, cfg Config) {
		const n = 2000
		other := cfg
		if cfg.Driver == SQLite {
			other.Path = filepath.Join(t.TempDir(), "other.db")
		} else {
			other.URL = ownSchema(t, os.Getenv("WEIR_TEST_POSTGRES"))
		}
		followed, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer followed.Close() //nolint:errcheck // read only
		if err := load(t.Context(), followed, newTraffic(7, n, 5, 1, 40, 60, 300), 37, nil); err != nil {
			t.Fatal(err)
		}
		built, err := anew(t.Context(), other)
		if err != nil {
			t.Fatal(err)
		}
		if err := load(t.Context(), built, newTraffic(7, n, 5, 1, 40, 60, 300), 1000, nil); err != nil {
			t.Fatal(err)
		}
		defer built.Close() //nolint:errcheck // read only
		same(t, followed, built, 3*n)
	})
}

// same holds two indexes to the same rows, and to some at least.
func same(t *testing.T, one, other *Index, least int) {
	t.Helper()
	rows := 0
	for _, table := range [...]string{"meta", "origin", "reader", "context", "shape", "shape_use", "pair", "tally", "record", "person", "flow", "cell", "rollup"} {
		want, got := contentsOf(t, one, table), contentsOf(t, other, table)
		rows += len(want)
		if !slices.Equal(want, got) {
			t.Errorf("table %s: %d rows, %d in the other, or they differ", table, len(want), len(got))
		}
	}
	if rows < least {
		t.Errorf("only %d rows were compared", rows)
	}
}

// contentsOf are the rows of a table; those of persons, which are in no table of
// their own, as they would be if they were.
func contentsOf(t *testing.T, x *Index, table string) (out []string) {
	t.Helper()
	if table != "person" {
		return contents(t, x.db, table)
	}
	for origin, list := range stored(t, x) {
		for _, p := range list {
			out = append(out, fmt.Sprintf("%d|%d|%d|%d|%d|", p.tag, p.time, origin, p.sequence, p.from))
		}
	}
	slices.Sort(out)
	return out
}

// contents are the rows of a table, as text, in order.
func contents(t *testing.T, db *sql.DB, table string) (out []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT * FROM "+table)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close() //nolint:errcheck // read to the end
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	values := make([]any, len(columns))
	for i := range values {
		values[i] = new(any)
	}
	for rows.Next() {
		if err := rows.Scan(values...); err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, v := range values {
			fmt.Fprintf(&b, "%v|", *v.(*any))
		}
		out = append(out, b.String())
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

// TestCutShort: an index whose making was cut short is brought to its end when
// it is opened.
func TestCutShort(t *testing.T) {
	drivers(t, func(t *testing.T, cfg Config) {
		x, err := anew(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		g := newTraffic(8, 500, 5, 1, 10, 10, 50)
		w := newWriter(x)
		if err := w.apply(t.Context(), g.next(make([]lineage.Entry, 0, 500))); err != nil {
			t.Fatal(err)
		}
		w.close()
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		if x, err = Open(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		defer x.Close() //nolint:errcheck // read only
		persons := contentsOf(t, x, "person")
		if len(persons) < 300 || x.building {
			t.Errorf("%d persons, building %v", len(persons), x.building)
		}
	})
}

// question is one query and the time that it may take.
type question struct {
	name   string
	budget time.Duration
	ask    func(ctx context.Context, x *Index) (answers int, err error)
}

const wholeDepartment = "flows: a whole department, 30 days"

func questions(g *traffic) (out []question) {
	end := g.end()
	month := end.Add(-30 * 24 * time.Hour)
	flows := func(name string, budget time.Duration, f FlowFilter) {
		out = append(out, question{"flows: " + name, budget, func(ctx context.Context, x *Index) (int, error) {
			found, err := x.Flows(ctx, f)
			return len(found), err
		}})
	}
	busy := g.pairs[0].record.Uses[0]
	flows("a busy field, 30 days", time.Second, FlowFilter{Department: busy.Department, Type: busy.Coordinate.Type, Field: busy.Coordinate.Field, From: month, To: end})
	flows("another field, 30 days", time.Second, FlowFilter{Department: "source-5", Type: "Type5_7", Field: "field7", From: month, To: end})
	// All fields at once, ten thousand flows of two thousand tallies.
	flows(strings.TrimPrefix(wholeDepartment, "flows: "), 2*time.Second, FlowFilter{Department: busy.Department, From: month, To: end})
	reads := func(name string, budget time.Duration, pages int, f Filter) {
		out = append(out, question{name, budget, func(ctx context.Context, x *Index) (n int, err error) {
			var after *Place
			for range pages {
				page, err := x.Reads(ctx, f, 50, after)
				if err != nil {
					return n, err
				}
				n += len(page.Reads)
				if after = page.Next; after == nil {
					break
				}
			}
			return n, nil
		}})
	}
	for _, n := range [...]int{0, 12, g.people / 3, g.people - 7} {
		tag := personTag(n)
		reads("person "+strconv.Itoa(n)+": about me", 100*time.Millisecond, 1, Filter{Tag: &tag, Any: true})
	}
	tag := personTag(0)
	reads("person 0: with a sealed purpose", 100*time.Millisecond, 1, Filter{Tag: &tag, Any: true, Open: month.Add(24 * time.Hour)})
	reads("reads: all", time.Second, 1, Filter{Any: true})
	reads("reads: all, ten pages", 10*time.Second, 10, Filter{Any: true})
	reads("reads: of a department", time.Second, 1, Filter{Any: true, Department: "source-3"})
	reads("reads: of a field", time.Second, 1, Filter{Any: true, Department: busy.Department, Type: busy.Coordinate.Type, Field: busy.Coordinate.Field})
	reads("reads: of a field, masked", time.Second, 1, Filter{Outcome: Masked, Department: "source-5", Type: "Type5_7", Field: "field7"})
	reads("reads: withheld", time.Second, 1, Filter{Outcome: Withheld})
	reads("reads: of a department, its highest level, masked, 200 days ago", time.Second, 1, Filter{Outcome: Masked, Department: "source-2", MinLevel: 3, To: end.Add(-200 * 24 * time.Hour)})
	reads("reads: by an application", time.Second, 1, Filter{Any: true, Application: "application-3"})
	reads("reads: by a rare application", time.Second, 1, Filter{Any: true, Application: "application-rare"})
	reads("reads: by a consumer for a purpose, ten pages", 10*time.Second, 10, Filter{Any: true, Consumer: "department-7", Purpose: "purpose-2"})
	reads("reads: by a busy reader", time.Second, 1, Filter{Any: true, Subject: g.names[0]})
	reads("reads: by a busy reader, of one field", time.Second, 1, Filter{Any: true, Subject: g.names[0], Type: "Type5_7", Field: "field7"})
	reads("reads: by another reader, withheld", time.Second, 1, Filter{Outcome: Withheld, Subject: g.names[g.readers-3]})
	reads("reads: a purpose under seal, ten days", time.Second, 1, Filter{Any: true, From: month, To: month.Add(10 * 24 * time.Hour), Purpose: "purpose-3", Open: month.Add(48 * time.Hour)})
	reads("reads: a request that is not there, one page", time.Second, 1, Filter{Any: true, Request: "no-such"})
	return out
}

// scaleDays are those of the long form, and of the short one.
const scaleDays = 400

// TestScale: questions about a large index are answered within their budgets.
// The long form takes WEIR_INDEX_RECORDS (100,000,000) and WEIR_INDEX_DIR, a
// folder with room for 300 bytes a record while it is built; an index that is
// there whole is asked again.
func TestScale(t *testing.T) {
	records, base, pairs, dir := 40_000, 4_000, 200, ""
	if small { // the race detector finds nothing in the larger one
		t.Skip("SKIPPED: WEIR_SMALL leaves out what is about size")
	}
	long := os.Getenv("WEIR_SOAK") != ""
	if long {
		records, base, pairs, dir = 100_000_000, 1_000_000, 3000, os.Getenv("WEIR_INDEX_DIR")
		if dir == "" {
			t.Skip("SKIPPED: the long form needs WEIR_INDEX_DIR, a folder with room for 300 bytes a record (100,000,000 of them)")
		}
		if s := os.Getenv("WEIR_INDEX_RECORDS"); s != "" {
			n, err := strconv.Atoi(s)
			if err != nil || n < 1000 {
				t.Fatalf("WEIR_INDEX_RECORDS=%s is no number of records", s)
			}
			records = n
		}
		base = min(base, max(records/100, 100_000), records)
	} else {
		dir = t.TempDir()
	}
	times := max(1, records/base)
	days := max(1, scaleDays/times)
	records = base * times
	g := newTraffic(1, base, days, times, pairs, min(200_000, base), min(20_000_000, 2*base))
	cfg := Config{Driver: SQLite, Path: filepath.Join(dir, fmt.Sprintf("scale-%d.db", records)), Dir: dir}
	if server := os.Getenv("WEIR_TEST_POSTGRES"); server != "" && os.Getenv("WEIR_INDEX_DRIVER") == Postgres {
		cfg = Config{Driver: Postgres, URL: ownSchema(t, server), Dir: dir}
	}
	x := scaled(t, cfg, g)
	if cfg.Driver == SQLite {
		info, err := os.Stat(cfg.Path)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d records, %.0f bytes each", records, float64(info.Size())/float64(records))
	}
	list := questions(g)
	report := func(q *question, how string) {
		began, worked := time.Now(), processor()
		n, err := q.ask(t.Context(), x)
		took := time.Since(began)
		worked = processor() - worked
		over := ""
		if took > q.budget {
			over = fmt.Sprintf("  OVER %v", q.budget)
		}
		if err != nil {
			t.Errorf("%s: %v", q.name, err)
		}
		t.Logf("%-4s %9.1f ms (processor %.1f)  %d answers  %s%s", how, 1000*took.Seconds(), 1000*worked.Seconds(), n, q.name, over)
		if long && worked > q.budget {
			// The clock of a machine that is shared proves nothing; this does.
			t.Errorf("%s: %v of the processor, the budget is %v", q.name, worked, q.budget)
		}
	}
	for i := range list {
		if cfg.Driver == SQLite {
			if err := x.Close(); err != nil {
				t.Fatal(err)
			}
			forget(t, cfg.Path)
			var err error
			if x, err = Open(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
		}
		report(&list[i], "cold")
		report(&list[i], "warm")
	}
	defer x.Close() //nolint:errcheck // read only
	persons(t, x, g)
	if cfg.Driver == Postgres {
		inOrders(t, x, list)
	}
}

// inOrders holds PostgreSQL to the orders that the questions were made for: none
// is answered by reading a large table from end to end.
func inOrders(t *testing.T, x *Index, list []question) {
	x.db.SetMaxOpenConns(1) // one backend counts
	scans := func() map[string]int64 {
		t.Helper()
		if _, err := x.db.ExecContext(t.Context(), `SELECT pg_stat_force_next_flush()`); err != nil {
			t.Fatal(err)
		}
		out := map[string]int64{}
		rows, err := x.db.QueryContext(t.Context(), `SELECT relname, seq_scan FROM pg_stat_user_tables
			WHERE schemaname = current_schema() AND relname IN ('record', 'chunk', 'rollup')`)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close() //nolint:errcheck // read to the end
		for rows.Next() {
			var table string
			var n int64
			if err := rows.Scan(&table, &n); err != nil {
				t.Fatal(err)
			}
			out[table] = n
		}
		if err := rows.Err(); err != nil || len(out) != 3 {
			t.Fatalf("%d tables, %v", len(out), err)
		}
		return out
	}
	var chunks int
	if err := x.db.QueryRowContext(t.Context(), `SELECT count(*) FROM chunk`).Scan(&chunks); err != nil {
		t.Fatal(err)
	}
	before := scans()
	if before["chunk"] == 0 {
		t.Error("a scan is not counted")
	}
	for i := range list {
		if _, err := list[i].ask(t.Context(), x); err != nil {
			t.Fatal(err)
		}
		after := scans()
		for table, n := range after {
			// A department's flows are much of the rollups of a small index, and all
			// chunks are a page of rows, their postings elsewhere: then PostgreSQL is
			// right to read them in one go.
			if n > before[table] && (table != "rollup" || list[i].name != wholeDepartment) && (table != "chunk" || chunks > 300) {
				t.Errorf("%s: table %s was read from end to end %d times", list[i].name, table, n-before[table])
			}
		}
		before = after
	}
}

// persons asks about many persons, once each.
func persons(t *testing.T, x *Index, g *traffic) {
	r := rand.New(rand.NewPCG(9, 9))
	var took []time.Duration
	answers := 0
	for range 200 {
		u := r.Float64()
		tag := personTag(int(u * u * float64(g.people)))
		began := time.Now()
		page, err := x.Reads(t.Context(), Filter{Tag: &tag, Any: true}, 50, nil)
		if err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(began))
		answers += len(page.Reads)
	}
	slices.Sort(took)
	t.Logf("200 persons, %d answers: median %v, 95%% %v, most %v", answers, took[100], took[190], took[199])
	if answers == 0 {
		t.Error("nobody was looked at")
	}
}

// scaled is the index with the traffic in it.
func scaled(t *testing.T, cfg Config, g *traffic) *Index {
	t.Helper()
	if cfg.Driver == SQLite {
		if _, err := os.Stat(cfg.Path); err == nil {
			x, err := Open(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if asOf, err := x.AsOf(t.Context()); err == nil && len(asOf) == 1 && asOf[0].Sequence == uint64(g.all()) {
				return x
			}
			_ = x.Close()
		}
	}
	x, err := anew(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := load(t.Context(), x, g, 1<<15, t.Logf); err != nil {
		t.Fatal(err)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("%d MiB from the system", m.Sys>>20)
	return x
}
