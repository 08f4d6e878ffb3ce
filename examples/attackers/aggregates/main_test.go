package main

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestAttackersLearnNothing is the short form; WEIR_SOAK makes it the long one
// of 10,000 queries an attack.
func TestAttackersLearnNothing(t *testing.T) {
	people, queries, seed := 1_000, 400, uint64(1)
	if os.Getenv("WEIR_SOAK") != "" {
		queries = 10_000
	}
	if text := os.Getenv("WEIR_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	var out strings.Builder
	learnt, err := run(t.Context(), &out, people, queries, seed)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	t.Logf("WEIR_SEED=%d\n%s", seed, out.String())
	if learnt {
		t.Errorf("WEIR_SEED=%d\n%s", seed, out.String())
	}
}

// The solver finds what equations without noise determine.
func TestEquations(t *testing.T) {
	e := newEquations(3)
	for set, sum := range map[[3]bool]float64{{true, true, false}: 3, {false, true, true}: 5, {true, false, true}: 4, {true, true, true}: 6} {
		var row []int
		for i, in := range set {
			if in {
				row = append(row, i)
			}
		}
		for range 1000 {
			e.add(row, sum)
		}
	}
	for i, got := range e.solve() {
		if want := float64(i + 1); got < want-0.01 || got > want+0.01 {
			t.Errorf("unknown %d is %v, want %v", i, got, want)
		}
	}
}
