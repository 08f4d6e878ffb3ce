package gateway

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/authz/approval"
	"github.com/weir-data/weir/internal/store"
	"github.com/weir-data/weir/resolvers/control"
	"github.com/weir-data/weir/schema"
)

// desk is a node's revisions with two officers, over real files and a real
// store, that can be restarted.
type desk struct {
	t       *testing.T
	folders Folders
	keys    map[string]ed25519.PrivateKey
	log     *safeBuffer
	ledger  *fakeLedger
	store   *store.Store
	r       *Revisions
	stop    func()
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, folders: folders(t), keys: map[string]ed25519.PrivateKey{}, log: &safeBuffer{}, ledger: &fakeLedger{}}
	for _, id := range []string{"wang", "li", "zhao"} {
		key, err := approval.NewKey(rand.Reader)
		must(t, err)
		d.keys[id] = key
		if id != "zhao" {
			d.folders.Officers = append(d.folders.Officers, approval.Officer{ID: id, Key: key.Public().(ed25519.PublicKey)})
		}
	}
	t.Cleanup(d.close)
	return d
}

// start opens the store and the revisions, and follows the folders.
func (d *desk) start() error {
	d.t.Helper()
	dir := filepath.Dir(d.folders.Policy)
	var err error
	if d.store, err = store.Open(context.Background(), store.Config{Path: filepath.Join(dir, "control.db")}); err != nil {
		d.t.Fatal(err)
	}
	log := slog.New(slog.NewJSONHandler(d.log, nil))
	d.r, err = OpenRevisions(context.Background(), d.folders, &Activation{Store: d.store, Export: filepath.Join(dir, "revision.json")}, d.ledger, NewMetrics(), log, time.Now)
	if err != nil {
		d.r = nil
		must(d.t, d.store.Close())
		d.store = nil
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.r.Run(ctx) }()
	d.stop = func() {
		cancel()
		must(d.t, errors.Join(<-done, d.r.Close(), d.store.Close()))
		d.r, d.store = nil, nil
	}
	return nil
}

func (d *desk) close() {
	if d.r != nil {
		d.stop()
	}
}

func (d *desk) restart() {
	d.t.Helper()
	d.close()
	must(d.t, d.start())
}

// first brings the first revision into force.
func (d *desk) first() {
	d.t.Helper()
	d.sign(approval.First, "wang", "li")
	must(d.t, d.start())
}

// sign leaves an approval beside the policy, of what the folders hold.
func (d *desk) sign(parent, proposer, approver string) *approval.Approval {
	d.t.Helper()
	revision, err := d.folders.Revision()
	must(d.t, err)
	hash, err := revision.Digest()
	must(d.t, err)
	a := &approval.Approval{Parent: parent, Revision: hash, Expires: time.Now().Add(time.Hour).Truncate(time.Second)}
	a.Propose(proposer, d.keys[proposer])
	if approver != "" {
		a.Approve(approver, d.keys[approver])
	}
	write(d.t, filepath.Join(d.folders.Policy, hash[:12]+ApprovalSuffix), a.String())
	return a
}

func (d *desk) policy(text string) { write(d.t, filepath.Join(d.folders.Policy, "rules.csv"), text) }

// holds is what the clerk holds on a coordinate now.
func (d *desk) holds(role, at string) authz.Caps {
	p := authz.Profile{Roles: []string{role}, Purposes: []string{"case"}, Purpose: "case"}
	return d.r.Current().Table.View(p).Grants(schema.ParseCoordinate(at)).Always()
}

func (d *desk) active() string { return *d.r.two.active.Load() }

// pending waits until a revision waits for its approval.
func (d *desk) pending() *Pending {
	d.t.Helper()
	for end := time.Now().Add(3 * time.Second); d.r.two.pending.Load() == nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			d.t.Fatalf("nothing waits for its approval: %s", d.log)
		}
	}
	return d.r.two.pending.Load()
}

const (
	clerkAll  = "p, clerk, police, Person.*, L4, *, all, clear, allow\n"
	clerkLess = "p, clerk, police, Person.*, L3, *, all, clear, allow\n"
	guestToo  = "p, guest, police, Person.*, L2, *, all, clear, allow\n"
)

