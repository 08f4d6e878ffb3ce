package index

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// tiny sizes make runs of many chunks, and merges of many steps, of few records.
var tiny = sizes{chunk: 5, small: 8, step: 40, least: 8}

// known is an index whose records are known, of some nodes, as lists.
type known struct {
	t     *testing.T
	x     *Index
	r     *rand.Rand
	nodes []*knownNode
	names []string // of readers
}

type knownNode struct {
	name    string
	writer  *writer
	clock   time.Time
	records []lineage.Entry // by sequence, from 1
	gone    map[uint64]bool
	runs    int // the most that there were
	merging int // how often there was a merge that had not ended
}

func newKnown(t *testing.T, x *Index, r *rand.Rand) *known {
	k := &known{t: t, x: x, r: r, names: subjects}
	for _, name := range []string{"node-a", "node-b"} {
		n := &knownNode{name: name, clock: time.Date(2023, 1, 20, 0, 0, 0, 0, time.UTC), gone: map[uint64]bool{}}
		k.reopen(n)
		k.nodes = append(k.nodes, n)
	}
	return k
}

// reopen is what is left when a process has ended: the tables.
func (k *known) reopen(n *knownNode) {
	if n.writer != nil {
		id, last := n.writer.origin, n.writer.last
		n.writer.close()
		n.writer = newWriter(k.x)
		n.writer.origin, n.writer.last = id, last
	} else {
		n.writer = newWriter(k.x)
	}
	n.writer.sizes = tiny
}

func (k *known) tag() lineage.SubjectTag {
	if k.r.IntN(4) == 0 {
		return tagOf(0) // one whom everybody looks at
	}
	return tagOf(k.r.IntN(60))
}

// entries are the next of a log, whose clock goes back now and then.
func (k *known) entries(n *knownNode, count int) (out []lineage.Entry) {
	for range count {
		n.clock = n.clock.Add(time.Duration(k.r.IntN(120)-5) * time.Minute) // moments are met again, by both
		e := lineage.Entry{
			Position: lineage.Position{Origin: n.name, Epoch: 1, Sequence: uint64(len(n.records) + len(out) + 1)}, Time: n.clock,
			Record: lineage.Record{
				Kind: "query", Subject: pick(k.r, k.names), Department: "health", Status: "ok", Level: 2, RequestID: "r",
				Uses: shapes()[0], Counts: make([]lineage.Counts, 3),
			},
		}
		if k.r.IntN(2) == 0 {
			e.Record.Level = 3
		}
		var tags []lineage.SubjectTag
		for range k.r.IntN(5) * k.r.IntN(5) {
			tags = append(tags, k.tag())
		}
		e.Record.SetTags(tags)
		if k.r.IntN(2) == 0 { // of two departments
			e.Record.Uses = shapes()[1]
			e.Record.Sources = sourcesOf(e.Record.Uses)
			lists := make([][]lineage.SubjectTag, 2)
			for _, tag := range e.Record.Tags {
				of := k.r.IntN(3)
				for i := range lists {
					if of != i {
						lists[i] = append(lists[i], tag)
					}
				}
			}
			e.Record.SetGroupedTags(lineage.GroupTags(lists))
		}
		out = append(out, e)
	}
	return out
}

func (k *known) apply(n *knownNode, entries []lineage.Entry) {
	k.t.Helper()
	if err := n.writer.apply(k.t.Context(), entries); err != nil {
		k.t.Fatal(err)
	}
	n.records = append(n.records, entries...)
}

// drop drops a month and level of a node, by the record of an act.
func (k *known) drop(n *knownNode) {
	k.t.Helper()
	name := lineage.KeyName{Month: lineage.MonthOf(n.records[k.r.IntN(len(n.records))].Time), Level: schema.Rank(2 + k.r.IntN(2))}
	e := k.entries(n, 1)[0]
	act := lineage.Act{Name: name, Text: "an act\n"}
	e.Record = *act.Record()
	k.apply(n, []lineage.Entry{e})
	for i := range n.records {
		r := &n.records[i]
		if lineage.MonthOf(r.Time) == name.Month && r.Record.Level == name.Level {
			n.gone[r.Position.Sequence] = true
		}
	}
}

