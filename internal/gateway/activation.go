package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/authz/approval"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/internal/store"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// Activation makes a widening of rights wait for a second officer. What narrows
// rights, or changes none, is in force at once; what widens them is inert until
// an approval is found, beside the policy or from the control graph. Meanwhile
// the approved revision serves, less what the waiting one takes away.
type Activation struct {
	Store *store.Store
	// Export is a file in which the revision in force is left for officers'
	// tools; "" for none. It is never read back.
	Export string
}

// Why a revision came into force.
const (
	howApproved  = "approved"
	howNarrowing = "narrowing"
	howNeutral   = "neutral"
)

// UnapprovedError is a revision without which a node does not serve and that
// nobody has approved: the first, or one whose configuration widens rights.
type UnapprovedError struct {
	Revision string
	// Settings are what the configuration widens, in words; nil for the first
	// revision.
	Settings []string
	// Why the approvals that there are do not count.
	Why []error
}

// Error names the revision, what it widens, and what is wrong with its
// approvals.
func (e *UnapprovedError) Error() string {
	s := "the first revision of schema, policy and settings, " + e.Revision[:shownRevision] + ", is not approved by two officers"
	if e.Settings != nil {
		s = "the configuration widens rights, and revision " + e.Revision[:shownRevision] + " is not approved by two officers"
		for _, line := range e.Settings {
			s += "\n" + line
		}
	}
	for _, why := range e.Why {
		s += "\n" + why.Error()
	}
	return s
}

// approved is the revision in force under two-person activation.
type approved struct {
	hash       string
	settings   RevisionSettings
	officers   []approval.Officer
	generation *plan.Generation
}

// Pending is a revision that waits for its approval.
type Pending struct {
	Revision, Parent string
	Content          *Revision
	Changes          *authz.Changes
	Since            time.Time

	approvers []approval.Officer // those of the revision in force
}

// activation is the state of an Activation. All but pending and again belong to
// whoever runs the Revisions.
type activation struct {
	Activation
	base    approved
	pending atomic.Pointer[Pending]
	active  atomic.Pointer[string] // the hash in force
	again   atomic.Bool            // look again, though the files are the same
}

// openBase loads the revision that was last in force; false where there was
// none.
func (r *Revisions) openBase(ctx context.Context) (bool, error) {
	kept, ok, err := r.two.Store.ActiveRevision(ctx)
	if err != nil || !ok {
		return false, err
	}
	revision, err := unpackRevision(kept.Content)
	if err != nil {
		return false, err
	}
	folders, err := revision.folders(r.folders)
	if err != nil {
		return false, err
	}
	g, _, err := folders.build(revision.content(), authz.Check)
	if err != nil {
		return false, fmt.Errorf("the revision in force, %s: %w", kept.Hash[:shownRevision], err)
	}
	r.setBase(approved{kept.Hash, revision.Settings, folders.Officers, g})
	return true, r.export(revision, kept.Hash)
}

func (r *Revisions) setBase(b approved) {
	r.two.base = b
	r.two.active.Store(&b.hash)
}

// covered refuses a configuration that grants, beside the policy, what the
// revision in force does not: it is read at start, by all parts of the node, so
// it cannot be held back as the policy is.
func (r *Revisions) covered(ctx context.Context, t *content) error {
	is := r.folders.revision(t)
	beside := &authz.Changes{}
	compareRights(beside, &r.two.base.settings, &is.Settings)
	if !beside.Widens {
		return nil
	}
	hash, err := is.Digest()
	if err != nil {
		return err
	}
	_, why := r.findApproval(ctx, t, hash, r.two.base.hash, r.two.base.officers)
	e := &UnapprovedError{Revision: hash, Settings: []string{}, Why: why}
	for i := range beside.List {
		if c := &beside.List[i]; c.Widens {
			e.Settings = append(e.Settings, c.Lines()...)
		}
	}
	return e
}

