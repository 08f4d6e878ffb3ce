package keyring

import (
	"bytes"
	"crypto/aes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// fixed is a ring of known keys, so that outputs can be pinned.
func fixed(t testing.TB, text string) *Ring {
	t.Helper()
	r, err := parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const (
	oneKey = "weir keyring v1\nactive 00000001\nkey 00000001 AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE\n"
	twoKey = "weir keyring v1\nactive 00000002\nkey 00000001 AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE\n" +
		"key 00000002 AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI\n"
)

func unhex(s string) []byte { return must(hex.DecodeString(strings.ReplaceAll(s, " ", ""))) }

// TestCMAC: the vectors of RFC 4493 (AES-128) and NIST SP 800-38B, D.3 (AES-256).
func TestCMAC(t *testing.T) {
	message := unhex("6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51" +
		"30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710")
	for _, v := range []struct {
		key  string
		n    int
		want string
	}{
		{"2b7e151628aed2a6abf7158809cf4f3c", 0, "bb1d6929e95937287fa37d129b756746"},
		{"2b7e151628aed2a6abf7158809cf4f3c", 16, "070a16b46b4d4144f79bdd9dd04a287c"},
		{"2b7e151628aed2a6abf7158809cf4f3c", 40, "dfa66747de9ae63030ca32611497c827"},
		{"2b7e151628aed2a6abf7158809cf4f3c", 64, "51f0bebf7e3b9d92fc49741779363cfe"},
		{"603deb1015ca71be2b73aef0857d7781 1f352c073b6108d72d9810a30914dff4", 0, "028962f61b7bf89efc6b551f4667d983"},
		{"603deb1015ca71be2b73aef0857d7781 1f352c073b6108d72d9810a30914dff4", 16, "28a7023f452e8f82bd4bf28d8c37c35c"},
		{"603deb1015ca71be2b73aef0857d7781 1f352c073b6108d72d9810a30914dff4", 40, "aaf3d8f1de5640c232f5b169b9c911e6"},
		{"603deb1015ca71be2b73aef0857d7781 1f352c073b6108d72d9810a30914dff4", 64, "e1992190549f6ed5696a2c056c315410"},
	} {
		mac, work := newCMAC(must(aes.NewCipher(unhex(v.key)))), cmacWork{1, 2, 3}
		got := mac.sum(&work, message[:v.n])
		if !bytes.Equal(got[:], unhex(v.want)) {
			t.Errorf("%d bytes under %d bits: %x, want %s", v.n, len(unhex(v.key))*8, got, v.want)
		}
	}
}

// TestPinned: what the keys make does not change with the program, or old
// cursors, references and ledger tags would lose their meaning.
func TestPinned(t *testing.T) {
	r := fixed(t, oneKey).WithNonces(func(b []byte) { clear(b) })
	derived, tag := r.Derive("mask"), r.Tag("tag", []byte("990101199001011234"))
	for name, c := range map[string][2]string{
		"derive":        {hex.EncodeToString(derived[:]), "fe3080c086cd56b89c34649ccbe3e1678c972e0d64702d1aaef9fdcdf896994f"},
		"tag":           {hex.EncodeToString(tag[:]), "1c15805d2de5173a"},
		"pseudonym":     {r.Pseudonym("subject", "alice"), "YquqR1RudP_ajH3Wtud7sQ"},
		"seal":          {short(r.Seal("cursor", []byte("a"), []byte("b"))), "13292598c0e8b328"},
		"deterministic": {short(r.SealDeterministic("ref", []byte("a"), []byte("b"))), "535bc39a39c65768"},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: %s, want %s", name, c[0], c[1])
		}
	}
}

// sealers are the two ways to seal; their rules are the same.
type sealer struct {
	name string
	seal func(r *Ring, use string, plaintext, aad []byte) []byte
	open func(r *Ring, use string, sealed, aad []byte) ([]byte, error)
}

func sealers() []sealer {
	return []sealer{
		{"random", (*Ring).Seal, (*Ring).Open},
		{"deterministic", (*Ring).SealDeterministic, (*Ring).OpenDeterministic},
	}
}

// TestSealed: what was sealed opens, to the same bytes; under another use, other
// associated data or another ring, or changed in any bit, it does not.
func TestSealed(t *testing.T) {
	ring, stranger := must(Generate()), must(Generate())
	for _, s := range sealers() {
		t.Run(s.name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				plaintext := rapid.SliceOfN(rapid.Byte(), 0, 700).Draw(t, "plaintext")
				aad := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "aad")
				sealed := s.seal(ring, "use", plaintext, aad)
				got, err := s.open(ring, "use", sealed, aad)
				if err != nil || !bytes.Equal(got, plaintext) {
					t.Fatalf("%q opens to %q, %v", plaintext, got, err)
				}
				refused := func(name string, r *Ring, use string, sealed, aad []byte) {
					if got, err := s.open(r, use, sealed, aad); !errors.Is(err, ErrInvalid) || got != nil {
						t.Fatalf("%s: %q, %v", name, got, err)
					}
				}
				refused("use", ring, "other", sealed, aad)
				refused("aad", ring, "use", sealed, append(slices.Clone(aad), 0))
				refused("ring", stranger, "use", sealed, aad)
				changed := slices.Clone(sealed)
				changed[rapid.IntRange(0, len(sealed)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
				refused("bit", ring, "use", changed, aad)
				refused("cut", ring, "use", sealed[:rapid.IntRange(0, len(sealed)-1).Draw(t, "cut")], aad)
				refused("longer", ring, "use", append(slices.Clone(sealed), make([]byte, len(sealed))...), aad)
			})
		})
	}
	// The two forms are not taken for each other.
	if _, err := ring.Open("use", ring.SealDeterministic("use", make([]byte, 300), nil), nil); !errors.Is(err, ErrInvalid) {
		t.Error("a deterministic seal opens as a random one")
	}
	if _, err := ring.OpenDeterministic("use", ring.Seal("use", nil, nil), nil); !errors.Is(err, ErrInvalid) {
		t.Error("a random seal opens as a deterministic one")
	}
}

