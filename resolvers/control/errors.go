package control

import (
	"context"
	"errors"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/lineage/index"
)

// sentence is the constant message of a code, as far as this graph raises it
// itself.
func sentence(code plan.Code) string {
	switch code {
	case plan.Forbidden:
		return "not allowed for this reader and purpose"
	case plan.CursorInvalid:
		return "the cursor is not one of this server"
	case plan.LedgerUnavailable:
		return "the ledger cannot be asked now"
	case plan.Overloaded:
		return "the answer could not be completed in time"
	default:
		return "the operation could not be executed"
	}
}

// present is the one place at which an error of a resolver becomes public: a
// code of the closed set and its sentence. The cause is reported, not told.
func (e *Executor) present(ctx context.Context, err error) *gqlerror.Error {
	var known *plan.Error
	out := public(plan.Internal, "")
	switch {
	case errors.As(err, &known):
		out = refusals(plan.Errors{known}, "")[0]
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		out = public(plan.Overloaded, "")
	case errors.Is(err, index.ErrUnavailable):
		out = public(plan.LedgerUnavailable, "")
		e.report(err)
	case !errors.Is(err, errPanic): // a panic was reported where it was caught
		e.report(err)
	}
	out.Path = graphql.GetPath(ctx)
	if field := graphql.GetFieldContext(ctx); field != nil && field.Field.Field != nil && field.Field.Position != nil {
		p := field.Field.Position
		out.Locations = []gqlerror.Location{{Line: p.Line, Column: p.Column}}
	}
	return out
}

func public(code plan.Code, requestID string) *gqlerror.Error {
	return refusals(plan.Errors{{Code: code, Message: sentence(code)}}, requestID)[0]
}

// refusals turns refusals into errors of the answer.
func refusals(errs plan.Errors, requestID string) gqlerror.List {
	list := make(gqlerror.List, 0, len(errs))
	for _, e := range errs {
		out := &gqlerror.Error{Message: e.Message, Extensions: map[string]any{"code": string(e.Code), "requestId": requestID}}
		for _, l := range e.Locations {
			out.Locations = append(out.Locations, gqlerror.Location{Line: l.Line, Column: l.Column})
		}
		list = append(list, out)
	}
	return list
}
