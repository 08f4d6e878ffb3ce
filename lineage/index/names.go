package index

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/weir-data/weir/lineage"
)

// digest identifies a row of a dictionary table by its content.
type digest [16]byte

type hasher struct{ buf []byte }

func (h *hasher) text(parts ...string) {
	for _, p := range parts {
		h.buf = binary.AppendUvarint(h.buf, uint64(len(p)))
		h.buf = append(h.buf, p...)
	}
}

func (h *hasher) number(v uint64) { h.buf = binary.AppendUvarint(h.buf, v) }

func (h *hasher) sum() (out digest) {
	full := sha256.Sum256(h.buf)
	h.buf = h.buf[:0]
	copy(out[:], full[:])
	return out
}

// names are the rows of the dictionary tables that this writer knows. What a
// transaction adds is kept apart until it is committed.
type names struct {
	contexts, shapes, flows map[digest]int64
	pairs                   map[[2]int64]int64
	same                    map[shapeKey]int64
	tallies                 map[string]*tally
	readers                 map[string]int64
}

// shapeKey is the identity of a shape in memory.
type shapeKey struct {
	uses                *lineage.Use
	n                   int
	operation, document string
}

func newNames() names {
	return names{
		contexts: make(map[digest]int64), shapes: make(map[digest]int64), flows: make(map[digest]int64),
		pairs: make(map[[2]int64]int64), same: make(map[shapeKey]int64),
		tallies: make(map[string]*tally), readers: make(map[string]int64),
	}
}

// A policy that is edited for years makes new contexts with every revision.
const maxNames, maxReaders = 100_000, 300_000

func (n *names) bound() {
	if len(n.contexts)+len(n.shapes)+len(n.flows)+len(n.pairs)+len(n.same)+len(n.tallies) > maxNames {
		readers := n.readers
		*n = newNames()
		n.readers = readers
	}
	if len(n.readers) > maxReaders {
		clear(n.readers)
	}
}

// id finds the row with a digest or inserts it. Several nodes may write one
// index, so whoever comes first makes the row. RETURNING gives nothing for a
// conflict, and then it is there to be read.
func (b *batch) id(ctx context.Context, insert, find string, key []any, rest ...any) (n int64, added bool, err error) {
	err = b.writer.statement(find).row(ctx, b.tx, key, &n)
	if !errors.Is(err, sql.ErrNoRows) {
		return n, false, err
	}
	err = b.writer.statement(insert+" RETURNING id").row(ctx, b.tx, append(key, rest...), &n)
	if !errors.Is(err, sql.ErrNoRows) {
		return n, err == nil, err
	}
	err = b.writer.statement(find).row(ctx, b.tx, key, &n)
	return n, false, err
}

func (b *batch) context(ctx context.Context, r *lineage.Record) (int64, error) {
	h := &b.hash
	h.text(r.Kind, r.Application, r.Department, r.Purpose, r.Status, r.Code, r.Schema, r.Policy)
	h.number(uint64(r.Level))
	h.number(uint64(r.Sealed / time.Second))
	h.text(r.Roles...)
	key := h.sum()
	if n, ok := b.names.contexts[key]; ok {
		return n, nil
	}
	n, _, err := b.id(ctx,
		`INSERT INTO context (digest, kind, application, department, roles, purpose, status, code, level, schema_revision, policy_revision, sealed)
		 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (digest) DO NOTHING`,
		`SELECT id FROM context WHERE digest = $1`, []any{key[:]},
		r.Kind, r.Application, r.Department, strings.Join(r.Roles, "\n"), r.Purpose, r.Status, r.Code, int64(r.Level), r.Schema, r.Policy, int64(r.Sealed/time.Second))
	if err != nil {
		return 0, err
	}
	b.names.contexts[key] = n
	return n, nil
}

func (b *batch) shape(ctx context.Context, r *lineage.Record) (int64, error) {
	// The reader gives all records of a shape the same uses.
	var same shapeKey
	if len(r.Uses) > 0 {
		same = shapeKey{&r.Uses[0], len(r.Uses), r.Operation, r.Document}
		if n, ok := b.names.same[same]; ok {
			return n, nil
		}
	}
	n, err := b.shapeByContent(ctx, r)
	if err == nil && len(r.Uses) > 0 {
		b.names.same[same] = n
	}
	return n, err
}

func (b *batch) shapeByContent(ctx context.Context, r *lineage.Record) (int64, error) {
	h := &b.hash
	h.text(r.Operation, r.Document)
	for i := range r.Uses {
		u := &r.Uses[i]
		h.text(u.Department, u.Table, u.Column, u.Coordinate.Type, u.Coordinate.Field)
		h.number(uint64(u.Level))
		h.number(uint64(u.Use))
	}
	key := h.sum()
	if n, ok := b.names.shapes[key]; ok {
		return n, nil
	}
	n, added, err := b.id(ctx,
		`INSERT INTO shape (digest, operation, document) VALUES ($1, $2, $3) ON CONFLICT (digest) DO NOTHING`,
		`SELECT id FROM shape WHERE digest = $1`, []any{key[:]}, r.Operation, r.Document)
	if err != nil {
		return 0, err
	}
	into := rows{inserts: &b.writer.uses}
	for i := range r.Uses {
		if !added {
			break
		}
		u := &r.Uses[i]
		if err := into.add(ctx, b.tx, n, int64(i), u.Department, u.Table, u.Column, u.Coordinate.Type, u.Coordinate.Field, int64(u.Level), int64(u.Use)); err != nil {
			return 0, err
		}
	}
	if err := into.flush(ctx, b.tx); err != nil {
		return 0, err
	}
	b.names.shapes[key] = n
	return n, nil
}

