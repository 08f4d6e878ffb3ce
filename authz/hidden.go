package authz

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/weir-data/weir/schema"
)

// Hidden is the set of coordinates that a kind of reader must not learn of: of
// those, policy alone grants him nothing under any scope and any purpose that is
// open to him, and their level is at or above hideFrom. The purpose that he
// states makes no difference to it. Immutable; nil stands for the empty set.
type Hidden struct {
	table *Table
	at    []bool // by slot
	key   [16]byte
	n     int
}

// Hidden gives what is hidden from the reader of a view; nil, which is the usual
// case, for nothing. It does not allocate.
func (v *View) Hidden() *Hidden {
	if v == nil {
		return nil
	}
	return v.hidden
}

// Hidden gives what is hidden from a profile, see [View.Hidden].
func (t *Table) Hidden(p Profile) *Hidden { return t.View(p).Hidden() }

// Has reports whether the coordinate is hidden. What the table does not know was
// never decided, and counts as hidden.
func (h *Hidden) Has(c schema.Coordinate) bool {
	if h == nil {
		return false
	}
	slot, ok := h.table.slots[c]
	return !ok || h.at[slot]
}

// Key identifies the set within its table: equal keys, equal sets.
func (h *Hidden) Key() [16]byte {
	if h == nil {
		return [16]byte{}
	}
	return h.key
}

// Len is the number of hidden coordinates.
func (h *Hidden) Len() int {
	if h == nil {
		return 0
	}
	return h.n
}

// hiddenOf collects what the grants of a view hide.
func hiddenOf(t *Table, grants []*Grants) *Hidden {
	h := &Hidden{table: t}
	digest := sha256.New()
	var slot [8]byte
	for i, g := range grants {
		if !g.Hidden {
			continue
		}
		if h.at == nil {
			h.at = make([]bool, len(grants))
		}
		h.at[i] = true
		h.n++
		digest.Write(binary.AppendUvarint(slot[:0], uint64(i))) //nolint:gosec // an index
	}
	if h.n == 0 {
		return nil
	}
	h.key = [16]byte(digest.Sum(nil)[:16])
	return h
}
