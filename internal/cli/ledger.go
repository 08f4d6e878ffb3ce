package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-data/weir/internal/config"
	"github.com/weir-data/weir/internal/keyring"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/lineage/ledger"
	"github.com/weir-data/weir/lineage/verify"
)

// useReading is what data keys are wrapped for; see docs/ledger-format.md.
const useReading = "ledger encryption"

// loadReading loads the reading key of a ledger.
func loadReading(path string) (lineage.Sealer, error) {
	ring, err := keyring.Load(path)
	if err != nil {
		return nil, fmt.Errorf("reading key of the ledger: %w", err)
	}
	return ring.Box(useReading), nil
}

// openReading loads the reading key, or makes one for a new ledger. One that is
// gone while there are data keys is not replaced in silence: nobody could read
// the records.
func openReading(cfg *config.Config) (lineage.Sealer, error) {
	path := cfg.Ledger.ReadingKey
	reading, err := loadReading(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return reading, err
	}
	if entries, err := os.ReadDir(filepath.Join(cfg.Ledger.Folder, lineage.KeysFolder)); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("%w: %s is missing, and the ledger %s has records made with it", lineage.ErrReadingKey, path, cfg.Ledger.Folder)
	}
	ring, err := keyring.Generate()
	if err != nil {
		return nil, err
	}
	return ring.Box(useReading), errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), ring.Save(path))
}

// openTree opens the ledger behind a node's log.
func openTree(cfg *config.Config, log *lineage.Log, reading lineage.Sealer, logger *slog.Logger) (*ledger.Ledger, error) {
	if _, err := os.Stat(cfg.Ledger.Key); errors.Is(err, fs.ErrNotExist) && log.SyncedTo() > 0 {
		return nil, fmt.Errorf("%w: %s is missing, but the ledger %s is signed with it", ledger.ErrKey, cfg.Ledger.Key, cfg.Ledger.Folder)
	}
	key, err := ledger.KeyFor(cfg.Ledger.Key, cfg.Ledger.Folder, cfg.Ledger.Origin)
	if err != nil {
		return nil, err
	}
	w := ledger.Witnesses{Quorum: cfg.Ledger.WitnessQuorum, Timeout: cfg.Ledger.WitnessTimeout}
	for _, one := range cfg.Ledger.Witnesses {
		w.List = append(w.List, ledger.Witness{URL: one.URL, Key: one.Key})
	}
	return ledger.Open(ledger.Config{Dir: cfg.Ledger.Folder, Source: log, Key: key, Reading: reading, Witnesses: w, Log: logger})
}

// tampered is the failure of evidence: what is there is not what was signed.
func tampered(err error) error { return &exitError{ExitTampered, err, ""} }

// keyFileRemedy is for a file of the ledger's key that cannot be used.
const keyFileRemedy = "restore the ledger's key from its backup, as the node wrote it and its owner's alone (mode 0600)"

func (s *streams) lineageKey() *cobra.Command {
	var w whichNode
	c := &cobra.Command{
		Use: "key", Short: "Print the public key that the ledger's checkpoints and receipts are checked with", Args: cobra.NoArgs,
		Long: `Prints the public key of a node's ledger. Give it to auditors and witnesses by a
way that does not lead over this node: verify trusts nothing else.`,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := w.load()
			if err != nil {
				return err
			}
			k, err := ledger.LoadKey(cfg.Ledger.Key, cfg.Ledger.Origin)
			switch {
			case errors.Is(err, fs.ErrNotExist) && isFile(filepath.Join(cfg.Ledger.Folder, lineage.TreeFolder, "checkpoint")):
				return environment(fmt.Errorf("no ledger key at %s", cfg.Ledger.Key), "restore it from its backup: the ledger "+cfg.Ledger.Folder+" is signed with it")
			case errors.Is(err, fs.ErrNotExist):
				return environment(fmt.Errorf("no ledger key at %s", cfg.Ledger.Key), "start the server once: it makes one")
			case err != nil:
				return environment(err, placeRemedy(err, keyFileRemedy))
			}
			s.printf("%s\n", k.Public())
			return nil
		},
	}
	w.flags(c)
	return c
}