func TestFirstRevisionNeedsTwo(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	unapproved := func(why string) {
		t.Helper()
		err := d.start()
		var u *UnapprovedError
		if !errors.As(err, &u) || !strings.Contains(err.Error(), why) {
			t.Fatalf("%v, want %s", err, why)
		}
	}
	unapproved("is not approved by two officers")
	d.sign(approval.First, "wang", "")
	unapproved("a second officer has not signed")
	d.sign(approval.First, "wang", "wang")
	unapproved("cannot approve his own")
	d.sign(approval.First, "zhao", "li")
	unapproved(`no officer "zhao"`)
	d.first()
	if d.holds("clerk", "Person.name") != authz.Clear.Closure() {
		t.Error("the approved revision does not serve")
	}
}

// A narrowing, and a change of nothing, are in force at once and after a
// restart; what they took away needs two officers to come back.
func TestNarrowingIsAlone(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.policy(clerkAll)
	d.first()
	old := d.active()
	first := d.sign(approval.First, "wang", "li")
	d.policy("# The same.\n" + clerkAll)
	wait(t, func() bool { return d.active() != old }, "a neutral revision is not in force")
	d.policy(clerkLess)
	wait(t, func() bool { return d.holds("clerk", "Person.idNumber") == authz.None }, "a narrowing is not live within a second")
	d.restart()
	if d.holds("clerk", "Person.idNumber") != authz.None || d.holds("clerk", "Person.name") == authz.None {
		t.Error("the narrowing is not in force after a restart")
	}
	// The old lines, with the approval of then: it follows another parent.
	d.policy(clerkAll)
	write(t, filepath.Join(d.folders.Policy, first.Revision[:12]+ApprovalSuffix), first.String())
	d.pending()
	wait(t, func() bool { return strings.Contains(d.log.String(), "an approval does not count") }, "no word of the approval that does not count")
	if d.holds("clerk", "Person.idNumber") != authz.None {
		t.Error("an old approval was enough")
	}
	d.sign(d.active(), "li", "wang")
	wait(t, func() bool { return d.holds("clerk", "Person.idNumber") != authz.None }, "an approved widening is not in force")
	if d.r.two.pending.Load() != nil {
		t.Error("it still waits")
	}
}

// A widening is inert, its narrowing part is live; so also after a restart.
func TestWideningWaits(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.policy(clerkAll)
	d.first()
	parent := d.active()
	d.policy(clerkLess + guestToo)
	p := d.pending()
	if !p.Changes.Widens || !p.Changes.Narrows || p.Parent != parent {
		t.Errorf("%+v", p.Changes)
	}
	check := func(when string) {
		t.Helper()
		wait(t, func() bool { return d.holds("clerk", "Person.idNumber") == authz.None }, when+": what it takes away is still there")
		if d.holds("clerk", "Person.name") == authz.None || d.holds("guest", "Person") != authz.None {
			t.Errorf("%s: clerk %s, guest %s", when, d.holds("clerk", "Person.name"), d.holds("guest", "Person"))
		}
		if d.active() != parent {
			t.Errorf("%s: an unapproved revision is in force", when)
		}
	}
	check("at once")
	for _, want := range []string{"guest: Person._row", "withheld -> clear", "inert until two officers have signed"} {
		if !strings.Contains(strings.ReplaceAll(d.log.String(), `\u003e`, ">"), want) {
			t.Errorf("the log does not say %q: %s", want, d.log)
		}
	}
	serving := d.r.Current().Policy
	found, meet := false, false
	for _, r := range d.ledger.all() {
		found = found || r.Kind == "policy-load" && r.Status == "pending"
		meet = meet || r.Kind == "policy-load" && r.Status == "ok" && r.Policy == serving
	}
	if !found || !meet {
		t.Errorf("that it waits is recorded: %v; what serves meanwhile: %v", found, meet)
	}
	if serving == d.r.two.base.generation.Policy {
		t.Error("records name the approved policy, which decides more than what serves")
	}
	d.restart()
	d.pending()
	check("after a restart")
	// A broken one is refused whole, and what waits goes on waiting.
	before := d.log.String()
	d.policy("p, clerk\n")
	wait(t, func() bool {
		return strings.Contains(strings.TrimPrefix(d.log.String(), before), "was refused")
	}, "a broken revision is not refused")
	check("after a broken revision")
	d.restart()
	if d.holds("clerk", "Person.idNumber") == authz.None || d.active() != parent {
		t.Error("with a broken revision in the folders, a restart does not serve the approved one")
	}
	// One signature is not two; the second brings it into force.
	d.policy(clerkLess + guestToo)
	d.sign(parent, "wang", "")
	d.pending()
	check("after one signature")
	d.sign(parent, "wang", "li")
	wait(t, func() bool { return d.holds("guest", "Person") != authz.None }, "an approved widening is not in force")
	d.restart()
	if d.holds("guest", "Person") == authz.None || d.r.two.pending.Load() != nil {
		t.Error("an approved widening is not in force after a restart")
	}
	kept, err := d.r.Revisions(t.Context(), 10)
	must(t, err)
	if len(kept) != 2 || kept[0].How != "approved" || kept[0].State != control.ActiveRevision || kept[1].State != "SUPERSEDED" || kept[0].Parent != kept[1].Digest {
		t.Errorf("%+v", kept)
	}
}

