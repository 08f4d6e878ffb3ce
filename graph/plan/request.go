package plan

import (
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/authz"
)

// Request is everything a plan depends on. Variables are coerced (see
// CoerceVariables); of their values only the skeleton reaches the plan.
type Request struct {
	Generation *Generation
	Document   *Document
	Operation  *ast.OperationDefinition
	Variables  map[string]any
	Profile    authz.Profile
	// Attributes are the names of the reader's attributes that are present:
	// a scope that needs another is unknown on every row, before any SQL.
	Attributes map[string]string
	Sources    Sources
	Limits     Limits
}

// Sources are the departments' engines, as far as planning needs them: both
// functions are pure.
type Sources interface {
	Capabilities(department string) (adapters.Capabilities, bool)
	Compile(department string, s *adapters.Shape) (adapters.Statement, error)
}

// Limits bound a query's shape and static cost.
type Limits struct {
	Tokens, Depth, IntrospectionDepth, Aliases, Directives, DirectivesPerNode int
	Fragments, Selections, Roots, FieldsPerKey                                int
	ListItems, VariableDepth, Errors                                          int
	Rows                                                                      int // static cost: the product of nested limits
	MaxLimit                                                                  int // the largest limit argument
}

// DefaultLimits are those of the documentation.
func DefaultLimits() Limits {
	return Limits{
		Tokens: 2_000, Depth: 12, IntrospectionDepth: 15, Aliases: 30, Directives: 50, DirectivesPerNode: 5,
		Fragments: 50, Selections: 5_000, Roots: 20, FieldsPerKey: 32,
		ListItems: 1_000, VariableDepth: 16, Errors: 10,
		Rows: 100_000, MaxLimit: 1_000,
	}
}
