package lineage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// cutEverywhere cuts the power at each operation of something in turn, as often as
// there are seeds, and logs how many operations there were; fewer than least of
// each seed are too few to mean anything. cut does the thing anew, with the power
// gone at one operation, and gives false when it has not so many.
func cutEverywhere(t *testing.T, seeds, least int, cut func(step int, rnd *rand.Rand) (reached bool, err error)) {
	t.Helper()
	total := 0
	for seed := range uint64(seeds) { //nolint:gosec // a few
		for step := 0; ; step++ {
			reached, err := cut(step, rand.New(rand.NewPCG(seed, uint64(step))))
			if err != nil {
				t.Fatalf("seed %d, operation %d: %v", seed, step, err)
			}
			if !reached {
				total += step
				break
			}
		}
	}
	if total < least*seeds {
		t.Errorf("only %d operations were cut at: too few to mean anything", total)
	}
	t.Logf("%d operations, the power cut at each", total)
}

// powerCut is the power going at one operation on files.
type powerCut struct {
	mu   sync.Mutex
	seen int
	dark *memFS
}

// cutPower lets it go before the operation of that number. then runs when it
// does, under the lock of the cut: what was vouched for by then is due.
func cutPower(files *memFS, step int, rnd *rand.Rand, then func()) *powerCut {
	p := &powerCut{}
	files.set(func() {
		files.fault = func(string, string) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.seen == step {
				// An operation's bytes are in question while it runs and until a
				// sync returned; before the next operation is after this one.
				p.dark = files.powerCut(rnd)
				then()
			}
			p.seen++
			return nil
		}
	})
	return p
}

// left is what the disk may hold; nil when there were not so many operations.
func (p *powerCut) left() *memFS {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dark
}

// TestPowerCutAtEveryWrite cuts the power before and after every single
// operation on the file layer, in turn, and starts again on what the disk may
// hold then: what was vouched for as synced is there, and the log goes on.
func TestPowerCutAtEveryWrite(t *testing.T) {
	cutEverywhere(t, rounds(t, "WEIR_POWER_ROUNDS", 2, 100), 40, func(step int, rnd *rand.Rand) (bool, error) { return cutAt(t, step, rnd) })
}

// cutAt runs a small load in small segments and takes what the disk may hold at
// one operation; false when there are not so many.
func cutAt(t *testing.T, step int, rnd *rand.Rand) (bool, error) {
	files := newMemFS()
	vouched, due := map[string]bool{}, map[string]bool(nil) // due: when the power went
	cut := cutPower(files, step, rnd, func() { due = maps.Clone(vouched) })
	l, err := Open(Config{
		Reading: testReading, Dir: "log", Origin: "node-a", Files: files, SegmentSize: 900,
		Fatal: func(err error) { t.Errorf("fatal: %v", err) },
	})
	if err != nil {
		return false, err
	}
	for i := range 24 {
		r := sampleRecord()
		r.RequestID = fmt.Sprintf("power-%d", i)
		if i%5 == 4 { // in a frame of their own
			r.SetTags(somePeople(80))
		}
		p, ticket, err := l.Append(context.Background(), r)
		if err == nil {
			err = ticket.Wait(context.Background(), Synced)
		}
		if err != nil {
			return false, err
		}
		cut.mu.Lock()
		vouched[p.String()+r.RequestID] = true
		cut.mu.Unlock()
	}
	if err := l.Close(); err != nil {
		return false, err
	}
	dark := cut.left()
	if dark == nil {
		return false, nil
	}
	again, err := Open(Config{Reading: testReading, Dir: "log", Origin: "node-a", Files: dark, SegmentSize: 900, RetryEvery: time.Millisecond})
	if err != nil {
		return true, err
	}
	got, err := records(dark, "log")
	if err != nil {
		return true, errors.Join(err, again.Close())
	}
	found := map[string]int{}
	for i := range got {
		r := &got[i].Record
		if uint64(len(r.Tags)) == r.TagCount {
			found[got[i].Position.String()+r.RequestID]++
		}
	}
	for id := range due {
		if found[id] != 1 {
			return true, errors.Join(fmt.Errorf("%s was vouched for and is there %d times", id, found[id]), again.Close())
		}
	}
	r := sampleRecord()
	p, ticket, err := again.Append(context.Background(), r)
	if err == nil {
		err = ticket.Wait(context.Background(), Synced)
	}
	if err == nil && p.Sequence != uint64(len(got))+1 {
		err = fmt.Errorf("%s follows %d records", p, len(got))
	}
	return true, errors.Join(err, again.Close())
}