func (s *streams) lineageVerify() *cobra.Command {
	var o verifyFlags
	var proof string
	c := &cobra.Command{
		Use:   "verify [DIR] --key PUBLIC-KEY",
		Short: "Check a ledger's folder, or one proof, from files and a public key alone", Args: cobra.MaximumNArgs(1),
		Long: `Checks a copy of a ledger's folder (state/ledger): everything up to the newest
checkpoint is what the key's holder committed to, in order and without a gap.
With --anchor it is also not an older or another ledger: an anchor is anything
that left the house earlier, a checkpoint, cosigned or not, a proof, or the
receipt of any answer (its text, or a file that holds it).

With --reading-key it also reads every record whose key has not been dropped, and
checks that each says what its frame commits to. Whoever has no reading key can
check everything but that.

An act of retention that dropped a data key before its records were three years
old is found, whoever signed it.

With --auditor and --officer, once for each officer and each key that he ever
had, it also checks that every data key that was dropped was dropped by an act
that one of each office signed. Get these keys from the officers themselves: who
they are is nothing that the ledger could prove. It needs a copy made with --keys.

With --proof FILE and no folder it checks one record's proof.

No server is asked, and nothing is written. Exit codes: 0 it holds, 6 it is not
what was signed (the first bad record is named), 2 the key or an anchor cannot
be read, 5 the files cannot be read.`,
		Example: `  weir lineage verify copy/ledger --key node-a+1f3c...+AZ... --anchor node-a/7/184467
  weir lineage verify --proof proof.json --key node-a+1f3c...+AZ...`,
		RunE: func(c *cobra.Command, args []string) error {
			if (proof == "") == (len(args) == 0) {
				return &exitError{ExitUsage, errors.New("name a folder, or a proof with --proof"), "see weir lineage verify --help"}
			}
			if o.Key == "" {
				return &exitError{ExitUsage, errors.New("--key is missing: the public key of the ledger"), "the node's operator prints it with: weir lineage key"}
			}
			o.Key = pasted(o.Key)
			for i := range o.Witnesses {
				o.Witnesses[i] = pasted(o.Witnesses[i])
			}
			if proof != "" {
				for _, name := range [...]string{"anchor", "archive", "auditor", "log-only", "officer", "reading-key", "tree"} {
					if c.Flags().Changed(name) {
						return &exitError{ExitUsage, fmt.Errorf("--%s does not go with --proof: it is about a ledger's folder", name), "give the folder to check the ledger, and the proof as its --anchor"}
					}
				}
				return s.verifyProof(proof, o.Options)
			}
			if err := o.read(); err != nil {
				return err
			}
			r, err := verify.Folder(c.Context(), args[0], o.Options)
			if err != nil {
				return verdict(err)
			}
			if o.LogOnly {
				s.tellLog(r)
			} else {
				s.tell(r)
			}
			return nil
		},
	}
	c.Flags().StringVar(&o.Archive, "archive", "", "folder with segments that were archived out of the ledger")
	c.Flags().StringVar(&o.Tree, "tree", "", "folder of the tree, where the ledger's folder is a replica's, which has none")
	c.Flags().BoolVar(&o.LogOnly, "log-only", false, "check a replica's log without a tree: whole, linked, without a gap; not who signed it")
	c.Flags().StringVar(&o.Key, "key", "", "public key of the ledger, as printed by: weir lineage key")
	c.Flags().StringArrayVar(&o.anchors, "anchor", nil, "checkpoint, proof or receipt from outside; may be given more than once")
	c.Flags().StringArrayVar(&o.Witnesses, "witness", nil, "public key of a witness whose cosignature must be there; of several, one")
	c.Flags().StringVar(&o.reading, "reading-key", "", "file of the ledger's reading key: check the contents too")
	c.Flags().StringArrayVar(&o.auditors, "auditor", nil, "auditor who may sign acts of retention, ID=PUBLIC-KEY as under auditors in weir.yaml; may be given more than once")
	c.Flags().StringArrayVar(&o.officers, "officer", nil, "security officer who may sign them, ID=PUBLIC-KEY as under officers in weir.yaml; may be given more than once")
	c.Flags().StringVar(&proof, "proof", "", "check this proof, offline")
	return c
}

// verifyFlags are the options of verify, and the flags that must be read to
// become some.
type verifyFlags struct {
	verify.Options
	reading                     string
	anchors, auditors, officers []string
}

// remedyReading is for a reading key that was named and cannot be used.
const remedyReading = "the file that ledger.readingKey in weir.yaml names"

