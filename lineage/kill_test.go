package lineage

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// writeUntilKilled is the child of TestKill: it appends under load and tells
// each record that it may answer for, with its position.
func writeUntilKilled() int {
	l, err := Open(Config{Reading: testReading, Dir: os.Getenv("WEIR_LINEAGE_TEST_DIR"), Origin: "node-a", SegmentSize: 64 << 10})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var mu sync.Mutex
	for w := range 16 {
		go func() {
			for i := 0; ; i++ {
				r := sampleRecord()
				r.RequestID = fmt.Sprintf("%d-%d-%d", l.Epoch(), w, i)
				p, ticket, err := l.Append(context.Background(), r)
				if err == nil {
					err = ticket.Wait(context.Background(), Durability(i%2))
				}
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				mu.Lock()
				_, err = fmt.Printf("%s %s\n", p, r.RequestID) //nolint:forbidigo // the pipe to the parent
				mu.Unlock()
				if err != nil {
					os.Exit(1)
				}
			}
		}()
	}
	select {}
}

// TestKill: a real process is killed under load, again and again on one folder;
// every record it vouched for, at whatever durability, is there afterwards.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	seed := uint64(rounds(t, "WEIR_SEED", 1, 1))
	rnd := rand.New(rand.NewPCG(seed, 0))
	vouched := map[string]string{}
	for round := range rounds(t, "WEIR_KILL_ROUNDS", 3, 100) {
		before := len(vouched)
		killOnce(t, dir, time.Duration(20+rnd.IntN(150))*time.Millisecond, vouched)
		if len(vouched) == before {
			t.Fatalf("round %d: the writer told nothing", round)
		}
		l, err := Open(Config{Reading: testReading, Dir: dir, Origin: "node-a"})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	found := map[string]string{}
	for e, err := range Read(opened(dir), 0) {
		if err != nil {
			t.Fatal(err)
		}
		found[e.Position.String()] = e.Record.RequestID
	}
	for position, id := range vouched {
		if found[position] != id {
			t.Errorf("%s: vouched for %q, found %q", position, id, found[position])
		}
	}
	t.Logf("%d records vouched for, %d found", len(vouched), len(found))
}

func killOnce(t *testing.T, dir string, after time.Duration, vouched map[string]string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), must(os.Executable()))
	cmd.Env = append(os.Environ(), roleVariable+"=writer", "WEIR_LINEAGE_TEST_DIR="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for first := true; ; first = false {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // the last, cut-off line was told to nobody
		}
		if first { // it is up and under load
			time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
		position, id, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if old, ok := vouched[position]; ok {
			t.Errorf("%s was given to %s and %s", position, old, id)
		}
		vouched[position] = id
	}
	_ = cmd.Wait() // killed
}
