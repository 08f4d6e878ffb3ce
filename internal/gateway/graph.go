package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"
	"weak"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/resolvers"
)

// graph is the HTTP handler of one of the two graphs.
type graph struct {
	front    *Front
	name     string // "data", "control": for metrics and logs
	kind     string // of a record whose executor says nothing else
	executor graphql.GraphExecutor
	// registered: documents may be named that are registered.
	registered bool
	streams    bool // has subscriptions
}

// controlName names the control graph.
const controlName = "control"

// exchange is one request and its answer. Its gate is the only way a body
// leaves; an exchange has no other access to the response.
type exchange struct {
	*graph
	gate    *gate
	id      string
	media   media
	started time.Time
	subject *reader // nil as long as nobody is known
	request *resolvers.Request
	// token is what proved the reader, under the keys of the epoch.
	token string
	epoch uint64
}

// ServeHTTP answers one request.
func (g *graph) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{graph: g, gate: newGate(w, g.front), started: g.front.cfg.Now()}
	x.id = requestID(r.Header, g.front.cfg.Random)
	w.Header()["X-Request-Id"] = []string{x.id}
	g.front.cfg.Metrics.begin(g.name)
	defer x.end(r)
	x.handle(r)
}

// end is the edge at which a panic stops: the reader learns that it was ours,
// and nothing of what it said, which could be a value.
func (x *exchange) end(r *http.Request) {
	if p := recover(); p != nil {
		x.front.cfg.Log.Error("panic in a request", "requestId", x.id, "graph", x.name, "stack", string(debug.Stack()))
		if !x.gate.ended() { // what has left stands, and has its record
			x.fail(r, &refusal{code: plan.Internal})
		}
		x.gate.complete()
	}
	took := x.front.cfg.Now().Sub(x.started)
	x.front.cfg.Metrics.end(x.name, x.gate.code, x.gate.status, took)
	if x.subject == nil {
		return // counted per minute and address, see strangers
	}
	if !x.front.cfg.Log.Enabled(r.Context(), slog.LevelInfo) {
		return // and nothing put together for it
	}
	x.front.cfg.Log.Info("request", "requestId", x.id, "graph", x.name, "status", x.gate.status,
		"code", string(x.gate.code), "receipt", x.gate.receipt, "bytes", x.gate.bytes, "ms", took.Milliseconds())
}

// fail answers a refusal: with a record when the reader is known.
func (x *exchange) fail(r *http.Request, why *refusal) {
	if x.subject == nil {
		x.front.strangers.count(r.RemoteAddr)
		if why.code == plan.Unauthenticated {
			x.gate.challenge()
		}
		x.gate.turnAway(x, why)
		return
	}
	x.gate.refuse(x, why)
}

// handle is the way of a request, up to the gate. Whatever costs something
// comes after the token is verified.
func (x *exchange) handle(r *http.Request) {
	x.media = negotiate(r.Header.Values("Accept"))
	events := x.streams && r.Method == http.MethodPost && wantsEvents(r.Header.Values("Accept"))
	if events && x.media == unacceptable {
		x.media = graphQLJSON // of a refusal before the first event
	}
	if r.Method != http.MethodPost && r.Method != http.MethodGet {
		x.misuse(r, "GET, POST")
		return
	}
	if why := x.identify(r); why != nil {
		x.fail(r, why)
		return
	}
	if x.media == unacceptable {
		x.media = plainJSON
		x.fail(r, &refusal{code: plan.NotAcceptable})
		return
	}
	if why := x.state(r.Header); why != nil {
		x.fail(r, why)
		return
	}
	var p *params
	var why *refusal
	if r.Method == http.MethodGet {
		p, why = readGet(r, x.front.cfg.BodyLimit)
	} else {
		p, why = readPost(r, x.front.cfg.BodyLimit, &x.front.bodies)
	}
	if why == nil {
		var registered *plan.Registered
		if x.registered {
			registered = x.request.Generation.Registered
		}
		why = resolve(registered, p)
	}
	if why != nil {
		x.fail(r, why)
		return
	}
	if events {
		x.subscribe(r, p)
		return
	}
	ctx := r.Context()
	if _, ok := x.executor.(timely); ok {
		x.request.Deadline = time.Now().Add(x.front.cfg.RequestTimeout)
	} else {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, x.front.cfg.RequestTimeout)
		defer cancel()
	}
	if !x.front.takeTurn(ctx) {
		x.fail(r, &refusal{code: plan.Overloaded})
		return
	}
	defer x.front.endTurn()
	x.execute(ctx, r, p)
}

