package control

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	generated "github.com/weir-data/weir/graph/control"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/resolvers"
	"github.com/weir-data/weir/schema"
)

// Config is what the control graph is made of. Every field may be zero.
type Config struct {
	// Departments are the departments' names for people, by id.
	Departments map[string]Titles
	// Purposes are the registered purposes, by id.
	Purposes map[string]Purpose
	// Offices are the roles that must stay apart.
	Offices Offices
	// Ages tells how old the sources are; nil when nobody knows.
	Ages Ages
	// Lineage answers what is asked of the ledger.
	Lineage Lineage
	// Policies are the revisions that wait for two officers; nil where one is
	// enough.
	Policies Policies
	// Retention drops keys of the ledger; nil where nothing does.
	Retention Retention
	// Limits bound query shapes; [DefaultLimits].
	Limits plan.Limits
	// Report is told of faults, which the reader learns of only as INTERNAL;
	// may be nil.
	Report func(error)
}

// DefaultLimits are the data graph's, with fewer roots and aliases: a catalogue
// has thousands of entries, and each alias repeats them.
func DefaultLimits() plan.Limits {
	l := plan.DefaultLimits()
	l.Roots, l.Aliases = 5, 15
	return l
}

// errPanic reports a panic without what it said, which could be a value.
var errPanic = errors.New("panic in a resolver")

// Executor executes the control graph's operations with gqlgen's executor,
// behind the limits, the validation and the coercion of the data graph. It is
// safe for concurrent use.
type Executor struct {
	inner     *executor.Executor
	api       *ast.Schema
	documents *plan.Documents
	limits    plan.Limits
	report    func(error)
}

var _ graphql.GraphExecutor = (*Executor)(nil)

// New makes an Executor. The caller closes it.
func New(cfg Config) (*Executor, error) {
	e := &Executor{limits: cfg.Limits, report: cfg.Report}
	if e.limits == (plan.Limits{}) {
		e.limits = DefaultLimits()
	}
	if e.report == nil {
		e.report = func(error) {}
	}
	root := &Resolver{departments: cfg.Departments, purposes: cfg.Purposes, offices: cfg.Offices, ages: cfg.Ages, lineage: cfg.Lineage, policies: cfg.Policies, retention: cfg.Retention, report: e.report, replays: make(chan struct{}, 1)}
	e.api = withoutDefer(generated.NewExecutableSchema(generated.Config{Resolvers: root}).Schema())
	var err error
	if e.documents, err = plan.NewDocuments(e.api, e.limits); err != nil {
		return nil, fmt.Errorf("control graph: %w", err)
	}
	e.inner = executor.New(generated.NewExecutableSchema(generated.Config{Schema: e.api, Resolvers: root}))
	e.inner.SetQueryCache(parsed{e.documents})
	e.inner.SetErrorPresenter(e.present)
	e.inner.SetRecoverFunc(e.recovered)
	e.inner.AroundFields(countField)
	return e, nil
}

// withoutDefer takes @defer, which the parser's prelude declares, out of the
// schema that introspection shows: nothing here delivers in parts.
func withoutDefer(api *ast.Schema) *ast.Schema {
	out := *api
	out.Directives = maps.Clone(api.Directives)
	delete(out.Directives, "defer")
	return &out
}

// Close releases the cache of documents.
func (e *Executor) Close() { e.documents.Close() }

// parsed hands gqlgen's executor the documents that passed ours, so that it
// never parses or validates a text itself.
type parsed struct{ documents *plan.Documents }

func (p parsed) Get(_ context.Context, text string) (*ast.QueryDocument, bool) {
	doc, errs := p.documents.Get(text)
	if len(errs) > 0 {
		return nil, false
	}
	return doc.Query, true
}

func (parsed) Add(context.Context, string, *ast.QueryDocument) {}

// CreateOperationContext refuses what exceeds the limits or is not valid. It
// reads the request from the context; without one nothing is served.
func (e *Executor) CreateOperationContext(ctx context.Context, params *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	refused := &graphql.OperationContext{
		RawQuery: params.Query, OperationName: params.OperationName, Extensions: params.Extensions, Headers: params.Headers,
		DisableIntrospection: true, RecoverFunc: graphql.DefaultRecover,
	}
	req := resolvers.RequestFrom(ctx)
	if !complete(req) {
		return refused, gqlerror.List{public(plan.Forbidden, "")}
	}
	vars, errs := e.prepare(req, params)
	if len(errs) > 0 {
		req.Reads.Kind, req.Reads.Code = "refused", string(errs[0].Code)
		return refused, refusals(errs, req.ID)
	}
	checked := *params
	checked.Variables = vars
	op, list := e.inner.CreateOperationContext(ctx, &checked)
	if len(list) > 0 {
		// Ours found nothing wrong, so this is a fault and not the reader's.
		e.report(fmt.Errorf("control graph: accepted and then refused: %w", list))
		req.Reads.Kind, req.Reads.Code = "refused", string(plan.Internal)
		return op, gqlerror.List{public(plan.Internal, req.ID)}
	}
	op.DisableIntrospection = false
	return op, nil
}

