package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
)

// unrecorded are the files of the program that make a record of an answer, and
// what stands in their place in a program that makes none. Such a program is
// built here and nowhere else: in weir itself nothing turns the ledger off.
func unrecorded() map[string]string {
	return map[string]string{
		"internal/gateway/recorded.go": "bench/testdata/unrecorded/recorded.go",
		"graph/exec/tags.go":           "bench/testdata/unrecorded/tags.go",
	}
}

// overlay writes the file that go build -overlay reads; root is the module's
// folder.
func overlay(root, dir string) (string, error) {
	replace := map[string]string{}
	for from, to := range unrecorded() {
		for _, path := range []string{from, to} {
			if _, err := os.Stat(filepath.Join(root, path)); err != nil {
				return "", err
			}
		}
		replace[filepath.Join(root, from)] = filepath.Join(root, to)
	}
	raw, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, raw, 0o600)
}

// buildUnrecorded builds weir without the making of records: no tags, no record,
// no write, no sync, and so nothing for tree and index to do.
func buildUnrecorded(ctx context.Context, dir string) (string, error) {
	root, err := os.Getwd()
	if err != nil {
		return "", err
	}
	file, err := overlay(root, dir)
	if err != nil {
		return "", err
	}
	return build(ctx, dir, ".", "unrecorded", "-overlay", file)
}
