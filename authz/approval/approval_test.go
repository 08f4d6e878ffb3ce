package approval_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/weir-data/weir/authz/approval"
)

var now = time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)

type bench struct {
	keys     map[string]ed25519.PrivateKey
	officers []approval.Officer
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{keys: map[string]ed25519.PrivateKey{}}
	for _, id := range []string{"wang", "li", "zhao"} {
		key, err := approval.NewKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		b.keys[id] = key
		if id != "zhao" {
			b.officers = append(b.officers, approval.Officer{ID: id, Key: key.Public().(ed25519.PublicKey)})
		}
	}
	return b
}

func (b *bench) approved(proposer, approver string) *approval.Approval {
	a := &approval.Approval{Parent: strings.Repeat("a", 64), Revision: strings.Repeat("b", 64), Expires: now.Add(time.Hour)}
	a.Propose(proposer, b.keys[proposer])
	if approver != "" {
		a.Approve(approver, b.keys[approver])
	}
	return a
}

func TestTwoOfficers(t *testing.T) {
	b := newBench(t)
	a, err := approval.Parse(b.approved("wang", "li").String())
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Verify(b.officers, now); err != nil {
		t.Error(err)
	}
	windows, err := approval.Parse(strings.ReplaceAll(a.String(), "\n", "\r\n"))
	if err != nil || windows.Verify(b.officers, now) != nil {
		t.Errorf("CRLF: %v", err)
	}
}

func TestRefused(t *testing.T) {
	b := newBench(t)
	stolen := append(b.officers, approval.Officer{ID: "chen", Key: b.keys["wang"].Public().(ed25519.PublicKey)})
	b.keys["chen"] = b.keys["wang"]
	for name, c := range map[string]struct {
		make func() *approval.Approval
		at   time.Time
		want string
	}{
		"one officer":         {func() *approval.Approval { return b.approved("wang", "") }, now, "second officer has not signed"},
		"his own proposal":    {func() *approval.Approval { return b.approved("wang", "wang") }, now, "cannot approve his own"},
		"one key, two names":  {func() *approval.Approval { return b.approved("wang", "chen") }, now, "one key"},
		"a stranger proposes": {func() *approval.Approval { return b.approved("zhao", "li") }, now, `no officer "zhao"`},
		"a stranger approves": {func() *approval.Approval { return b.approved("wang", "zhao") }, now, `no officer "zhao"`},
		"too late":            {func() *approval.Approval { return b.approved("wang", "li") }, now.Add(2 * time.Hour), "expired"},
		"another revision": {func() *approval.Approval {
			a := b.approved("wang", "li")
			a.Revision = strings.Repeat("c", 64)
			return a
		}, now, "does not fit"},
		"another parent": {func() *approval.Approval { a := b.approved("wang", "li"); a.Parent = approval.First; return a }, now, "does not fit"},
		"a later expiry": {func() *approval.Approval {
			a := b.approved("wang", "li")
			a.Expires = a.Expires.Add(time.Hour)
			return a
		}, now, "does not fit"},
		"another proposer": {func() *approval.Approval { a := b.approved("wang", "li"); a.Proposed.Officer = "chen"; return a }, now, "does not fit"},
		"signatures changed": {func() *approval.Approval {
			a := b.approved("wang", "li")
			a.Proposed, a.Approved = a.Approved, a.Proposed
			return a
		}, now, "does not fit"},
		"an approval reused": {func() *approval.Approval {
			a := b.approved("li", "")
			a.Approved = b.approved("wang", "li").Approved
			return a
		}, now, "own proposal"},
		"approved as somebody": {func() *approval.Approval { a := b.approved("wang", "li"); a.Approved.Officer = "chen"; return a }, now, "does not fit"},
		"a signature cut short": {func() *approval.Approval {
			a := b.approved("wang", "li")
			a.Approved.Bytes = a.Approved.Bytes[:63]
			return a
		}, now, "does not fit"},
	} {
		if err := c.make().Verify(stolen, c.at); !errors.Is(err, approval.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNotAnApproval(t *testing.T) {
	good := newBench(t).approved("wang", "li").String()
	for name, text := range map[string]string{
		"empty":             "",
		"another version":   strings.Replace(good, "approval 1", "approval 2", 1),
		"a line more":       good + "and more\n",
		"a line less":       good[strings.Index(good, "\n")+1:],
		"a short digest":    strings.Replace(good, "bbbb", "bbb", 1),
		"an upper digest":   strings.Replace(good, "bbbb", "BBBB", 1),
		"a local time":      strings.Replace(good, "09:00:00Z", "17:00:00+08:00", 1),
		"no time":           strings.Replace(good, "2026-11-24T09:00:00Z", "tomorrow", 1),
		"no signature":      good[:strings.LastIndex(good, " ")] + "\n",
		"a bad signature":   strings.TrimSuffix(good, "=\n") + "*\n",
		"nobody":            strings.Replace(good, "by li ", "by  ", 1),
		"invalid UTF-8":     good + "\xff",
		"the words swapped": strings.Replace(good, "approved by", "proposed by", 1),
	} {
		if a, err := approval.Parse(text); !errors.Is(err, approval.ErrFormat) {
			t.Errorf("%s: %v, %v", name, a, err)
		}
	}
}

func TestKeys(t *testing.T) {
	key := newBench(t).keys["wang"]
	again, err := approval.ParseKey(approval.KeyText(key))
	if err != nil || !again.Equal(key) {
		t.Errorf("private: %v", err)
	}
	public, err := approval.ParsePublic(approval.PublicText(key.Public().(ed25519.PublicKey)))
	if err != nil || !public.Equal(key.Public()) {
		t.Errorf("public: %v", err)
	}
	for _, text := range []string{"", "weir officer key 1\n", "weir officer key 2\n" + strings.Repeat("A", 44), approval.PublicText(public)} {
		if _, err := approval.ParseKey(text); !errors.Is(err, approval.ErrFormat) || strings.Contains(err.Error(), approval.PublicText(public)) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := approval.ParsePublic("AAAA"); !errors.Is(err, approval.ErrFormat) {
		t.Errorf("a short public key: %v", err)
	}
}

// FuzzParse: what reads as an approval is written as it was read.
func FuzzParse(f *testing.F) {
	b := newBench(f)
	f.Add(b.approved("wang", "li").String())
	f.Add(b.approved("wang", "").String())
	f.Fuzz(func(t *testing.T, text string) {
		a, err := approval.Parse(text)
		if err != nil {
			return
		}
		again, err := approval.Parse(a.String())
		if err != nil || again.String() != a.String() {
			t.Fatalf("%v: %q became %q", err, text, a)
		}
		if a.Verify(b.officers, now) == nil && a.Proposed.Officer == a.Approved.Officer {
			t.Fatal("one officer was enough")
		}
	})
}
