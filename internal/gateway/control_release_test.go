package gateway

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"

	"github.com/weir-data/weir/resolvers/control"
)

// between runs something after an operation was executed and before it reaches
// the gate.
type between struct {
	graphql.GraphExecutor
	then func()
}

func (b between) DispatchOperation(ctx context.Context, op *graphql.OperationContext) (graphql.ResponseHandler, context.Context) {
	respond, ctx := b.GraphExecutor.DispatchOperation(ctx, op)
	return func(ctx context.Context) *graphql.Response {
		response := respond(ctx)
		b.then()
		return response
	}, ctx
}

// The control graph tells what a reader holds: when he holds less, or may know
// of less, by the time the answer would leave, it does not leave.
func TestControlGraphAtRelease(t *testing.T) {
	renamed := strings.Replace(policyText, "p, clerk, police, Person.*, L4, *, all, clear, allow", "p, clerk, police, Person.*, L4, case, all, clear, allow\np, clerk, police, Person.*, L2, *, all, clear, allow", 1)
	for _, test := range []struct {
		name, policy string
		status       int
	}{
		{"nothing changed", policyText, http.StatusOK},
		{"other lines, the same decisions", renamed, http.StatusOK},
		{"others hold more", policyText + "p, guest, police, Person.*, L4, *, all, clear, allow\n", http.StatusOK},
		{"he holds less", strings.Replace(policyText, "L4", "L3", 1), http.StatusConflict},
	} {
		t.Run(test.name, func(t *testing.T) {
			executor, err := control.New(control.Config{})
			if err != nil {
				t.Fatal(err)
			}
			defer executor.Close()
			var b *bench
			b = newBench(t, func(c *Config) {
				c.Control = between{executor, func() { b.current.set(generation(t, sdlText, test.policy)) }}
			})
			w := b.do(http.MethodPost, "/control/graphql", strings.NewReader(`{"query":"{ me { holds(type: \"Person\") { fields { name access { capability } } } } }"}`), pair{"X-Weir-Purpose", "case"})
			if w.Code != test.status || (w.Code == http.StatusConflict) != (codeOf(t, w) == "POLICY_CHANGED") {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if w.Code == http.StatusConflict && strings.Contains(w.Body.String(), "idNumber") {
				t.Errorf("what he held left: %s", w.Body)
			}
		})
	}
}
