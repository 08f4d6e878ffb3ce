package index

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-data/weir/internal/keyring"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// drivers runs a test over an index in a SQLite file and one in PostgreSQL.
func drivers(t *testing.T, run func(t *testing.T, cfg Config)) {
	t.Run(SQLite, func(t *testing.T) {
		run(t, Config{Driver: SQLite, Reading: reading(t), Path: filepath.Join(t.TempDir(), "index.db")})
	})
	t.Run(Postgres, func(t *testing.T) {
		server := os.Getenv("WEIR_TEST_POSTGRES")
		if server == "" {
			if os.Getenv("WEIR_REQUIRE_DB") != "" {
				t.Fatal("WEIR_TEST_POSTGRES is not set")
			}
			t.Skip("SKIPPED: WEIR_TEST_POSTGRES is not set; make test starts a server")
		}
		run(t, Config{Driver: Postgres, Reading: reading(t), URL: ownSchema(t, server)})
	})
}

// ownSchema makes a schema of this test's own and gives a URL that leads there.
func ownSchema(t *testing.T, server string) string {
	t.Helper()
	db, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	name := "index_" + strconv.FormatInt(time.Now().UnixNano(), 36) + strconv.Itoa(rand.IntN(1000))
	if _, err := db.ExecContext(t.Context(), "CREATE SCHEMA "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := db.ExecContext(context.Background(), "DROP SCHEMA "+name+" CASCADE"); err != nil { //nolint:usetesting // the test's context has ended
			t.Error(err)
		}
		_ = db.Close()
	})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	return u.String()
}

var (
	departments  = []string{"public_security", "health", "market"}
	purposes     = []string{"", "newborn-registration", "case-handling", "investigation"}
	consumers    = []string{"public_security", "health", "audit"}
	applications = []string{"window-app", "desk"}
	subjects     = []string{"s-1", "s-2", "s-3", "s-4"}
	start        = time.Date(2026, 3, 1, 22, 0, 0, 0, time.UTC)
)

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func tagOf(person int) (t lineage.SubjectTag) {
	binary.BigEndian.PutUint64(t[:], uint64(person+1)*0x9e3779b97f4a7c15)
	return t
}

// shapes are what the made-up operations read.
func shapes() [][]lineage.Use {
	use := func(department, typ, field string, level schema.Rank, kind lineage.UseKind) lineage.Use {
		return lineage.Use{Department: department, Table: typ + "_table", Column: field + "_column", Coordinate: schema.Coordinate{Type: typ, Field: field}, Level: level, Use: kind}
	}
	return [][]lineage.Use{
		{use("public_security", "Person", "name", 2, lineage.Select), use("public_security", "Person", "idNumber", 3, lineage.Filter), use("public_security", "Person", "idNumber", 3, lineage.Tag)},
		{use("public_security", "Person", "name", 2, lineage.Select), use("health", "Birth", "weight", 2, lineage.Select), use("health", "Birth", "mother", 3, lineage.Join)},
		{use("market", "Company", "title", 0, lineage.Select), use("market", "Company", "title", 0, lineage.Sort)},
		{{Coordinate: schema.Coordinate{Type: "Query", Field: "me"}, Use: lineage.Select}},
		nil,
	}
}

// rings has one reading key for all tests, so that logs can be read again.
var rings = sync.OnceValues(keyring.Generate)

func reading(t testing.TB) lineage.Sealer {
	t.Helper()
	ring, err := rings()
	if err != nil {
		t.Fatal(err)
	}
	return ring.Box("reading")
}

// fill appends made-up records to a log and gives what was appended.
func fill(t testing.TB, dir, origin string, r *rand.Rand, n int) []lineage.Entry {
	t.Helper()
	return fillFrom(t, dir, origin, r, n, start)
}

