package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/schema"
)

// safeBuffer is a log that two goroutines share.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

const filePolicy = "p, clerk, police, Person.*, L4, *, all, clear, allow\n"

func folders(t *testing.T) Folders {
	t.Helper()
	dir := t.TempDir()
	d := Folders{Schema: filepath.Join(dir, "schema"), Policy: filepath.Join(dir, "policy"), Limits: plan.DefaultLimits(), CompareBudget: 50 * time.Millisecond}
	d.PolicySettings = authz.DefaultSettings(schema.DefaultLevels())
	d.PolicySettings.Purposes = []string{"case"}
	write(t, filepath.Join(d.Schema, "police.graphqls"), sdlText)
	write(t, filepath.Join(d.Policy, "rules.csv"), filePolicy)
	return d
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestRegisteredDocumentsAreWatched: they are the third part of a generation. A
// good folder is swapped in whole while requests run, a bad one refused whole
// with its places, the old one serving on.
func TestRegisteredDocumentsAreWatched(t *testing.T) {
	defer goleak.VerifyNone(t)
	d, ledger, log := folders(t), &fakeLedger{}, &safeBuffer{}
	dir := filepath.Join(t.TempDir(), "documents")
	d.Documents = Documents{Folder: dir, Only: true, MaxBytes: 1 << 10}
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:])
	}
	open := func() (*Revisions, error) {
		return OpenRevisions(t.Context(), d, nil, ledger, NewMetrics(), slog.New(slog.NewJSONHandler(log, nil)), time.Now)
	}
	// At start a bad folder is refused too, and says where.
	for name, c := range map[string]struct{ file, text, want string }{
		"no folder":    {"", "", "registered documents"},
		"no documents": {"notes.txt", "{ people { name } }", "holds no *.graphql file"},
		"no GraphQL":   {"a.graphql", "{\n  people {", "a.graphql:2:"},
		"too long":     {"a.graphql", "{ people { name } }" + strings.Repeat(" ", 1<<10), "a.graphql:1:1: bad-document: the document is longer than 1024 bytes"},
		"not UTF-8":    {"a.graphql", "{ people { name } } # \xff", "a.graphql:1:23: bad-document: the document is not UTF-8"},
		"too deep":     {"a.graphql", strings.Repeat("{ a ", 40) + strings.Repeat("}", 40), "a.graphql:1:51: bad-document: the document has more than 12 levels"},
	} {
		must(t, os.RemoveAll(dir))
		if c.file != "" {
			write(t, filepath.Join(dir, c.file), c.text)
		}
		r, err := open()
		if err == nil {
			_ = r.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	must(t, os.RemoveAll(dir))
	const first, second, stale = "{ people { name } }", "{ people { idNumber } }", "{ noSuchRoot }"
	write(t, filepath.Join(dir, "a.graphql"), first)
	r, err := open()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	defer func() {
		cancel()
		if err := errors.Join(<-done, r.Close()); err != nil {
			t.Error(err)
		}
	}()
	has := func(g *plan.Generation, text string) bool {
		got, ok := g.Registered.Text(hash(text))
		return ok && got == text && g.Registered.Serves(text)
	}
	g := r.Current()
	if !has(g, first) || has(g, second) || g.Registered.Serves(second) {
		t.Fatal("the first documents are not registered alone")
	}

	// Good: live within a second, with the same schema and policy, as one
	// generation; what a request holds does not change.
	write(t, filepath.Join(dir, "b.graphql"), second)
	write(t, filepath.Join(dir, "c.graphql"), stale)
	wait(t, func() bool { return has(r.Current(), second) && has(r.Current(), stale) }, "a document was not registered within a second")
	next := r.Current()
	if has(g, second) || next.Policy != g.Policy || next.Catalogue.Revision != g.Catalogue.Revision {
		t.Error("a generation was changed in place, or more than its documents")
	}
	wait(t, func() bool { return strings.Contains(log.String(), "c.graphql:1:3: warning: stale-document: ") }, "no word of a document that the schema does not know")
	must(t, os.Remove(filepath.Join(dir, "a.graphql")))
	wait(t, func() bool { return !has(r.Current(), first) }, "a document that was taken away is still registered after a second")

	// Bad, each in its own way, with a good change of the policy beside it.
	for name, change := range map[string]func(){
		"syntax":  func() { write(t, filepath.Join(dir, "d.graphql"), "query {\n  people {{") },
		"too big": func() { write(t, filepath.Join(dir, "d.graphql"), strings.Repeat("#", 2<<10)) },
		"none": func() {
			for _, name := range []string{"b.graphql", "c.graphql", "again.graphql"} {
				_ = os.Remove(filepath.Join(dir, name))
			}
		},
	} {
		before, serving := log.String(), r.Current()
		change()
		wait(t, func() bool {
			return strings.Contains(strings.TrimPrefix(log.String(), before), "serves on")
		}, name+": no word in the log")
		if r.Current() != serving {
			t.Errorf("%s: the generation in force changed", name)
		}
		_ = os.Remove(filepath.Join(dir, "d.graphql"))
		write(t, filepath.Join(dir, "b.graphql"), second)
		write(t, filepath.Join(dir, "c.graphql"), stale)
		write(t, filepath.Join(dir, "again.graphql"), "{ people { name idNumber } } # after "+name)
		wait(t, func() bool { return has(r.Current(), "{ people { name idNumber } } # after "+name) }, name+": a good folder did not come back")
	}
	if text := log.String(); !strings.Contains(text, "d.graphql:2:") || !strings.Contains(text, "d.graphql:1:1: bad-document") {
		t.Errorf("no places in the log: %s", text)
	}
	// A bad document beside a good policy: neither comes.
	serving := r.Current()
	before := log.String()
	write(t, filepath.Join(dir, "d.graphql"), "{")
	write(t, filepath.Join(d.Policy, "rules.csv"), strings.Replace(filePolicy, "Person.*", "Person._row", 1))
	wait(t, func() bool { return strings.Contains(strings.TrimPrefix(log.String(), before), "serves on") }, "no refusal of both")
	if r.Current() != serving {
		t.Error("half of a revision came into force")
	}
}

// TestRegisteredDocumentsWhileARevisionWaits: documents give nobody a right, so
// those that come while a policy waits for its approval are served beside the
// policy in force, and after a restart too.
func TestRegisteredDocumentsWhileARevisionWaits(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.folders.Documents = Documents{Folder: filepath.Join(t.TempDir(), "documents"), Only: true, MaxBytes: 1 << 10}
	const first, second = "{ people { name } }", "{ people { idNumber } }"
	write(t, filepath.Join(d.folders.Documents.Folder, "a.graphql"), first)
	d.policy(clerkLess)
	d.first()
	serves := func(text string) bool { return d.r.Current().Registered.Serves(text) }
	if !serves(first) || serves(second) {
		t.Fatal("the first documents are not registered alone")
	}
	active := d.active()
	d.policy(clerkAll)
	d.pending()
	write(t, filepath.Join(d.folders.Documents.Folder, "b.graphql"), second)
	wait(t, func() bool { return serves(second) }, "a document waits for an officer")
	if d.active() != active || d.holds("clerk", "Person.idNumber").Has(authz.Clear) {
		t.Error("what waits came with the document")
	}
	d.restart()
	d.pending()
	if !serves(first) || !serves(second) || serves("{ people { __typename } }") || d.active() != active {
		t.Error("a restart serves other documents")
	}
	// Without its documents a node that serves nothing else does not start.
	d.close()
	must(t, os.RemoveAll(d.folders.Documents.Folder))
	if err := d.start(); err == nil || !strings.Contains(err.Error(), "registered documents") {
		t.Errorf("started: %v", err)
	}
}

func TestReload(t *testing.T) {
	defer goleak.VerifyNone(t)
	d, ledger, log := folders(t), &fakeLedger{}, &safeBuffer{}
	r, err := OpenRevisions(t.Context(), d, nil, ledger, NewMetrics(), slog.New(slog.NewJSONHandler(log, nil)), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if len(ledger.records) != 2 || ledger.records[0].Kind != "schema-load" || ledger.records[1].Kind != "policy-load" {
		t.Errorf("records %v", ledger.records)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	defer func() {
		cancel()
		if err := errors.Join(<-done, r.Close()); err != nil {
			t.Error(err)
		}
	}()
	first := r.Current()
	clerk := authz.Profile{Roles: []string{"clerk"}, Purposes: []string{"case"}, Purpose: "case"}
	name := schema.Coordinate{Type: "Person", Field: "name"}

	// Good: live within a second.
	write(t, filepath.Join(d.Policy, "rules.csv"), strings.Replace(filePolicy, "Person.*", "Person._row", 1))
	wait(t, func() bool { return r.Current() != first }, "a narrowing was not live within a second")
	changed := r.Current()
	if changed.Table.View(clerk).Grants(name).Potential() != authz.None {
		t.Error("the new table still grants the field")
	}
	if changed.Catalogue.Revision != first.Catalogue.Revision || changed.Policy == first.Policy {
		t.Error("revisions do not tell what changed")
	}

	// Bad, each in its own way: refused with its place, the old one serves on.
	for name, change := range map[string]func(){
		"unknown-level": func() { write(t, filepath.Join(d.Policy, "rules.csv"), strings.Replace(filePolicy, "L4", "L9", 1)) },
		"schema":        func() { write(t, filepath.Join(d.Schema, "police.graphqls"), sdlText+"\ntype {") },
		"no rules":      func() { must(t, os.Remove(filepath.Join(d.Policy, "rules.csv"))) },
	} {
		before := log.String()
		change()
		wait(t, func() bool {
			return strings.Contains(strings.TrimPrefix(log.String(), before), "serves on")
		}, name+": no word in the log")
		if r.Current() != changed {
			t.Errorf("%s: the revision in force changed", name)
		}
		write(t, filepath.Join(d.Schema, "police.graphqls"), sdlText)
		write(t, filepath.Join(d.Policy, "rules.csv"), filePolicy)
		wait(t, func() bool { g := r.Current(); return g.Policy == first.Policy }, name+": the good revision did not come back")
		changed = r.Current()
	}
	if !strings.Contains(log.String(), "police.graphqls:") || !strings.Contains(log.String(), "rules.csv:1:") {
		t.Errorf("no places in the log: %s", log)
	}
}

// TestPipesAreNotRead: a pipe in a watched folder would keep the watch waiting for
// ever, and with it every narrowing to come and the end of the process.
func TestPipesAreNotRead(t *testing.T) {
	defer goleak.VerifyNone(t)
	d, log := folders(t), &safeBuffer{}
	d.Documents = Documents{Folder: filepath.Join(t.TempDir(), "documents"), MaxBytes: 1 << 10}
	must(t, os.Mkdir(d.Documents.Folder, 0o700))
	r, err := OpenRevisions(t.Context(), d, nil, &fakeLedger{}, NewMetrics(), slog.New(slog.NewJSONHandler(log, nil)), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	first := r.Current()
	for i, pipe := range [...]string{
		filepath.Join(d.Schema, "x.graphqls"), filepath.Join(d.Policy, "x.csv"),
		filepath.Join(d.Policy, "x"+ApprovalSuffix), filepath.Join(d.Documents.Folder, "x.graphql"),
	} {
		must(t, syscall.Mkfifo(pipe, 0o600))
		wait(t, func() bool { return strings.Contains(log.String(), pipe+": not a regular file") }, pipe+": no word in the log")
		must(t, os.Remove(pipe))
		const back = "are those in force again"
		wait(t, func() bool { return strings.Count(log.String(), back) == i+1 }, pipe+": the log does not say that all is well again")
	}
	if r.Current() != first {
		t.Error("the revision in force changed")
	}
	cancel()
	if err := errors.Join(<-done, r.Close()); err != nil {
		t.Error(err)
	}
}

func TestReloadFollowsASwappedSymlink(t *testing.T) {
	d := folders(t)
	dir := filepath.Dir(d.Policy)
	write(t, filepath.Join(dir, "a", "rules.csv"), filePolicy)
	write(t, filepath.Join(dir, "b", "rules.csv"), strings.Replace(filePolicy, "L4", "L3", 1))
	d.Policy = filepath.Join(dir, "current")
	must(t, os.Symlink("a", d.Policy))
	r, err := OpenRevisions(t.Context(), d, nil, &fakeLedger{}, NewMetrics(), slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	first := r.Current()
	must(t, os.Symlink("b", filepath.Join(dir, "next")))
	must(t, os.Rename(filepath.Join(dir, "next"), d.Policy))
	wait(t, func() bool { return r.Current().Policy != first.Policy }, "the swapped folder was not seen within a second")
	cancel()
	if err := errors.Join(<-done, r.Close()); err != nil {
		t.Error(err)
	}
}

func TestFirstGenerationIsRefusedWhole(t *testing.T) {
	for name, change := range map[string]func(Folders){
		"policy": func(d Folders) { write(t, filepath.Join(d.Policy, "rules.csv"), "p, clerk\nq, x\n") },
		"schema": func(d Folders) {
			write(t, filepath.Join(d.Schema, "police.graphqls"), "type Person @sauce { a: String }")
		},
		"missing": func(d Folders) { must(t, os.RemoveAll(d.Schema)) },
	} {
		d := folders(t)
		change(d)
		ledger := &fakeLedger{}
		r, err := OpenRevisions(t.Context(), d, nil, ledger, NewMetrics(), slog.New(slog.DiscardHandler), time.Now)
		if err == nil || r != nil {
			t.Errorf("%s: a bad first revision was taken", name)
			continue
		}
		var refused *RefusedError
		if name != "missing" && (!errors.As(err, &refused) || refused.Diagnostics[0].Line == 0) {
			t.Errorf("%s: %v", name, err)
		}
	}
	d := folders(t)
	if _, err := OpenRevisions(t.Context(), d, nil, &fakeLedger{waitE: errors.New("full")}, NewMetrics(), slog.New(slog.DiscardHandler), time.Now); err == nil {
		t.Error("a load that could not be recorded was taken")
	}
}

// wait gives a promised second, and a loaded machine a little more.
func wait(t *testing.T, ok func() bool, otherwise string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(otherwise)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
