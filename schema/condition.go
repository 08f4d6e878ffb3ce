package schema

// Condition is a filter over the rows of one type, in the type's own filter
// language. A @scope's where-clause is one; the planner makes them from where
// arguments. A nil Condition is true.
type Condition interface{ condition() }

// All is a conjunction; an empty one is true.
type All []Condition

// Any is a disjunction; an empty one is false.
type Any []Condition

// Not negates, in three-valued logic.
type Not struct{ Condition Condition }

// Comparison compares one field with one operand.
type Comparison struct {
	Field   *Field
	Op      Operator
	Operand Operand
}

// Exists is true when the relation leads to at least one row that satisfies
// Where. The relation is of one source.
type Exists struct {
	Relation *Field
	Where    Condition
}

func (All) condition()        {}
func (Any) condition()        {}
func (Not) condition()        {}
func (Comparison) condition() {}
func (Exists) condition()     {}

// Operator is a comparison of the filter language.
type Operator uint8

// Operators, in the order of schema.OperatorNames.
const (
	Eq Operator = iota
	Neq
	In
	Nin
	Gt
	Gte
	Lt
	Lte
	Like
	StartsWith
	IsNull
	Contains // list fields: the list holds the value
)

var operatorNames = [...]string{"_eq", "_neq", "_in", "_nin", "_gt", "_gte", "_lt", "_lte", "_like", "_starts_with", "_is_null", "_contains"}

// String is the operator's name in the API, "_eq" and so on.
func (o Operator) String() string { return operatorNames[o] }

// ParseOperator is the inverse of [Operator.String].
func ParseOperator(s string) (Operator, bool) {
	for i, n := range operatorNames {
		if n == s {
			return Operator(i), true //nolint:gosec // a dozen names
		}
	}
	return 0, false
}

// Operand is what a field is compared with: a literal, a list of literals, or
// an attribute of the reader. Literals are in the text form of the field's
// kind (as in a cell, see adapters.Batch); IsNull has "true" or "false".
type Operand struct {
	Subject string   // attribute name, for $subject.NAME; else ""
	Literal string   // when Subject == "" and List == nil
	List    []string // for In and Nin
}

// Scope is a declared condition on rows that policies refer to by name.
type Scope struct {
	Name       string
	Where      Condition
	Text       string   // as declared, for people
	Attributes []string // the $subject attributes it needs, sorted, unique
	Columns    []*Field // the fields it reads, for lineage, unique
	Position   Position
}
