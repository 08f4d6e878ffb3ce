package gateway

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// Folders are where schema and policy come from, and what they are checked
// against.
type Folders struct {
	Schema, Policy string
	SchemaSettings schema.Settings
	PolicySettings authz.Settings
	Limits         plan.Limits
	// CompareBudget bounds the comparison of the table with Casbin.
	CompareBudget time.Duration
}

// RefusedError is a revision that was not taken, with everything found in it.
type RefusedError struct{ Diagnostics schema.Diagnostics }

// Error lists the findings.
func (e *RefusedError) Error() string { return e.Diagnostics.Error() }

// Unwrap gives the findings.
func (e *RefusedError) Unwrap() error { return e.Diagnostics }

// content is what both folders hold at one moment.
type content struct {
	schema, policy []schema.File
	digest         [sha256.Size]byte
}

// read takes the folders' content. Contents, not times: a swapped symlink or a
// restored backup may carry old ones.
func (d *Folders) read() (*content, error) {
	t := &content{}
	var err error
	if t.schema, err = schema.ReadFolder(d.Schema); err != nil {
		return nil, fmt.Errorf("schema folder: %w", err)
	}
	if t.policy, err = readPolicy(d.Policy); err != nil {
		return nil, fmt.Errorf("policy folder: %w", err)
	}
	t.digest = digest(t.schema, t.policy)
	return t, nil
}

func digest(parts ...[]schema.File) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, files := range parts {
		_, _ = fmt.Fprintf(h, "%d;", len(files))
		for _, f := range files {
			_, _ = fmt.Fprintf(h, "%d:%s%d:%s", len(f.Name), f.Name, len(f.Text), f.Text)
		}
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// maxPolicyFile bounds one policy file.
const maxPolicyFile = 16 << 20

// readPolicy reads the *.csv files of a folder, sorted by name, or one file.
func readPolicy(dir string) ([]schema.File, error) {
	var entries []fs.DirEntry
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		entries, err = os.ReadDir(dir)
	default:
		entries, dir = []fs.DirEntry{fs.FileInfoToDirEntry(info)}, filepath.Dir(dir)
	}
	if err != nil {
		return nil, err
	}
	var files []schema.File
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".csv") || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		path := filepath.Join(dir, e.Name())
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if info.Size() > maxPolicyFile {
			return nil, fmt.Errorf("%s: %w", path, errTooLarge)
		}
		b, err := os.ReadFile(path) //nolint:gosec // a file of the folder that the operator named
		if err != nil {
			return nil, err
		}
		files = append(files, schema.File{Name: path, Text: string(b)})
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s holds no *.csv file: %w", dir, fs.ErrNotExist)
	}
	return files, nil
}

var errTooLarge = errors.New("the file is too large")

// Load builds a generation from the folders as they are. The error is a
// *RefusedError when the content is at fault; warnings come with a generation.
func (d *Folders) Load() (*plan.Generation, schema.Diagnostics, error) {
	t, err := d.read()
	if err != nil {
		return nil, nil, err
	}
	return d.build(t)
}

// Parse reads and lints both folders without compiling them. The catalogue is
// nil, and the policy incomplete, when the findings fail.
func (d *Folders) Parse() (*schema.Catalogue, *authz.Policy, schema.Diagnostics, error) {
	t, err := d.read()
	if err != nil {
		return nil, nil, nil, err
	}
	catalogue, policy, found := d.parse(t)
	return catalogue, policy, found, nil
}

func (d *Folders) parse(t *content) (*schema.Catalogue, *authz.Policy, schema.Diagnostics) {
	catalogue, found := schema.Load(t.schema, d.SchemaSettings)
	policy, more := authz.Parse(t.policy)
	found = append(found, more...)
	if catalogue != nil && !more.Failed() {
		found = append(found, authz.Lint(policy, catalogue, d.PolicySettings)...)
	}
	found.Sort()
	return catalogue, policy, found
}

func (d *Folders) build(t *content) (*plan.Generation, schema.Diagnostics, error) {
	catalogue, policy, found := d.parse(t)
	if found.Failed() || catalogue == nil {
		return nil, nil, &RefusedError{found}
	}
	table, err := authz.Compile(policy, catalogue, d.PolicySettings)
	if err != nil {
		return nil, nil, fmt.Errorf("policy: %w", err)
	}
	if err := d.compare(policy, table, catalogue, t.digest); err != nil {
		return nil, nil, err
	}
	documents, err := plan.NewDocuments(catalogue.API, d.Limits)
	if err != nil {
		return nil, nil, fmt.Errorf("schema: %w", err)
	}
	return &plan.Generation{Catalogue: catalogue, Table: table, Policy: policy.Revision, Documents: documents}, found, nil
}

