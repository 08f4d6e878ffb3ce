package plan

import (
	"testing"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// TestNoReadWithoutUse leaves out, one after the other, each column's use of a
// plan that reads in every position that a shape has: such a plan is refused.
func TestNoReadWithoutUse(t *testing.T) {
	column := func(name string) adapters.Column { return adapters.Column{Name: name, Kind: schema.String} }
	compare := func(name string) adapters.Predicate { return adapters.Compare{Column: column(name)} }
	fetch := func() *Fetch {
		return &Fetch{Department: "d", Type: "T", Shape: &adapters.Shape{
			Table: "t", Columns: []adapters.Column{column("cell")}, Keys: []adapters.Column{column("key")},
			Scopes: []adapters.Predicate{adapters.Not{Predicate: adapters.IsTrue{Predicate: compare("scope")}}},
			Where: adapters.And{
				adapters.Or{compare("where"), adapters.Bool(false)},
				adapters.After{Order: []adapters.Order{{Column: column("after")}}},
				adapters.Exists{
					Table: "far", Outer: []adapters.Column{column("outer")}, Inner: []adapters.Column{column("inner")}, Where: compare("beyond"),
				},
			},
			Order: []adapters.Order{{Column: column("order")}},
		}}
	}
	all := []lineage.Use{
		{Table: "t", Column: "cell", Use: lineage.Select},
		{Table: "t", Column: "key", Use: lineage.Join},
		{Table: "t", Column: "scope", Use: lineage.Scope},
		{Table: "t", Column: "where", Use: lineage.Filter},
		{Table: "t", Column: "after", Use: lineage.Sort},
		{Table: "t", Column: "outer", Use: lineage.Join},
		{Table: "far", Column: "inner", Use: lineage.Join},
		{Table: "far", Column: "beyond", Use: lineage.Filter},
		{Table: "t", Column: "order", Use: lineage.Sort},
	}
	for left := -1; left < len(all); left++ {
		b := &builder{req: &Request{Limits: DefaultLimits()}, plan: &Plan{}}
		for i, u := range all {
			u.Department = "d"
			if i == left {
				u.Department = "another"
			}
			b.plan.Uses = append(b.plan.Uses, u)
		}
		f := fetch()
		b.account(f)
		switch {
		case left < 0 && (len(b.errs) != 0 || len(f.Uses) != len(all)-1): // all but the selected cell
			t.Errorf("a plan whose reads are all named: %v, uses %v", b.errs, f.Uses)
		case left >= 0 && (len(b.errs) != 1 || b.errs[0].Code != Internal):
			t.Errorf("a plan that reads %s unnamed is not refused: %v", all[left].Column, b.errs)
		}
	}
}
