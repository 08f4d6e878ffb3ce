package index

import (
	"errors"
	"strings"
	"testing"
)

// TestDriversTextsStay: neither the URL nor what PostgreSQL says is in an error.
func TestDriversTextsStay(t *testing.T) {
	for url, want := range map[string]string{
		"postgres://canary:canary@127.0.0.1:1/canary":  "index unavailable: postgres: no connection: refused",
		"postgres://canary:can%zzary@127.0.0.1/canary": "index unavailable: postgres: the URL does not parse",
		"canary": "index unavailable: postgres: the URL does not parse",
	} {
		x, err := Attach(t.Context(), Config{Driver: Postgres, Reading: reading(t), URL: url, Dir: t.TempDir()})
		if err == nil {
			_ = x.Close()
			t.Fatal("attached to nothing")
		}
		if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("%v, want %s", err, want)
		}
	}
	drivers(t, func(t *testing.T, cfg Config) {
		if cfg.Driver != Postgres {
			return
		}
		before, rest, _ := strings.Cut(cfg.URL, "://")
		_, rest, _ = strings.Cut(rest, "@")
		cfg.URL, cfg.Dir = before+"://canary@"+rest, t.TempDir()
		x, err := Attach(t.Context(), cfg)
		if err == nil {
			_ = x.Close()
			t.Fatal("attached as nobody")
		}
		if text := err.Error(); !strings.Contains(text, "postgres: the user or its password is refused, SQLSTATE 28000") || strings.Contains(text, "canary") {
			t.Errorf("%v", err)
		}
	})
}
