package plan

import (
	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/lineage"
)

// asserter is what *testing.T and *rapid.T share.
type asserter interface {
	Helper()
	Errorf(format string, args ...any)
}

// checkPlan asserts what holds of every plan.
func checkPlan(tb asserter, p *Plan) {
	tb.Helper()
	for i, f := range p.Fetches {
		s := f.Shape
		switch {
		case f.ID != i:
			tb.Errorf("fetch %d has ID %d", i, f.ID)
		case f.Parent != nil && f.Parent.ID >= i:
			tb.Errorf("fetch %d comes before its parent %d", i, f.Parent.ID)
		case len(f.Args) != len(s.Params):
			tb.Errorf("fetch %d: %d args, %d params", i, len(f.Args), len(s.Params))
		case len(f.Scopes) != len(s.Scopes):
			tb.Errorf("fetch %d: %d scope names, %d scopes", i, len(f.Scopes), len(s.Scopes))
		case f.Hidden > len(s.Columns):
			tb.Errorf("fetch %d: %d hidden of %d columns", i, f.Hidden, len(s.Columns))
		case f.Parent != nil && len(f.ParentColumns) != len(s.Keys):
			tb.Errorf("fetch %d: %d parent columns, %d keys", i, len(f.ParentColumns), len(s.Keys))
		case (f.Parent != nil || f.Stated != nil || f.Refs != nil) != (len(s.Keys) > 0):
			tb.Errorf("fetch %d: keys without a source, or the reverse", i)
		}
		for j, a := range f.Args {
			if a.Kind != s.Params[j].Kind || a.List != s.Params[j].List {
				tb.Errorf("fetch %d: arg %d is %v, its param %v", i, j, a, s.Params[j])
			}
			if a.From == FromCursor && (f.Cursor == nil || j != len(f.Args)-len(f.Cursor.CursorKinds)+a.Index) {
				tb.Errorf("fetch %d: cursor value %d is arg %d of %d", i, a.Index, j, len(f.Args))
			}
		}
		for _, c := range f.ParentColumns {
			if c >= len(f.Parent.Shape.Columns) {
				tb.Errorf("fetch %d: parent column %d", i, c)
			}
		}
		for _, c := range f.Subjects {
			if c >= len(s.Columns) {
				tb.Errorf("fetch %d: subject column %d", i, c)
			}
		}
		for _, sc := range s.Scopes {
			checkPredicate(tb, f, sc)
		}
		checkPredicate(tb, f, s.Where)
		if f.Parent != nil {
			checkBits(tb, f.Traverse, f.Parent)
		}
	}
	checkObject(tb, p, p.Root, nil)
}

func checkPredicate(tb asserter, f *Fetch, p adapters.Predicate) {
	tb.Helper()
	param := func(i int) {
		if i < 0 || i >= len(f.Args) {
			tb.Errorf("fetch %d: param %d of %d", f.ID, i, len(f.Args))
		}
	}
	switch p := p.(type) {
	case adapters.And:
		for _, x := range p {
			checkPredicate(tb, f, x)
		}
	case adapters.Or:
		for _, x := range p {
			checkPredicate(tb, f, x)
		}
	case adapters.Not:
		checkPredicate(tb, f, p.Predicate)
	case adapters.IsTrue:
		checkPredicate(tb, f, p.Predicate)
	case adapters.Compare:
		param(p.Param)
	case adapters.After:
		for _, i := range p.Params {
			param(i)
		}
	case adapters.Exists:
		checkPredicate(tb, f, p.Where)
	}
}

func checkBits(tb asserter, d Decision, f *Fetch) {
	tb.Helper()
	for _, cs := range [][]BitClause{d.Allow, d.Deny} {
		for _, c := range cs {
			if int(c.Bit) >= len(f.Scopes) {
				tb.Errorf("fetch %d: bit %d of %d", f.ID, c.Bit, len(f.Scopes))
			}
		}
	}
}

func checkObject(tb asserter, p *Plan, o *Object, f *Fetch) {
	tb.Helper()
	if o == nil {
		return
	}
	keys := map[string]bool{}
	for _, x := range o.Fields {
		if keys[x.Key] {
			tb.Errorf("%s: key twice", x.Path)
		}
		keys[x.Key] = true
		if x.Use >= len(p.Uses) {
			tb.Errorf("%s: use %d of %d", x.Path, x.Use, len(p.Uses))
		}
		switch x.Kind {
		case FieldLeaf:
			s := f.Shape
			if x.Column >= len(s.Columns)-f.Hidden {
				tb.Errorf("%s: column %d is hidden", x.Path, x.Column)
				continue
			}
			if got := p.Uses[x.Use]; got.Coordinate != x.Coordinate || got.Column != s.Columns[x.Column].Name || got.Use != lineage.Select {
				tb.Errorf("%s: use %v of column %s", x.Path, got, s.Columns[x.Column].Name)
			}
			checkBits(tb, x.Decision, f)
			if !x.Decision.Varies() && x.Decision.Outcome(0, 0) == lineage.Withheld {
				tb.Errorf("%s: withheld on every row, and read", x.Path)
			}
		case FieldWithheld:
			checkWithheld(tb, p, x, f)
		case FieldRows:
			for _, m := range x.Rows.Members {
				if len(m.MergeColumns) != len(x.Rows.Merge) {
					tb.Errorf("%s: %d merge columns for %d keys", x.Path, len(m.MergeColumns), len(x.Rows.Merge))
				}
				checkObject(tb, p, m.Object, m.Fetch)
			}
			if c := x.Rows.Connection; c != nil {
				if n := len(c.CursorColumns); (n != 0 && n != len(c.CursorKinds)) || len(c.CursorKinds) == 0 {
					tb.Errorf("%s: %d cursor columns", x.Path, n)
				}
				var row *Fetch
				if len(x.Rows.Members) > 0 {
					row = x.Rows.Members[0].Fetch
				}
				checkObject(tb, p, c.Object, row)
			}
		case FieldNodes, FieldEdges, FieldNode, FieldPageInfo:
			checkObject(tb, p, x.Selection, f)
		}
	}
}

// checkWithheld asserts that a withheld field's column is written by nobody and
// read only as something else, which the uses say.
func checkWithheld(tb asserter, p *Plan, x *Field, f *Fetch) {
	tb.Helper()
	listed := false
	for _, e := range p.Access.Withheld {
		listed = listed || e.Path == x.Path
	}
	if !listed {
		tb.Errorf("%s: withheld and not listed", x.Path)
	}
	if f == nil || x.Coordinate.Row() || x.Use < 0 {
		return
	}
	column := p.Uses[x.Use].Column
	for i, c := range f.Shape.Columns {
		if c.Name != column || column == "" {
			continue
		}
		if i < len(f.Shape.Columns)-f.Hidden {
			tb.Errorf("%s: withheld, and column %s is written", x.Path, column)
		}
		excused := false
		for _, u := range p.Uses {
			if u.Coordinate == x.Coordinate && (u.Use == lineage.Join || u.Use == lineage.Tag || u.Use == lineage.Ref || u.Use == lineage.Sort) {
				excused = true
			}
		}
		if !excused {
			tb.Errorf("%s: withheld, and column %s is read for no reason", x.Path, column)
		}
	}
}