// The owner of a schema widens too.
func TestSchemaWidens(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, old, next string }{
		{"a level lowered", `name: String @classified(level: "L3")`, `name: String @classified(level: "L2")`},
		{"a mask weakened", `@mask(with: "NAME")`, `@mask(with: "KEEP(1,1)")`},
		{"a scope changed", `{name: {_eq: $subject.region}}`, `{idNumber: {_eq: $subject.region}}`},
		{"a subject moved", `@mask(with: "ID_NUMBER") @subject(covers: ["idNumber", "name"])
  name: String`, `@mask(with: "ID_NUMBER")
  name: String @subject(covers: ["idNumber", "name"])`},
		{"another key", `key: ["id_number"]`, `key: ["name"]`},
		{"another table", `table: "person"`, `table: "people"`},
		{"another column", `name: String @`, `name: String @column(name: "nickname") @`},
		{"shared with all", "CONDITIONAL", "UNCONDITIONAL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			sdl := strings.NewReplacer(
				`@sharing(mode: UNCONDITIONAL`, `@scope(name: "here", where: "{name: {_eq: $subject.region}}") @sharing(mode: CONDITIONAL`,
				`@subject`, `@subject(covers: ["idNumber", "name"])`,
			).Replace(sdlText)
			if !strings.Contains(sdl, c.old) {
				t.Fatalf("the schema has no %s", c.old)
			}
			write(t, filepath.Join(d.folders.Schema, "police.graphqls"), sdl)
			d.policy("p, clerk, police, Person.*, L2, *, by_key, mask, allow\np, clerk, police, Person.name, L3, *, all, mask, allow\n" +
				"p, boss, police, Person.*, L4, *, here, clear, allow\np, boss, police, Person.name, L2, *, self, clear, allow\n" +
				"p, citizen, police, *, L4, *, self, clear, allow\np, guest, *, *, L3, *, all, mask, allow\n")
			d.first()
			parent := d.active()
			write(t, filepath.Join(d.folders.Schema, "police.graphqls"), strings.ReplaceAll(sdl, c.old, c.next))
			p := d.pending()
			if !p.Changes.Widens || d.active() != parent {
				t.Errorf("%s", p.Changes)
			}
			d.sign(parent, "wang", "li")
			wait(t, func() bool { return d.active() == p.Revision }, "it is not in force though approved")
		})
	}
}

