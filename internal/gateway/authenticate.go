package gateway

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/resolvers"
)

// ErrUnauthenticated is every reason not to believe a token: callers learn no
// more.
var ErrUnauthenticated = errors.New("not authenticated")

// Authenticator verifies tokens. It is safe for concurrent use.
type Authenticator interface {
	// Authenticate gives the reader that the token proves, or an error that
	// wraps ErrUnauthenticated. It never echoes the token.
	Authenticate(ctx context.Context, token string) (*authz.Subject, error)
	// Epoch changes whenever tokens verified before must be verified again,
	// as when a signing key was withdrawn.
	Epoch() uint64
}

// maxToken bounds a token's size in bytes.
const maxToken = 8 << 10

// bearer takes the token from the one Authorization header. No other header,
// cookie or parameter says who a reader is.
func bearer(h http.Header) (string, bool) {
	values := h.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, token, found := strings.Cut(values[0], " ")
	if !found || !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	token = strings.TrimLeft(token, " ")
	if token == "" || len(token) > maxToken {
		return "", false
	}
	for i := range len(token) {
		if c := token[i]; c <= ' ' || c >= 0x7f {
			return "", false
		}
	}
	return token, true
}

// maxVerified bounds the verified tokens that are remembered.
const maxVerified = 16 << 10

// tokenCache remembers verified tokens by their hash until they expire, since a
// signature check costs a third of a point query. Revocation is no business of
// it: that is asked on every request.
type tokenCache struct {
	auth Authenticator
	now  func() time.Time
	make func(*authz.Subject) *reader

	mu    sync.RWMutex
	known map[[sha256.Size]byte]verified
}

type verified struct {
	reader *reader
	epoch  uint64
}

// reader is who a verified token says, with what is worked out of it again and
// again. Safe for concurrent use.
type reader struct {
	*authz.Subject
	// pseudonym and attributes are how records name him, and the attributes
	// that scopes may have used.
	pseudonym  string
	attributes [8]byte
	// apart is the last generation under which his offices were seen to be
	// apart; nil for none yet. It is weak: a token that is not used any more
	// must not keep an old generation.
	apart atomic.Pointer[weak.Pointer[plan.Generation]]
}

func (f *Front) newReader(s *authz.Subject) *reader {
	return &reader{
		Subject: s, pseudonym: f.cfg.Keys.Pseudonym(resolvers.SubjectUse, s.ID), attributes: f.attributes(s.Attributes),
	}
}

func newTokenCache(auth Authenticator, now func() time.Time, make func(*authz.Subject) *reader) *tokenCache {
	return &tokenCache{auth: auth, now: now, make: make, known: map[[sha256.Size]byte]verified{}}
}

// reader gives the reader of a token.
func (c *tokenCache) reader(ctx context.Context, token string) (*reader, error) {
	var room [1024]byte // on the stack, for most tokens
	key := sha256.Sum256(append(room[:0], token...))
	epoch := c.auth.Epoch()
	c.mu.RLock()
	v, found := c.known[key]
	c.mu.RUnlock()
	if found && v.epoch == epoch {
		if expired(v.reader.Subject, c.now()) {
			return nil, ErrUnauthenticated
		}
		return v.reader, nil
	}
	s, err := c.auth.Authenticate(ctx, token)
	if err != nil {
		return nil, err
	}
	if s == nil || s.ID == "" || expired(s, c.now()) {
		return nil, ErrUnauthenticated
	}
	r := c.make(s)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= maxVerified {
		c.evict(epoch)
	}
	// The epoch was read before the check: a key withdrawn in between leaves an
	// entry that the next request does not accept.
	c.known[key] = verified{r, epoch}
	return r, nil
}

// evict drops what cannot be used any more and, when that is not enough, an
// arbitrary eighth: forgetting costs a signature check, nothing else.
func (c *tokenCache) evict(epoch uint64) {
	now := c.now()
	for k, v := range c.known {
		if v.epoch != epoch || expired(v.reader.Subject, now) {
			delete(c.known, k)
		}
	}
	for k := range c.known {
		if len(c.known) < maxVerified-maxVerified/8 {
			return
		}
		delete(c.known, k)
	}
}

func expired(s *authz.Subject, now time.Time) bool {
	return !s.Expires.IsZero() && !now.Before(s.Expires)
}