// misuse answers a method that there is not: on record where the token says
// whose it was, and as it is to everybody.
func (x *exchange) misuse(r *http.Request, methods string) {
	x.gate.allow(methods)
	_ = x.identify(r)
	x.fail(r, &refusal{code: plan.MethodNotAllowed})
}

// identify verifies the token and loads the generation, once. From then on the
// reader is known, also where he is refused.
func (x *exchange) identify(r *http.Request) *refusal {
	f := x.front
	token, ok := bearer(r.Header)
	if !ok {
		return &refusal{code: plan.Unauthenticated}
	}
	// Read before the check: a key that is withdrawn in between is found at release.
	x.token, x.epoch = token, f.cfg.Authenticator.Epoch()
	subject, err := f.tokens.reader(r.Context(), token)
	if err != nil || f.revoked(subject.Subject) {
		return &refusal{code: plan.Unauthenticated}
	}
	generation := f.cfg.Generations.Current()
	if generation == nil {
		// Nothing was ever loaded: whoever asks is told, nobody is served.
		return &refusal{plan.Overloaded, "no schema and policy are loaded yet"}
	}
	x.subject, x.request = subject, &resolvers.Request{
		ID: x.id, Subject: subject.Subject, Generation: generation, Received: x.started,
		Reads: &resolvers.ReadSet{},
	}
	if !f.apart(generation, subject) {
		return &refusal{plan.Forbidden, "the token reaches two offices that must be apart"}
	}
	return nil
}

func (f *Front) revoked(s *authz.Subject) bool {
	return f.cfg.Revocations != nil && f.cfg.Revocations.Revoked(s)
}

// proven reports whether the token that proved the reader still does: the keys may
// have changed since.
func (x *exchange) proven() bool {
	f := x.front
	epoch := f.cfg.Authenticator.Epoch()
	if epoch != x.epoch {
		if _, err := f.tokens.reader(context.Background(), x.token); err != nil {
			return false
		}
		x.epoch = epoch
	}
	return !expired(x.subject.Subject, f.cfg.Now()) && !f.revoked(x.subject.Subject)
}

// apart asks for the roles with all that they inherit; roles that the policy
// does not know count as they stand in the token.
func (f *Front) apart(g *plan.Generation, s *reader) bool {
	if seen := s.apart.Load(); seen != nil && seen.Value() == g {
		return true
	}
	inherited := g.Table.View(s.Profile("")).Roles()
	roles := append(append(make([]string, 0, len(s.Roles)+len(inherited)), s.Roles...), inherited...)
	if !f.cfg.Offices.Apart(roles) {
		return false
	}
	seen := weak.Make(g)
	s.apart.Store(&seen)
	return true
}

// state reads what a reader says about a request: nothing about himself.
func (x *exchange) state(h http.Header) *refusal {
	purpose, why := one(h, "X-Weir-Purpose")
	if why != nil {
		return why
	}
	if purpose != "" && !x.front.mayState(x.subject.Subject, purpose) {
		return &refusal{plan.Forbidden, "the stated purpose is not registered, or not open to this token and its application"}
	}
	number, why := one(h, "X-Weir-Case")
	if why != nil {
		return why
	}
	withheld, why := one(h, "X-Weir-Withheld")
	if why != nil {
		return why
	}
	partial, why := one(h, "X-Weir-Partial")
	if why != nil {
		return why
	}
	if withheld != "" && withheld != "errors" {
		return badRequest("X-Weir-Withheld is errors or absent")
	}
	if partial != "" && partial != "list" {
		return badRequest("X-Weir-Partial is list or absent")
	}
	x.request.Purpose, x.request.Case = purpose, number
	x.request.WithheldErrors, x.request.PartialLists = withheld == "errors", partial == "list"
	return nil
}