func (b *batch) pair(ctx context.Context, contextID, shapeID int64) (int64, error) {
	key := [2]int64{contextID, shapeID}
	if n, ok := b.names.pairs[key]; ok {
		return n, nil
	}
	n, _, err := b.id(ctx,
		`INSERT INTO pair (context, shape) VALUES ($1, $2) ON CONFLICT (context, shape) DO NOTHING`,
		`SELECT id FROM pair WHERE context = $1 AND shape = $2`, []any{contextID, shapeID})
	if err != nil {
		return 0, err
	}
	b.names.pairs[key] = n
	return n, nil
}

func (b *batch) reader(ctx context.Context, name string) (int64, error) {
	if n, ok := b.names.readers[name]; ok {
		return n, nil
	}
	n, _, err := b.id(ctx, `INSERT INTO reader (name) VALUES ($1) ON CONFLICT (name) DO NOTHING`,
		`SELECT id FROM reader WHERE name = $1`, []any{name})
	if err == nil {
		b.names.readers[name] = n
	}
	return n, err
}

// tally is a row of the table of that name, with its cells. The persons of a
// record of several departments count in the flows of those that they came from,
// or one owner would be told of another's.
type tally struct {
	id          int64
	cells       []cell
	departments []string
}

// shared reports whether its records are of several departments.
func (t *tally) shared() bool { return len(t.departments) > 1 }

// cell is an outcome of a use that is part of a flow.
type cell struct {
	use     int
	outcome Outcome
}

// tally finds what the record is alike with.
func (b *batch) tally(ctx context.Context, pair int64, r *lineage.Record) (*tally, error) {
	b.scratch = binary.AppendVarint(b.scratch[:0], pair)
	head := len(b.scratch)
	var seen byte
	for i := range r.Uses {
		o := outcomesOfUse(r, i)
		seen |= o
		b.scratch = append(b.scratch, o)
	}
	if t := b.names.tallies[string(b.scratch)]; t != nil {
		return t, nil
	}
	outcomes := slices.Clone(b.scratch[head:])
	if outcomes == nil {
		outcomes = []byte{} // NOT NULL
	}
	n, added, err := b.id(ctx,
		`INSERT INTO tally (pair, outcomes, seen, records, last) VALUES ($1, $2, $3, 0, 0) ON CONFLICT (pair, outcomes) DO NOTHING`,
		`SELECT id FROM tally WHERE pair = $1 AND outcomes = $2`, []any{pair, outcomes}, int64(seen))
	if err != nil {
		return nil, err
	}
	t := &tally{id: n, departments: departmentsOf(r.Uses)}
	for i := range r.Uses {
		u := &r.Uses[i]
		if u.Use == lineage.Tag || u.Department == "" {
			continue // the ledger's own reading; the control graph's fields
		}
		for o := range Outcome(len(outcomeNames)) {
			if outcomes[i]&(1<<o) != 0 {
				t.cells = append(t.cells, cell{i, o})
			}
		}
	}
	if added {
		if err := b.addCells(ctx, t, r); err != nil {
			return nil, err
		}
	}
	b.names.tallies[string(append(binary.AppendVarint(b.scratch[:0], pair), outcomes...))] = t
	return t, nil
}

func (b *batch) addCells(ctx context.Context, t *tally, r *lineage.Record) error {
	into := rows{inserts: &b.writer.cells}
	for i, c := range t.cells {
		f, err := b.flow(ctx, &r.Uses[c.use], r, c.outcome)
		if err != nil {
			return err
		}
		if err := into.add(ctx, b.tx, t.id, int64(i), f); err != nil {
			return err
		}
	}
	return into.flush(ctx, b.tx)
}

func (b *batch) flow(ctx context.Context, u *lineage.Use, r *lineage.Record, o Outcome) (int64, error) {
	h := &b.hash
	h.text(u.Department, u.Coordinate.Type, u.Coordinate.Field, r.Department, r.Application, r.Purpose)
	h.number(uint64(u.Use))
	h.number(uint64(u.Level))
	h.number(uint64(o))
	key := h.sum()
	if n, ok := b.names.flows[key]; ok {
		return n, nil
	}
	n, _, err := b.id(ctx,
		`INSERT INTO flow (digest, department, type, field, kind, level, outcome, consumer, application, purpose)
		 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (digest) DO NOTHING`,
		`SELECT id FROM flow WHERE digest = $1`, []any{key[:]},
		u.Department, u.Coordinate.Type, u.Coordinate.Field, int64(u.Use), int64(u.Level), int64(o),
		r.Department, r.Application, r.Purpose)
	if err != nil {
		return 0, err
	}
	b.names.flows[key] = n
	return n, nil
}