// TestOneForm: padding taken off or put on does not make a second token of one.
func TestOneForm(t *testing.T) {
	ring := must(Generate())
	for _, s := range sealers() {
		for _, n := range []int{64, 100, 300} {
			sealed := s.seal(ring, "u", make([]byte, n), nil)
			for cut := range len(sealed) {
				if _, err := s.open(ring, "u", sealed[:cut], nil); !errors.Is(err, ErrInvalid) {
					t.Fatalf("%s: %d of %d bytes open", s.name, cut, len(sealed))
				}
			}
		}
	}
}

// TestSplit: the border between associated data and plaintext counts.
func TestSplit(t *testing.T) {
	ring := must(Generate())
	if bytes.Equal(ring.SealDeterministic("u", []byte("bc"), []byte("a")), ring.SealDeterministic("u", []byte("c"), []byte("ab"))) {
		t.Error("two splits of the same bytes are one")
	}
}

// TestLengths: short things have one length, and nothing shows in it.
func TestLengths(t *testing.T) {
	ring := must(Generate())
	for n := range 256 {
		if got, want := len(ring.Seal("u", make([]byte, n), nil)), 4+12+256+16; got != want {
			t.Fatalf("%d bytes seal to %d, want %d", n, got, want)
		}
	}
	for n := range 64 {
		if got, want := len(ring.SealDeterministic("u", make([]byte, n), nil)), 4+16+64; got != want {
			t.Fatalf("%d bytes seal to %d, want %d", n, got, want)
		}
	}
	if a, b := len(ring.Seal("u", make([]byte, 256), nil)), len(ring.Seal("u", make([]byte, 511), nil)); a != b || a != 4+12+512+16 {
		t.Errorf("%d and %d", a, b)
	}
}

func TestRandomAndDeterministic(t *testing.T) {
	ring := must(Generate())
	if bytes.Equal(ring.Seal("u", []byte("x"), nil), ring.Seal("u", []byte("x"), nil)) {
		t.Error("equal texts seal alike")
	}
	a := ring.SealDeterministic("u", []byte("x"), nil)
	if !bytes.Equal(a, ring.SealDeterministic("u", []byte("x"), nil)) {
		t.Error("a reference is not stable")
	}
	if bytes.Equal(a[4:], ring.SealDeterministic("v", []byte("x"), nil)[4:]) || bytes.Equal(a, ring.SealDeterministic("u", []byte("x"), []byte("p"))) {
		t.Error("two uses or purposes share a reference")
	}
	replay := ring.WithNonces(func(b []byte) { clear(b) })
	if !bytes.Equal(replay.Seal("u", []byte("x"), nil), replay.Seal("u", []byte("x"), nil)) {
		t.Error("injected nonces are not used")
	}
	if got, err := ring.Open("u", replay.Seal("u", []byte("x"), nil), nil); err != nil || string(got) != "x" {
		t.Error(got, err)
	}
}

