package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"syscall"
	"time"

	"github.com/weir-data/weir/internal/config"
	"github.com/weir-data/weir/internal/gateway"
	"github.com/weir-data/weir/internal/keyring"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/lineage/ledger"
	"github.com/weir-data/weir/lineage/replica"
)

// openLedger opens the log, the tree behind it and, where one is named, the
// second machine.
func (n *node) openLedger(ring *keyring.Ring) (*lineage.Log, error) {
	var err error
	if n.reading, err = openReading(n.cfg); err != nil {
		return nil, ledgerError(n.cfg.Ledger.Folder, err)
	}
	log, err := lineage.Open(lineage.Config{
		Dir: n.cfg.Ledger.Folder, Origin: n.cfg.Ledger.Origin, Reading: n.reading, Ring: ring.Fingerprints(),
		Fatal: func(err error) {
			n.log.Error("the ledger cannot be trusted any more and the process ends", "error", err.Error())
			os.Exit(ExitEnvironment)
		},
	})
	if errors.Is(err, lineage.ErrRing) {
		return nil, environment(fmt.Errorf("key ring %s is not that of the ledger %s: %w", n.cfg.Keys, n.cfg.Ledger.Folder, err),
			"restore the key ring that this ledger was keyed with from its backup (keys in weir.yaml); to begin anew, move the ledger away")
	}
	if err != nil {
		return nil, ledgerError(n.cfg.Ledger.Folder, err)
	}
	n.closing = append(n.closing, log.Close)
	n.tellRecovery(log.Recovery())
	if n.tree, err = openTree(n.cfg, log, n.reading, n.log); err != nil {
		return nil, ledgerError(n.cfg.Ledger.Folder, err)
	}
	n.closing = append(n.closing, n.tree.Close)
	return log, n.openReplica(log)
}

// tellRecovery logs what the log found of the run before: nothing is repaired in
// silence.
func (n *node) tellRecovery(r lineage.Recovery) {
	if r.RingTaken {
		n.log.Warn("the ledger did not say which key ring keyed it, and takes this one for it from now on", "ledger", n.cfg.Ledger.Folder, "keys", n.cfg.Keys)
	}
	switch {
	case r.Bytes > 0:
		n.log.Warn("the run before ended in the middle of a write of the ledger, which was cut off and is kept",
			"file", r.File, "offset", r.Offset, "bytes", r.Bytes, "kept", r.Kept, "last", r.Last.String())
	case !r.Clean:
		n.log.Warn("the run before did not close the ledger; all that it wrote is whole", "last", r.Last.String())
	}
}

// openReplica begins to keep the log on a second machine, where one is named.
func (n *node) openReplica(log *lineage.Log) error {
	r := n.cfg.Ledger.Replica
	if r.Address == "" {
		return nil
	}
	identity, sender, err := newSender(n.cfg, log, n.log)
	if err != nil {
		return err
	}
	n.sender = sender
	n.closing = append(n.closing, n.sender.Close)
	n.log.Info("the ledger is replicated", "address", r.Address, "key", identity.Public())
	return nil
}

// newSender begins to send the log to the second machine that weir.yaml names.
func newSender(cfg *config.Config, log *lineage.Log, logger *slog.Logger) (*replica.Identity, *replica.Sender, error) {
	r := cfg.Ledger.Replica
	identity, err := replica.OpenIdentity(r.Identity)
	if err != nil {
		return nil, nil, environment(err, "ledger.replica.identity in weir.yaml names the file of this node's own key")
	}
	key, err := replica.ParsePublic(r.Key)
	if err != nil {
		return nil, nil, refused(fmt.Errorf("ledger.replica.key: %w", err), "")
	}
	return identity, replica.NewSender(replica.SenderConfig{
		Dir: cfg.Ledger.Folder, Source: log, Address: r.Address, Identity: identity, Replica: key, Logger: logger,
	}), nil
}

// gateOf is the ledger as the gate sees it.
func (n *node) gateOf(log *lineage.Log) gateway.Ledger {
	if n.sender != nil {
		return gateway.ReplicatedLedger(log, n.sender)
	}
	return gateway.LedgerOf(log)
}

// ledgerError says what to do about a ledger that does not open.
func ledgerError(folder string, err error) error {
	remedy := ""
	switch {
	case errors.Is(err, lineage.ErrLocked):
		remedy = "another weir serves from this folder: stop it, or choose another state folder (state in weir.yaml, --state of a demo)"
	case errors.Is(err, syscall.ENOSPC):
		remedy = "the disk is full: free space; nothing is served without a record"
	case errors.Is(err, lineage.ErrCorrupt):
		remedy = "do not repair it by hand: keep a copy and restore the folder from its backup"
	case errors.Is(err, lineage.ErrForeign):
		remedy = "move what is not the ledger's out of its folder, or choose an empty folder for a new ledger"
	case errors.Is(err, ledger.ErrBehind):
		remedy = "do not repair it by hand: keep a copy of the folder, and restore the whole of it from one backup"
	case errors.Is(err, ledger.ErrTree):
		remedy = "keep a copy of the folder, and restore it and the ledger's key from one backup; to begin anew, move the ledger away and give it another name (ledger.origin in weir.yaml)"
	case errors.Is(err, ledger.ErrWitness):
		remedy = "start when the witnesses answer, or see to witnesses and witnessQuorum under ledger in weir.yaml"
	case errors.Is(err, keyring.ErrKeyring), errors.Is(err, keyring.ErrPermission):
		remedy = ringRemedy
	case errors.Is(err, lineage.ErrReadingKey):
		remedy = "restore the reading key (ledger.readingKey) from its backup; to begin anew, move the ledger away"
	case errors.Is(err, lineage.ErrKeyMissing):
		remedy = "restore the folder keys of the ledger from its backup: a data key goes by a signed act alone"
	case errors.Is(err, fs.ErrPermission):
		remedy = placeRemedy(err, "")
	case errors.Is(err, ledger.ErrKey):
		remedy = keyFileRemedy + "; to begin anew, move the ledger away"
	}
	return environment(fmt.Errorf("ledger %s: %w", folder, err), remedy)
}

func durability(c *config.Config) []lineage.Durability {
	out := make([]lineage.Durability, len(c.Levels))
	for i, l := range c.Levels {
		switch c.Ledger.Durability[l.Name] {
		case config.DurabilityWritten:
			out[i] = lineage.Written
		case config.DurabilityReplicated:
			out[i] = lineage.Replicated
		default:
			out[i] = lineage.Synced
		}
	}
	return out
}

func graces(c *config.Config) []time.Duration {
	out := make([]time.Duration, len(c.Levels))
	for i, l := range c.Levels {
		out[i] = c.Ledger.Replica.Grace[l.Name]
	}
	return out
}

// sealed is for how long reads are sealed, by purpose.
func sealed(c *config.Config) map[string]time.Duration {
	out := make(map[string]time.Duration)
	for _, p := range c.Purposes {
		if p.Sealed > 0 {
			out[p.ID] = p.Sealed
		}
	}
	return out
}
