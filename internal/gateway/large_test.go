package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/schema"
)

// TestNarrowingOfManyLines: with 100,000 lines a withdrawn right is gone within
// a second on a machine that has nothing else to do. A loaded one is given as
// long as it took to open the policy, which does the same and more, twice over.
// What an in-flight request then gets is TestNarrowingReachesRequestsInFlight's.
func TestNarrowingOfManyLines(t *testing.T) {
	d := folders(t)
	var b strings.Builder
	b.WriteString(clerkAll)
	for i := range 100_000 {
		fmt.Fprintf(&b, "p, role-%05d, police, %s, L%d, *, all, %s, allow\n", i/4, []string{"Person._row", "Person.*", "Person.name", "Person.idNumber"}[i%4], i/8%2+3, []string{"mask", "clear"}[i/3%2])
	}
	many := b.String()
	path := filepath.Join(d.Policy, "rules.csv")
	write(t, path, many)
	start := time.Now()
	log := &safeBuffer{}
	r, err := OpenRevisions(t.Context(), d, nil, &fakeLedger{}, NewMetrics(), slog.New(slog.NewJSONHandler(log, nil)), time.Now)
	must(t, err)
	opened := time.Since(start)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	defer func() {
		stop()
		must(t, <-done)
		must(t, r.Close())
	}()

	clerk := authz.Profile{Roles: []string{"clerk"}, Purposes: []string{"case"}, Purpose: "case"}
	number := schema.Coordinate{Type: "Person", Field: "idNumber"}
	if r.Current().Table.View(clerk).Grants(number).Potential() == authz.None {
		t.Fatal("the clerk holds nothing to begin with")
	}
	write(t, path, strings.Replace(many, clerkAll, clerkLess, 1))
	changed := time.Now()
	limit := max(5*time.Second, 2*opened)
	for r.Current().Table.View(clerk).Grants(number).Potential() != authz.None {
		if time.Since(changed) > limit {
			t.Fatalf("a withdrawn right is still there after %s; opening took %s", time.Since(changed), opened)
		}
		time.Sleep(time.Millisecond)
	}
	took := time.Since(changed)
	t.Logf("gone after %s, %.2f of the %s that opening took", took, took.Seconds()/opened.Seconds(), opened)
	// A broken one is refused whole, however large.
	before := r.Current()
	write(t, path, many+"p, clerk\n")
	end := time.Now().Add(limit)
	for !strings.Contains(log.String(), "wrong-columns") {
		if time.Now().After(end) {
			t.Fatal("a broken policy is not refused")
		}
		time.Sleep(5 * time.Millisecond)
	}
	if r.Current() != before {
		t.Error("a broken policy changed what serves")
	}
}