// TestUsesApart: no use, and no way of using, shares a key with another.
func TestUsesApart(t *testing.T) {
	ring := must(Generate())
	seen := map[string]string{}
	add := func(name, v string) {
		if old, ok := seen[v]; ok {
			t.Errorf("%s equals %s", name, old)
		}
		seen[v] = name
	}
	for _, use := range []string{"", "a", "b", "a\x00derive", "mask/x"} {
		k := ring.keys[0]
		for _, part := range []string{"derive", "siv-mac", "siv-stream", "pseudonym", "tag", "seal"} {
			d := k.derive(use, part)
			add(use+"|"+part, string(d[:]))
		}
		tag := ring.Tag(use, []byte("x"))
		add("tag "+use, string(tag[:]))
		add("pseudonym "+use, ring.Pseudonym(use, "x"))
	}
}

// TestRotation: the new key makes, both open, a retired one opens nothing.
// TestFingerprints: they tell the keys of rings apart, last through a rotation,
// and are nothing that another use gives.
func TestFingerprints(t *testing.T) {
	old, other := must(Generate()), must(Generate())
	ring := must(old.Rotate())
	before, after := old.Fingerprints(), ring.Fingerprints()
	if len(before) != 1 || len(after) != 2 || after[1] != before[0] || after[0] == before[0] || other.Fingerprints()[0] == before[0] {
		t.Errorf("%v, rotated %v, another ring %v", before, after, other.Fingerprints())
	}
	path := filepath.Join(t.TempDir(), "ring")
	if err := ring.Save(path); err != nil {
		t.Fatal(err)
	}
	if again := must(Load(path)).Fingerprints(); !slices.Equal(again, after) {
		t.Errorf("loaded: %v, want %v", again, after)
	}
	key := ring.Derive("fingerprint")
	if secret := hex.EncodeToString(ring.keys[0].secret[:]); strings.Contains(secret, after[0]) || strings.Contains(hex.EncodeToString(key[:]), after[0]) {
		t.Error("a fingerprint is part of a key")
	}
}

