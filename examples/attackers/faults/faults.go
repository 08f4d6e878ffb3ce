// Package faults attacks through errors: a value that does not fit its type, a
// number too large to compare, a cast that fails inside the database. It
// promises to provoke each, on fields that it may not see.
package faults

import (
	"context"
	"maps"
	"slices"

	"github.com/weir-data/weir/examples/attackers/target"
	"github.com/weir-data/weir/examples/attackers/tells"
)

// Attack is the attacker.
func Attack() *target.Attack {
	return &target.Attack{
		Name: "faults", Oracle: "errors from overflow, casts and values of the wrong kind",
		Question: "is the stored score too large for its type?", Prior: 1.0 / 2,
		Truth: func(p *target.Person) string {
			if p.Score >= 1<<31 {
				return "yes"
			}
			return "no"
		},
		Run: run,
	}
}

func run(ctx context.Context, c *target.Client, cs *target.Case) (map[string]string, error) {
	const head = `query($id: String!) { persons(where: {idNumber: {_eq: $id}`
	seen := map[string]tells.Features{}
	for i, id := range slices.Concat(slices.Sorted(maps.Keys(cs.Known)), cs.IDs) {
		seen[id] = tells.Features{}
		for name, query := range map[string]string{
			"select":  head + `}) { score s: score grade phone alias badge } }`,
			"compare": head + `, score: {_gt: 2147483647}}) { district } }`,
			"too far": head + `, grade: {_gt: 2147483648}}) { district } }`,
			"pattern": head + `, district: {_like: "%\\"}}) { score } }`,
			"order":   `query($id: String!) { persons(orderBy: [{score: ASC}], where: {idNumber: {_eq: $id}}) { score } }`,
		} {
			a, err := c.Ask(ctx, "research", query, map[string]any{"id": id})
			if err != nil {
				return nil, err
			}
			seen[id].See(name, id, a)
			if i == 0 {
				cs.Say("%s: status %d, refusals %v", name, a.Status, a.Codes)
			}
		}
	}
	return tells.Apply(cs, seen), nil
}
