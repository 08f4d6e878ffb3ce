package ledger

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-data/weir/authz/approval"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/lineage/verify"
)

// TestDrop: a key goes with a recorded act; every proof and the verifier hold as
// before, the redacted say nothing, and what is changed about the act is found.
func TestDrop(t *testing.T) {
	dir := filepath.Join(inMemory(t), "ledger")
	clock := time.Date(2023, 8, 31, 23, 0, 0, 0, time.UTC)
	n := open(t, dir, func(lc *lineage.Config, _ *Config) { lc.Clock = func() time.Time { return clock } })
	first := n.append(20)
	act := lineage.Act{Name: lineage.KeyName{Month: lineage.MonthOf(clock), Level: 3}}
	keys, err := lineage.Keys(lineage.Folder{Dir: dir})
	if err != nil || len(keys) != 1 || keys[0].Name != act.Name {
		t.Fatal(keys, err)
	}
	act.Key = keys[0].Key
	act.Text = signedAct(act.Key, nil, mark(approval.OfficeAuditor, "zhao", officer(t)), mark(approval.OfficeSecurity, "li", officer(t)))
	told := &lineage.Record{Kind: "retention", Operation: act.Name.String(), Document: lineage.ActDigest(act.Text), Status: "ok"}
	if err := n.log.Drop(t.Context(), act, told); !errors.Is(err, lineage.ErrRetention) {
		t.Errorf("a month that is not over: %v", err)
	}
	clock = clock.Add(2 * time.Hour)
	wrong := act
	wrong.Key[0]++
	if err := n.log.Drop(t.Context(), wrong, told); !errors.Is(err, lineage.ErrRetention) {
		t.Errorf("another key: %v", err)
	}
	n.proven(n.append(20))
	before, err := n.led.Receipt(first)
	if err != nil || before.Content() != lineage.Readable {
		t.Fatal(err)
	}
	text, err := before.Text()
	if err != nil {
		t.Fatal(err)
	}
	clock = due
	if err := n.log.Drop(t.Context(), act, told); err != nil {
		t.Fatal(err)
	}
	n.proven(n.append(20))
	after, err := n.led.Receipt(first)
	if err != nil || after.Content() != lineage.Redacted {
		t.Fatal(after, err)
	}
	closed, err := after.Text()
	if err != nil {
		t.Fatal(err)
	}
	for _, proof := range [][]byte{text, closed} {
		if p, err := verify.CheckProof(proof, n.key.Public(), nil); err != nil || !p.Signed || !p.Included || p.Closed != (string(proof) == string(closed)) {
			t.Errorf("%+v, %v", p, err)
		}
	}
	n.close()
	counts := map[lineage.Content]int{}
	for e, err := range lineage.Read(lineage.Folder{Dir: dir, Reading: must(readingRing(dir)).Box(readingUse)}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		counts[e.Content]++
	}
	if counts[lineage.Redacted] != 20 || counts[lineage.Readable] != 41 {
		t.Errorf("%v", counts)
	}
	o := verify.Options{Key: n.key.Public(), ReadingKey: readingText(t, dir), Anchors: []verify.Anchor{verify.ParseAnchor("proof", text)}}
	r, err := verify.Folder(t.Context(), dir, o)
	if err != nil || r.Dropped != 1 || r.Read != 41 || r.Records != 61 {
		t.Errorf("%+v, %v", r, err)
	}
	tomb := filepath.Join(dir, lineage.KeysFolder, act.Name.String()+".dropped")
	for name, change := range map[string]func() error{
		"changed": func() error { return os.WriteFile(tomb, []byte("another act\n"), 0o600) },
		"removed": func() error { return os.Remove(tomb) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		var found *verify.TamperError
		if _, err := verify.Folder(t.Context(), dir, o); !errors.As(err, &found) {
			t.Errorf("%s: %v", name, err)
		}
		if err := os.WriteFile(tomb, []byte(act.Text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// A key that is gone, and an act that nobody recorded.
	late := filepath.Join(dir, lineage.KeysFolder, "2023-09.3")
	if err := os.Rename(late+".key", late+".dropped"); err != nil {
		t.Fatal(err)
	}
	var found *verify.TamperError
	if _, err := verify.Folder(t.Context(), dir, o); !errors.As(err, &found) {
		t.Errorf("an act that nobody recorded: %v", err)
	}
}

// due is from when on the key of August 2023 may be dropped.
var due = time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)

func officer(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	return must(approval.NewKey(rand.Reader))
}

// mark signs an act.
func mark(office, id string, key ed25519.PrivateKey) func(*approval.Act) {
	return func(a *approval.Act) { a.Sign(office, id, key) }
}

// signedAct is one about a key of August 2023 and level 3, as changed.
func signedAct(key lineage.KeyID, change func(*approval.Act), marks ...func(*approval.Act)) string {
	a := &approval.Act{Origin: origin, Month: "2023-08", Level: 3, Key: key.String(), Expires: time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)}
	if change != nil {
		change(a)
	}
	for _, m := range marks {
		m(a)
	}
	return a.String()
}

// TestActSigned: the verifier finds an act that is not of two officers, however
// well it is recorded; whose signatures count it is told.
func TestActSigned(t *testing.T) {
	auditor, security, another := officer(t), officer(t), officer(t)
	of := func(id string, keys ...ed25519.PrivateKey) (out []verify.Officer) {
		for _, k := range keys {
			out = append(out, verify.Officer{ID: id, Key: approval.PublicText(k.Public().(ed25519.PublicKey))}) //nolint:forcetypeassert,errcheck // it is
		}
		return out
	}
	zhao, li := mark(approval.OfficeAuditor, "zhao", auditor), mark(approval.OfficeSecurity, "li", security)
	both := func(k lineage.KeyID) string { return signedAct(k, nil, zhao, li) }
	changed := func(change func(*approval.Act)) func(lineage.KeyID) string {
		return func(k lineage.KeyID) string { return signedAct(k, change, zhao, li) }
	}
	for name, test := range map[string]struct {
		text               func(lineage.KeyID) string
		auditors, security []verify.Officer
		want, unchecked    string // what is found, with the officers named and without
	}{
		"signed":                     {both, of("zhao", auditor), of("li", security), "", ""},
		"in the other order":         {func(k lineage.KeyID) string { return signedAct(k, nil, li, zhao) }, of("zhao", auditor), of("li", security), "", ""},
		"with a key of before":       {both, of("zhao", another, auditor), of("li", security), "", ""},
		"with another's key":         {both, of("zhao", another), of("li", security), `the signature of auditor "zhao" does not fit`, ""},
		"by one who is no auditor":   {both, of("qian", auditor), of("li", security), `it is signed by auditor "zhao", whose key was not given`, ""},
		"by one of the wrong office": {both, of("zhao", auditor), of("zhao", security), `it is signed by security officer "li", whose key was not given`, ""},
		"over another expiry":        {func(k lineage.KeyID) string { return strings.Replace(both(k), "08:00:00Z", "09:00:00Z", 1) }, of("zhao", auditor), of("li", security), "does not fit", ""},
		"with one key for both": {func(k lineage.KeyID) string {
			return signedAct(k, nil, zhao, mark(approval.OfficeSecurity, "li", auditor))
		}, of("zhao", auditor), of("li", auditor), "of one person or key", ""},
		"by one person": {func(k lineage.KeyID) string {
			return signedAct(k, nil, zhao, mark(approval.OfficeSecurity, "zhao", security))
		}, of("zhao", auditor), of("zhao", security), "of one person or key", "of one person or key"},
		"by one officer alone": {func(k lineage.KeyID) string { return signedAct(k, nil, zhao) }, of("zhao", auditor), of("li", security), "not the act of two officers", "not the act of two officers"},
		"by two of one office": {func(k lineage.KeyID) string {
			return signedAct(k, nil, zhao, mark(approval.OfficeAuditor, "qian", another))
		}, of("zhao", auditor), of("li", security), "does not bear", "does not bear"},
		"of another ledger": {changed(func(a *approval.Act) { a.Origin = "node-b" }), of("zhao", auditor), of("li", security), "drops this key", "drops this key"},
		"of another month":  {changed(func(a *approval.Act) { a.Month = "2023-07" }), of("zhao", auditor), of("li", security), "drops this key", "drops this key"},
		"of another level":  {changed(func(a *approval.Act) { a.Level = 2 }), of("zhao", auditor), of("li", security), "drops this key", "drops this key"},
		"of another key":    {changed(func(a *approval.Act) { a.Key = strings.Repeat("0", 32) }), of("zhao", auditor), of("li", security), "drops this key", "drops this key"},
		"that expires never": {func(k lineage.KeyID) string {
			return strings.Replace(both(k), "2026-12-01T08:00:00Z", "never", 1)
		}, of("zhao", auditor), of("li", security), "does not say when it expires", "does not say when it expires"},
		"a text that is no act at all": {func(lineage.KeyID) string { return "an act\n" }, of("zhao", auditor), of("li", security), "drops this key", "drops this key"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(inMemory(t), "ledger")
			clock := time.Date(2023, 8, 31, 23, 0, 0, 0, time.UTC)
			n := open(t, dir, func(lc *lineage.Config, _ *Config) { lc.Clock = func() time.Time { return clock } })
			n.append(3)
			act := lineage.Act{Name: lineage.KeyName{Month: lineage.MonthOf(clock), Level: 3}, Key: must(lineage.Keys(lineage.Folder{Dir: dir}))[0].Key}
			act.Text = test.text(act.Key)
			clock = due
			if err := n.log.Drop(t.Context(), act, act.Record()); err != nil {
				t.Fatal(err)
			}
			n.proven(n.append(1))
			n.close()
			o := verify.Options{Key: n.key.Public()}
			for checked, want := range map[bool]string{false: test.unchecked, true: test.want} {
				if o.Auditors, o.Security = nil, nil; checked {
					o.Auditors, o.Security = test.auditors, test.security
				}
				r, err := verify.Folder(t.Context(), dir, o)
				var found *verify.TamperError
				switch {
				case want == "" && err != nil, want != "" && !errors.As(err, &found):
					t.Errorf("checked %v: %v", checked, err)
				case want != "" && (!strings.Contains(found.Reason, want) || !strings.Contains(found.Reason, act.Name.String()+".dropped")):
					t.Errorf("checked %v: %s", checked, found)
				case want == "" && (len(r.Acts) != 1 || r.Acts[0] != verify.Act{Month: "2023-08", Level: 3, Auditor: "zhao", Security: "li", Checked: checked}):
					t.Errorf("checked %v: %+v", checked, r.Acts)
				}
			}
		})
	}
	for name, o := range map[string]verify.Options{
		"no security officer": {Auditors: of("zhao", auditor)},
		"no auditor":          {Security: of("li", security)},
		"no key":              {Auditors: of("zhao", auditor), Security: []verify.Officer{{ID: "li", Key: "AAAA"}}},
		"no name":             {Auditors: of("", auditor), Security: of("li", security)},
	} {
		k, err := CreateKey(filepath.Join(t.TempDir(), "key"), origin)
		if err != nil {
			t.Fatal(err)
		}
		o.Key = k.Public()
		if _, err := verify.Folder(t.Context(), t.TempDir(), o); !errors.Is(err, verify.ErrInput) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestActInTime: the verifier finds an act that dropped a key before its records
// were three years old, by what was signed and by the record that says so; with
// the keys' folder and without, whoever can read the records.
func TestActInTime(t *testing.T) {
	zhao, li := mark(approval.OfficeAuditor, "zhao", officer(t)), mark(approval.OfficeSecurity, "li", officer(t))
	until := func(when time.Time) func(*approval.Act) { return func(a *approval.Act) { a.Expires = when } }
	early := "the records of 2023-08 are kept until 2026-09-01, and 2023-08.3 was dropped in 2026-08"
	for name, test := range map[string]struct {
		dropped       time.Time
		expires       time.Time
		want, keyless string // what is found, with the keys' folder and without
	}{
		"in time":                   {due, due.Add(time.Hour), "", ""},
		"years later":               {due.AddDate(7, 0, 0), due.AddDate(7, 1, 0), "", ""},
		"a second early":            {due.Add(-time.Second), due.Add(time.Hour), early, early},
		"in the month after":        {due.AddDate(-3, 0, 0), due.Add(time.Hour), "dropped in 2023-09", "dropped in 2023-09"},
		"by an act that was over":   {due, due, "it expired at 2026-09-01T00:00:00Z, and the records of 2023-08 are kept until 2026-09-01", ""},
		"by one that was over long": {due, due.AddDate(-1, 0, 0), "it expired at 2025-09-01T00:00:00Z", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(inMemory(t), "ledger")
			clock := time.Date(2023, 8, 31, 23, 0, 0, 0, time.UTC)
			n := open(t, dir, func(lc *lineage.Config, _ *Config) { lc.Clock = func() time.Time { return clock } })
			n.append(3)
			act := lineage.Act{Name: lineage.KeyName{Month: lineage.MonthOf(clock), Level: 3}, Key: must(lineage.Keys(lineage.Folder{Dir: dir}))[0].Key}
			act.Text = signedAct(act.Key, until(test.expires), zhao, li)
			clock = test.dropped
			if err := n.log.Drop(t.Context(), act, act.Record()); err != nil {
				t.Fatal(err)
			}
			n.proven(n.append(1))
			n.close()
			holds := func(what, want string, o verify.Options) {
				t.Helper()
				o.Key = n.key.Public()
				_, err := verify.Folder(t.Context(), dir, o)
				var found *verify.TamperError
				if want == "" && err != nil || want != "" && (!errors.As(err, &found) || !strings.Contains(found.Reason, want)) {
					t.Errorf("%s: %v, want %q", what, err, want)
				}
			}
			holds("without the reading key", test.want, verify.Options{})
			holds("with it", test.want, verify.Options{ReadingKey: readingText(t, dir)})
			if err := os.RemoveAll(filepath.Join(dir, lineage.KeysFolder)); err != nil {
				t.Fatal(err)
			}
			holds("without the keys' folder", test.keyless, verify.Options{})
		})
	}
}

// TestActIsSaid: the frame of an act stands behind the record that says it.
func TestActIsSaid(t *testing.T) {
	const dropFrame = 9
	drop := func(t *testing.T, told func(*lineage.Act) *lineage.Record) (dir, key string) {
		dir = filepath.Join(inMemory(t), "ledger")
		clock := time.Date(2023, 8, 31, 23, 0, 0, 0, time.UTC)
		n := open(t, dir, func(lc *lineage.Config, _ *Config) { lc.Clock = func() time.Time { return clock } })
		n.append(3)
		act := lineage.Act{Name: lineage.KeyName{Month: lineage.MonthOf(clock), Level: 3}, Key: must(lineage.Keys(lineage.Folder{Dir: dir}))[0].Key}
		act.Text = signedAct(act.Key, nil, mark(approval.OfficeAuditor, "zhao", officer(t)), mark(approval.OfficeSecurity, "li", officer(t)))
		clock = due
		if err := n.log.Drop(t.Context(), act, told(&act)); err != nil {
			t.Fatal(err)
		}
		n.proven(n.append(1))
		n.close()
		return dir, n.key.Public()
	}
	for what, told := range map[string]func(*lineage.Act) *lineage.Record{
		"of another kind":       func(a *lineage.Act) *lineage.Record { r := a.Record(); r.Kind = "query"; return r },
		"of another key":        func(a *lineage.Act) *lineage.Record { r := a.Record(); r.Operation = "2023-07.3"; return r },
		"of another act's text": func(a *lineage.Act) *lineage.Record { r := a.Record(); r.Document = lineage.ActDigest("-"); return r },
	} {
		dir, key := drop(t, told)
		var found *verify.TamperError
		if _, err := verify.Folder(t.Context(), dir, verify.Options{Key: key}); err != nil {
			t.Errorf("%s, where nobody can read it: %v", what, err)
		}
		_, err := verify.Folder(t.Context(), dir, verify.Options{Key: key, ReadingKey: readingText(t, dir)})
		if !errors.As(err, &found) || !strings.Contains(found.Reason, "2023-08.3 is of something else") {
			t.Errorf("%s: %v", what, err)
		}
	}
	dir, key := drop(t, (*lineage.Act).Record)
	path := filepath.Join(dir, "0000000000000001.wal")
	b := must(os.ReadFile(path))
	var out []byte
	for _, p := range places(b) {
		if f := b[p.from:p.to]; f[33]&0x7f == dropFrame {
			out = append(append(append(out, b[:p.to]...), f...), b[p.to:]...)
		}
	}
	reseal(map[string][]byte{path: out})
	if err := os.WriteFile(path, out, 0o600); err != nil {
		t.Fatal(err)
	}
	var found *verify.TamperError
	_, err := verify.Folder(t.Context(), dir, verify.Options{Key: key, LogOnly: true})
	if !errors.As(err, &found) || !strings.Contains(found.Reason, "behind no record") {
		t.Errorf("an act that no record says: %v", err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
