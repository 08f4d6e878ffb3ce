package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
)

// without are what is compared with weir to find what records cost: of each, the
// folder under testdata with the files that stand in the place of those of weir
// that make a record of an answer. Such programs are built here and nowhere else:
// in weir itself nothing turns the ledger off.
const (
	// unrecorded makes no record at all.
	unrecorded = "unrecorded"
	// synced makes none either, and lets an answer leave when some bytes, those of
	// many answers together, are on disk: what no ledger can do without that is to
	// survive a power cut.
	synced = "synced"
)

// replaced are the files of such a program that stand in others' places.
func replaced(name string) map[string]string {
	return map[string]string{
		"internal/gateway/recorded.go": "bench/testdata/" + name + "/recorded.go",
		"graph/exec/tags.go":           "bench/testdata/unrecorded/tags.go",
	}
}

// overlay writes the file that go build -overlay reads; root is the module's
// folder.
func overlay(root, dir, name string) (string, error) {
	replace := map[string]string{}
	for from, to := range replaced(name) {
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
	path := filepath.Join(dir, name+".json")
	return path, os.WriteFile(path, raw, 0o600)
}

// buildWithout builds weir without the making of records: no tags, no record, and
// so nothing for tree and index to do.
func buildWithout(ctx context.Context, dir, name string) (string, error) {
	root, err := os.Getwd()
	if err != nil {
		return "", err
	}
	file, err := overlay(root, dir, name)
	if err != nil {
		return "", err
	}
	return build(ctx, dir, ".", name, "-overlay", file)
}
