package cli

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/weir-data/weir/internal/config"
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
