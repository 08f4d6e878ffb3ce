package cli

import (
	"context"
	"errors"
	"path/filepath"
	"syscall"
	"time"

	"github.com/weir-data/weir/graph/exec"
	"github.com/weir-data/weir/internal/config"
	"github.com/weir-data/weir/internal/store"
)

// storeName is the control store's file in the state folder.
const storeName = "control.db"

// openStore opens what must outlive a restart and is no record of a read.
func (n *node) openStore(ctx context.Context, cfg *config.Config) (*store.Store, error) {
	s, err := openStoreFile(ctx, cfg)
	if err != nil {
		return nil, environment(err, storeRemedy(err))
	}
	n.closing = append(n.closing, s.Close)
	return s, nil
}

// openStoreFile opens a node's store, which one process at a time may have.
func openStoreFile(ctx context.Context, cfg *config.Config) (*store.Store, error) {
	return store.Open(ctx, store.Config{Path: filepath.Join(cfg.State, storeName), Now: time.Now, Zone: cfg.Budgets.Zone()})
}

func storeRemedy(err error) string {
	switch {
	case errors.Is(err, store.ErrLocked):
		return "another weir serves from this folder: stop it, or choose another state folder (state in weir.yaml, --state of a demo)"
	case errors.Is(err, store.ErrCorrupt):
		return "restore it from its backup; moving it away gives every spent budget of the day back"
	case errors.Is(err, store.ErrNewer):
		return "serve this folder with the version of Weir that wrote it, or a later one"
	case errors.Is(err, syscall.ENOSPC):
		return "the disk is full: free space"
	default:
		return "see that the state folder can be written, and that nothing but the store stands in the file's place"
	}
}

// budgets shows the executor the store's budgets.
type budgets struct{ store *store.Store }

var _ exec.Budgets = budgets{}

// Spend implements exec.Budgets.
func (b budgets) Spend(ctx context.Context, charges []exec.Charge) error {
	converted := make([]store.Charge, len(charges))
	for i, c := range charges {
		converted[i] = store.Charge(c)
	}
	err := b.store.Spend(ctx, converted)
	if errors.Is(err, store.ErrSpent) {
		return exec.ErrSpent
	}
	return err
}

func matchLimits(c *config.Config) exec.MatchLimits {
	return exec.MatchLimits{Reader: c.Budgets.MatchPerReader, Key: c.Budgets.MatchPerKey}
}

func aggregateLimits(c *config.Config) exec.AggregateLimits {
	limits := exec.AggregateLimits{PerDay: c.Budgets.AggregatesPerApplication, MaxRows: c.Aggregates.MaxRows}
	for _, l := range c.Levels {
		limits.Minimum = append(limits.Minimum, c.Aggregates.MinimumOf(l.Name))
	}
	return limits
}