// maxStated bounds a header by which a reader states something.
const maxStated = 128

// one gives the value of a header that may occur once.
func one(h http.Header, name string) (string, *refusal) {
	values := h.Values(name)
	if len(values) == 0 {
		return "", nil
	}
	if len(values) > 1 || len(values[0]) > maxStated {
		return "", badRequest("a header of the request is repeated or too long")
	}
	for _, c := range []byte(values[0]) {
		if c < ' ' || c == 0x7f {
			return "", badRequest("a header of the request holds a control character")
		}
	}
	return values[0], nil
}

// Running is how many requests are being answered now, on both graphs.
func (f *Front) Running() int { return len(f.turns) }

// takeTurn waits for one of the places that bound what runs at once.
func (f *Front) takeTurn(ctx context.Context) bool {
	select {
	case f.turns <- struct{}{}:
		return true
	default:
	}
	t := time.NewTimer(f.cfg.QueueTimeout)
	defer t.Stop()
	select {
	case f.turns <- struct{}{}:
		return true
	case <-t.C:
	case <-ctx.Done():
	}
	return false
}

func (f *Front) endTurn() { <-f.turns }

// execute runs the operation and hands what came of it to the gate.
func (x *exchange) execute(ctx context.Context, r *http.Request, p *params) {
	ctx = resolvers.WithRequest(ctx, x.request)
	if _, ok := x.executor.(timely); !ok {
		ctx = graphql.StartOperationTrace(ctx) // gqlgen's own executor wants it
	}
	op, list := x.executor.CreateOperationContext(ctx, rawParams(p))
	if pool, ok := x.executor.(releaser); ok {
		defer pool.Release(x.request)
	}
	if len(list) > 0 {
		if op != nil {
			ctx = graphql.WithOperationContext(ctx, op)
		}
		x.gate.release(x, x.executor.DispatchError(ctx, list))
		return
	}
	x.request.Reads.Name = operationName(op)
	if r.Method == http.MethodGet && op.Operation != nil && op.Operation.Operation != ast.Query {
		x.gate.allow("POST")
		x.fail(r, &refusal{plan.MethodNotAllowed, "a GET runs queries only"})
		return
	}
	if op.Operation != nil && op.Operation.Operation == ast.Subscription {
		x.fail(r, &refusal{plan.NotAcceptable, "a subscription is answered as text/event-stream, to a POST that accepts it"})
		return
	}
	respond, ctx := x.executor.DispatchOperation(ctx, op)
	x.gate.release(x, answerOf(ctx, respond))
}

func rawParams(p *params) *graphql.RawParams {
	now := graphql.Now()
	return &graphql.RawParams{
		Query: p.query, OperationName: p.operation, Variables: p.variables, Extensions: p.extensions,
		ReadTime: graphql.TraceTiming{Start: now, End: now},
	}
}

// refusedResponse is the answer of an executor that gave none.
func refusedResponse(code plan.Code) *graphql.Response {
	return &graphql.Response{Errors: gqlerror.List{{
		Message: failureOf(code).sentence, Extensions: map[string]any{"code": string(code)},
	}}}
}

// timely is an executor that ends an operation by the deadline of its request,
// wherever it waits for anything: a context of its own, with a timer, would cost
// a point query a fiftieth.
type timely interface{ Timely() }

// releaser is an executor that takes an operation's memory back once the bytes
// have left.
type releaser interface {
	Release(*resolvers.Request)
}

func operationName(op *graphql.OperationContext) string {
	if op.Operation != nil {
		return op.Operation.Name
	}
	return ""
}
