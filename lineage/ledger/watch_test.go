package ledger

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-data/weir/lineage"
)

// TestNoCheckpoint: that checkpoints fail is told once, and so is that they are
// made again.
func TestNoCheckpoint(t *testing.T) {
	var log told
	dir := filepath.Join(t.TempDir(), "ledger")
	n := open(t, dir, func(_ *lineage.Config, c *Config) {
		c.Log, c.patience = log.logger(), 500*time.Millisecond
	})
	n.proven(n.append(10))

	lock := filepath.Join(treeDir(dir), ".state", "publish.lock")
	if err := os.Remove(lock); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(lock, 0o700); err != nil {
		t.Fatal(err)
	}
	p := n.append(10)
	log.wait(t, "NO CHECKPOINT IS MADE")
	time.Sleep(200 * time.Millisecond) // some forty looks more
	if err := os.Remove(lock); err != nil {
		t.Fatal(err)
	}
	n.proven(p)
	log.wait(t, "are made again")
	n.close()
	// On a machine that is very busy one may be late by itself.
	fails, works := strings.Count(log.String(), "NO CHECKPOINT"), strings.Count(log.String(), "made again")
	if fails-works > 1 || fails < works {
		t.Errorf("told %d times that it fails, %d that it works:\n%s", fails, works, &log)
	}
}

// told is a log that is read while it is written.
type told struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *told) logger() *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

func (w *told) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(b)
}

func (w *told) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

func (w *told) wait(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !strings.Contains(w.String(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%q is not told:\n%s", text, w)
		}
	}
}
