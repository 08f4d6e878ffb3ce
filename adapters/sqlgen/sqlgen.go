// Package sqlgen renders an [adapters.Shape] to SQL, in one dialect per engine.
//
// It promises that a statement names the shape's tables and columns and no
// other, that every identifier is quoted, that no value stands in the text (it
// has numbered parameters, described by [Slot]), and that equal shapes give
// equal text. The tree is closed: it is the shape's own, and there is no way to
// pass SQL in. It does not speak to a database; what an engine does with the
// text is its adapter's affair.
package sqlgen

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/schema"
)

// Dialect is an engine's SQL.
type Dialect uint8

// Dialects.
const (
	SQLite Dialect = iota
	PostgreSQL
)

// Names of the collations that the SQLite adapter defines on each connection,
// for kinds that SQLite holds as text but that do not order as text.
const (
	CollateDecimal  = "WEIR_DECIMAL"
	CollateDateTime = "WEIR_DATETIME"
	CollateTime     = "WEIR_TIME"
)

// Query is a rendered shape.
type Query struct {
	Text  string
	Slots []Slot // the parameters, in the order of their numbers
	// Keyed: the first result column is the key tuple's ordinal, counted from
	// First; the rows come grouped by it, ascending.
	Keyed bool
	First int64
	// Cells result columns follow, then Scopes of truth values. With neither
	// there is one column without meaning.
	Cells, Scopes int
}

// Width is the number of result columns.
func (q *Query) Width() int {
	n := q.Cells + q.Scopes
	if q.Keyed {
		n++
	}
	return max(n, 1)
}

// Use tells what a parameter is made of.
type Use uint8

// Uses of parameters.
const (
	UseValue   Use = iota // argument Index as a value of Column, in the engine's own type
	UseText               // argument Index as the exact text that the column's value would have
	UsePattern            // argument Index as a Like pattern, see [Pattern] and [Glob]
	UseTruth              // argument Index as a truth value
	UseNull               // the truth value of: argument Index is NULL, or is not of the column's kind
	UseBound              // argument Index, a natural number, plus Plus
	UseKey                // an array of all parts of key column Index, in the column's own type
	UseKeyText            // the same as exact texts
	UseKeys               // one JSON array of all tuples: of parts, or of arrays of parts
)

// Slot describes one parameter.
type Slot struct {
	Use    Use
	Index  int
	Column adapters.Column // what it is compared with; for keys, the key column
	Op     schema.Operator // of the comparison, for rounding; Eq for keys
	List   bool            // an array of such values
	Plus   int
}

// Render renders a shape. An error is of kind [adapters.Unsupported].
func Render(d Dialect, s *adapters.Shape) (*Query, error) {
	r := &renderer{shape: s}
	switch d {
	case SQLite:
		r.dialect = sqlite{}
	case PostgreSQL:
		r.dialect = postgres{}
	default:
		return nil, unsupported("unknown dialect")
	}
	text, err := r.statement()
	if err != nil {
		return nil, err
	}
	q := &Query{Text: text, Slots: r.slots, Keyed: len(s.Keys) > 0, First: r.dialect.firstOrdinal()}
	q.Cells, q.Scopes = len(s.Columns), len(s.Scopes)
	switch {
	case s.Count:
		q.Cells = 1
	case s.Tally:
		q.Cells++
	}
	return q, nil
}

// Textual reports whether values of the kind are texts that a collation could
// confuse, so that equality needs the exact text beside the column's own.
func Textual(kind schema.Scalar) bool {
	return kind == schema.String || kind == schema.ID || kind == schema.Enum
}

// dialect is what engines say differently. Operands called ref are qualified,
// quoted columns.
type dialect interface {
	firstOrdinal() int64
	maxIdentifier() int // in bytes; 0 for no limit
	placeholder(n int, s Slot) string
	// cell is the expression that reads a column as stored.
	cell(ref string, c adapters.Column) string
	// key is the expression whose order is the order of the column's kind.
	key(ref string, c adapters.Column) string
	// equal compares the column with an argument, exactly, index kept.
	equal(r *renderer, ref string, c adapters.Column, op schema.Operator, param int) string
	// within is the column's membership in a list argument.
	within(r *renderer, ref string, c adapters.Column, param int) string
	// compare orders the column against an argument; op is < <= > >=.
	compare(r *renderer, ref string, c adapters.Column, op schema.Operator, param int) string
	like(r *renderer, ref string, c adapters.Column, param int) string
	startsWith(r *renderer, ref string, c adapters.Column, param int) string
	contains(r *renderer, ref string, c adapters.Column, param int) string
	isTrue(p string) string
	// same compares columns of two tables, exactly, the first one's index kept.
	same(ref string, c adapters.Column, other string) string
	window(limit, offset string) string
	keyed(r *renderer, p *parts) string
	keyedCount(r *renderer, p *parts) string
	// newest reads the greatest value of a column of moments, in a way that an
	// ordinary index serves.
	newest(ref, table, alias string) string
	// distinct lists, for a result column and its kind, what must be equal for
	// its values to be equal to the byte.
	distinct(ref string, c adapters.Column) string
}

func unsupported(format string, args ...any) error {
	return &adapters.Error{Kind: adapters.Unsupported, Cause: fmt.Errorf(format, args...)}
}

// ErrIdentifier is the cause of an error about a name that cannot be one.
var ErrIdentifier = errors.New("not an identifier")

// Quote quotes an identifier. limit is the longest name the engine tells from
// others, in bytes; 0 for none.
func Quote(name string, limit int) (string, error) {
	if name == "" || !utf8.ValidString(name) || strings.ContainsRune(name, 0) || (limit > 0 && len(name) > limit) {
		return "", &adapters.Error{Kind: adapters.Unsupported, Cause: fmt.Errorf("%w: %s", ErrIdentifier, strconv.QuoteToASCII(name))}
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`, nil
}

// QuoteTable quotes "table" or "schema.table".
func QuoteTable(name string, limit int) (string, error) {
	namespace, table, qualified := strings.Cut(name, ".")
	if !qualified {
		return Quote(name, limit)
	}
	if strings.Contains(table, ".") {
		return "", unsupported("table %s: more than a schema and a name", strconv.QuoteToASCII(name))
	}
	n, err := Quote(namespace, limit)
	if err != nil {
		return "", err
	}
	t, err := Quote(table, limit)
	if err != nil {
		return "", err
	}
	return n + "." + t, nil
}
