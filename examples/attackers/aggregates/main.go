// Command aggregates lets a scripted attacker loose on the aggregates of a small
// town, behind a real executor and without any budget, and prints what it tried
// and what it learnt. It repeats queries, asks for complements, subtracts sums
// of overlapping sets and solves thousands of such equations together, knowing
// everything about everybody but what it wants to know.
//
// Each attack runs twice: as a statistician, who holds the rows as aggregate,
// and as an auditor, who sees them, so that a failure to learn means something.
// It promises no more than to try: docs/aggregates.md says what is not protected.
//
//	go run ./examples/attackers/aggregates [--queries 10000] [--people 1000] [--seed 1]
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
)

func main() {
	queries := flag.Int("queries", 10_000, "queries per attack")
	people := flag.Int("people", 1_000, "people of the town")
	seed := flag.Uint64("seed", 1, "of the town")
	flag.Parse()
	learnt, err := run(context.Background(), os.Stdout, *people, *queries, *seed)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if learnt {
		os.Exit(1)
	}
}

// verdict is the judge's: how many guesses were right, how many would be by
// luck, and how many at most with luck and what the noise allows.
type verdict struct {
	what         string
	asked, right int
	chance       float64 // of one guess that uses the prior and the noise alone
}

// most is five standard deviations above chance.
func (v verdict) most() float64 {
	n := float64(v.asked)
	return n*v.chance + 5*math.Sqrt(n*v.chance*(1-v.chance)) + 1
}

func (v verdict) learnt() bool { return float64(v.right) > v.most() }

// run runs the attacks as both readers; learnt is whether the statistician
// learnt what he must not, or the auditor failed to learn what is open.
func run(ctx context.Context, out io.Writer, people, queries int, seed uint64) (learnt bool, err error) {
	for _, role := range []string{"statistician", "auditor"} {
		fmt.Fprintf(out, "%s, %d people, at most %d queries an attack\n", role, people, queries)
		verdicts, err := attack(ctx, out, role, people, queries, seed)
		if err != nil {
			return learnt, err
		}
		for _, v := range verdicts {
			fmt.Fprintf(out, "  %s: %d of %d right, %.1f expected of a guess, %.1f is the bound\n", v.what, v.right, v.asked, float64(v.asked)*v.chance, v.most())
			if v.learnt() != (role == "auditor") {
				learnt = true
				fmt.Fprintln(out, "  THIS MUST NOT BE")
			}
		}
	}
	return learnt, nil
}

func attack(ctx context.Context, out io.Writer, role string, people, queries int, seed uint64) (verdicts []verdict, err error) {
	folder, err := os.MkdirTemp("", "weir-aggregates")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	t, err := open(ctx, folder, people, seed)
	if err != nil {
		return nil, err
	}
	defer func() { _ = t.close() }()
	t.role = role
	a := &attacker{town: t, queries: queries, out: out, random: rand.New(rand.NewPCG(seed, 2))} //nolint:gosec // repeatable

	guesses, err := a.incomes(ctx)
	if err != nil {
		return nil, err
	}
	verdicts = append(verdicts, t.judgeIncomes(guesses))
	t.asked = 0
	ages, truth := t.acquaintances()
	found, err := a.bandsOf(ctx, ages)
	if err != nil {
		return nil, err
	}
	v := verdict{what: "the band of a person known by street and age", asked: len(truth), chance: 8.0 / perStreet}
	for i := range truth {
		if found[i] == truth[i] {
			v.right++
		}
	}
	return append(verdicts, v), nil
}

// tolerance is how near a guess of an income must come.
const tolerance = 100

// judgeIncomes counts the guesses that come near. Incomes are uniform, so that
// one of five comes near to any guess; a person's own noise, with a standard
// deviation of half the contribution bound, leaves fewer within the tolerance.
func (t *town) judgeIncomes(guesses []float64) verdict {
	v := verdict{what: "the income of a person alone in a cell, within 10 %", chance: 2 * tolerance / float64(topIncome)}
	for _, p := range t.people {
		if p.band != lone {
			continue
		}
		v.asked++
		if math.Abs(guesses[p.street]-float64(p.income)) <= tolerance {
			v.right++
		}
	}
	return v
}

// acquaintances are one person of each street, of one of the three bands.
func (t *town) acquaintances() (ages, truth []int) {
	for street := range t.streets {
		p := t.people[street*perStreet+street%(perStreet-1)]
		ages, truth = append(ages, p.age), append(truth, p.band)
	}
	return ages, truth
}
