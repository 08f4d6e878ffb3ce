// Package exec executes plans: it fetches from the departments side by side,
// joins by batched keys, and writes the answer's JSON from the sources' bytes.
//
// It promises that a cell is written only by package resolvers, as its decision
// says; that no statement is sent which the plan does not hold; that a failure
// of one department is null and an error in its own fields and nothing else; and
// that an answer and its errors hold no value but what was decided to be shown.
// It decides nothing, and it records nothing itself: it fills the request's
// [resolvers.ReadSet] and leaves the release of the bytes to the gateway.
package exec

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/internal/keyring"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/resolvers"
)

// Config is what an Executor is made of. Adapters and Keys are required; every
// other zero value stands for the default that its comment names.
type Config struct {
	// Adapters are the sources by department. The executor does not close them.
	Adapters map[string]adapters.Adapter
	// Keys seal cursors and handles, key pseudonyms and tags.
	Keys *keyring.Ring
	// Limits bound query shapes; DefaultLimits.
	Limits plan.Limits
	// Departments bound single sources; DefaultDepartment for those not named.
	Departments       map[string]DepartmentLimits
	DefaultDepartment DepartmentLimits
	// MaxRows is the most rows of one fetch (200,000), MaxBytes the most bytes
	// of cells that one request may read (256 MiB). A fetch beyond them is
	// LIMIT_EXCEEDED in its own fields.
	MaxRows  int
	MaxBytes int64
	// PlanCache is the memory for cached plans, in bytes (64 MiB).
	PlanCache int64
	// CursorLife is how long a cursor opens (one hour).
	CursorLife time.Duration
	// Now is the clock; time.Now.
	Now func() time.Time
	// Budgets keeps the durable budgets; without it every operation that would
	// be charged is refused.
	Budgets Budgets
	// MatchLimits bound the values that a reader may compare and not see.
	MatchLimits MatchLimits
	// Aggregates bound what aggregates may cost and show.
	Aggregates AggregateLimits
	// Ages tells how old the sources are; nil when nobody knows.
	Ages Ages
	// Observe is told of every fetch that ran, from the fetch's goroutine; may
	// be nil.
	Observe func(Fetched)
	// Misfits is told of stored values that were errors in an answer because they
	// are not of their field's kind, once per column; may be nil.
	Misfits func(Misfit)
	// Report is told of the executor's own faults; may be nil. The error holds
	// no value of a row.
	Report func(error)
}

// DepartmentLimits bound what one source may cost.
type DepartmentLimits struct {
	Timeout     time.Duration // of one fetch, the wait for a place included; 5 s
	Concurrency int           // fetches at the same time, over all requests; 32
}

// errUnplanned is an operation for which there is no plan though it is valid.
var errUnplanned = errors.New("no plan for request")

// ErrConfig is the kind of every error of [New].
var ErrConfig = errors.New("executor configuration")

// Executor executes the data graph's operations. It is safe for concurrent use.
type Executor struct {
	sources     sources
	ring        *keyring.Ring
	limits      plan.Limits
	departments map[string]*department
	maxRows     int
	maxBytes    int64
	cursorLife  time.Duration
	now         func() time.Time
	budgets     Budgets
	matchLimits MatchLimits
	aggregates  AggregateLimits
	ages        Ages
	observe     func(Fetched)
	misfits     func(Misfit)
	report      func(error)
	plans       *planCache
	runs        sync.Pool
	batches     sync.Pool
}

var _ graphql.GraphExecutor = (*Executor)(nil)

