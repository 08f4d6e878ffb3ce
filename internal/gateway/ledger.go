package gateway

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/lineage/index"
	"github.com/weir-data/weir/lineage/ledger"
	"github.com/weir-data/weir/lineage/replica"
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

// ReplicatedLedger is a log whose records a second machine keeps, too.
func ReplicatedLedger(l *lineage.Log, s *replica.Sender) Ledger {
	return replicatedLedger{logLedger{l}, s}
}

type replicatedLedger struct {
	logLedger
	sender *replica.Sender
}

func (l replicatedLedger) Append(ctx context.Context, r *lineage.Record) (lineage.Position, Ticket, error) {
	p, t, err := l.log.Append(ctx, r)
	if err != nil {
		return p, nil, err
	}
	return p, replicatedTicket{t, l.sender, p.Sequence}, nil
}

// replicatedTicket waits for this machine first: the other is sent nothing else.
type replicatedTicket struct {
	here     *lineage.Ticket
	sender   *replica.Sender
	sequence uint64
}

func (t replicatedTicket) Wait(ctx context.Context, d lineage.Durability) error {
	if d != lineage.Replicated {
		return t.here.Wait(ctx, d)
	}
	if err := t.here.Wait(ctx, lineage.Synced); err != nil {
		return err
	}
	return t.sender.Wait(ctx, t.sequence)
}

// ReplicaMetrics are the figures of the second machine's copy.
func ReplicaMetrics(r *replica.Sender) []prometheus.Collector {
	gauge := func(name, help string, value func(replica.SenderStats) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(r.Stats()) })
	}
	counter := func(name, help string, value func(replica.SenderStats) float64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return value(r.Stats()) })
	}
	flag := func(is bool) float64 {
		if is {
			return 1
		}
		return 0
	}
	return []prometheus.Collector{
		gauge("weir_ledger_replica_connected", "1 while the second machine takes records.", func(s replica.SenderStats) float64 { return flag(s.Connected) }),
		gauge("weir_ledger_replica_apart", "1 while the second machine holds what is no beginning of this log.", func(s replica.SenderStats) float64 { return flag(s.Apart) }),
		gauge("weir_ledger_replica_acknowledged", "Sequence up to which the second machine has synced.", func(s replica.SenderStats) float64 { return float64(s.Acknowledged) }),
		gauge("weir_ledger_replica_behind", "Records on this disk that the second machine has not acknowledged.", func(s replica.SenderStats) float64 { return float64(s.Behind) }),
		counter("weir_ledger_replica_connections_total", "Connections to the second machine.", func(s replica.SenderStats) float64 { return float64(s.Connections) }),
		counter("weir_ledger_replica_refused_total", "Answers refused because the second machine did not acknowledge.", func(s replica.SenderStats) float64 { return float64(s.Refused) }),
	}
}

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
		counter("weir_ledger_groups_total", "Groups of records that were written and synced at once.", func(s lineage.Stats) float64 { return float64(s.Groups) }),
		counter("weir_ledger_sync_seconds_total", "Time that the syncs of these groups took.", func(s lineage.Stats) float64 { return s.SyncTime.Seconds() }),
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

// TreeMetrics are the figures of the ledger behind the log. A node whose tree
// fails is ready all the same: its answers are recorded, their proofs wait.
func TreeMetrics(l *ledger.Ledger) []prometheus.Collector {
	gauge := func(name, help string, value func(ledger.Stats) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(l.Stats()) })
	}
	return append(witnessMetrics(l), []prometheus.Collector{
		gauge("weir_ledger_tree_batches", "Leaves of the ledger's tree.", func(s ledger.Stats) float64 { return float64(s.Batches) }),
		gauge("weir_ledger_tree_waiting", "Records on disk that no checkpoint covers yet.", func(s ledger.Stats) float64 { return float64(s.Waiting) }),
		gauge("weir_ledger_tree_working", "1 while batches can be added to the tree.", func(s ledger.Stats) float64 {
			if s.Working {
				return 1
			}
			return 0
		}),
		gauge("weir_ledger_tree_checkpoint_seconds", "Unix time of the newest checkpoint.", func(s ledger.Stats) float64 {
			if s.Checkpoint.IsZero() {
				return 0
			}
			return float64(s.Checkpoint.Unix())
		}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "weir_ledger_tree_failures_total", Help: "Attempts to add to the tree that failed.",
		}, func() float64 { return float64(l.Stats().Failures) }),
	}...)
}

// IndexMetrics are the figures of the ledger's index. A node whose index is behind
// is ready all the same: what is asked about its ledger says how far it is.
func IndexMetrics(l *lineage.Log, x *index.Index) []prometheus.Collector {
	return []prometheus.Collector{prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "weir_ledger_index_behind", Help: "Records on disk that the index has not read.",
	}, func() float64 {
		reached, synced := x.Reached(), l.SyncedTo()
		if reached >= synced {
			return 0 // it may read what is not synced yet
		}
		return float64(synced - reached)
	})}
}

// witnessMetrics are the figures of each witness, by its name.
func witnessMetrics(l *ledger.Ledger) []prometheus.Collector {
	var out []prometheus.Collector
	for i, w := range l.Stats().Witnesses {
		labels := prometheus.Labels{"witness": w.Name}
		gauge := func(name, help string, value func(ledger.WitnessStats) float64) {
			out = append(out, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels},
				func() float64 { return value(l.Stats().Witnesses[i]) }))
		}
		gauge("weir_ledger_witness_batches", "Leaves of the ledger's tree that the witness has cosigned.",
			func(s ledger.WitnessStats) float64 { return float64(s.Size) })
		gauge("weir_ledger_witness_cosigned_seconds", "Unix time of the witness's newest cosignature; 0 since the start.",
			func(s ledger.WitnessStats) float64 {
				if s.Cosigned.IsZero() {
					return 0
				}
				return float64(s.Cosigned.Unix())
			})
		gauge("weir_ledger_witness_refused", "1 while the witness refuses this ledger as another than it knows.",
			func(s ledger.WitnessStats) float64 {
				if s.Refused {
					return 1
				}
				return 0
			})
		out = append(out, prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "weir_ledger_witness_failures_total", Help: "Exchanges with the witness that gave no cosignature.", ConstLabels: labels,
		}, func() float64 { return float64(l.Stats().Witnesses[i].Failures) }))
	}
	return out
}