// read brings officers, anchors and the reading key into the options.
func (o *verifyFlags) read() (err error) {
	if err := archiveThere(o.Archive); err != nil {
		return err
	}
	if o.Tree != "" && !isFolder(o.Tree) {
		return environment(fmt.Errorf("no tree in %s", o.Tree), "--tree names a copy of the folder tree of the node's ledger")
	}
	if o.Auditors, err = namedOfficers("auditor", o.auditors); err != nil {
		return err
	}
	if o.Security, err = namedOfficers("officer", o.officers); err != nil {
		return err
	}
	for _, a := range o.anchors {
		anchor, err := readAnchor(a)
		if err != nil {
			return err
		}
		o.Anchors = append(o.Anchors, anchor)
	}
	if o.reading != "" {
		text, err := os.ReadFile(o.reading)
		if err != nil {
			return &exitError{ExitUsage, fmt.Errorf("reading key: %w", err), placeRemedy(err, remedyReading)}
		}
		if len(text) == 0 {
			return &exitError{ExitUsage, fmt.Errorf("reading key: %s is empty", o.reading), remedyReading}
		}
		o.ReadingKey = string(text)
	}
	return nil
}

// namedOfficers takes officers with their keys, as a flag gives them.
func namedOfficers(flag string, texts []string) ([]verify.Officer, error) {
	var out []verify.Officer
	for _, text := range texts {
		id, key, ok := strings.Cut(text, "=")
		if !ok {
			return nil, &exitError{ExitUsage, fmt.Errorf("--%s %q is not ID=PUBLIC-KEY", flag, text), "such as zhao=6R0c...=, the key as weir policy keygen printed it"}
		}
		out = append(out, verify.Officer{ID: id, Key: key})
	}
	return out, nil
}

// readAnchor takes a file, or a receipt as it is.
func readAnchor(a string) (verify.Anchor, error) {
	if _, err := lineage.ParsePosition(a); err == nil && !isFile(a) {
		return verify.ParseAnchor("receipt "+a, []byte(a)), nil
	}
	text, err := os.ReadFile(a) //nolint:gosec // the caller names it
	if err != nil {
		return verify.Anchor{}, &exitError{ExitUsage, fmt.Errorf("anchor: %w", err), "a file, or a receipt such as node-a/7/184467"}
	}
	return verify.ParseAnchor(a, text), nil
}

// pasted takes off what comes along with a public key out of a file: blanks, line
// ends, and a byte-order mark.
func pasted(key string) string { return strings.TrimSpace(strings.TrimPrefix(key, "\ufeff")) }

// archiveThere refuses an archive that is not there, or a folder that has neither
// the list of one nor a segment; "" is none.
func archiveThere(folder string) error {
	if folder != "" && (!isFolder(folder) || !isFile(filepath.Join(folder, lineage.ArchiveName)) && hasNoSegments(folder)) {
		return environment(fmt.Errorf("no archive in %s", folder), "--archive names the folder that weir lineage archive --to had")
	}
	return nil
}

// verdict gives an error of a verification its exit code.
func verdict(err error) error {
	var f *verify.TamperError
	switch {
	case errors.As(err, &f):
		return tampered(fmt.Errorf("NOT what was signed\n%w", f))
	case errors.Is(err, verify.ErrInput):
		return &exitError{ExitUsage, err, ""}
	default:
		return environment(err, placeRemedy(err, "name a copy of the ledger's folder: the one with the *.wal files"))
	}
}

// tell prints what a sound ledger was found to hold.
func (s *streams) tell(r *verify.Report) {
	here := ""
	if r.Absent > 0 {
		here = " of those that are here"
	}
	s.printf("ok  %s: %d records%s in %d batches, unaltered, in order, without a gap\n", r.Origin, r.Records, here, r.Batches)
	if r.Last != "" {
		s.printf("    last record under the checkpoint: %s\n", r.Last)
	}
	if r.Batches > 0 {
		s.printf("    last batch closed: %s\n", r.Closed.UTC().Format(time.RFC3339))
	}
	s.printf("    root of the tree: %s\n", r.Root)
	if r.Read > 0 {
		s.printf("    read with the reading key: %s\n", count(int(r.Read), "record")) //nolint:gosec // far below
	}
	if r.Dropped > 0 {
		s.printf("    redacted: %s dropped by acts that the ledger records\n", count(r.Dropped, "data key"))
	}
	s.tellActs(r.Acts)
	for _, w := range r.Witnessed {
		s.printf("    cosigned by %s\n", w)
	}
	if r.Behind > 0 {
		s.printf("    %d newer records are linked to these, and under no checkpoint yet\n", r.Behind)
	}
	for _, n := range r.Notes {
		s.printf("    note: %s\n", n)
	}
	if r.Anchors > 0 {
		s.printf("    %s held: it is the ledger that was seen from outside\n", count(r.Anchors, "anchor"))
	} else {
		s.printf("    without an anchor an older copy of this ledger would look the same: keep checkpoints or receipts outside, and give them with --anchor\n")
	}
}

