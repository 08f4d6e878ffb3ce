package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/lineage/ledger"
	"github.com/weir-data/weir/schema"
)

// wherever are the flags that find a ledger, also by its folder alone.
type wherever struct {
	whichNode
	reading, archive string
}

// readingFlag is for commands that read records.
func (w *wherever) readingFlag(c *cobra.Command) {
	c.Flags().StringVar(&w.reading, "reading-key", "", "file of the ledger's reading key (default: as weir.yaml)")
	c.Flags().StringVar(&w.archive, "archive", "", "folder with segments that were archived out of the ledger")
}

// folder is the ledger's, with its reading key where that can be had: who may
// not read the key still sees order and hashes.
func (w *wherever) folder() (lineage.Folder, schema.Levels, error) {
	dir, path, levels, err := ledgerFolder(w.state, w.path)
	f := lineage.Folder{Dir: dir, Archive: w.archive}
	if err == nil {
		err = archiveThere(w.archive)
	}
	if err != nil {
		return f, nil, err
	}
	if w.reading != "" {
		path = w.reading
	}
	reading, err := loadReading(path)
	switch {
	case err == nil:
		f.Reading = reading
	case w.reading != "" || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission):
		return f, nil, environment(err, remedyReading)
	}
	return f, levels, nil
}

func (w *wherever) flags(c *cobra.Command) {
	c.Flags().StringVar(&w.state, "state", "", "folder of the demo, or state folder of a node (default: as weir.yaml, or the demo's)")
	c.Flags().StringVar(&w.path, "config", "", "the configuration whose ledger is read")
}

func receiptOf(text string) (lineage.Position, error) {
	at, err := lineage.ParsePosition(text)
	if err != nil {
		return at, &exitError{ExitUsage, fmt.Errorf("%q: %w", text, err), "as in extensions.weir.receipt of an answer: node-a/7/184467"}
	}
	return at, nil
}

func (s *streams) lineageShow() *cobra.Command {
	var w wherever
	var o lineage.TailOptions
	c := &cobra.Command{
		Use: "show RECEIPT", Short: "Print the record that a receipt names", Args: cobra.ExactArgs(1),
		Example: "  weir lineage show node-a/7/184467",
		RunE: func(_ *cobra.Command, args []string) error {
			at, err := receiptOf(args[0])
			if err != nil {
				return err
			}
			folder, levels, err := w.folder()
			if err != nil {
				return err
			}
			o.Levels = levels
			return recordError(folder.Dir, lineage.Show(folder, at, s.out, o))
		},
	}
	w.flags(c)
	w.readingFlag(c)
	c.Flags().BoolVar(&o.JSON, "json", false, "one JSON object")
	return c
}

// recordError tells a record that is not there from a ledger that cannot be read.
func recordError(folder string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, lineage.ErrArchived):
		return &exitError{ExitFailed, err, "name the folder of the archive with --archive"}
	case errors.Is(err, lineage.ErrUnknown):
		return &exitError{ExitFailed, err, "the receipt is of another ledger, or the ledger is not whole: verify it with the receipt as --anchor"}
	case errors.Is(err, ledger.ErrPending):
		return &exitError{ExitFailed, err, "the node makes one every second; is it running?"}
	}
	return readError(folder, err)
}

// readError is [ledgerError] for who only reads: what a node would restore, or
// begin anew, a reader has named wrongly.
func readError(folder string, err error) error {
	if errors.Is(err, lineage.ErrReadingKey) {
		return environment(fmt.Errorf("ledger %s: %w", folder, err),
			"give this ledger's own reading key, which ledger.readingKey in its node's weir.yaml names, with --reading-key; one that does not fit is another ledger's")
	}
	return ledgerError(folder, err)
}

