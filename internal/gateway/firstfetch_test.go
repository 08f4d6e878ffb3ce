package gateway

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/graph/exec"
	"github.com/weir-data/weir/internal/keyring"
)

// instant is a source of one person that notes when it was asked.
type instant struct {
	columns int
	asked   time.Time
}

func (*instant) Capabilities() adapters.Capabilities {
	return adapters.Capabilities{Engine: "instant", Exists: true, NestedLimit: true, MaxKeys: 100}
}

func (s *instant) Compile(shape *adapters.Shape) (adapters.Statement, error) {
	s.columns = len(shape.Columns)
	return s, nil
}

func (*instant) Close() error { return nil }

func (*instant) String() string { return "instant" }

func (s *instant) Fetch(context.Context, []adapters.Arg, *adapters.Keys) (adapters.Rows, error) {
	s.asked = time.Now()
	return &person{columns: s.columns}, nil
}

type person struct {
	columns int
	read    bool
}

func (p *person) Next(b *adapters.Batch) error {
	b.Reset(p.columns)
	if p.read {
		return io.EOF
	}
	p.read = true
	for range p.columns {
		b.Data = append(b.Data, "990001198510290004"...)
		b.EndCell(false, false)
	}
	b.EndRow(0, 0, 0, true)
	return nil
}

func (*person) Close() error { return nil }

const pointBody = `{"query":"query P($id: String!) { person(idNumber: $id) { idNumber name } }","variables":{"id":"990001198510290004"}}`

// asking gives a handler over the real executor, whose plan for pointBody is
// cached, and how long the given request took until the source was asked.
func asking(t *testing.T) func() time.Duration {
	t.Helper()
	source := &instant{}
	f := newBench(t, func(c *Config) {
		c.Log = slog.New(slog.DiscardHandler)
		ring, ok := c.Keys.(*keyring.Ring)
		if !ok {
			t.Fatal("the keys are no ring")
		}
		executor, err := exec.New(exec.Config{Adapters: map[string]adapters.Adapter{"police": source}, Keys: ring})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(executor.Close)
		c.Data = executor
	})
	answer := httptest.NewRecorder()
	ask := func(w http.ResponseWriter) time.Duration {
		r := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(pointBody))
		r.Header.Set("Authorization", "Bearer clerk")
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Weir-Purpose", "case")
		start := time.Now()
		f.handler.ServeHTTP(w, r)
		f.ledger.records, f.ledger.waited = f.ledger.records[:0], f.ledger.waited[:0]
		return source.asked.Sub(start)
	}
	ask(answer)
	if got := answer.Body.String(); answer.Code != http.StatusOK || !strings.HasPrefix(got, `{"data":{"person":{"idNumber":"990001198510290004"`) {
		t.Fatalf("%d %s", answer.Code, got)
	}
	for range 100 {
		ask(&discard{http.Header{}})
	}
	return func() time.Duration { return ask(&discard{http.Header{}}) }
}

// BenchmarkFirstFetch is a request with a cached plan; first-fetch-ns is the time
// from its bytes to the source being asked.
func BenchmarkFirstFetch(b *testing.B) {
	ask := asking(&testing.T{})
	b.ReportAllocs()
	var sum time.Duration
	n := 0
	for b.Loop() {
		sum += ask()
		n++
	}
	b.ReportMetric(float64(sum.Nanoseconds())/float64(n), "first-fetch-ns/op")
}

// TestRequestAllocations: a cached point query from its bytes to its answer, the
// record in a ledger that keeps nothing included, stays within its budget of
// allocations.
func TestRequestAllocations(t *testing.T) {
	if os.Getenv("WEIR_SMALL") != "" {
		t.Skip("SKIPPED: the race detector allocates, too")
	}
	ask := asking(t)
	const most = 90
	if got := testing.AllocsPerRun(200, func() { ask() }); got > most {
		t.Errorf("%.0f allocations, at most %d", got, most)
	} else {
		t.Logf("%.0f allocations", got)
	}
}
