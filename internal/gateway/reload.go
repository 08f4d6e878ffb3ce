package gateway

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// Revisions holds the current generation and follows the folders. A good
// revision is swapped in whole; a bad one is refused with its diagnostics, and
// the old one serves on.
type Revisions struct {
	folders Folders
	ledger  Ledger
	metrics *Metrics
	log     *slog.Logger
	now     func() time.Time
	two     *activation // nil: one officer widens rights alone

	current atomic.Pointer[plan.Generation]
	seen    [sha256.Size]byte // the content last built, good or bad; Run's alone
	loaded  [sha256.Size]byte // the content in force; Run's alone
	swapped func(*plan.Generation)

	advising atomic.Bool
	aside    sync.WaitGroup // of what goes on beside Run
}

var _ Generations = (*Revisions)(nil)

// OpenRevisions loads the first generation, and records that it did. With an
// Activation that is the one last in force, or else one that two officers have
// approved: an *UnapprovedError otherwise.
func OpenRevisions(ctx context.Context, d Folders, two *Activation, ledger Ledger, m *Metrics, log *slog.Logger, now func() time.Time) (*Revisions, error) {
	r := &Revisions{folders: d, ledger: ledger, metrics: m, log: log, now: now}
	if two != nil {
		r.two = &activation{Activation: *two}
		if ok, err := r.openBase(ctx); err != nil {
			return nil, err
		} else if ok {
			if err := r.openOn(ctx); err != nil {
				return nil, err
			}
			return r, nil
		}
	}
	t, err := d.read()
	if err != nil {
		return nil, err
	}
	g, found, err := d.build(t, authz.Lint)
	if err != nil {
		return nil, err
	}
	r.warn(found)
	if r.two != nil {
		if g, err = r.consider(ctx, t, g); err != nil {
			return nil, err
		}
	}
	if err := r.record(ctx, nil, g); err != nil {
		g.Documents.Close()
		return nil, fmt.Errorf("the loading of schema and policy could not be recorded: %w", err)
	}
	r.swap(g)
	r.seen, r.loaded = t.digest, t.digest
	return r, nil
}

// openOn goes on from the revision that was last in force. What the folders hold
// now is looked at as if it had come while the node ran: a restart neither
// brings a broken revision into force nor an unapproved one.
func (r *Revisions) openOn(ctx context.Context) error {
	if err := r.record(ctx, nil, r.two.base.generation); err != nil {
		return fmt.Errorf("the loading of schema and policy could not be recorded: %w", err)
	}
	// Registered documents are not part of what officers approve, and not kept:
	// without them their requests, or all, would be refused.
	documents, err := r.folders.Documents.read()
	if err != nil {
		return err
	}
	if found := r.folders.Documents.lint(documents, r.folders.Limits); found.Failed() {
		return &RefusedError{found}
	}
	r.swap(r.with(r.two.base.generation, r.folders.Documents.registered(documents)))
	t, err := r.folders.read()
	if err != nil {
		r.unreadable(err)
		t = &content{}
	} else {
		r.load(ctx, t)
	}
	if err := r.covered(ctx, t); err != nil {
		return errors.Join(err, r.Close())
	}
	return nil
}

// Current gives the generation in force.
func (r *Revisions) Current() *plan.Generation { return r.current.Load() }

// Follow tells f which generation is in force, now and whenever that changes.
// It is called before Run, once.
func (r *Revisions) Follow(f func(*plan.Generation)) {
	r.swapped = f
	f(r.Current())
}

func (r *Revisions) swap(g *plan.Generation) {
	old := r.current.Swap(g)
	if old == g {
		return
	}
	if r.swapped != nil {
		r.swapped(g)
	}
	if old != nil && !r.uses(old.Documents) {
		old.Documents.Close()
	}
	r.metrics.reloaded("loaded", r.now())
	r.log.Info("schema and policy loaded", "schema", g.Catalogue.Revision, "policy", g.Policy, "documents", g.Registered.Len())
}

