package gateway

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-data/weir/lineage"
)

// LedgerOf is the log as the gate sees it.
func LedgerOf(l *lineage.Log) Ledger { return logLedger{l} }

type logLedger struct{ log *lineage.Log }

func (l logLedger) Append(ctx context.Context, r *lineage.Record) (lineage.Position, Ticket, error) {
	p, t, err := l.log.Append(ctx, r)
	if err != nil {
		return p, nil, err
	}
	return p, t, nil
}

func (l logLedger) Healthy() error { return l.log.Healthy() }

// LedgerMetrics are the log's figures for Prometheus.
func LedgerMetrics(l *lineage.Log) []prometheus.Collector {
	counter := func(name, help string, value func(lineage.Stats) float64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return value(l.Stats()) })
	}
	gauge := func(name, help string, value func(lineage.Stats) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(l.Stats()) })
	}
	return []prometheus.Collector{
		counter("weir_ledger_appended_total", "Records given a position.", func(s lineage.Stats) float64 { return float64(s.Appended) }),
		counter("weir_ledger_refused_total", "Records refused because the ledger was unavailable.", func(s lineage.Stats) float64 { return float64(s.Refused) }),
		gauge("weir_ledger_queued", "Records that wait to be written.", func(s lineage.Stats) float64 { return float64(s.Queued) }),
		gauge("weir_ledger_available", "1 while records can be written.", func(s lineage.Stats) float64 {
			if s.Available {
				return 1
			}
			return 0
		}),
	}
}
