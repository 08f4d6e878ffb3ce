// Package gateway is the HTTP front of both graphs: transport, limits,
// authentication, the release gate, errors and health.
//
// It promises that no body of a graph leaves before the record of its reads is
// where the level of the data demands it to be, that a reader is who a verified
// token says and nothing else says so, and that neither a body nor a token nor
// a value is logged or echoed. It decides nothing about fields: that is done
// when a request reaches the release gate.
package gateway

import (
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// Generations gives the generation that a request runs under.
type Generations interface {
	// Current is nil as long as no good revision was loaded.
	Current() *plan.Generation
}

// Keys turn identifiers into what a record may hold. *keyring.Ring is one.
type Keys interface {
	// Pseudonym is stable per use, and cannot be computed without the key ring.
	Pseudonym(use, s string) string
	// Tag is a short keyed digest.
	Tag(use string, text []byte) [8]byte
}

// Config wires a Front. Fields without a remark are needed.
type Config struct {
	Data    graphql.GraphExecutor
	Control graphql.GraphExecutor // nil: no control graph

	Generations   Generations
	Authenticator Authenticator
	Revocations   Revocations // nil: nothing is revoked
	Offices       Offices
	Ledger        Ledger
	Keys          Keys

	// Durability is what an answer waits for, by rank; ranks beyond it wait
	// for lineage.Synced.
	Durability []lineage.Durability
	// Grace is, by rank, how long an answer that waits for lineage.Replicated
	// does before it is refused; ranks without one wait as long as all do.
	Grace []time.Duration
	// Purposes are the registered ones.
	Purposes []string
	// Sealed is for how long records are shown to auditors alone, by purpose, in
	// whole seconds.
	Sealed map[string]time.Duration
	// BodyLimit bounds a request's body in bytes.
	BodyLimit int
	// Concurrent bounds the requests executed at once, and the streams open at
	// once; QueueTimeout is how long a request waits for its turn.
	Concurrent   int
	QueueTimeout time.Duration
	// RequestTimeout bounds the execution of one request.
	RequestTimeout time.Duration

	// Console is served at "/"; nil for none.
	Console *Console
	// MetricsElsewhere leaves /metrics to a listener of its own; without it
	// /metrics answers loopback addresses only.
	MetricsElsewhere bool

	Metrics *Metrics
	Log     *slog.Logger
	Now     func() time.Time
	Random  io.Reader // nil: crypto/rand
}

// Front is the HTTP front. It is safe for concurrent use.
type Front struct {
	cfg       Config
	tokens    *tokenCache
	turns     chan struct{}
	streams   chan struct{}
	stopping  chan struct{} // closed when no request is taken any more
	stop      sync.Once
	strangers *strangers
	bodies    buffers // of requests
	answers   buffers // of small answers
	patience  patience
}

var errIncomplete = errors.New("gateway: the configuration lacks a part")

// New checks that nothing is missing: a front without a part that protects does
// not start.
func New(cfg Config) (*Front, error) {
	if cfg.Data == nil || cfg.Generations == nil || cfg.Authenticator == nil || cfg.Ledger == nil || cfg.Keys == nil ||
		cfg.Metrics == nil || cfg.Log == nil || cfg.Now == nil || cfg.BodyLimit <= 0 || cfg.Concurrent <= 0 ||
		cfg.QueueTimeout <= 0 || cfg.RequestTimeout <= 0 || len(cfg.Durability) == 0 {
		return nil, errIncomplete
	}
	if cfg.Random == nil {
		cfg.Random = rand.Reader
	}
	cfg.Purposes = slices.Clone(cfg.Purposes)
	f := &Front{
		cfg:       cfg,
		turns:     make(chan struct{}, cfg.Concurrent),
		streams:   make(chan struct{}, cfg.Concurrent),
		stopping:  make(chan struct{}),
		strangers: newStrangers(cfg.Log, cfg.Now),
		patience:  patience{now: time.Now},
	}
	f.tokens = newTokenCache(cfg.Authenticator, cfg.Now, f.newReader)
	return f, nil
}

// Handler routes the paths of the front. Every answer carries the headers that
// keep it out of caches and of other sites.
func (f *Front) Handler() http.Handler {
	// Assigning the values is several times cheaper than Header.Set, and this
	// happens on every request; a handler that adds to one appends to a full slice,
	// which copies it.
	everywhere := http.Header{
		"Cache-Control":           {"no-store"},
		"Vary":                    {"Authorization, Accept"},
		"X-Content-Type-Options":  {"nosniff"},
		"Content-Security-Policy": {"default-src 'none'; frame-ancestors 'none'"},
	}
	// What the data graph answers no browser takes for a page or a part of one.
	pages := http.Header{
		"X-Frame-Options":              {"DENY"},
		"Referrer-Policy":              {"no-referrer"},
		"Cross-Origin-Resource-Policy": {"same-origin"},
	}
	mux := http.NewServeMux()
	data := &graph{front: f, name: "data", kind: "query", executor: f.cfg.Data, registered: true}
	mux.Handle("/graphql", data)
	if f.cfg.Control != nil {
		mux.Handle("/control/graphql", &graph{front: f, name: controlName, kind: "control", executor: f.cfg.Control, streams: true})
	}
	mux.Handle("/schema.graphql", &sdl{front: f})
	mux.HandleFunc("/healthz", f.health)
	mux.HandleFunc("/readyz", f.ready)
	if !f.cfg.MetricsElsewhere {
		mux.HandleFunc("/metrics", f.localMetrics)
	}
	if f.cfg.Console != nil {
		mux.Handle("/", f.cfg.Console)
	} else {
		mux.HandleFunc("/", http.NotFound)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		maps.Copy(h, everywhere)
		if len(r.TransferEncoding) > 0 {
			// net/http takes a body in chunks whatever length was stated beside it, and
			// no longer tells. A proxy that went by the length would take what follows
			// for the next reader's: nothing follows (RFC 9112, 6.1).
			h["Connection"] = []string{"close"}
		}
		// Nearly all requests are for this path: a comparison finds it sooner
		// than the tree of patterns does.
		if r.URL.Path == "/graphql" {
			data.ServeHTTP(w, r)
			return
		}
		maps.Copy(h, pages)
		mux.ServeHTTP(w, r)
	})
}

// durability is what an answer of the level waits for.
func (f *Front) durability(level schema.Rank) lineage.Durability {
	if int(level) < len(f.cfg.Durability) {
		return f.cfg.Durability[level]
	}
	return lineage.Synced
}

// ledgerPatience is how long an answer waits for its record before it is
// refused.
const ledgerPatience = 10 * time.Second

// grace is how long an answer of the level waits for the second machine.
func (f *Front) grace(level schema.Rank) time.Duration {
	if int(level) < len(f.cfg.Grace) && f.cfg.Grace[level] > 0 {
		return min(f.cfg.Grace[level], ledgerPatience)
	}
	return ledgerPatience
}

// mayState reports whether the purpose is registered and open to the reader.
func (f *Front) mayState(s *authz.Subject, purpose string) bool {
	return slices.Contains(f.cfg.Purposes, purpose) && slices.Contains(s.Purposes, purpose)
}
