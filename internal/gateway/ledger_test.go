package gateway

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-data/weir/internal/keyring"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/lineage/index"
)

// TestLedgerMetrics: the log's figures are there, and tell records from the groups
// in which they were synced.
func TestLedgerMetrics(t *testing.T) {
	ring, err := keyring.Generate()
	must(t, err)
	log, err := lineage.Open(lineage.Config{Dir: t.TempDir(), Origin: "node-a", Reading: ring.Box("reading")})
	must(t, err)
	for range 3 { // each alone in its group, as nobody appends while it is waited for
		_, ticket, err := log.Append(t.Context(), &lineage.Record{RequestID: "r", Kind: "introspection", Status: "ok"})
		must(t, err)
		must(t, ticket.Wait(t.Context(), lineage.Synced))
	}
	must(t, log.Close())
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(LedgerMetrics(log)...)
	families, err := registry.Gather()
	must(t, err)
	got := make(map[string]float64)
	for _, f := range families {
		m := f.GetMetric()[0]
		got[f.GetName()] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
	}
	if took := log.Stats().SyncTime.Seconds(); took <= 0 || got["weir_ledger_sync_seconds_total"] != took {
		t.Errorf("syncs took %v s, the metric says %v", took, got["weir_ledger_sync_seconds_total"])
	}
	delete(got, "weir_ledger_sync_seconds_total")
	want := map[string]float64{
		"weir_ledger_appended_total": 3,
		"weir_ledger_groups_total":   4, // the last one ends the file
		"weir_ledger_refused_total":  0,
		"weir_ledger_queued":         0,
		"weir_ledger_available":      0, // it is closed
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestIndexBehind: the metric counts what is on disk and not in the index.
func TestIndexBehind(t *testing.T) {
	ring, err := keyring.Generate()
	must(t, err)
	dir, reading := t.TempDir(), ring.Box("reading")
	log, err := lineage.Open(lineage.Config{Dir: dir, Origin: "node-a", Reading: reading})
	must(t, err)
	defer func() { must(t, log.Close()) }()
	of := index.Config{Driver: index.SQLite, Path: filepath.Join(t.TempDir(), "index.db"), Dir: dir, Reading: reading}
	x, err := index.Open(t.Context(), of)
	must(t, err)
	defer func() { must(t, x.Close()) }()
	of.Path = filepath.Join(t.TempDir(), "index.db")
	must(t, os.WriteFile(of.Path, []byte("what is no database"), 0o600))
	damaged, err := index.Attach(t.Context(), of)
	must(t, err)
	defer func() { must(t, damaged.Close()) }()
	behind := func(x *index.Index) float64 {
		t.Helper()
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(IndexMetrics(log, x)...)
		families, err := registry.Gather()
		must(t, err)
		if len(families) != 1 || families[0].GetName() != "weir_ledger_index_behind" {
			t.Fatalf("%v", families)
		}
		return families[0].GetMetric()[0].GetGauge().GetValue()
	}
	for round := 1; round <= 2; round++ {
		for range 3 {
			_, ticket, err := log.Append(context.WithoutCancel(t.Context()), &lineage.Record{RequestID: "r", Kind: "introspection", Status: "ok"})
			must(t, err)
			must(t, ticket.Wait(t.Context(), lineage.Synced))
		}
		if got := behind(x); got < 3 {
			t.Errorf("round %d: %v behind after three records", round, got)
		}
		must(t, x.CatchUp(t.Context()))
		if got := behind(damaged); got != float64(3*round) {
			t.Errorf("round %d: %v behind of an index that cannot be read", round, got)
		}
		if got := behind(x); got != 0 {
			t.Errorf("round %d: %v behind when all are read", round, got)
		}
	}
}
