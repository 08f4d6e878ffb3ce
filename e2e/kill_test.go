package e2e

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-data/weir/examples/guangdong"
)

// TestKilledUnderLoad kills the server with SIGKILL while clients read, and
// starts it again: every answer that a client got has its record.
func TestKilledUnderLoad(t *testing.T) {
	rounds := 2
	if os.Getenv("WEIR_SOAK") != "" {
		rounds = 100
	}
	dir := prepare(t, "")
	if err := guangdong.WriteSQLite(t.Context(), filepath.Join(dir, "data"), guangdong.Options{People: people}, nil); err != nil {
		t.Fatal(err)
	}
	query := `query($id: String!) { person(idNumber: $id) { name idNumber } companies(limit: 3) { name } }`
	public := `{ companies(limit: 3) { name } }`
	mother := guangdong.TheSample().Mother

	var mu sync.Mutex
	receipts := map[string]bool{}
	for round := range rounds {
		s := start(t, dir)
		ctx, cancel := context.WithCancel(t.Context())
		var clients sync.WaitGroup
		for i := range 8 {
			clients.Go(func() {
				for ctx.Err() == nil {
					q, v := query, `{"id":"`+mother+`"}`
					if i%2 == 0 {
						q, v = public, ""
					}
					a, err := s.post(ctx, "demo-e2e-reader", "case-handling", q, v)
					if err != nil {
						return // killed: bytes that did not come whole are no answer
					}
					var weir struct{ Receipt string }
					if err := json.Unmarshal(a.Extensions.Weir, &weir); err != nil || weir.Receipt == "" {
						t.Errorf("an answer without a receipt: %s", a)
						return
					}
					mu.Lock()
					receipts[weir.Receipt] = true
					mu.Unlock()
				}
			})
		}
		time.Sleep(time.Duration(200+37*round%400) * time.Millisecond)
		s.kill()
		clients.Wait()
		cancel()
	}
	records := recorded(t, dir)
	if len(receipts) < 20*rounds {
		t.Errorf("only %d answers in %d rounds: too few to mean anything", len(receipts), rounds)
	}
	for r := range receipts {
		if records[r] != 1 {
			t.Errorf("receipt %s has %d records, want 1", r, records[r])
		}
	}
	t.Logf("%d rounds, %d answers, each with its record; %d records", rounds, len(receipts), len(records))
}

// recorded counts the records of a state folder by their position, which is the
// receipt of the answer.
func recorded(t *testing.T, dir string) map[string]int {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), binary, "lineage", "tail", "--state", filepath.Join(dir, "state"), "--json", "--last", "10000000").Output()
	if err != nil {
		t.Fatalf("lineage tail: %v", err)
	}
	records := map[string]int{}
	for line := range strings.Lines(string(out)) {
		var r struct{ Position string }
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		records[r.Position]++
	}
	return records
}
