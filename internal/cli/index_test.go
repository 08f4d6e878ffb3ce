package cli

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/weir-data/weir/internal/config"
	"github.com/weir-data/weir/internal/gateway"
	"github.com/weir-data/weir/internal/store"
	"github.com/weir-data/weir/lineage/index"
)

// Nobody takes a node's store, and with it its index, while a server has it.
func TestStoreHasOneOwner(t *testing.T) {
	cfg := config.Default()
	cfg.State = t.TempDir()
	serving, err := openStoreFile(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := openStoreFile(t.Context(), cfg); !errors.Is(err, store.ErrLocked) {
		t.Errorf("a second owner: %v, %v", second, err)
	}
	if err := serving.Close(); err != nil {
		t.Fatal(err)
	}
	// A store that is there already is locked by reading it.
	again, err := openStoreFile(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := openStoreFile(t.Context(), cfg); !errors.Is(err, store.ErrLocked) {
		t.Errorf("a second owner after a restart: %v, %v", second, err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(cfg.State, storeName)); err != nil {
		t.Error(err)
	}
}

// The index gives way to requests when half of the threads could be theirs, and
// to one alone where there is but one thread, or three.
func TestLoad(t *testing.T) {
	for _, c := range []struct {
		running, threads int
		want             index.Load
	}{
		{0, 1, index.Idle},
		{1, 1, index.Full},
		{0, 2, index.Idle},
		{1, 2, index.Full},
		{1, 3, index.Full},
		{1, 4, index.Light},
		{2, 4, index.Full},
		{2, 5, index.Full},
		{2, 6, index.Light},
		{0, 64, index.Idle},
		{31, 64, index.Light},
		{32, 64, index.Full},
		{500, 64, index.Full},
	} {
		if got := load(c.running, c.threads); got != c.want {
			t.Errorf("%d requests on %d threads are load %d, want %d", c.running, c.threads, got, c.want)
		}
	}
	// A front that nobody asks anything.
	if n := (&node{cfg: config.Default(), front: &gateway.Front{}}); n.indexConfig().Load() != index.Idle {
		t.Error("the index gives way to nobody")
	}
}
