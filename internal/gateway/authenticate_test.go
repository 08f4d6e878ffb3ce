package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-data/weir/authz"
)

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

func plainReader(s *authz.Subject) *reader { return &reader{Subject: s} }
