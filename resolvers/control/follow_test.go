package control_test

import (
	"context"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"

	"github.com/weir-data/weir/lineage/index"
	"github.com/weir-data/weir/resolvers"
	"github.com/weir-data/weir/resolvers/control"
)

// broken is an index at fault.
type broken struct{ control.Index }

func (broken) Reads(context.Context, index.Filter, int, *index.Place) (index.Page, error) {
	panic("canary")
}

// TestFollowFaults: a fault ends the stream that met it, and is reported by its
// place; the process goes on.
func TestFollowFaults(t *testing.T) {
	cfg, _ := newLedger(t)
	cfg.Index = broken{cfg.Index}
	var reported []string
	e := newExecutor(t, control.Config{Lineage: cfg, Report: func(err error) { reported = append(reported, err.Error()) }})
	req := owner()
	req.Generation = generation(t)
	ctx := resolvers.WithRequest(graphql.StartOperationTrace(t.Context()), req)
	op, list := e.CreateOperationContext(ctx, &graphql.RawParams{Query: `subscription { readsOfMyDepartment { receipt } }`})
	if len(list) > 0 {
		t.Fatal(list)
	}
	respond, ctx := e.DispatchOperation(ctx, op)
	if r := respond(ctx); r != nil {
		t.Errorf("an answer: %s, %v", r.Data, r.Errors)
	}
	if len(reported) != 1 || !strings.Contains(reported[0], "broken.Reads") || strings.Contains(reported[0], "canary") {
		t.Errorf("reported %q", reported)
	}
}

// TestOneStream: a subscription that selects several roots, or might select
// none, is not valid.
func TestOneStream(t *testing.T) {
	cfg, _ := newLedger(t)
	e := newExecutor(t, control.Config{Lineage: cfg})
	for query, want := range map[string]string{
		`subscription { a: readsOfMyDepartment { receipt } b: readsOfMyDepartment { receipt } }`:                                 "GRAPHQL_VALIDATION_FAILED: Anonymous Subscription must select only one top level field.",
		`subscription S { ...F } fragment F on Subscription { a: readsOfMyDepartment { receipt } readsOfMyDepartment { time } }`: `GRAPHQL_VALIDATION_FAILED: Subscription "S" must select only one top level field.`,
		`subscription { readsOfMyDepartment @skip(if: true) { receipt } }`:                                                       "GRAPHQL_VALIDATION_FAILED: Anonymous Subscription must not use @skip or @include in the top level selection.",
		`subscription($s: Boolean!) { ... @include(if: $s) { readsOfMyDepartment { receipt } } }`:                                "GRAPHQL_VALIDATION_FAILED: Anonymous Subscription must not use @skip or @include in the top level selection.",
		`subscription { __typename }`: "GRAPHQL_VALIDATION_FAILED: Anonymous Subscription must not select an introspection top level field.",
		`subscription { readsOfMyDepartment { receipt } ...F } fragment F on Subscription { readsOfMyDepartment { time @skip(if: false) } }`: "",
	} {
		req := owner()
		req.Generation = generation(t)
		ctx := resolvers.WithRequest(graphql.StartOperationTrace(t.Context()), req)
		_, list := e.CreateOperationContext(ctx, &graphql.RawParams{Query: query, Variables: map[string]any{"s": true}})
		got := ""
		if len(list) > 0 {
			code, _ := list[0].Extensions["code"].(string)
			got = code + ": " + list[0].Message
		}
		if got != want || len(list) > 1 {
			t.Errorf("%s: %q", query, got)
		}
	}
}
