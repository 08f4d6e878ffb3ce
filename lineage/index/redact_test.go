package index

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/weir-data/weir/lineage"
)

// dropKey drops the key of a month and level of a log, as an act does.
func dropKey(t *testing.T, dir string, n lineage.KeyName) {
	t.Helper()
	f := lineage.Folder{Dir: dir}
	keys, err := lineage.Keys(f)
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(keys, func(k lineage.KeyStatus) bool { return k.Name == n })
	if at < 0 {
		t.Fatalf("no key %s among %v", n, keys)
	}
	log, err := lineage.Open(lineage.Config{Dir: dir, Origin: "node-a", Reading: reading(t), Clock: func() time.Time { return start }})
	if err != nil {
		t.Fatal(err)
	}
	act := lineage.Act{Name: n, Key: keys[at].Key, Text: "an act\n"}
	if err := errors.Join(log.Drop(t.Context(), act, act.Record()), log.Close()); err != nil {
		t.Fatal(err)
	}
}

// readable are the records of a log that are not redacted, and the others.
func readable(t *testing.T, dir string) (open, redacted []lineage.Entry) {
	t.Helper()
	for e, err := range lineage.Read(lineage.Folder{Dir: dir, Reading: reading(t)}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Content == lineage.Readable {
			open = append(open, e)
		} else {
			redacted = append(redacted, e)
		}
	}
	return open, redacted
}

// rowCounts are those of all tables.
func rowCounts(t *testing.T, x *Index) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, table := range [...]string{"origin", "reader", "context", "shape", "shape_use", "pair", "tally", "record", "person", "flow", "cell", "rollup"} {
		out[table] = len(contentsOf(t, x, table))
	}
	return out
}

