package index

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// traffic makes up the reads of a city for some days, and lets these days come
// again: some thousands of pairs of a context and a shape, the frequent ones
// frequent; 20 fields each; readers and persons of whom some are looked at far
// more often.
type traffic struct {
	r               *rand.Rand
	n, records      int // made, and to be made of the days that are repeated
	days, times     int
	pairs           []trafficPair
	cumulative      []float64
	readers, people int
	start           time.Time
	names           []string // of readers
}

func (g *traffic) end() time.Time { return g.start.Add(time.Duration(g.days*g.times) * 24 * time.Hour) }

func (g *traffic) all() int { return g.records * g.times }

type trafficPair struct {
	record   lineage.Record
	outcomes [][]lineage.Counts
	sources  []lineage.SourceAge
}

func newTraffic(seed uint64, records, days, times, pairs, readers, people int) *traffic {
	g := &traffic{
		r: rand.New(rand.NewPCG(seed, 2)), records: records, days: days, times: times, readers: readers, people: people,
		start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	g.names = make([]string, readers)
	for i := range g.names {
		g.names[i] = fmt.Sprintf("reader-%015x", uint64(i)*0x9e3779b97f4a7c15>>4)
	}
	shapes := make([][]lineage.Use, max(1, pairs/2))
	for i := range shapes {
		shapes[i] = g.shape()
	}
	sum := 0.0
	for i := range pairs {
		p := trafficPair{record: lineage.Record{
			Kind: "query", Application: "application-" + strconv.Itoa(int(30*g.r.Float64()*g.r.Float64())), Department: "department-" + strconv.Itoa(g.r.IntN(12)),
			Roles: []string{"role-" + strconv.Itoa(g.r.IntN(20))}, Purpose: "purpose-" + strconv.Itoa(g.r.IntN(10)), Schema: "schema-1",
			Policy: "policy-" + strconv.Itoa(g.r.IntN(5)), Status: "ok", Level: 3,
		}}
		if p.record.Purpose == "purpose-3" {
			p.record.Sealed = 24 * time.Hour
		}
		k := g.r.IntN(len(shapes))
		p.record.Uses, p.record.Operation, p.record.Document = shapes[k], "operation"+strconv.Itoa(k), strings.Repeat(strconv.Itoa(k%10), 64)
		if i%500 == 499 {
			p.record.Application = "application-rare"
		}
		p.sources = sourcesOf(p.record.Uses)
		for range 3 {
			p.outcomes = append(p.outcomes, g.counts(p.record.Uses))
		}
		g.pairs = append(g.pairs, p)
		sum += 1 / float64(i+10)
		g.cumulative = append(g.cumulative, sum)
	}
	return g
}

// shape is of one to three types of one or two departments.
func (g *traffic) shape() (uses []lineage.Use) {
	for len(uses) < 20 {
		department := g.r.IntN(8)
		typ := g.r.IntN(12)
		name := fmt.Sprintf("Type%d_%d", department, typ)
		use := func(field int, kind lineage.UseKind) lineage.Use {
			f := "field" + strconv.Itoa(field)
			return lineage.Use{
				Department: "source-" + strconv.Itoa(department), Table: "table_" + name, Column: "column_" + f,
				Coordinate: schema.Coordinate{Type: name, Field: f}, Level: schema.Rank(field % 4), Use: kind,
			}
		}
		uses = append(uses, use(3, lineage.Filter), use(3, lineage.Tag))
		for f := range 12 {
			if len(uses) < 20 && g.r.IntN(3) > 0 {
				uses = append(uses, use(f, lineage.Select))
			}
		}
	}
	return uses[:20]
}

func (g *traffic) counts(uses []lineage.Use) []lineage.Counts {
	out := make([]lineage.Counts, len(uses))
	rows := uint32(1 + g.r.IntN(3)*g.r.IntN(10))
	for i := range uses {
		switch n := g.r.IntN(10); {
		case uses[i].Use != lineage.Select:
			out[i].Clear = 1
		case n < 7:
			out[i].Clear = rows
		case n < 9:
			out[i].Masked = rows
		case n < 10 && g.r.IntN(2) == 0:
			out[i].Withheld = rows
		}
	}
	return out
}

// personTag is the tag of the n-th person.
func personTag(n int) (t lineage.SubjectTag) {
	x := uint64(n+1) * 0xbf58476d1ce4e5b9
	x ^= x >> 31
	binary.BigEndian.PutUint64(t[:], x*0x94d049bb133111eb)
	return t
}

func (g *traffic) person() int { u := g.r.Float64(); return int(u * u * float64(g.people)) }

// next fills the batch; it is empty at the end.
func (g *traffic) next(batch []lineage.Entry) []lineage.Entry {
	batch = batch[:0]
	tags := make([]lineage.SubjectTag, 0, 2*cap(batch))
	for len(batch) < cap(batch) && g.n < g.records {
		part := float64(g.n) / float64(g.records)
		g.n++
		at, _ := slices.BinarySearch(g.cumulative, g.r.Float64()*g.cumulative[len(g.cumulative)-1])
		p := &g.pairs[min(at, len(g.pairs)-1)]
		e := lineage.Entry{
			Position: lineage.Position{Origin: "node-a", Epoch: 1, Sequence: uint64(g.n)},
			Time:     g.start.Add(time.Duration(part * float64(g.days) * 24 * float64(time.Hour))).Truncate(time.Microsecond), Record: p.record,
		}
		r := &e.Record
		u := g.r.Float64()
		r.Subject = g.names[int(u*u*float64(g.readers))]
		r.RequestID = g.request()
		r.Counts = p.outcomes[max(0, min(2, g.r.IntN(20)-17))]
		r.Rows = uint64(1 + g.r.IntN(5))
		n := 1
		switch k := g.r.IntN(20); {
		case k < 4:
			n = 0
		case k == 19:
			n = 8
		case k > 15:
			n = 2
		}
		if g.r.IntN(1000) == 0 {
			n, r.TagCount = 0, 100
		}
		mark := len(tags)
		for range n {
			if t := personTag(g.person()); !slices.Contains(tags[mark:], t) {
				tags = append(tags, t)
			}
		}
		if r.Tags = tags[mark:len(tags):len(tags)]; len(r.Tags) > 0 {
			r.TagCount = uint64(len(r.Tags))
		}
		if r.Sources = p.sources; len(r.Sources) > 1 && len(r.Tags) > 0 {
			g.group(r)
		}
		batch = append(batch, e)
	}
	return batch
}

// group parts a record's persons: most come from all of its departments.
func (g *traffic) group(r *lineage.Record) {
	lists := make([][]lineage.SubjectTag, len(r.Sources))
	for _, tag := range r.Tags {
		only := g.r.IntN(4 * len(lists))
		for i := range lists {
			if only == i || only >= len(lists) {
				lists[i] = append(lists[i], tag)
			}
		}
	}
	r.SetGroupedTags(lineage.GroupTags(lists))
}

func (g *traffic) request() string {
	var b [36]byte
	const digits = "0123456789abcdef"
	hi, lo := g.r.Uint64(), g.r.Uint64()
	for i := range b {
		switch {
		case slices.Contains(dashes[:], i):
			b[i] = '-'
		case i < 18:
			b[i], hi = digits[hi&15], hi>>4
		default:
			b[i], lo = digits[lo&15], lo>>4
		}
	}
	return string(b[:])
}

// load applies all of the traffic, as the writer applies what it read.
func load(ctx context.Context, x *Index, g *traffic, batch int, log func(string, ...any)) error {
	w := newWriter(x)
	defer w.close()
	entries := make([]lineage.Entry, 0, batch)
	began, told, worked := time.Now(), time.Now(), processor()
	for entries = g.next(entries); len(entries) > 0; entries = g.next(entries) {
		if err := w.apply(ctx, entries); err != nil {
			return err
		}
		w.names.bound()
		if log != nil && time.Since(told) > 30*time.Second {
			told = time.Now()
			log("%d records, %.0f a second", g.n, float64(g.n)/time.Since(began).Seconds())
		}
	}
	if log != nil {
		took := time.Since(began)
		worked = processor() - worked
		log("applied %d records in %v: %.0f a second, %.0f a second of the processor", g.n, took.Round(time.Millisecond), float64(g.n)/took.Seconds(), float64(g.n)/worked.Seconds())
		worked = processor()
	}
	began = time.Now()
	if err := repeat(ctx, x, g); err != nil {
		return err
	}
	if log != nil {
		log("repeated them %d times in %v, %v of the processor", g.times, time.Since(began).Round(time.Millisecond), (processor() - worked).Round(time.Millisecond))
		worked = processor()
	}
	began = time.Now()
	if err := w.built(ctx); err != nil {
		return err
	}
	if log != nil {
		log("sorted them in %v, %v of the processor", time.Since(began).Round(time.Millisecond), (processor() - worked).Round(time.Millisecond))
	}
	return nil
}

// repeat lets the days that were applied come again, by copying rows within the
// database: TestRepeat holds the outcome to what applying them would give.
func repeat(ctx context.Context, x *Index, g *traffic) error {
	if g.times == 1 {
		return nil
	}
	exec := func(statement string, args ...any) error {
		_, err := x.db.ExecContext(ctx, statement, args...)
		return err
	}
	span, n := int64(g.days)*microsPerDay, int64(g.records)
	// Each in the order of its table, as far as that goes.
	again := fmt.Sprintf(`WITH RECURSIVE n (k) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT k + 1 FROM n WHERE k < %d) `, g.times-1)
	return errors.Join(
		repeatPeople(ctx, x, g),
		exec(again+`INSERT INTO record (origin, sequence, epoch, time, tally, reader, request, rows_read, people, cohorts, counts)
			SELECT r.origin, r.sequence + n.k * $1, r.epoch, r.time + n.k * $2, r.tally, r.reader, r.request, r.rows_read, r.people, r.cohorts, r.counts
			FROM n CROSS JOIN record r`, n, span),
		exec(again+`INSERT INTO rollup (tally, day, origin, reads, uncounted, first, last, cells, people)
			SELECT r.tally, r.day + n.k * $1, r.origin, r.reads, r.uncounted, r.first + n.k * $2, r.last + n.k * $2, r.cells, r.people
			FROM rollup r CROSS JOIN n`, int64(g.days), span),
		exec(`UPDATE tally SET records = records * $1, last = last + $2`, int64(g.times), int64(g.times-1)*span),
		exec(`UPDATE origin SET sequence = $1`, int64(g.all())))
}

// repeatPeople appends the runs that the records to come would have.
func repeatPeople(ctx context.Context, x *Index, g *traffic) error {
	w := newWriter(x)
	defer w.close()
	var origin int64
	if err := x.db.QueryRowContext(ctx, `SELECT id FROM origin`).Scan(&origin); err != nil {
		return err
	}
	base, err := storedOf(ctx, w, origin)
	if err != nil {
		return err
	}
	for k := 1; k < g.times; k++ {
		list := slices.Clone(base)
		for i := range list {
			list[i].time += int64(k*g.days) * microsPerDay
			list[i].sequence += int64(k * g.records)
		}
		for part := range slices.Chunk(list, 1<<20) {
			tx, err := x.db.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			b := &batch{tx: tx, writer: w, people: slices.Clone(part)}
			if err := errors.Join(b.putPeople(ctx, origin), tx.Commit()); err != nil {
				return err
			}
		}
	}
	return nil
}

// storedOf are all postings of an origin, in order.
func storedOf(ctx context.Context, w *writer, origin int64) (out []posting, err error) {
	tx, err := w.index.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback() //nolint:errcheck // it wrote nothing
	b := &batch{tx: tx, writer: w}
	runs, err := b.runs(ctx, origin)
	if err != nil {
		return nil, err
	}
	for _, r := range runs {
		from := len(out)
		if out, _, err = b.readChunks(ctx, out, r.id, leastPosting, math.MaxInt32); err != nil {
			return nil, err
		}
		for _, p := range out[from:] {
			if p.time < r.oldest || p.time > r.newest {
				return nil, fmt.Errorf("run %d is of %d to %d, a posting of %d", r.id, r.oldest, r.newest, p.time)
			}
		}
		if n := int64(len(out) - from); n != r.postings || !slices.IsSortedFunc(out[from:], posting.compare) {
			return nil, fmt.Errorf("run %d says that it has %d postings, and has %d, or not in order", r.id, r.postings, n)
		}
	}
	slices.SortFunc(out, posting.compare)
	return out, nil
}

// stored are all postings, by origin.
func stored(t *testing.T, x *Index) map[int64][]posting {
	t.Helper()
	w := newWriter(x)
	defer w.close()
	out := map[int64][]posting{}
	for _, row := range contents(t, x.db, "origin") {
		origin, err := strconv.ParseInt(strings.SplitN(row, "|", 2)[0], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if out[origin], err = storedOf(t.Context(), w, origin); err != nil {
			t.Fatal(err)
		}
	}
	return out
}
