package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"

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
