package cli

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/weir-data/weir/internal/config"
	"github.com/weir-data/weir/internal/gateway"
	"github.com/weir-data/weir/internal/store"
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
func TestBusy(t *testing.T) {
	for _, c := range []struct {
		running, threads int
		want             bool
	}{
		{0, 1, false},
		{1, 1, true},
		{0, 2, false},
		{1, 2, true},
		{1, 3, true},
		{1, 4, false},
		{2, 4, true},
		{2, 5, true},
		{2, 6, false},
		{31, 64, false},
		{32, 64, true},
		{500, 64, true},
	} {
		if got := busy(c.running, c.threads); got != c.want {
			t.Errorf("%d requests on %d threads are busy: %v", c.running, c.threads, got)
		}
	}
	// A front that nobody asks anything.
	if n := (&node{cfg: config.Default(), front: &gateway.Front{}}); n.indexConfig().Busy() {
		t.Error("the index gives way to nobody")
	}
}
