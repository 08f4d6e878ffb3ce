package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-data/weir/authz/approval"
	"github.com/weir-data/weir/internal/config"
	"github.com/weir-data/weir/internal/gateway"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

func (s *streams) lineageRetention() *cobra.Command {
	c := &cobra.Command{
		Use: "retention", Short: "Redact what is old enough, by acts of an auditor and a security officer", Args: cobra.NoArgs,
		Long: `The records of a month and level are encrypted with a data key of their own. An
act drops that key: nobody reads those records again, and every proof still holds.
It takes the signatures of an auditor and of a security officer, as the revision in
force names them, and is recorded in the ledger. No act drops what is younger than
ledger.retentionMonths, three years at least.`,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(s.retentionList(), s.retentionPropose(), s.retentionSign(), s.retentionDrop())
	return c
}

// keeper is an officer at work on the keys of a node's ledger.
type keeper struct {
	cfg     *config.Config
	levels  schema.Levels
	signers gateway.Signers
	keys    []lineage.KeyStatus
}

// keeper reads what the ledger's folder and the revision in force say. It needs
// no lock, and works beside a running server.
func (s *streams) keeper(w *whichNode) (*keeper, error) {
	cfg, err := w.load()
	if err != nil {
		return nil, err
	}
	k := &keeper{cfg: cfg, levels: levelsOf(cfg)}
	if !isFolder(cfg.Ledger.Folder) {
		return nil, environment(fmt.Errorf("no ledger in %s", cfg.Ledger.Folder), "start the server once, or name its configuration with --config")
	}
	active, _, err := gateway.ReadExport(filepath.Join(cfg.State, exportName))
	if err != nil {
		return nil, environment(err, "the node writes it anew at its next start")
	}
	if active == nil {
		active = &gateway.Revision{Settings: gateway.RevisionSettings{Rights: gateway.Rights{SingleOfficer: true}}}
	}
	folders := foldersOf(cfg)
	folders.Rights.SingleOfficer = cfg.SingleOfficer || active.Settings.Rights.SingleOfficer
	if k.signers, err = active.Signers(folders); err != nil {
		return nil, refused(err, "")
	}
	if k.keys, err = lineage.Keys(lineage.Folder{Dir: cfg.Ledger.Folder}); err != nil {
		return nil, ledgerError(cfg.Ledger.Folder, err)
	}
	if len(k.keys) == 0 {
		err = noKeys(cfg.Ledger.Folder)
	}
	return k, err
}

// noKeys refuses a ledger without a data key that has records: their keys are
// lost, and a list of none would look like nothing to keep.
func noKeys(folder string) error {
	for _, err := range lineage.Read(lineage.Folder{Dir: folder}, 0) {
		if err == nil {
			err = fmt.Errorf("%w: %s has none, and the log has records", lineage.ErrKeyMissing, filepath.Join(folder, lineage.KeysFolder))
		}
		return ledgerError(folder, err)
	}
	return nil
}

// warnUnapproved says loudly that nobody has signed who signs.
func (s *streams) warnUnapproved(k *keeper) {
	if k.signers.Unapproved {
		_, _ = fmt.Fprintln(s.err, "SINGLE OFFICER: nobody but weir.yaml says who signs; the act needs two signatures all the same")
	}
}

func (k *keeper) level(rank schema.Rank) string {
	if int(rank) < len(k.levels) {
		return k.levels.Name(rank)
	}
	return fmt.Sprintf("rank %d", rank)
}

func (s *streams) retentionList() *cobra.Command {
	var w whichNode
	c := &cobra.Command{
		Use: "list", Short: "Show the months and levels of the ledger, and which may be dropped", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			k, err := s.keeper(&w)
			if err != nil {
				return err
			}
			s.warnUnapproved(k)
			for _, key := range k.keys {
				s.printf("%s  %-4s  %s\n", key.Name.Month, k.level(key.Name.Level), k.state(&key, time.Now()))
			}
			return nil
		},
	}
	w.flags(c)
	return c
}

