package lineage

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// rounds is the size of a long test: few by default, many in make soak, or as
// many as its variable says.
func rounds(t testing.TB, variable string, usual, soak int) int {
	t.Helper()
	s := os.Getenv(variable)
	switch {
	case s == "" && os.Getenv("WEIR_SOAK") == "1":
		return soak
	case s == "":
		return usual
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q is not a number of rounds", variable, s)
	}
	return n
}

// besideNothing leaves a test out under the race detector, which has nothing to
// look for where one thing runs after the other.
func besideNothing(t *testing.T) {
	t.Helper()
	if os.Getenv("WEIR_SMALL") != "" {
		t.Skip("SKIPPED: WEIR_SMALL leaves out what nothing runs beside")
	}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 10 s", what)
		}
	}
}

// TestDiskFull: a full disk refuses, drops nothing, and when there is space
// again the sequence goes on without a gap.
func TestDiskFull(t *testing.T) {
	for _, space := range []int64{0, 1, 7, 100, 400} {
		t.Run(strconv.FormatInt(space, 10), func(t *testing.T) {
			files := newMemFS()
			l := openMem(t, files, Config{})
			appendOne(t, l, Synced)
			files.set(func() { files.space = space })
			var refused, vouched []Position
			for range 10 {
				p, ticket, err := l.Append(t.Context(), sampleRecord())
				if err != nil {
					if !errors.Is(err, ErrLedgerUnavailable) || !errors.Is(err, errNoSpace) {
						t.Fatal(err)
					}
					continue
				}
				err = ticket.Wait(t.Context(), Synced)
				switch {
				case err == nil:
					vouched = append(vouched, p)
				case errors.Is(err, ErrLedgerUnavailable) && errors.Is(err, errNoSpace):
					refused = append(refused, p)
					if ticket.Wait(t.Context(), Written) == nil {
						t.Error("vouched for as written")
					}
				default:
					t.Fatal(err)
				}
			}
			if len(refused) != 1 {
				t.Fatalf("%d records were taken and refused", len(refused))
			}
			if !errors.Is(l.Healthy(), ErrLedgerUnavailable) || l.Stats().Available {
				t.Error("a full disk is healthy")
			}
			// What is on disk is whole but for the group that did not fit.
			if got := must(records(files.kill(), "log")); len(got) != 1+len(vouched) {
				t.Errorf("%d records on the full disk", len(got))
			}
			files.set(func() { files.space = -1 })
			eventually(t, "available again", func() bool { return l.Healthy() == nil })
			next := appendOne(t, l, Synced)
			if want := refused[0].Sequence + 1; next.Sequence != want {
				t.Errorf("%v follows %v", next, refused[0])
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			got := must(records(files, "log"))
			if uint64(len(got)) != next.Sequence {
				t.Errorf("%d records, want %d", len(got), next.Sequence)
			}
		})
	}
}

// TestRefusalReachesTheQueue: what waits behind a group that the disk refuses is
// refused with it, and not when its own turn comes.
func TestRefusalReachesTheQueue(t *testing.T) {
	files := newMemFS()
	l := openMem(t, files, Config{})
	entered, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	files.set(func() {
		files.fault = func(op, _ string) error {
			if op != "write" {
				return nil
			}
			once.Do(func() { close(entered); <-release })
			return errNoSpace
		}
	})
	_, first, err := l.Append(t.Context(), sampleRecord())
	if err != nil {
		t.Fatal(err)
	}
	<-entered
	_, second, err := l.Append(t.Context(), sampleRecord())
	if err != nil {
		t.Fatal(err)
	}
	close(release)
	for i, ticket := range []*Ticket{first, second} {
		for _, d := range []Durability{Written, Synced} {
			short, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			if err := ticket.Wait(short, d); !errors.Is(err, errNoSpace) {
				t.Errorf("record %d: %v", i+1, err)
			}
			cancel()
		}
	}
	files.set(func() { files.fault = nil })
	eventually(t, "available again", func() bool { return l.Healthy() == nil })
	if p := appendOne(t, l, Synced); p.Sequence != 3 {
		t.Errorf("%v", p)
	}
	// A ticket that was refused stays refused, though its record is there now.
	if err := second.Wait(t.Context(), Synced); !errors.Is(err, ErrLedgerUnavailable) {
		t.Errorf("a refused ticket: %v", err)
	}
	if s := l.Stats(); s.Refused != 2 || s.Synced != 3 || s.Appended != 3 {
		t.Errorf("%+v", s)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestFullDiskAtRotation: the segment that cannot be begun is begun later.
func TestFullDiskAtRotation(t *testing.T) {
	for _, op := range []string{"create", "write"} {
		t.Run(op, func(t *testing.T) {
			files := newMemFS()
			l := openMem(t, files, Config{SegmentSize: 1})
			appendOne(t, l, Synced)
			var failing atomic.Bool
			failing.Store(true)
			files.set(func() {
				files.fault = func(o, _ string) error {
					if o == op && failing.Load() {
						return errNoSpace
					}
					return nil
				}
			})
			_, ticket, err := l.Append(t.Context(), sampleRecord())
			if err != nil {
				t.Fatal(err)
			}
			if err := ticket.Wait(t.Context(), Synced); !errors.Is(err, ErrLedgerUnavailable) {
				t.Fatal(err)
			}
			failing.Store(false)
			eventually(t, "available again", func() bool { return l.Healthy() == nil })
			appendOne(t, l, Synced)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if got := must(records(files, "log")); len(got) != 3 {
				t.Errorf("%d records", len(got))
			}
		})
	}
}

// TestShortWrite: a write that stops early without an error counts as failed.
func TestShortWrite(t *testing.T) {
	for short := range 300 {
		files := newMemFS()
		l := openMem(t, files, Config{})
		files.set(func() { files.shorten = short })
		_, ticket, err := l.Append(t.Context(), sampleRecord())
		if err != nil {
			t.Fatal(err)
		}
		if err := ticket.Wait(t.Context(), Written); !errors.Is(err, ErrLedgerUnavailable) {
			t.Fatalf("%d bytes of a record are enough: %v", short, err)
		}
		eventually(t, "available again", func() bool { return l.Healthy() == nil })
		appendOne(t, l, Synced)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if got := must(records(files, "log")); len(got) != 2 {
			t.Fatalf("%d records", len(got))
		}
	}
}

// TestSyncErrorIsFatal: after a failed sync nothing is vouched for any more.
func TestSyncErrorIsFatal(t *testing.T) {
	for _, op := range []string{"sync", "syncdir"} {
		t.Run(op, func(t *testing.T) {
			files := newMemFS()
			fatal := make(chan error, 1)
			tickets := make(chan *Ticket, 1)
			l := openMem(t, files, Config{SegmentSize: 1, Fatal: func(err error) {
				// The process would end here: no ticket may have been decided.
				select {
				case <-(<-tickets).synced:
					t.Error("the ticket was decided before the process could end")
				default:
				}
				fatal <- err
			}})
			var failed atomic.Bool
			files.set(func() {
				files.fault = func(o, _ string) error {
					if o == op && !failed.Swap(true) { // the second sync would claim success
						return errSick
					}
					return nil
				}
			})
			_, ticket, err := l.Append(context.Background(), sampleRecord())
			if err != nil {
				t.Fatal(err)
			}
			tickets <- ticket
			if err := <-fatal; !errors.Is(err, errSick) {
				t.Error(err)
			}
			if err := ticket.Wait(t.Context(), Synced); !errors.Is(err, ErrLedgerUnavailable) {
				t.Errorf("vouched for: %v", err)
			}
			if _, _, err := l.Append(t.Context(), sampleRecord()); !errors.Is(err, ErrLedgerUnavailable) {
				t.Errorf("appended: %v", err)
			}
			if err := l.Healthy(); !errors.Is(err, ErrLedgerUnavailable) {
				t.Errorf("healthy: %v", err)
			}
			if err := l.Close(); !errors.Is(err, ErrLedgerUnavailable) {
				t.Errorf("closed in order: %v", err)
			}
		})
	}
}

// TestOpenOnSickDisk: Open gives the error, holds nothing, and works once the
// disk does.
func TestOpenOnSickDisk(t *testing.T) {
	for _, op := range []string{"create", "write", "sync", "syncdir"} {
		files := newMemFS()
		files.fault = func(o, _ string) error {
			if o == op {
				return errSick
			}
			return nil
		}
		if _, err := Open(Config{Reading: testReading, Dir: "log", Origin: "node-a", Files: files}); !errors.Is(err, errSick) {
			t.Errorf("%s: %v", op, err)
		}
		files.fault = nil
		l := openMem(t, files, Config{})
		appendOne(t, l, Synced)
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestCloseOnFullDisk tells what was not written.
func TestCloseOnFullDisk(t *testing.T) {
	files := newMemFS()
	l := openMem(t, files, Config{})
	files.set(func() { files.space = 10 })
	_, ticket, err := l.Append(t.Context(), sampleRecord())
	if err != nil {
		t.Fatal(err)
	}
	if err := ticket.Wait(t.Context(), Written); err == nil {
		t.Fatal("written to a full disk")
	}
	if err := l.Close(); !errors.Is(err, ErrLedgerUnavailable) || !errors.Is(err, errNoSpace) {
		t.Errorf("close: %v", err)
	}
	files.set(func() { files.space = -1 })
	l = openMem(t, files, Config{})
	if p := appendOne(t, l, Synced); p.Sequence != 1 || p.Epoch != 2 {
		t.Errorf("%v", p) // the epoch keeps it apart from the one refused
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// TestCrash: writers append under load on a disk with faults; at a random moment
// the process is killed or the power cut. After recovery every record that was
// vouched for at the durability that the crash leaves is there, and the log goes
// on; several times over the same disk.
func TestCrash(t *testing.T) {
	n := rounds(t, "WEIR_CRASH_ROUNDS", 60, 10_000)
	seed := uint64(rounds(t, "WEIR_SEED", 1, 1))
	for round := range n {
		rnd := rand.New(rand.NewPCG(seed, uint64(round)))
		files := newMemFS()
		expected := map[string]bool{}
		for life := range 4 {
			power := rnd.IntN(2) == 0
			left, err := oneLife(t, files, rnd, power, life, expected)
			if err != nil {
				t.Fatalf("WEIR_SEED=%d round %d life %d power=%v: %v", seed, round, life, power, err)
			}
			files = left
		}
	}
}

// TestKillThenPowerCut: a killed process leaves a written group unsynced; once
// the next run has vouched for anything, that group is as safe as what follows.
func TestKillThenPowerCut(t *testing.T) {
	for seed := range uint64(50) {
		files := newMemFS()
		l := openMem(t, files, Config{})
		killed := make(chan *memFS, 1)
		files.set(func() {
			files.fault = func(op, _ string) error {
				if op == "sync" {
					select {
					case killed <- files.kill(): // written, and not synced
					default:
					}
				}
				return nil
			}
		})
		appendOne(t, l, Written)
		left := <-killed
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = openMem(t, left, Config{})
		if p := appendOne(t, l, Synced); p.Sequence != 2 {
			t.Fatal(p)
		}
		dark := left.powerCut(rand.New(rand.NewPCG(seed, 0)))
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = openMem(t, dark, Config{})
		if got, err := records(dark, "log"); err != nil || len(got) != 2 {
			t.Fatalf("seed %d: %d records, %v", seed, len(got), err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// oneLife opens, loads, crashes, and gives what the disk holds after the crash.
// It first checks that everything expected is there.
func oneLife(t *testing.T, files *memFS, rnd *rand.Rand, power bool, life int, expected map[string]bool) (*memFS, error) {
	l, err := Open(Config{
		Reading: testReading, Dir: "log", Origin: "node-a", Files: files, SegmentSize: 3000, QueueSize: 8,
		RetryEvery: 100 * time.Microsecond, Fatal: func(err error) { t.Errorf("fatal: %v", err) },
	})
	if err != nil {
		return nil, err
	}
	got, err := records(files, "log")
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for _, e := range got {
		found[e.Record.RequestID+"@"+e.Position.String()] = true
	}
	for id := range expected {
		if !found[id] {
			return nil, fmt.Errorf("%s was vouched for and is lost; recovery %+v", id, l.Recovery())
		}
	}
	// What survived need not have been vouched for, but may not get lost now.
	clear(expected)
	for id := range found {
		expected[id] = true
	}
	var mu sync.Mutex
	var crashed bool
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				r := sampleRecord()
				r.RequestID = fmt.Sprintf("%d-%d-%d", life, w, i)
				p, ticket, err := l.Append(ctx, r)
				if err == nil {
					d := Synced
					if !power {
						d = Durability(i % 2)
					}
					err = ticket.Wait(ctx, d)
				}
				if ctx.Err() != nil {
					return
				}
				if err != nil {
					continue // refused: no answer left, so no record is owed
				}
				mu.Lock()
				if !crashed { // an answer that left before the crash
					expected[r.RequestID+"@"+p.String()] = true
				}
				mu.Unlock()
			}
		})
	}
	if rnd.IntN(2) == 0 {
		files.set(func() { files.space = int64(rnd.IntN(5000)) })
	}
	time.Sleep(time.Duration(rnd.IntN(3000)) * time.Microsecond)
	if rnd.IntN(3) == 0 {
		files.set(func() { files.space = -1 })
		time.Sleep(time.Duration(rnd.IntN(2000)) * time.Microsecond)
	}
	mu.Lock()
	crashed = true
	var left *memFS
	if power {
		left = files.powerCut(rnd)
	} else {
		left = files.kill()
	}
	mu.Unlock()
	files.set(func() { files.space = -1 })
	cancel()
	wg.Wait()
	return left, l.Close()
}
