package gateway

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/internal/config"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// issuer signs tokens for tests.
type issuer struct {
	t    *testing.T
	ec   *ecdsa.PrivateKey
	rsa  *rsa.PrivateKey
	path string
	keys *JWKS
	jwt  *JWT
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{t: t, path: filepath.Join(t.TempDir(), "jwks.json")}
	var err error
	if i.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	if i.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	i.publish(map[string]any{"ec": i.ec.Public(), "rsa": i.rsa.Public()})
	cfg := &config.Config{
		Purposes:     []config.Purpose{{ID: "case"}, {ID: "other"}},
		Applications: []config.Application{{ID: "desk", Purposes: []string{"case"}}},
		Tokens: config.Tokens{JWT: &config.JWT{
			JWKS: config.JWKS{File: i.path}, Issuer: "https://issuer.example", Audience: "weir",
			Algorithms: []string{"ES256", "RS256"}, Leeway: 30 * time.Second, MaxLifetime: 24 * time.Hour,
			Claims: config.Claims{
				Subject: "sub", Application: "azp", Department: "department", Roles: "roles", Purposes: "purposes",
				Attributes: map[string]string{"region": "region", "id": "id_number"},
			},
		}},
	}
	if i.keys, err = OpenJWKS(t.Context(), cfg.Tokens.JWT.JWKS, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if i.jwt, err = NewJWT(cfg, i.keys, func() time.Time { return noon }); err != nil {
		t.Fatal(err)
	}
	return i
}

// publish writes the key set.
func (i *issuer) publish(keys map[string]any) {
	i.t.Helper()
	set := jwk.NewSet()
	for id, raw := range keys {
		key, ready := raw.(jwk.Key)
		if !ready {
			var err error
			if key, err = jwk.Import(raw); err != nil {
				i.t.Fatal(err)
			}
		}
		if err := key.Set(jwk.KeyIDKey, id); err != nil {
			i.t.Fatal(err)
		}
		if err := set.AddKey(key); err != nil {
			i.t.Fatal(err)
		}
	}
	text, err := json.Marshal(set)
	if err != nil {
		i.t.Fatal(err)
	}
	if err := os.WriteFile(i.path, text, 0o600); err != nil {
		i.t.Fatal(err)
	}
}

type claims map[string]any

func good() claims {
	return claims{
		"iss": "https://issuer.example", "aud": "weir", "sub": "s-1", "exp": noon.Add(time.Hour).Unix(), "iat": noon.Unix(),
		"jti": "t-1", "azp": "desk", "department": "police", "roles": []string{"officer"}, "region": "south",
		"purposes": []string{"other", "unregistered"},
	}
}

// with changes one claim; nil removes it.
func (c claims) with(name string, value any) claims {
	if value == nil {
		delete(c, name)
	} else {
		c[name] = value
	}
	return c
}

// sign makes a token; head members override alg and kid.
func (i *issuer) sign(c claims, alg jwa.SignatureAlgorithm, key any, head map[string]any) string {
	i.t.Helper()
	payload, err := json.Marshal(c)
	if err != nil {
		i.t.Fatal(err)
	}
	h := jws.NewHeaders()
	for name, v := range head {
		if err := h.Set(name, v); err != nil {
			i.t.Fatal(err)
		}
	}
	token, err := jws.Sign(payload, jws.WithKey(alg, key, jws.WithProtectedHeaders(h)))
	if err != nil {
		i.t.Fatal(err)
	}
	return string(token)
}

func (i *issuer) es(c claims) string {
	return i.sign(c, jwa.ES256(), i.ec, map[string]any{"kid": "ec"})
}

// byHand signs ES256 under any header, such as one that the library would not
// write: what refuses it is the header alone.
func (i *issuer) byHand(head string, c claims) string {
	i.t.Helper()
	body := strings.TrimSuffix(forge(head, c, nil), ".")
	digest := sha256.Sum256([]byte(body))
	r, s, err := ecdsa.Sign(rand.Reader, i.ec, digest[:])
	if err != nil {
		i.t.Fatal(err)
	}
	signature := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	return body + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// forge puts any header before any payload, with any signature.
func forge(head string, c claims, signature []byte) string {
	payload, _ := json.Marshal(c) //nolint:errchkjson // strings, numbers and lists
	enc := base64.RawURLEncoding
	return enc.EncodeToString([]byte(head)) + "." + enc.EncodeToString(payload) + "." + enc.EncodeToString(signature)
}

func TestJWTAccepted(t *testing.T) {
	i := newIssuer(t)
	got, err := i.jwt.Authenticate(t.Context(), i.es(good()))
	if err != nil {
		t.Fatal(err)
	}
	want := &authz.Subject{
		ID: "s-1", Application: "desk", Department: "police", Roles: []string{"officer"},
		Attributes: map[string]string{"region": "south"}, Purposes: []string{"case", "other"},
		Expires: noon.Add(time.Hour), TokenID: "t-1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := i.jwt.Authenticate(t.Context(), i.sign(good(), jwa.RS256(), i.rsa, map[string]any{"kid": "rsa"})); err != nil {
		t.Errorf("RS256: %v", err)
	}
	for name, c := range map[string]claims{
		"audience list": good().with("aud", []string{"other", "weir"}),
		"clocks differ": good().with("exp", noon.Add(10*time.Second).Unix()).with("iat", noon.Add(10*time.Second).Unix()),
		"one role":      good().with("roles", "officer"),
		"no roles":      good().with("roles", nil),
	} {
		if _, err := i.jwt.Authenticate(t.Context(), i.es(c)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	s, err := i.jwt.Authenticate(t.Context(), i.es(good().with("region", []string{"a", "b"}).with("id_number", "")))
	if err != nil || len(s.Attributes) != 0 {
		t.Errorf("a list or an empty text became an attribute: %v %v", s, err)
	}
}

func TestJWTRefused(t *testing.T) {
	i := newIssuer(t)
	foreign, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	published, err := os.ReadFile(i.path)
	if err != nil {
		t.Fatal(err)
	}
	ok := i.es(good())
	parts := strings.Split(ok, ".")
	hs := func(secret []byte) string {
		body := strings.Join(strings.Split(forge(`{"alg":"HS256","kid":"rsa"}`, good(), nil), ".")[:2], ".")
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(body))
		return body + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	raw := func(s string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, token := range map[string]string{
		"empty":                    "",
		"not a token":              "clerk",
		"alg none":                 forge(`{"alg":"none"}`, good(), nil),
		"alg none, kid":            forge(`{"alg":"none","kid":"ec"}`, good(), nil),
		"alg None":                 forge(`{"alg":"None","kid":"ec"}`, good(), raw(parts[2])),
		"alg absent":               forge(`{"kid":"ec"}`, good(), raw(parts[2])),
		"alg twice":                forge(`{"alg":"ES256","alg":"none","kid":"ec"}`, good(), nil),
		"signature cut":            parts[0] + "." + parts[1] + ".",
		"two parts":                parts[0] + "." + parts[1],
		"payload changed":          parts[0] + "." + strings.Split(forge(`{}`, good().with("sub", "other"), nil), ".")[1] + "." + parts[2],
		"HS with the RSA key":      hs(i.rsa.N.Bytes()),
		"HS with the published":    hs(published),
		"another's key":            i.sign(good(), jwa.ES256(), foreign, map[string]any{"kid": "ec"}),
		"unknown kid":              i.sign(good(), jwa.ES256(), i.ec, map[string]any{"kid": "../../etc/passwd"}),
		"no kid among two keys":    i.sign(good(), jwa.ES256(), i.ec, nil),
		"kid of the other key":     i.sign(good(), jwa.ES256(), i.ec, map[string]any{"kid": "rsa"}),
		"algorithm not configured": i.sign(good(), jwa.PS256(), i.rsa, map[string]any{"kid": "rsa"}),
		"EdDSA not configured":     i.sign(good(), jwa.EdDSA(), edwards, map[string]any{"kid": "ec"}),
		"crit":                     i.byHand(`{"alg":"ES256","kid":"ec","crit":["exp"],"exp":1}`, good()),
		"jwk":                      i.byHand(`{"alg":"ES256","kid":"ec","jwk":{"kty":"oct","k":"AAAA"}}`, good()),
		"x5u":                      i.byHand(`{"alg":"ES256","kid":"ec","x5u":"https://evil.example/cert"}`, good()),
		"x5c":                      i.byHand(`{"alg":"ES256","kid":"ec","x5c":["AAAA"]}`, good()),
		"zip":                      i.byHand(`{"alg":"ES256","kid":"ec","zip":"DEF"}`, good()),
		"jku by hand":              i.byHand(`{"alg":"ES256","kid":"ec","jku":"https://evil.example/keys"}`, good()),
		"header with a tail":       i.byHand(`{"alg":"ES256","kid":"ec"}{}`, good()),
		"jku":                      i.sign(good(), jwa.ES256(), i.ec, map[string]any{"kid": "ec", "jku": "https://evil.example/keys"}),
		"expired":                  i.es(good().with("exp", noon.Add(-time.Minute).Unix())),
		"no expiry":                i.es(good().with("exp", nil)),
		"lives too long":           i.es(good().with("exp", noon.Add(25*time.Hour).Unix())),
		"not yet":                  i.es(good().with("nbf", noon.Add(time.Hour).Unix())),
		"issued tomorrow":          i.es(good().with("iat", noon.Add(23*time.Hour).Unix())),
		"wrong issuer":             i.es(good().with("iss", "https://evil.example")),
		"no issuer":                i.es(good().with("iss", nil)),
		"wrong audience":           i.es(good().with("aud", "another")),
		"no audience":              i.es(good().with("aud", nil)),
		"no subject":               i.es(good().with("sub", nil)),
		"empty subject":            i.es(good().with("sub", "")),
		"long subject":             i.es(good().with("sub", strings.Repeat("s", 300))),
		"roles of numbers":         i.es(good().with("roles", []any{"a", 1})),
		"roles an object":          i.es(good().with("roles", map[string]any{"a": 1})),
		"empty role":               i.es(good().with("roles", []string{""})),
		"a hundred roles":          i.es(good().with("roles", make100())),
		"JSON serialization":       `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		"encrypted":                "a.b.c.d.e",
	} {
		if s, err := i.jwt.Authenticate(t.Context(), token); !errors.Is(err, ErrUnauthenticated) {
			t.Errorf("%s: %v, %v", name, s, err)
		} else if err.Error() != ErrUnauthenticated.Error() {
			t.Errorf("%s: the error tells more: %v", name, err)
		}
	}
}

func make100() []string {
	out := make([]string, 100)
	for i := range out {
		out[i] = "r" + strings.Repeat("x", i)
	}
	return out
}

// TestKeysAreUsedAsTheyState: a key that is for another algorithm, or no
// signing key, verifies nothing; and a token that names an unknown key asks for
// the keys anew.
func TestKeysAreUsedAsTheyState(t *testing.T) {
	i := newIssuer(t)
	if _, err := i.jwt.Authenticate(t.Context(), i.byHand(`{"alg":"ES256","kid":"ec"}`, good())); err != nil {
		t.Fatalf("a token signed by hand: %v", err)
	}
	token := i.sign(good(), jwa.RS256(), i.rsa, map[string]any{"kid": "rsa"})
	for member, values := range map[string][2]string{jwk.AlgorithmKey: {"RS256", "RS384"}, jwk.KeyUsageKey: {"sig", "enc"}} {
		for n, value := range values {
			key, err := jwk.Import(i.rsa.Public())
			if err != nil {
				t.Fatal(err)
			}
			if err := key.Set(member, value); err != nil {
				t.Fatal(err)
			}
			i.publish(map[string]any{"rsa": key})
			if err := i.keys.refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := i.jwt.Authenticate(t.Context(), token); (err == nil) != (n == 0) {
				t.Errorf("%s %s: %v", member, value, err)
			}
		}
	}
	select {
	case <-i.keys.missed:
		t.Error("keys that were found were missed")
	default:
	}
	if _, err := i.jwt.Authenticate(t.Context(), i.es(good())); !errors.Is(err, ErrUnauthenticated) {
		t.Errorf("a withdrawn key: %v", err)
	}
	select {
	case <-i.keys.missed:
	default:
		t.Error("a token with an unknown key id asks for no refresh")
	}
}

func TestKeysThatMaySignAreRefused(t *testing.T) {
	i := newIssuer(t)
	for name, keys := range map[string]map[string]any{
		"private": {"a": i.ec}, "symmetric": {"a": []byte("0123456789abcdef0123456789abcdef")},
	} {
		i.publish(keys)
		if _, err := OpenJWKS(t.Context(), config.JWKS{File: i.path}, slog.New(slog.DiscardHandler)); !errors.Is(err, errJWKS) {
			t.Errorf("%s: %v", name, err)
		}
	}
	i.publish(map[string]any{"one-id": i.ec.Public(), "two-id": i.rsa.Public()})
	published, err := os.ReadFile(i.path)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty": `{"keys":[]}`, "not JSON": canary, "nothing": "",
		"two of one id": strings.ReplaceAll(string(published), "two-id", "one-id"),
		"two of no id":  strings.ReplaceAll(strings.ReplaceAll(string(published), `"kid":"one-id",`, ""), `"kid":"two-id",`, ""),
	} {
		if err := os.WriteFile(i.path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := OpenJWKS(t.Context(), config.JWKS{File: i.path}, slog.New(slog.DiscardHandler))
		if err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAlgorithmsThatMaySign: a configuration that got past its own check names
// no algorithm by which a published key could sign, and none that needs no key.
func TestAlgorithmsThatMaySign(t *testing.T) {
	i := newIssuer(t)
	for _, name := range []string{"HS256", "HS512", "none", "None", ""} {
		c := &config.Config{Tokens: config.Tokens{JWT: &config.JWT{Algorithms: []string{"ES256", name}}}}
		if _, err := NewJWT(c, i.keys, time.Now); err == nil {
			t.Errorf("%q is accepted", name)
		}
	}
}

func TestWithdrawnKey(t *testing.T) {
	i := newIssuer(t)
	cache := newTokenCache(i.jwt, func() time.Time { return noon }, plainReader)
	token := i.es(good())
	if _, err := cache.reader(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	i.publish(map[string]any{"rsa": i.rsa.Public()})
	if err := i.keys.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := cache.reader(t.Context(), token); !errors.Is(err, ErrUnauthenticated) {
		t.Error("a cached token outlived its key")
	}
	// A set that became unreadable leaves the last one in force.
	if err := os.WriteFile(i.path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := i.keys.refresh(t.Context()); err == nil {
		t.Error("a broken set was taken")
	}
	if _, err := i.jwt.Authenticate(t.Context(), i.sign(good(), jwa.RS256(), i.rsa, map[string]any{"kid": "rsa"})); err != nil {
		t.Error(err)
	}
}

// counting counts verifications.
type counting struct {
	calls   atomic.Int64
	expires time.Time
}

func (c *counting) Authenticate(context.Context, string) (*authz.Subject, error) {
	c.calls.Add(1)
	return &authz.Subject{ID: "s", Expires: c.expires}, nil
}

func (*counting) Epoch() uint64 { return 0 }

func TestTokenCache(t *testing.T) {
	now := noon
	auth := &counting{expires: noon.Add(time.Minute)}
	cache := newTokenCache(auth, func() time.Time { return now }, plainReader)
	for range 3 {
		if _, err := cache.reader(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
	}
	if n := auth.calls.Load(); n != 1 {
		t.Errorf("verified %d times", n)
	}
	now = noon.Add(time.Minute)
	if _, err := cache.reader(t.Context(), "a"); !errors.Is(err, ErrUnauthenticated) {
		t.Error("an expired token was served from the cache")
	}
	now = noon
	for i := range maxVerified + 10 {
		if _, err := cache.reader(t.Context(), "token"+string(rune(i))); err != nil {
			t.Fatal(err)
		}
	}
	if len(cache.known) > maxVerified {
		t.Errorf("%d tokens are remembered", len(cache.known))
	}
}

// TestTokensApart: whoever holds a token that begins or ends as another's is
// not taken for him, and what proves nobody, or has expired, is remembered for
// nothing.
func TestTokensApart(t *testing.T) {
	auth := &naming{expires: noon.Add(time.Minute)}
	cache := newTokenCache(auth, func() time.Time { return noon }, plainReader)
	head, tail := strings.Repeat("h", 2000), strings.Repeat("t", 2000)
	for range 2 {
		for _, token := range []string{"a", "b", head + "a" + tail, head + "b" + tail, head + "a", head + "b", "a" + tail, "b" + tail} {
			r, err := cache.reader(t.Context(), token)
			if err != nil || r.ID != token {
				t.Fatalf("%.10s… of %d bytes: another's reader, or %v", token, len(token), err)
			}
		}
	}
	for name, auth := range map[string]*naming{
		"expired": {expires: noon}, "nobody": {expires: noon.Add(time.Minute), nameless: true},
	} {
		cache := newTokenCache(auth, func() time.Time { return noon }, plainReader)
		for range 2 {
			if _, err := cache.reader(t.Context(), "x"); !errors.Is(err, ErrUnauthenticated) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if len(cache.known) > 0 {
			t.Errorf("%s: remembered", name)
		}
	}
}

// naming takes every token for its bearer's name.
type naming struct {
	expires  time.Time
	nameless bool
}

func (n *naming) Authenticate(_ context.Context, token string) (*authz.Subject, error) {
	if n.nameless {
		token = ""
	}
	return &authz.Subject{ID: token, Expires: n.expires}, nil
}

func (*naming) Epoch() uint64 { return 0 }

// TestBearer: one header, one scheme, a token of moderate length and of visible
// ASCII; everything else proves nobody, before anything looks at it.
func TestBearer(t *testing.T) {
	longest := strings.Repeat("t", maxToken)
	for _, value := range []string{"Bearer abc", "bearer abc", "BEARER  abc", "Bearer " + longest} {
		if token, ok := bearer(http.Header{"Authorization": {value}}); !ok || token != strings.TrimLeft(value[7:], " ") {
			t.Errorf("%.20q gives %.20q, %v", value, token, ok)
		}
	}
	for name, values := range map[string][]string{
		"none": nil, "empty": {""}, "scheme alone": {"Bearer"}, "no token": {"Bearer "}, "another scheme": {"Basic abc"}, "no scheme": {"abc"},
		"two": {"Bearer abc", "Bearer abc"}, "huge": {"Bearer " + longest + "t"}, "blank inside": {"Bearer a b"}, "control": {"Bearer a\x00"},
		"tab": {"Bearer a\tb"}, "beyond ASCII": {"Bearer 令牌"}, "delete": {"Bearer a\x7f"},
	} {
		if token, ok := bearer(http.Header{"Authorization": values, "X-Authorization": {"Bearer abc"}}); ok {
			t.Errorf("%s: %.20q", name, token)
		}
	}
}

func TestRevocationFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revoked")
	if err := os.WriteFile(path, []byte("# none yet\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := OpenRevocations(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s := &authz.Subject{ID: "s", TokenID: "t"}
	if f.Revoked(s) || f.Revoked(&authz.Subject{ID: "x"}) {
		t.Error("revoked without a reason")
	}
	for _, text := range []string{"t # stolen\n", "sub:s\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := f.refresh(); err != nil || !f.Revoked(s) {
			t.Errorf("%q does not revoke: %v", text, err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := f.refresh(); err == nil || !f.Revoked(s) {
		t.Error("a list that disappeared let a revoked reader in")
	}
}

func TestJWKSByURL(t *testing.T) {
	i := newIssuer(t)
	text, err := os.ReadFile(i.path)
	if err != nil {
		t.Fatal(err)
	}
	var answer atomic.Pointer[func(http.ResponseWriter, *http.Request)]
	serve := func(f func(http.ResponseWriter, *http.Request)) { answer.Store(&f) }
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*answer.Load())(w, r) }))
	defer server.Close()
	cfg := config.JWKS{URL: server.URL, Refresh: time.Hour}
	log := slog.New(slog.DiscardHandler)
	// Each has the keys, but not as they must come.
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(text) }))
	defer elsewhere.Close()
	for name, f := range map[string]func(http.ResponseWriter, *http.Request){
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) },
		"error": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write(text)
		},
		"not keys": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) },
		"very long": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(append(bytes.Clone(text), bytes.Repeat([]byte(" "), maxJWKS)...))
		},
	} {
		serve(f)
		if _, err := OpenJWKS(t.Context(), cfg, log); err == nil {
			t.Errorf("%s: taken as keys", name)
		}
	}
	serve(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(text) })
	keys, err := OpenJWKS(t.Context(), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	if set, _ := keys.Keys(); set.Len() != 2 {
		t.Errorf("%d keys", set.Len())
	}
	// Strangers, whose tokens name keys that are not there, cannot make us call
	// the issuer at will.
	fetched := make(chan struct{}, 100)
	serve(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(text)
		fetched <- struct{}{}
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = keys.Run(ctx) }()
	keys.Missed()
	<-fetched
	for range 20 {
		keys.Missed()
		time.Sleep(5 * time.Millisecond)
	}
	cancel()
	<-ended
	if n := len(fetched); n > 0 {
		t.Errorf("%d more fetches at once", n)
	}
}

func plainReader(s *authz.Subject) *reader { return &reader{Subject: s} }
