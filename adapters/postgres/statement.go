package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/adapters/sqlgen"
	"github.com/weir-data/weir/schema"
)

// statement is a compiled shape.
type statement struct {
	adapter *Adapter
	query   *sqlgen.Query
	name    string // of the prepared statement, the same on every connection
	columns []adapters.Column
	keys    []adapters.Column
	params  int
	// single serves fetches of one key tuple, in place of this one; nil for none.
	single *statement
	// parented: every row belongs to the first tuple, of which there is but one.
	parented bool
}

var _ adapters.Statement = (*statement)(nil)

func newStatement(a *Adapter, q *sqlgen.Query, shape *adapters.Shape) *statement {
	digest := sha256.New()
	digest.Write([]byte(q.Text))
	columns := shape.Columns
	if shape.Count {
		columns = []adapters.Column{{Name: "count", Kind: schema.BigInt}}
	}
	if shape.Tally {
		columns = append(slices.Clone(columns), adapters.Column{Name: "count", Kind: schema.BigInt})
	}
	// What is read from the columns, and how parameters are typed, is kept with
	// the prepared statement, so that it is part of its name.
	for i := range columns {
		fmt.Fprintf(digest, "|%d %t %q", columns[i].Kind, columns[i].List, columns[i].Enum)
	}
	for i := range q.Slots {
		fmt.Fprintf(digest, "|%d %d", q.Slots[i].Use, q.Slots[i].Column.Kind)
	}
	return &statement{
		adapter: a, query: q, name: "weir_" + hex.EncodeToString(digest.Sum(nil)[:16]),
		columns: columns, keys: shape.Keys, params: len(shape.Params),
	}
}

// String is part of adapters.Statement.
func (s *statement) String() string { return s.query.Text }

// Fetch is part of adapters.Statement. It returns when the first row is there,
// or the end.
func (s *statement) Fetch(ctx context.Context, args []adapters.Arg, keys *adapters.Keys) (adapters.Rows, error) {
	if err := s.fits(args, keys); err != nil {
		return nil, &adapters.Error{Kind: adapters.Unsupported, Cause: err}
	}
	a := s.adapter
	if !a.begin() {
		return nil, &adapters.Error{Kind: adapters.Unavailable, Cause: errClosed}
	}
	if s.single != nil && keys != nil && keys.Rows == 1 {
		s, args, keys = s.single, withKey(args, keys), nil
	}
	r := &rows{ctx: ctx, until: a.until(ctx), adapter: a, statement: s}
	if err := r.start(args, keys); err != nil {
		err = r.fail(err)
		r.release()
		return nil, err
	}
	return r, nil
}

// until is when a fetch ends that begins now: in time, and not after the
// caller's own deadline.
func (a *Adapter) until(ctx context.Context) time.Time {
	end := time.Now().Add(a.config.StatementTimeout)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(end) {
		return deadline
	}
	return end
}

var errArguments = errors.New("arguments do not fit the shape")

func (s *statement) fits(args []adapters.Arg, keys *adapters.Keys) error {
	switch {
	case len(args) != s.params:
		return fmt.Errorf("%w: %d values for %d parameters", errArguments, len(args), s.params)
	case (keys != nil) != s.query.Keyed:
		return fmt.Errorf("%w: keys without a keyed shape, or the reverse", errArguments)
	case keys == nil:
	case keys.Rows > MaxKeys:
		return fmt.Errorf("%w: more than %d keys", errArguments, MaxKeys)
	case keys.Rows > 0 && keys.Cols != len(s.keys) || len(keys.Ends) != keys.Rows*keys.Cols:
		return fmt.Errorf("%w: keys of another width", errArguments)
	}
	return nil
}

// prepared is a statement on one connection, with what its types decide.
type prepared struct {
	description *pgconn.StatementDescription
	domains     []domain // one per slot
	formats     []int16  // one per result column
	decoders    []decoder
	used        uint64
}

// maxPrepared is the most statements that one connection keeps prepared.
const maxPrepared = 256

