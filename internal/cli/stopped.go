package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/weir-data/weir/internal/config"
	"github.com/weir-data/weir/internal/store"
	"github.com/weir-data/weir/lineage"
)

// stopped is a node that no server has, as commands need it that write to its
// ledger or its index.
type stopped struct {
	cfg     *config.Config
	control *store.Store // as long as it is open, no server has the node
	reading lineage.Sealer
}

// openStopped takes the node of a configuration; whoever calls it closes it. The
// remedies are for a node that a server has, and for one whose records cannot be
// read.
func openStopped(ctx context.Context, w *whichNode, running, unread string) (*stopped, error) {
	cfg, err := w.load()
	if err != nil {
		return nil, err
	}
	if !isFolder(cfg.Ledger.Folder) {
		return nil, environment(fmt.Errorf("no ledger in %s", cfg.Ledger.Folder), "start the server once, or name its configuration with --config")
	}
	control, err := openStoreFile(ctx, cfg)
	switch {
	case errors.Is(err, store.ErrLocked):
		return nil, environment(err, running)
	case err != nil:
		return nil, environment(err, storeRemedy(err))
	}
	reading, err := loadReading(cfg.Ledger.ReadingKey)
	if err != nil {
		return nil, errors.Join(environment(err, placeRemedy(err, unread)), control.Close())
	}
	return &stopped{cfg, control, reading}, nil
}

// close lets others have the node again. Nothing was written to its store.
func (n *stopped) close() { _ = n.control.Close() }

// openLog opens the node's log for writing.
func (n *stopped) openLog() (*lineage.Log, error) {
	log, err := lineage.Open(lineage.Config{Dir: n.cfg.Ledger.Folder, Origin: n.cfg.Ledger.Origin, Reading: n.reading})
	if err != nil {
		return nil, ledgerError(n.cfg.Ledger.Folder, err)
	}
	return log, nil
}
