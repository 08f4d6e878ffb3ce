// Package graph is what gqlgen generates from the benchmark's schema, and the
// resolvers and loaders one writes for it.
package graph

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/vikstrous/dataloadgen"
)

// Resolver holds the two databases.
type Resolver struct {
	People, Insurance *pgxpool.Pool
}

// Loaders batch a request's keys, as gqlgen's documentation advises.
type Loaders struct {
	permits   *dataloadgen.Loader[permitsOf, []*ResidencePermit]
	insurance *dataloadgen.Loader[string, *InsuranceAccount]
}

type permitsOf struct {
	holder string
	limit  int
}

type loadersKey struct{}

// WithLoaders gives a request its own loaders.
func (r *Resolver) WithLoaders(ctx context.Context) context.Context {
	return context.WithValue(ctx, loadersKey{}, &Loaders{
		permits:   dataloadgen.NewLoader(r.loadPermits, dataloadgen.WithWait(200*time.Microsecond)),
		insurance: dataloadgen.NewMappedLoader(r.loadInsurance, dataloadgen.WithWait(200*time.Microsecond)),
	})
}

func loaders(ctx context.Context) *Loaders { return ctx.Value(loadersKey{}).(*Loaders) }

func (r *Resolver) loadPermits(ctx context.Context, keys []permitsOf) ([][]*ResidencePermit, []error) {
	ids := make([]string, len(keys))
	for i, k := range keys {
		ids[i] = k.holder
	}
	rows, err := r.People.Query(ctx, `SELECT k.ord, c.number, c.issued_on, c.district FROM unnest($1::text[]) WITH ORDINALITY AS k(id, ord)
		CROSS JOIN LATERAL (SELECT number, issued_on, district FROM residence_permit WHERE holder_id_number = k.id ORDER BY number LIMIT $2) AS c
		ORDER BY k.ord`, ids, keys[0].limit)
	if err != nil {
		return nil, []error{err}
	}
	defer rows.Close()
	out := make([][]*ResidencePermit, len(keys))
	for rows.Next() {
		var ord int
		var issued *time.Time
		var p ResidencePermit
		if err := rows.Scan(&ord, &p.Number, &issued, &p.District); err != nil {
			return nil, []error{err}
		}
		p.IssuedOn = formatted(issued, time.DateOnly)
		out[ord-1] = append(out[ord-1], &p)
	}
	if err := rows.Err(); err != nil {
		return nil, []error{err}
	}
	return out, nil
}

func (r *Resolver) loadInsurance(ctx context.Context, ids []string) (map[string]*InsuranceAccount, error) {
	rows, err := r.Insurance.Query(ctx, "SELECT holder_id_number, card_number, months_paid, active FROM insurance_account WHERE holder_id_number = ANY($1)", ids)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := make(map[string]*InsuranceAccount, len(ids))
	for _, id := range ids {
		out[id] = nil
	}
	for rows.Next() {
		var id string
		var a InsuranceAccount
		if err := rows.Scan(&id, &a.CardNumber, &a.MonthsPaid, &a.Active); err != nil {
			return nil, err
		}
		out[id] = &a
	}
	return out, rows.Err()
}

func formatted(t *time.Time, layout string) *string {
	if t == nil {
		return nil
	}
	s := t.UTC().Format(layout)
	return &s
}

const personColumns = "id_number, name, sex, birth_date, phone, district, household_number, updated_at"

func scanPerson(row pgx.CollectableRow) (*Person, error) {
	var p Person
	var born, updated *time.Time
	err := row.Scan(&p.IDNumber, &p.Name, &p.Sex, &born, &p.Phone, &p.District, &p.HouseholdNumber, &updated)
	p.BirthDate, p.UpdatedAt = formatted(born, time.DateOnly), formatted(updated, "2006-01-02T15:04:05.999999Z")
	return &p, err
}

// Permits is the resolver for the permits field.
func (r *personResolver) Permits(ctx context.Context, obj *Person, limit int) ([]*ResidencePermit, error) {
	return loaders(ctx).permits.Load(ctx, permitsOf{*obj.IDNumber, limit})
}

// Insurance is the resolver for the insurance field.
func (r *personResolver) Insurance(ctx context.Context, obj *Person) (*InsuranceAccount, error) {
	return loaders(ctx).insurance.Load(ctx, *obj.IDNumber)
}

// Person is the resolver for the person field.
func (r *queryResolver) Person(ctx context.Context, idNumber string) (*Person, error) {
	rows, err := r.People.Query(ctx, "SELECT "+personColumns+" FROM person WHERE id_number = $1", idNumber)
	if err != nil {
		return nil, err
	}
	return pgx.CollectExactlyOneRow(rows, scanPerson)
}

// Persons is the resolver for the persons field.
func (r *queryResolver) Persons(ctx context.Context, district *string, limit int) ([]*Person, error) {
	sql, args := "SELECT "+personColumns+" FROM person ORDER BY id_number LIMIT $1", []any{limit}
	if district != nil {
		sql, args = "SELECT "+personColumns+" FROM person WHERE district = $2 ORDER BY id_number LIMIT $1", []any{limit, *district}
	}
	rows, err := r.People.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanPerson)
}

// Person returns PersonResolver implementation.
func (r *Resolver) Person() PersonResolver { return &personResolver{r} }

// Query returns QueryResolver implementation.
func (r *Resolver) Query() QueryResolver { return &queryResolver{r} }

type (
	personResolver struct{ *Resolver }
	queryResolver  struct{ *Resolver }
)
