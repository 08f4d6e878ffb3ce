// Package timing attacks with a clock: an answer that reads a long value takes
// longer. It promises to ask about people in turns, in random order, so that
// what drifts drifts for all.
package timing

import (
	"context"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/weir-data/weir/examples/attackers/target"
	"github.com/weir-data/weir/examples/attackers/tells"
)

// Attack is the attacker.
func Attack() *target.Attack {
	return &target.Attack{
		Name: "timing", Oracle: "how long an answer takes",
		Question: "is the diary long?", Prior: 1.0 / 2,
		Truth: func(p *target.Person) string {
			if len(p.Diary) > 100 {
				return "yes"
			}
			return "no"
		},
		Run: run,
	}
}

const query = `query($id: String!) { persons(where: {idNumber: {_eq: $id}}) { idNumber diary income } }`

func run(ctx context.Context, c *target.Client, cs *target.Case) (map[string]string, error) {
	ids := slices.Concat(slices.Sorted(maps.Keys(cs.Known)), cs.IDs)
	took := map[string][]float64{}
	r := rand.New(rand.NewPCG(5, 5))
	for c.Left() >= len(ids) {
		for _, i := range r.Perm(len(ids)) {
			d, err := once(ctx, c, ids[i])
			if err != nil {
				return nil, err
			}
			took[ids[i]] = append(took[ids[i]], d)
		}
	}
	seen := map[string]tells.Features{}
	for id, all := range took {
		slices.Sort(all)
		seen[id] = tells.Features{"shortest time in µs": all[0], "median time in µs": all[len(all)/2]}
	}
	best := &tells.Best{}
	best.Try(cs, seen)
	return best.Apply(cs), nil
}

func once(ctx context.Context, c *target.Client, id string) (float64, error) {
	start := time.Now()
	_, err := c.Ask(ctx, "research", query, map[string]any{"id": id})
	return float64(time.Since(start)) / float64(time.Microsecond), err
}

// Welch asks two towns about one person by turns, the first chosen by lot, and
// gives Welch's t of the two series (B. L. Welch, Biometrika 34, 1947), without
// the slowest tenth of each: those are the machine's own. Beyond 4.5 the towns
// can be told apart.
func Welch(ctx context.Context, towns [2]*target.Client, id string, pairs int, r *rand.Rand) (float64, error) {
	var took [2][]float64
	for n := range pairs + 200 {
		first := r.IntN(2)
		for _, side := range [2]int{first, 1 - first} {
			d, err := once(ctx, towns[side], id)
			if err != nil {
				return 0, err
			}
			if n >= 200 { // until then caches fill
				took[side] = append(took[side], d)
			}
		}
	}
	var mean, spread [2]float64
	for side, all := range took {
		slices.Sort(all)
		all = all[:len(all)*9/10]
		for _, d := range all {
			mean[side] += d / float64(len(all))
		}
		for _, d := range all {
			spread[side] += (d - mean[side]) * (d - mean[side]) / float64(len(all)-1) / float64(len(all))
		}
	}
	return (mean[0] - mean[1]) / math.Sqrt(spread[0]+spread[1]), nil
}
