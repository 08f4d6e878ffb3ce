package gateway

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
	"weak"

	"golang.org/x/sync/errgroup"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/schema"
)

// kept is what is still in memory of a generation that was swapped out.
type kept struct {
	table     weak.Pointer[authz.Table]
	catalogue weak.Pointer[schema.Catalogue]
	documents weak.Pointer[plan.Documents]
}

func (k *kept) what() (out []string) {
	if k.table.Value() != nil {
		out = append(out, "table")
	}
	if k.catalogue.Value() != nil {
		out = append(out, "catalogue")
	}
	if k.documents.Value() != nil {
		out = append(out, "documents")
	}
	return out
}

// TestReloadsLeaveNothing: a generation that was swapped out is garbage once the
// requests that began under it have ended, however many plans and documents were
// kept of it; after 200 reloads under load the heap is what it was after ten.
func TestReloadsLeaveNothing(t *testing.T) {
	c := newChanging(t, changeA)
	reloads := 200
	if os.Getenv("WEIR_SMALL") != "" {
		reloads = 40
	}
	var large strings.Builder // so that a generation weighs something
	for i := range 400 {
		fmt.Fprintf(&large, "p, role-%04d, public_security, Person.%s, L3, case, all, mask, allow\n", i/2, []string{"name", "address"}[i%2])
	}
	// ask lets some requests run at once, all of which are over when it returns.
	ask := func(i int) {
		t.Helper()
		var group errgroup.Group
		for n := range 4 {
			group.Go(func() error {
				query := fmt.Sprintf("query Q%d { persons(limit: %d) { name address district } }", n, i%7+1)
				got, err := c.ask("officer", query)
				if err == nil && got.status != http.StatusOK && got.status != http.StatusConflict {
					err = fmt.Errorf("%d %s", got.status, got.body)
				}
				return err
			})
		}
		must(t, group.Wait())
	}
	var old []kept
	var early uint64
	for i := range reloads {
		g := c.r.Current()
		old = append(old, kept{weak.Make(g.Table), weak.Make(g.Catalogue), weak.Make(g.Documents)})
		c.policy([]string{changeA, changeB}[i%2] + large.String() + fmt.Sprintf("# %d\n", i))
		content, err := c.folders.read()
		must(t, err)
		loaded := make(chan struct{})
		go func() {
			defer close(loaded)
			c.r.load(t.Context(), content)
		}()
		ask(i) // across the swap
		<-loaded
		if c.r.Current() == g {
			t.Fatal("a good revision did not come into force")
		}
		g = nil
		ask(i)
		if i == 9 {
			early = c.heap()
		}
	}
	// The advice on the last revisions, and pooled operations, go by themselves.
	end := time.Now().Add(10 * time.Second)
	for i := range old {
		for len(old[i].what()) > 0 {
			if time.Now().After(end) {
				t.Fatalf("of the generation before reload %d of %d there is still its %v", i, reloads, old[i].what())
			}
			c.r.aside.Wait()
			runtime.GC()
			time.Sleep(10 * time.Millisecond)
		}
	}
	late := c.heap()
	t.Logf("%d KiB after ten reloads, %d KiB after %d", early>>10, late>>10, reloads)
	if late > early+early/2 {
		t.Errorf("the heap has grown from %d to %d KiB", early>>10, late>>10)
	}
}

// heap is what is allocated, but for what the fakes have kept.
func (c *changing) heap() uint64 {
	c.log.mu.Lock()
	c.log.b = bytes.Buffer{}
	c.log.mu.Unlock()
	c.ledger.mu.Lock()
	c.ledger.records, c.ledger.waited = nil, nil
	c.ledger.mu.Unlock()
	c.server.Client().CloseIdleConnections()
	var m runtime.MemStats
	for range 3 { // pools are emptied by the second
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