// fail ends a transaction that has written, and maybe merged, before its end.
func (k *known) fail(n *knownNode) {
	k.t.Helper()
	w := n.writer
	entries := k.entries(n, 1+k.r.IntN(20))
	entries[len(entries)-1].Position.Sequence++ // a record is missing before it
	if err := w.apply(k.t.Context(), entries); !errors.Is(err, ErrForeign) {
		k.t.Fatalf("a gap in the log: %v", err)
	}
	k.x.refused.Store(nil)
	tx, err := k.x.db.BeginTx(k.t.Context(), nil)
	if err != nil {
		k.t.Fatal(err)
	}
	b := &batch{tx: tx, writer: w, people: []posting{{1, 2, 3, 0}, {4, 5, 6, 1}}}
	w.room = 1000
	if err := errors.Join(b.putPeople(k.t.Context(), w.origin), tx.Rollback()); err != nil {
		k.t.Fatal(err)
	}
	k.reopen(n)
}

// holds compares what is stored with what is known, and counts runs.
func (k *known) holds() {
	k.t.Helper()
	all := stored(k.t, k.x)
	for _, n := range k.nodes {
		if n.writer.origin == 0 {
			continue
		}
		var want []posting
		for i := range n.records {
			e := &n.records[i]
			for _, tag := range e.Record.Tags {
				if !n.gone[e.Position.Sequence] {
					want = append(want, postingOf(e, tag))
				}
			}
		}
		slices.SortFunc(want, posting.compare)
		if got := all[n.writer.origin]; !slices.Equal(got, want) {
			k.t.Fatalf("%s: %d postings instead of %d, or others", n.name, len(got), len(want))
		}
		runs := k.count(n)
		// Of each tier those that wait, those that are merged, and what they go into.
		if most := 2 * fanout * (1 + tiny.tier(int64(len(want)))); len(runs) > most {
			k.t.Fatalf("%s has %d runs of %d postings, more than %d", n.name, len(runs), len(want), most)
		}
		for _, r := range runs {
			if r.target == standing && r.tier != tiny.tier(r.postings) {
				k.t.Fatalf("a run of %d postings is in tier %d", r.postings, r.tier)
			}
		}
		if m := due(runs); n.writer.settled && m != nil {
			k.t.Fatalf("a merge of %d runs is due, and not thought of", len(m.from))
		}
	}
}

// count counts a node's runs, and whether a merge has not ended.
func (k *known) count(n *knownNode) []*run {
	k.t.Helper()
	runs := k.runs(n)
	n.runs = max(n.runs, len(runs))
	if slices.ContainsFunc(runs, (*run).filling) {
		n.merging++
	}
	return runs
}

