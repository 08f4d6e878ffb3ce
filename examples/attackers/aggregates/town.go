package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"

	"github.com/99designs/gqlgen/graphql"
	_ "modernc.org/sqlite" // makes the town's register

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/adapters/sqlite"
	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/graph/exec"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/internal/keyring"
	"github.com/weir-data/weir/resolvers"
	"github.com/weir-data/weir/schema"
)

// In every street live people of three bands, and one person who is alone in
// the fourth. No two of a street have the same age.
const (
	bands     = 4
	lone      = bands - 1
	perStreet = 25
	topIncome = 1000
)

const register = `
"A person of the town"
type Person
  @source(department: "register", table: "person", key: ["id"], tiebreak: "row_no")
  @classified(level: "L2") @sharing(mode: UNCONDITIONAL) @api(plural: "people")
{
  id: String @classified(level: "L3") @subject
  street: Int @dimension
  band: Int @dimension
  age: Int @dimension
  income: Int @classified(level: "L3")
}
`

// The statistician may aggregate, and nothing else; the auditor sees all.
const policy = `
p, statistician, register, Person.*, L3, *, all, aggregate, allow
p, auditor, register, Person.*, L3, *, all, clear, allow
`

type person struct{ street, band, age, income int }

// town is a register behind a real executor, and the truth about it, which only
// the judge looks at.
type town struct {
	people     []person
	streets    int
	generation *plan.Generation
	executor   *exec.Executor
	source     adapters.Adapter
	asked      int
	role       string
}

// open builds a town of so many people in a folder.
func open(ctx context.Context, folder string, people int, seed uint64) (*town, error) {
	t := &town{streets: people / perStreet}
	r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // the same town for the same seed
	for street := range t.streets {
		ages := r.Perm(perStreet)
		for i := range perStreet {
			p := person{street: street, band: i % lone, age: 20 + ages[i], income: r.IntN(topIncome + 1)}
			if i == perStreet-1 {
				p.band = lone
			}
			t.people = append(t.people, p)
		}
	}
	path := filepath.Join(folder, "register.db")
	if err := t.write(ctx, path); err != nil {
		return nil, err
	}
	catalogue, found := schema.Load([]schema.File{{Name: "register.graphqls", Text: register}}, schema.Settings{Levels: schema.DefaultLevels()})
	if catalogue == nil {
		return nil, fmt.Errorf("schema: %w", found)
	}
	rules, found := authz.Parse([]schema.File{{Name: "policy.csv", Text: policy}})
	if found.Failed() {
		return nil, fmt.Errorf("policy: %w", found)
	}
	settings := authz.DefaultSettings(catalogue.Levels)
	settings.PurposeRequiredFrom = catalogue.Levels.Highest()
	table, err := authz.Compile(rules, catalogue, settings)
	if err != nil {
		return nil, err
	}
	documents, err := plan.NewDocuments(catalogue.API, plan.DefaultLimits())
	if err != nil {
		return nil, err
	}
	t.generation = &plan.Generation{Catalogue: catalogue, Table: table, Policy: table.Revision(), Documents: documents}
	if t.source, err = sqlite.Open(sqlite.DefaultConfig(path)); err != nil {
		return nil, err
	}
	ring, err := keyring.Generate()
	if err != nil {
		return nil, err
	}
	t.executor, err = exec.New(exec.Config{
		Adapters: map[string]adapters.Adapter{"register": t.source}, Keys: ring, Budgets: boundless{},
		Aggregates: exec.AggregateLimits{PerDay: 1 << 30, Minimum: []int{5, 5, 5, 5}},
	})
	return t, err
}

// boundless is a budget without an end: what noise and suppression do not
// protect, it does not protect here either.
type boundless struct{}

func (boundless) Spend(context.Context, []exec.Charge) error { return nil }

func (t *town) write(ctx context.Context, path string) (err error) {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	if _, err := tx.ExecContext(ctx, "create table person (row_no integer primary key, id text unique, street integer, band integer, age integer, income integer)"); err != nil {
		return err
	}
	for i, p := range t.people {
		if _, err := tx.ExecContext(ctx, "insert into person values (?, ?, ?, ?, ?, ?)", i, fmt.Sprintf("p%04d", i), p.street, p.band, p.age, p.income); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func (t *town) close() error {
	t.executor.Close()
	t.generation.Documents.Close()
	return t.source.Close()
}

// row is one group of an answer; nil is a number that was left out.
type row struct {
	Group struct{ Street, Band, Age *int }
	Count *string
	Sum   struct{ Income *string }
}

var errRefused = errors.New("refused")

// ask sends one query, whose root is called a.
func (t *town) ask(ctx context.Context, query string, variables map[string]any) ([]row, error) {
	t.asked++
	req := &resolvers.Request{
		ID: "attack", Generation: t.generation, Reads: &resolvers.ReadSet{},
		Subject: &authz.Subject{ID: "attacker", Application: "attack", Roles: []string{t.role}},
	}
	// As they come over the wire: numbers as written.
	text, err := json.Marshal(variables)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&variables); err != nil {
		return nil, err
	}
	ctx = resolvers.WithRequest(ctx, req)
	op, errs := t.executor.CreateOperationContext(ctx, &graphql.RawParams{Query: query, Variables: variables})
	if errs != nil {
		return nil, fmt.Errorf("%w: %s: %w", errRefused, query, errs)
	}
	defer t.executor.Release(req)
	handler, ctx := t.executor.DispatchOperation(ctx, op)
	response := handler(ctx)
	if len(response.Errors) > 0 {
		return nil, fmt.Errorf("%w: %s: %w", errRefused, query, response.Errors)
	}
	var data struct{ A []row }
	if err := json.Unmarshal(response.Data, &data); err != nil {
		return nil, err
	}
	return data.A, nil
}