func fillFrom(t testing.TB, dir, origin string, r *rand.Rand, n int, clock time.Time) []lineage.Entry {
	t.Helper()
	log, err := lineage.Open(lineage.Config{Dir: dir, Origin: origin, Reading: reading(t), SegmentSize: 16 << 10, Clock: func() time.Time {
		// Some at one moment, all others at moments of their own.
		clock = clock.Add(time.Duration(max(0, r.IntN(160_000_000)-40_000_000)) * time.Microsecond)
		return clock
	}})
	if err != nil {
		t.Fatal(err)
	}
	all := shapes()
	for i := range n {
		record := lineage.Record{
			RequestID: fmt.Sprintf("request-%s-%05d", origin, i), Kind: "query", Subject: pick(r, subjects), Application: pick(r, applications),
			Department: pick(r, consumers), Roles: []string{"a", "b"}[:r.IntN(3)], Purpose: pick(r, purposes), Schema: "s1", Policy: "r" + strconv.Itoa(r.IntN(2)),
			Uses: pick(r, all), Status: "ok", Rows: uint64(r.IntN(9)),
		}
		if record.Purpose == "investigation" {
			record.Sealed = 3 * time.Hour
		}
		if len(record.Uses) == 0 {
			record.Kind, record.Status, record.Code = "refused", "refused", "FORBIDDEN"
		} else {
			record.Operation, record.Document = "op"+record.Uses[0].Coordinate.Type, "ab"
			record.Counts = make([]lineage.Counts, len(record.Uses))
			for j := range record.Uses {
				record.Level = max(record.Level, record.Uses[j].Level)
				if record.Uses[j].Use.ByStatement() {
					record.Counts[j].Clear = uint32(r.IntN(3))
				}
				if record.Uses[j].Use == lineage.Select {
					record.Counts[j] = lineage.Counts{Clear: uint32(r.IntN(3)), Masked: uint32(r.IntN(2)), Withheld: uint32(r.IntN(2))}
				}
			}
		}
		var tags []lineage.SubjectTag
		people := r.IntN(4)
		if r.IntN(20) == 0 {
			people = lineage.MaxInlineTags + 5
		}
		for p := range people {
			if tag := tagOf(p*31 + r.IntN(31)); !slices.Contains(tags, tag) {
				tags = append(tags, tag)
			}
		}
		record.SetTags(tags)
		_, ticket, err := log.Append(t.Context(), &record)
		if err == nil {
			err = ticket.Wait(t.Context(), lineage.Written)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	var out []lineage.Entry
	for e, err := range lineage.Read(lineage.Folder{Dir: dir, Reading: reading(t)}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

func seeded(t testing.TB) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("WEIR_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	t.Logf("WEIR_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// opened makes an index over a log with n records, read in small batches.
func opened(t *testing.T, cfg Config, r *rand.Rand, n int) (*Index, []lineage.Entry) {
	t.Helper()
	cfg.Dir = t.TempDir()
	entries := fill(t, cfg.Dir, "node-a", r, n)
	cfg.Batch = 1 + r.IntN(100)
	x, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	if err := x.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	return x, entries
}

// expected is the reference of Reads: every record looked at.
func expected(f *Filter, entries []lineage.Entry) (out []uint64) {
	for i := len(entries) - 1; i >= 0; i-- {
		e := &entries[i]
		r := &e.Record
		if f.Subject != "" && f.Subject != r.Subject || f.Application != "" && f.Application != r.Application ||
			f.Consumer != "" && f.Consumer != r.Department || f.Purpose != "" && f.Purpose != r.Purpose ||
			f.Kind != "" && f.Kind != r.Kind || f.Request != "" && f.Request != r.RequestID ||
			!f.From.IsZero() && e.Time.Before(f.From) || !f.To.IsZero() && !e.Time.Before(f.To) ||
			f.Tag != nil && !slices.Contains(r.Tags, *f.Tag) ||
			!f.Open.IsZero() && r.Sealed > 0 && e.Time.Add(r.Sealed).After(f.Open) {
			continue
		}
		fits := f.Any && f.Department == "" && f.Type == "" && f.Field == "" && f.MinLevel == 0
		for j, u := range r.Uses {
			if f.Department != "" && u.Department != f.Department || f.Type != "" && u.Coordinate.Type != f.Type ||
				f.Field != "" && u.Coordinate.Field != f.Field || u.Level < f.MinLevel {
				continue
			}
			c := r.Counts[j]
			fits = fits || f.Any || u.Use != lineage.Select && f.Outcome == Used && c.Clear > 0 ||
				u.Use == lineage.Select && (f.Outcome == Clear && c.Clear > 0 || f.Outcome == Masked && c.Masked > 0 || f.Outcome == Withheld && c.Withheld > 0)
		}
		if fits {
			out = append(out, e.Position.Sequence)
		}
	}
	return out
}

func randomFilter(r *rand.Rand, entries []lineage.Entry) Filter {
	f := Filter{Any: r.IntN(2) == 0, Outcome: Outcome(r.IntN(4))}
	maybe := func(p *string, list []string) {
		if r.IntN(4) == 0 {
			*p = pick(r, list)
		}
	}
	maybe(&f.Department, departments)
	maybe(&f.Type, []string{"Person", "Birth", "Company", "Nothing"})
	maybe(&f.Field, []string{"name", "idNumber", "title"})
	maybe(&f.Subject, subjects)
	maybe(&f.Application, applications)
	maybe(&f.Consumer, consumers)
	maybe(&f.Purpose, purposes)
	maybe(&f.Kind, []string{"query", "refused"})
	if r.IntN(4) == 0 {
		f.MinLevel = schema.Rank(r.IntN(4))
	}
	some := func() time.Time { return pick(r, entries).Time }
	if r.IntN(4) == 0 {
		f.From = some()
	}
	if r.IntN(4) == 0 {
		f.To = some()
	}
	if r.IntN(4) == 0 {
		f.Open = some().Add(time.Hour)
	}
	if r.IntN(6) == 0 {
		tag := tagOf(r.IntN(100))
		f.Tag = &tag
	}
	if r.IntN(10) == 0 {
		f.Request = pick(r, entries).Record.RequestID
	}
	return f
}

// TestReads: every page walk gives exactly the records that fit, in order.
func TestReads(t *testing.T) {
	drivers(t, func(t *testing.T, cfg Config) {
		r := seeded(t)
		x, entries := opened(t, cfg, r, 600)
		found := 0
		for range 100 {
			f := randomFilter(r, entries)
			var got []uint64
			var after *Place
			for {
				page, err := x.Reads(t.Context(), f, 10+r.IntN(90), after)
				if err != nil {
					t.Fatalf("%+v: %v", f, err)
				}
				for _, read := range page.Reads {
					got = append(got, read.Position.Sequence)
					sameRecord(t, &f, &read, &entries[read.Position.Sequence-1])
				}
				if after = page.Next; after == nil {
					break
				}
			}
			want := expected(&f, entries)
			found += len(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%+v: records (-want +got):\n%s", f, diff)
			}
		}
		if found == 0 {
			t.Error("no filter fitted anything")
		}
		asOf, err := x.AsOf(t.Context())
		if err != nil || len(asOf) != 1 || asOf[0] != (Sequence{Origin: "node-a", Epoch: 1, Sequence: 600}) {
			t.Errorf("as of %+v, %v", asOf, err)
		}
	})
}

func sameRecord(t *testing.T, f *Filter, got *Read, want *lineage.Entry) {
	t.Helper()
	w := &want.Record
	if got.Position != want.Position || !got.Time.Equal(want.Time) || got.Request != w.RequestID || got.Kind != w.Kind || got.Operation != w.Operation ||
		got.Document != w.Document || got.Subject != w.Subject || got.Application != w.Application || got.Consumer != w.Department ||
		!slices.Equal(got.Roles, w.Roles) || got.Purpose != w.Purpose || got.Status != w.Status || got.Code != w.Code || got.Level != w.Level ||
		got.Schema != w.Schema || got.Policy != w.Policy || got.Sealed != w.Sealed || got.Rows != w.Rows || got.People != w.TagCount {
		t.Fatalf("the record differs:\n%+v\n%+v", got, want)
	}
	var fields []Field
	shared := false
	for i, u := range w.Uses {
		if f.Department == "" || u.Department == f.Department {
			fields = append(fields, Field{Use: u, Counts: w.Counts[i]})
		} else {
			shared = true
		}
	}
	if got.Shared != shared {
		t.Fatalf("shared %v: %+v", got.Shared, w.Uses)
	}
	if diff := cmp.Diff(fields, got.Fields); diff != "" {
		t.Fatalf("fields (-want +got):\n%s", diff)
	}
}

type flowID struct {
	coordinate                     schema.Coordinate
	use                            lineage.UseKind
	outcome                        Outcome
	consumer, application, purpose string
}

// TestSealedIsAsAbsent: pages over what is not sealed are, to where they end, the
// pages that would be if the sealed records did not exist.
func TestSealedIsAsAbsent(t *testing.T) {
	drivers(t, func(t *testing.T, cfg Config) {
		r := seeded(t)
		x, entries := opened(t, cfg, r, 300)
		before := entries[100].Time
		f := Filter{Any: true, Open: before}
		sealed := map[uint64]bool{}
		for i := range entries {
			e := &entries[i]
			sealed[e.Position.Sequence] = e.Record.Sealed > 0 && e.Time.Add(e.Record.Sealed).After(before)
		}
		var after *Place
		for {
			page, err := x.Reads(t.Context(), f, 7, after)
			if err != nil {
				t.Fatal(err)
			}
			if page.Next == nil {
				return
			}
			if len(page.Reads) != 7 {
				t.Fatalf("a page of %d that goes on", len(page.Reads))
			}
			if sealed[uint64(page.Next.Sequence)] {
				t.Fatalf("a page ends at the sealed record %d", page.Next.Sequence)
			}
			after = page.Next
		}
	})
}

// TestFlows: the rollups say what the records say.
func TestFlows(t *testing.T) {
	drivers(t, func(t *testing.T, cfg Config) {
		r := seeded(t)
		x, entries := opened(t, cfg, r, 800)
		for _, department := range departments {
			for range 6 {
				f := FlowFilter{Department: department}
				if r.IntN(2) == 0 {
					f.From = start.Add(time.Duration(r.IntN(10)) * time.Hour).Truncate(24 * time.Hour)
				}
				if r.IntN(2) == 0 {
					f.To = start.Add(time.Duration(r.IntN(48)) * time.Hour).Truncate(24 * time.Hour)
				}
				if r.IntN(2) == 0 {
					f.Open = start.Add(time.Duration(r.IntN(30)) * time.Hour)
				}
				got, err := x.Flows(t.Context(), f)
				if err != nil {
					t.Fatal(err)
				}
				want, people := flowsOf(entries, &f)
				if len(got) != len(want) {
					t.Errorf("%+v: %d flows instead of %d", f, len(got), len(want))
				}
				for _, g := range got {
					key := flowID{g.Coordinate, g.Use, g.Outcome, g.Consumer, g.Application, g.Purpose}
					w := want[key]
					if w == nil {
						t.Fatalf("%+v was not", g)
					}
					g.Level, w.Level = 0, 0
					w.Department, w.Coordinate, w.Use, w.Outcome, w.Consumer, w.Application, w.Purpose, w.People = department, g.Coordinate, g.Use, g.Outcome, g.Consumer, g.Application, g.Purpose, g.People
					if diff := cmp.Diff(*w, g); diff != "" {
						t.Fatalf("flow (-want +got):\n%s", diff)
					}
					if n := uint64(len(people[key])); g.People != n {
						t.Errorf("%v: %d people instead of %d", key, g.People, n)
					}
				}
			}
		}
	})
}

func flowsOf(entries []lineage.Entry, f *FlowFilter) (map[flowID]*Flow, map[flowID]map[lineage.SubjectTag]bool) {
	flows, people := map[flowID]*Flow{}, map[flowID]map[lineage.SubjectTag]bool{}
	for i := range entries {
		e := &entries[i]
		r := &e.Record
		if !f.From.IsZero() && e.Time.Before(f.From) || !f.To.IsZero() && !e.Time.Before(f.To) ||
			!f.Open.IsZero() && r.Sealed > 0 && e.Time.Truncate(24*time.Hour).Add(24*time.Hour+r.Sealed).After(f.Open) {
			continue
		}
		for j, u := range r.Uses {
			if u.Department != f.Department || u.Use == lineage.Tag {
				continue
			}
			for outcome := range Outcome(4) {
				if outcomesOfUse(r, j)&(1<<outcome) == 0 {
					continue
				}
				cells := cellsOf(r, j, outcome)
				key := flowID{u.Coordinate, u.Use, outcome, r.Department, r.Application, r.Purpose}
				if flows[key] == nil {
					flows[key] = &Flow{First: e.Time, Last: e.Time}
					people[key] = map[lineage.SubjectTag]bool{}
				}
				w := flows[key]
				w.Reads++
				w.Cells += uint64(cells)
				w.Last = e.Time
				if slices.ContainsFunc(r.Uses, func(o lineage.Use) bool { return o.Department != f.Department }) {
					continue // whose persons they are, it does not say
				}
				if len(r.Tags) == 0 {
					w.Uncounted += r.TagCount
				}
				for _, tag := range r.Tags {
					people[key][tag] = true
				}
			}
		}
	}
	return flows, people
}

// TestFileIsTheOwners: the index says who read what, to its owner alone.
func TestFileIsTheOwners(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files have no such modes there")
	}
	path := filepath.Join(t.TempDir(), "index.db")
	x, err := Open(t.Context(), Config{Driver: SQLite, Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = x.Close() }()
	for _, name := range []string{path, path + "-wal"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %v", filepath.Base(name), mode)
		}
	}
}

// TestGoesOn: an index that is closed and opened again goes on where it was,
// while the log grows, and another log is refused.
func TestGoesOn(t *testing.T) {
	drivers(t, func(t *testing.T, cfg Config) {
		r := seeded(t)
		cfg.Dir = t.TempDir()
		cfg.Poll = time.Millisecond
		for round := 1; round <= 3; round++ {
			fill(t, cfg.Dir, "node-a", r, 50)
			x, err := Open(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- x.Run(ctx) }()
			for {
				more := x.Applied()
				asOf, err := x.AsOf(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if len(asOf) == 1 && asOf[0].Sequence == uint64(50*round) && asOf[0].Epoch == uint32(round) {
					break
				}
				select {
				case <-more:
				case <-time.After(20 * time.Second):
					t.Fatalf("stuck at %+v", asOf)
				}
			}
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if x.Reached() != uint64(50*round) {
				t.Errorf("reached %d of %d records", x.Reached(), 50*round)
			}
			if err := x.Close(); err != nil {
				t.Error(err)
			}
		}
		// Nodes share an index in PostgreSQL alone.
		cfg.Dir = t.TempDir()
		fill(t, cfg.Dir, "node-b", r, 5)
		x, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Check(t.Context()); errors.Is(err, ErrForeign) != (cfg.Driver == SQLite) || err != nil && cfg.Driver != SQLite {
			t.Errorf("the log of another node: %v", err)
		}
		if err := x.Close(); err != nil {
			t.Error(err)
		}
		cfg.Dir = t.TempDir()
		fill(t, cfg.Dir, "node-a", r, 200)
		x, err = Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := x.CatchUp(t.Context()); !errors.Is(err, ErrForeign) {
			t.Errorf("another log: %v", err)
		}
		// What it says was never in this log, and is not told.
		_, asOf := x.AsOf(t.Context())
		_, reads := x.Reads(t.Context(), Filter{}, 10, nil)
		_, has := x.Has(t.Context(), lineage.Position{Origin: "node-a", Epoch: 1, Sequence: 1}, Filter{})
		_, flows := x.Flows(t.Context(), FlowFilter{})
		_, usages := x.Usages(t.Context(), UsageFilter{})
		for what, err := range map[string]error{"asOf": asOf, "reads": reads, "has": has, "flows": flows, "usages": usages} {
			if !errors.Is(err, ErrForeign) || !errors.Is(err, ErrUnavailable) {
				t.Errorf("%s of another log's index: %v", what, err)
			}
		}
		if err := x.Close(); err != nil {
			t.Error(err)
		}
		if x, err = Anew(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(x.CatchUp(t.Context()), x.Close()); err != nil {
			t.Error(err)
		}
	})
}

// TestFormat: tables of another version are refused, and made anew on request.
func TestFormat(t *testing.T) {
	drivers(t, func(t *testing.T, cfg Config) {
		x, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := x.db.ExecContext(t.Context(), `UPDATE meta SET value = '0'`); err != nil {
			t.Fatal(err)
		}
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), cfg); !errors.Is(err, ErrFormat) {
			t.Errorf("another format: %v", err)
		}
		if x, err = Anew(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		_ = x.Close()
	})
}
