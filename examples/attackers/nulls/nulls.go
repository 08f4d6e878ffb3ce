// Package nulls attacks the difference between nothing, masked and withheld: a
// null that is there in one row only tells that there is, or is not, a value.
// It promises to read whole answers, in both ways of showing what is withheld.
package nulls

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/weir-data/weir/examples/attackers/target"
	"github.com/weir-data/weir/examples/attackers/tells"
)

// Attack is the attacker.
func Attack() *target.Attack {
	return &target.Attack{
		Name: "nulls", Oracle: "null against masked against withheld",
		Question: "has this person an alias?", Prior: 1.0 / 2,
		Truth: func(p *target.Person) string {
			if p.Alias != "" {
				return "yes"
			}
			return "no"
		},
		Run: run,
	}
}

func run(ctx context.Context, c *target.Client, cs *target.Case) (map[string]string, error) {
	const query = `query($id: String!) { persons(where: {idNumber: {_eq: $id}}) { alias a: alias income ...F } } fragment F on Person { b: alias }`
	seen := map[string]tells.Features{}
	for i, id := range slices.Concat(slices.Sorted(maps.Keys(cs.Known)), cs.IDs) {
		seen[id] = tells.Features{}
		for _, how := range []struct{ name, purpose, withheld string }{
			{"plain", "research", ""}, {"errors", "research", "errors"}, {"without a purpose", "", ""},
		} {
			var headers []string
			if how.withheld != "" {
				headers = []string{"X-Weir-Withheld", how.withheld}
			}
			a, err := c.Ask(ctx, how.purpose, query, map[string]any{"id": id}, headers...)
			if err != nil {
				return nil, err
			}
			seen[id].See(how.name, id, a)
			if i == 0 {
				data, _ := json.Marshal(a.Data)
				cs.Say("%s: %s %v", how.name, data, a.Codes)
			}
		}
	}
	return tells.Apply(cs, seen), nil
}
