// Package paging attacks rows that the reader may not see through everything
// that counts rows: filled pages, hasNextPage, totalCount, truncation, offsets,
// and whether a row exists behind a relation. It promises to learn from people
// whose loans it knows what such a row changes.
package paging

import (
	"context"

	"github.com/weir-data/weir/examples/attackers/target"
	"github.com/weir-data/weir/examples/attackers/tells"
	"github.com/weir-data/weir/examples/attackers/wording"
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

func run(ctx context.Context, c *target.Client, cs *target.Case) (map[string]string, error) {
	const head, of = `query($id: String!) { `, `(where: {idNumber: {_eq: $id}`
	return tells.Everybody(ctx, c, cs, []tells.Probe{
		{Name: "by", Purpose: "research", Query: head + `loans(where: {holder: {_eq: $id}}) { number } }`},
		{Name: "exist", Purpose: "research", Query: head + `some: personsConnection` + of + `, loans: {}}) { totalCount pageInfo { hasNextPage } } far: personsConnection` + of + `, loans: {branch: {_eq: "far"}}}) { totalCount } none: personsConnection` + of + `, _not: {loans: {}}}) { totalCount } only: personsConnection` + of + `, loans: {_not: {branch: {_eq: "near"}}}}) { totalCount } }`},
		{Name: "loans", Purpose: "research", Query: head + `persons` + of + `}) { loans { number branch } one: loans(limit: 1) { branch } two: loans(limit: 1, offset: 1) { branch } far: loans(where: {branch: {_eq: "far"}}) { number } not: loans(where: {_not: {branch: {_eq: "near"}}}) { number } last: loans(orderBy: [{branch: ASC}], limit: 1) { branch } } }`},
		{Name: "null", Purpose: "research", Query: head + `persons` + of + `, loans: {branch: {_is_null: false}}}) { district } }`},
		{Name: "page", Purpose: "research", Query: head + `loansConnection(where: {holder: {_eq: $id}}, first: 1) { totalCount pageInfo { hasNextPage } } }`},
	}, func(d wording.Draw) tells.Probe {
		loan := func() string {
			return d.One(`{}`, `{branch: {_eq: "far"}}`, `{_not: {branch: {_eq: "near"}}}`, `{branch: {_neq: "near"}}`, `{branch: {_is_null: false}}`, `{_not: {}}`,
				`{_or: [{branch: {_eq: "far"}}, {branch: {_is_null: true}}]}`, `{number: {_gt: "L"}}`, `{branch: {_lt: "near"}}`)
		}
		having := `{loans: ` + loan() + `}`
		args := `where: {_and: [{idNumber: {_eq: $id}}, ` + d.Around(d.One(having, `{_not: `+having+`}`, `{}`), 3) + `]}`
		page := d.One("limit: 1", "limit: 1, offset: 1", "limit: 2, offset: 1", "limit: 0", "limit: 1000")
		fields := `{ district loans(where: ` + loan() + `, ` + page + `, orderBy: ` + d.Order("branch", "number") + `) { number branch } }`
		query := d.One(`persons(`+args+`) `+fields, `personsConnection(`+args+`, first: `+d.One("0", "1", "2")+`) { totalCount pageInfo { hasNextPage hasPreviousPage } nodes `+fields+` }`)
		return tells.Probe{Name: "drawn", Purpose: d.One("research", "research", "billing"), Query: head + query + ` }`}
	})
}
