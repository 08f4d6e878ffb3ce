package ledger

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/lineage/verify"
)

// steps are the named ones of the gate's log and of the ledger at which a node
// is killed; "" is at random.
var steps = [...]string{
	"", "before write", "after write", "after sync", "after create", "after syncdir", "batched", "added",
}

// killer ends its process, as kill -9 does, when a step has come often enough.
type killer struct {
	step string
	left atomic.Int64
}

func (k *killer) at(step string) {
	if step == k.step && k.left.Add(-1) == 0 {
		p, _ := os.FindProcess(os.Getpid())
		_ = p.Kill()
		select {}
	}
}

// fatalFS is the system's file layer with a killer at each operation.
type fatalFS struct {
	lineage.FS
	k *killer
}

type fatalFile struct {
	lineage.File
	k *killer
}

func (f fatalFS) Create(path string) (lineage.File, error) {
	file, err := f.FS.Create(path)
	f.k.at("after create")
	return fatalFile{file, f.k}, err
}

func (f fatalFS) SyncDir(dir string) error {
	err := f.FS.SyncDir(dir)
	f.k.at("after syncdir")
	return err
}

func (f fatalFile) WriteAt(b []byte, at int64) (int, error) {
	f.k.at("before write")
	n, err := f.File.WriteAt(b, at)
	f.k.at("after write")
	return n, err
}

func (f fatalFile) Sync() error {
	err := f.File.Sync()
	f.k.at("after sync")
	return err
}

// serveUntilKilled is the child of TestKillRounds: it appends under load and
// tells each position that it may answer with.
func serveUntilKilled(dir, step string) int {
	name, count, _ := strings.Cut(step, "=")
	n, _ := strconv.ParseInt(count, 10, 64)
	k := &killer{step: name}
	k.left.Store(n)
	node, err := tryOpen(dir, func(lc *lineage.Config, c *Config) {
		lc.Files = fatalFS{lineage.OS(), k}
		c.step = k.at
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var mu sync.Mutex
	for w := range 8 {
		go func() {
			for i := 0; ; i++ {
				p, ticket, err := node.log.Append(context.Background(), record(w*1_000_000+i))
				if err == nil {
					err = ticket.Wait(context.Background(), lineage.Durability(i%2))
				}
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				mu.Lock()
				_, err = fmt.Println(p)
				mu.Unlock()
				if err != nil {
					os.Exit(1)
				}
				time.Sleep(time.Millisecond) // enough load; the disk is shared
			}
		}()
	}
	select {}
}

// TestKillRounds kills a node under load, at random and at each named step of
// log and ledger, again and again on one folder. After each round every answer
// has exactly one record, and the folder verifies against receipts that left;
// in the end every record is under a checkpoint exactly once.
func TestKillRounds(t *testing.T) {
	rounds := len(steps)
	if os.Getenv("WEIR_SOAK") != "" {
		rounds = 100
	}
	rnd := seeded(t)
	dir := filepath.Join(inMemory(t), "ledger")
	answered := map[string]bool{}
	var key string
	for round := range rounds {
		step := steps[round%len(steps)]
		before := len(answered)
		killOnce(t, dir, step, rnd, answered)
		if step == "" && len(answered) == before {
			t.Fatalf("round %d: the node told nothing", round)
		}
		k, err := LoadKey(dir+".key", origin)
		if err != nil {
			t.Fatalf("round %d, %q: %v", round, step, err)
		}
		key = k.Public()
		if _, err := os.Stat(filepath.Join(dir, "tree", "checkpoint")); err != nil {
			continue // killed before the first
		}
		o := verify.Options{Key: key}
		for p := range answered {
			if o.Anchors = append(o.Anchors, verify.ParseAnchor("receipt "+p, []byte(p))); len(o.Anchors) == 50 {
				break
			}
		}
		if _, err := verify.Folder(t.Context(), dir, o); err != nil {
			t.Fatalf("round %d, %q: %v", round, step, err)
		}
	}
	n := open(t, dir, nil)
	last := n.append(1)
	n.proven(last)
	n.close()
	found := map[string]int{}
	for e, err := range lineage.Read(lineage.Folder{Dir: dir}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		found[e.Position.String()]++
	}
	for p := range answered {
		if found[p] != 1 {
			t.Errorf("the answer with receipt %s has %d records", p, found[p])
		}
	}
	r, err := verify.Folder(t.Context(), dir, verify.Options{Key: key, ReadingKey: readingText(t, dir), Anchors: []verify.Anchor{verify.ParseAnchor("last", []byte(last.String()))}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Records != last.Sequence || r.Read != last.Sequence || r.Behind != 0 || uint64(len(found)) != last.Sequence {
		t.Errorf("%+v of %s, %d found", r, last, len(found))
	}
	t.Logf("%d rounds, %d answers, each with one record; %d records in %d batches, %d undelivered", rounds, len(answered), r.Records, r.Batches, len(found)-len(answered))
}

func killOnce(t *testing.T, dir, step string, rnd *rand.Rand, answered map[string]bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+dir)
	if step != "" {
		n := 1 + rnd.IntN(20)
		if step == "after create" || step == "after syncdir" {
			n = 1 + rnd.IntN(3)
		}
		cmd.Env = append(cmd.Env, fmt.Sprintf("WEIR_LEDGER_TEST_STEP=%s=%d", step, n))
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// A step that does not come often enough ends as a random one.
	limit := 3 * time.Second
	if step == "" {
		limit = time.Duration(100+rnd.IntN(300)) * time.Millisecond
	}
	timer := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	lines := bufio.NewReader(out)
	for first := true; ; first = false {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // the last, cut-off line was told to nobody
		}
		if first {
			timer.Reset(limit)
		}
		p := strings.TrimSuffix(line, "\n")
		if answered[p] {
			t.Errorf("%s was given twice", p)
		}
		answered[p] = true
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("%q: the node ended by itself: %v", step, err)
	}
}
