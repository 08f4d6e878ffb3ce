// Package adapters says what a source of rows must be able to do. One folder
// below it per engine.
//
// An adapter reads, it never decides: it imports no policy and sees neither
// reader nor purpose. It promises that a statement reads the columns of its
// [Shape] and no other, that its limits are exact, that arguments are data, and
// that an error never carries a value from a row.
package adapters

import (
	"context"
	"fmt"

	"github.com/weir-data/weir/schema"
)

// Adapter is one department's source. It is safe for concurrent use.
type Adapter interface {
	// Capabilities is data about the engine; no I/O.
	Capabilities() Capabilities
	// Compile turns a shape into a statement. It is pure: no I/O, and equal
	// shapes give statements of equal text. A shape that the engine cannot
	// serve is ErrUnsupported. The caller does not change the shape afterwards.
	Compile(*Shape) (Statement, error)
	// Close releases connections. Running fetches end with ErrUnavailable.
	Close() error
}

// Statement is a compiled shape. It is immutable and safe for concurrent use.
type Statement interface {
	// Fetch starts the statement. args holds one value per Shape.Params; keys
	// is nil exactly when the shape has no Keys. The caller closes the Rows,
	// however far it read. Errors are of the kinds below.
	Fetch(ctx context.Context, args []Arg, keys *Keys) (Rows, error)
	// String is the statement's text, for EXPLAIN and for tests. It holds no
	// argument's value.
	String() string
}

// Rows is a result being read. Not safe for concurrent use.
type Rows interface {
	// Next resets b and fills it with the next rows, up to about 1,024; io.EOF
	// and an empty batch after the last ones. The batch is the caller's; a
	// different one may be handed in each time.
	Next(b *Batch) error
	// Close is idempotent and releases everything, also in mid-result.
	Close() error
}

// Checker is implemented by adapters that can tell whether their source is
// reachable and holds what the catalogue says. Check opens a connection, reads
// no rows, and gives an error of the kinds below that names what is missing.
type Checker interface {
	Check(ctx context.Context, tables []Table) error
}

// Table is a table with the columns the catalogue names in it.
type Table struct {
	Name    string
	Columns []Column
}

// Capabilities are facts about an engine that the planner reads.
type Capabilities struct {
	Engine      string // "sqlite", "postgres"
	Exists      bool   // Exists predicates
	NestedLimit bool   // limits per parent key
	MaxKeys     int    // the most key tuples in one fetch; the executor splits above it
	// Remote: a fetch is an exchange with another process, so that one of several
	// keys costs less than several of one.
	Remote bool
}

// Column is a column with the kind its cells are to have.
type Column struct {
	Name string
	Kind schema.Scalar
	List bool
	// Enum holds the allowed values of Kind == schema.Enum; any other value is
	// a cell error.
	Enum []string
}

// Form tells how the text of a cell stands in JSON. It follows from the
// column's type, so it is known in the plan.
type Form uint8

// Forms.
const (
	Text    Form = iota // UTF-8: quote and escape
	Quoted              // Date DateTime Time UUID Decimal BigInt Enum: quote
	Literal             // Int Float Boolean, checked JSON, lists: copy
)

// FormOf gives the form of a column of the kind.
func FormOf(kind schema.Scalar, list bool) Form {
	if list {
		return Literal
	}
	switch kind {
	case schema.String, schema.ID:
		return Text
	case schema.Int, schema.Float, schema.Boolean, schema.JSON:
		return Literal
	default:
		return Quoted
	}
}

// Shape is what a fetch reads, closed and free of values: identifiers come from
// the catalogue, values are Params.
type Shape struct {
	Table   string   // "table" or "schema.table"
	Columns []Column // the cells of each row, in this order
	Params  []Param  // the arguments, referred to by index
	// Keys, when not empty, makes it a batched fetch: the rows whose Keys
	// columns equal (exactly, as schema.Eq) one of the tuples given to Fetch,
	// with the tuple's ordinal in Batch.Parent, grouped by ascending ordinal.
	// A tuple with a NULL part matches nothing. Where, Order, Limit and Offset
	// apply per tuple.
	Keys []Column
	// Scopes become a pair of bits each, in Batch.True and Batch.Unknown: at
	// most 64.
	Scopes []Predicate
	Where  Predicate // nil is true; rows for which it is false or unknown are not read
	Order  []Order
	Limit  *Bound // nil: no limit
	Offset *Bound // nil: 0
	// Count replaces the rows by one row per result (per tuple, those without
	// rows included) whose only cell is the number of rows, as BigInt; Columns,
	// Scopes, Order, Limit and Offset are empty then.
	Count bool
	// Tally reads rows that are equal to the byte in all cells and scope bits
	// once, or a few times, each with the number of those it stands for in one
	// further cell, the last, as BigInt. Without Columns and Scopes it is one
	// row, whatever the table holds. Keys, Order, Limit and Offset are empty
	// then, and no column is a list or JSON.
	Tally bool
	// Newest replaces the rows by one whose only cell is the greatest of the
	// only column's values, a DateTime; NULL where there is none, and bad
	// where the source takes something for the greatest that is no DateTime.
	// An ordinary index on the column serves, so that the table is not read.
	// Everything else is empty.
	Newest bool
}