func (s *streams) lineageProve() *cobra.Command {
	var w wherever
	var key, out string
	var closed bool
	c := &cobra.Command{
		Use: "prove RECEIPT --out FILE", Short: "Write the proof of a record, for whoever holds the public key", Args: cobra.ExactArgs(1),
		Long: `Writes a record with its way to a signed checkpoint. The file can be checked by
anybody, offline, with: weir lineage verify --proof FILE --key PUBLIC-KEY. It opens
this record and no other. Without the ledger's reading key, or when the record
was redacted, it proves that there is a record and not what it holds; --closed
makes such a proof for a person whom the record is about, and who may not know
whom else it is about and who read.`,
		Example: "  weir lineage prove node-a/7/184467 --out proof.json",
		RunE: func(_ *cobra.Command, args []string) error {
			at, err := receiptOf(args[0])
			if err != nil {
				return err
			}
			folder, _, err := w.folder()
			if err != nil {
				return err
			}
			if closed {
				folder.Reading = nil
			}
			if err := outside(folder.Dir, out); out != "-" && err != nil {
				return err
			}
			given := key != ""
			if !given {
				if key, err = w.publicKey(at.Origin); err != nil {
					return err
				}
			}
			p, err := ledger.Prove(folder, key, at)
			switch {
			case given && errors.Is(err, ledger.ErrKey):
				return &exitError{ExitUsage, errors.New("--key is not the public key of a ledger"), "the node's operator prints it with: weir lineage key"}
			case err != nil:
				return recordError(folder.Dir, err)
			}
			text, err := p.Text()
			if err != nil {
				return err
			}
			if out == "-" {
				s.printf("%s", text)
				return nil
			}
			// A proof that was made before may be the last one of a record that
			// was redacted since.
			if err := writeNew(out, text); err != nil {
				return environment(fmt.Errorf("proof: %w", err), placeRemedy(err, "name a file that does not exist yet, in a folder that does, with --out"))
			}
			if p.Content() != lineage.Readable {
				s.printf("the record stays closed: the proof says that it is there, and nothing of what it holds\n")
			}
			s.printf("%s is in %s; check it with: weir lineage verify --proof %s --key %s\n", at, out, out, key)
			return nil
		},
	}
	w.flags(c)
	w.readingFlag(c)
	c.Flags().StringVar(&key, "key", "", "public key of the ledger (default: the node's own)")
	c.Flags().BoolVar(&closed, "closed", false, "prove that the record is there, and leave it closed")
	c.Flags().StringVarP(&out, "out", "o", "proof.json", "file to write, - for standard output")
	return c
}

// publicKey is the node's own, from its key file.
func (w *wherever) publicKey(origin string) (string, error) {
	path := filepath.Join(w.state, "ledger.key")
	if cfg, err := w.load(); err == nil {
		path, origin = cfg.Ledger.Key, cfg.Ledger.Origin
	}
	k, err := ledger.LoadKey(path, origin)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", environment(fmt.Errorf("no ledger key at %s", path), "give the public key with --key")
	case err != nil:
		return "", environment(err, placeRemedy(err, keyFileRemedy))
	}
	return k.Public(), nil
}

