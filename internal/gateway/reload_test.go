package gateway

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
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
	for end := time.Now().Add(3 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
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
