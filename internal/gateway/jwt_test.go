package gateway

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lestrrat-go/jwx/v3/jwa"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/internal/config"
)

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
	for _, region := range []any{[]string{"a", "b"}, "a\x00", "a\n", "\ufffd", 7} {
		s, err := i.jwt.Authenticate(t.Context(), i.es(good().with("region", region).with("id_number", "")))
		if err != nil || len(s.Attributes) != 0 {
			t.Errorf("%q or an empty text became an attribute: %v %v", region, s, err)
		}
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
		"subject with a NUL":       i.es(good().with("sub", "s\x00")),
		"subject of two lines":     i.es(good().with("sub", "s\nt")),
		"subject of no text":       i.byHand(`{"alg":"ES256","kid":"ec"}`, good().with("sub", json.RawMessage(`"s\ud800"`))),
		"role with a NUL":          i.es(good().with("roles", []string{"officer\x00"})),
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