// catalogue of a connection's prepared statements and of the types it met.
type connState struct {
	prepared map[string]*prepared
	domains  map[uint32]domain
	clock    uint64
	// released is when the connection was last in use.
	released time.Time
}

const stateKey = "weir"

func stateOf(c *pgx.Conn) *connState {
	data := c.PgConn().CustomData()
	if s, ok := data[stateKey].(*connState); ok {
		return s
	}
	s := &connState{prepared: map[string]*prepared{}, domains: map[uint32]domain{}}
	data[stateKey] = s
	return s
}

// prepare gives the statement prepared on the connection.
func (s *statement) prepare(ctx context.Context, c *pgxpool.Conn) (*prepared, error) {
	state := stateOf(c.Conn())
	state.clock++
	if p, ok := state.prepared[s.name]; ok {
		p.used = state.clock
		return p, nil
	}
	pg := c.Conn().PgConn()
	if len(state.prepared) >= maxPrepared {
		if err := state.evict(ctx, pg); err != nil {
			return nil, err
		}
	}
	description, err := pg.Prepare(ctx, s.name, s.query.Text, nil)
	if err != nil {
		return nil, err
	}
	if oids := s.retyped(description); oids != nil {
		if err := pg.Deallocate(ctx, s.name); err != nil {
			return nil, err
		}
		if description, err = pg.Prepare(ctx, s.name, s.query.Text, oids); err != nil {
			return nil, err
		}
	}
	if len(description.ParamOIDs) != len(s.query.Slots) || len(description.Fields) != s.query.Width() {
		return nil, &adapters.Error{Kind: adapters.Invalid, Cause: errors.New("postgres: the server counts parameters or columns otherwise")}
	}
	p := &prepared{description: description, used: state.clock}
	for i := range s.query.Slots {
		d, err := state.domain(ctx, pg, &s.query.Slots[i], description.ParamOIDs[i])
		if err != nil {
			return nil, errors.Join(err, pg.Deallocate(ctx, s.name))
		}
		p.domains = append(p.domains, d)
	}
	p.decoders, p.formats = s.decode(description.Fields)
	state.prepared[s.name] = p
	return p, nil
}

// retyped lists the parameters' types when some must be wider than inferred.
func (s *statement) retyped(d *pgconn.StatementDescription) []uint32 {
	var oids []uint32
	for i, inferred := range d.ParamOIDs {
		if i >= len(s.query.Slots) || s.query.Slots[i].Use != sqlgen.UseValue {
			continue
		}
		if oid := wider(s.query.Slots[i].Column.Kind, inferred); oid != 0 {
			if oids == nil {
				oids = make([]uint32, len(d.ParamOIDs))
			}
			oids[i] = oid
		}
	}
	return oids
}

func (c *connState) domain(ctx context.Context, pg *pgconn.PgConn, slot *sqlgen.Slot, oid uint32) (domain, error) {
	if slot.Use != sqlgen.UseValue && slot.Use != sqlgen.UseKey {
		return domain{}, nil
	}
	if slot.List {
		if element, ok := elementOf(oid); ok {
			oid = element
		}
	}
	if d, ok := domainOf(oid); ok {
		return d, nil
	}
	if d, ok := c.domains[oid]; ok {
		return d, nil
	}
	d, err := describe(ctx, pg, oid)
	if err == nil {
		c.domains[oid] = d
	}
	return d, err
}

func (c *connState) evict(ctx context.Context, pg *pgconn.PgConn) error {
	oldest := ""
	for name, p := range c.prepared {
		if oldest == "" || p.used < c.prepared[oldest].used {
			oldest = name
		}
	}
	delete(c.prepared, oldest)
	return pg.Deallocate(ctx, oldest)
}

// stale reports whether an error says that a prepared statement no longer fits
// its tables, or is gone.
func stale(err error) bool {
	if err == nil {
		return false
	}
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == "0A000" || e.Code == "26000")
}