func TestRotation(t *testing.T) {
	old := must(Generate())
	ring := must(old.Rotate())
	if ring.Active() == old.Active() || !slices.Equal(ring.KeyIDs(), []KeyID{ring.Active(), old.Active()}) {
		t.Fatal(ring.KeyIDs())
	}
	for _, s := range sealers() {
		before, after := s.seal(old, "u", []byte("x"), nil), s.seal(ring, "u", []byte("x"), nil)
		if got, err := s.open(ring, "u", before, nil); err != nil || string(got) != "x" {
			t.Errorf("%s: the old text: %q, %v", s.name, got, err)
		}
		if KeyID(after[:4]) != ring.Active() {
			t.Errorf("%s: the old key made something new", s.name)
		}
		if _, err := s.open(old, "u", after, nil); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: the old ring opens the new key's text", s.name)
		}
		retired := must(ring.Retire(old.Active()))
		if _, err := s.open(retired, "u", before, nil); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: a retired key opens", s.name)
		}
	}
	if _, err := ring.Retire(ring.Active()); !errors.Is(err, ErrKeyring) {
		t.Errorf("the active key was retired: %v", err)
	}
	if _, err := old.Retire(ring.Active()); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("an unknown key was retired: %v", err)
	}
	for len(ring.KeyIDs()) < maxKeys {
		ring = must(ring.Rotate())
	}
	if _, err := ring.Rotate(); !errors.Is(err, ErrKeyring) {
		t.Errorf("more than %d keys: %v", maxKeys, err)
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyring")
	ring := must(must(Generate()).Rotate())
	for range 2 { // the second replaces the first
		if err := ring.Save(path); err != nil {
			t.Fatal(err)
		}
		got, err := Load(path)
		if err != nil || !got.Equal(ring) {
			t.Fatal(err)
		}
		if mode := must(os.Stat(path)).Mode().Perm(); mode != 0o600 {
			t.Errorf("mode %04o", mode)
		}
		if names := must(os.ReadDir(filepath.Dir(path))); len(names) != 1 {
			t.Errorf("left behind: %v", names)
		}
		ring = must(ring.Rotate())
	}
	if got := must(Load(path)); got.Equal(ring) || !got.Equal(got) || got.Equal(nil) {
		t.Error("rings are not told apart")
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); !errors.Is(err, ErrPermission) || !strings.Contains(err.Error(), path) {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
	if _, err := Load(filepath.Dir(path)); !errors.Is(err, ErrKeyring) {
		t.Errorf("a folder: %v", err)
	}
	if _, err := Load(path + ".missing"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if err := ring.Save(filepath.Join(path, "below")); err == nil {
		t.Error("saved below a file")
	}
}

// TestFileFormat: everything but the one spelling is refused, with the line and
// without what stands there.
func TestFileFormat(t *testing.T) {
	const secret = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"
	lines := func(l ...string) string { return strings.Join(l, "\n") + "\n" }
	for name, c := range map[string]struct{ text, says string }{
		"empty":            {"", "does not end"},
		"no end":           {strings.TrimSuffix(oneKey, "\n"), "does not end"},
		"another version":  {strings.Replace(oneKey, "v1", "v2", 1), "line 1"},
		"windows ends":     {strings.ReplaceAll(oneKey, "\n", "\r\n"), "line 1"},
		"no keys":          {lines("weir keyring v1", "active 00000001"), "no keys"},
		"unknown active":   {strings.Replace(oneKey, "active 00000001", "active 00000009", 1), "not in the ring"},
		"no active":        {lines("weir keyring v1", "key 00000001 "+secret, "key 00000002 "+secret), "line 2"},
		"upper-case id":    {strings.ReplaceAll(oneKey, "00000001", "0000000A"), "line 2"},
		"short id":         {strings.ReplaceAll(oneKey, "00000001", "01"), "line 2"},
		"twice":            {oneKey + "key 00000001 " + secret + "\n", "line 4"},
		"short secret":     {strings.Replace(oneKey, secret, secret[2:], 1), "line 3"},
		"padded secret":    {strings.Replace(oneKey, secret, secret+"=", 1), "line 3"},
		"zero secret":      {strings.Replace(oneKey, secret, strings.Repeat("A", 43), 1), "line 3"},
		"more words":       {strings.Replace(oneKey, secret, secret+" x", 1), "line 3"},
		"two blanks":       {strings.Replace(oneKey, "key ", "key  ", 1), "line 3"},
		"an unknown word":  {oneKey + "note 00000002 " + secret + "\n", "line 4"},
		"an empty line":    {oneKey + "\n", "line 4"},
		"loose base64 end": {strings.Replace(oneKey, secret, secret[:42]+"F", 1), "line 3"},
		"too many":         {oneKey + strings.Repeat("key 00000002 "+secret+"\n", maxKeys), "more than"},
		"too long":         {strings.Repeat("x", maxFile+1), "longer"},
	} {
		path := filepath.Join(t.TempDir(), "keyring")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path)
		if !errors.Is(err, ErrKeyring) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if strings.Contains(err.Error(), secret[:16]) {
			t.Errorf("%s: the error holds a secret", name)
		}
	}
	if r := fixed(t, twoKey); r.Active().String() != "00000002" || len(r.KeyIDs()) != 2 {
		t.Error(r.KeyIDs())
	}
}

// TestNeverPrinted: no way of printing a ring shows a secret.
func TestNeverPrinted(t *testing.T) {
	r := fixed(t, twoKey)
	secret := r.keys[0].secret
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+"\n", r)
		fmt.Fprintf(&out, verb+"\n", struct{ Ring *Ring }{r})
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "ring", r)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "ring", r)
	out.Write(must(json.Marshal(map[string]any{"ring": r})))
	for _, form := range []string{
		string(secret[:]), hex.EncodeToString(secret[:]), hex.EncodeToString(secret[:4]), EncodeText(secret[:])[:8], "2, 2, 2", "2 2 2", "0x2, 0x2",
	} {
		if strings.Contains(out.String(), form) {
			t.Errorf("%q shows in %s", form, out.String())
		}
	}
	if !strings.Contains(out.String(), redacted) {
		t.Error(out.String())
	}
}

