// Package plan turns an operation into a [Plan]: what is fetched from which
// department, under which predicates, and what becomes of each field.
//
// It is pure: no clock, no network, no context values, no map order in its
// output. It promises that every position in which a field could influence an
// answer has been decided before a source is touched, and that a Plan holds no
// variable's value, so that it may be cached and shared. It does not execute.
package plan

import (
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// Generation is what one request runs under: loaded once, swapped as a whole.
type Generation struct {
	Catalogue *schema.Catalogue
	Table     *authz.Table
	Policy    string // revision of the policy, for extensions and records
	Documents *Documents
	// Registered are the documents that requests may name by their hash; nil
	// for none.
	Registered *Registered
}

// Plan is the compiled form of one operation for all readers with the same
// grants, and for all variables with the same skeleton. Immutable, shared.
type Plan struct {
	Name        string // of the operation, "" for anonymous
	Root        *Object
	Fetches     []*Fetch // parents before children; ID is the index
	Uses        []lineage.Use
	Level       schema.Rank // highest of Uses, but for tag and ref
	Access      Access
	Touched     []schema.Coordinate // sorted, unique: all coordinates that were decided
	Departments []string            // sorted: those with a fetch
	Fingerprint Fingerprint
	API         *ast.Schema // what the reader may know of, for introspection
	Guesses     []Guess     // in document order

	levels schema.Levels // names for String
	limits Limits        // as of the request, for CheckValues
	costs  []*cost       // the lists of each root, for CheckValues
}

// Fingerprint digests the grants of everything that a document can touch.
type Fingerprint [16]byte

// Object writes one JSON object per row (or once, for Query and wrappers).
type Object struct {
	Type   string   // the concrete type's name, for __typename
	Fields []*Field // in response order, keys unique
}

// FieldKind tells how a field's bytes are produced.
type FieldKind uint8

// Kinds of fields.
const (
	FieldLeaf          FieldKind = iota // Column of the current row, as Decision says
	FieldTypename                       // Const
	FieldRef                            // sealed handle over RefColumns of the current row
	FieldRows                           // Rows: a root, or a relation of the current row
	FieldWithheld                       // statically withheld: null
	FieldIntrospection                  // __schema or __type: Introspect at run time over AST
	FieldMatch                          // Match: true or false
	FieldAggregate                      // Aggregated: the groups, each written with Selection
	// Inside a group: an object of further fields, and a value.
	FieldPart // Selection
	FieldCell // Cell
	// Inside a connection's object, which a FieldRows with Rows.Connection set
	// writes. `nodes` and `edges { node }` may be selected several times, each
	// with its own selection, so the row's object is the field's Selection and
	// not the Member's:
	FieldNodes    // [T]: the page's rows, each written with Selection
	FieldEdges    // list of edge objects: Selection
	FieldNode     // inside an edge: the row itself, written with Selection
	FieldCursor   // inside an edge: sealed cursor of the row
	FieldPageInfo // Selection
	FieldHasNext  // inside Page
	FieldHasPrev  // inside Page
	FieldStartCursor
	FieldEndCursor
	FieldTotalCount // Count
)

// Field is one response key of an object.
type Field struct {
	Kind       FieldKind
	Key        string // response key; Quoted is `"key":`
	Quoted     []byte
	Path       string // response keys from the root, dotted: "persons.permits", for extensions and errors
	Locations  []Location
	Coordinate schema.Coordinate // of the schema field that is read; zero for constants
	NonNull    bool              // a null propagates to the parent object
	Use        int               // index in Plan.Uses to count under; -1 for none

	// FieldLeaf
	Column   int // index of the cell in the row's fetch
	Form     adapters.Form
	Scalar   schema.Scalar
	Decision Decision

	Const      []byte // FieldTypename: JSON
	RefColumns []int  // FieldRef: the key columns, in key order
	RefType    string

	Rows  *Rows  // FieldRows
	Match *Match // FieldMatch
	// Aggregated is the fetch of FieldAggregate, Cell the value of FieldCell.
	Aggregated *Fetch
	Cell       Cell
	// Selection is the object of FieldNodes and FieldNode (the row's), of
	// FieldEdges (the edge's), of FieldPageInfo, FieldAggregate and FieldPart.
	Selection *Object

	AST *ast.Field // FieldIntrospection
}

// Location is a place in the document, for errors; both count from 1.
type Location struct{ Line, Column int }

// Rows is a list of rows, or one row, of one or several concrete types.
type Rows struct {
	Many bool // a list; else the first row or null
	// Members are the concrete types, sorted by name; one unless the field's
	// type is abstract, and none for a connection that asks for none of its rows.
	Members []Member
	// Decision is the relation's own (traversal), decided on the parent row;
	// fixed Clear for roots.
	Decision Decision
	// Merge orders rows of several members; by type name and then as each
	// member's rows come after all keys are equal.
	Merge []MergeKey
	// Limit and Offset of the merged list or the single list, resolved from the
	// arguments; nil when there are none (to-one, by key).
	Limit, Offset *Window
	// Ordinal selects, of a fetch with several stated key tuples, the tuple of
	// this field: roots by key of one type fold into one fetch. -1 otherwise.
	Ordinal int
	// Connection is the object that wraps the rows of a connection root; its
	// fields are of the FieldNodes … FieldTotalCount kinds.
	Connection *Connection
}

// Member is one concrete type's part of Rows.
type Member struct {
	Type   string
	Fetch  *Fetch
	Object *Object
	// MergeColumns are the cells that Rows.Merge compares, in this fetch.
	MergeColumns []int
}

// MergeKey is one key of a merged order.
type MergeKey struct {
	Kind       schema.Scalar
	Desc       bool
	NullsFirst bool
}

// Window is a limit or offset argument.
type Window struct {
	Name    string // of the argument: "limit", "first", "offset"
	Value   Value  // Int
	Default int
	Max     int
}

// Connection holds what a connection needs beside its rows.
type Connection struct {
	Object *Object
	// CursorColumns are the cells, per order column, that a cursor seals; none
	// when no cursor is selected.
	CursorColumns []int
	// CursorKinds are their kinds.
	CursorKinds []schema.Scalar
	// After is the `after` argument where Continues says that there is one.
	After     Value
	Continues bool
	// Path and Location are of the selection, for a cursor that does not open.
	Path     string
	Location []Location
	// Bind goes into a cursor's additional data, with subject, purpose and
	// fingerprint: the digest of the query's shape (type, where, order).
	Bind [16]byte
	// BindArgs are the arguments of the by and where conditions. Resolved, they
	// belong into a cursor's additional data too: a cursor of one filter is not
	// one of another.
	BindArgs []Value
	// Count is the fetch of totalCount; nil when it is not selected.
	Count *Fetch
}

// Fetch is one statement, sent at most once per request (in pieces only above
// the source's MaxKeys).
type Fetch struct {
	ID         int
	Department string
	Type       string
	Shape      *adapters.Shape
	Statement  adapters.Statement
	Args       []Value // one per Shape.Params
	// Parent is the fetch whose rows give the keys; nil for roots.
	Parent        *Fetch
	ParentColumns []int // cells of the parent's row, one per Shape.Keys
	// Traverse is the relation's decision on the parent row: only rows where
	// it gives mask or clear feed keys.
	Traverse Decision
	// ParentOrdinals restricts, under a parent with several Stated tuples, the
	// parent's rows that feed keys to those of these tuples; nil for all.
	ParentOrdinals []int
	// Stated holds the stated key tuples of a root by key (one per folded
	// alias); Refs the `_ref` arguments of roots by ref, opened at run time
	// into a tuple. At most one of Parent, Stated, Refs is set.
	Stated [][]Value
	Refs   []Value
	// Cursor: the last len(CursorKinds) of Args come from the opened cursor of
	// this connection; nil when there is none in this skeleton.
	Cursor *Connection
	// Scopes names the dynamic scopes, one per Shape.Scopes: "own_region",
	// "self:idNumber".
	Scopes []string
	// Subjects are the cells that identify persons, for tags.
	Subjects []int
	// Hidden is the number of trailing columns that are read as join, tag, ref
	// or sort key and never written by a field.
	Hidden int
	// Uses are those of the statement that are counted by statement, see
	// [lineage.UseKind.ByStatement]: indices in Plan.Uses, ascending.
	Uses []int
	// Aggregate, when set, takes the rows: none of them is shown.
	Aggregate *Aggregate
	Freshness bool
}

// ValueFrom tells where an argument's value comes from at run time.
type ValueFrom uint8

// Sources of values.
const (
	FromConst ValueFrom = iota
	FromVariable
	FromSubject // an attribute of the reader; absent is NULL
	FromCursor  // the n-th sealed value of the connection's cursor
	FromSum     // the sum of Terms, both Int: limit and offset of a merged list
)

// Value is an argument to be resolved per request.
type Value struct {
	From  ValueFrom
	Const adapters.Arg
	Name  string // variable or attribute
	// Path leads into a variable's coerced value: string keys and int indices.
	Path []any
	// Default applies when the variable (at Path) is absent.
	Default *adapters.Arg
	Index   int     // FromCursor
	Terms   []Value // FromSum
	Kind    schema.Scalar
	List    bool
}

// Outcome is what becomes of a cell.
type Outcome = lineage.Outcome

// Decision is a coordinate's decision, reduced to what can still vary by row:
// clauses over the scope bits of the fetch. The zero Decision withholds.
type Decision struct {
	// Base are the capabilities held on every row. What is denied on every row
	// is taken out of Base and of Allow already.
	Base authz.Caps
	// Allow holds where the row's True bit is set; Deny where its True or
	// Unknown bit is.
	Allow, Deny []BitClause
	// Mask is the owner's rule, "" for none: mask alone withholds then.
	Mask   string
	Level  schema.Rank
	Reason authz.Reason
}

// BitClause is a clause of a decision over one scope bit.
type BitClause struct {
	Bit  uint8
	Caps authz.Caps
}

// Varies reports whether the outcome depends on the row.
func (d *Decision) Varies() bool { return len(d.Allow) > 0 || len(d.Deny) > 0 }

// Caps evaluates the decision for a row with these scope bits.
func (d *Decision) Caps(truth, unknown uint64) authz.Caps {
	caps := d.Base
	for _, c := range d.Allow {
		if truth>>c.Bit&1 != 0 {
			caps |= c.Caps
		}
	}
	for _, c := range d.Deny {
		if (truth|unknown)>>c.Bit&1 != 0 {
			caps &^= c.Caps
		}
	}
	return caps
}

// Outcome evaluates the decision for a row with these scope bits.
func (d *Decision) Outcome(truth, unknown uint64) Outcome {
	caps := d.Caps(truth, unknown)
	switch {
	case caps.Has(authz.Clear):
		return lineage.Clear
	case caps.Has(authz.Mask) && d.Mask != "":
		return lineage.Masked
	default:
		return lineage.Withheld
	}
}

// Open reports whether a relation may be traversed, or a row seen, under the
// bits: mask or clear.
func (d *Decision) Open(truth, unknown uint64) bool {
	return d.Caps(truth, unknown).Any(authz.Mask | authz.Clear)
}

// Access is what the answer says about itself: one entry per selection.
type Access struct {
	Masked, Withheld []AccessEntry
	// Noised are numbers that are not exact: over at least a minimum of persons,
	// and with noise.
	Noised []AccessEntry
	// JSON is {"masked":[…],"withheld":[…],"noised":[…]}, empty lists left out.
	JSON []byte
}

// AccessEntry is one selection that is masked or withheld, on all rows or some.
type AccessEntry struct {
	Field     string // coordinate
	Path      string
	Level     string
	Mask      string // masked only
	Reason    string // withheld only
	Rows      string // "ALL" or "SOME"
	When      string // "outside own_region", with SOME
	Locations []Location
}
