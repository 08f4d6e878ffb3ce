package authz_test

import (
	"strconv"
	"testing"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/schema"
)

func large(tb testing.TB, rules, cells int) (*authz.Policy, *schema.Catalogue, *authz.Table) {
	tb.Helper()
	p, c := &authz.Policy{Rules: lines(cells)}, wide(cells)
	for i := 0; len(p.Rules) < rules; i++ {
		r := p.Rules[i]
		r.Level, r.Purpose = "L"+strconv.Itoa(i/7%4+1), settings().Purposes[i/11%5]
		r.Scope, r.Access = []string{authz.ScopeAll, authz.ScopeByKey, authz.ScopeSelf}[i/13%3], []string{"mask", "match", "aggregate"}[i/17%3]
		p.Rules = append(p.Rules, r)
	}
	table, err := authz.Compile(p, c, settings())
	if err != nil {
		tb.Fatal(err)
	}
	return p, c, table
}

func reader() authz.Profile {
	return authz.Profile{
		Roles: []string{"reader"}, Department: "public_security",
		Purposes: []string{"case-handling", "statistics"}, Purpose: "case-handling",
	}
}

// TestLookUpAllocatesNothing at 50,000 rules: neither the view of a known profile
// nor its grants.
func TestLookUpAllocatesNothing(t *testing.T) {
	_, _, table := large(t, 50_000, 1000)
	profile, at := reader(), schema.Coordinate{Type: "T3", Field: "f7"}
	if g := table.View(profile).Grants(at); g.Always() != authz.Clear.Closure() {
		t.Fatalf("the fixture grants %s", g)
	}
	var caps authz.Caps
	if n := testing.AllocsPerRun(100, func() {
		g := table.View(profile).Grants(at)
		caps |= g.Potential() | g.Always() | g.Under(func(string) authz.Truth { return authz.True })
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	_ = caps
}

func BenchmarkLookUp(b *testing.B) {
	for _, rules := range []int{1_000, 50_000} {
		b.Run("rules="+strconv.Itoa(rules), func(b *testing.B) {
			_, _, table := large(b, rules, 1000)
			view, at := table.View(reader()), schema.Coordinate{Type: "T3", Field: "f7"}
			b.ReportAllocs()
			for b.Loop() {
				if view.Grants(at) == nil {
					b.Fatal("nothing")
				}
			}
		})
	}
}

func BenchmarkViewOfKnownProfile(b *testing.B) {
	_, _, table := large(b, 1000, 1000)
	profile := reader()
	b.ReportAllocs()
	for b.Loop() {
		table.View(profile)
	}
}

func BenchmarkCompile(b *testing.B) {
	p, c, _ := large(b, 50_000, 1000)
	b.Run("table/rules=50000", func(b *testing.B) {
		for b.Loop() {
			if _, err := authz.Compile(p, c, settings()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("view/rules=50000/coordinates=1000", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			b.StopTimer()
			table, err := authz.Compile(p, c, settings())
			if err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			table.View(reader())
		}
	})
	b.Run("lint/rules=50000", func(b *testing.B) {
		for b.Loop() {
			authz.Lint(p, c, settings())
		}
	})
}

// BenchmarkDiff is what a reload waits for before it knows whether rights widen.
func BenchmarkDiff(b *testing.B) {
	p, c, before := large(b, 50_000, 1000)
	b.Run("same/rules=50000/coordinates=1000", func(b *testing.B) {
		for b.Loop() {
			authz.Diff(before, before)
		}
	})
	less := &authz.Policy{Rules: p.Rules[:len(p.Rules)-1000]}
	after, err := authz.Compile(less, c, settings())
	if err != nil {
		b.Fatal(err)
	}
	b.Run("rules/rules=50000/coordinates=1000", func(b *testing.B) {
		for b.Loop() {
			authz.Diff(before, after)
		}
	})
}

// BenchmarkEnforce is what a request would pay if it asked Casbin.
func BenchmarkEnforce(b *testing.B) {
	for _, rules := range []int{100, 1_000, 10_000} {
		b.Run("rules="+strconv.Itoa(rules), func(b *testing.B) {
			p, c, _ := large(b, rules, 100)
			reference, err := authz.NewReference(p, c, settings())
			if err != nil {
				b.Fatal(err)
			}
			r, err := reference.Reader(reader())
			if err != nil {
				b.Fatal(err)
			}
			at := schema.Coordinate{Type: "T1", Field: "f7"}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Caps(at, func(string) authz.Truth { return authz.False }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
