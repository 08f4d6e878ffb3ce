package gateway

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-data/weir/internal/keyring"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/lineage/index"
)

// TestIndexBehind: the metric counts what is on disk and not in the index.
func TestIndexBehind(t *testing.T) {
	ring, err := keyring.Generate()
	must(t, err)
	dir, reading := t.TempDir(), ring.Box("reading")
	log, err := lineage.Open(lineage.Config{Dir: dir, Origin: "node-a", Reading: reading})
	must(t, err)
	defer func() { must(t, log.Close()) }()
	x, err := index.Open(t.Context(), index.Config{Driver: index.SQLite, Path: filepath.Join(t.TempDir(), "index.db"), Dir: dir, Reading: reading})
	must(t, err)
	defer func() { must(t, x.Close()) }()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(IndexMetrics(log, x)...)
	behind := func() float64 {
		t.Helper()
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
		if got := behind(); got < 3 {
			t.Errorf("round %d: %v behind after three records", round, got)
		}
		must(t, x.CatchUp(t.Context()))
		if got := behind(); got != 0 {
			t.Errorf("round %d: %v behind when all are read", round, got)
		}
	}
}