// Revisions holds the current generation and follows the folders. A good
// revision is swapped in whole; a bad one is refused with its diagnostics, and
// the old one serves on.
type Revisions struct {
	folders Folders
	ledger  Ledger
	metrics *Metrics
	log     *slog.Logger
	now     func() time.Time

	current atomic.Pointer[plan.Generation]
	seen    [sha256.Size]byte // the content last built, good or bad; Run's alone
	loaded  [sha256.Size]byte // the content in force; Run's alone
	retired []retired         // Run's alone
}

// retired is a generation that requests may still run under.
type retired struct {
	generation *plan.Generation
	at         time.Time
}

// retirement is how long a replaced generation's caches are kept: longer than
// any request may run.
const retirement = 5 * time.Minute

var _ Generations = (*Revisions)(nil)

// OpenRevisions loads the first generation, and records that it did.
func OpenRevisions(ctx context.Context, d Folders, ledger Ledger, m *Metrics, log *slog.Logger, now func() time.Time) (*Revisions, error) {
	r := &Revisions{folders: d, ledger: ledger, metrics: m, log: log, now: now}
	t, err := d.read()
	if err != nil {
		return nil, err
	}
	g, found, err := d.build(t)
	if err != nil {
		return nil, err
	}
	r.warn(found)
	if err := r.record(ctx, nil, g); err != nil {
		g.Documents.Close()
		return nil, fmt.Errorf("the loading of schema and policy could not be recorded: %w", err)
	}
	r.swap(g, t)
	return r, nil
}

// Current gives the generation in force.
func (r *Revisions) Current() *plan.Generation { return r.current.Load() }

func (r *Revisions) swap(g *plan.Generation, t *content) {
	if old := r.current.Swap(g); old != nil {
		r.retired = append(r.retired, retired{old, r.now()})
	}
	r.seen, r.loaded = t.digest, t.digest
	r.metrics.reloaded("loaded", r.now())
	r.log.Info("schema and policy loaded", "schema", g.Catalogue.Revision, "policy", g.Policy)
}

// Close releases the caches of all generations. No request may run any more.
func (r *Revisions) Close() error {
	for _, old := range r.retired {
		old.generation.Documents.Close()
	}
	r.retired = nil
	if g := r.current.Load(); g != nil {
		g.Documents.Close()
	}
	return nil
}

func (r *Revisions) dropRetired() {
	for len(r.retired) > 0 && r.now().Sub(r.retired[0].at) > retirement {
		r.retired[0].generation.Documents.Close()
		r.retired = r.retired[1:]
	}
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
		r.dropRetired()
	}
}

// watch adds the folders; what cannot be watched is polled.
func (r *Revisions) watch(folders *fsnotify.Watcher) {
	for _, dir := range [...]string{r.folders.Schema, r.folders.Policy} {
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
	if t.digest == r.seen {
		return false
	}
	wait := time.NewTimer(settle)
	defer wait.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-wait.C:
	}
	again, err := r.folders.read()
	if err != nil || again.digest != t.digest {
		return false
	}
	r.seen = t.digest
	if t.digest == r.loaded {
		return true // a bad revision was taken back
	}
	g, found, err := r.folders.build(t)
	if err != nil {
		r.refuse(ctx, err)
		return true
	}
	r.warn(found)
	if err := r.record(ctx, r.current.Load(), g); err != nil {
		// A withdrawal must not wait for the ledger; without it nothing is
		// served anyway.
		r.log.Error("the loading of schema and policy could not be recorded", "error", err.Error())
	}
	r.swap(g, t)
	return true
}

// unreadable folders are as a bad revision: noted once per kind of content.
func (r *Revisions) unreadable(err error) {
	mark := sha256.Sum256([]byte(err.Error()))
	if r.seen == mark {
		return
	}
	r.seen = mark
	r.metrics.reloaded("refused", r.now())
	r.log.Error("schema and policy cannot be read; the revision in force serves on", "error", err.Error())
}

func (r *Revisions) refuse(ctx context.Context, err error) {
	r.metrics.reloaded("refused", r.now())
	var refused *RefusedError
	if errors.As(err, &refused) {
		for _, d := range refused.Diagnostics {
			r.log.Error("revision refused", "finding", d.String())
		}
	}
	r.log.Error("a revision of schema and policy was refused; the one in force serves on", "policy", r.Current().Policy)
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

func (r *Revisions) warn(found schema.Diagnostics) {
	for _, d := range found {
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