// state says what is and may become of a key.
func (k *keeper) state(key *lineage.KeyStatus, now time.Time) string {
	due := k.signers.Due(key.Name.Month)
	switch {
	case key.Act != "" && key.There:
		return "begun to be dropped " + k.signed(key.Act) + ": the next start of the node ends it"
	case key.Act != "":
		return "dropped " + k.signed(key.Act)
	case now.Before(due):
		return "kept until " + due.Format(time.DateOnly)
	default:
		return "due since " + due.Format(time.DateOnly)
	}
}

// signed says who signed an act, and whether these are the officers of now.
func (k *keeper) signed(text string) string {
	a, err := approval.ParseAct(text)
	if err != nil {
		return "by a text that is no act"
	}
	by := fmt.Sprintf("by auditor %s and security officer %s", a.SignedFor(approval.OfficeAuditor), a.SignedFor(approval.OfficeSecurity))
	if a.Verify(k.signers.Auditors, k.signers.Security, a.Expires) != nil {
		by += ", whose signatures do not fit the officers of now"
	}
	return by
}

func (s *streams) retentionPropose() *cobra.Command {
	f := &signing{}
	var month, level, out string
	c := &cobra.Command{
		Use: "propose --month MONTH --level LEVEL --as OFFICER --key FILE", Short: "Write an act that drops a data key, with the first signature", Args: cobra.NoArgs,
		Long: `Writes the act that drops the data key of a month and level, signed by an auditor or
a security officer. Nothing is dropped yet: an officer of the other office signs it
with weir lineage retention sign, and weir lineage retention drop carries it out.`,
		Example: "  weir lineage retention propose --month 2023-01 --level L3 --as zhao --key zhao.key",
		RunE:    func(*cobra.Command, []string) error { return s.proposeAct(f, month, level, out) },
	}
	f.actFlags(c)
	c.Flags().StringVar(&month, "month", "", "the month, such as 2023-01")
	c.Flags().StringVar(&level, "level", "", "the level, by its name in weir.yaml")
	c.Flags().DurationVar(&f.valid, "valid", 7*24*time.Hour, "how long the act may be carried out")
	c.Flags().StringVar(&out, "out", "", "the file to write (default: retention-MONTH-LEVEL.act here)")
	_ = c.MarkFlagRequired("month")
	_ = c.MarkFlagRequired("level")
	return c
}

func (s *streams) proposeAct(f *signing, month, level, out string) error {
	if f.valid <= 0 {
		return &exitError{ExitUsage, fmt.Errorf("--valid %s is not a time to come", f.valid), ""}
	}
	m, err := lineage.ParseMonth(month)
	if err != nil {
		return &exitError{ExitUsage, fmt.Errorf("--month %q: %w", month, err), ""}
	}
	k, err := s.keeper(&f.whichNode)
	if err != nil {
		return err
	}
	s.warnUnapproved(k)
	rank, ok := k.levels.Rank(level)
	if !ok {
		return &exitError{ExitUsage, fmt.Errorf("--level %q is not a level of weir.yaml", level), "see levels in weir.yaml"}
	}
	at := slices.IndexFunc(k.keys, func(s lineage.KeyStatus) bool { return s.Name == lineage.KeyName{Month: m, Level: rank} })
	switch {
	case at < 0 || !k.keys[at].There && k.keys[at].Act == "":
		return refused(fmt.Errorf("the ledger has no key of %s and %s", month, level), "see weir lineage retention list")
	case k.keys[at].Act != "":
		return refused(fmt.Errorf("%s %s: %s", month, level, k.state(&k.keys[at], time.Now())), "")
	case time.Now().Before(k.signers.Due(m)):
		return refused(fmt.Errorf("%w: the records of %s are kept until %s", lineage.ErrRetention, month, k.signers.Due(m).Format(time.DateOnly)),
			"ledger.retentionMonths in weir.yaml, and three years at least")
	}
	a := &approval.Act{
		Origin: k.cfg.Ledger.Origin, Month: month, Level: int(rank), Key: k.keys[at].Key.String(),
		Expires: time.Now().Add(f.valid).UTC().Truncate(time.Second),
	}
	office, err := k.sign(a, f)
	if err != nil {
		return err
	}
	if out == "" {
		out = fmt.Sprintf("retention-%s-%s.act", month, level)
	}
	file, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // signatures are public
	if err != nil {
		return environment(err, "name a file that does not exist yet with --out")
	}
	_, err = file.WriteString(a.String())
	if err := errors.Join(err, file.Close()); err != nil {
		return environment(err, "")
	}
	s.printf("%ssigned by %s %s until %s in %s; an officer of the other office now runs: weir lineage retention sign %s\n",
		k.describe(a), office, f.officer, a.Expires.Format(time.RFC3339), out, out)
	return nil
}

