package schema

// The codes of the schema lint. They are stable: people search for them and
// suppress them by name.
const (
	codeSyntax            = "syntax"
	codeNotAllowed        = "declaration-not-allowed"
	codeDuplicateType     = "duplicate-type"
	codeDuplicateField    = "duplicate-field"
	codeDuplicateValue    = "duplicate-enum-value"
	codeReservedName      = "reserved-name"
	codeNameCollision     = "name-collision"
	codeEmptyType         = "empty-type"
	codeUnknownType       = "unknown-type"
	codeUnsupportedType   = "unsupported-type"
	codeUnsourcedType     = "unsourced-type"
	codeFieldArguments    = "field-arguments"
	codeNonNull           = "non-null-field"
	codeNullableElement   = "nullable-element"
	codeNestedList        = "nested-list"
	codeNoTypes           = "no-types"
	codeNoRoots           = "no-roots"
	codeGeneratedSchema   = "generated-schema"
	codeUnknownDirective  = "unknown-directive"
	codeMisplaced         = "misplaced-directive"
	codeRepeated          = "repeated-directive"
	codeUnknownArgument   = "unknown-argument"
	codeRepeatedArgument  = "repeated-argument"
	codeMissingArgument   = "missing-argument"
	codeArgumentType      = "argument-type"
	codeUnclassifiedType  = "unclassified-type"
	codeUnclassifiedField = "unclassified-field"
	codeUnknownLevel      = "unknown-level"
	codeUnknownDepartment = "unknown-department"
	codeUnknownField      = "unknown-field"

	codeInvalidTable      = "invalid-table"
	codeInvalidColumn     = "invalid-column"
	codeInvalidKey        = "invalid-key"
	codeKeyNotComparable  = "key-not-comparable"
	codeKeyWithoutField   = "key-without-field"
	codeTiebreakType      = "tiebreak-type"
	codeDuplicateColumn   = "duplicate-column"
	codeConflictingLevels = "conflicting-levels"

	codeUnknownMask     = "unknown-mask"
	codeMaskType        = "mask-type"
	codeMaskOnID        = "mask-on-id"
	codeMaskLowEntropy  = "pseudonym-low-entropy"
	codeDimensionType   = "dimension-type"
	codeSubjectType     = "subject-type"
	codeFreshDuration   = "fresh-duration"
	codeFreshColumn     = "fresh-column"
	codeWithheldNoBasis = "withheld-without-basis"

	codeMissingRelation   = "missing-relation"
	codeRelationArity     = "relation-arity"
	codeRelationKeyType   = "relation-key-type"
	codeToOneNotUnique    = "to-one-not-unique"
	codeCarriesKeyToMany  = "carries-key-to-many"
	codeUnknownInterface  = "unknown-interface"
	codeInterfaceMismatch = "interface-mismatch"
	codeEmptyAbstract     = "empty-abstract"
	codeUnionMember       = "union-member"

	codeScopeName       = "scope-name"
	codeDuplicateScope  = "duplicate-scope"
	codeTooManyScopes   = "too-many-scopes"
	codeScopeSyntax     = "scope-syntax"
	codeEmptyCondition  = "empty-condition"
	codeUnknownOperator = "unknown-operator"
	codeOperandType     = "operand-type"

	codeRootName      = "root-name"
	codeRootCollision = "root-collision"
	codeRootKind      = "root-not-available"
	codeByField       = "by-field"
)

// add notes an error.
func (ds *Diagnostics) add(at Position, code, message, suggestion string) {
	*ds = append(*ds, Diagnostic{Position: at, Code: code, Message: message, Suggestion: suggestion})
}

// warn notes a warning.
func (ds *Diagnostics) warn(at Position, code, message, suggestion string) {
	*ds = append(*ds, Diagnostic{Position: at, Code: code, Message: message, Suggestion: suggestion, Warning: true})
}
