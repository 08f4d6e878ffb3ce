package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-data/weir/internal/config"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/lineage/index"
)

func indexConfig(c *config.Config, reading lineage.Sealer) index.Config {
	i := c.Ledger.Index
	return index.Config{Driver: i.Driver, Path: i.Path, URL: i.URL.Reveal(), Dir: c.Ledger.Folder, Reading: reading}
}

// indexConfig is that of an index which gives way to the node's requests.
func (n *node) indexConfig() index.Config {
	cfg := indexConfig(n.cfg, n.reading)
	cfg.Load = func() index.Load { return load(n.front.Running(), runtime.GOMAXPROCS(0)) }
	return cfg
}

// openIndex opens the ledger's index, and follows the log beside the server.
func (n *node) openIndex(ctx context.Context) (*index.Index, error) {
	x, err := index.Attach(ctx, n.indexConfig())
	if err != nil {
		return nil, environment(indexError(n.cfg, err), indexRemedy(err))
	}
	n.closing = append(n.closing, x.Close)
	if err := x.Check(ctx); index.Bearable(err) {
		n.log.Error("the ledger's index cannot be used: questions about the ledger are refused", "error", indexError(n.cfg, err).Error(), "remedy", indexRemedy(err))
	}
	// One that is new begins where the log does.
	asOf, err := x.AsOf(ctx)
	if err == nil && len(asOf) == 0 {
		if absent := wholeLog(n.cfg.Ledger.Folder, "", false); absent != nil {
			n.log.Warn("the ledger's index is new, and begins behind what was archived: make it anew with weir lineage reindex --archive", "finding", absent.Error())
		}
	}
	n.following = append(n.following, func(ctx context.Context) error { return n.followLog(ctx, x) })
	return x, nil
}

// load tells how much requests want the processors: fully when at least half as
// many run as there are threads to run them.
func load(running, threads int) index.Load {
	switch {
	case running == 0:
		return index.Idle
	case running < threads/2:
		return index.Light
	default:
		return index.Full
	}
}

// followLog keeps the index up with the log. The index is derived: that it is
// behind, or broken, is no reason not to serve; every answer says how far it is.
func (n *node) followLog(ctx context.Context, x *index.Index) error {
	const most = time.Minute
	for pause := time.Second; ; pause = min(2*pause, most) {
		err := x.Run(ctx)
		if err == nil || ctx.Err() != nil {
			return nil
		}
		n.log.Error("the ledger's index does not go on; answers about the ledger stay behind", "error", indexError(n.cfg, err).Error(), "remedy", indexRemedy(err), "retryIn", pause.String())
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

func indexRemedy(err error) string {
	if errors.Is(err, index.ErrForeign) || errors.Is(err, index.ErrFormat) || errors.Is(err, index.ErrDamaged) {
		return "stop the server and run weir lineage reindex: the index is made anew from the log, nothing is lost"
	}
	if errors.Is(err, index.ErrStranger) {
		return "ledger.index in weir.yaml must name the index's own file, or one that is not there yet; in PostgreSQL a schema of its own. A file that is the index, and damaged, can be removed: nothing is lost"
	}
	return placeRemedy(err, "see ledger.index in weir.yaml")
}

// indexError names the index that an error is of; a database's URL is a secret.
func indexError(cfg *config.Config, err error) error {
	if i := cfg.Ledger.Index; i.Driver == index.SQLite {
		return fmt.Errorf("the ledger's index %s: %w", i.Path, err)
	}
	return fmt.Errorf("the ledger's index: %w", err)
}

// reindexError says what to do when an index cannot be made anew: either the log
// cannot be read, or the database takes nothing, or is another.
func reindexError(cfg *config.Config, err error) error {
	switch {
	case errors.Is(err, lineage.ErrReadingKey), errors.Is(err, lineage.ErrKeyMissing), errors.Is(err, lineage.ErrCorrupt), errors.Is(err, lineage.ErrForeign):
		return ledgerError(cfg.Ledger.Folder, err)
	case errors.Is(err, index.ErrDamaged): // with --keep, which reads on in what is there
		return environment(indexError(cfg, err), "run weir lineage reindex without --keep: the index is made anew from the log, nothing is lost")
	case errors.Is(err, index.ErrStranger):
		return environment(indexError(cfg, err), indexRemedy(err))
	case errors.Is(err, index.ErrInUse):
		return environment(indexError(cfg, err), "a weir policy diff --replay may still read it: let it end, and run this again; the index is what it was")
	case errors.Is(err, syscall.ENOSPC):
		return environment(indexError(cfg, err), "the disk is full: free space; an index is made beside the old one, which needs not be kept: it can be removed first")
	case errors.Is(err, fs.ErrPermission):
		return environment(indexError(cfg, err), placeRemedy(err, ""))
	}
	return environment(indexError(cfg, err), "see ledger.index in weir.yaml, and run it again: nothing is lost")
}

func (s *streams) lineageReindex() *cobra.Command {
	var w whichNode
	var archive string
	c := &cobra.Command{
		Use: "reindex", Short: "Make the ledger's index anew from the log", Args: cobra.NoArgs,
		Long: `Reads the whole log again. The log is not changed. A file is made beside the old one,
and takes its place when it is whole: have room for both. An index in PostgreSQL is
dropped first; where several nodes share it, run this on each of them, --keep on all
but the first. Where segments were archived, name the archive: without it their
records would be in no answer any more.`,
	}
	keep := c.Flags().Bool("keep", false, "keep what other nodes put in; read on from where this node's part ends")
	w.flags(c)
	c.Flags().StringVar(&archive, "archive", "", "folder with segments that were archived out of the ledger")
	without := c.Flags().Bool("without-archive", false, "leave out what was archived")
	c.RunE = func(c *cobra.Command, _ []string) error {
		n, err := openStopped(c.Context(), &w, "stop the server that has this ledger: it would put rows under names that are gone",
			"reindex reads the records: give ledger.readingKey the file of their key")
		if err != nil {
			return err
		}
		defer n.close()
		if err := archiveThere(archive); err != nil {
			return err
		}
		if err := wholeLog(n.cfg.Ledger.Folder, archive, *without || *keep); err != nil {
			return err
		}
		if err := uncutLog(n.cfg, archive); err != nil {
			return err
		}
		from := indexConfig(n.cfg, n.reading)
		from.Archive = archive
		read := index.Rebuild
		if *keep {
			read = readOn
		}
		asOf, err := read(c.Context(), from)
		if err != nil {
			return reindexError(n.cfg, err)
		}
		for _, p := range asOf {
			if _, err := fmt.Fprintf(s.out, "%s: records up to %d\n", p.Origin, p.Sequence); err != nil {
				return err
			}
		}
		return nil
	}
	return c
}

// readOn reads the log from where the index ends.
func readOn(ctx context.Context, cfg index.Config) ([]index.Sequence, error) {
	x, err := index.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	err = x.CatchUp(ctx)
	asOf, more := x.AsOf(ctx)
	return asOf, errors.Join(err, more, x.Close())
}
