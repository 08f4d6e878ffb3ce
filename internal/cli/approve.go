package cli

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-data/weir/authz/approval"
	"github.com/weir-data/weir/internal/config"
	"github.com/weir-data/weir/internal/gateway"
	"github.com/weir-data/weir/internal/store"
)

// exportName is the file in the state folder that tells officers' tools which
// revision is in force.
const exportName = "revision.json"

// activationOf wires the wait for a second officer; nil where one is enough.
func activationOf(cfg *config.Config, s *store.Store) *gateway.Activation {
	if cfg.SingleOfficer {
		return nil
	}
	return twoOfficers(cfg, s)
}

func twoOfficers(cfg *config.Config, s *store.Store) *gateway.Activation {
	return &gateway.Activation{Store: s, Export: filepath.Join(cfg.State, exportName)}
}

// officersOf takes officers, or auditors, of a valid configuration.
func officersOf(officers []config.Officer) []approval.Officer {
	var out []approval.Officer
	for _, o := range officers {
		if key, err := approval.ParsePublic(o.Key); err == nil {
			out = append(out, approval.Officer{ID: o.ID, Key: key})
		}
	}
	return out
}

func (s *streams) policyKeygen() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use: "keygen --out FILE", Short: "Make an officer's key: a private file, and a public line for weir.yaml", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			key, err := approval.NewKey(rand.Reader)
			if err != nil {
				return err
			}
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // a file that the officer named
			if err != nil {
				return environment(fmt.Errorf("officer key: %w", err), "name a file that does not exist yet")
			}
			if _, err := f.WriteString(approval.KeyText(key)); err != nil {
				return environment(errors.Join(err, f.Close()), "")
			}
			if err := f.Close(); err != nil {
				return environment(err, "")
			}
			public, _ := key.Public().(ed25519.PublicKey)
			s.printf("The private key is in %s: it stays with the officer. In weir.yaml, under officers, or under auditors for an auditor:\n\nofficers:\n  - {id: SUBJECT-ID-OF-THE-OFFICER, key: %q}\n", path, approval.PublicText(public))
			return nil
		},
	}
	c.Flags().StringVar(&path, "out", "", "the file for the private key; it must not exist")
	_ = c.MarkFlagRequired("out")
	return c
}

// signing are the options of whoever signs: of revisions, and of acts of retention.
type signing struct {
	whichNode
	officer, key string
	valid        time.Duration
}

// policyFlags are those of propose and approve; like all commands about policy
// they are told their configuration.
func (f *signing) policyFlags(c *cobra.Command) {
	c.Flags().StringVar(&f.path, "config", "", "the configuration file (default: weir.yaml, or the demo's)")
	f.officerFlags(c)
}

// actFlags are those of acts of retention; like all commands about the ledger
// they find their node.
func (f *signing) actFlags(c *cobra.Command) {
	f.flags(c)
	f.officerFlags(c)
}

func (f *signing) officerFlags(c *cobra.Command) {
	c.Flags().StringVar(&f.officer, "as", "", "the officer's id")
	c.Flags().StringVar(&f.key, "key", "", "the file of the officer's private key")
	_ = c.MarkFlagRequired("as")
	_ = c.MarkFlagRequired("key")
}

func (s *streams) policyPropose() *cobra.Command {
	f := &signing{}
	c := &cobra.Command{
		Use: "propose --as OFFICER --key FILE", Short: "Sign the revision in the folders, as the first of two officers", Args: cobra.NoArgs,
		Long: `Shows what schema, policy and settings change against the revision in force, and
writes a proposal beside the policy. It takes effect once another officer has
signed it with weir policy approve. A revision that widens nothing needs neither.`,
		RunE: func(*cobra.Command, []string) error { return s.propose(f) },
	}
	f.policyFlags(c)
	c.Flags().DurationVar(&f.valid, "valid", 7*24*time.Hour, "how long the approval may bring the revision into force")
	return c
}

func (s *streams) policyApprove() *cobra.Command {
	f := &signing{}
	c := &cobra.Command{
		Use: "approve --as OFFICER --key FILE", Short: "Sign what another officer has proposed", Args: cobra.NoArgs,
		Long: `Shows again what changes, and adds the second signature to the proposal beside the
policy. A running node puts the revision in force within a second.`,
		RunE: func(*cobra.Command, []string) error { return s.approve(f) },
	}
	f.policyFlags(c)
	return c
}

// signer is an officer at work on the revision in the folders.
type signer struct {
	cfg              *config.Config
	key              ed25519.PrivateKey
	revision, parent string
	// officers are those of the revision in force: who they are is part of what
	// they approve.
	officers []approval.Officer
}

func (s *signer) file() string {
	return filepath.Join(s.cfg.Policy, s.revision[:12]+gateway.ApprovalSuffix)
}

