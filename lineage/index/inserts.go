package index

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
)

// rowsAtOnce is how many rows one statement inserts.
const rowsAtOnce = 64

// inserts is the statement that inserts rowsAtOnce rows into a table, prepared
// once: reading its text costs more than running it.
type inserts struct {
	db      *sql.DB
	driver  string
	into    string
	columns int
	many    *sql.Stmt
}

func (s *inserts) close() {
	if s.many != nil {
		_ = s.many.Close() // the connections it stands on are closed with the database
		s.many = nil
	}
}

// text is the statement for n rows. SQLite looks numbered parameters up one by
// one in a list of all of them, those without a number not at all.
func (s *inserts) text(n int) string {
	var b strings.Builder
	b.WriteString("INSERT INTO " + s.into + " VALUES ")
	for i := range n * s.columns {
		switch {
		case i == 0:
			b.WriteByte('(')
		case i%s.columns == 0:
			b.WriteString("), (")
		default:
			b.WriteString(", ")
		}
		if s.driver == Postgres {
			b.WriteString("$" + strconv.Itoa(i+1))
		} else {
			b.WriteByte('?')
		}
	}
	b.WriteByte(')')
	return b.String()
}

// rows collects rows of one table and inserts many with one statement.
type rows struct {
	*inserts
	values []any
}

func (r *rows) add(ctx context.Context, tx *sql.Tx, values ...any) error {
	r.values = append(r.values, values...)
	if len(r.values) < rowsAtOnce*r.columns {
		return nil
	}
	return r.flush(ctx, tx)
}

func (r *rows) flush(ctx context.Context, tx *sql.Tx) error {
	n := len(r.values) / r.columns
	if n == 0 {
		return nil
	}
	err := r.insert(ctx, tx, n)
	r.values = r.values[:0]
	return err
}

func (r *rows) insert(ctx context.Context, tx *sql.Tx, n int) (err error) {
	if n != rowsAtOnce {
		_, err = tx.ExecContext(ctx, r.text(n), r.values...)
		return err
	}
	if r.many == nil {
		if r.many, err = r.db.PrepareContext(ctx, r.text(n)); err != nil {
			return err
		}
	}
	_, err = tx.StmtContext(ctx, r.many).ExecContext(ctx, r.values...) //nolint:sqlclosecheck // the transaction closes it
	return err
}

// prepared is a statement of the writer's, prepared when it is first needed.
type prepared struct {
	db   *sql.DB
	text string
	stmt *sql.Stmt
}

func (p *prepared) close() {
	if p.stmt != nil {
		_ = p.stmt.Close() // the connections it stands on are closed with the database
		p.stmt = nil
	}
}

func (p *prepared) in(ctx context.Context, tx *sql.Tx) (*sql.Stmt, error) {
	if p.stmt == nil {
		stmt, err := p.db.PrepareContext(ctx, p.text)
		if err != nil {
			return nil, err
		}
		p.stmt = stmt
	}
	return tx.StmtContext(ctx, p.stmt), nil
}

func (p *prepared) exec(ctx context.Context, tx *sql.Tx, args ...any) error {
	stmt, err := p.in(ctx, tx) //nolint:sqlclosecheck // the transaction closes it
	if err != nil {
		return err
	}
	_, err = stmt.ExecContext(ctx, args...)
	return err
}

func (p *prepared) row(ctx context.Context, tx *sql.Tx, args []any, to ...any) error {
	stmt, err := p.in(ctx, tx) //nolint:sqlclosecheck // the transaction closes it
	if err != nil {
		return err
	}
	return stmt.QueryRowContext(ctx, args...).Scan(to...)
}