func (s *streams) lineageExport() *cobra.Command {
	var w wherever
	var o openLineage
	var keys bool
	c := &cobra.Command{
		Use: "export FOLDER", Short: "Copy a ledger for auditors, also while the node runs; or write OpenLineage events",
		Args: cobra.MaximumNArgs(1),
		Long: `Copies segments, tree and checkpoint of a ledger into a new folder, the checkpoint
first, so that the copy of a running node is whole up to it. No secret is in it,
and without --keys nobody can read its records. With it the wrapped data keys are
copied too: whoever has the reading key can read the copy, also after keys of the
ledger itself were dropped.
The copy is checked with: weir lineage verify FOLDER --key PUBLIC-KEY.

With --openlineage and no folder it writes OpenLineage run events instead, one
JSON object a line: for each operation of an application and each window, which
columns it read and how they reached the answer. They hold names and counts, no
value, no reader and no person, and never one event for a request. They are made
of what records say: a copy must have been made with --keys, and needs
--reading-key.`,
		Example: `  weir lineage export copy
  weir lineage export --openlineage --from 2026-03-01 --to 2026-04-01 --window 24h --out march.ndjson
  weir lineage export --openlineage --ledger copy --reading-key reading.key`,
		RunE: func(c *cobra.Command, args []string) error {
			if o.on == (len(args) == 1) {
				return &exitError{ExitUsage, errors.New("name a new folder, or --openlineage"), "see weir lineage export --help"}
			}
			if o.on {
				if keys {
					return &exitError{ExitUsage, errors.New("--keys does not go with --openlineage: it is about a copy"), "see weir lineage export --help"}
				}
				return s.exportOpenLineage(c.Context(), &w, &o)
			}
			for _, name := range alone {
				if c.Flags().Changed(name) {
					return &exitError{ExitUsage, fmt.Errorf("--%s goes with --openlineage", name), "see weir lineage export --help"}
				}
			}
			folder, _, _, err := ledgerFolder(w.state, w.path)
			if err != nil {
				return err
			}
			if err := outside(folder, args[0]); err != nil {
				return err
			}
			if err := exportLedger(folder, args[0], keys); err != nil {
				return exportError(folder, err)
			}
			s.printf("%s holds the ledger up to its newest checkpoint; check it with: weir lineage verify %s --key ...\n", args[0], args[0])
			return nil
		},
	}
	w.flags(c)
	c.Flags().BoolVar(&keys, "keys", false, "copy the wrapped data keys too")
	o.flags(c)
	w.readingFlag(c)
	return c
}

// exportError says what to do about a copy that could not be made.
func exportError(from string, err error) error {
	err = fmt.Errorf("export: %w", err)
	switch {
	case errors.Is(err, errNoCheckpoint):
		return environment(err, "a node makes one within a second of its start; of a second machine's copy of "+from+" copy the folder as it is")
	case errors.Is(err, fs.ErrExist), errors.Is(err, fs.ErrNotExist):
		return environment(err, "name a folder that does not exist yet, in one that does")
	}
	return environment(err, placeRemedy(err, "nothing was kept of the copy: see to the place that is named, and export again"))
}

var errNoCheckpoint = errors.New("the ledger has no checkpoint yet")

// exportLedger makes a copy in a folder that must not exist, whole or not at all:
// half a copy would look like a ledger that was cut.
func exportLedger(from, to string, keys bool) error {
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	if err := copyLedger(from, to, keys); err != nil {
		return errors.Join(err, os.RemoveAll(to))
	}
	return nil
}

// copyLedger copies the checkpoint before the tiles that it covers, and these
// before the segments that they commit to: each is only ever added to.
func copyLedger(from, to string, keys bool) error {
	checkpoint, err := os.ReadFile(filepath.Join(from, lineage.TreeFolder, "checkpoint")) //nolint:gosec // the operator's folder
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: there is none in %s", errNoCheckpoint, filepath.Join(from, lineage.TreeFolder))
	case err != nil:
		return err
	}
	tree := filepath.Join(to, lineage.TreeFolder)
	if err := os.Mkdir(tree, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(tree, "checkpoint"), checkpoint, 0o600); err != nil { //nolint:gosec // the caller's folder
		return err
	}
	if err := copyFiles(filepath.Join(from, lineage.TreeFolder, "tile"), filepath.Join(tree, "tile")); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".wal") || strings.HasSuffix(e.Name(), ".cut") || e.Name() == lineage.ArchivedName {
			if err := copyFile(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
				return err
			}
		}
	}
	if !keys {
		return nil
	}
	return copyFiles(filepath.Join(from, lineage.KeysFolder), filepath.Join(to, lineage.KeysFolder))
}

// copyFiles copies a folder of tiles or keys. Partial tiles that go away meanwhile were
// replaced by full ones.
func copyFiles(from, to string) error {
	err := filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if e.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		if err := copyFile(path, target); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
	return err
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from) //nolint:gosec // the operator's folder
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600) //nolint:gosec // the caller's folder
}