// TestRedacts: when a key is dropped, an index that followed the log holds no
// more than one that is made afterwards, answers as if the records had never
// been, and goes on.
func TestRedacts(t *testing.T) {
	drivers(t, func(t *testing.T, cfg Config) {
		r := seeded(t)
		cfg.Dir = t.TempDir()
		// From one month into the next.
		const n = 1200
		before := fillFrom(t, cfg.Dir, "node-a", r, n, time.Date(2023, 3, 30, 22, 0, 0, 0, time.UTC))
		cfg.Batch = 1 + r.IntN(200)
		x, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close() //nolint:errcheck // closed in order below, or the test has failed
		if err := x.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		var traces map[posting][]byte
		if cfg.Driver == SQLite {
			traces = tracesOf(t, x, cfg.Path)
		}
		march := lineage.MonthOf(before[0].Time)
		dropKey(t, cfg.Dir, lineage.KeyName{Month: march, Level: 3})
		open, redacted := readable(t, cfg.Dir)
		if len(redacted) < n/20 || len(open) < n/20 {
			t.Fatalf("%d redacted, %d open", len(redacted), len(open))
		}
		if err := x.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		if cfg.Driver == SQLite {
			for i := range redacted {
				redacted[i] = before[redacted[i].Position.Sequence-1]
			}
			forgotten(t, cfg.Path, redacted, open)
			noTraces(t, cfg.Path, redacted, open, traces)
		}
		compareAnswers(t, x, r, open)

		other := cfg
		if cfg.Driver == SQLite {
			other.Path = filepath.Join(t.TempDir(), "other.db")
		} else {
			other.URL = ownSchema(t, os.Getenv("WEIR_TEST_POSTGRES"))
		}
		if _, err := Rebuild(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		anew, err := Open(t.Context(), other)
		if err != nil {
			t.Fatal(err)
		}
		want, got := rowCounts(t, anew), rowCounts(t, x)
		for table, rows := range want {
			if got[table] != rows {
				t.Errorf("table %s has %d rows, and %d in an index made anew", table, got[table], rows)
			}
		}
		if err := anew.Close(); err != nil {
			t.Error(err)
		}

		// It goes on, with names that were forgotten and come again.
		fillFrom(t, cfg.Dir, "node-a", r, 200, start)
		if err := x.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		open, _ = readable(t, cfg.Dir)
		compareAnswers(t, x, r, open)
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// compareAnswers holds pages and flows against the records themselves.
func compareAnswers(t *testing.T, x *Index, r *rand.Rand, open []lineage.Entry) {
	t.Helper()
	slices.SortStableFunc(open, func(a, b lineage.Entry) int { return a.Time.Compare(b.Time) })
	for range fewer(40) {
		f := randomFilter(r, open)
		want := expected(&f, open)
		var got []uint64
		var after *Place
		for {
			page, err := x.Reads(t.Context(), f, 100, after)
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range page.Reads {
				got = append(got, row.Position.Sequence)
			}
			if after = page.Next; after == nil {
				break
			}
		}
		if !slices.Equal(want, got) {
			t.Errorf("%+v: %d records instead of %d", f, len(got), len(want))
		}
	}
	for _, department := range departments {
		f := FlowFilter{Department: department}
		want, people := flowsOf(open, &f)
		got, err := x.Flows(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d flows instead of %d", department, len(got), len(want))
		}
		for _, g := range got {
			key := flowID{g.Coordinate, g.Use, g.Outcome, g.Consumer, g.Application, g.Purpose}
			if w := want[key]; w == nil || g.Reads != w.Reads || g.Cells != w.Cells || !g.First.Equal(w.First) || !g.Last.Equal(w.Last) || g.People != uint64(len(people[key])) {
				t.Errorf("%v: %+v instead of %+v", key, g, w)
			}
		}
	}
}

// filesOf are all bytes that SQLite keeps.
func filesOf(t *testing.T, path string) (all []byte) {
	t.Helper()
	for _, suffix := range [...]string{"", "-wal", "-shm"} {
		b, err := os.ReadFile(path + suffix)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}

// tracesOf are the bytes by which persons of records are in the files, of those
// that are found there: where a page ends within them they are not.
func tracesOf(t *testing.T, x *Index, path string) map[posting][]byte {
	t.Helper()
	all, out, some := filesOf(t, path), map[posting][]byte{}, 0
	rows, err := x.db.QueryContext(t.Context(), `SELECT postings FROM chunk`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close() //nolint:errcheck // read to the end
	for rows.Next() {
		var blob []byte
		if err := rows.Scan(&blob); err != nil {
			t.Fatal(err)
		}
		c, err := openChunk(blob)
		if err != nil {
			t.Fatal(err)
		}
		rest, err := readChunk(nil, blob)
		if err != nil {
			t.Fatal(err)
		}
		for at := c.body; len(rest) > 0; {
			n := int(at[c.w.step])
			if n >= 0x80 {
				t.Fatal("more of one tag than this reads")
			}
			size := c.w.step + 1 + n*(c.w.time+c.w.sequence+c.w.from)
			// Its step, time and sequence: no other posting has these, but where time or
			// sequence is the chunk's least.
			p := rest[0]
			if n == 1 && c.w.step > 4 && p.time != c.time && p.sequence != c.sequence {
				some++
				if bytes.Contains(all, at[:size]) {
					out[p] = bytes.Clone(at[:size])
				}
			}
			at, rest = at[size:], rest[n:]
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if len(out) < some/2 {
		t.Fatalf("%d of %d persons of records are found in the files", len(out), some)
	}
	return out
}

// noTraces holds the files to having none of these bytes left for redacted records.
func noTraces(t *testing.T, path string, redacted, open []lineage.Entry, traces map[posting][]byte) {
	t.Helper()
	all := filesOf(t, path)
	// Another record of the same moment may have the same bytes beside another least
	// sequence: the test's tags lie at like distances.
	moments := map[int64]bool{}
	for i := range open {
		moments[open[i].Time.UnixMicro()] = true
	}
	left, of := 0, 0
	for i := range redacted {
		for _, tag := range redacted[i].Record.Tags {
			trace, known := traces[postingOf(&redacted[i], tag)]
			if !known || moments[redacted[i].Time.UnixMicro()] {
				continue
			}
			of++
			if bytes.Contains(all, trace) {
				left++
			}
		}
	}
	if left > 0 || of < len(redacted)/10 {
		t.Errorf("%d of %d persons of %d redacted records are in the files", left, of, len(redacted))
	}
}

// forgotten holds the files to having not a request id of the redacted left, and
// those of all others.
func forgotten(t *testing.T, path string, redacted, open []lineage.Entry) {
	t.Helper()
	all := filesOf(t, path)
	times := map[int64]bool{}
	for i := range open {
		times[open[i].Time.UnixMicro()] = true
	}
	// In tables and in their orders, by request and by time.
	holds := func(list []lineage.Entry) (ids, moments int) {
		for i := range list {
			at := list[i].Time.UnixMicro()
			if id := list[i].Record.RequestID; id != "" && bytes.Contains(all, packRequest(id)) {
				ids++
			}
			if times[at] == (&list[0] == &open[0]) && bytes.Contains(all, binary.BigEndian.AppendUint64(nil, uint64(at))) {
				moments++
			}
		}
		return ids, moments
	}
	if ids, moments := holds(redacted); ids > 0 || moments > 0 {
		t.Errorf("%d requests and %d times of %d redacted records are in the file", ids, moments, len(redacted))
	}
	if ids, moments := holds(open); ids < len(open)-1 || moments < len(open) { // the act's own has no request
		t.Errorf("%d requests and %d times of %d records are in the file: the search finds nothing", ids, moments, len(open))
	}
}
