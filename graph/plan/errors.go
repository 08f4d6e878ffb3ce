package plan

// Code is one of the closed set of error codes.
type Code string

// The closed set of codes. docs/errors.md has a line for each.
const (
	BadRequest              Code = "BAD_REQUEST"
	PayloadTooLarge         Code = "PAYLOAD_TOO_LARGE"
	UnsupportedMediaType    Code = "UNSUPPORTED_MEDIA_TYPE"
	NotAcceptable           Code = "NOT_ACCEPTABLE"
	MethodNotAllowed        Code = "METHOD_NOT_ALLOWED"
	GraphQLParseFailed      Code = "GRAPHQL_PARSE_FAILED"
	GraphQLValidationFailed Code = "GRAPHQL_VALIDATION_FAILED"
	LimitExceeded           Code = "LIMIT_EXCEEDED"
	DocumentNotFound        Code = "DOCUMENT_NOT_FOUND"
	Unauthenticated         Code = "UNAUTHENTICATED"
	Forbidden               Code = "FORBIDDEN"
	PurposeRequired         Code = "PURPOSE_REQUIRED"
	FieldNotFilterable      Code = "FIELD_NOT_FILTERABLE"
	FieldNotSortable        Code = "FIELD_NOT_SORTABLE"
	FieldNotAggregatable    Code = "FIELD_NOT_AGGREGATABLE"
	CursorInvalid           Code = "CURSOR_INVALID"
	PolicyChanged           Code = "POLICY_CHANGED"
	RateLimited             Code = "RATE_LIMITED"
	Overloaded              Code = "OVERLOADED"
	SourceUnavailable       Code = "SOURCE_UNAVAILABLE"
	SourceTimeout           Code = "SOURCE_TIMEOUT"
	DataTooOld              Code = "DATA_TOO_OLD"
	LedgerUnavailable       Code = "LEDGER_UNAVAILABLE"
	Internal                Code = "INTERNAL"
)

// Error is a refusal of a whole operation. Message is a constant per code plus
// schema names; it never holds a value.
type Error struct {
	Code      Code
	Message   string
	Path      string // dotted response keys, "" for the operation
	Locations []Location
}

// Error gives code and message.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// Errors are the refusals of one operation, in document order.
type Errors []*Error

// Error gives the first refusal.
func (es Errors) Error() string {
	if len(es) == 0 {
		return "no error"
	}
	return es[0].Error()
}
