package main

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestUnrecorded: the program without records is the program of today but for
// the two files.
func TestUnrecorded(t *testing.T) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	file, err := overlay(root, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "go", "build", "-overlay", file, "./internal/gateway", "./graph/exec")
	command.Dir = root
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
