package index

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

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
		run(t, Config{Driver: Postgres, Reading: reading(t), URL: ownSchema(t, postgres(t))})
	})
}

// postgres is the URL of the tests' server.
func postgres(t *testing.T) string {
	t.Helper()
	server := os.Getenv("WEIR_TEST_POSTGRES")
	if server == "" {
		if os.Getenv("WEIR_REQUIRE_DB") != "" {
			t.Fatal("WEIR_TEST_POSTGRES is not set")
		}
		t.Skip("SKIPPED: WEIR_TEST_POSTGRES is not set; make test starts a server")
	}
	return server
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

// sourcesOf are the departments of the uses.
func sourcesOf(uses []lineage.Use) (out []lineage.SourceAge) {
	for _, u := range uses {
		if s := (lineage.SourceAge{Department: u.Department}); s.Department != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// sharesOf is the reference of [Read.Shares], of what a filter shows.
func sharesOf(f *Filter, r *lineage.Record) (out []Share) {
	var departments []string
	for _, u := range r.Uses {
		departments = append(departments, u.Department)
	}
	slices.Sort(departments)
	departments = slices.Compact(departments)
	for _, d := range departments {
		for i := range r.Sources {
			tags, known := r.TagsOf(i)
			if len(departments) > 1 && r.Sources[i].Department == d && known && len(tags) > 0 && (f.Department == "" || f.Department == d) {
				out = append(out, Share{d, uint64(len(tags)), f.Tag != nil && slices.Contains(tags, *f.Tag)})
			}
		}
	}
	return out
}

// postingOf is the posting of a person of a record.
func postingOf(e *lineage.Entry, tag lineage.SubjectTag) posting {
	p := posting{tag: tagNumber(tag), time: e.Time.UnixMicro(), sequence: int64(e.Position.Sequence)}
	departments := sourcesOf(e.Record.Uses)
	slices.SortFunc(departments, func(a, b lineage.SourceAge) int { return strings.Compare(a.Department, b.Department) })
	for _, s := range sharesOf(&Filter{Tag: &tag}, &e.Record) {
		if s.Asked {
			p.from |= 1 << slices.Index(departments, lineage.SourceAge{Department: s.Department})
		}
	}
	return p
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
		record.Sources = sourcesOf(record.Uses)
		if n := len(record.Sources); n > 1 && r.IntN(5) == 0 { // the others' statements were not sent
			one := r.IntN(n)
			record.Sources = record.Sources[one : one+1]
		}
		if len(record.Sources) > 1 && r.IntN(4) > 0 {
			lists := make([][]lineage.SubjectTag, len(record.Sources))
			for _, tag := range tags {
				for of := 1 + r.IntN(1<<len(lists)-1); of > 0; of &= of - 1 {
					at := bits.TrailingZeros(uint(of))
					lists[at] = append(lists[at], tag)
				}
			}
			record.SetGroupedTags(lineage.GroupTags(lists))
		} else {
			record.SetTags(tags)
		}
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

// small is whether the race detector is looking, for which few rounds do.
var small = os.Getenv("WEIR_SMALL") != ""

// fewer is a quarter where few rounds do.
func fewer(rounds int) int {
	if small {
		return rounds / 4
	}
	return rounds
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
