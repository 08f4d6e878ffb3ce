// Command attackers lets scripted attackers loose on a small town behind a real
// Weir, one per way in which an answer could tell more than it shows, and prints
// what each tried and what it learnt. Each runs twice: against a reader who
// holds little, and, so that a failure to learn means something, against one who
// holds everything.
//
//	go run ./examples/attackers [--queries 10000] [--people 200] [--verbose] [name ...]
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/weir-data/weir/examples/attackers/cursors"
	"github.com/weir-data/weir/examples/attackers/enumeration"
	"github.com/weir-data/weir/examples/attackers/faults"
	"github.com/weir-data/weir/examples/attackers/filters"
	"github.com/weir-data/weir/examples/attackers/margins"
	"github.com/weir-data/weir/examples/attackers/match"
	"github.com/weir-data/weir/examples/attackers/negation"
	"github.com/weir-data/weir/examples/attackers/nulls"
	"github.com/weir-data/weir/examples/attackers/ordering"
	"github.com/weir-data/weir/examples/attackers/paging"
	"github.com/weir-data/weir/examples/attackers/pseudonyms"
	"github.com/weir-data/weir/examples/attackers/target"
	"github.com/weir-data/weir/examples/attackers/timing"
)

// attacks are all attackers of this kind. Those on aggregates have a judge of
// their own.
func attacks() []*target.Attack {
	return slices.Concat(
		[]*target.Attack{cursors.Attack(), enumeration.Attack(), faults.Attack()}, filters.Attacks(), margins.Attacks(),
		[]*target.Attack{match.Attack(), negation.Attack()}, nulls.Attacks(), ordering.Attacks(),
		[]*target.Attack{paging.Attack(), pseudonyms.Attack(), timing.Attack()},
	)
}

func main() {
	queries := flag.Int("queries", 2_000, "queries per attacker")
	people := flag.Int("people", 120, "people of the town")
	seed := flag.Uint64("seed", 1, "of the town")
	verbose := flag.Bool("verbose", false, "print what each attacker tried")
	flag.Parse()
	learned, err := run(context.Background(), os.Stdout, flag.Args(), *people, *queries, *seed, *verbose)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if learned {
		os.Exit(1)
	}
}

// run prints one line per attacker; learned is whether one learnt what it must
// not, or failed to learn what was open.
func run(ctx context.Context, out io.Writer, names []string, people, queries int, seed uint64, verbose bool) (learned bool, err error) {
	for _, name := range names {
		if !slices.ContainsFunc(attacks(), func(a *target.Attack) bool { return called(a, name) }) {
			return false, fmt.Errorf("no attacker is called %q", name)
		}
	}
	fmt.Fprintf(out, "%-16s %8s %7s %6s   %-22s %s\n", "attacker", "queries", "luck", "right", "with everything open", "question")
	for _, a := range attacks() {
		if len(names) > 0 && !slices.ContainsFunc(names, func(name string) bool { return called(a, name) }) {
			continue
		}
		var results [2]*target.Result
		for i, open := range []bool{false, true} {
			if results[i], err = attack(ctx, a, open, people, queries, seed); err != nil {
				return learned, err
			}
		}
		shut, open := results[0], results[1]
		verdict := ""
		if shut.Learned {
			verdict, learned = "   LEARNT SOMETHING", true
		}
		if !open.Learned {
			verdict, learned = verdict+"   PROVES NOTHING: it fails when all is open", true
		}
		fmt.Fprintf(out, "%-16s %8d %7.1f %3d/%-3d  %3d/%-18d %s%s\n", a.Name, shut.Queries, float64(shut.Asked)*a.Prior, shut.Right, shut.Asked,
			open.Right, open.Asked, a.Question, verdict)
		if verbose {
			fmt.Fprintf(out, "    listens to: %s\n", a.Oracle)
			for _, line := range shut.Lines {
				fmt.Fprintf(out, "    %s\n", line)
			}
		}
	}
	if len(names) == 0 {
		fmt.Fprintln(out, "\nThe attackers on aggregates have a town and a judge of their own: go run ./examples/attackers/aggregates")
	}
	return learned, nil
}

// called tells whether a name is the attacker's, or that of its kind.
func called(a *target.Attack, name string) bool {
	return a.Name == name || strings.HasPrefix(a.Name, name+"/")
}

// attack runs one attacker against a town of its own.
func attack(ctx context.Context, a *target.Attack, open bool, people, queries int, seed uint64) (*target.Result, error) {
	dir, err := os.MkdirTemp("", "weir-attackers")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	t, err := target.Open(ctx, filepath.Join(dir, "town"), people, seed, open)
	if err != nil {
		return nil, err
	}
	defer func() { _ = t.Close() }()
	return target.Judge(ctx, t, a, open, queries)
}
