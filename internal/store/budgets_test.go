package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func key(n int) (k [16]byte) {
	k[0], k[1] = byte(n), byte(n>>8)
	return k
}

// onRecord reads what is on record, past Spend.
func onRecord(t testing.TB, s *Store, day int, kind string, k [16]byte) int {
	t.Helper()
	n := 0
	err := s.db.QueryRowContext(t.Context(), "SELECT coalesce(sum(used), 0) FROM budgets WHERE day = ? AND kind = ? AND key = ?", day, kind, k[:]).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAllOrNothing(t *testing.T) {
	s := open(t, file(t), at("2026-11-23T12:00:00Z"))
	spend := func(cs ...Charge) error { return s.Spend(t.Context(), cs) }
	if err := spend(Charge{"a", key(1), 3, 5}, Charge{"b", key(1), 1, 1}); err != nil {
		t.Fatal(err)
	}
	// b is spent, so nothing of a is taken.
	if err := spend(Charge{"a", key(1), 1, 5}, Charge{"b", key(1), 1, 1}); !errors.Is(err, ErrSpent) {
		t.Fatal(err)
	}
	if n := onRecord(t, s, 20261123, "a", key(1)); n != 3 {
		t.Errorf("a: %d used", n)
	}
	if err := spend(Charge{"a", key(1), 3, 5}); !errors.Is(err, ErrSpent) {
		t.Errorf("beyond the limit: %v", err)
	}
	if err := spend(Charge{"a", key(1), 2, 5}); err != nil {
		t.Errorf("up to the limit: %v", err)
	}
	// Kinds and keys are budgets of their own.
	if err := spend(Charge{"a", key(2), 5, 5}, Charge{"c", key(1), 5, 5}); err != nil {
		t.Error(err)
	}
	// One budget twice in a request adds up, under the lower limit.
	if err := spend(Charge{"d", key(1), 2, 9}, Charge{"d", key(1), 2, 3}); !errors.Is(err, ErrSpent) {
		t.Errorf("twice in one: %v", err)
	}
	if n := onRecord(t, s, 20261123, "d", key(1)); n != 0 {
		t.Errorf("d: %d used", n)
	}
	if err := spend(Charge{"d", key(1), 2, 9}, Charge{"d", key(1), 2, 4}); err != nil {
		t.Error(err)
	}
	// A limit that was lowered stands at once, also below what was used.
	if err := spend(Charge{"d", key(1), 1, 2}); !errors.Is(err, ErrSpent) {
		t.Error(err)
	}
	for _, c := range []Charge{{"d", key(1), 0, 9}, {"d", key(1), -1, 9}, {"", key(1), 1, 9}} {
		if err := spend(Charge{"e", key(1), 1, 9}, c); !errors.Is(err, ErrCharge) {
			t.Errorf("%v: %v", c, err)
		}
	}
	for _, c := range []Charge{{"e", key(1), 1, 0}, {"e", key(1), 1, -1}} {
		if err := spend(c); !errors.Is(err, ErrSpent) {
			t.Errorf("%v: %v", c, err)
		}
	}
	const most = int(^uint(0) >> 1)
	if err := spend(Charge{"e", key(1), most, most}, Charge{"e", key(1), most, most}); !errors.Is(err, ErrSpent) {
		t.Errorf("overflow: %v", err)
	}
	if err := spend(); err != nil {
		t.Errorf("nothing: %v", err)
	}
	if n := onRecord(t, s, 20261123, "e", key(1)); n != 0 {
		t.Errorf("e: %d used", n)
	}
}

// TestDays: a day begins at midnight of the configured zone; a new one has its
// whole budget; old ones go, but not so soon that a clock set back pays.
func TestDays(t *testing.T) {
	zone := time.FixedZone("+8", 8*3600)
	c := at("2026-11-23T15:59:59Z")
	s, err := Open(t.Context(), Config{Path: file(t), Now: c.now, Zone: zone})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	one := []Charge{{"k", key(1), 1, 1}}
	if err := s.Spend(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	c.at = c.at.Add(time.Second)
	if err := s.Spend(t.Context(), one); err != nil {
		t.Fatalf("after midnight: %v", err)
	}
	c.at = c.at.Add(-time.Hour)
	if err := s.Spend(t.Context(), one); !errors.Is(err, ErrSpent) {
		t.Errorf("a clock set back: %v", err)
	}
	if n := onRecord(t, s, 20261123, "k", key(1)) + onRecord(t, s, 20261124, "k", key(1)); n != 2 {
		t.Errorf("%d used on both days", n)
	}
	c.at = c.at.AddDate(0, 0, keptDays+1)
	if err := s.Spend(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	if n := onRecord(t, s, 20261123, "k", key(1)); n != 0 {
		t.Error("an old day was kept")
	}
	if n := onRecord(t, s, 20261124, "k", key(1)); n != 1 {
		t.Error("a day was taken out too early")
	}
}

// TestSpendModel: any sequence of spends, reopenings and days agrees with a map.
func TestSpendModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		path := file(t)
		c := at("2026-11-20T12:00:00Z")
		s, err := Open(t.Context(), Config{Path: path, Now: c.now})
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		type budget struct {
			day, kind string
			key       [16]byte
		}
		model := map[budget]int{}
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			switch rapid.IntRange(0, 9).Draw(rt, "step") {
			case 0:
				c.at = c.at.Add(24 * time.Hour)
			case 1:
				if err := s.Close(); err != nil {
					rt.Fatal(err)
				}
				if s, err = Open(t.Context(), Config{Path: path, Now: c.now}); err != nil {
					rt.Fatal(err)
				}
			default:
				var charges []Charge
				next := map[budget]int{}
				for range rapid.IntRange(1, 4).Draw(rt, "charges") {
					ch := Charge{
						Kind: rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "kind"), Key: key(rapid.IntRange(0, 1).Draw(rt, "key")),
						N: rapid.IntRange(1, 3).Draw(rt, "n"), Limit: 6,
					}
					charges = append(charges, ch)
					next[budget{c.at.Format(time.DateOnly), ch.Kind, ch.Key}] += ch.N
				}
				spent := false
				for b, n := range next {
					spent = spent || model[b]+n > 6
				}
				err := s.Spend(t.Context(), charges)
				if spent != errors.Is(err, ErrSpent) || !spent && err != nil {
					rt.Fatalf("%v on %v: %v", charges, model, err)
				}
				if !spent {
					for b, n := range next {
						model[b] += n
					}
				}
			}
		}
	})
}

