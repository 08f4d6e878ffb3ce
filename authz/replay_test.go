package authz_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/schema"
)

// TestReplayIsExact: for a selected field, the effects are what asking both
// tables about every kind of row comes to, no more and no less; and what a
// record says of the outcome leaves the rows out that it cannot have been about.
func TestReplayIsExact(t *testing.T) {
	effects := 0
	rapid.Check(t, func(t *rapid.T) {
		var tables [2]*authz.Table
		c, s := drawCatalogue(t), drawSettings(t)
		for _, typ := range c.Types {
			typ.Field("x").Mask = &schema.MaskUse{Spec: "REDACT", Name: "REDACT"}
		}
		for i := range tables {
			p := drawPolicy(t, 6)
			if rapid.Bool().Draw(t, "rows for all") {
				more, _ := authz.Parse([]schema.File{{Name: "more.csv", Text: "p, r1, *, *, L4, *, all, mask, allow\np, r2, d1, *, L4, *, s1, clear, allow\n"}})
				p = &authz.Policy{Rules: slices.Concat(p.Rules, more.Rules), Inherits: p.Inherits}
			}
			var err error
			if tables[i], err = authz.Compile(p, c, s); err != nil {
				t.Fatal(err)
			}
		}
		profile := authz.Profile{
			Roles:      rapid.SliceOfDistinct(rapid.SampledFrom(drawnRoles), func(s string) string { return s }).Draw(t, "roles"),
			Department: rapid.SampledFrom([]string{"", "d1", "d2"}).Draw(t, "department"),
			Purpose:    rapid.SampledFrom([]string{"", "p1", "p2"}).Draw(t, "purpose"),
		}
		if profile.Purpose != "" {
			profile.Purposes = []string{profile.Purpose}
		}
		rec := authz.Recorded{Before: profile, After: profile, Same: rapid.Bool().Draw(t, "same")}
		for _, at := range bothCoordinates {
			for p := authz.Selected; p <= authz.Matched; p++ {
				use := authz.RecordedUse{At: at, Position: p}
				if p == authz.Selected {
					use.Seen = rapid.SampledFrom([]uint8{0, 1 << authz.FateClear, 1 << authz.FateMasked, 1<<authz.FateClear | 1<<authz.FateWithheld}).Draw(t, "seen")
				}
				rec.Uses = append(rec.Uses, use)
			}
		}
		replay := authz.NewReplay(tables[0], tables[1])
		got := replay.Effects(&rec)
		effects += len(got)
		for i, use := range rec.Uses {
			if use.Position != authz.Selected {
				continue
			}
			pairs := map[[2]authz.Fate]bool{}
			for _, e := range got {
				if e.Use == i {
					pairs[[2]authz.Fate{e.From, e.To}] = true
				}
			}
			want := selectedFates(tables, profile, &use, rec.Same)
			if diff := cmp.Diff(want, pairs); diff != "" {
				t.Fatalf("%s (-want +got):\n%s", use.At, diff)
			}
		}
		changes := authz.Diff(tables[0], tables[1])
		for _, e := range got {
			// That some rows are gone may let an order stand: no one gains by it.
			if p := rec.Uses[e.Use].Position; p != authz.Sorted && (e.Widens && !changes.Widens || e.Narrows && !changes.Narrows) {
				t.Fatalf("%s %d: %s, and the decisions: %s", rec.Uses[e.Use].At, p, e, changes)
			}
		}
		if same := authz.NewReplay(tables[0], tables[0]).Effects(&rec); len(same) > 0 {
			t.Fatalf("a table differs from itself: %s", same[0])
		}
	})
	if effects == 0 {
		t.Error("nothing ever changed: the test is about nothing")
	}
}

// selectedFates asks both tables about every kind of row.
func selectedFates(tables [2]*authz.Table, p authz.Profile, use *authz.RecordedUse, same bool) map[[2]authz.Fate]bool {
	fate := func(t *authz.Table, truth map[string]authz.Truth) (f authz.Fate, exists bool) {
		v := t.View(p)
		row, own := v.Grants(schema.Coordinate{Type: use.At.Type}), v.Grants(use.At)
		if row.Hidden || own.Hidden {
			return authz.FateRefused, false
		}
		scope := func(s string) authz.Truth { return truth[s] }
		if !row.Under(scope).Any(authz.Mask | authz.Clear) {
			return authz.FateWithheld, false
		}
		switch held := own.Under(scope); {
		case held.Has(authz.Clear), use.At.Row():
			return authz.FateClear, true
		case held.Has(authz.Mask) && use.At.Field == "x":
			return authz.FateMasked, true
		default:
			return authz.FateWithheld, true
		}
	}
	found := uint8(0)
	taken := map[authz.Truth]bool{} // paths, by whether they are by key
	for _, truth := range allTruths {
		f, exists := fate(tables[0], truth)
		found |= 1 << f
		if exists && use.Seen&(1<<f) != 0 {
			taken[truth[authz.ScopeByKey]] = true
		}
	}
	out := map[[2]authz.Fate]bool{}
	for _, truth := range allTruths {
		from, exists := fate(tables[0], truth)
		to, _ := fate(tables[1], truth)
		fits := !same || use.Seen == 0 || use.Seen&^found != 0 || exists && use.Seen&(1<<from) != 0 || !exists && taken[truth[authz.ScopeByKey]]
		if fits && from != to {
			out[[2]authz.Fate{from, to}] = true
		}
	}
	return out
}

