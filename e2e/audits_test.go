package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-data/weir/examples/guangdong"
)

// TestAudits runs all audits of npm graphql-http, the conformance suite of the
// GraphQL over HTTP specification, against both graphs.
func TestAudits(t *testing.T) {
	dir := prepare(t, "")
	if err := guangdong.WriteSQLite(t.Context(), filepath.Join(dir, "data"), guangdong.Options{People: people}, nil); err != nil {
		t.Fatal(err)
	}
	s := start(t, dir)
	for _, path := range []string{"/graphql", "/control/graphql"} {
		t.Run(strings.Trim(path, "/"), func(t *testing.T) {
			out, err := exec.CommandContext(t.Context(), "node", "audits.mjs", s.url+path, "demo-e2e-reader").CombinedOutput()
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			if err != nil || lines[len(lines)-1] != "61 of 61 audits pass" {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Log(lines[len(lines)-1])
		})
	}
}