// Who the officers are, and what the configuration says about decisions, is
// approved by the officers there are.
func TestSettingsWiden(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.policy("p, clerk, police, Person.*, L3, *, all, clear, allow\n")
	d.first()
	parent := d.active()
	d.close()
	zhao := approval.Officer{ID: "zhao", Key: d.keys["zhao"].Public().(ed25519.PublicKey)}
	d.folders.Officers = []approval.Officer{d.folders.Officers[0], zhao}
	d.folders.PolicySettings.PurposeRequiredFrom = 3
	d.sign(parent, "wang", "zhao")
	must(t, d.start())
	p := d.pending()
	if text := p.Changes.String(); !strings.Contains(text, "officers.li: key") || !strings.Contains(text, "officers.zhao: key none -> ") || !p.Changes.Widens || d.active() != parent {
		t.Errorf("%s", text)
	}
	none := authz.Profile{Roles: []string{"clerk"}}
	name := schema.Coordinate{Type: "Person", Field: "name"}
	if g := d.r.Current().Table.View(none).Grants(name); g.Potential() != authz.None {
		t.Errorf("without a purpose he holds %s", g)
	}
	d.sign(parent, "wang", "li")
	wait(t, func() bool { return d.active() == p.Revision }, "the old officers' approval does not count")
	// From now on the new ones sign.
	d.policy("p, clerk, police, Person.*, L3, *, all, clear, allow\n" + guestToo)
	d.pending()
	d.sign(d.active(), "wang", "zhao")
	wait(t, func() bool { return d.holds("guest", "Person") != authz.None }, "the new officers' approval does not count")
}

// Over the control graph the same signatures count, with the officer's own
// token.
func TestSignOverTheControlGraph(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.policy(clerkAll)
	d.first()
	if _, err := d.r.Sign(t.Context(), "wang", "", false); !errors.Is(err, control.ErrNoRevision) {
		t.Errorf("nothing waits: %v", err)
	}
	d.policy(clerkAll + guestToo)
	p := d.pending()
	a := &approval.Approval{Parent: p.Parent, Revision: p.Revision, Expires: time.Now().Add(time.Hour).Truncate(time.Second)}
	a.Propose("wang", d.keys["wang"])
	if _, err := d.r.Sign(t.Context(), "li", a.String(), false); !errors.Is(err, approval.ErrInvalid) {
		t.Errorf("another officer's token: %v", err)
	}
	v, err := d.r.Sign(t.Context(), "wang", a.String(), false)
	if err != nil || v.State != control.PendingRevision || v.Approval != a.String() || !v.Direction.Widens {
		t.Fatalf("%+v, %v", v, err)
	}
	if _, err := d.r.Sign(t.Context(), "wang", a.String(), true); !errors.Is(err, approval.ErrInvalid) {
		t.Errorf("an approval with one signature: %v", err)
	}
	other := *a
	other.Revision = strings.Repeat("0", 64)
	other.Propose("wang", d.keys["wang"])
	if _, err := d.r.Sign(t.Context(), "wang", other.String(), false); !errors.Is(err, approval.ErrInvalid) {
		t.Errorf("another revision: %v", err)
	}
	draft, err := d.r.Draft(t.Context(), control.ActiveRevision, control.PendingRevision)
	if err != nil || !draft.Changes.Widens || draft.Changes.Narrows {
		t.Errorf("%v, %v", draft, err)
	}
	if _, err := d.r.Draft(t.Context(), "nothing", control.PendingRevision); !errors.Is(err, control.ErrNoRevision) {
		t.Errorf("no such revision: %v", err)
	}
	a.Approve("li", d.keys["li"])
	if _, err := d.r.Sign(t.Context(), "li", a.String(), true); err != nil {
		t.Fatal(err)
	}
	wait(t, func() bool { return d.holds("guest", "Person") != authz.None }, "an approved widening is not in force")
	d.restart()
	if d.holds("guest", "Person") == authz.None {
		t.Error("nor after a restart")
	}
}

// The export is what officers' tools compare with.
func TestExport(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	path := filepath.Join(filepath.Dir(d.folders.Policy), "revision.json")
	if r, parent, err := ReadExport(path); r != nil || parent != approval.First || err != nil {
		t.Errorf("before the first: %v, %q, %v", r, parent, err)
	}
	d.first()
	r, parent, err := ReadExport(path)
	if err != nil || parent != d.active() {
		t.Fatalf("%q, %v", parent, err)
	}
	if _, err := r.Table(d.folders); err != nil {
		t.Error(err)
	}
	b, err := os.ReadFile(path)
	must(t, err)
	write(t, path, strings.Replace(string(b), "clear", "match", 1))
	if _, _, err := ReadExport(path); err == nil {
		t.Error("an altered export is taken")
	}
}
