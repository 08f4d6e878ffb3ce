package authz

// The codes of the policy lint. They are stable: people search for them.
const (
	codeEncoding     = "encoding"
	codeUnknownLine  = "unknown-line"
	codeWrongColumns = "wrong-columns"
	codeEmptyValue   = "empty-value"
	codeQuotes       = "quotes"
	codeCharacter    = "character"

	codeUnknownEffect   = "unknown-effect"
	codeUnknownAccess   = "unknown-access"
	codeAnyInAllow      = "any-in-allow"
	codeUnknownLevel    = "unknown-level"
	codeInvalidResource = "invalid-resource"
	codeDenyPurpose     = "deny-purpose"
	codeWildcard        = "wildcard-not-allowed"
	codeRoleCycle       = "role-cycle"
	codeRoleDepth       = "role-depth"

	codeUnknownRole       = "unknown-role"
	codeUnknownDepartment = "unknown-department"
	codeUnknownType       = "unknown-type"
	codeUnknownField      = "unknown-field"
	codeWrongDepartment   = "wrong-department"
	codeUnknownPurpose    = "unknown-purpose"
	codeUnknownScope      = "unknown-scope"
	codeScopeNotDeclared  = "scope-not-declared"
	codeGuessable         = "match-guessable"
	codeNothingGranted    = "nothing-granted"
	codeDuties            = "separation-of-duties"

	codeDuplicate     = "duplicate-rule"
	codeNeverMatters  = "never-matters"
	codeShadowed      = "shadowed"
	codeContradiction = "contradiction"
)
