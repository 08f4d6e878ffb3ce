// Package adaptertest is the suite that every adapter passes. An engine plugs
// in with a [Harness]; the suite knows no SQL.
//
// It promises that what package adapters says is tested against an independent
// reading of it in Go: random conditions in three-valued logic, orders, keyset
// positions, batched keys. It does not measure speed, and it does not test what
// one engine alone can do.
package adaptertest

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/schema"
)

// Harness is an engine under test.
type Harness struct {
	// Create makes tables in a place of their own and an adapter that reads
	// them, with at most two connections. It cleans up through t.
	Create func(t testing.TB, f Fixture) Source
	// Collations are the ways of confusing texts that the engine has, beside
	// Default.
	Collations []Collation
	// Types are columns of the engine's own types, to be read as a kind.
	Types []TypedColumn
	// Bad are stored values that are not of the declared kind.
	Bad []BadValue
	// Skips names cases that the engine cannot pass, with the reason. A name
	// that is no case fails.
	Skips map[string]string
}

// Source is a fixture in an engine.
type Source struct {
	Adapter adapters.Adapter
	// InUse counts the connections that fetches hold.
	InUse func() int
	// Explain gives those lines of the engine's plan for a statement that name
	// an index in which it searches; to read an index from end to end is not
	// to search.
	Explain func(t testing.TB, statement string) string
	// Scans gives those lines of it that read a table from end to end.
	Scans func(t testing.TB, statement string) string
	// Write tries to insert a row into a table, in a session that was made just
	// as the adapter makes its own. It must fail.
	Write func(ctx context.Context, table string) error
}

// Fixture is what a case wants to read.
type Fixture struct {
	Tables []Table
	// Readable, unless nil, lists the columns of each table that the adapter's
	// account may read; reading any other fails.
	Readable map[string][]string
}

// Table is a table with its rows.
type Table struct {
	Name    string
	Columns []Column
	Rows    [][]Value
	// Indexes are columns that have an index, called ix_TABLE_COLUMN.
	Indexes []string
}

// Column is a column to be created.
type Column struct {
	adapters.Column
	Collation Collation
	Type      string // the engine's type; "" for the usual one of the kind
}

// Collation is a way of comparing texts.
type Collation uint8

// Collations.
const (
	Default       Collation = iota
	IgnoreCase              // alice = Alice: citext, NOCASE
	IgnoreBlanks            // alice = "alice ": RTRIM
	IgnoreAccents           // alice = álice: a nondeterministic collation of ICU
	Locale                  // equal only when equal, but ordered as people order: ICU
)

// Value is a cell to be stored: NULL, a text as in a cell, or a literal of the
// engine's own language.
type Value struct {
	Null    bool
	Text    string
	Literal string
}

// TypedColumn is a column of an engine's type with values, in canonical text,
// that it can hold.
type TypedColumn struct {
	Column Column
	Values []string
}

// BadValue is a value that is not of its column's kind.
type BadValue struct {
	Name    string
	Column  Column
	Literal string
}

// Run runs all cases.
func Run(t *testing.T, h Harness) {
	names := map[string]bool{}
	for _, c := range cases() {
		names[c.name] = true
	}
	for name, reason := range h.Skips {
		if !names[name] || reason == "" {
			t.Errorf("skip of %q: there is no such case, or no reason is given", name)
		}
	}
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			if reason, skip := h.Skips[c.name]; skip {
				t.Skipf("SKIPPED by the harness: %s", reason)
			}
			c.run(t, h)
		})
	}
}

type testCase struct {
	name string
	run  func(t *testing.T, h Harness)
}

