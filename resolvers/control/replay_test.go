package control_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/lineage/index"
	"github.com/weir-data/weir/resolvers/control"
	"github.com/weir-data/weir/schema"
)

// used is an index of one's own figures over a real one.
type used struct {
	control.Index
	asked  index.UsageFilter
	usages []index.Usage
}

func (u *used) Usages(_ context.Context, f index.UsageFilter) ([]index.Usage, error) {
	u.asked = f
	return u.usages, nil
}

// drafts is a node with a draft over a catalogue of its own.
type drafts struct {
	policies
	draft *authz.Draft
}

func (d *drafts) Draft(context.Context, string, string) (*authz.Draft, error) { return d.draft, nil }

func draftOf(t *testing.T, before, after string) *authz.Draft {
	t.Helper()
	typ := schema.NewType(schema.Type{
		Name: "Person", Level: 1, Source: schema.Source{Department: "police"}, Sharing: schema.Sharing{Mode: schema.Conditional, Basis: "law"},
		Fields: []*schema.Field{{Name: "name", Coordinate: schema.Coordinate{Type: "Person", Field: "name"}, Level: 1, Mask: &schema.MaskUse{Spec: "NAME"}}},
	})
	c := &schema.Catalogue{Levels: schema.DefaultLevels(), Departments: []string{"police"}, Types: map[string]*schema.Type{"Person": typ}, Revision: "s1"}
	d := &authz.Draft{}
	for text, side := range map[string]*authz.State{before: &d.Before, after: &d.After} {
		p, found := authz.Parse([]schema.File{{Name: "p.csv", Text: text}})
		if found.Failed() {
			t.Fatal(found)
		}
		s := authz.DefaultSettings(c.Levels)
		s.Purposes = []string{"cases", "tax"}
		table, err := authz.Compile(p, c, s)
		if err != nil {
			t.Fatal(err)
		}
		*side = authz.State{Table: table, Applications: map[string][]string{"desk": {"cases"}}}
	}
	d.Changes = authz.Diff(d.Before.Table, d.After.Table)
	return d
}

func TestPolicyReplay(t *testing.T) {
	lineageOf, _ := newLedger(t)
	const rule = "p, clerk, police, Person.*, L2, *, all, mask, allow\n"
	d := &drafts{draft: draftOf(t, rule, rule+"p, clerk, police, Person.name, L2, cases, all, clear, allow\n")}
	x := &used{Index: lineageOf.Index}
	name := index.UsageOf{Use: lineage.Use{Department: "police", Table: "person", Column: "name", Coordinate: schema.Coordinate{Type: "Person", Field: "name"}, Level: 1}, Masked: 2}
	row := index.UsageOf{Use: lineage.Use{Department: "police", Table: "person", Coordinate: schema.Coordinate{Type: "Person"}, Level: 1}, Clear: 2}
	newest := time.Date(2026, 3, 1, 5, 31, 17, 0, time.UTC)
	for i := range 3 {
		name.Masked = uint64(10*i + 2)
		x.usages = append(x.usages, index.Usage{
			Kind: "query", Operation: fmt.Sprintf("op%d", i), Document: "d", Application: "desk", Consumer: "counter", Roles: []string{"clerk"}, Purpose: "cases",
			Status: "ok", Schema: "s1", Policy: d.draft.Before.Table.Revision(), Reads: uint64(10 * (i + 1)), Last: newest, Uses: []index.UsageOf{row, name},
		})
	}
	other := x.usages[0]
	other.Purpose, other.Application = "tax", "office" // by the token: another purpose changes nothing
	x.usages = append(x.usages, other, index.Usage{Kind: "refused", Reads: 7}, index.Usage{Kind: "control", Reads: 9})
	lineageOf.Index = x
	e := newExecutor(t, control.Config{Policies: d, Lineage: lineageOf})

	type page struct {
		PolicyDiff struct {
			Replay struct {
				From, To, Reads, Refused string
				Sealed                   []struct{ Purpose, From string }
				Effects                  []struct{ Operation, Coordinate, Level, Before, After, Rows, Reads, Last, Document string }
				Widened                  struct{ Operations, Readers int }
				Next                     *string
			}
		}
	}
	get := func(arguments string) (p page) {
		t.Helper()
		text := good(t, e, reader("security", ""), `{ policyDiff { replay`+arguments+` { from to reads refused sealed { purpose from } widened { operations readers }
			effects { operation coordinate level before after rows reads last document } next } } }`)
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	first := get("(first: 2)").PolicyDiff.Replay
	if first.Reads != "70" || first.Refused != "7" || first.Widened.Operations != 3 || first.Widened.Readers != 1 || len(first.Effects) != 2 || first.Next == nil {
		t.Fatalf("%+v", first)
	}
	// What security sees is bounded: the most read first, to the day, and of reads
	// that are sealed from owners, nothing.
	if f := first.Effects[0]; f.Operation != "op2" || f.Coordinate != "Person.name" || f.Level != "L2" || f.Before != "MASKED" || f.After != "CLEAR" || f.Rows != "ALL" || f.Reads != "22" || f.Last != "2026-03-01" {
		t.Errorf("%+v", f)
	}
	if len(first.Sealed) != 1 || first.Sealed[0].Purpose != "cases" || len(x.asked.Sealed) != 1 || x.asked.Sealed[0].Purpose != "cases" {
		t.Errorf("sealed: %+v, asked %+v", first.Sealed, x.asked)
	}
	if from, to := x.asked.From, x.asked.To; to.Sub(from) != 30*24*time.Hour || !to.After(newest) {
		t.Errorf("%s to %s", from, to)
	}
	rest := get(fmt.Sprintf("(first: 2, after: %q)", *first.Next)).PolicyDiff.Replay
	if len(rest.Effects) != 1 || rest.Next != nil {
		t.Errorf("%+v", rest)
	}
	if r := get(`(from: "2026-02-01", to: "2026-02-03T12:00:00Z")`).PolicyDiff.Replay; r.From != "2026-02-01" || r.To != "2026-02-04" {
		t.Errorf("%+v", r)
	}
	for arguments, code := range map[string]string{
		`(first: 0)`: "BAD_REQUEST", `(first: 201)`: "BAD_REQUEST", `(after: "x")`: "CURSOR_INVALID", `(after: "-1")`: "CURSOR_INVALID",
		`(from: "2026-03-02", to: "2026-03-01")`: "BAD_REQUEST", `(from: "never")`: "BAD_REQUEST",
	} {
		if a := run(t, e, reader("security", ""), `{ policyDiff { replay`+arguments+` { reads } } }`, nil); len(a.errors) != 1 || !strings.HasPrefix(a.errors[0], code) {
			t.Errorf("%s: %v", arguments, a.errors)
		}
	}
	blind := newExecutor(t, control.Config{Policies: d})
	if a := run(t, blind, reader("security", ""), `{ policyDiff { replay { reads } } }`, nil); len(a.errors) != 1 || !strings.HasPrefix(a.errors[0], "LEDGER_UNAVAILABLE") {
		t.Errorf("without an index: %v", a.errors)
	}
}
