package gateway

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/internal/config"
)

// JWT verifies signed tokens (RFC 7519) against an issuer's public keys. The
// algorithm is one of those configured and fits the key: a token chooses
// neither its algorithm nor where its key comes from.
type JWT struct {
	cfg        config.JWT
	purposes   func(application string, more []string) []string
	algorithms map[string]jwa.SignatureAlgorithm
	keys       KeySource
	now        func() time.Time
}

var _ Authenticator = (*JWT)(nil)

// KeySource holds the issuer's current keys. It is safe for concurrent use.
type KeySource interface {
	// Keys gives the current set and its epoch, which changes with the set.
	Keys() (jwk.Set, uint64)
	// Missed tells that a token named a key that is not in the set.
	Missed()
}

// NewJWT takes a valid configuration with tokens.jwt.
func NewJWT(c *config.Config, keys KeySource, now func() time.Time) (*JWT, error) {
	j := &JWT{cfg: *c.Tokens.JWT, purposes: c.OpenPurposes, algorithms: map[string]jwa.SignatureAlgorithm{}, keys: keys, now: now}
	for _, name := range j.cfg.Algorithms {
		alg, ok := jwa.LookupSignatureAlgorithm(name)
		if !ok || alg.IsSymmetric() || alg == jwa.NoSignature() {
			return nil, fmt.Errorf("tokens.jwt.algorithms: %s is not an asymmetric signature algorithm", name)
		}
		j.algorithms[name] = alg
	}
	return j, nil
}

// Epoch is that of the keys.
func (j *JWT) Epoch() uint64 {
	_, epoch := j.keys.Keys()
	return epoch
}

// header are the only members of a token's header that are looked at. Members
// by which a token would bring its own key are refused, not ignored, so that
// nobody comes to rely on them.
type header struct {
	Algorithm string          `json:"alg"`
	KeyID     string          `json:"kid"`
	Critical  json.RawMessage `json:"crit"`
	JWKURL    json.RawMessage `json:"jku"`
	JWK       json.RawMessage `json:"jwk"`
	X509URL   json.RawMessage `json:"x5u"`
	X509Chain json.RawMessage `json:"x5c"`
	Zip       json.RawMessage `json:"zip"`
}

// Authenticate verifies one token.
func (j *JWT) Authenticate(_ context.Context, token string) (*authz.Subject, error) {
	h, err := readHeader(token)
	if err != nil {
		return nil, err
	}
	alg, ok := j.algorithms[h.Algorithm]
	if !ok {
		return nil, ErrUnauthenticated
	}
	key := j.key(h)
	if key == nil {
		return nil, ErrUnauthenticated
	}
	t, err := jwt.Parse([]byte(token),
		jwt.WithKey(alg, key),
		jwt.WithValidate(true),
		jwt.WithClock(jwt.ClockFunc(j.now)),
		jwt.WithAcceptableSkew(j.cfg.Leeway),
		jwt.WithIssuer(j.cfg.Issuer),
		jwt.WithAudience(j.cfg.Audience),
		jwt.WithRequiredClaim(jwt.ExpirationKey),
	)
	if err != nil {
		return nil, ErrUnauthenticated // the library's text may quote the token
	}
	return j.subject(t)
}

// readHeader reads the protected header of a compact token.
func readHeader(token string) (*header, error) {
	if strings.Count(token, ".") != 2 {
		return nil, ErrUnauthenticated
	}
	first, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.Strict().DecodeString(first)
	if err != nil {
		return nil, ErrUnauthenticated
	}
	var h header
	if err := json.Unmarshal(raw, &h); err != nil {
		return nil, ErrUnauthenticated
	}
	for _, own := range [...]json.RawMessage{h.Critical, h.JWKURL, h.JWK, h.X509URL, h.X509Chain, h.Zip} {
		if own != nil {
			return nil, ErrUnauthenticated
		}
	}
	return &h, nil
}

// key finds the one key that the token may have been signed with: by id, or the
// only one there is. The key's own alg, when stated, must agree.
func (j *JWT) key(h *header) jwk.Key {
	set, _ := j.keys.Keys()
	if set == nil {
		return nil
	}
	var key jwk.Key
	if h.KeyID != "" {
		var ok bool
		if key, ok = set.LookupKeyID(h.KeyID); !ok {
			j.keys.Missed()
			return nil
		}
	} else if set.Len() == 1 {
		key, _ = set.Key(0)
	}
	if key == nil {
		return nil
	}
	if alg, ok := key.Algorithm(); ok && alg.String() != h.Algorithm {
		return nil
	}
	if use, ok := key.KeyUsage(); ok && use != "sig" {
		return nil
	}
	return key
}

// maxClaim bounds what is taken from a claim, in bytes, and maxRoles how many.
const (
	maxClaim = 256
	maxRoles = 64
)

func (j *JWT) subject(t jwt.Token) (*authz.Subject, error) {
	c := j.cfg.Claims
	exp, ok := t.Expiration()
	if !ok || exp.Sub(j.now()) > j.cfg.MaxLifetime {
		return nil, ErrUnauthenticated
	}
	s := &authz.Subject{Expires: exp, Attributes: map[string]string{}}
	s.TokenID, _ = t.JwtID()
	if s.ID = text(t, c.Subject); s.ID == "" {
		return nil, ErrUnauthenticated
	}
	s.Application = text(t, c.Application)
	s.Department = text(t, c.Department)
	roles, ok := texts(t, c.Roles)
	if !ok || len(roles) > maxRoles {
		return nil, ErrUnauthenticated
	}
	s.Roles = roles
	for name, claim := range c.Attributes {
		if v := text(t, claim); v != "" {
			s.Attributes[name] = v
		}
	}
	var more []string
	if c.Purposes != "" {
		if more, ok = texts(t, c.Purposes); !ok {
			return nil, ErrUnauthenticated
		}
	}
	s.Purposes = j.purposes(s.Application, more)
	return s, nil
}

// proper reports whether a claim's text may stand for somebody or something. What
// was no text in the token has become U+FFFD, so that two readers would be one;
// and what has control characters in it is no name of anything.
func proper(s string) bool {
	return s != "" && len(s) <= maxClaim && !strings.ContainsFunc(s, func(r rune) bool {
		return r == utf8.RuneError || unicode.IsControl(r)
	})
}

// text gives a claim that is one proper string; "" for every other.
func text(t jwt.Token, claim string) string {
	var s string
	if claim == "" || t.Get(claim, &s) != nil || !proper(s) {
		return ""
	}
	return s
}

// texts gives a claim that is absent, one string, or a list of strings; ok is
// false for anything else.
func texts(t jwt.Token, claim string) (list []string, ok bool) {
	if !t.Has(claim) {
		return nil, true
	}
	var raw any
	if t.Get(claim, &raw) != nil {
		return nil, false
	}
	switch v := raw.(type) {
	case string:
		list = []string{v}
	case []string:
		list = slices.Clone(v)
	case []any:
		for _, e := range v {
			s, isText := e.(string)
			if !isText {
				return nil, false
			}
			list = append(list, s)
		}
	default:
		return nil, false
	}
	for _, s := range list {
		if !proper(s) {
			return nil, false
		}
	}
	return list, true
}
