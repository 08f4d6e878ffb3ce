package main

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestWithout: the programs without records are the program of today but for two
// files.
func TestWithout(t *testing.T) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{unrecorded, synced} {
		file, err := overlay(root, t.TempDir(), name)
		if err != nil {
			t.Fatal(err)
		}
		command := exec.CommandContext(t.Context(), "go", "build", "-overlay", file, "./internal/gateway", "./graph/exec")
		command.Dir = root
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
}