// Param is the type of an argument.
type Param struct {
	Kind schema.Scalar
	List bool // an array parameter, for In and Nin
}

// Bound is a limit or an offset: the argument Param plus Plus, or Plus alone
// when Param < 0.
type Bound struct {
	Param int
	Plus  int
}

// Order is one column of an order. Strings order by code point.
type Order struct {
	Column     Column
	Desc       bool
	NullsFirst bool
}

// Arg is one argument. Text is in the text form of the kind, as in a cell.
type Arg struct {
	Null bool
	Text string
	List []string // for Param.List; no NULLs among them
}

// Keys are the key tuples of a batched fetch, row-major like a Batch: cell
// (i, j) ends at Ends[i*Cols+j]. Tuples are unique; the caller deduplicates.
type Keys struct {
	Rows, Cols int
	Data       []byte
	Ends       []uint32
}

// Cell gives the text of one key part, valid while k is unchanged.
func (k *Keys) Cell(row, col int) []byte {
	i := row*k.Cols + col
	start := uint32(0)
	if i > 0 {
		start = k.Ends[i-1]
	}
	return k.Data[start:k.Ends[i]]
}

// Append adds one tuple.
func (k *Keys) Append(parts ...[]byte) {
	k.Cols = len(parts)
	for _, p := range parts {
		k.Data = append(k.Data, p...)
		k.Ends = append(k.Ends, uint32(len(k.Data))) //nolint:gosec // bounded by the row limits
	}
	k.Rows++
}

// Predicate is a condition over a table's row, in three-valued logic. The set
// is closed: values appear as indices of Shape.Params only.
type Predicate interface{ predicate() }

// And is a conjunction; empty is true.
type And []Predicate

// Or is a disjunction; empty is false.
type Or []Predicate

// Not negates; unknown stays unknown.
type Not struct{ Predicate Predicate }

// IsTrue makes it two-valued: unknown becomes false.
type IsTrue struct{ Predicate Predicate }

// Bool is a constant.
type Bool bool

// Compare compares a column with an argument (a list argument for In and Nin;
// a Boolean one for IsNull). Strings compare by code point, and equality is
// exact to the byte whatever the column's collation, with the column's index
// still used. A NULL argument gives unknown. Like is SQL's, with \ as escape;
// StartsWith takes the prefix literally; both are case-sensitive.
type Compare struct {
	Column Column
	Op     schema.Operator
	Param  int
}

// After is true for rows strictly behind a position in an order: keyset paging.
// Params holds, per order column, the position's value; NULLs are places in the
// order like any other.
type After struct {
	Order  []Order
	Params []int
}

// Exists is true when Table has a row that satisfies Where and whose Inner
// columns equal the Outer columns of the row at hand, exactly and pairwise.
type Exists struct {
	Table        string
	Outer, Inner []Column
	Where        Predicate // nil is true; over Table, with the same Params
}

func (And) predicate()     {}
func (Or) predicate()      {}
func (Not) predicate()     {}
func (IsTrue) predicate()  {}
func (Bool) predicate()    {}
func (Compare) predicate() {}
func (After) predicate()   {}
func (Exists) predicate()  {}

// Kind is the closed set of ways a fetch can fail.
type Kind uint8

// Kinds of errors.
const (
	Unavailable Kind = iota // no connection, refused, reset, credentials
	Timeout                 // the source or the deadline
	Canceled                // the caller went away
	Unsupported             // the shape cannot be served by this engine
	Invalid                 // the source does not hold what the catalogue says, or refused the statement
)

var kindNames = [...]string{"source unavailable", "source timed out", "canceled", "not supported by the source", "source does not match the catalogue"}

// String is a constant sentence per kind.
func (k Kind) String() string { return kindNames[k] }

// Error is an adapter's error. Cause is for operators' eyes: adapters strip
// values, statements' arguments and DSNs from it.
type Error struct {
	Kind  Kind
	Cause error
}

// Error gives kind and cause.
func (e *Error) Error() string {
	if e.Cause == nil {
		return e.Kind.String()
	}
	return fmt.Sprintf("%s: %v", e.Kind, e.Cause)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Is matches another *Error of the same kind without a cause, so that
// errors.Is(err, &Error{Kind: Timeout}) works.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error) //nolint:errorlint // Is is called per link of the chain
	return ok && t.Cause == nil && t.Kind == e.Kind
}
