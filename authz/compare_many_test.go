package authz_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/schema"
)

// TestDecisionsAreCasbins compares table and Casbin on random policies,
// readers, scopes and coordinates: 100,000 of them, ten million with WEIR_SOAK.
// WEIR_SEED repeats a run, WEIR_FROM (a policy's number) goes on with one.
func TestDecisionsAreCasbins(t *testing.T) {
	tuples, each, seed := 100_000, 500, uint64(time.Now().UnixNano()) //nolint:gosec // a seed
	switch {
	case os.Getenv("WEIR_SOAK") != "":
		tuples = 10_000_000
	case os.Getenv("WEIR_SMALL") != "": // under the race detector
		// Policies differ widely in what they grant: of a few of them the
		// share below would be chance.
		tuples, each = 2_000, 25
	}
	if s := os.Getenv("WEIR_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("WEIR_SEED: %v", err)
		}
		seed = n
	}
	const progress = 1_000
	from := 0
	if s := os.Getenv("WEIR_FROM"); s != "" {
		var err error
		if from, err = strconv.Atoi(s); err != nil || from < 0 || from >= tuples/each {
			t.Fatalf("WEIR_FROM: %q, and there are %d policies", s, tuples/each)
		}
		tuples -= from * each
	}
	t.Logf("WEIR_SEED=%d WEIR_FROM=%d", seed, from)
	var compared, granted atomic.Int64
	group := errgroup.Group{}
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := from; i < from+tuples/each; i++ {
		if (i-from)%progress == progress-1 {
			// Those shortly before may still be being compared.
			t.Logf("%d tuples, no difference; to go on from here: WEIR_SEED=%d WEIR_FROM=%d", compared.Load(), seed, max(from, i-progress/2))
		}
		group.Go(func() error {
			rng := rand.New(rand.NewPCG(seed, uint64(i))) //nolint:gosec // a sample
			c, s := randomCatalogue(rng), randomSettings(rng)
			text := randomPolicy(rng)
			p, found := authz.Parse([]schema.File{{Name: "random.csv", Text: text}})
			if len(found) > 0 {
				return found
			}
			table, err := authz.Compile(p, c, s)
			if err != nil {
				return err
			}
			got, err := authz.Compare(p, table, c, s, authz.Sample{Seed: seed + uint64(i), Tuples: each})
			if err != nil {
				return err
			}
			compared.Add(int64(got.Tuples))
			granted.Add(int64(got.Granted))
			if !got.Equal() {
				return fmt.Errorf("seed %d, policy %d: %s\n%s", seed, i, got.Differences[0], text)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if int(compared.Load()) != tuples {
		t.Errorf("%d tuples, want %d", compared.Load(), tuples)
	}
	// A comparison of nothing with nothing would prove nothing.
	share := float64(granted.Load()) / float64(compared.Load())
	t.Logf("%d tuples, something granted on %.0f %%", compared.Load(), 100*share)
	if share < .05 || share > .95 {
		t.Errorf("something is granted on %.0f %% of the tuples", 100*share)
	}
}

func pick(rng *rand.Rand, from ...string) string { return from[rng.IntN(len(from))] }

func randomCatalogue(rng *rand.Rand) *schema.Catalogue {
	c := &schema.Catalogue{Levels: schema.DefaultLevels(), Departments: drawnDepts, Types: map[string]*schema.Type{}}
	rank := func() schema.Rank { return schema.Rank(rng.IntN(4)) } //nolint:gosec // small
	for _, name := range []string{"A", "B"} {
		typ := typeOf(name, pick(rng, drawnDepts...), rank(), schema.SharingMode(rng.IntN(3)), //nolint:gosec // small
			field("x", schema.String, rank()), field("y", schema.String, rank()))
		for _, s := range []string{"s1", "s2"} {
			if rng.IntN(2) == 0 {
				typ.Scopes = append(typ.Scopes, &schema.Scope{Name: s})
			}
		}
		switch rng.IntN(3) {
		case 1:
			typ.Subjects = []schema.Subject{{Field: "x"}}
		case 2:
			typ.Subjects = []schema.Subject{{Field: "x", Covers: []string{"x"}}}
		}
		c.Types[name] = typ
	}
	return c
}

func randomSettings(rng *rand.Rand) authz.Settings {
	return authz.Settings{
		PurposeRequiredFrom: schema.Rank(rng.IntN(5)), //nolint:gosec // small
		HideFrom:            schema.Rank(rng.IntN(5)), //nolint:gosec // small
		Purposes:            []string{"p1", "p2"},
	}
}

// randomPolicy has few rules a role, since Casbin reads each of them.
func randomPolicy(rng *rand.Rand) string {
	var b strings.Builder
	for range 1 + rng.IntN(7) {
		effect, purpose, access := "allow", pick(rng, "*", "*", "*", "p1", "p2", "p3"), pick(rng, "match", "aggregate", "mask", "clear", "clear")
		if rng.IntN(6) == 0 {
			effect, purpose, access = "deny", "*", pick(rng, "match", "aggregate", "mask", "clear", "any")
		}
		fmt.Fprintf(&b, "p, %s, %s, %s, %s, %s, %s, %s, %s\n",
			pick(rng, drawnRoles...), pick(rng, "*", "*", "d1", "d2"),
			pick(rng, "*", "*", "A.*", "A._row", "A.x", "A.y", "B.*", "B._row", "B.x"), pick(rng, "L1", "L2", "L3", "L4", "L4", "L4"), purpose,
			pick(rng, "all", "all", "by_key", "self", "own_department", "s1", "s2"), access, effect)
	}
	for range rng.IntN(4) {
		i := rng.IntN(3)
		fmt.Fprintf(&b, "g, %s, %s\n", drawnRoles[i], drawnRoles[i+1+rng.IntN(3-i)])
	}
	return b.String()
}