// runs are those of a node.
func (k *known) runs(n *knownNode) []*run {
	k.t.Helper()
	tx, err := k.x.snapshot(k.t.Context())
	if err != nil {
		k.t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // it wrote nothing
	runs, err := (&batch{tx: tx, writer: n.writer}).runs(k.t.Context(), n.writer.origin)
	if err != nil {
		k.t.Fatal(err)
	}
	return runs
}

// dropAmid drops amid a merge.
func (k *known) dropAmid(n *knownNode) {
	k.t.Helper()
	before := n.merging
	for range 100 {
		k.apply(n, k.entries(n, 3))
		if k.count(n); n.merging > before {
			k.drop(n)
			return
		}
	}
	k.t.Fatal("no merge lasts")
}

// newest compares the newest places of a tag, without their records, with what is
// known.
func (k *known) newest(tag lineage.SubjectTag, want []Place) {
	k.t.Helper()
	tx, err := k.x.snapshot(k.t.Context())
	if err != nil {
		k.t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // it wrote nothing
	limit := 1 + k.r.IntN(20)
	l := &look{tx: tx, tag: tagNumber(tag), from: math.MinInt64, before: math.MaxInt64, limit: limit}
	places, err := l.places(k.t.Context())
	if err != nil {
		k.t.Fatal(err)
	}
	got := make([]Place, len(places))
	for i := range places {
		got[i] = places[i].Place
	}
	if want = want[:min(len(want), limit)]; !slices.Equal(got, want) {
		k.t.Fatalf("the newest %d places are %v instead of %v", limit, got, want)
	}
}

// shares compares what a record says of where its persons came from with what is
// known.
func (k *known) shares(f *Filter, got *Read) {
	k.t.Helper()
	n := k.nodes[slices.IndexFunc(k.nodes, func(n *knownNode) bool { return n.name == got.Position.Origin })]
	if want := sharesOf(f, &n.records[got.Position.Sequence-1].Record); !slices.Equal(got.Shares, want) {
		k.t.Fatalf("%s: of the person's record %+v instead of %+v", got.Position, got.Shares, want)
	}
}

// asks compares pages about one person with what is known.
func (k *known) asks() {
	k.t.Helper()
	tag := k.tag()
	f := Filter{Tag: &tag, Any: true}
	some := func() time.Time {
		n := pick(k.r, k.nodes)
		if len(n.records) == 0 {
			return n.clock
		}
		return n.records[k.r.IntN(len(n.records))].Time.Add(time.Duration(k.r.IntN(3)-1) * time.Microsecond)
	}
	if k.r.IntN(3) == 0 {
		f.From = some()
	}
	if k.r.IntN(3) == 0 {
		f.To = some()
	}
	if k.r.IntN(4) == 0 {
		f.Subject = pick(k.r, k.names)
	}
	type found struct {
		at     int64
		origin int64
		name   string
		n      uint64
	}
	var want []found
	for _, n := range k.nodes {
		for i := range n.records {
			e := &n.records[i]
			if n.gone[e.Position.Sequence] || !slices.Contains(e.Record.Tags, tag) || f.Subject != "" && f.Subject != e.Record.Subject ||
				!f.From.IsZero() && e.Time.Before(f.From) || !f.To.IsZero() && !e.Time.Before(f.To) {
				continue
			}
			want = append(want, found{e.Time.UnixMicro(), n.writer.origin, n.name, e.Position.Sequence})
		}
	}
	slices.SortFunc(want, func(a, b found) int {
		return newer(place{Place: Place{a.at, a.origin, int64(a.n)}}, place{Place: Place{b.at, b.origin, int64(b.n)}})
	})
	var got []found
	var after *Place
	for {
		page, err := k.x.Reads(k.t.Context(), f, 1+k.r.IntN(30), after)
		if err != nil {
			k.t.Fatal(err)
		}
		for i := range page.Reads {
			p := page.Reads[i].Position
			k.shares(&f, &page.Reads[i])
			at := slices.IndexFunc(k.nodes, func(n *knownNode) bool { return n.name == p.Origin })
			got = append(got, found{page.Reads[i].Time.UnixMicro(), k.nodes[at].writer.origin, p.Origin, p.Sequence})
		}
		if after = page.Next; after == nil {
			break
		}
	}
	if !slices.Equal(got, want) {
		k.t.Fatalf("%+v: %d records instead of %d, or others", f, len(got), len(want))
	}
	if f.From.IsZero() && f.To.IsZero() && f.Subject == "" {
		var places []Place
		for _, w := range want {
			places = append(places, Place{w.at, w.origin, int64(w.n)})
		}
		k.newest(tag, places)
	}
	for _, n := range k.nodes {
		if len(n.records) == 0 {
			continue
		}
		e := &n.records[k.r.IntN(len(n.records))]
		has, err := k.x.Has(k.t.Context(), e.Position, Filter{Tag: &tag, Open: e.Time.Add(-time.Hour)}) // the clock has gone back
		if want := slices.Contains(e.Record.Tags, tag) && !n.gone[e.Position.Sequence]; err != nil || has != want {
			k.t.Fatalf("has %v is %v, %v", e.Position, has, err)
		}
	}
}

// steps gives what to do with an index, each kind at least once, in any order.
func steps(r *rand.Rand, rounds int) []func(*known, *knownNode) {
	kinds := []struct {
		of60 int
		step func(*known, *knownNode)
	}{
		{24, func(k *known, n *knownNode) { k.apply(n, k.entries(n, 1+r.IntN(4))) }},
		{12, func(k *known, n *knownNode) { k.apply(n, k.entries(n, 20+r.IntN(40))) }},
		{9, (*known).settle},
		{3, (*known).drop},
		{1, (*known).dropAmid},
		{2, (*known).fail},
		{3, (*known).reopen},
		{6, func(k *known, _ *knownNode) { k.asks() }},
	}
	var all []func(*known, *knownNode)
	for _, kind := range kinds {
		all = append(all, slices.Repeat([]func(*known, *knownNode){kind.step}, max(1, rounds*kind.of60/60))...)
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// settle lets the writer merge a piece.
func (k *known) settle(n *knownNode) {
	k.t.Helper()
	if err := n.writer.settle(k.t.Context()); err != nil {
		k.t.Fatal(err)
	}
}

// TestPeople: whatever batches come from two nodes, are merged, fail and are
// redacted, the index holds whom every record is about and nobody else, and pages
// about one person are those of a sorted list.
func TestPeople(t *testing.T) {
	drivers(t, func(t *testing.T, cfg Config) {
		r := seeded(t)
		x, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close() //nolint:errcheck // thrown away
		k := newKnown(t, x, r)
		rounds := fewer(250)
		if cfg.Driver == Postgres {
			rounds = min(rounds, 120)
		}
		for _, n := range k.nodes {
			k.apply(n, k.entries(n, 1))
		}
		for _, step := range steps(r, rounds) {
			step(k, pick(r, k.nodes))
			k.holds()
		}
		for _, n := range k.nodes {
			k.apply(n, k.entries(n, 1))
			for range 3 {
				k.dropAmid(n)
				k.holds()
			}
			k.apply(n, k.entries(n, 50))
		}
		for range 40 {
			k.asks()
		}
		filling := 0
		for _, n := range k.nodes {
			t.Logf("%s: %d records, %d gone, %d runs at most, %d times amid a merge", n.name, len(n.records), len(n.gone), n.runs, n.merging)
			if len(n.gone) == 0 || len(n.records) == len(n.gone) || n.runs < fanout || n.merging < 3 {
				t.Errorf("%s: %d of %d records gone, %d runs, %d times amid a merge: this tests little", n.name, len(n.gone), len(n.records), n.runs, n.merging)
			}
			for range 10_000 {
				if n.writer.settled {
					break
				}
				if err := n.writer.settle(t.Context()); err != nil {
					t.Fatal(err)
				}
				filling++
			}
			n.runs = 0
		}
		k.holds()
		for _, n := range k.nodes {
			var most int
			if err := x.db.QueryRowContext(t.Context(), `SELECT COALESCE(max(n), 0) FROM (SELECT count(*) AS n FROM run WHERE origin = $1 GROUP BY tier) AS alike`, n.writer.origin).Scan(&most); err != nil {
				t.Fatal(err)
			}
			if most >= fanout {
				t.Errorf("%s: %d runs of one tier, and nothing is merged any more", n.name, most)
			}
		}
		t.Log("steps until everything is merged:", filling)
	})
}

// TestAsksAmidMerges: a look at a person while runs are merged finds each record
// once.
func TestAsksAmidMerges(t *testing.T) {
	drivers(t, func(t *testing.T, cfg Config) {
		r := seeded(t)
		x, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close() //nolint:errcheck // thrown away
		k := newKnown(t, x, r)
		n := k.nodes[0]
		tag := tagOf(1000)
		for range 30 {
			entries := k.entries(n, 5)
			entries[0].Record.SetTags(append(slices.Clone(entries[0].Record.Tags), tag))
			k.apply(n, entries)
		}
		written := make(chan error, 1)
		go func() { written <- k.mergeOn(n, 150) }()
		for asked := 0; ; asked++ {
			page, err := x.Reads(t.Context(), Filter{Tag: &tag, Any: true}, 100, nil)
			if err != nil || len(page.Reads) != 30 {
				t.Fatalf("%d records instead of 30, %v", len(page.Reads), err)
			}
			select {
			case err := <-written:
				if err != nil || asked < 20 {
					t.Errorf("%d questions while it was merged, %v", asked, err)
				}
				return
			default:
			}
		}
	})
}

// mergeOn goes on writing and merging, without a test's end.
func (k *known) mergeOn(n *knownNode, batches int) error {
	for range batches {
		entries := k.entries(n, 8)
		if err := errors.Join(n.writer.apply(k.t.Context(), entries), n.writer.settle(k.t.Context())); err != nil {
			return err
		}
		n.records = append(n.records, entries...)
	}
	return nil
}
