package authz_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/schema"
)

// largePolicy has n lines over a catalogue of 1,000 coordinates: 500 roles, with
// scopes, purposes and levels, and denials among them.
func largePolicy(n int) string {
	var b strings.Builder
	for i := range n {
		role, field := i%500, i/500
		access, effect, purpose := []string{"mask", "clear", "match"}[i%3], "allow", []string{"case-handling", "statistics", "*"}[(i/7)%3]
		if i%97 == 0 {
			access, effect, purpose = "any", "deny", "*"
		}
		fmt.Fprintf(&b, "p, role-%03d, public_security, T%d.f%d, L%d, %s, %s, %s, %s\n", role, (field/50)%20, field%50, 3+i%2, purpose, []string{"all", "by_key"}[(i/3)%2], access, effect)
	}
	return b.String()
}

// TestCheckAndRepetitions: what a reload looks at before it swaps, and what after,
// are together what lint finds.
func TestCheckAndRepetitions(t *testing.T) {
	p := parse(t, largePolicy(3_000)+"p, role-001, public_security, T0.f1, L9, *, all, mask, allow\n")
	c := wide(1000)
	if found := authz.Check(p, c, settings()); !found.Failed() {
		t.Error("an unknown level is not found before the swap")
	}
	p = parse(t, largePolicy(3_000)+"p, role-001, public_security, T0.*, L4, *, all, clear, allow\n")
	all, first, rest := authz.Lint(p, c, settings()), authz.Check(p, c, settings()), compileOver(t, p, c).Repetitions()
	if len(rest) == 0 || rest.Failed() || len(all) != len(first)+len(rest) {
		t.Errorf("lint finds %d, %d before and %d after", len(all), len(first), len(rest))
	}
}

// BenchmarkRevision measures the steps from text to a table that may serve, but
// for the comparison with Casbin, which has a time of its own.
func BenchmarkRevision(b *testing.B) {
	c := wide(1000)
	for _, n := range []int{50_000, 100_000} {
		text := largePolicy(n)
		p := parse(b, text)
		before := compileOver(b, p, c)
		next := compileOver(b, parse(b, strings.Replace(text, ", clear, allow", ", mask, allow", 1)), c)
		for _, step := range []struct {
			name string
			do   func()
		}{
			{"parse", func() { parse(b, text) }},
			{"check", func() { authz.Check(p, c, settings()) }},
			{"lint", func() { authz.Lint(p, c, settings()) }},
			{"compile", func() { compileOver(b, p, c) }},
			{"diff", func() { authz.Diff(before, next) }},
			{"reference", func() {
				if _, err := authz.NewReference(p, c, settings()); err != nil {
					b.Fatal(err)
				}
			}},
		} {
			b.Run(fmt.Sprintf("%d/%s", n, step.name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					step.do()
				}
			})
		}
	}
}

func compileOver(t testing.TB, p *authz.Policy, c *schema.Catalogue) *authz.Table {
	t.Helper()
	table, err := authz.Compile(p, c, settings())
	if err != nil {
		t.Fatal(err)
	}
	return table
}
