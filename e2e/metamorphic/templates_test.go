package metamorphic

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// hostile are values that have broken a query somewhere.
func hostile() []string {
	return []string{
		"'", "''", "' OR '1'='1", "'; DROP TABLE person; --", `"`, "`", "]", "\\", "\\'", "%", "_", "--", "/*", "*/", ";", "$1", "?", ":a", "@a", "\x00", "a\x00b",
		"\u2028", "\ufeff", "\u02bc", "＇", "\U0001f469\u200d", "1e999", "NaN", "null", "{}", "[]", "{{", "${jndi}", "\r\n", "CAST(1 AS TEXT)", "x' UNION SELECT note FROM person --",
		strings.Repeat("'", 1_000), strings.Repeat("長", 20_000), strings.Repeat("%", 50_001),
	}
}

// drawnIDs are drawn at random: any short word may stand in one.
var drawnIDs = regexp.MustCompile(`"requestId":"[^"]*"`)

// TestStatementsAreTemplates: whatever value an argument has, in a variable or as
// a literal, the texts of statements are those of a harmless value, and errors
// say nothing of the database.
func TestStatementsAreTemplates(t *testing.T) {
	w := newWorld(rand.New(rand.NewPCG(3, 3)))
	w.setup.Policy = "p, curious, registry, *, L3, *, all, clear, allow\np, curious, clinic, Certificate.*, L3, *, all, clear, allow\n"
	var mu sync.Mutex
	texts := map[string]bool{}
	w.setup.Statement = func(text string) {
		mu.Lock()
		defer mu.Unlock()
		texts[text] = true
	}
	town := w.serve(t)
	t.Cleanup(func() { _ = town.Close() })
	queries := []string{
		`{ person(idNumber: #) { name } }`,
		`{ persons(where: {name: {_eq: #}}) { name } }`,
		`{ persons(where: {name: {_in: [#, #]}, _not: {note: {_gt: #}}}) { name } }`,
		`{ persons(where: {name: {_like: #}}) { name } }`,
		`{ persons(where: {name: {_starts_with: #}, permits: {issuer: {_neq: #}}}) { name permits(where: {issuer: {_lte: #}}) { number } } }`,
		`{ papers(holder: #, where: {issuer: {_nin: [#]}}) { number } }`,
		`{ personsConnection(where: {_or: [{note: {_lt: #}}, {district: {_eq: #}}]}) { totalCount } }`,
		`{ personMatch(idNumber: #, expect: {name: #, note: #}) }`,
	}
	ask := func(query, value string, variable bool) string {
		t.Helper()
		raw, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		c := town.Client(1)
		text, variables := strings.ReplaceAll(query, "#", string(raw)), map[string]any(nil)
		if variable {
			text, variables = "query($v: String!) "+strings.ReplaceAll(query, "#", "$v"), map[string]any{"v": value}
		}
		a, err := c.Ask(t.Context(), "research", text, variables)
		if err != nil {
			t.Fatalf("%v: %.200s", err, text)
		}
		for _, code := range a.Codes {
			if !slices.Contains([]string{"GRAPHQL_VALIDATION_FAILED", "GRAPHQL_PARSE_FAILED"}, code) {
				t.Errorf("%.100q in %s: %s", value, query, code)
			}
		}
		if a.Status != http.StatusOK && len(a.Codes) == 0 {
			t.Errorf("%.100q in %s: status %d", value, query, a.Status)
		}
		body := drawnIDs.ReplaceAllString(string(a.Body), "")
		for _, word := range []string{"sqlite", "SQL", "syntax error near", "unrecognized token", "no such"} {
			if strings.Contains(body, word) {
				t.Errorf("%.100q in %s: the answer says %q", value, query, word)
			}
		}
		return strings.Join(a.Codes, " ")
	}
	for _, q := range queries {
		for _, variable := range []bool{false, true} {
			if codes := ask(q, "harmless", variable); codes != "" {
				t.Fatalf("%s: %s", q, codes)
			}
		}
	}
	templates := len(texts)
	for _, q := range queries {
		for _, v := range hostile() {
			ask(q, v, false)
			ask(q, v, true)
		}
	}
	if templates < len(queries) || len(texts) != templates {
		t.Errorf("harmless values made %d statements, hostile ones %d more", templates, len(texts)-templates)
	}
	left := town.Client(1)
	if ids, err := left.IDs(t.Context()); err != nil || len(ids) != 12 {
		t.Errorf("afterwards there are %d people: %v", len(ids), err)
	}
	t.Logf("%d templates", templates)
}