// ApproveSingleOfficer refuses a configuration by which one officer widens
// rights alone, on a node where it took two, unless two have signed that.
func ApproveSingleOfficer(ctx context.Context, d Folders, two *Activation, ledger Ledger, m *Metrics, log *slog.Logger, now func() time.Time) error {
	kept, ok, err := two.Store.ActiveRevision(ctx)
	if err != nil || !ok {
		return err
	}
	revision, err := unpackRevision(kept.Content)
	if err != nil {
		return err
	}
	if revision.Settings.Rights.SingleOfficer {
		return nil
	}
	r, err := OpenRevisions(ctx, d, two, ledger, m, log, now)
	if err != nil {
		return err
	}
	return r.Close()
}

// consider decides what a good revision of the folders may do: come into force,
// wait, or only take away.
func (r *Revisions) consider(ctx context.Context, t *content, g *plan.Generation) (serve *plan.Generation, err error) {
	revision := r.folders.revision(t)
	hash, err := revision.Digest()
	if err != nil {
		return nil, err
	}
	base := &r.two.base
	if base.generation != nil && hash == base.hash {
		r.two.pending.Store(nil)
		return base.generation, nil
	}
	if base.generation == nil {
		text, why := r.findApproval(ctx, t, hash, approval.First, r.folders.Officers)
		if text == "" {
			return nil, &UnapprovedError{Revision: hash, Why: why}
		}
		return g, r.activate(ctx, revision, hash, howApproved, text, g)
	}
	waiting := &Pending{
		Revision: hash, Parent: base.hash, Content: revision, Since: r.now(), approvers: base.officers,
		Changes: authz.Diff(base.generation.Table, g.Table),
	}
	CompareSettings(waiting.Changes, &base.settings, &revision.Settings)
	how, text := howNeutral, ""
	switch {
	case waiting.Changes.Widens:
		var why []error
		if text, why = r.findApproval(ctx, t, hash, base.hash, base.officers); text == "" {
			return r.wait(ctx, waiting, g, why), nil
		}
		how = howApproved
	case waiting.Changes.Narrows:
		how = howNarrowing
	}
	if err := r.activate(ctx, revision, hash, how, text, g); err != nil {
		// What it takes away is gone all the same; the rest is tried again.
		r.log.Error("a revision could not be put in force for good; what it takes away is gone, and it is tried again", "revision", hash[:shownRevision], "error", err.Error())
		r.two.again.Store(true)
		return r.held(waiting, g), nil
	}
	return g, nil
}

// activate keeps the revision as the one in force.
func (r *Revisions) activate(ctx context.Context, revision *Revision, hash, how, text string, g *plan.Generation) error {
	packed, err := revision.pack()
	if err != nil {
		return err
	}
	parent := store.NoParent
	if r.two.base.generation != nil {
		parent = r.two.base.hash
	}
	err = r.two.Store.Activate(ctx, store.Revision{Hash: hash, Parent: parent, How: how, Approval: text, Content: packed, At: r.now()})
	if err != nil {
		return err
	}
	r.setBase(approved{hash, revision.Settings, r.folders.Officers, g})
	r.two.pending.Store(nil)
	r.log.Info("a revision is in force", "revision", hash[:shownRevision], "how", how)
	if err := r.export(revision, hash); err != nil {
		r.log.Warn("the revision in force could not be left for officers' tools", "error", err.Error())
	}
	return nil
}

