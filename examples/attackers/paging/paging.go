// Package paging attacks rows that the reader may not see through everything
// that counts rows: filled pages, hasNextPage, totalCount, truncation, offsets,
// and whether a row exists behind a relation. It promises to learn from people
// whose loans it knows what such a row changes.
package paging

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
		Name: "paging", Oracle: "page fill, hasNextPage, counts, truncation, existence through relations",
		Question: "has this person a loan of another branch?", Prior: 1.0 / 2,
		Truth: func(p *target.Person) string {
			if p.Loans {
				return "yes"
			}
			return "no"
		},
		Run: run,
	}
}

func probes() map[string]string {
	const head, of = `query($id: String!) { `, `(where: {idNumber: {_eq: $id}`
	return map[string]string{
		"loans": head + `persons` + of + `}) { loans { number branch } one: loans(limit: 1) { branch } two: loans(limit: 1, offset: 1) { branch } far: loans(where: {branch: {_eq: "far"}}) { number } not: loans(where: {_not: {branch: {_eq: "near"}}}) { number } last: loans(orderBy: [{branch: ASC}], limit: 1) { branch } } }`,
		"exist": head + `some: personsConnection` + of + `, loans: {}}) { totalCount pageInfo { hasNextPage } } far: personsConnection` + of + `, loans: {branch: {_eq: "far"}}}) { totalCount } none: personsConnection` + of + `, _not: {loans: {}}}) { totalCount } only: personsConnection` + of + `, loans: {_not: {branch: {_eq: "near"}}}}) { totalCount } }`,
		"null":  head + `persons` + of + `, loans: {branch: {_is_null: false}}}) { district } }`,
		"by":    head + `loans(where: {holder: {_eq: $id}}) { number } }`,
		"page":  head + `loansConnection(where: {holder: {_eq: $id}}, first: 1) { totalCount pageInfo { hasNextPage } } }`,
	}
}

func run(ctx context.Context, c *target.Client, cs *target.Case) (map[string]string, error) {
	ids := slices.Concat(slices.Sorted(maps.Keys(cs.Known)), cs.IDs)
	seen := map[string]tells.Features{}
	for _, id := range ids {
		seen[id] = tells.Features{}
		for _, name := range slices.Sorted(maps.Keys(probes())) {
			a, err := c.Ask(ctx, "research", probes()[name], map[string]any{"id": id})
			if err != nil {
				return nil, err
			}
			seen[id].See(name, id, a)
			if id == ids[0] {
				cs.Say("%s: status %d, refusals %v", name, a.Status, a.Codes)
			}
		}
	}
	return tells.Apply(cs, seen), nil
}
