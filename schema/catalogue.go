// Package schema turns the departments' SDL into a [Catalogue]: what exists,
// where it lives, how it is classified, and the GraphQL data API that is
// generated from it.
//
// It promises that a Catalogue is complete and immutable: whatever is not in it
// is not served. It does not decide who may read what; that is package authz.
package schema

import (
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// Coordinate names a field of a concrete object type, or with an empty Field
// the row itself. It is the key of decisions, masks, lineage and metrics, and
// is never an alias, a path, or an interface's name.
type Coordinate struct {
	Type, Field string
}

// Row reports whether the coordinate is a row's.
func (c Coordinate) Row() bool { return c.Field == "" }

// String gives "Person.name", or "Person" for the row.
func (c Coordinate) String() string {
	if c.Field == "" {
		return c.Type
	}
	return c.Type + "." + c.Field
}

// ParseCoordinate is the inverse of [Coordinate.String].
func ParseCoordinate(s string) Coordinate {
	t, f, _ := strings.Cut(s, ".")
	return Coordinate{Type: t, Field: f}
}

// Rank is the position of a classification level in [Levels], 0 the lowest.
// Levels are compared as ranks, never as strings.
type Rank uint8

// Level is one classification level with its names for people.
type Level struct {
	Name, ZH, EN string
}

// Levels is the ordered list of classification levels, lowest first.
type Levels []Level

// DefaultLevels are L1 to L4.
func DefaultLevels() Levels {
	return Levels{
		{Name: "L1", ZH: "一级", EN: "public"},
		{Name: "L2", ZH: "二级", EN: "internal"},
		{Name: "L3", ZH: "三级", EN: "sensitive"},
		{Name: "L4", ZH: "四级", EN: "highly sensitive"},
	}
}

// Rank finds a level by name.
func (l Levels) Rank(name string) (Rank, bool) {
	for i := range l {
		if l[i].Name == name {
			return Rank(i), true //nolint:gosec // a configuration has a handful of levels
		}
	}
	return 0, false
}

// Name gives the name of a rank, or "?" when the rank is not of these levels.
func (l Levels) Name(r Rank) string {
	if int(r) < len(l) {
		return l[r].Name
	}
	return "?"
}

// Highest is the rank of the last level.
func (l Levels) Highest() Rank { return Rank(len(l) - 1) } //nolint:gosec // as in Rank

// Scalar is the kind of value that a field holds.
type Scalar uint8

// The scalars of the data API. Decimal and BigInt are strings in JSON.
const (
	String Scalar = iota
	ID
	Int
	Float
	Boolean
	Date
	DateTime
	Time
	Decimal
	BigInt
	UUID
	JSON
	Enum
)

var scalarNames = [...]string{"String", "ID", "Int", "Float", "Boolean", "Date", "DateTime", "Time", "Decimal", "BigInt", "UUID", "JSON", "Enum"}

// String is the GraphQL name of the scalar ("Enum" for all enums).
func (s Scalar) String() string {
	if int(s) < len(scalarNames) {
		return scalarNames[s]
	}
	return "?"
}

// SharingMode is the sharing class of a resource (State Council Order 809, art. 14).
type SharingMode uint8

// Sharing classes. They cap what policy can grant, see package authz.
const (
	Unconditional SharingMode = iota
	Conditional
	WithheldSharing
)

// Sharing is a resource's class and the legal basis of it. A type that declares
// none is Conditional, see Load.
type Sharing struct {
	Mode  SharingMode
	Basis string
}

// Catalogue is one revision of all departments' schemas. It is immutable and
// safe for concurrent use.
type Catalogue struct {
	Levels      Levels
	Departments []string             // sorted; those named by a @source
	Types       map[string]*Type     // sourced object types
	Abstracts   map[string]*Abstract // interfaces and unions whose members are all sourced
	Enums       map[string]*EnumType // enums of the departments' SDL
	Roots       map[string]*Root     // fields of the generated Query type, introspection excluded
	API         *ast.Schema          // the whole generated data API; documents are validated against it
	SDL         string               // API printed, deterministic
	Revision    string               // hex digest of the source files, names included
}

// Type is a sourced object type.
type Type struct {
	Name, Description string
	Source            Source
	Level             Rank // of the row's existence
	Sharing           Sharing
	Fresh             *Fresh
	Fields            []*Field // in SDL order; without _ref
	Scopes            []*Scope // in SDL order
	Subjects          []Subject
	API               API
	Interfaces        []string // names of Abstracts it belongs to, sorted
	Position          Position

	byName map[string]*Field
}

// NewType completes a Type: it indexes the fields by name.
func NewType(t Type) *Type {
	t.byName = make(map[string]*Field, len(t.Fields))
	for _, f := range t.Fields {
		t.byName[f.Name] = f
	}
	return &t
}

// Field finds a field by name; nil when there is none.
func (t *Type) Field(name string) *Field { return t.byName[name] }

// Scope finds a declared scope by name; nil when there is none.
func (t *Type) Scope(name string) *Scope {
	for _, s := range t.Scopes {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// Covering lists the subject fields whose person the named field is about; for
// the row ("") all of them.
func (t *Type) Covering(field string) []string {
	var out []string
	for _, s := range t.Subjects {
		if field == "" || s.Covers == nil {
			out = append(out, s.Field)
			continue
		}
		for _, c := range s.Covers {
			if c == field {
				out = append(out, s.Field)
				break
			}
		}
	}
	return out
}

// IsSubject reports whether the named field identifies a person.
func (t *Type) IsSubject(field string) bool {
	for _, s := range t.Subjects {
		if s.Field == field {
			return true
		}
	}
	return false
}

// Source says where a type's rows live. Key and Tiebreak are columns.
type Source struct {
	Department string
	Table      string // "table" or "schema.table"
	Key        []string
	// KeyFields are the fields over Key, in the same order. They are nil when a
	// column of the key has no field: such a type has no root by key or by ref,
	// and no _ref in the API.
	KeyFields []string
	Tiebreak  string // "" when none is declared
	// TiebreakKind is the kind of the tie-break column: BigInt unless a field
	// with that column declares otherwise.
	TiebreakKind Scalar
}

// Subject is a field that identifies a person the row is about.
type Subject struct {
	Field  string
	Covers []string // fields about that person, Field among them; nil for all
}

// Fresh is the declared freshness of a type's data.
type Fresh struct {
	Column string // a DateTime column
	Within string // a duration as time.ParseDuration reads it
}

// Field is one field of a sourced type: a column or a relation.
type Field struct {
	Coordinate  Coordinate
	Name        string
	Description string
	Column      string // "" for relations
	Kind        Scalar
	List        bool      // a list of scalars
	Enum        *EnumType // for Kind == Enum
	TypeSDL     string    // the GraphQL type as declared: "String", "[Date!]", "[Permit!]"
	Level       Rank
	Category    string
	LowEntropy  bool
	Mask        *MaskUse // nil when the owner declared none
	Dimension   bool
	Relation    *Relation // nil for columns
	Position    Position
}

// MaskUse is an owner's choice of a mask rule, e.g. KEEP(first: 1, last: 2).
type MaskUse struct {
	Spec string // as written: "NAME", "KEEP(3,4)"
	Name string
	Args []int
}

// Relation leads from a row to rows of another sourced type, or of an abstract
// type, of the same or of another department.
type Relation struct {
	Target     string   // a key of Catalogue.Types or of Catalogue.Abstracts
	Many       bool     // [Target!] or Target
	Fields     []string // field names on this side
	References []string // field names on the far side
	CarriesKey bool
	SameSource bool // both sides live in one department, so that EXISTS is possible
}

// EnumType is an enum of the departments' SDL.
type EnumType struct {
	Name, Description string
	Values            []string
}

// Has reports whether v is one of the enum's values.
func (e *EnumType) Has(v string) bool {
	for _, x := range e.Values {
		if x == v {
			return true
		}
	}
	return false
}

// Abstract is an interface or union over sourced types.
type Abstract struct {
	Name, Description string
	Union             bool
	Fields            []string // interface fields in SDL order; nil for unions
	Members           []string // concrete types, sorted by name
	API               API

	fields []*Field // parallel to Fields
}

// API holds the names of a type's generated roots. An empty name switches the
// root off.
type API struct {
	Singular, Plural                             string
	List, Get, Ref, Connection, Aggregate, Match string
	By                                           []string // fields that are required arguments of the list, connection and aggregate roots
}

// RootKind tells what a generated root field does.
type RootKind uint8

// The generated roots.
const (
	RootGet RootKind = iota
	RootRef
	RootList
	RootConnection
	RootAggregate
	RootMatch
)

// Root is a generated field of Query.
type Root struct {
	Name     string
	Kind     RootKind
	Type     string // the concrete type or, with Abstract, the abstract one
	Abstract bool
	Keys     []string // RootGet, RootMatch: the key fields, which are also the argument names, in key order
	By       []string // RootList, RootConnection, RootAggregate: further required arguments, each a field that must be equal
}

// Position is a place in a source file; Line and Column count from 1.
type Position struct {
	File         string
	Line, Column int
}