func cases() []testCase {
	return []testCase{
		{"columns in order", columnsInOrder},
		{"NULL is not empty", nullIsNotEmpty},
		{"values are exact", valuesAreExact},
		{"engine types", engineTypes},
		{"bad values are marked", badValues},
		{"lists", lists},
		{"identifiers to the byte", exactIdentifiers},
		{"index is used", indexIsUsed},
		{"patterns", patterns},
		{"names of any kind", hostileNames},
		{"limits", limits},
		{"limits per key", limitsPerKey},
		{"ten thousand rows", tenThousandRows},
		{"three-valued logic", threeValuedLogic},
		{"keyset", keyset},
		{"batched keys", batchedKeys},
		{"counts", counts},
		{"tallies", tallies},
		{"tallies keep what differs", talliesKeepWhatDiffers},
		{"newest", newest},
		{"newest is searched for", newestIsSearchedFor},
		{"scope bits", scopeBits},
		{"hostile arguments", hostileArguments},
		{"arguments beyond a type", argumentsBeyond},
		{"wrong arguments", wrongArguments},
		{"unsupported shapes", unsupportedShapes},
		{"equal shapes, equal text", purity},
		{"no surplus column", noSurplusColumn},
		{"read only", readOnly},
		{"errors carry no values", errorsCarryNoValues},
		{"check", check},
		{"stopping early", stoppingEarly},
		{"canceled", canceled},
		{"concurrent fetches", concurrentFetches},
		{"closed", closedAdapter},
	}
}

// row is a row as read: nil for NULL.
type row struct {
	cells   []*string
	bad     []bool
	truth   uint64
	unknown uint64
	parent  int
}

// read fetches all rows of a shape.
func read(t testing.TB, a adapters.Adapter, s *adapters.Shape, args []adapters.Arg, keys *adapters.Keys) []row {
	t.Helper()
	rows, err := fetch(a, s, args, keys)
	if err != nil {
		t.Fatalf("%v\nshape: %+v", err, s)
	}
	return rows
}

func fetch(a adapters.Adapter, s *adapters.Shape, args []adapters.Arg, keys *adapters.Keys) ([]row, error) {
	statement, err := a.Compile(s)
	if err != nil {
		return nil, err
	}
	return run(context.Background(), statement, len(s.Keys) > 0, args, keys)
}

func run(ctx context.Context, statement adapters.Statement, keyed bool, args []adapters.Arg, keys *adapters.Keys) (out []row, err error) {
	rows, err := statement.Fetch(ctx, args, keys)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var b adapters.Batch
	for {
		err := rows.Next(&b)
		if errors.Is(err, io.EOF) {
			if b.Rows != 0 {
				return nil, errors.New("rows beside io.EOF")
			}
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		if b.Rows == 0 || b.Rows > 2048 || keyed != (len(b.Parent) == b.Rows) {
			return nil, errors.New("a batch of no rows, of too many, or without its parents")
		}
		out = appendRows(out, &b, keyed)
	}
}

func appendRows(out []row, b *adapters.Batch, keyed bool) []row {
	for i := range b.Rows {
		r := row{truth: b.True[i], unknown: b.Unknown[i], parent: -1}
		if keyed {
			r.parent = int(b.Parent[i])
		}
		for c := range b.Cols {
			text, null := b.Cell(i, c)
			r.bad = append(r.bad, b.IsBad(i, c))
			if null {
				r.cells = append(r.cells, nil)
				continue
			}
			s := string(text)
			r.cells = append(r.cells, &s)
		}
		out = append(out, r)
	}
	return out
}

// column gives the texts of one column; NULL as "<null>".
func column(rows []row, i int) []string {
	out := []string{}
	for _, r := range rows {
		out = append(out, show(r.cells[i]))
	}
	return out
}

func show(s *string) string {
	if s == nil {
		return "<null>"
	}
	return *s
}

func kindOf(err error) (adapters.Kind, bool) {
	var e *adapters.Error
	if !errors.As(err, &e) {
		return 0, false
	}
	return e.Kind, true
}

func wantKind(t testing.TB, err error, want adapters.Kind) {
	t.Helper()
	if got, ok := kindOf(err); !ok || got != want {
		t.Errorf("error %v, want one of kind %q", err, want)
	}
}

func text(name string) adapters.Column { return adapters.Column{Name: name, Kind: schema.String} }
func number(name string) adapters.Column {
	return adapters.Column{Name: name, Kind: schema.Int}
}

func plain(columns ...adapters.Column) []Column {
	var out []Column
	for _, c := range columns {
		out = append(out, Column{Column: c})
	}
	return out
}

func v(text string) Value { return Value{Text: text} }

func null() Value { return Value{Null: true} }

func arg(text string) adapters.Arg { return adapters.Arg{Text: text} }

func keysOf(parts ...string) *adapters.Keys {
	k := &adapters.Keys{Cols: 1}
	for _, p := range parts {
		k.Append([]byte(p))
	}
	return k
}

func bound(n int) *adapters.Bound { return &adapters.Bound{Param: -1, Plus: n} }
