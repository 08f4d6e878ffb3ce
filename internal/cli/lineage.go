package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/weir-data/weir/internal/config"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

func (s *streams) lineage() *cobra.Command {
	c := &cobra.Command{
		Use: "lineage", Short: "Read the ledger of reads", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(
		s.lineageTail(), s.lineageReindex(), s.lineageShow(), s.lineageProve(), s.lineageExport(), s.lineageKey(),
		s.lineageVerify(), s.lineageReconcile(),
		s.lineageRetention(), s.lineageArchive(),
		s.lineageWitness(), s.lineageReplica(), s.lineageReplicaKey(),
	)
	return c
}

func (s *streams) lineageTail() *cobra.Command {
	var w wherever
	var o lineage.TailOptions
	c := &cobra.Command{
		Use: "tail", Short: "Print the newest records: who read which fields, why, and how they left", Args: cobra.NoArgs,
		Long: `Prints records of the ledger, also while a server writes it. Records hold names
of fields and keyed stand-ins for people, never a value. Without the ledger's
reading key it prints which records there are, and nothing of what they hold.`,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.Last < 0 {
				return &exitError{ExitUsage, fmt.Errorf("--last %d is not a number of records", o.Last), "0 for all, or from 1 up"}
			}
			folder, levels, err := w.folder()
			if err != nil {
				return err
			}
			o.Levels, o.Unfinished = levels, s.warnUnfinished
			err = lineage.Tail(c.Context(), folder, s.out, o)
			if err != nil && (!o.Follow || !errors.Is(err, context.Canceled)) {
				return readError(folder.Dir, err)
			}
			return nil
		},
	}
	w.flags(c)
	w.readingFlag(c)
	c.Flags().IntVar(&o.Last, "last", 10, "how many records to begin with; 0 for all")
	c.Flags().BoolVarP(&o.Follow, "follow", "f", false, "go on as records come")
	c.Flags().BoolVar(&o.JSON, "json", false, "one JSON object a line")
	return c
}

// warnUnfinished tells of a log that ends within a frame. Whether a server is
// writing cannot be asked without its lock, which would keep one from starting.
func (s *streams) warnUnfinished(file string, offset int64) {
	_, _ = fmt.Fprintf(s.err, "weir: warning: %s ends in the middle of a write, at byte %d\n"+
		"  -> a server that is writing it ends it in a moment; where none has the ledger, it is what a crash left or a copy that is cut, and nothing behind that byte was read\n", file, offset)
}

// ledgerFolder finds the ledger's folder, the names of its levels, and where its
// reading key is.
func ledgerFolder(state, path string) (folder, reading string, levels schema.Levels, err error) {
	if err := oneNamed(state, path); err != nil {
		return "", "", nil, err
	}
	var cfg *config.Config
	if state == "" {
		if cfg, err = located(path); err != nil {
			return "", "", nil, err
		}
		if isFolder(cfg.Ledger.Folder) {
			return cfg.Ledger.Folder, cfg.Ledger.ReadingKey, levelsOf(cfg), nil
		}
		return "", "", nil, environment(fmt.Errorf("no ledger in %s", cfg.Ledger.Folder), "start the server once, or name its folder with --state")
	}
	if file := filepath.Join(state, "weir.yaml"); isFile(file) {
		return ledgerFolder("", file)
	}
	for _, folder := range [...]string{filepath.Join(state, "ledger"), filepath.Join(state, "state", "ledger")} {
		if isFolder(folder) {
			return folder, filepath.Join(filepath.Dir(folder), "ledger-reading.keys"), schema.DefaultLevels(), nil
		}
	}
	return "", "", nil, environment(fmt.Errorf("no ledger under %s", state), "name the folder that --state had when the server ran")
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