// describe says what an act does.
func (k *keeper) describe(a *approval.Act) string {
	return fmt.Sprintf("drops the key %s of the records of %s and level %s in the ledger of %s, for good\n",
		a.Key, a.Month, k.level(schema.Rank(a.Level)), a.Origin) //nolint:gosec // a key's
}

// sign signs as the officer that the flags name, for his office.
func (k *keeper) sign(a *approval.Act, f *signing) (office string, err error) {
	office, officers := approval.OfficeSecurity, k.signers.Security
	if slices.ContainsFunc(k.signers.Auditors, func(o approval.Officer) bool { return o.ID == f.officer }) {
		office, officers = approval.OfficeAuditor, k.signers.Auditors
	}
	key, err := officerKey(officers, f)
	if err != nil {
		return "", err
	}
	a.Sign(office, f.officer, key)
	return office, nil
}

func (s *streams) retentionSign() *cobra.Command {
	f := &signing{}
	c := &cobra.Command{
		Use: "sign ACT --as OFFICER --key FILE", Short: "Sign an act as the officer of the other office", Args: cobra.ExactArgs(1),
		Long: `Shows what the act drops, checks the signature that is there, and adds the second
one: a security officer's to an auditor's, or an auditor's to a security officer's.`,
		RunE: func(_ *cobra.Command, args []string) error { return s.signAct(f, args[0]) },
	}
	f.actFlags(c)
	return c
}

// remedyAct is for acts that cannot be used.
const remedyAct = "write another with weir lineage retention propose"

// readAct reads an act's file.
func readAct(path string) (string, *approval.Act, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the officer names it
	if err != nil {
		return "", nil, environment(fmt.Errorf("act: %w", err), "the file that weir lineage retention propose wrote")
	}
	a, err := approval.ParseAct(string(text))
	if err != nil {
		return "", nil, refused(fmt.Errorf("%s: %w", path, err), remedyAct)
	}
	return string(text), a, nil
}

func (s *streams) signAct(f *signing, path string) error {
	k, err := s.keeper(&f.whichNode)
	if err != nil {
		return err
	}
	s.warnUnapproved(k)
	_, a, err := readAct(path)
	if err != nil {
		return err
	}
	if len(a.Signatures) != 1 {
		return refused(fmt.Errorf("%s has %s; the second officer signs what the first has signed", path, count(len(a.Signatures), "signature")), "")
	}
	if err := k.signers.Check(a.String(), k.cfg.Ledger.Origin, time.Now()); err != nil {
		return refused(fmt.Errorf("%s: %w", path, err), remedyAct)
	}
	_, err = k.sign(a, f)
	if err == nil {
		if invalid := a.Verify(k.signers.Auditors, k.signers.Security, time.Now()); invalid != nil {
			err = refused(fmt.Errorf("%s: %w", path, invalid), "an officer of the other office signs it, or another is written with weir lineage retention propose")
		}
	}
	if err != nil {
		return err
	}
	next := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	if err := os.WriteFile(next, []byte(a.String()), 0o644); err != nil { //nolint:gosec // signatures are public
		return environment(err, "the officer needs to write beside the act")
	}
	if err := os.Rename(next, path); err != nil {
		return environment(err, "the officer needs to write beside the act")
	}
	s.printf("%ssigned by auditor %s and security officer %s in %s; carry it out with: weir lineage retention drop %s\n",
		k.describe(a), a.SignedFor(approval.OfficeAuditor), a.SignedFor(approval.OfficeSecurity), path, path)
	return nil
}
