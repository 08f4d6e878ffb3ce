package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-data/weir/examples/guangdong"
)

// TestShapesAreSchemas gives graphql-js the schema of each of the example's
// readers, by introspection and as text.
func TestShapesAreSchemas(t *testing.T) {
	dir := prepare(t, "")
	if err := guangdong.WriteSQLite(t.Context(), filepath.Join(dir, "data"), guangdong.Options{People: people}, nil); err != nil {
		t.Fatal(err)
	}
	s := start(t, dir)
	standard, err := os.ReadFile("../graph/plan/testdata/introspection.query.graphql")
	if err != nil {
		t.Fatal(err)
	}
	tokens := []string{"demo-clerk", "demo-officer", "demo-statistician", "demo-citizen", "demo-contractor", "demo-owner-health", "demo-security", "demo-auditor", "demo-operator", "demo-e2e-reader"}
	var lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	for _, token := range tokens {
		a, err := s.post(t.Context(), token, "", string(standard), "")
		if err != nil || len(a.Errors) > 0 {
			t.Fatalf("%s: %v, %v", token, err, a)
		}
		if err := enc.Encode(map[string]any{"name": token, "introspection": a.Data, "sdl": s.schema(t, token)}); err != nil {
			t.Fatal(err)
		}
	}
	node := exec.CommandContext(t.Context(), "node", "shapes.mjs")
	node.Stdin, node.Stderr = &lines, os.Stderr
	out, err := node.Output()
	if err != nil {
		t.Fatalf("node is needed for graphql-js: %v", err)
	}
	sizes := map[string]int{}
	dec := json.NewDecoder(bytes.NewReader(out))
	for dec.More() {
		var found struct {
			Name   string
			Types  int
			Errors []string
		}
		if err := dec.Decode(&found); err != nil {
			t.Fatal(err)
		}
		if len(found.Errors) > 0 {
			t.Errorf("%s: %s", found.Name, strings.Join(found.Errors, "; "))
		}
		sizes[found.Name] = found.Types
	}
	if len(sizes) != len(tokens) || sizes["demo-e2e-reader"] <= sizes["demo-contractor"] {
		t.Errorf("types by reader: %v", sizes)
	}
}
