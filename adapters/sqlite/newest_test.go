package sqlite

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/adapters/adaptertest"
	"github.com/weir-data/weir/adapters/cell"
	"github.com/weir-data/weir/schema"
)

// readNewest reads the newest moment of a column that holds texts; "bad" where
// it is none.
func readNewest(t *testing.T, typ string, stored ...string) string {
	t.Helper()
	at := adapters.Column{Name: "at", Kind: schema.DateTime}
	table := adaptertest.Table{Name: "t", Columns: []adaptertest.Column{{Column: at, Type: typ}}, Indexes: []string{"at"}}
	for _, text := range stored {
		table.Rows = append(table.Rows, []adaptertest.Value{{Text: text}})
	}
	path := filepath.Join(t.TempDir(), "t.db")
	write(t, path, adaptertest.Fixture{Tables: []adaptertest.Table{table}})
	a, err := Open(DefaultConfig(path))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	statement, err := a.Compile(&adapters.Shape{Table: "t", Columns: []adapters.Column{at}, Newest: true})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := statement.Fetch(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var b adapters.Batch
	if err := rows.Next(&b); err != nil || b.Rows != 1 || b.Cols != 1 {
		t.Fatalf("%d rows of %d cells, %v", b.Rows, b.Cols, err)
	}
	text, _ := b.Cell(0, 0)
	if b.IsBad(0, 0) {
		return "bad"
	}
	return string(text)
}

// TestNewestAmongOffsets: the index has texts, and the greatest text need not be
// the greatest moment.
func TestNewestAmongOffsets(t *testing.T) {
	seed := uint64(time.Now().UnixNano()) //nolint:gosec // any number
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test's
	kinds := []string{"TEXT", "DATETIME", "BLOB", "TEXT COLLATE NOCASE"}
	apart := 0
	// More trials where chance gave too few that say something.
	for trial := 0; trial < 40 || apart < 10 && trial < 400; trial++ {
		day := time.Date(2026, 1, 1+random.IntN(365), 0, 0, 0, 0, time.UTC)
		var stored []string
		greatest, newest := "", ""
		for range 2 + random.IntN(12) {
			local := day.Add(time.Duration(random.IntN(4*86_400)) * time.Second).Format("2006-01-02" + []string{"T", " "}[random.IntN(2)] + "15:04:05")
			offset := []string{"", "Z", fmt.Sprintf("%+03d:%02d", random.IntN(47)-23, random.IntN(60))}[random.IntN(3)]
			stored = append(stored, local+offset)
			greatest = max(greatest, local+offset)
			if newest == "" || cell.CompareDateTime(local+offset, newest) > 0 {
				newest = local + offset
			}
		}
		if newest != greatest {
			apart++
		}
		want, ok := cell.AppendScalar(nil, schema.DateTime, nil, []byte(newest))
		if !ok {
			t.Fatal("a moment that is none")
		}
		if got := readNewest(t, kinds[trial%len(kinds)], stored...); got != string(want) {
			t.Errorf("of %q the newest is %s, want %s", stored, got, want)
		}
	}
	if apart < 10 {
		t.Errorf("the greatest text was the newest in all but %d of 400 trials", apart)
	}
}

// TestNewestReadsTwoDates: SQLite calls it a search too when an index is read to
// its end for the greatest value; what is compared by value is bounded.
func TestNewestReadsTwoDates(t *testing.T) {
	at := adaptertest.Column{Column: adapters.Column{Name: "at", Kind: schema.DateTime}}
	f := adaptertest.Fixture{Tables: []adaptertest.Table{{Name: "t", Columns: []adaptertest.Column{at}, Indexes: []string{"at"}}}}
	for i := range 10_000 {
		moment := time.Date(2026, 1, 1, i, 0, 0, 0, time.UTC).Format(time.RFC3339)
		f.Tables[0].Rows = append(f.Tables[0].Rows, []adaptertest.Value{{Text: moment}})
	}
	s := create(t, f)
	statement, err := s.Adapter.Compile(&adapters.Shape{Table: "t", Columns: []adapters.Column{at.Column}, Newest: true})
	if err != nil {
		t.Fatal(err)
	}
	if plan := s.Explain(t, statement.String()); !strings.Contains(plan, "ix_t_at (at>?)") {
		t.Errorf("what is compared by value has no bound:\n%s", plan)
	}
}

// TestNewestIsAMoment: what is no moment is not taken for one, nor for an older
// one than there is.
func TestNewestIsAMoment(t *testing.T) {
	for _, c := range []struct {
		name, want string
		stored     []string
	}{
		{"the furthest that offsets reach", "2026-11-22T23:58:59Z", []string{"2026-11-23T00:00:00+23:59", "2026-11-21T23:59:59-23:59", "2026-11-20T23:59:59-23:59"}},
		{"words behind all dates", "", []string{"2026-11-23T08:00:00Z", "unknown"}},
		{"words before all dates", "2026-11-23T08:00:00Z", []string{"2026-11-23T08:00:00Z", "(unknown)"}},
		{"a date alone", "bad", []string{"2026-11-23T08:00:00Z", "2026-11-24"}},
		{"a date alone, long before", "2026-11-23T08:00:00Z", []string{"2026-11-23T08:00:00Z", "1999-11-24"}},
		{"no such day", "bad", []string{"2026-02-28T08:00:00Z", "2026-02-30T08:00:00Z"}},
		{"a word that SQLite reads as a time", "bad", []string{"2026-11-23T08:00:00Z", "now"}},
		{"a word that begins as a number", "", []string{"2460000x"}},
		{"nothing written", "", []string{""}},
	} {
		for _, typ := range []string{"TEXT", "DATETIME"} {
			if got := readNewest(t, typ, c.stored...); got != c.want {
				t.Errorf("%s in %s: %q, want %q", c.name, typ, got, c.want)
			}
		}
	}
}