// TestReplay tells single effects, with the words for the rows.
func TestReplay(t *testing.T) {
	const rows = "p, r, public_security, Person._row, L4, *, all, mask, allow\n"
	keyed := catalogue()
	keyed.Types["Person"].Source.KeyFields = []string{"idNumber"}
	keyed.Types["Person"].Source.Tiebreak = "row_no"
	for _, at := range []string{"name", "district"} {
		keyed.Types["Person"].Field(at).Mask = &schema.MaskUse{Spec: "REDACT", Name: "REDACT"}
	}
	keyed.Types["Person"].Field("district").Dimension = true
	of := func(field string, p authz.Position) []authz.RecordedUse {
		return []authz.RecordedUse{{At: schema.Coordinate{Type: "Person"}, Position: authz.Selected, Seen: 1 << authz.FateClear}, {At: schema.Coordinate{Type: "Person", Field: field}, Position: p}}
	}
	counted := func(field string, p authz.Position) []authz.RecordedUse {
		uses := of(field, p)
		uses[0].Position, uses[0].Seen = authz.Aggregated, 0
		return uses
	}
	seen := func(uses []authz.RecordedUse, fates ...authz.Fate) []authz.RecordedUse {
		for _, f := range fates {
			uses[1].Seen |= 1 << f
		}
		return uses
	}
	allow := func(field, scope, access string) string {
		return fmt.Sprintf("p, r, public_security, Person.%s, L4, *, %s, %s, allow\n", field, scope, access)
	}
	for _, c := range []struct {
		name          string
		before, after string
		uses          []authz.RecordedUse
		want          []string
	}{
		{"clear to all", rows + allow("name", "all", "mask"), rows + allow("name", "all", "clear"), of("name", authz.Selected), []string{"masked -> clear of use 1"}},
		{
			"clear in a scope", rows + allow("name", "all", "mask"), rows + allow("name", "all", "mask") + allow("name", "own_region", "clear"), of("name", authz.Selected),
			[]string{"masked -> clear inside own_region of use 1"},
		},
		{
			"two at once", rows + allow("name", "own_region", "clear"), rows + allow("name", "by_key", "clear") + allow("name", "all", "mask"), of("name", authz.Selected),
			[]string{
				"withheld -> masked not by key, outside own_region of use 1", "withheld -> clear by key, outside own_region of use 1",
				"clear -> masked not by key, inside own_region of use 1",
			},
		},
		{
			"what was seen tells the rows", rows + allow("name", "all", "mask") + allow("name", "own_region", "clear"), rows + allow("name", "own_region", "clear"),
			seen(of("name", authz.Selected), authz.FateClear), nil,
		},
		{
			"and the others", rows + allow("name", "all", "mask") + allow("name", "own_region", "clear"), rows + allow("name", "own_region", "clear"),
			seen(of("name", authz.Selected), authz.FateMasked, authz.FateClear),
			[]string{"masked -> withheld outside own_region of use 1"},
		},
		{
			"rows that were not there", allow("*", "own_region", "clear"), allow("*", "own_region", "clear") + rows, seen(of("name", authz.Selected), authz.FateClear),
			[]string{"withheld -> clear outside own_region of use 0"},
		},
		{
			"rows by key alone", allow("*", "by_key", "mask"), allow("*", "by_key", "mask") + allow("name", "by_key", "clear"), seen(of("name", authz.Selected), authz.FateMasked),
			[]string{"masked -> clear of use 1"},
		},
		{"rows gone", rows + allow("name", "all", "clear"), allow("name", "all", "clear"), of("name", authz.Selected), []string{"clear -> withheld of use 0", "clear -> withheld of use 1"}},
		{"a denial under an unknown scope", rows + allow("name", "all", "mask"), rows + allow("name", "all", "mask") + "p, r, *, Person.name, L2, *, sealed, any, deny\n", of("name", authz.Selected), []string{"masked -> withheld depending on sealed of use 1"}},
		{"a filter", rows + allow("district", "all", "clear"), rows + allow("district", "all", "mask"), of("district", authz.Filtered), []string{"used -> refused of use 1"}},
		{"a filter on fewer rows", rows + allow("district", "all", "clear"), rows + allow("district", "own_region", "clear"), of("district", authz.Filtered), []string{"used -> withheld outside own_region of use 1"}},
		{"a key", rows + allow("idNumber", "all", "clear"), rows + allow("idNumber", "all", "match"), of("idNumber", authz.Filtered), []string{"used -> refused (in a condition; as a stated key it needs match alone) of use 1"}},
		{"an order", rows + allow("district", "all", "clear"), rows + allow("district", "own_region", "clear"), of("district", authz.Sorted), []string{"used -> refused of use 1"}},
		{"a filter outside aggregates", rows + allow("district", "all", "clear"), rows + allow("district", "all", "aggregate"), of("district", authz.Filtered), []string{"used -> refused of use 1"}},
		{"an order by key", rows + allow("district", "by_key", "clear"), rows, of("district", authz.Sorted), []string{"used -> refused by key of use 1"}},
		{"an order of all rows in view", allow("*", "all", "clear"), "p, r, public_security, Person.*, L4, *, own_region, clear, allow\n", of("district", authz.Sorted), []string{
			"clear -> withheld outside own_region of use 0", "used -> withheld outside own_region of use 1",
		}},
		{"a tie-break", rows + allow("idNumber", "all", "clear"), rows, of("idNumber", authz.Sorted), []string{"used -> refused (where it was asked for; as the tie-break of an order it is replaced) of use 1"}},
		{"a dimension", allow("_row", "all", "aggregate") + allow("district", "all", "aggregate"), allow("_row", "all", "aggregate"), counted("district", authz.Filtered), []string{"used -> refused of use 1"}},
		{"no dimension", allow("_row", "all", "aggregate") + allow("name", "all", "clear"), allow("_row", "all", "aggregate") + allow("name", "all", "aggregate"), counted("name", authz.Grouped), []string{"used -> refused of use 1"}},
		{"a sum", allow("_row", "all", "aggregate") + allow("name", "all", "aggregate"), allow("_row", "all", "aggregate") + allow("name", "all", "match"), counted("name", authz.Aggregated), []string{"used -> refused of use 1"}},
		{"a count of persons", allow("_row", "all", "aggregate") + allow("idNumber", "all", "aggregate"), allow("_row", "all", "aggregate"), counted("idNumber", authz.Aggregated), []string{"used -> refused (where it was measured; persons are counted by it all the same) of use 1"}},
		{"a count of persons that needs nothing", allow("_row", "all", "aggregate"), allow("*", "all", "aggregate"), counted("idNumber", authz.Aggregated), nil},
		{"hidden", rows + allow("idNumber", "all", "match"), rows, of("idNumber", authz.Selected), []string{"withheld -> refused of use 1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var tables [2]*authz.Table
			for i, text := range [...]string{c.before, c.after} {
				var err error
				if tables[i], err = authz.Compile(parse(t, text), keyed, settings()); err != nil {
					t.Fatal(err)
				}
			}
			p := authz.Profile{Roles: []string{"r"}, Purposes: []string{"statistics"}, Purpose: "statistics"}
			var got []string
			for _, e := range authz.NewReplay(tables[0], tables[1]).Effects(&authz.Recorded{Before: p, After: p, Same: true, Uses: c.uses}) {
				got = append(got, e.String())
				if e.Widens == e.Narrows {
					t.Errorf("%s: %s", e, e.Direction)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestReplayPurposes: a purpose that an application may no longer state refuses
// the whole operation.
func TestReplayPurposes(t *testing.T) {
	table := compile(t, "p, r, public_security, Person.*, L4, *, all, mask, allow\n")
	before := authz.Profile{Roles: []string{"r"}, Purposes: []string{"statistics"}, Purpose: "statistics"}
	after := before
	after.Purposes = nil
	rec := authz.Recorded{Before: before, After: after, Same: true, Uses: []authz.RecordedUse{{At: schema.Coordinate{Type: "Person"}, Seen: 1 << authz.FateClear}}}
	got := authz.NewReplay(table, table).Effects(&rec)
	if len(got) != 1 || got[0].String() != "clear -> refused of use 0" || !got[0].Narrows {
		t.Errorf("%v", got)
	}
}

// TestReplayMasks: what stays masked and is masked otherwise is an effect, whose
// direction nobody can tell.
func TestReplayMasks(t *testing.T) {
	var tables [2]*authz.Table
	for i, spec := range [...]string{"NAME", "KEEP(1,1)"} {
		c := catalogue()
		c.Types["Person"].Field("name").Mask = &schema.MaskUse{Spec: spec}
		var err error
		if tables[i], err = authz.Compile(parse(t, "p, r, public_security, Person.*, L4, *, all, mask, allow\n"), c, settings()); err != nil {
			t.Fatal(err)
		}
	}
	p := authz.Profile{Roles: []string{"r"}, Purposes: []string{"statistics"}, Purpose: "statistics"}
	rec := authz.Recorded{Before: p, After: p, Uses: []authz.RecordedUse{{At: schema.Coordinate{Type: "Person", Field: "name"}}}}
	got := authz.NewReplay(tables[0], tables[1]).Effects(&rec)
	if len(got) != 1 || !got[0].Widens || !got[0].Narrows || got[0].String() != "masked -> masked (mask NAME -> KEEP(1,1)) of use 0" {
		t.Errorf("%v", got)
	}
}