// with gives the generation with these registered documents: that of a revision
// which waits for approval serves on with the documents that came with it, since
// documents give nobody a right.
func (r *Revisions) with(g *plan.Generation, registered *plan.Registered) *plan.Generation {
	if g.Registered.Same(registered) {
		return g
	}
	if now := r.current.Load(); now != nil && now.Documents == g.Documents && now.Table == g.Table && now.Registered.Same(registered) {
		return now
	}
	out := *g
	out.Registered = registered
	return &out
}

// uses reports whether the generation in force, or the approved one, which may
// serve again, has these documents.
func (r *Revisions) uses(d *plan.Documents) bool {
	return d == r.current.Load().Documents || r.two != nil && d == r.two.base.generation.Documents
}

// Close releases the caches of all generations. No request may run any more.
func (r *Revisions) Close() error {
	r.aside.Wait()
	if r.two != nil && r.two.base.generation != nil {
		r.two.base.generation.Documents.Close()
	}
	if g := r.current.Load(); g != nil {
		g.Documents.Close()
	}
	return nil
}

// Times of the watch: a withdrawal of rights is to be live within a second,
// also where the file system announces nothing.
const (
	poll   = 300 * time.Millisecond
	settle = 50 * time.Millisecond
)

// Run follows the folders until the context ends.
func (r *Revisions) Run(ctx context.Context) error {
	watcher, err := fsnotify.NewWatcher()
	var events chan fsnotify.Event
	if err == nil {
		defer func() { _ = watcher.Close() }()
		events = watcher.Events
		r.watch(watcher)
	} else {
		r.log.Warn("the file system announces no changes; folders are polled", "error", err.Error())
	}
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-events:
		case <-tick.C:
		}
		if r.refresh(ctx) && watcher != nil {
			r.watch(watcher) // a swapped symlink is another folder
		}
		drain(events)
	}
}

// watch adds the folders; what cannot be watched is polled.
func (r *Revisions) watch(folders *fsnotify.Watcher) {
	for _, dir := range [...]string{r.folders.Schema, r.folders.Policy, r.folders.Documents.Folder} {
		if dir == "" {
			continue
		}
		if err := folders.Add(dir); err != nil {
			r.log.Warn("a folder cannot be watched and is polled", "folder", dir, "error", err.Error())
		}
	}
}

func drain(events chan fsnotify.Event) {
	for {
		select {
		case <-events:
		default:
			return
		}
	}
}

// refresh looks once and reports whether the content had changed. A content
// that is still being written, which is one that changes between two looks, is
// left for the next time.
func (r *Revisions) refresh(ctx context.Context) (changed bool) {
	t, err := r.folders.read()
	if err != nil {
		r.unreadable(err)
		return false
	}
	again := r.two != nil && r.two.again.Swap(false)
	if t.digest == r.seen && !again {
		return false
	}
	wait := time.NewTimer(settle)
	defer wait.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-wait.C:
	}
	second, err := r.folders.read()
	if err != nil || second.digest != t.digest {
		if again {
			r.two.again.Store(true)
		}
		return false
	}
	if t.digest == r.loaded && !again {
		r.seen = t.digest // a bad revision was taken back
		r.log.Info("schema, policy and registered documents are those in force again", "policy", r.Current().Policy)
		return true
	}
	r.load(ctx, t)
	return true
}

// load builds what the folders hold, and puts in force what may be.
func (r *Revisions) load(ctx context.Context, t *content) {
	r.seen = t.digest
	g, found, err := r.folders.build(t, authz.Check)
	if err != nil {
		r.refuse(ctx, err)
		return
	}
	fresh := t.digest != r.loaded
	if fresh {
		r.warn(found)
	}
	built := g
	if r.two != nil {
		if g, err = r.consider(ctx, t, g); err != nil {
			built.Documents.Close()
			r.refuse(ctx, err)
			return
		}
		if g.Documents != built.Documents {
			built.Documents.Close()
		}
	}
	g = r.with(g, built.Registered)
	r.loaded = t.digest
	if err := r.record(ctx, r.current.Load(), g); err != nil {
		// A withdrawal must not wait for the ledger; without it nothing is
		// served anyway.
		r.log.Error("the loading of schema and policy could not be recorded", "error", err.Error())
	}
	r.swap(g)
	if fresh {
		r.advise(built.Table)
	}
}

