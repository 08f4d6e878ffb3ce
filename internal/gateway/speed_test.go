package gateway

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// discard is a response that costs nothing.
type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }

func BenchmarkFront(b *testing.B) {
	f := newBench(&testing.T{}, func(c *Config) { c.Log = slog.New(slog.NewJSONHandler(io.Discard, nil)) })
	f.respond = reads(3, `{"person":{"name":"x"}}`)
	body := `{"query":"query P($id: String!) { person(idNumber: $id) { name district } }","variables":{"id":"990001198510290004"}}`
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer clerk")
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Weir-Purpose", "case")
		f.handler.ServeHTTP(&discard{http.Header{}}, r)
		f.params = f.params[:0]
		f.ledger.records, f.ledger.waited = f.ledger.records[:0], f.ledger.waited[:0]
	}
}
