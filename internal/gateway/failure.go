package gateway

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/weir-data/weir/graph/plan"
)

// failure is what one code of the closed set means over HTTP.
type failure struct {
	status   int
	sentence string // the message when nothing better is at hand
	// graph failures are of a well-formed request: with application/json they
	// are answered 200, as GraphQL over HTTP has it.
	graph bool
}

// failureOf is total: what is not of the closed set is INTERNAL.
func failureOf(code plan.Code) failure {
	switch code {
	case plan.BadRequest:
		return failure{http.StatusBadRequest, "the request is malformed", true}
	case plan.PayloadTooLarge:
		return failure{http.StatusRequestEntityTooLarge, "the request body is too large", false}
	case plan.UnsupportedMediaType:
		return failure{http.StatusUnsupportedMediaType, "the request body must be uncompressed application/json in UTF-8", false}
	case plan.NotAcceptable:
		return failure{http.StatusNotAcceptable, "answers are application/graphql-response+json or application/json", false}
	case plan.MethodNotAllowed:
		return failure{http.StatusMethodNotAllowed, "the method is not allowed here", false}
	case plan.GraphQLParseFailed:
		return failure{http.StatusBadRequest, "the document is not GraphQL", true}
	case plan.GraphQLValidationFailed:
		return failure{http.StatusBadRequest, "the document is not valid for this schema", true}
	case plan.LimitExceeded:
		return failure{http.StatusBadRequest, "the request exceeds a limit", true}
	case plan.DocumentNotFound:
		return failure{http.StatusBadRequest, "the document is not registered", true}
	case plan.Unauthenticated:
		return failure{http.StatusUnauthorized, "a valid token is needed", false}
	case plan.Forbidden:
		return failure{http.StatusForbidden, "not allowed", false}
	case plan.PurposeRequired:
		return failure{http.StatusForbidden, "a purpose must be stated", true}
	case plan.FieldNotFilterable:
		return failure{http.StatusForbidden, "a field may not be used in a filter", true}
	case plan.FieldNotSortable:
		return failure{http.StatusForbidden, "a field may not be used in an order", true}
	case plan.FieldNotAggregatable:
		return failure{http.StatusForbidden, "a field may not be used in an aggregate", true}
	case plan.CursorInvalid:
		return failure{http.StatusBadRequest, "the cursor is not valid here", true}
	case plan.PolicyChanged:
		return failure{http.StatusConflict, "rights changed while the request ran", false}
	case plan.RateLimited:
		return failure{http.StatusTooManyRequests, "the budget of this day is spent", false}
	case plan.Overloaded:
		return failure{http.StatusServiceUnavailable, "the server is at its limit", false}
	case plan.SourceUnavailable:
		return failure{http.StatusBadGateway, "a source is unavailable", true}
	case plan.SourceTimeout:
		return failure{http.StatusGatewayTimeout, "a source did not answer in time", true}
	case plan.DataTooOld:
		return failure{http.StatusServiceUnavailable, "the data is too old", true}
	case plan.LedgerUnavailable:
		return failure{http.StatusServiceUnavailable, "the read could not be recorded, so nothing is served", false}
	case plan.Internal:
	}
	return failure{http.StatusInternalServerError, "internal error", false}
}

// known reports whether the code is of the closed set.
func known(code plan.Code) bool {
	return code == plan.Internal || failureOf(code).status != http.StatusInternalServerError
}

// graphError is the shape in which errors leave.
type graphError struct {
	Message    string              `json:"message"`
	Locations  []gqlerror.Location `json:"locations,omitempty"`
	Path       any                 `json:"path,omitempty"`
	Extensions errorExtensions     `json:"extensions"`
}

type errorExtensions struct {
	Code      plan.Code `json:"code"`
	RequestID string    `json:"requestId"`
	Selection string    `json:"selection,omitempty"`
	Count     int64     `json:"count,omitempty"`
}

// translate is the one place where errors get their public form: the closed set
// of codes and four extension members pass, everything else is INTERNAL without
// its text. It gives the first error's code.
func translate(list gqlerror.List, requestID string) ([]byte, plan.Code) {
	if len(list) == 0 {
		return nil, ""
	}
	out := make([]graphError, len(list))
	for i, e := range list {
		out[i] = translateOne(e, requestID)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(out); err != nil {
		return constantErrors(plan.Internal, requestID), plan.Internal
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), out[0].Extensions.Code
}

func translateOne(e *gqlerror.Error, requestID string) graphError {
	out := graphError{Extensions: errorExtensions{Code: plan.Internal, RequestID: requestID}}
	if e != nil {
		out.Locations = slices.Clone(e.Locations)
		if len(e.Path) > 0 {
			out.Path = e.Path
		}
		var code plan.Code
		switch c := e.Extensions["code"].(type) {
		case plan.Code:
			code = c
		case string:
			code = plan.Code(c)
		}
		if known(code) {
			// Of a fault its place alone leaves, never its text.
			if out.Extensions.Code = code; code != plan.Internal {
				out.Message = e.Message
			}
			out.Extensions.Selection, _ = e.Extensions["selection"].(string)
			out.Extensions.Count = integer(e.Extensions["count"])
		}
	}
	if out.Message == "" {
		out.Message = failureOf(out.Extensions.Code).sentence
	}
	return out
}

func integer(v any) int64 {
	switch n := v.(type) {
	case int:
		return int64(n)
	case int64:
		return n
	case uint32:
		return int64(n)
	}
	return 0
}

// constantErrors is the errors list of one refusal by the front itself.
func constantErrors(code plan.Code, requestID string) []byte {
	return refusalErrors(code, failureOf(code).sentence, requestID)
}

// refusalErrors takes a sentence that is a constant of this package.
func refusalErrors(code plan.Code, sentence, requestID string) []byte {
	b, err := json.Marshal([]graphError{{Message: sentence, Extensions: errorExtensions{Code: code, RequestID: requestID}}})
	if err != nil {
		return []byte(`[{"message":"internal error"}]`)
	}
	return b
}
