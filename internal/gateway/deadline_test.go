package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/weir-data/weir/resolvers"
)

// timelyExecutor ends operations by the request's deadline.
type timelyExecutor struct{ *fakeExecutor }

func (timelyExecutor) Timely() {}

// TestDeadline: an operation has an end, in the request for an executor that
// keeps to it, and in the context for every other.
func TestDeadline(t *testing.T) {
	for _, timely := range []bool{false, true} {
		b := newBench(t, func(c *Config) {
			if fake, ok := c.Data.(*fakeExecutor); ok && timely {
				c.Data = timelyExecutor{fake}
			}
		})
		asked := false
		b.respond = func(ctx context.Context) *graphql.Response {
			asked = true
			end, bounded := ctx.Deadline()
			if bounded == timely {
				t.Errorf("timely %t: the context has a deadline: %t", timely, bounded)
			}
			if timely {
				end = resolvers.RequestFrom(ctx).Deadline
			}
			if left := time.Until(end); left <= 0 || left > 5*time.Second {
				t.Errorf("timely %t: it ends in %v", timely, left)
			}
			return &graphql.Response{Data: json.RawMessage(`{}`)}
		}
		r := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(`{"query":"{ a }"}`))
		r.Header.Set("Authorization", "Bearer clerk")
		r.Header.Set("Content-Type", "application/json")
		b.handler.ServeHTTP(httptest.NewRecorder(), r)
		if !asked {
			t.Fatal("it was not executed")
		}
	}
}
