// Package resolvers is how one field's bytes are produced, and the middleware
// that every field read of both graphs passes: decide, mask, count.
//
// It promises that a cell is written only as its decision says, by the one
// function that also counts it. It fetches nothing and knows no transport.
package resolvers

import (
	"context"
	"time"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/graph/plan"
)

// Request is what one operation runs under. The gateway makes it, after the
// token is verified and the generation loaded; it belongs to one request.
type Request struct {
	ID         string
	Subject    *authz.Subject
	Purpose    string // stated, registered and open to the subject; "" for none
	Case       string // stated case number; never recorded in clear
	Generation *plan.Generation
	Received   time.Time
	// Deadline ends the request; zero for never, or where the context says it.
	Deadline time.Time
	// WithheldErrors asks for one GraphQL error per withheld selection
	// (X-Weir-Withheld: errors).
	WithheldErrors bool
	// PartialLists lets an abstract list come back without a failed department
	// (X-Weir-Partial: list).
	PartialLists bool
	Reads        *ReadSet
	// Execution is the executor's own, between its calls.
	Execution any
}

type requestKey struct{}

// WithRequest attaches the request to a context.
func WithRequest(ctx context.Context, r *Request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

// RequestFrom gives the request of a context; nil when there is none, which
// every caller treats as a denial.
func RequestFrom(ctx context.Context) *Request {
	r, _ := ctx.Value(requestKey{}).(*Request)
	return r
}
