package gateway

import (
	"fmt"
	"net"
	"net/http"
)

// Pages hold constants and figures of the process: nothing of the departments'
// data, nothing of a reader.

func page(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text)
}

// health is the process: it answers.
func (f *Front) health(w http.ResponseWriter, _ *http.Request) { page(w, http.StatusOK, "ok") }

// ready is a good generation and a writable ledger. A department that is down
// is no reason to take the node out.
func (f *Front) ready(w http.ResponseWriter, _ *http.Request) {
	if f.cfg.Generations.Current() == nil {
		page(w, http.StatusServiceUnavailable, "no schema and policy are loaded")
		return
	}
	if f.cfg.Ledger.Healthy() != nil {
		page(w, http.StatusServiceUnavailable, "the ledger cannot be written")
		return
	}
	page(w, http.StatusOK, "ready")
}

// localMetrics keeps the figures for the machine itself: what a proxy on it passes
// on comes from elsewhere.
func (f *Front) localMetrics(w http.ResponseWriter, r *http.Request) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	passedOn := false
	for _, name := range [...]string{"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip"} {
		passedOn = passedOn || len(r.Header.Values(name)) > 0
	}
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() || passedOn {
		page(w, http.StatusForbidden, "metrics are for this machine; set server.metrics for an address of their own")
		return
	}
	f.cfg.Metrics.Handler().ServeHTTP(w, r)
}

// sdl serves the data API's schema to readers with a token. Asking for it is
// recorded like an introspection.
type sdl struct{ front *Front }

// ServeHTTP answers one request.
func (s *sdl) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g := &graph{front: s.front, name: "sdl", kind: "introspection"}
	x := &exchange{graph: g, gate: newGate(w, s.front), started: s.front.cfg.Now()}
	x.id = requestID(r.Header, s.front.cfg.Random)
	w.Header().Set("X-Request-Id", x.id)
	s.front.cfg.Metrics.begin(g.name)
	defer x.end(r)
	if r.Method != http.MethodGet {
		x.misuse(r, "GET")
		return
	}
	if why := x.identify(r); why != nil {
		x.fail(r, why)
		return
	}
	// It tells of all that the reader may know.
	x.request.Reads.Coordinates = x.request.Generation.Table.Coordinates()
	text, refused := x.request.Generation.SDL(x.subject.Profile(""))
	if refused != nil {
		x.fail(r, &refusal{code: refused[0].Code})
		return
	}
	x.gate.text(x, "text/plain; charset=utf-8", []byte(text))
}
