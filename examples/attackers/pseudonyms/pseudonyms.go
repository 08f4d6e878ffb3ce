// Package pseudonyms attacks tokens: it looks whether two purposes, or two
// handles, share one, counts how often each occurs, and reads in the tokens of
// acquaintances. It promises to try the value itself too.
package pseudonyms

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/weir-data/weir/examples/attackers/target"
	"github.com/weir-data/weir/examples/attackers/wording"
)

// Attack is the attacker.
func Attack() *target.Attack {
	return &target.Attack{
		Name: "pseudonyms", Oracle: "tokens that repeat, within a purpose and across two, and handles",
		Question: "what is the number on the badge?", Prior: 1e-9,
		Truth: func(p *target.Person) string { return p.Badge },
		Run:   run,
	}
}

// Tokens are what a purpose shows: badge and _ref by identity number.
func Tokens(ctx context.Context, c *target.Client, purpose string) (badges, refs map[string]string, err error) {
	a, err := c.Ask(ctx, purpose, `{ persons(limit: 1000) { idNumber badge _ref } }`, nil)
	if err != nil {
		return nil, nil, err
	}
	badges, refs = map[string]string{}, map[string]string{}
	for _, p := range target.List(a.Data, "persons") {
		id := target.Text(p, "idNumber")
		badges[id], refs[id] = target.Text(p, "badge"), target.Text(p, "_ref")
	}
	return badges, refs, nil
}

func run(ctx context.Context, c *target.Client, cs *target.Case) (map[string]string, error) {
	research, refs, err := Tokens(ctx, c, "research")
	if err != nil {
		return nil, err
	}
	billing, otherRefs, err := Tokens(ctx, c, "billing")
	if err != nil {
		return nil, err
	}
	none, _, err := Tokens(ctx, c, "")
	if err != nil {
		return nil, err
	}
	known := map[string]string{} // token to badge
	counts, shared := map[string]int{}, 0
	for id, token := range research {
		counts[token]++
		if badge, ok := cs.Known[id]; ok {
			known[token], known[billing[id]], known[refs[id]] = badge, badge, badge
		}
		if token == billing[id] {
			shared++
		}
		if refs[id] == otherRefs[id] {
			shared++
		}
	}
	most := 0
	for _, n := range counts {
		most = max(most, n)
	}
	cs.Say("%d tokens, the most frequent %d times; %d shared by two purposes; without a purpose %q", len(counts), most, shared, none[cs.IDs[0]])
	guesses := map[string]string{}
	for _, id := range cs.IDs {
		// An acquaintance's token, in this purpose or another, or the value as it stands.
		guesses[id] = research[id]
		for _, token := range []string{research[id], billing[id], refs[id], otherRefs[id]} {
			if badge, ok := known[token]; ok {
				guesses[id] = badge
			}
		}
	}
	again, err := sample(ctx, c, cs, research, billing)
	if err != nil && !errors.Is(err, target.ErrSpent) {
		return nil, err
	}
	for id, badge := range again {
		guesses[id] = badge
	}
	return guesses, nil
}

// sample asks for a few people at a time, for either purpose or none, in many
// words: what else than before comes back, what one purpose shows of the other,
// and what a token that was seen with an acquaintance says about a stranger.
func sample(ctx context.Context, c *target.Client, cs *target.Case, purposes ...map[string]string) (map[string]string, error) {
	d, guesses := wording.Draw{Rand: cs.Random}, map[string]string{}
	owners := map[string]map[string]bool{} // token to people
	own := func(token, id string) bool {
		if owners[token] == nil {
			owners[token] = map[string]bool{}
		}
		owners[token][id] = true
		return len(owners[token]) > 1
	}
	asked, others, changed, seen := 0, 0, 0, map[string]int{}
	defer func() {
		cs.Say("%d further queries, %d tokens of two people, %d that changed within a purpose, answers: %v", asked, others, changed, seen)
	}()
	for {
		at := d.IntN(3)
		args := `where: ` + d.Around(d.One(`{district: {_eq: "south"}}`, `{district: {_eq: "north"}}`, `{idNumber: {_gt: "99"}}`), 3) +
			`, orderBy: ` + d.Order("idNumber", "district") + `, limit: ` + strconv.Itoa(1+d.IntN(20)) + `, offset: ` + strconv.Itoa(d.IntN(100))
		a, err := c.Ask(ctx, [...]string{"research", "billing", ""}[at], `{ persons(`+args+`) { idNumber badge `+d.One("badge", "b: badge", "... on Person { badge }")+` _ref } }`, nil)
		if err != nil {
			return guesses, err
		}
		asked++
		seen[strings.Join(append(a.Codes, "in full")[:1], "")]++
		for _, p := range target.List(a.Data, "persons") {
			id, badge := target.Text(p, "idNumber"), target.Text(p, "badge")
			if badge != "" {
				if own(badge, id) {
					others++
					for owner := range owners[badge] {
						if known, ok := cs.Known[owner]; ok {
							guesses[id] = known
						}
					}
				}
				if at < len(purposes) && badge != purposes[at][id] {
					changed++
				}
			}
			own(target.Text(p, "_ref"), id)
		}
	}
}
