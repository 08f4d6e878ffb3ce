package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/adapters/sqlite"
	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/examples/guangdong"
	"github.com/weir-data/weir/graph/exec"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/internal/keyring"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// Two policies of which no answer may be a mixture: who holds the one pair of
// fields does not hold the other. The guest holds the same under both.
const (
	changeCommon = "p, guest, market_regulation, Company.*, L1, *, all, clear, allow\np, officer, public_security, Person.*, L2, case, all, clear, allow\n"
	changeA      = changeCommon + "p, officer, public_security, Person.name, L3, case, all, mask, allow\np, officer, public_security, Person.householdNumber, L3, case, all, mask, allow\n"
	changeB      = changeCommon + "p, officer, public_security, Person.address, L3, case, all, mask, allow\np, officer, public_security, Person.birthDate, L3, case, all, mask, allow\n"
)

// changing is a whole front over real files, databases and HTTP, whose policy
// changes while it serves.
type changing struct {
	t       *testing.T
	folders Folders
	r       *Revisions
	server  *httptest.Server
	log     *safeBuffer
	ledger  *fakeLedger
	// after runs when an operation was executed and has not reached the gate.
	after atomic.Pointer[func()]
}

func newChanging(t *testing.T, policy string) *changing {
	t.Helper()
	dir := t.TempDir()
	c := &changing{t: t, log: &safeBuffer{}, ledger: &fakeLedger{}}
	must(t, guangdong.WriteSQLite(t.Context(), filepath.Join(dir, "data"), guangdong.Options{People: 60}, nil))
	must(t, fs.WalkDir(guangdong.Files(), "schema", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := fs.ReadFile(guangdong.Files(), path)
		write(t, filepath.Join(dir, path), string(text))
		return err
	}))
	c.folders = Folders{Schema: filepath.Join(dir, "schema"), Policy: filepath.Join(dir, "policy"), Limits: plan.DefaultLimits(), CompareBudget: 10 * time.Millisecond}
	c.folders.PolicySettings = authz.DefaultSettings(schema.DefaultLevels())
	c.folders.PolicySettings.Purposes = []string{"case"}
	c.policy(policy)
	sources := map[string]adapters.Adapter{}
	for _, department := range guangdong.Departments() {
		a, err := sqlite.Open(sqlite.DefaultConfig(filepath.Join(dir, "data", department+".db")))
		must(t, err)
		t.Cleanup(func() { _ = a.Close() })
		sources[department] = a
	}
	ring, err := keyring.Generate()
	must(t, err)
	data, err := exec.New(exec.Config{Adapters: sources, Keys: ring, Limits: plan.DefaultLimits(), Report: func(err error) { t.Error(err) }})
	must(t, err)
	t.Cleanup(data.Close)
	log := slog.New(slog.NewJSONHandler(c.log, nil))
	c.r, err = OpenRevisions(t.Context(), c.folders, nil, c.ledger, NewMetrics(), log, time.Now)
	must(t, err)
	c.r.Follow(data.Follow)
	front, err := New(Config{
		Data: between{data, func() {
			if then := c.after.Load(); then != nil {
				(*then)()
			}
		}},
		Generations: c.r, Authenticator: subjects{
			"officer": {ID: "o", Roles: []string{"officer"}, Purposes: []string{"case"}}, "guest": {ID: "g", Roles: []string{"guest"}},
		},
		Offices: Offices{Operator: "operator", Security: "security", Auditor: "auditor"},
		Ledger:  c.ledger, Keys: ring, Durability: []lineage.Durability{lineage.Written}, Purposes: []string{"case"},
		BodyLimit: 64 << 10, Concurrent: 64, QueueTimeout: 10 * time.Second, RequestTimeout: 20 * time.Second,
		Metrics: NewMetrics(), Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	must(t, err)
	c.server = httptest.NewServer(front.Handler())
	t.Cleanup(func() {
		c.server.Close()
		must(t, c.r.Close())
	})
	return c
}

func (c *changing) policy(text string) {
	c.t.Helper()
	path := filepath.Join(c.folders.Policy, "rules.csv")
	must(c.t, os.MkdirAll(c.folders.Policy, 0o700))
	// As an editor does it: whole, by name.
	must(c.t, os.WriteFile(path+".new", []byte(text), 0o600))
	must(c.t, os.Rename(path+".new", path))
}

// follow lets the revisions follow the folders until the test ends.
func (c *changing) follow() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.r.Run(ctx) }()
	c.t.Cleanup(func() {
		cancel()
		must(c.t, <-done)
	})
}