// advise warns of rules that others make idle, beside the watch: what takes a
// while and refuses nothing keeps no withdrawal of rights waiting. While it is at
// it, newer revisions go without; weir policy lint says it of them.
func (r *Revisions) advise(t *authz.Table) {
	if !r.advising.CompareAndSwap(false, true) {
		return
	}
	r.aside.Go(func() {
		defer r.advising.Store(false)
		defer func() {
			if p := recover(); p != nil {
				r.log.Error("the policy's idle rules could not be told", "error", "panic")
			}
		}()
		r.warn(t.Repetitions())
	})
}

// unreadable folders are as a bad revision: noted once per kind of content.
func (r *Revisions) unreadable(err error) {
	mark := sha256.Sum256([]byte(err.Error()))
	if r.seen == mark {
		return
	}
	r.seen = mark
	r.metrics.reloaded("refused", r.now())
	r.log.Error("schema, policy or registered documents cannot be read; the revision in force serves on",
		"error", err.Error(), "remedy", "put back what is missing, let this account read it, and move away what is no file")
}

func (r *Revisions) refuse(ctx context.Context, err error) {
	r.metrics.reloaded("refused", r.now())
	var refused *RefusedError
	if errors.As(err, &refused) {
		for i, d := range refused.Diagnostics {
			if i == loggedFindings {
				r.log.Error("revision refused", "finding", fmt.Sprintf("and %d more: weir lint lists them", len(refused.Diagnostics)-i))
				break
			}
			r.log.Error("revision refused", "finding", d.String())
		}
	}
	r.log.Error("a revision of schema, policy and registered documents was refused; the one in force serves on", "policy", r.Current().Policy)
	if refused == nil {
		r.log.Error("revision refused", "finding", err.Error())
	}
	old := r.Current()
	for _, kind := range [...]string{"schema-load", "policy-load"} {
		if err := r.append(ctx, &lineage.Record{Kind: kind, Schema: old.Catalogue.Revision, Policy: old.Policy, Status: "refused"}); err != nil {
			r.log.Error("the refusal of a revision could not be recorded", "error", err.Error())
		}
	}
}

// loggedFindings bounds what one revision writes into the log.
const loggedFindings = 100

func (r *Revisions) warn(found schema.Diagnostics) {
	for _, d := range found[:min(len(found), loggedFindings)] {
		r.log.Warn("finding in schema or policy", "finding", d.String())
	}
}

// record notes which parts change with the next generation.
func (r *Revisions) record(ctx context.Context, old, next *plan.Generation) error {
	var errs []error
	if old == nil || old.Catalogue.Revision != next.Catalogue.Revision {
		errs = append(errs, r.append(ctx, &lineage.Record{Kind: "schema-load", Schema: next.Catalogue.Revision, Policy: next.Policy, Status: "ok"}))
	}
	if old == nil || old.Policy != next.Policy {
		errs = append(errs, r.append(ctx, &lineage.Record{Kind: "policy-load", Schema: next.Catalogue.Revision, Policy: next.Policy, Status: "ok"}))
	}
	return errors.Join(errs...)
}

// loadPatience is how long a load waits for its record.
const loadPatience = 300 * time.Millisecond

func (r *Revisions) append(ctx context.Context, record *lineage.Record) error {
	ctx, cancel := context.WithTimeout(ctx, loadPatience)
	defer cancel()
	_, ticket, err := r.ledger.Append(ctx, record)
	if err != nil {
		return err
	}
	return ticket.Wait(ctx, lineage.Synced)
}