// signer reads key and folders, and shows what the officer is about to sign.
func (s *streams) signer(f *signing) (*signer, error) {
	cfg, err := f.load()
	if err != nil {
		return nil, err
	}
	active, parent, err := gateway.ReadExport(filepath.Join(cfg.State, exportName))
	if err != nil {
		return nil, environment(err, "the node writes it anew at its next start")
	}
	w := &signer{cfg: cfg, parent: parent, officers: officersOf(cfg.Officers)}
	if active != nil {
		if w.officers, err = active.Officers(); err != nil {
			return nil, refused(err, "")
		}
	}
	if w.key, err = officerKey(w.officers, f); err != nil {
		return nil, err
	}
	folders := foldersOf(cfg)
	revision, err := folders.Revision()
	if err != nil {
		return nil, contentError(err)
	}
	if w.revision, err = revision.Digest(); err != nil {
		return nil, err
	}
	if w.parent == w.revision {
		return nil, &exitError{ExitFailed, errors.New("the revision in the folders is in force already"), ""}
	}
	s.printf("revision %s\nafter    %s\n\n", w.revision, w.parent)
	if active == nil {
		if _, err := revision.Table(folders); err != nil {
			return nil, contentError(err)
		}
		s.printf("the first revision of this node: there is nothing to compare it with\n\n")
		return w, nil
	}
	draft, err := folders.Compare(active, revision)
	if err != nil {
		return nil, contentError(err)
	}
	s.printf("%s\n", draft.Changes)
	return w, nil
}

// officerKey reads the key and checks that it is the officer's.
func officerKey(officers []approval.Officer, f *signing) (ed25519.PrivateKey, error) {
	at := slices.IndexFunc(officers, func(o approval.Officer) bool { return o.ID == f.officer })
	if at < 0 {
		return nil, refused(fmt.Errorf("there is no officer %q", f.officer), "officers stand in weir.yaml; those of the revision in force approve new ones")
	}
	text, err := os.ReadFile(f.key)
	if err != nil {
		return nil, environment(fmt.Errorf("officer key: %w", err), "make one with weir policy keygen")
	}
	key, err := approval.ParseKey(string(text))
	if err != nil {
		return nil, refused(fmt.Errorf("%s: %w", f.key, err), "make one with weir policy keygen")
	}
	if !officers[at].Key.Equal(key.Public()) {
		return nil, refused(fmt.Errorf("%s is not the key of officer %q in weir.yaml", f.key, f.officer), "")
	}
	return key, nil
}

func (s *streams) propose(f *signing) error {
	if f.valid <= 0 {
		return &exitError{ExitUsage, fmt.Errorf("--valid %s is not a time to come", f.valid), ""}
	}
	w, err := s.signer(f)
	if err != nil {
		return err
	}
	if text, err := os.ReadFile(w.file()); err == nil {
		if old, err := approval.Parse(string(text)); err == nil && old.Parent == w.parent && old.Verify(w.officers, time.Now()) == nil {
			return &exitError{ExitFailed, fmt.Errorf("revision %s is approved already, by %s and %s", w.revision[:12], old.Proposed.Officer, old.Approved.Officer), "a running node takes it within a second"}
		}
	}
	a := &approval.Approval{Parent: w.parent, Revision: w.revision, Expires: time.Now().Add(f.valid).UTC().Truncate(time.Second)}
	a.Propose(f.officer, w.key)
	if err := writeApproval(w.file(), a); err != nil {
		return err
	}
	s.printf("proposed by %s until %s in %s; another officer now runs: weir policy approve\n", f.officer, a.Expires.Format(time.RFC3339), shorten(w.file()))
	return nil
}

func (s *streams) approve(f *signing) error {
	w, err := s.signer(f)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(w.file())
	if errors.Is(err, fs.ErrNotExist) {
		return refused(fmt.Errorf("nobody has proposed revision %s", w.revision[:12]), "another officer proposes it with weir policy propose")
	}
	if err != nil {
		return environment(err, "")
	}
	a, err := approval.Parse(string(text))
	if err == nil && (a.Revision != w.revision || a.Parent != w.parent) {
		err = fmt.Errorf("%w: it is about another revision, or one after another", approval.ErrInvalid)
	}
	if err == nil {
		a.Approve(f.officer, w.key)
		err = a.Verify(w.officers, time.Now())
	}
	if err != nil {
		return refused(fmt.Errorf("%s: %w", shorten(w.file()), err), "another officer proposes it anew with weir policy propose")
	}
	if err := writeApproval(w.file(), a); err != nil {
		return err
	}
	s.printf("proposed by %s, approved by %s in %s\n", a.Proposed.Officer, a.Approved.Officer, shorten(w.file()))
	return nil
}

// writeApproval replaces the file whole.
func writeApproval(path string, a *approval.Approval) error {
	next := filepath.Join(filepath.Dir(path), "."+strings.TrimSuffix(filepath.Base(path), gateway.ApprovalSuffix)+".new")
	if err := os.WriteFile(next, []byte(a.String()), 0o644); err != nil { //nolint:gosec // signatures are public
		return environment(err, "the officer needs to write beside the policy")
	}
	if err := os.Rename(next, path); err != nil {
		return environment(err, "the officer needs to write beside the policy")
	}
	return nil
}