// tellActs prints who dropped which data keys.
func (s *streams) tellActs(acts []verify.Act) {
	for _, a := range acts {
		s.printf("    the act on %s, level of rank %d: auditor %q and security officer %q", a.Month, a.Level, a.Auditor, a.Security)
		if a.Checked {
			s.printf(", whose signatures fit\n")
		} else {
			s.printf(" by its own word; check their signatures with --auditor and --officer\n")
		}
	}
}

// tellLog prints what a log without its tree was found to hold.
func (s *streams) tellLog(r *verify.Report) {
	s.printf("ok  %s: %d records, whole, in order, without a gap\n", r.Origin, r.Behind)
	s.printf("    only the log was looked at: that it is what the node signed is proven with its tree (--tree)\n")
	if r.Read > 0 {
		s.printf("    read with the reading key: %s\n", count(int(r.Read), "record")) //nolint:gosec // far below
	}
	s.tellActs(r.Acts)
	for _, n := range r.Notes {
		s.printf("    note: %s\n", n)
	}
	if r.Anchors > 0 {
		s.printf("    %s held\n", count(r.Anchors, "anchor"))
	}
}

func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func (s *streams) verifyProof(path string, o verify.Options) error {
	text, err := os.ReadFile(path) //nolint:gosec // the caller names it
	if err != nil {
		return environment(fmt.Errorf("proof: %w", err), "the file that weir lineage prove wrote, or the text of proof from the control graph")
	}
	p, err := verify.CheckProof(text, o.Key, o.Witnesses)
	var f *verify.TamperError
	if errors.As(err, &f) && f.File == "" {
		f.File = path
	}
	if err != nil {
		return verdict(err)
	}
	if p.Closed {
		s.printf("ok  %s\n", p.Record.Position)
	} else {
		s.printf("ok  %s at %s\n", p.Record.Position, p.Record.Time.Format(time.RFC3339))
	}
	for _, line := range p.Statement {
		s.printf("    the node states: %s\n", line)
	}
	if p.Signed {
		s.printf("    the node signed its receipt\n")
	}
	if p.Included {
		s.printf("    the ledger commits to it, under a checkpoint of %d batches\n", p.Batches)
	} else {
		s.printf("    no checkpoint covers it in this proof: it is a promise that the ledger must keep\n")
	}
	for _, w := range p.Witnessed {
		s.printf("    cosigned by %s\n", w)
	}
	if p.Statement != nil {
		s.printf("    the record itself is closed in this proof: it is for auditors and for its reader\n")
		return nil
	}
	if p.Closed {
		s.printf("    the record is closed in this proof: it was redacted, or written without the reading key\n")
		return nil
	}
	s.describe(&p.Record)
	return nil
}

// describe prints what a record says.
func (s *streams) describe(r *verify.Record) {
	line := func(label, value string) {
		if value != "" {
			s.printf("    %-12s %q\n", label, value)
		}
	}
	line("kind", r.Kind)
	line("operation", r.Operation)
	line("application", r.Application)
	line("department", r.Department)
	line("purpose", r.Purpose)
	line("status", r.Status)
	line("code", r.Code)
	if r.SealedUntil != nil {
		line("sealed until", r.SealedUntil.Format(time.RFC3339))
	}
	s.printf("    %-12s %d\n", "rows", r.Rows)
	for _, u := range r.Uses {
		s.printf("    %-12s %q of %q: clear %d, masked %d, withheld %d\n", u.Use, u.Coordinate, u.Department, u.Clear, u.Masked, u.Withheld)
	}
}
