package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-data/weir/internal/config"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/lineage/ledger"
	"github.com/weir-data/weir/lineage/verify"
)

func (s *streams) lineageArchive() *cobra.Command {
	var w whichNode
	var to, before string
	var wait time.Duration
	c := &cobra.Command{
		Use: "archive --to FOLDER", Short: "Move old segments of a stopped node's ledger into an archive", Args: cobra.NoArgs,
		Long: `Verifies the ledger, and then moves whole segments out of its folder, oldest first:
those whose records are all under a checkpoint (a cosigned one, where there are
witnesses), in the index, and on the second machine, where there is one. Each is
copied, synced and read back before it goes; the ledger records what went.

The newest segments stay. Keys and tree stay as well: the archive is checked with
weir lineage verify FOLDER --archive ARCHIVE, and show, prove, tail, reconcile,
export --openlineage and reindex take --archive, too. One archive may take segments
many times. No server may have the ledger meanwhile.`,
		Example: "  weir lineage archive --to /archive/node-a --before 2025-01-01",
		RunE: func(c *cobra.Command, _ []string) error {
			if to == "" || isFile(to) {
				return &exitError{ExitUsage, fmt.Errorf("--to %q is no folder", to), "name the folder of the archive; it is made if it is missing"}
			}
			if wait < 0 {
				return &exitError{ExitUsage, fmt.Errorf("--wait %s is not a time to come", wait), "such as 30s"}
			}
			a := lineage.Archiving{To: to}
			if before != "" {
				var err error
				if a.Before, err = time.Parse(time.DateOnly, before); err != nil {
					return &exitError{ExitUsage, fmt.Errorf("--before %q is no day", before), "such as 2025-01-01, UTC"}
				}
			}
			return s.archive(c.Context(), &w, a, wait)
		},
	}
	w.flags(c)
	c.Flags().StringVar(&to, "to", "", "folder of the archive, made if missing")
	c.Flags().StringVar(&before, "before", "", "move only segments that were done with before this day, UTC")
	c.Flags().DurationVar(&wait, "wait", 30*time.Second, "how long the second machine may take to have everything that is moved")
	_ = c.MarkFlagRequired("to")
	return c
}

func (s *streams) archive(ctx context.Context, w *whichNode, a lineage.Archiving, wait time.Duration) error {
	n, err := openStopped(ctx, w, "stop the server that has this ledger: segments are moved while nobody reads them",
		"the archiving is recorded, and records need their key: the file that ledger.readingKey names")
	if err != nil {
		return err
	}
	defer n.close()
	if err := outside(n.cfg.Ledger.Folder, a.To); err != nil {
		return err
	}
	// Before the log is opened, which writes: what was tampered with stays as it is.
	if a.Limit, err = settled(ctx, n.cfg, n.reading); err != nil {
		return err
	}
	log, err := n.openLog()
	if err != nil {
		return err
	}
	if err := acknowledged(ctx, n.cfg, log, a.Limit, wait); err != nil {
		return errors.Join(err, log.Close())
	}
	moved, err := log.Archive(ctx, a)
	if err := errors.Join(err, log.Close()); err != nil {
		return environment(fmt.Errorf("archive: %w", err), placeRemedy(err, "see to the place that is named")+"; nothing is lost: the same command again goes on where it was")
	}
	if len(moved) == 0 {
		s.printf("nothing to archive: no whole segment is old enough, under a checkpoint and indexed, and not among the newest\n")
		return nil
	}
	first, last := moved[0], moved[len(moved)-1]
	s.printf("archived segments %d to %d, records %d to %d, in %s; check them with: weir lineage verify %s --archive %s --key ...\n",
		first.Ordinal, last.Ordinal, first.First, last.Last, a.To, n.cfg.Ledger.Folder, a.To)
	return nil
}

