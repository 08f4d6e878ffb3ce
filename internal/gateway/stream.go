package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/resolvers"
)

// Streams of events (GraphQL over SSE, distinct connections mode): a POST that
// accepts text/event-stream gets one `next` event per answer and a `complete`
// at the end. Every event passes the gate like an answer of its own: it is
// recorded, waited for, and compared with the rights of that moment.
const (
	eventStream = "text/event-stream"
	// watchEvery is how often an idle stream is held against token, revocations
	// and rights; beatEvery how often it shows that it lives.
	watchEvery = 500 * time.Millisecond
	beatEvery  = 15 * time.Second
	// eventPatience is how long a reader may take to accept one event.
	eventPatience = 10 * time.Second
)

// wantsEvents reports whether the reader accepts an event stream, by its name.
func wantsEvents(accept []string) bool {
	ranges := 0
	for _, header := range accept {
		for part := range strings.SplitSeq(header, ",") {
			if ranges++; ranges > maxAccept {
				return false
			}
			if name, q, ok := mediaRange(part); ok && name == eventStream && q > 0 {
				return true
			}
		}
	}
	return false
}

// takeStream takes one of the places for streams, which are apart from those of
// requests: a stream that waits costs no turn.
func (f *Front) takeStream() bool {
	select {
	case f.streams <- struct{}{}:
		return true
	default:
		return false
	}
}

func (f *Front) endStream() { <-f.streams }

// subscribe runs an operation whose reader accepts events. What is no
// subscription is answered at once, as one event.
func (x *exchange) subscribe(r *http.Request, p *params) {
	if !x.front.takeStream() {
		x.fail(r, &refusal{code: plan.Overloaded})
		return
	}
	defer x.front.endStream()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	ctx = graphql.StartOperationTrace(resolvers.WithRequest(ctx, x.request))
	op, list := x.executor.CreateOperationContext(ctx, rawParams(p))
	if pool, ok := x.executor.(releaser); ok {
		defer pool.Release(x.request)
	}
	if len(list) > 0 {
		// Before there are events, a refusal is an ordinary answer.
		x.gate.release(x, x.executor.DispatchError(ctx, list))
		return
	}
	x.request.Reads.Name = operationName(op)
	x.gate.events = true
	if op.Operation == nil || op.Operation.Operation != ast.Subscription {
		ctx, cancel := context.WithTimeout(ctx, x.front.cfg.RequestTimeout)
		defer cancel()
		respond, ctx := x.executor.DispatchOperation(ctx, op)
		x.gate.release(x, answerOf(ctx, respond))
		x.gate.complete()
		return
	}
	x.gate.beat() // the reader learns at once that he is heard
	x.follow(ctx, op)
	x.gate.complete()
}

// follow sends an event per answer until there are no more, the reader leaves or
// loses a right, or the server stops.
func (x *exchange) follow(ctx context.Context, op *graphql.OperationContext) {
	begun := resolvers.ReadSet{
		Kind: x.request.Reads.Kind, Name: x.request.Reads.Name, Document: x.request.Reads.Document, Coordinates: x.request.Reads.Coordinates,
	}
	// Ended, and waited for, before the operation's memory is given back.
	ctx, cancel := context.WithCancel(ctx)
	respond, ctx := x.executor.DispatchOperation(ctx, op)
	ask, answers := make(chan struct{}), make(chan *graphql.Response)
	go func() {
		defer close(answers)
		for range ask {
			response := x.next(ctx, respond)
			answers <- response
			if response == nil {
				return
			}
		}
	}()
	end := sync.OnceFunc(func() {
		cancel()
		close(ask)
		for range answers { //nolint:revive // until the other goroutine has ended
		}
	})
	defer end()
	watch := time.NewTicker(watchEvery)
	defer watch.Stop()
	quiet := time.Now()
	select {
	case ask <- struct{}{}:
	case <-ctx.Done():
		return
	}
	for {
		select {
		case response, more := <-answers:
			if !more || response == nil || ctx.Err() != nil {
				return
			}
			x.gate.release(x, response)
			if quiet = time.Now(); x.gate.ended() || final(x.gate.code) {
				return
			}
			// The next answer's reads are a record of their own.
			x.request.Reads = eventReads(&begun)
			ask <- struct{}{}
		case <-watch.C:
			if code := x.lost(begun.Coordinates); code != "" {
				end() // the reads are nobody else's then
				x.request.Reads = eventReads(&begun)
				x.gate.release(x, refusedResponse(code))
				return
			}
			if time.Since(quiet) >= beatEvery {
				quiet = time.Now()
				x.gate.beat()
			}
		case <-ctx.Done():
			return
		case <-x.front.stopping:
			return
		}
	}
}

// final reports a code after which a stream cannot go on.
func final(code plan.Code) bool {
	switch code {
	case plan.Unauthenticated, plan.PolicyChanged, plan.LedgerUnavailable, plan.Internal:
		return true
	default:
		return false
	}
}

// eventReads begins the record of one event of an operation.
func eventReads(begun *resolvers.ReadSet) *resolvers.ReadSet {
	out := &resolvers.ReadSet{Kind: begun.Kind, Name: begun.Name, Document: begun.Document, Coordinates: begun.Coordinates}
	out.Begin(nil, 0)
	return out
}

// next asks for one more answer; a panic ends the stream.
func (x *exchange) next(ctx context.Context, respond graphql.ResponseHandler) (response *graphql.Response) {
	defer func() {
		if p := recover(); p != nil {
			x.front.cfg.Log.Error("panic in a stream", "requestId", x.id, "graph", x.name)
			response = refusedResponse(plan.Internal)
		}
	}()
	return respond(ctx)
}

// answerOf runs an operation to its one answer.
func answerOf(ctx context.Context, respond graphql.ResponseHandler) *graphql.Response {
	response := respond(ctx)
	if response != nil {
		return response
	}
	// The executor gave up: the deadline passed, or the reader went away.
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return refusedResponse(plan.SourceTimeout)
	}
	return refusedResponse(plan.Internal)
}
