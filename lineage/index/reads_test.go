package index

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

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
		for range fewer(100) {
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
	if diff := cmp.Diff(sharesOf(f, w), got.Shares, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("shares (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(fields, got.Fields); diff != "" {
		t.Fatalf("fields (-want +got):\n%s", diff)
	}
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
