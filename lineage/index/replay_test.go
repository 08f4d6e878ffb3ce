package index

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/weir-data/weir/lineage"
)

// TestUsages: the figures of days are what the records themselves add
// up to.
func TestUsages(t *testing.T) {
	drivers(t, func(t *testing.T, cfg Config) {
		r := seeded(t)
		x, entries := opened(t, cfg, r, 800)
		for range 12 {
			var f UsageFilter
			if r.IntN(2) == 0 {
				f.From = start.Add(time.Duration(r.IntN(10)) * time.Hour).Truncate(24 * time.Hour)
			}
			if r.IntN(2) == 0 {
				f.To = start.Add(time.Duration(r.IntN(48)) * time.Hour).Truncate(24 * time.Hour)
			}
			if r.IntN(2) == 0 {
				f.Sealed = []Seal{{Purpose: "investigation", Before: start.Add(3 * time.Hour).Truncate(24 * time.Hour)}}
			}
			got, err := x.Usages(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			want := usagesOf(entries, &f)
			if diff := cmp.Diff(want, byText(got), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("%+v (-want +got):\n%s", f, diff)
			}
		}
	})
}

func usageText(u *Usage) string {
	s := fmt.Sprint(u.Kind, u.Operation, u.Document, u.Application, u.Consumer, u.Roles, u.Purpose, u.Status, u.Schema, u.Policy)
	for _, use := range u.Uses {
		s += fmt.Sprint(use.Use)
	}
	return s
}

// byText joins what differs in the level of the record alone.
func byText(list []Usage) map[string]Usage {
	out := map[string]Usage{}
	for _, u := range list {
		add(out, u)
	}
	return out
}

func add(out map[string]Usage, u Usage) {
	key := usageText(&u)
	had, ok := out[key]
	if !ok {
		u.Uses = slices.Clone(u.Uses)
		out[key] = u
		return
	}
	had.Reads += u.Reads
	if u.Last.After(had.Last) {
		had.Last = u.Last
	}
	for i := range u.Uses {
		had.Uses[i].Clear += u.Uses[i].Clear
		had.Uses[i].Masked += u.Uses[i].Masked
		had.Uses[i].Withheld += u.Uses[i].Withheld
	}
	out[key] = had
}

func usagesOf(entries []lineage.Entry, f *UsageFilter) map[string]Usage {
	out := map[string]Usage{}
	for i := range entries {
		e := &entries[i]
		r := &e.Record
		if !f.From.IsZero() && e.Time.Before(f.From) || !f.To.IsZero() && !e.Time.Before(f.To) ||
			slices.ContainsFunc(f.Sealed, func(s Seal) bool { return s.Purpose == r.Purpose && !e.Time.Before(s.Before) }) {
			continue
		}
		u := Usage{
			Kind: r.Kind, Operation: r.Operation, Document: r.Document, Application: r.Application, Consumer: r.Department,
			Roles: r.Roles, Purpose: r.Purpose, Status: r.Status, Schema: r.Schema, Policy: r.Policy, Reads: 1, Last: e.Time,
		}
		for j, use := range r.Uses {
			o := UsageOf{Use: use}
			set := uint64(outcomesOfUse(r, j))
			o.Clear, o.Masked, o.Withheld = set>>Clear&1, set>>Masked&1, set>>Withheld&1
			u.Uses = append(u.Uses, o)
		}
		add(out, u)
	}
	return out
}

// BenchmarkUsages asks for 30 days of pairs, each used every day. How many
