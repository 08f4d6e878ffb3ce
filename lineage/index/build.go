package index

import (
	"context"
	"strings"
)

// An index that is made anew has no order to keep while its records go in: they
// are appended, and sorted once at the end, which takes a fraction of the time
// and of the writing that it takes to put each where it belongs.

// newPersons is where a building index puts persons down.
const newPersons = `CREATE TABLE IF NOT EXISTS person_new (tag BIGINT NOT NULL, time BIGINT NOT NULL, origin BIGINT NOT NULL, sequence BIGINT NOT NULL);
`

const personColumns = " (tag, time, origin, sequence)"

var onlyMissing = strings.NewReplacer("CREATE INDEX", "CREATE INDEX IF NOT EXISTS")

func (x *Index) personsInto() string {
	if x.building {
		return "person_new"
	}
	return "person"
}

// built ends building, when the log has been read to its present end.
func (w *writer) built(ctx context.Context) error {
	if !w.index.building {
		return nil
	}
	if err := w.index.build(ctx); err != nil {
		return unavailable(err)
	}
	w.persons.close()
	w.persons.into = w.index.personsInto() + personColumns
	return nil
}

// build sorts. A build that was cut short can be taken up again, which is why
// each step commits for itself; in one they would also need the disk twice.
func (x *Index) build(ctx context.Context) error {
	tx, err := x.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	// Two processes cannot build: reindex and the server exclude each other.
	for _, s := range [...]string{
		newPersons,
		`INSERT INTO person (tag, time, origin, sequence) SELECT tag, time, origin, sequence FROM person_new ORDER BY tag, time, origin, sequence`,
		`DROP TABLE person_new`,
	} {
		if _, err := tx.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	for _, s := range statements(onlyMissing.Replace(indexes)) {
		if _, err := x.db.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	if _, err := x.db.ExecContext(ctx, `DELETE FROM meta WHERE name = 'building'`); err != nil {
		return err
	}
	x.building = false
	if x.cfg.Driver == Postgres {
		// Else it plans for empty tables until it gets to it by itself.
		_, err = x.db.ExecContext(ctx, `ANALYZE record, person, rollup, cell, flow, tally, pair, context, shape, shape_use`)
	}
	return err
}
