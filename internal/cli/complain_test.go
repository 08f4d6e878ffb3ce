package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-data/weir/internal/gateway"
	"github.com/weir-data/weir/schema"
)

// TestComplainsBriefly: a command that cannot work with a policy of many mistakes
// names some that refuse it, where they stand for whoever reads it, and says how
// many more there are.
func TestComplainsBriefly(t *testing.T) {
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	var found schema.Diagnostics
	for i := range 1000 {
		at := schema.Position{File: filepath.Join(wd, "policy", "a.csv"), Line: i + 1, Column: 1}
		found = append(found, schema.Diagnostic{Position: at, Code: "x", Message: fmt.Sprintf("finding %d", i), Warning: i%2 == 0})
	}
	var out bytes.Buffer
	(&streams{err: &out}).complain(contentError(&gateway.RefusedError{Diagnostics: found}))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	first, last := filepath.Join("policy", "a.csv")+":2:1: x: finding 1", "and 450 more: weir lint lists them all"
	if len(lines) != 52 || lines[0] != "weir: 500 problems" || strings.TrimSpace(lines[1]) != first || strings.TrimSpace(lines[51]) != last {
		t.Errorf("%d lines:\n%s", len(lines), out.String())
	}
	if strings.Contains(out.String(), "warning") {
		t.Errorf("warnings among what refuses:\n%s", out.String())
	}
	out.Reset()
	(&streams{err: &out}).complain(contentError(&gateway.RefusedError{Diagnostics: found[1:2]}))
	if got := out.String(); got != "weir: "+first+"\n" {
		t.Errorf("one finding: %q", got)
	}
}
