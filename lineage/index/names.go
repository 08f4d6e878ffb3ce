package index

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"strings"

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
	}
}

// A policy that is edited for years makes new contexts with every revision.
const maxNames = 100_000

func (n *names) bound() {
	if len(n.contexts)+len(n.shapes)+len(n.flows)+len(n.pairs)+len(n.same) > maxNames {
		*n = newNames()
	}
}

// id finds the row with a digest or inserts it. Several nodes may write one
// index, so whoever comes first makes the row. RETURNING gives nothing for a
// conflict, and then it is there to be read.
func id(ctx context.Context, tx *sql.Tx, insert, find string, key []any, rest ...any) (int64, bool, error) {
	var n int64
	err := tx.QueryRowContext(ctx, find, key...).Scan(&n)
	if err == nil {
		return n, false, nil
	}
	result, err := tx.ExecContext(ctx, insert, append(key, rest...)...)
	if err != nil {
		return 0, false, err
	}
	added, err := result.RowsAffected()
	if err != nil {
		return 0, false, err
	}
	err = tx.QueryRowContext(ctx, find, key...).Scan(&n)
	return n, added > 0, err
}

func (b *batch) context(ctx context.Context, r *lineage.Record) (int64, error) {
	h := &b.hash
	h.text(r.Kind, r.Application, r.Department, r.Purpose, r.Status, r.Code, r.Schema, r.Policy)
	h.number(uint64(r.Level))
	h.text(r.Roles...)
	key := h.sum()
	if n, ok := b.names.contexts[key]; ok {
		return n, nil
	}
	n, _, err := id(ctx, b.tx,
		`INSERT INTO context (digest, kind, application, department, roles, purpose, status, code, level, schema_revision, policy_revision)
		 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (digest) DO NOTHING`,
		`SELECT id FROM context WHERE digest = $1`, []any{key[:]},
		r.Kind, r.Application, r.Department, strings.Join(r.Roles, "\n"), r.Purpose, r.Status, r.Code, int64(r.Level), r.Schema, r.Policy)
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
	n, added, err := id(ctx, b.tx,
		`INSERT INTO shape (digest, operation, document) VALUES ($1, $2, $3) ON CONFLICT (digest) DO NOTHING`,
		`SELECT id FROM shape WHERE digest = $1`, []any{key[:]}, r.Operation, r.Document)
	if err != nil {
		return 0, err
	}
	for i := range r.Uses {
		if !added {
			break
		}
		u := &r.Uses[i]
		if _, err := b.tx.ExecContext(ctx,
			`INSERT INTO shape_use (shape, ordinal, department, source_table, source_column, type, field, level, kind)
			 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			n, int64(i), u.Department, u.Table, u.Column, u.Coordinate.Type, u.Coordinate.Field, int64(u.Level), int64(u.Use)); err != nil {
			return 0, err
		}
	}
	b.names.shapes[key] = n
	return n, nil
}

func (b *batch) pair(ctx context.Context, contextID, shapeID int64) (int64, error) {
	key := [2]int64{contextID, shapeID}
	if n, ok := b.names.pairs[key]; ok {
		return n, nil
	}
	n, _, err := id(ctx, b.tx,
		`INSERT INTO pair (context, shape, last) VALUES ($1, $2, 0) ON CONFLICT (context, shape) DO NOTHING`,
		`SELECT id FROM pair WHERE context = $1 AND shape = $2`, []any{contextID, shapeID})
	if err != nil {
		return 0, err
	}
	b.names.pairs[key] = n
	return n, nil
}

func (b *batch) flow(ctx context.Context, f *flowKey) (int64, error) {
	h := &b.hash
	u := f.use
	h.text(u.Department, u.Coordinate.Type, u.Coordinate.Field, f.record.Department, f.record.Application, f.record.Purpose)
	h.number(uint64(u.Use))
	h.number(uint64(u.Level))
	h.number(uint64(f.outcome))
	key := h.sum()
	if n, ok := b.names.flows[key]; ok {
		return n, nil
	}
	n, _, err := id(ctx, b.tx,
		`INSERT INTO flow (digest, department, type, field, kind, level, outcome, consumer, application, purpose)
		 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (digest) DO NOTHING`,
		`SELECT id FROM flow WHERE digest = $1`, []any{key[:]},
		u.Department, u.Coordinate.Type, u.Coordinate.Field, int64(u.Use), int64(u.Level), int64(f.outcome),
		f.record.Department, f.record.Application, f.record.Purpose)
	if err != nil {
		return 0, err
	}
	b.names.flows[key] = n
	return n, nil
}
