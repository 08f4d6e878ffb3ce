package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestThreatModelNamesItsTests: each line of the tables under "Line by line"
// names tests, and every test that it names is there. A name is a folder and a
// test, with a subtest after a slash; in adapters/adaptertest it is a case.
func TestThreatModelNamesItsTests(t *testing.T) {
	raw, err := os.ReadFile("../docs/threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(raw), "\n## Line by line\n")
	if !ok {
		t.Fatal("the page has no tables of attacks")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	name := regexp.MustCompile("`([a-z0-9/]+) ([^`]+)`")
	lines := 0
	for _, line := range strings.Split(section, "\n") {
		if !strings.HasPrefix(line, "| ") || strings.HasSuffix(line, "| tests |") {
			continue
		}
		lines++
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		names := name.FindAllStringSubmatch(cells[len(cells)-1], -1)
		if len(cells) != 3 || len(names) == 0 {
			t.Errorf("a line without tests: %s", line)
		}
		for _, n := range names {
			if !exists(t, n[1], n[2]) {
				t.Errorf("%s has no %s", n[1], n[2])
			}
		}
	}
	if lines < 20 {
		t.Errorf("only %d lines were read", lines)
	}
}

// exists tells whether a folder holds a test.
func exists(t *testing.T, folder, test string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(folder), "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	// Subtests of TestAttackers are named by the attackers' own folders.
	below, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(folder), "*", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	top, sub, nested := strings.Cut(test, "/")
	wanted := []string{"func " + top + "("}
	if folder == "adapters/adaptertest" {
		wanted = []string{strconv.Quote(test)}
	}
	if nested {
		wanted = append(wanted, strconv.Quote(sub))
	}
	for _, want := range wanted {
		found := false
		for _, path := range append(files, below...) {
			if strings.HasPrefix(want, "func ") && (!strings.HasSuffix(path, "_test.go") || len(filepath.Dir(path)) > len(filepath.Join("..", filepath.FromSlash(folder)))) {
				continue
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			found = found || strings.Contains(string(text), want)
		}
		if !found {
			return false
		}
	}
	return true
}