// wait says loudly what waits, and for what.
func (r *Revisions) wait(ctx context.Context, p *Pending, g *plan.Generation, why []error) *plan.Generation {
	if old := r.two.pending.Load(); old != nil && old.Revision == p.Revision {
		p.Since = old.Since
	} else {
		for i := range p.Changes.List {
			if c := &p.Changes.List[i]; c.Widens {
				for _, line := range c.Lines() {
					r.log.Warn("waits for a second officer", "revision", p.Revision[:shownRevision], "change", line)
				}
			}
		}
		r.log.Warn("a revision widens rights and is inert until two officers have signed: weir policy propose, then weir policy approve",
			"revision", p.Revision, "parent", p.Parent, "narrowing", p.Changes.Narrows)
		r.metrics.reloaded("pending", r.now())
		if err := r.append(ctx, &lineage.Record{Kind: "policy-load", Schema: g.Catalogue.Revision, Policy: g.Policy, Status: "pending"}); err != nil {
			r.log.Error("that a revision waits could not be recorded", "error", err.Error())
		}
	}
	for _, err := range why {
		r.log.Warn("an approval does not count", "revision", p.Revision[:shownRevision], "error", err.Error())
	}
	r.two.pending.Store(p)
	return r.held(p, g)
}

// held is what serves while a revision waits. The approved catalogue stays, so
// that nothing new can be named.
func (r *Revisions) held(p *Pending, g *plan.Generation) *plan.Generation {
	base := r.two.base.generation
	if !p.Changes.Narrows {
		return base
	}
	held := *base
	held.Table, held.Policy = authz.Meet(base.Table, g.Table), meetRevision(base, g)
	return &held
}

// meetRevision names what two revisions both grant, so that records of the time
// say under what they were decided, and not that it was the approved one.
func meetRevision(approved, waiting *plan.Generation) string {
	sum := sha256.Sum256([]byte("weir meet 1\n" + approved.Policy + "\n" + waiting.Policy))
	return hex.EncodeToString(sum[:])
}

// findApproval looks beside the policy and in the store.
func (r *Revisions) findApproval(ctx context.Context, t *content, hash, parent string, officers []approval.Officer) (text string, why []error) {
	texts := slices.Clone(t.approvals)
	kept, err := r.two.Store.ApprovalOf(ctx, hash, parent)
	switch {
	case err != nil:
		why = append(why, err)
	case kept != "":
		texts = append(texts, schema.File{Name: "the control graph", Text: kept})
	}
	for _, f := range texts {
		a, err := approval.Parse(f.Text)
		if err == nil && a.Revision != hash {
			continue // of another time
		}
		if err == nil && a.Parent != parent {
			err = fmt.Errorf("%w: it follows %s, and %s is in force", approval.ErrInvalid, a.Parent[:min(len(a.Parent), shownRevision)], parent[:min(len(parent), shownRevision)])
		}
		if err == nil {
			err = a.Verify(officers, r.now())
		}
		if err == nil {
			return f.Text, nil
		}
		why = append(why, fmt.Errorf("%s: %w", f.Name, err))
	}
	return "", why
}

// exported is the file for officers' tools.
type exported struct {
	Revision string    `json:"revision"`
	Content  *Revision `json:"content"`
}

func (r *Revisions) export(revision *Revision, hash string) error {
	if r.two.Export == "" {
		return nil
	}
	b, err := json.Marshal(exported{hash, revision})
	if err != nil {
		return err
	}
	next := r.two.Export + ".new"
	if err := os.WriteFile(next, b, 0o600); err != nil {
		return err
	}
	return os.Rename(next, r.two.Export)
}

// ReadExport reads the revision in force as a node has left it; nil where it
// has left none.
func ReadExport(path string) (*Revision, string, error) {
	b, err := os.ReadFile(filepath.Clean(path))
	if errors.Is(err, os.ErrNotExist) {
		return nil, approval.First, nil
	}
	if err != nil {
		return nil, "", err
	}
	var e exported
	if err := json.Unmarshal(b, &e); err != nil || e.Content == nil {
		return nil, "", fmt.Errorf("%s: %w", path, errRevision)
	}
	if hash, err := e.Content.Digest(); err != nil || hash != e.Revision {
		return nil, "", fmt.Errorf("%s: %w: it is not what its name says", path, errRevision)
	}
	return e.Content, e.Revision, nil
}
