package resolvers

import (
	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/authz/masks"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// Leaf is what a writer has to know of a leaf field, beside its outcome.
type Leaf struct {
	Form   adapters.Form
	Scalar schema.Scalar
	Column int // of the row's batch
	Use    int // index in ReadSet.Uses; -1 for none
	Mask   int // index in Writer.Masks; -1 for none
}

// Mask is a rule bound for one purpose.
type Mask struct {
	Apply masks.Func
	// Null is what the rule makes of SQL NULL. A rule that keeps nullness
	// leaves it; another one gives the output of a value of unknown shape, so
	// that NULL cannot be told from a value.
	Null bool
}

// Written tells what a leaf became.
type Written uint8

// What a leaf became. All but Value stand as null in the response.
const (
	Value    Written = iota
	Null             // SQL NULL, or a mask's null
	Withheld         // null by decision
	Bad              // null because the cell is not of its kind: an error
)

// Writer writes leaves of one request. Not safe for concurrent use.
type Writer struct {
	Reads *ReadSet
	Masks []Mask

	scratch []byte
}

// Leaf appends one leaf's JSON for a row, as its outcome says, and counts it.
// A cell that is Bad is an error only where it is clear: what a masked cell
// really holds must not show, neither as an error.
func (w *Writer) Leaf(dst []byte, l *Leaf, b *adapters.Batch, row int, outcome lineage.Outcome) ([]byte, Written) {
	w.Reads.Count(l.Use, outcome, 1)
	switch outcome {
	case lineage.Clear:
		text, null := b.Cell(row, l.Column)
		if null {
			if b.IsBad(row, l.Column) {
				return append(dst, "null"...), Bad
			}
			return append(dst, "null"...), Null
		}
		return l.clear(dst, text)
	case lineage.Masked:
		return w.masked(dst, l, b, row)
	case lineage.Absent, lineage.Withheld:
	}
	return append(dst, "null"...), Withheld
}

// Aggregated appends a value that was computed of many cells, and counts it.
// outcome is Clear for an exact value and Masked for one with noise.
func (w *Writer) Aggregated(dst []byte, l *Leaf, text []byte, null, bad bool, outcome lineage.Outcome) ([]byte, Written) {
	if outcome != lineage.Clear && outcome != lineage.Masked {
		outcome, null = lineage.Withheld, true
	}
	w.Reads.Count(l.Use, outcome, 1)
	switch {
	case bad:
		return append(dst, "null"...), Bad
	case null:
		return append(dst, "null"...), Null
	}
	return l.clear(dst, text)
}

// clear appends a clear value.
func (l *Leaf) clear(dst, text []byte) ([]byte, Written) {
	switch l.Form {
	case adapters.Text:
		return AppendText(dst, text), Value
	case adapters.Quoted:
		dst = append(dst, '"')
		dst = append(dst, text...)
		return append(dst, '"'), Value
	case adapters.Literal:
		if l.Scalar != schema.Float {
			return append(dst, text...), Value
		}
		if out, ok := AppendFloat(dst, text); ok {
			return out, Value
		}
	}
	return append(dst, "null"...), Bad
}

// masked appends a mask's output. A mask that is not bound gives null.
func (w *Writer) masked(dst []byte, l *Leaf, b *adapters.Batch, row int) ([]byte, Written) {
	if l.Mask < 0 || l.Mask >= len(w.Masks) || w.Masks[l.Mask].Apply == nil {
		return append(dst, "null"...), Null
	}
	mask := &w.Masks[l.Mask]
	text, null := b.Cell(row, l.Column)
	if null && mask.Null {
		return append(dst, "null"...), Null
	}
	out, ok := mask.Apply(w.scratch[:0], text)
	if cap(out) > cap(w.scratch) {
		w.scratch = out
	}
	if !ok {
		return append(dst, "null"...), Null
	}
	dst, written := l.clear(dst, out)
	if written == Bad {
		written = Null
	}
	return dst, written
}
