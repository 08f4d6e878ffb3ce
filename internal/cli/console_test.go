package cli

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/weir-data/weir/internal/config"
	"github.com/weir-data/weir/internal/gateway"
)

// TestConsoleBeginsAsTheExample: whoever opens the page is the clerk, with the
// purpose that the configuration names first.
func TestConsoleBeginsAsTheExample(t *testing.T) {
	c := &config.Config{
		Console: true, Mode: config.ModeDemo,
		Purposes:     []config.Purpose{{ID: "newborn"}, {ID: "company"}, {ID: "case"}},
		Applications: []config.Application{{ID: "window", Purposes: []string{"company", "newborn"}}},
		Tokens:       config.Tokens{Demo: map[string]config.DemoToken{"demo-auditor": {}, "demo-clerk": {Application: "window"}}},
	}
	page, err := console(c, "")
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	page.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/console.json", nil))
	var s gateway.ConsoleSettings
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil {
		t.Fatal(err)
	}
	if len(s.Tokens) != 2 || s.Tokens[0].Token != "demo-clerk" || !slices.Equal(s.Tokens[0].Purposes, []string{"newborn", "company"}) {
		t.Errorf("the page begins with %+v", s.Tokens)
	}
}
