package gateway

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/weir-data/weir/graph/plan"
)

// Metrics are the node's figures for Prometheus. Labels are graphs, status
// codes and error codes: closed sets, never a name or a value of a reader's.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	running  *prometheus.GaugeVec
	refused  prometheus.Counter
	reloads  *prometheus.CounterVec
	loadedAt prometheus.Gauge

	// graphs keeps each graph's figures at hand: to find them by their labels on
	// every request would cost more than to count it.
	graphs sync.Map // of *graphMetrics by name
}

// graphMetrics are the figures of one graph.
type graphMetrics struct {
	running  prometheus.Gauge
	seconds  prometheus.Observer
	answered sync.Map // prometheus.Counter by outcomeLabels
}

type outcomeLabels struct {
	status int
	code   plan.Code
}

// NewMetrics makes a registry of its own.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_requests_total", Help: "Answered requests by graph, HTTP status and error code.",
		}, []string{"graph", "status", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "weir_request_seconds", Help: "Time from the request to its answer, its record included.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"graph"}),
		running: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "weir_requests_running", Help: "Requests being answered.",
		}, []string{"graph"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_unrecorded_total", Help: "Answers not served because their record could not be written.",
		}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_generations_total", Help: "Revisions of schema and policy by outcome.",
		}, []string{"outcome"}),
		loadedAt: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "weir_generation_loaded_seconds", Help: "Unix time at which the current generation was loaded.",
		}),
	}
	m.registry.MustRegister(m.requests, m.seconds, m.running, m.refused, m.reloads, m.loadedAt,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// DepartmentMetrics are the figures of departments.
func DepartmentMetrics(departments []string, statements func(department string) uint64) (out []prometheus.Collector) {
	for _, d := range departments {
		out = append(out, prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "weir_department_statements_total", Help: "Statements that a department was sent for requests; fetches that travel together are one.",
			ConstLabels: prometheus.Labels{"department": d},
		}, func() float64 { return float64(statements(d)) }))
	}
	return out
}

// Register adds figures of another part, as those of the ledger.
func (m *Metrics) Register(c ...prometheus.Collector) { m.registry.MustRegister(c...) }

// Handler serves the figures.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError})
}

func (m *Metrics) of(graph string) *graphMetrics {
	if g, ok := m.graphs.Load(graph); ok {
		return g.(*graphMetrics)
	}
	g, _ := m.graphs.LoadOrStore(graph, &graphMetrics{
		running: m.running.WithLabelValues(graph), seconds: m.seconds.WithLabelValues(graph),
	})
	return g.(*graphMetrics)
}

func (m *Metrics) begin(graph string) { m.of(graph).running.Inc() }

func (m *Metrics) end(graph string, code plan.Code, status int, took time.Duration) {
	g := m.of(graph)
	g.running.Dec()
	labels := outcomeLabels{status, code}
	counter, ok := g.answered.Load(labels)
	if !ok {
		// The counter of these labels is one, whoever asks for it first.
		counter, _ = g.answered.LoadOrStore(labels, m.requests.WithLabelValues(graph, strconv.Itoa(status), string(code)))
	}
	counter.(prometheus.Counter).Inc()
	g.seconds.Observe(took.Seconds())
}

func (m *Metrics) unrecorded() { m.refused.Inc() }

func (m *Metrics) reloaded(outcome string, at time.Time) {
	m.reloads.WithLabelValues(outcome).Inc()
	if outcome == "loaded" {
		m.loadedAt.Set(float64(at.Unix()))
	}
}
