package gateway

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/weir-data/weir/internal/config"
)

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

// TestFailingKeysAreToldOnce: a file is looked at twice a second, and what is
// wrong with it is told by its name when it becomes so, and when it changes.
func TestFailingKeysAreToldOnce(t *testing.T) {
	i := newIssuer(t)
	text, err := os.ReadFile(i.path)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	i.keys.log = slog.New(slog.NewTextHandler(&out, nil))
	failing := ""
	for n, step := range []struct {
		text string
		told int
	}{{"{", 1}, {"{", 1}, {"[]", 1}, {string(text), 1}, {"{", 2}, {"\ufeff" + string(text), 2}} {
		if err := os.WriteFile(i.path, []byte(step.text), 0o600); err != nil {
			t.Fatal(err)
		}
		failing = i.keys.look(t.Context(), failing)
		if got := strings.Count(out.String(), i.path); got != step.told {
			t.Errorf("step %d: told %d times: %s", n, got, out.String())
		}
	}
	if failing != "" {
		t.Errorf("a good set with a byte-order mark: %s", failing)
	}
	if got := strings.Count(out.String(), "can be refreshed again"); got != 2 {
		t.Errorf("told %d times that it is well again, want 2", got)
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
