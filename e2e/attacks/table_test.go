package attacks

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEveryAttackHasATest holds the threat model's tables to the tests that they
// name, and the tests named after lines of the tables to the tables.
func TestEveryAttackHasATest(t *testing.T) {
	raw, err := os.ReadFile("../../docs/threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	_, tables, ok := strings.Cut(string(raw), "## Attacks and their tests\n")
	if !ok {
		t.Fatal("the threat model has no tables of attacks")
	}
	tables, _, _ = strings.Cut(tables, "\n## ")
	named := regexp.MustCompile("`([a-z0-9/]+)` `((?:Test|Fuzz)[A-Za-z0-9]+)(?:/([^`]+))?`")
	lines, listed := 0, map[string]bool{}
	for line := range strings.Lines(tables) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| attack |") {
			continue
		}
		lines++
		found := named.FindAllStringSubmatch(line, -1)
		if len(found) == 0 {
			t.Errorf("no test is named: %s", line)
		}
		for _, f := range found {
			code := tests(t, f[1])
			if !strings.Contains(code, "func "+f[2]+"(") {
				t.Errorf("%s has no %s", f[1], f[2])
			}
			if f[3] != "" {
				listed[f[3]] = true
				if !strings.Contains(code, `t.Run("`+f[3]+`"`) {
					t.Errorf("%s has no part %q", f[2], f[3])
				}
			}
		}
	}
	if lines < 30 {
		t.Errorf("%d lines", lines)
	}
	for _, part := range regexp.MustCompile(`t\.Run\("([^"]+)"`).FindAllStringSubmatch(tests(t, "e2e/attacks"), -1) {
		if !listed[part[1]] {
			t.Errorf("the threat model does not list %q", part[1])
		}
	}
}

// tests is the text of a package's test files.
func tests(t *testing.T, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../..", filepath.FromSlash(folder), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range files {
		if filepath.Base(f) == "table_test.go" {
			continue
		}
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(raw)
	}
	return b.String()
}
