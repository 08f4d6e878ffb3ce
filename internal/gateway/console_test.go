package gateway

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

func withConsole(t *testing.T) func(*Config) {
	t.Helper()
	c, err := NewConsole(ConsoleSettings{Demo: true, Tokens: []ConsoleToken{{Token: "demo-x"}}})
	if err != nil {
		t.Fatal(err)
	}
	return func(cfg *Config) { cfg.Console = c }
}

func TestConsoleLoadsFromItsNodeAlone(t *testing.T) {
	b := newBench(t, withConsole(t))
	w := b.do(http.MethodGet, "/", nil, pair{"Authorization", ""})
	if w.Code != 200 || !strings.Contains(w.Body.String(), `<div id="root">`) {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	csp := w.Header().Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "http") || strings.Contains(csp, "script-src 'self' 'unsafe") {
		t.Errorf("policy %q", csp)
	}
	if w.Header().Get("Cache-Control") != "no-store" {
		t.Error("the page may be cached")
	}
	sources := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(w.Body.String(), -1)
	if len(sources) < 2 {
		t.Fatalf("no assets in %s", w.Body)
	}
	for _, s := range sources {
		if s[1] == "data:," {
			continue
		}
		if !strings.HasPrefix(s[1], "/assets/") {
			t.Errorf("the page loads %s", s[1])
			continue
		}
		if w := b.do(http.MethodGet, s[1], nil, pair{"Accept-Encoding", "br, gzip"}); w.Code != 200 || w.Header().Get("Content-Encoding") != "gzip" {
			t.Errorf("%s: %d", s[1], w.Code)
		}
	}
	if regexp.MustCompile(`<script[^>]*>[^<]`).MatchString(w.Body.String()) {
		t.Error("an inline script would not run under the policy")
	}
	w = b.do(http.MethodGet, "/console.json", nil)
	var settings ConsoleSettings
	if err := json.Unmarshal(w.Body.Bytes(), &settings); err != nil || !settings.Demo || len(settings.Tokens) != 1 {
		t.Errorf("%v %s", err, w.Body)
	}
	for _, bad := range []string{"/assets/", "/assets/none.js", "/index.html.gz", "/..%2fconsole.go", "/assets/..%2f..%2fconsole.go"} {
		if w := b.do(http.MethodGet, bad, nil); w.Code != 404 {
			t.Errorf("%s: %d", bad, w.Code)
		}
	}
	if w := b.do(http.MethodPost, "/", nil); w.Code != 405 {
		t.Errorf("POST /: %d", w.Code)
	}
}

func TestConsoleIsPacked(t *testing.T) {
	var total int64
	err := fs.WalkDir(packed, "assets", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if !strings.HasSuffix(path, ".gz") {
			t.Errorf("%s is not packed", path)
		}
		info, err := e.Info()
		total += info.Size()
		return err
	})
	if err != nil || total > 3<<20 {
		t.Errorf("%d bytes, %v", total, err)
	}
}