// answered is a response over HTTP.
type answered struct {
	status int
	code   string
	policy string
	body   []byte
	Data   json.RawMessage
}

func (c *changing) ask(token, query string) (answered, error) {
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		return answered{}, err
	}
	r, err := http.NewRequest(http.MethodPost, c.server.URL+"/graphql", bytes.NewReader(body))
	if err != nil {
		return answered{}, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	if token == "officer" {
		r.Header.Set("X-Weir-Purpose", "case")
	}
	resp, err := c.server.Client().Do(r)
	if err != nil {
		return answered{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	a := answered{status: resp.StatusCode}
	if a.body, err = io.ReadAll(resp.Body); err != nil {
		return a, err
	}
	var parsed struct {
		Data       json.RawMessage
		Errors     []struct{ Extensions struct{ Code string } }
		Extensions struct{ Weir struct{ Policy string } }
	}
	if err := json.Unmarshal(a.body, &parsed); err != nil {
		return a, fmt.Errorf("%s: %w", a.body, err)
	}
	a.Data, a.policy = parsed.Data, parsed.Extensions.Weir.Policy
	if len(parsed.Errors) > 0 {
		a.code = parsed.Errors[0].Extensions.Code
	}
	return a, nil
}

const officerQuery = `{ persons(limit: 3) { name householdNumber address birthDate district } }`

// TestReloadsUnderLoad: a hundred reloads, half of them of broken policies,
// while readers ask. No request fails that need not, and each answer is of one
// generation.
func TestReloadsUnderLoad(t *testing.T) {
	t.Parallel()
	c := newChanging(t, changeA)
	reloads := 100
	if os.Getenv("WEIR_SMALL") != "" {
		reloads = 20
	}
	// Which fields are seen under which revision.
	pattern := map[string]string{}
	var known sync.Mutex
	note := func(fields string) {
		known.Lock()
		defer known.Unlock()
		pattern[c.r.Current().Policy[:shownRevision]] = fields
	}
	const a, b = "name householdNumber", "address birthDate"
	note(a)
	ctx, stop := context.WithCancel(t.Context())
	var asked, changed atomic.Int64
	group, _ := errgroup.WithContext(ctx)
	for range 3 {
		group.Go(func() error {
			for ctx.Err() == nil {
				got, err := c.ask("officer", officerQuery)
				if err != nil {
					return err
				}
				asked.Add(1)
				if got.status == http.StatusConflict && got.code == "POLICY_CHANGED" {
					changed.Add(1)
					continue
				}
				if got.status != http.StatusOK || got.code != "" {
					return fmt.Errorf("officer: %d %s", got.status, got.body)
				}
				seen, err := seenFields(got.Data)
				if err != nil {
					return err
				}
				known.Lock()
				want, ok := pattern[got.policy]
				known.Unlock()
				if ok && seen != want || seen != a && seen != b {
					return fmt.Errorf("under %s (%s) the officer sees %s: %s", got.policy, want, seen, got.body)
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		for ctx.Err() == nil {
			if got, err := c.ask("guest", `{ companies(limit: 2) { name } }`); err != nil || got.status != http.StatusOK || got.code != "" {
				return fmt.Errorf("guest, whose rights never change: %d %s %w", got.status, got.body, err)
			}
			asked.Add(1)
		}
		return nil
	})
	for i := range reloads {
		before := c.r.Current()
		if i%2 == 1 {
			c.policy(strings.Replace(changeA, "L3", "L9", 1) + fmt.Sprintf("# %d\n", i))
			c.r.refresh(ctx)
			if c.r.Current() != before {
				t.Error("a broken revision came into force")
			}
			continue
		}
		text, fields := changeB, b
		if i%4 == 2 {
			text, fields = changeA, a
		}
		c.policy(text + fmt.Sprintf("# %d\n", i))
		c.r.refresh(ctx)
		if c.r.Current() == before {
			t.Fatal("a good revision did not come into force")
		}
		note(fields)
	}
	stop()
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	t.Logf("%d requests, of which %d met a change", asked.Load(), changed.Load())
	if asked.Load() < int64(reloads) {
		t.Errorf("only %d requests: the load is no load", asked.Load())
	}
}

// seenFields names the fields of the first row that are not null.
func seenFields(data []byte) (string, error) {
	var d struct{ Persons []map[string]any }
	if err := json.Unmarshal(data, &d); err != nil || len(d.Persons) == 0 {
		return "", fmt.Errorf("%s: %w", data, err)
	}
	var seen []string
	for _, f := range []string{"name", "householdNumber", "address", "birthDate"} {
		if slices.ContainsFunc(d.Persons, func(p map[string]any) bool { return p[f] != nil }) {
			seen = append(seen, f)
		}
	}
	return strings.Join(seen, " "), nil
}

// TestNarrowingReachesRequestsInFlight: what was withdrawn while a request ran
// does not leave, within a second of the withdrawal; what others lost does not
// disturb it.
func TestNarrowingReachesRequestsInFlight(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, next string
		status     int
	}{
		{"withdrawn", changeCommon, http.StatusConflict},
		{"from others", strings.Replace(changeA, "p, guest, market_regulation, Company.*, L1, *, all, clear, allow", "p, guest, market_regulation, Company.name, L1, *, all, clear, allow", 1), http.StatusOK},
		{"widened", changeA + "p, officer, public_security, Person.address, L3, case, all, mask, allow\n", http.StatusOK},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newChanging(t, changeA)
			c.follow()
			before := c.r.Current()
			then := func() {
				c.policy(test.next)
				wait(t, func() bool { return c.r.Current() != before }, "the change is not live within a second")
			}
			c.after.Store(&then)
			got, err := c.ask("officer", officerQuery)
			must(t, err)
			if got.status != test.status || (got.code == "POLICY_CHANGED") != (test.status == http.StatusConflict) {
				t.Errorf("%d %s", got.status, got.body)
			}
			if test.status == http.StatusConflict && len(got.Data) > 0 && string(got.Data) != "null" {
				t.Errorf("data left: %s", got.body)
			}
		})
	}
}

// TestPageWalk: an edit that does not concern the reader leaves his walk alone;
// one that changes what he holds ends it.
func TestPageWalk(t *testing.T) {
	t.Parallel()
	c := newChanging(t, changeA)
	c.follow()
	page := func(after string) (answered, string) {
		t.Helper()
		arguments := "first: 2"
		if after != "" {
			arguments += fmt.Sprintf(", after: %q", after)
		}
		got, err := c.ask("officer", "{ personsConnection("+arguments+") { edges { node { name district } } pageInfo { endCursor } } }")
		must(t, err)
		var d struct {
			PersonsConnection *struct {
				Edges    []any
				PageInfo struct{ EndCursor string }
			}
		}
		_ = json.Unmarshal(got.Data, &d)
		if d.PersonsConnection == nil {
			return got, ""
		}
		return got, d.PersonsConnection.PageInfo.EndCursor
	}
	change := func(text string) {
		t.Helper()
		before := c.r.Current()
		c.policy(text)
		wait(t, func() bool { return c.r.Current() != before }, "the change is not live within a second")
	}
	got, first := page("")
	if first == "" {
		t.Fatalf("no page: %d %s", got.status, got.body)
	}
	change("# Another order of lines, and more for others.\n" + strings.Replace(changeA, "p, guest, market_regulation, Company.*, L1", "p, guest, market_regulation, Company.*, L2", 1))
	got, second := page(first)
	if second == "" || second == first {
		t.Fatalf("an unrelated edit disturbed the walk: %d %s", got.status, got.body)
	}
	change(changeA + "p, officer, public_security, Person.name, L3, case, all, clear, allow\n")
	if got, _ := page(second); got.code != "CURSOR_INVALID" {
		t.Errorf("after the reader was given more: %d %s", got.status, got.body)
	}
	_, third := page("")
	change(changeB)
	if got, _ := page(third); got.code != "CURSOR_INVALID" {
		t.Errorf("after the reader was given less: %d %s", got.status, got.body)
	}
}
