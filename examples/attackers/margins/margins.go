// Package margins attacks through what stands around the data: status, headers,
// extensions, receipts, lengths, counts of rows, costs. It promises to weigh all
// of it against incomes that it knows.
package margins

import (
	"context"
	"maps"
	"slices"

	"github.com/weir-data/weir/examples/attackers/ordering"
	"github.com/weir-data/weir/examples/attackers/target"
	"github.com/weir-data/weir/examples/attackers/tells"
)

// Attack is the attacker.
func Attack() *target.Attack {
	return &target.Attack{
		Name: "margins", Oracle: "status, headers, extensions, receipts, cost, lengths",
		Question: "is the income 500 or more?", Prior: 1.0 / 2,
		Truth: ordering.Above, Run: run,
	}
}

func run(ctx context.Context, c *target.Client, cs *target.Case) (map[string]string, error) {
	seen := map[string]tells.Features{}
	for i, id := range slices.Concat(slices.Sorted(maps.Keys(cs.Known)), cs.IDs) {
		seen[id] = tells.Features{}
		for name, query := range map[string]string{
			"one":   `query($id: String!) { persons(where: {idNumber: {_eq: $id}}) { idNumber income score pin diary loans { number } } }`,
			"key":   `query($id: String!) { person(idNumber: $id) { income _ref } other: person(idNumber: "0") { income } }`,
			"large": `query($id: String!) { persons(limit: 1000, where: {idNumber: {_lte: $id}}, orderBy: [{idNumber: DESC}], offset: 0) { income } }`,
			"wrong": `query($id: String!) { person(idNumber: $id) { income { deeper } } }`,
			"cost":  `query($id: String!) { persons(limit: 1000, where: {idNumber: {_eq: $id}}) { loans(limit: 1000) { number } income } }`,
		} {
			if name == "large" && i%4 != 0 {
				continue // a thousand rows a time
			}
			a, err := c.Ask(ctx, "research", query, map[string]any{"id": id})
			if err != nil {
				return nil, err
			}
			if name == "large" {
				a.Data, a.Body = nil, nil
			}
			seen[id].See(name, id, a)
			if i == 0 {
				cs.Say("%s: status %d, headers %v", name, a.Status, slices.Sorted(maps.Keys(a.Header)))
			}
		}
	}
	return tells.Apply(cs, seen), nil
}
