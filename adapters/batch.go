package adapters

// Batch is up to about 1,024 rows, row-major, reused from fetch to fetch. The
// text of cell (r, c) is Data between the end of the cell before it and
// Ends[r*Cols+c]: exactly as it stands in JSON before quoting and escaping
// (see [FormOf]).
//
//	String ID        any UTF-8 without NUL
//	Int Float        a JSON number; Float in the shortest form that reads back
//	Boolean          true or false
//	Date             2006-01-02
//	DateTime         2006-01-02T15:04:05[.fraction]Z, always UTC, fraction without trailing zeros
//	Time             15:04:05[.fraction]
//	Decimal BigInt   digits, an optional sign and point, no exponent, scale as stored
//	UUID             lower-case, with hyphens
//	JSON, lists      valid compact JSON; list elements as they stand in JSON
type Batch struct {
	Rows, Cols int
	Data       []byte
	Ends       []uint32
	Null       []uint64 // bitset over r*Cols+c
	// Bad marks cells whose value is not one of the column's kind: invalid
	// UTF-8, NaN, an Int out of range, an unknown enum value, broken JSON, a
	// NULL in a list. Their text is empty and their Null bit is set.
	Bad []uint64
	// True and Unknown hold one bit per Shape.Scopes, per row.
	True, Unknown []uint64
	// Parent is the ordinal in Keys of each row of a batched fetch; else empty.
	Parent []uint32
}

// Reset empties the batch, keeps its memory and sets the number of columns.
func (b *Batch) Reset(cols int) {
	b.Rows, b.Cols = 0, cols
	b.Data, b.Ends = b.Data[:0], b.Ends[:0]
	b.Null, b.Bad = b.Null[:0], b.Bad[:0]
	b.True, b.Unknown, b.Parent = b.True[:0], b.Unknown[:0], b.Parent[:0]
}

// Cell gives the text of a cell and whether it is SQL NULL. The text is valid
// until the batch is reset.
func (b *Batch) Cell(row, col int) (text []byte, null bool) {
	i := row*b.Cols + col
	if b.Null[i>>6]&(1<<(i&63)) != 0 {
		return nil, true
	}
	start := uint32(0)
	if i > 0 {
		start = b.Ends[i-1]
	}
	return b.Data[start:b.Ends[i]], false
}

// IsBad reports whether the cell's value was not of its column's kind.
func (b *Batch) IsBad(row, col int) bool {
	i := row*b.Cols + col
	return b.Bad[i>>6]&(1<<(i&63)) != 0
}

// EndCell ends the cell whose text was appended to Data. Cells are ended in
// row-major order.
func (b *Batch) EndCell(null, bad bool) {
	i := len(b.Ends)
	if i&63 == 0 {
		b.Null, b.Bad = append(b.Null, 0), append(b.Bad, 0)
	}
	if null || bad {
		b.Null[i>>6] |= 1 << (i & 63)
	}
	if bad {
		b.Bad[i>>6] |= 1 << (i & 63)
	}
	b.Ends = append(b.Ends, uint32(len(b.Data))) //nolint:gosec // a batch is about 1,024 rows
}

// EndRow ends a row: its scope bits, and its parent in a batched fetch.
func (b *Batch) EndRow(truth, unknown uint64, parent uint32, keyed bool) {
	b.True, b.Unknown = append(b.True, truth), append(b.Unknown, unknown)
	if keyed {
		b.Parent = append(b.Parent, parent)
	}
	b.Rows++
}

// AppendRow appends a row of another batch of as many columns, under a parent of
// its own.
func (b *Batch) AppendRow(from *Batch, row int, parent uint32) {
	for col := range from.Cols {
		text, null := from.Cell(row, col)
		b.Data = append(b.Data, text...)
		b.EndCell(null, from.IsBad(row, col))
	}
	b.EndRow(from.True[row], from.Unknown[row], parent, true)
}
