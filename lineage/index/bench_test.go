package index

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"testing"

	"github.com/weir-data/weir/lineage"
)

// BenchmarkApply is what a record costs that brings no new name: beside a server,
// whose tables are kept in their orders, and when an index is made anew. The
// figure to look at is records a second of the processor.
func BenchmarkApply(b *testing.B) {
	for _, c := range [...]struct {
		name  string
		batch int
		anew  bool
	}{{"following/batch=256", 256, false}, {"following/batch=4096", 4096, false}, {"anew", 4096, true}} {
		b.Run(c.name, func(b *testing.B) {
			open := Open
			if c.anew {
				open = anew
			}
			x, err := open(b.Context(), Config{Driver: SQLite, Path: filepath.Join(b.TempDir(), "index.db")})
			if err != nil {
				b.Fatal(err)
			}
			defer x.Close() //nolint:errcheck // thrown away
			g := newTraffic(1, 1<<40, 400_000_000, 1, 300, 2000, 1_000_000)
			w := newWriter(x)
			defer w.close()
			entries := make([]lineage.Entry, 0, c.batch)
			for range 30_000 / c.batch { // the names
				if err := w.apply(b.Context(), g.next(entries)); err != nil {
					b.Fatal(err)
				}
			}
			n := 0
			var worked float64
			for b.Loop() {
				b.StopTimer()
				entries = g.next(entries)
				b.StartTimer()
				began := processor()
				if err := w.apply(b.Context(), entries); err != nil {
					b.Fatal(err)
				}
				worked += (processor() - began).Seconds()
				n += len(entries)
			}
			b.ReportMetric(float64(n)/worked, "records/cpu-s")
			b.ReportMetric(worked*1e6/float64(n), "cpu-us/record")
		})
	}
}

// BenchmarkPeople is what a person of a record costs, in records of a thousand,
// merging included: what such records cost less what they do without their persons.
// Beside it is what a row for each person costs in a table in their order, as the
// index once had it. The figures are of the processor and of the file, and to be
// compared within one run.
func BenchmarkPeople(b *testing.B) {
	const each, turn, turns = 1000, 1 << 13 / 1000, 300
	entries := func(g *traffic, to []lineage.Entry, with bool) []lineage.Entry {
		to = g.next(to)
		for i := range to {
			r := &to[i].Record
			r.Tags, r.TagCount = nil, each
			if with {
				r.Tags = make([]lineage.SubjectTag, each)
				for j := range r.Tags {
					r.Tags[j] = personTag(g.r.IntN(g.people))
				}
				r.Tags = lineage.UniqueTags(r.Tags)
			}
		}
		return to
	}
	// cost is that of a person, and what the file has grown by.
	cost := func(b *testing.B, with bool, apply func(ctx context.Context, w *writer, entries []lineage.Entry) error) (nanoseconds, bytes float64) {
		x, err := Open(b.Context(), Config{Driver: SQLite, Path: filepath.Join(b.TempDir(), "index.db")})
		if err != nil {
			b.Fatal(err)
		}
		defer x.Close() //nolint:errcheck // thrown away
		g := newTraffic(1, 1<<40, 400_000_000, 1, 30, 2000, 2_000_000)
		w := newWriter(x)
		defer w.close()
		list := make([]lineage.Entry, 0, turn)
		for i := range turns {
			list = entries(g, list, with)
			began := processor()
			if err := apply(b.Context(), w, list); err != nil {
				b.Fatal(err)
			}
			if i >= turns/10 { // before it, names
				nanoseconds += float64((processor() - began).Nanoseconds())
			}
		}
		var pages, free, size float64
		for text, to := range map[string]*float64{`PRAGMA page_count`: &pages, `PRAGMA freelist_count`: &free, `PRAGMA page_size`: &size} {
			if err := x.db.QueryRowContext(b.Context(), text).Scan(to); err != nil {
				b.Fatal(err)
			}
		}
		return nanoseconds / (each * turn * turns * 9 / 10), (pages - free) * size / (each * turn * turns)
	}
	apply := func(ctx context.Context, w *writer, entries []lineage.Entry) error { return w.apply(ctx, entries) }
	for b.Loop() {
		without, empty := cost(b, false, apply)
		runs, runBytes := cost(b, true, apply)
		rows, rowBytes := cost(b, true, applyRows)
		b.ReportMetric(runs-without, "ns/person-runs")
		b.ReportMetric(rows, "ns/person-rows")
		b.ReportMetric(rows/(runs-without), "rows/runs")
		b.ReportMetric(runBytes-empty, "B/person-runs")
		b.ReportMetric(rowBytes, "B/person-rows")
	}
}

// applyRows puts persons down as rows of a table in their order.
func applyRows(ctx context.Context, w *writer, entries []lineage.Entry) error {
	if w.uses.into != "person" {
		if _, err := w.index.db.ExecContext(ctx, `CREATE TABLE person (tag BIGINT NOT NULL, time BIGINT NOT NULL, origin BIGINT NOT NULL, sequence BIGINT NOT NULL,
			PRIMARY KEY (tag, time, origin, sequence)) WITHOUT ROWID`); err != nil {
			return err
		}
		w.uses = inserts{db: w.index.db, driver: SQLite, columns: 4, into: "person"}
	}
	var list []posting
	for i := range entries {
		for _, t := range entries[i].Record.Tags {
			list = append(list, posting{tag: tagNumber(t), time: entries[i].Time.UnixMicro(), sequence: int64(entries[i].Position.Sequence)})
		}
	}
	slices.SortFunc(list, func(x, y posting) int {
		return cmp.Or(cmp.Compare(x.tag, y.tag), cmp.Compare(x.time, y.time), cmp.Compare(x.sequence, y.sequence))
	})
	tx, err := w.index.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	into := rows{inserts: &w.uses}
	for _, p := range list {
		if err := into.add(ctx, tx, p.tag, p.time, int64(1), p.sequence); err != nil {
			return err
		}
	}
	if err := into.flush(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}
