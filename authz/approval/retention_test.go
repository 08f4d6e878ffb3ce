package approval_test

import (
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/weir-data/weir/authz/approval"
)

func (b *bench) act(sign ...string) *approval.Act {
	a := &approval.Act{Origin: "node-a", Month: "2023-08", Level: 3, Key: strings.Repeat("5f", 16), Expires: now.Add(time.Hour)}
	for i := 0; i < len(sign); i += 2 {
		a.Sign(sign[i], sign[i+1], b.keys[sign[i+1]])
	}
	return a
}

// TestActNeedsBothOffices: only an auditor and a security officer together drop
// a key, whatever is signed twice, swapped, changed or late.
func TestActNeedsBothOffices(t *testing.T) {
	b := newBench(t)
	security := b.officers // wang and li
	auditors := []approval.Officer{{ID: "zhao", Key: b.keys["zhao"].Public().(ed25519.PublicKey)}, {ID: "li", Key: b.keys["li"].Public().(ed25519.PublicKey)}}
	for _, sign := range [][]string{{"auditor", "zhao", "security", "wang"}, {"security", "wang", "auditor", "zhao"}} {
		a, err := approval.ParseAct(b.act(sign...).String())
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Verify(auditors, security, now); err != nil {
			t.Error(err)
		}
		if err := a.Verify(auditors, security, now.Add(2*time.Hour)); !errors.Is(err, approval.ErrInvalid) {
			t.Errorf("late: %v", err)
		}
		for name, change := range map[string]func(*approval.Act){
			"month": func(a *approval.Act) { a.Month = "2023-09" }, "level": func(a *approval.Act) { a.Level = 2 },
			"key": func(a *approval.Act) { a.Key = strings.Repeat("60", 16) }, "origin": func(a *approval.Act) { a.Origin = "node-b" },
			"expiry": func(a *approval.Act) { a.Expires = a.Expires.Add(time.Hour) },
			"order":  func(a *approval.Act) { a.Signatures[0], a.Signatures[1] = a.Signatures[1], a.Signatures[0] },
			"second": func(a *approval.Act) { a.Signatures = a.Signatures[:1] },
		} {
			a, err := approval.ParseAct(b.act(sign...).String())
			if err != nil {
				t.Fatal(err)
			}
			change(a)
			if err := a.Verify(auditors, security, now); !errors.Is(err, approval.ErrInvalid) {
				t.Errorf("%s changed: %v", name, err)
			}
		}
	}
	for name, sign := range map[string][]string{
		"nobody": {}, "two auditors": {"auditor", "zhao", "auditor", "li"}, "two of security": {"security", "wang", "security", "li"},
		"one person in two offices": {"auditor", "li", "security", "li"}, "an auditor as security": {"security", "zhao", "auditor", "li"},
	} {
		if err := b.act(sign...).Verify(auditors, security, now); !errors.Is(err, approval.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	good := b.act("auditor", "zhao", "security", "wang").String()
	for _, text := range []string{"", good + "x", strings.Replace(good, "\n", "\r\n", 1), strings.Replace(good, "level 3", "level +3", 1), strings.Replace(good, "auditor", "operator", 1)} {
		if _, err := approval.ParseAct(text); !errors.Is(err, approval.ErrFormat) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