// settled is the record up to which everything is proven to be under a checkpoint,
// and in the index.
func settled(ctx context.Context, cfg *config.Config, reading lineage.Sealer) (uint64, error) {
	key, err := ledger.LoadKey(cfg.Ledger.Key, cfg.Ledger.Origin)
	if err != nil {
		return 0, environment(err, keyFileRemedy+"; ledger.key in weir.yaml names it")
	}
	o := verify.Options{Key: key.Public()}
	for _, w := range cfg.Ledger.Witnesses {
		o.Witnesses = append(o.Witnesses, w.Key)
	}
	report, err := verify.Folder(ctx, cfg.Ledger.Folder, o)
	var f *verify.TamperError
	switch {
	case errors.As(err, &f) && f.Unwitnessed:
		return 0, environment(errors.New("no witness has cosigned the newest checkpoint"),
			"nothing was moved: let the node run while a witness answers (ledger.witnesses in weir.yaml), and stop it again")
	case err != nil:
		return 0, verdict(err)
	}
	asOf, err := readOn(ctx, indexConfig(cfg, reading))
	if err != nil {
		return 0, environment(indexError(cfg, err), indexRemedy(err))
	}
	indexed := uint64(0)
	for _, at := range asOf {
		if at.Origin == cfg.Ledger.Origin {
			indexed = at.Sequence
		}
	}
	return min(report.Covered, indexed), nil
}

// acknowledged waits until the second machine, where there is one, has synced
// everything up to a record.
func acknowledged(ctx context.Context, cfg *config.Config, log *lineage.Log, limit uint64, wait time.Duration) error {
	if cfg.Ledger.Replica.Address == "" {
		return nil
	}
	_, sender, err := newSender(cfg, log, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	err = sender.Wait(ctx, limit)
	stats := sender.Stats()
	err = errors.Join(err, sender.Close())
	switch {
	case err == nil:
		return nil
	case stats.Apart:
		return environment(fmt.Errorf("the second machine at %s holds another log", cfg.Ledger.Replica.Address),
			"nothing was moved: it is the copy of another node, or of another past of this one; see ledger.replica in weir.yaml")
	case stats.Connections > 0:
		return environment(fmt.Errorf("the second machine has records up to %d, and up to %d would be archived", stats.Acknowledged, limit),
			"nothing was moved: give it longer with --wait, or see what keeps it")
	default:
		return environment(fmt.Errorf("there is no connection to the second machine at %s, which must have what would be archived", cfg.Ledger.Replica.Address),
			"nothing was moved: see that it runs, and that ledger.replica in weir.yaml is its address and key")
	}
}

// uncutLog refuses a log that ends before what its tree commits to: what would be
// written from it, or behind it, would be of a ledger that was cut.
func uncutLog(cfg *config.Config, archive string) error {
	key, err := ledger.LoadKey(cfg.Ledger.Key, cfg.Ledger.Origin)
	if err != nil {
		return environment(err, placeRemedy(err, keyFileRemedy))
	}
	committed, err := ledger.Committed(cfg.Ledger.Folder, key.Public())
	if err != nil {
		return ledgerError(cfg.Ledger.Folder, err)
	}
	if committed == 0 {
		return nil
	}
	for _, err := range lineage.Read(lineage.Folder{Dir: cfg.Ledger.Folder, Archive: archive}, committed) {
		if err != nil {
			return ledgerError(cfg.Ledger.Folder, err)
		}
		return nil
	}
	return ledgerError(cfg.Ledger.Folder, fmt.Errorf("%w: up to %d, the log ends before that", ledger.ErrBehind, committed))
}

// wholeLog refuses a log whose beginning was archived where it is not named.
func wholeLog(folder, archive string, knowingly bool) error {
	for e, err := range lineage.Read(lineage.Folder{Dir: folder, Archive: archive}, 0) {
		if err != nil {
			return ledgerError(folder, err)
		}
		if e.Position.Sequence > 1 && !knowingly {
			return refused(fmt.Errorf("records 1 to %d are not in %s: they were archived", e.Position.Sequence-1, folder),
				"name the archive with --archive, or accept with --without-archive that no answer has them any more")
		}
		break
	}
	return nil
}
