package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"
)

const fields = "idNumber name sex birthDate phone district householdNumber updatedAt"

// workload is one line of the table.
type workload struct {
	name string
	what string
	// weir and gqlgen are the query texts; they differ in the arguments' shape.
	weir, gqlgen string
	variables    []string
	clients      []int
}

func workloads(ids, districts []string) []workload {
	var byID, byDistrict []string
	for _, id := range ids {
		byID = append(byID, `{"id":"`+id+`"}`)
	}
	for _, d := range districts {
		byDistrict = append(byDistrict, `{"district":"`+d+`"}`)
	}
	return []workload{
		{
			"point", "1 x 8", `query($id: String!) { person(idNumber: $id) { ` + fields + ` } }`,
			`query($id: String!) { person(idNumber: $id) { ` + fields + ` } }`, byID,
			[]int{64, 256},
		},
		{
			"list", "100 x 8", `query($district: String!) { persons(where: {district: {_eq: $district}}, limit: 100) { ` + fields + ` } }`,
			`query($district: String!) { persons(district: $district, limit: 100) { ` + fields + ` } }`, byDistrict,
			[]int{64},
		},
		{
			"wide", "1,000 x 8", `{ persons(limit: 1000) { ` + fields + ` } }`,
			`{ persons(limit: 1000) { ` + fields + ` } }`,
			[]string{"{}"},
			[]int{64},
		},
		{
			"nested", "50 x 8, 3 children each", `query($district: String!) { persons(where: {district: {_eq: $district}}, limit: 50) { ` + fields + ` permits(limit: 3) { number issuedOn district } } }`,
			`query($district: String!) { persons(district: $district, limit: 50) { ` + fields + ` permits(limit: 3) { number issuedOn district } } }`, byDistrict,
			[]int{64},
		},
		{
			"across", "50 x 8 and their accounts, two departments", `query($district: String!) { persons(where: {district: {_eq: $district}}, limit: 50) { ` + fields + ` insurance { cardNumber monthsPaid active } } }`,
			`query($district: String!) { persons(district: $district, limit: 50) { ` + fields + ` insurance { cardNumber monthsPaid active } } }`, byDistrict,
			[]int{64},
		},
	}
}

func body(query, variables string) string {
	q, err := json.Marshal(query)
	if err != nil {
		panic(err) // a string always marshals
	}
	return `{"query":` + string(q) + `,"variables":` + variables + `}`
}

// sample draws the keys that are asked for: every 97th person, all districts.
func sample(ctx context.Context, url string) (ids, districts []string, err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = conn.Close(ctx) }()
	rows, err := conn.Query(ctx, "SELECT id_number FROM person WHERE row_no % 97 = 0 ORDER BY row_no LIMIT 2000")
	if err != nil {
		return nil, nil, err
	}
	if ids, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return nil, nil, err
	}
	rows, err = conn.Query(ctx, "SELECT DISTINCT district FROM person ORDER BY 1")
	if err != nil {
		return nil, nil, err
	}
	if districts, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return nil, nil, err
	}
	if len(ids) == 0 || len(districts) == 0 {
		return nil, nil, fmt.Errorf("no people in the database")
	}
	return ids, districts, nil
}
