package index

import (
	"context"
	"database/sql"
	"errors"
)

// choice is a tally that a filter fits.
type choice struct{ id, last, records int64 }

// choose finds what the filter on who, why, which fields and how they fared
// fits. some is false when it fits nothing.
func (q *query) choose(ctx context.Context) (some bool, err error) {
	f := q.filter
	if f.Subject != "" {
		err := q.index.db.QueryRowContext(ctx, `SELECT id FROM reader WHERE name = $1`, f.Subject).Scan(&q.reader)
		if errors.Is(err, sql.ErrNoRows) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	if err := q.seal(ctx); err != nil {
		return false, err
	}
	w := &where{}
	for _, c := range [...]struct{ column, value string }{
		{"c.application", f.Application}, {"c.department", f.Consumer}, {"c.purpose", f.Purpose}, {"c.kind", f.Kind},
	} {
		if c.value != "" {
			w.add(c.column+" = %", c.value)
		}
	}
	from := `tally t JOIN pair p ON p.id = t.pair JOIN context c ON c.id = p.context`
	switch {
	case !f.fields() && !f.Any:
		w.add("t.seen & % <> 0", int64(1)<<f.Outcome)
	case f.fields() && f.Any:
		inner := &where{args: w.args}
		f.ofField(inner)
		w.args = inner.args
		w.parts = append(w.parts, "p.shape IN (SELECT u.shape FROM shape_use u WHERE "+inner.text()+")")
	case f.fields():
		from += " JOIN shape_use u ON u.shape = p.shape"
		f.ofField(w)
		w.add("t.seen & % <> 0", int64(1)<<f.Outcome)
	}
	if len(w.parts) == 0 {
		return true, nil
	}
	if !f.From.IsZero() {
		w.add("t.last >= %", f.From.UnixMicro())
	}
	columns := "t.id, t.last, t.records, 0, NULL"
	if f.fields() && !f.Any {
		columns = "t.id, t.last, t.records, u.ordinal, t.outcomes"
	}
	q.chosen = make(map[int64]*choice)
	return q.collect(ctx, `SELECT `+columns+` FROM `+from+` WHERE `+w.text(), w.args)
}

func (q *query) collect(ctx context.Context, statement string, args []any) (some bool, err error) {
	rows, err := q.index.db.QueryContext(ctx, statement, args...)
	if err != nil {
		return false, err
	}
	defer rows.Close() //nolint:errcheck // read to the end or given up
	var outcomes sql.RawBytes
	for rows.Next() {
		var c choice
		var ordinal int64
		if err := rows.Scan(&c.id, &c.last, &c.records, &ordinal, &outcomes); err != nil {
			return false, err
		}
		// The field itself must have fared so, not another one of the record.
		if len(outcomes) > 0 && (ordinal >= int64(len(outcomes)) || outcomes[ordinal]&(1<<q.filter.Outcome) == 0) {
			continue
		}
		q.chosen[c.id] = &c
	}
	return len(q.chosen) > 0, rows.Err()
}

// seal finds the tallies whose newer records are not shown.
func (q *query) seal(ctx context.Context) error {
	if q.filter.Open.IsZero() {
		return nil
	}
	rows, err := q.index.db.QueryContext(ctx,
		`SELECT t.id, c.sealed FROM context c JOIN pair p ON p.context = c.id JOIN tally t ON t.pair = p.id WHERE c.sealed > 0`)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // read to the end or given up
	q.closed = make(map[int64]int64)
	for rows.Next() {
		var tally, seconds int64
		if err := rows.Scan(&tally, &seconds); err != nil {
			return err
		}
		q.closed[tally] = q.filter.Open.UnixMicro() - microsPerSecond*seconds + 1
	}
	return rows.Err()
}

// fields reports whether the filter speaks of fields.
func (f *Filter) fields() bool {
	return f.Department != "" || f.Type != "" || f.Field != "" || f.MinLevel > 0
}

func (f *Filter) ofField(w *where) {
	for _, c := range [...]struct{ column, value string }{{"u.department", f.Department}, {"u.type", f.Type}, {"u.field", f.Field}} {
		if c.value != "" {
			w.add(c.column+" = %", c.value)
		}
	}
	if f.MinLevel > 0 {
		w.add("u.level >= %", int64(f.MinLevel))
	}
}