// New makes an Executor. The caller closes it.
func New(cfg Config) (*Executor, error) {
	if cfg.Keys == nil {
		return nil, fmt.Errorf("%w: no key ring", ErrConfig)
	}
	e := &Executor{
		sources: sources{adapters: cfg.Adapters}, ring: cfg.Keys, limits: cfg.Limits,
		departments: make(map[string]*department, len(cfg.Adapters)),
		maxRows:     orElse(cfg.MaxRows, 200_000), maxBytes: orElse(cfg.MaxBytes, 256<<20),
		cursorLife: orElse(cfg.CursorLife, time.Hour),
		now:        cfg.Now, budgets: cfg.Budgets, matchLimits: cfg.MatchLimits, aggregates: cfg.Aggregates, ages: cfg.Ages, observe: cfg.Observe, misfits: cfg.Misfits, report: cfg.Report,
	}
	if e.limits == (plan.Limits{}) {
		e.limits = plan.DefaultLimits()
	}
	if e.now == nil {
		e.now = time.Now
	}
	if e.report == nil {
		e.report = func(error) {}
	}
	for name, adapter := range cfg.Adapters {
		if adapter == nil {
			return nil, fmt.Errorf("%w: department %s has no adapter", ErrConfig, name)
		}
		limits := cfg.Departments[name]
		e.departments[name] = &department{
			timeout: orElse(limits.Timeout, orElse(cfg.DefaultDepartment.Timeout, 5*time.Second)),
			slots:   make(chan struct{}, orElse(limits.Concurrency, orElse(cfg.DefaultDepartment.Concurrency, 32))),
			maxKeys: adapter.Capabilities().MaxKeys, remote: adapter.Capabilities().Remote,
		}
	}
	var err error
	if e.plans, err = newPlanCache(orElse(cfg.PlanCache, 64<<20)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	e.aggregates.MaxRows = orElse(cfg.Aggregates.MaxRows, 1_000_000)
	e.runs.New = func() any { return &run{} }
	e.batches.New = func() any { return &adapters.Batch{} }
	return e, nil
}

func orElse[T int | int64 | time.Duration](v, other T) T {
	if v > 0 {
		return v
	}
	return other
}

// Timely says that operations end by the deadline of their request, whether the
// context has one or not.
func (*Executor) Timely() {}

// Follow says which generation requests begin under from now on. Plans of others
// are forgotten, and with them whatever of a generation they hold; operations
// that still run under another are planned without being kept.
func (e *Executor) Follow(g *plan.Generation) { e.plans.follow(g) }

// Close ends the caches' goroutines. No operation may run any more.
func (e *Executor) Close() { e.plans.close() }

// Statements is how many statements a department has been sent for requests.
// Fetches of several requests that travel together are one.
func (e *Executor) Statements(department string) uint64 {
	if d := e.department(department); d != nil {
		return d.statements.Load()
	}
	return 0
}

func (e *Executor) department(name string) *department { return e.departments[name] }

// CreateOperationContext parses, validates, plans and resolves an operation:
// everything that can be refused before a source is touched. It reads the
// request from the context (see [resolvers.WithRequest]); without one nothing
// is served.
func (e *Executor) CreateOperationContext(ctx context.Context, params *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	opCtx := &graphql.OperationContext{
		RawQuery: params.Query, OperationName: params.OperationName, Extensions: params.Extensions, Headers: params.Headers,
		DisableIntrospection: true, RecoverFunc: graphql.DefaultRecover,
		Stats: graphql.Stats{Read: params.ReadTime},
	}
	req := resolvers.RequestFrom(ctx)
	if req == nil || req.Subject == nil || req.Reads == nil || req.Generation == nil ||
		req.Generation.Catalogue == nil || req.Generation.Table == nil || req.Generation.Documents == nil {
		return opCtx, refusals(refusal(plan.Forbidden), "")
	}
	if req.Execution != nil {
		return opCtx, refusals(refusal(plan.Internal), req.ID) // of one operation there is one answer
	}
	if errs := e.plan(ctx, req, params, opCtx); len(errs) > 0 {
		req.Reads.Kind, req.Reads.Code = "refused", string(errs[0].Code)
		return opCtx, refusals(errs, req.ID)
	}
	return opCtx, nil
}

func (e *Executor) plan(ctx context.Context, req *resolvers.Request, params *graphql.RawParams, opCtx *graphql.OperationContext) (errs plan.Errors) {
	defer func() {
		if p := recover(); p != nil {
			e.report(fmt.Errorf("%w: at %s", errPanic, panicPlace(debug.Stack())))
			errs = refusal(plan.Internal)
		}
	}()
	shape, errs := req.Generation.Shape(req.Subject.Profile(req.Purpose))
	if len(errs) > 0 {
		return errs
	}
	doc, errs := shape.Document(params.Query)
	if len(errs) > 0 {
		return errs
	}
	op, errs := doc.Operation(params.OperationName)
	if len(errs) > 0 {
		return errs
	}
	opCtx.Doc, opCtx.Operation, opCtx.OperationName = doc.Query, op, op.Name
	req.Reads.Name = op.Name
	vars, errs := plan.CoerceVariables(shape.API(), op, params.Variables, e.limits)
	if len(errs) > 0 {
		return errs
	}
	opCtx.Variables = vars
	prog, errs := e.program(req, doc, op, vars)
	if len(errs) > 0 {
		for _, err := range errs {
			if err.Code == plan.Internal { // whose words do not leave
				e.report(fmt.Errorf("%w %s: %s", errUnplanned, req.ID, err.Message))
			}
		}
		return errs
	}
	if errs := prog.plan.CheckValues(vars); len(errs) > 0 {
		return errs
	}
	r, _ := e.runs.Get().(*run)
	r.begin(e, req, prog, vars)
	errs = r.prepare()
	if errs == nil {
		errs = r.spend(ctx)
	}
	if errs != nil {
		e.recycle(r)
		return errs
	}
	reads := req.Reads
	reads.Kind, reads.Document = prog.kind, prog.document
	reads.Begin(prog.plan.Uses, prog.plan.Level)
	reads.Coordinates = prog.plan.Touched
	if prog.describes {
		// The answer tells of all that the reader may know.
		reads.Coordinates = req.Generation.Table.Coordinates()
	}
	req.Execution = r
	return nil
}

// DispatchOperation gives the handler of an operation that
// [Executor.CreateOperationContext] has made. Its first call fetches and writes
// the whole answer; every other gives nil. The answer's data are bytes of a
// pooled buffer, valid until [Executor.Release].
func (e *Executor) DispatchOperation(ctx context.Context, _ *graphql.OperationContext) (graphql.ResponseHandler, context.Context) {
	r := runOf(resolvers.RequestFrom(ctx))
	if r == nil {
		return graphql.OneShot(&graphql.Response{Errors: refusals(refusal(plan.Internal), "")}), ctx
	}
	return func(ctx context.Context) *graphql.Response {
		if r.done {
			return nil
		}
		r.done = true
		return r.respond(ctx)
	}, ctx
}

// DispatchError answers an operation that was refused.
func (e *Executor) DispatchError(ctx context.Context, list gqlerror.List) *graphql.Response {
	for _, err := range list {
		if err.Extensions == nil {
			err.Extensions = map[string]any{"code": string(plan.Internal)}
		}
		if _, ok := err.Extensions["requestId"]; !ok {
			if req := resolvers.RequestFrom(ctx); req != nil {
				err.Extensions["requestId"] = req.ID
			}
		}
	}
	return &graphql.Response{Errors: list}
}

// Release gives the memory of a request's operation back: the answer's data and
// the record's shape must not be read any more. Calling it is optional, harmless
// any number of times, and never before the bytes have left.
func (e *Executor) Release(req *resolvers.Request) {
	r := runOf(req)
	if r == nil {
		return
	}
	req.Execution = nil
	r.done = true
	e.recycle(r)
}

// runOf is the execution of a request, nil when it has none.
func runOf(req *resolvers.Request) *run {
	if req == nil {
		return nil
	}
	r, _ := req.Execution.(*run)
	return r
}

func (e *Executor) recycle(r *run) {
	if r.oversize() {
		return
	}
	r.end()
	e.runs.Put(r)
}

// A batch that has grown far beyond the usual 1,024 rows is left to the
// collector: one request's wide rows must not stay for ever.
const largestKeptBatch = 2 << 20

func (e *Executor) getBatch() *adapters.Batch {
	b, _ := e.batches.Get().(*adapters.Batch)
	return b
}

func (e *Executor) putBatch(b *adapters.Batch) {
	if cap(b.Data) > largestKeptBatch || cap(b.Ends) > largestKeptBatch/8 {
		return
	}
	b.Reset(0)
	e.batches.Put(b)
}

// countStatements tells the record which columns were used by a statement that a
// source was asked, though it may have failed: the rest of the plan was not read.
func (r *run) countStatements() {
	for i := range r.prog.fetches {
		if !r.results[i].asked {
			continue
		}
		for _, use := range r.prog.fetches[i].Uses {
			r.req.Reads.Count(use, lineage.Clear, 1)
		}
	}
}

// respond fetches, writes, and completes the record.
func (r *run) respond(ctx context.Context) (response *graphql.Response) {
	defer func() {
		if p := recover(); p != nil {
			r.e.report(fmt.Errorf("%w: at %s", errPanic, panicPlace(debug.Stack())))
			r.req.Reads.Code = string(plan.Internal)
			response = &graphql.Response{Data: null, Errors: refusals(refusal(plan.Internal), r.req.ID)}
		}
	}()
	r.fetchAll(ctx)
	r.countStatements()
	r.writeData()
	r.complete()
	response = &graphql.Response{Data: r.buf, Errors: r.errors()}
	r.releaseBatches()
	if r.e.misfits != nil {
		for _, m := range r.misfits {
			r.e.misfits(m)
		}
	}
	return response
}