func TestText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")
		text := EncodeText(b)
		if got, err := DecodeText(text); err != nil || !bytes.Equal(got, b) || string(AppendText(nil, b)) != text {
			t.Fatal(got, err)
		}
	})
	for _, s := range []string{"A", "AA=", "AA==", "AB", "A+", "A/", "AA\n", "A\nA", "\r", " AA", "é"} {
		if _, err := DecodeText(s); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q decodes: %v", s, err)
		}
	}
}

// TestConcurrent is for the race detector: uses derived at the same time agree.
func TestConcurrent(t *testing.T) {
	ring := must(must(Generate()).Rotate())
	want := fmt.Sprint(ring.Tag("u0", []byte("x")), ring.Pseudonym("u1", "x"))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 50 {
				use := fmt.Sprintf("u%d", i%5)
				if got, err := ring.Open(use, ring.Seal(use, []byte("x"), nil), nil); err != nil || string(got) != "x" {
					t.Errorf("%q, %v", got, err)
				}
				if got, err := ring.OpenDeterministic(use, ring.SealDeterministic(use, []byte("x"), nil), nil); err != nil || string(got) != "x" {
					t.Errorf("%q, %v", got, err)
				}
				if got := fmt.Sprint(ring.Tag("u0", []byte("x")), ring.Pseudonym("u1", "x")); got != want {
					t.Errorf("%s, want %s", got, want)
				}
			}
		})
	}
	wg.Wait()
}

// TestAllocations holds the budgets of what runs per row or per request.
func TestAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector makes pools forget, and so allocate")
	}
	ring := must(Generate())
	id, aad := []byte("990101199001011234"), []byte("purpose")
	sealed := ring.Seal("u", id, aad)
	for name, c := range map[string]struct {
		most float64
		do   func()
	}{
		"derive":        {0, func() { ring.Derive("u") }},
		"tag":           {1, func() { ring.Tag("u", id) }},
		"pseudonym":     {2, func() { ring.Pseudonym("u", "alice") }},
		"seal":          {1, func() { ring.Seal("u", id, aad) }},
		"open":          {1, func() { _, _ = ring.Open("u", sealed, aad) }},
		"deterministic": {3, func() { ring.SealDeterministic("u", id, aad) }},
	} {
		if got := testing.AllocsPerRun(200, c.do); got > c.most {
			t.Errorf("%s: %v allocations, budget %v", name, got, c.most)
		}
	}
}

func BenchmarkRing(b *testing.B) {
	ring := must(Generate())
	id, aad := []byte("990101199001011234"), []byte("purpose")
	sealed := ring.Seal("u", id, aad)
	for _, c := range []struct {
		name string
		do   func()
	}{
		{"tag", func() { ring.Tag("u", id) }},
		{"pseudonym", func() { ring.Pseudonym("u", "alice") }},
		{"seal", func() { ring.Seal("u", id, aad) }},
		{"open", func() { _, _ = ring.Open("u", sealed, aad) }},
		{"deterministic", func() { ring.SealDeterministic("u", id, aad) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.do()
			}
		})
	}
}

func short(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// TestDigest: equal identifiers have equal digests under one key and use, and
// nothing else has.
func TestDigest(t *testing.T) {
	one, two := fixed(t, oneKey), fixed(t, twoKey)
	seen := map[[16]byte]string{}
	for name, d := range map[string][16]byte{
		"x": one.Digest("budget", []byte("x")), "y": one.Digest("budget", []byte("y")), "empty": one.Digest("budget", nil),
		"other use": one.Digest("other", []byte("x")), "other key": two.Digest("budget", []byte("x")),
	} {
		if twin, ok := seen[d]; ok {
			t.Errorf("%s and %s have one digest", name, twin)
		}
		seen[d] = name
	}
	if seen[one.Digest("budget", []byte("x"))] != "x" {
		t.Error("the digest is not stable")
	}
}
