package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/weir-data/weir/examples/attackers/pseudonyms"
	"github.com/weir-data/weir/examples/attackers/target"
	"github.com/weir-data/weir/examples/attackers/timing"
)

func soak() bool { return os.Getenv("WEIR_SOAK") == "1" }

// seed is 1 unless WEIR_SEED says otherwise.
func seed(t *testing.T) uint64 {
	t.Helper()
	n := uint64(1)
	if s := os.Getenv("WEIR_SEED"); s != "" {
		var err error
		if n, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("WEIR_SEED=%d", n)
	return n
}

// TestAttackers: none learns more than luck allows, and each learns when all is
// open.
func TestAttackers(t *testing.T) {
	people, queries := 80, 400
	if soak() {
		people, queries = 400, 10_000
	}
	for _, a := range attacks() {
		for _, open := range []bool{false, true} {
			name := a.Name + "/guarded"
			if open {
				name = a.Name + "/open"
			}
			t.Run(name, func(t *testing.T) {
				if !soak() {
					t.Parallel() // each has a town of its own; in the long form times count
				}
				r, err := attack(t.Context(), a, open, people, queries, seed(t))
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%d queries, %d of %d right, luck reaches %.1f\n%s", r.Queries, r.Right, r.Asked, r.Bound, strings.Join(r.Lines, "\n"))
				if r.Asked < 15 || r.Queries == 0 {
					t.Fatalf("asked about %d people with %d queries: that is no attack", r.Asked, r.Queries)
				}
				// Shut out, it tries until its queries are spent, short of one round.
				if !open && r.Queries < queries-people {
					t.Errorf("%d queries of %d: it gave up", r.Queries, queries)
				}
				if a.Name == "timing" && !soak() {
					return // times are not asserted on a busy machine
				}
				if r.Learned != open {
					t.Errorf("learned %v, want %v", r.Learned, open)
				}
			})
		}
	}
}

// TestRun: the command prints what each tried, and knows its attackers.
func TestRun(t *testing.T) {
	var out bytes.Buffer
	learned, err := run(t.Context(), &out, []string{"negation", "pseudonyms"}, 80, 100, seed(t), true)
	if err != nil || learned {
		t.Fatalf("%v, %v\n%s", learned, err, out.String())
	}
	for _, want := range []string{"negation ", "pseudonyms ", "_not: {grade", "0 shared by two purposes"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "\nfilters ") {
		t.Error("others ran too")
	}
	if _, err := run(t.Context(), &out, []string{"nobody"}, 80, 100, 1, false); err == nil {
		t.Error("an unknown attacker is no error")
	}
}

// town opens a town for a test.
func town(t *testing.T, open bool, change ...func(*target.Person)) *target.Town {
	t.Helper()
	opened, err := target.Open(t.Context(), filepath.Join(t.TempDir(), "town"), 60, seed(t), open, change...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
	})
	return opened
}

// TestTwoPurposesShareNoToken: neither badge nor handle of anybody is the same,
// or anybody else's, for another purpose; within one purpose both stay.
func TestTwoPurposesShareNoToken(t *testing.T) {
	c := town(t, false).Client(10)
	seen := map[string]string{}
	for _, purpose := range target.Purposes() {
		badges, refs, err := pseudonyms.Tokens(t.Context(), c, purpose)
		if err != nil {
			t.Fatal(err)
		}
		again, refsAgain, err := pseudonyms.Tokens(t.Context(), c, purpose)
		if err != nil {
			t.Fatal(err)
		}
		if len(badges) != 60 {
			t.Fatalf("%d rows", len(badges))
		}
		for id := range badges {
			if badges[id] == "" || badges[id] != again[id] || refs[id] == "" || refs[id] != refsAgain[id] {
				t.Fatalf("for %s: %q and %q, %q and %q", purpose, badges[id], again[id], refs[id], refsAgain[id])
			}
			for _, token := range []string{badges[id], refs[id]} {
				if before, known := seen[token]; known {
					t.Errorf("for %s %s has the token that %s has", purpose, id, before)
				}
				seen[token] = purpose + " " + id
			}
		}
	}
}

// TestTimingTellsNothing: two towns that differ in incomes and diaries alone
// cannot be told apart by Welch's t; with everything open they can. Measured in
// the long form.
func TestTimingTellsNothing(t *testing.T) {
	pairs := 200
	if soak() {
		pairs = 100_000
	}
	flip := func(p *target.Person) {
		p.Income = 999 - p.Income
		if len(p.Diary) > 100 {
			p.Diary = "nothing today"
		} else {
			p.Diary = strings.Repeat("a long day. ", 4_000)
		}
	}
	for _, open := range []bool{false, true} {
		clients := [2]*target.Client{town(t, open).Client(1 << 30), town(t, open, flip).Client(1 << 30)}
		ids, err := clients[0].IDs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n := pairs
		if open {
			n = min(pairs, 5_000)
		}
		score, err := timing.Welch(t.Context(), clients, ids[0], n, rand.New(rand.NewPCG(seed(t), 2)))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("open %v: Welch's t over %d pairs is %.2f", open, n, score)
		if soak() && open != (score > 4.5 || score < -4.5) {
			t.Errorf("open %v: t = %.2f", open, score)
		}
	}
}