// complete reports whether a request has all that an answer needs.
func complete(req *resolvers.Request) bool {
	return req != nil && req.Subject != nil && req.Reads != nil && req.Generation != nil &&
		req.Generation.Catalogue != nil && req.Generation.Table != nil
}

// prepare reads the document and the variables, and begins the record.
func (e *Executor) prepare(req *resolvers.Request, params *graphql.RawParams) (map[string]any, plan.Errors) {
	doc, errs := e.documents.Get(params.Query)
	if len(errs) > 0 {
		return nil, errs
	}
	op, errs := doc.Operation(params.OperationName)
	if len(errs) > 0 {
		return nil, errs
	}
	vars, errs := plan.CoerceVariables(e.api, op, params.Variables, e.limits)
	if len(errs) > 0 {
		return nil, errs
	}
	reads := req.Reads
	reads.Kind, reads.Name, reads.Document = kindOf(op), op.Name, hex.EncodeToString(doc.Hash[:])
	reads.Begin(nil, 0)
	if reads.Kind == "control" {
		// The answer may tell of anything that the reader can know, so the gate
		// compares all of it when the policy changes meanwhile.
		reads.Coordinates = req.Generation.Table.Coordinates()
	}
	return vars, nil
}

// kindOf tells an operation that asks for nothing but the graph's own schema.
func kindOf(op *ast.OperationDefinition) string {
	for _, s := range op.SelectionSet {
		if f, ok := s.(*ast.Field); !ok || !strings.HasPrefix(f.Name, "__") {
			return "control"
		}
	}
	return "introspection"
}

// DispatchOperation gives the handler of an operation that
// [Executor.CreateOperationContext] has made.
func (e *Executor) DispatchOperation(ctx context.Context, op *graphql.OperationContext) (graphql.ResponseHandler, context.Context) {
	respond, ctx := e.inner.DispatchOperation(ctx, op)
	return func(ctx context.Context) *graphql.Response {
		response := respond(ctx)
		req := resolvers.RequestFrom(ctx)
		if response == nil || req == nil {
			return response
		}
		for i, err := range response.Errors {
			if err.Extensions["code"] == nil {
				response.Errors[i] = public(plan.Internal, req.ID)
				continue
			}
			err.Extensions["requestId"] = req.ID
		}
		if len(response.Errors) > 0 && req.Reads != nil {
			req.Reads.Code, _ = response.Errors[0].Extensions["code"].(string)
		}
		return response
	}, ctx
}

// DispatchError answers an operation that was refused. The list is that of
// [Executor.CreateOperationContext].
func (e *Executor) DispatchError(_ context.Context, list gqlerror.List) *graphql.Response {
	for i, err := range list {
		if err.Extensions["code"] == nil {
			list[i] = public(plan.Internal, "")
		}
	}
	return &graphql.Response{Errors: list}
}

// countField is the middleware that every field passes. The graph's fields are
// of the lowest level, and always clear: what a reader may not see is not there.
func countField(ctx context.Context, next graphql.Resolver) (any, error) {
	field, req := graphql.GetFieldContext(ctx), resolvers.RequestFrom(ctx)
	if field == nil || req == nil || req.Reads == nil {
		return nil, &plan.Error{Code: plan.Forbidden, Message: sentence(plan.Forbidden)}
	}
	// The schema's description of itself is no one's data.
	if !strings.HasPrefix(field.Object, "__") && !strings.HasPrefix(field.Field.Name, "__") {
		req.Reads.CountField(schema.Coordinate{Type: field.Object, Field: field.Field.Name}, 0, lineage.Clear)
	}
	return next(ctx)
}

// recovered reports a panic and its place.
func (e *Executor) recovered(context.Context, any) error {
	e.report(fmt.Errorf("%w: at %s", errPanic, panicPlace()))
	return errPanic
}

// panicPlace finds the function that panicked: the first below the runtime's.
func panicPlace() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	panicking := false
	for {
		f, more := frames.Next()
		if strings.HasPrefix(f.Function, "runtime.") {
			panicking = true
		} else if panicking {
			return fmt.Sprintf("%s:%d", f.Function, f.Line)
		}
		if !more {
			return "an unknown place"
		}
	}
}