// TestConcurrent: side by side exactly as many succeed as the limit allows, and
// commits are shared.
func TestConcurrent(t *testing.T) {
	s := open(t, file(t), at("2026-11-23T12:00:00Z"))
	var ok, spent atomic.Int32
	var group sync.WaitGroup
	for range 200 {
		group.Go(func() {
			switch err := s.Spend(t.Context(), []Charge{{"k", key(1), 1, 120}}); {
			case err == nil:
				ok.Add(1)
			case errors.Is(err, ErrSpent):
				spent.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	group.Wait()
	if ok.Load() != 120 || spent.Load() != 80 {
		t.Errorf("%d succeeded, %d were refused", ok.Load(), spent.Load())
	}
	if n := onRecord(t, s, 20261123, "k", key(1)); n != 120 {
		t.Errorf("%d on record", n)
	}
}

func TestSpendAndClose(t *testing.T) {
	for range 5 {
		s, err := Open(t.Context(), Config{Path: file(t)})
		if err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		for i := range 50 {
			group.Go(func() {
				if err := s.Spend(t.Context(), []Charge{{"k", key(i), 1, 1}}); err != nil && !errors.Is(err, ErrClosed) {
					t.Error(err)
				}
			})
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		group.Wait()
	}
}

func TestSpendContext(t *testing.T) {
	s := open(t, file(t), at("2026-11-23T12:00:00Z"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Spend(ctx, []Charge{{"k", key(1), 1, 1}}); err == nil {
		t.Error("a request that was given up may go on")
	}
}

// TestUnreadable: a store that cannot be read is an error to whoever spends.
func TestUnreadable(t *testing.T) {
	s := open(t, file(t), at("2026-11-23T12:00:00Z"))
	if _, err := s.db.ExecContext(t.Context(), "ALTER TABLE budgets RENAME COLUMN used TO lost"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := s.Spend(t.Context(), []Charge{{"k", key(1), 1, 1}}); err == nil || errors.Is(err, ErrSpent) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := s.db.ExecContext(t.Context(), "ALTER TABLE budgets RENAME COLUMN lost TO used"); err != nil {
		t.Fatal(err)
	}
	if err := s.Spend(t.Context(), []Charge{{"k", key(1), 1, 1}}); err != nil {
		t.Errorf("it did not recover: %v", err)
	}
}

// spendUntilKilled is the child of TestKill: it spends under load and tells each
// spend that was said to be on disk.
func spendUntilKilled(path string) int {
	s, err := Open(context.Background(), Config{Path: path, Now: at("2026-11-23T12:00:00Z").now})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var mu sync.Mutex
	for w := range 8 {
		go func() {
			for {
				if err := s.Spend(context.Background(), []Charge{{"k", key(w), 1, 1 << 30}}); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				mu.Lock()
				_, err := fmt.Println(w) //nolint:forbidigo // the pipe to the parent
				mu.Unlock()
				if err != nil {
					os.Exit(1)
				}
			}
		}()
	}
	select {}
}

// TestKill: a real process is killed under load, again and again on one file;
// everything it said was taken is taken.
func TestKill(t *testing.T) {
	path := file(t)
	seed := uint64(number(t, "WEIR_SEED", 1))
	rnd := rand.New(rand.NewPCG(seed, 0))
	told := map[int]int{}
	rounds := 3
	if os.Getenv("WEIR_SOAK") != "" {
		rounds = 50
	}
	t.Logf("WEIR_SEED=%d", seed)
	for round := range rounds {
		before := told[0]
		killOnce(t, path, time.Duration(50+rnd.IntN(150))*time.Millisecond, told)
		if told[0] == before && round == 0 {
			t.Fatal("the child told nothing")
		}
		s, err := Open(t.Context(), Config{Path: path, Now: at("2026-11-23T12:00:00Z").now})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		for w, n := range told {
			if have := onRecord(t, s, 20261123, "k", key(w)); have < n {
				t.Errorf("round %d: worker %d was told %d, and %d are on record", round, w, n, have)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func killOnce(t *testing.T, path string, after time.Duration, told map[int]int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "WEIR_STORE_TEST_PATH="+path)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var kill *time.Timer
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if kill == nil { // it is open and at work
			kill = time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
		if w, err := strconv.Atoi(lines.Text()); err == nil {
			told[w]++
		}
	}
	if kill == nil {
		_ = cmd.Process.Kill()
	}
	_ = cmd.Wait()
	if stderr.Len() > 0 {
		t.Fatal(stderr.String())
	}
}

func number(t *testing.T, name string, byDefault int) int {
	text := os.Getenv(name)
	if text == "" {
		return byDefault
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// BenchmarkSpend spends one at a time: each waits for the disk alone.
func BenchmarkSpend(b *testing.B) {
	s := open(b, file(b), at("2026-11-23T12:00:00Z"))
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Spend(b.Context(), []Charge{{"a", key(1), 1, 1 << 40}, {"b", key(2), 1, 1 << 40}}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSpendTogether spends from 64 requests at once, which share commits.
func BenchmarkSpendTogether(b *testing.B) {
	s := open(b, file(b), at("2026-11-23T12:00:00Z"))
	b.SetParallelism(64)
	b.ReportAllocs()
	var reader atomic.Int32
	b.RunParallel(func(pb *testing.PB) {
		k := key(int(reader.Add(1)))
		for pb.Next() {
			if err := s.Spend(b.Context(), []Charge{{"a", k, 1, 1 << 40}, {"b", k, 1, 1 << 40}}); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkSpent refuses: nothing is written, so nothing waits for the disk.
func BenchmarkSpent(b *testing.B) {
	s := open(b, file(b), at("2026-11-23T12:00:00Z"))
	for b.Loop() {
		if err := s.Spend(b.Context(), []Charge{{"a", key(1), 1, 0}}); !errors.Is(err, ErrSpent) {
			b.Fatal(err)
		}
	}
}
