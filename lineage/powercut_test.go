package lineage

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// TestPowerCutAtEveryWrite cuts the power before and after every single
// operation on the file layer, in turn, and starts again on what the disk may
// hold then: what was vouched for as synced is there, and the log goes on.
func TestPowerCutAtEveryWrite(t *testing.T) {
	seeds := rounds(t, "WEIR_POWER_ROUNDS", 2, 100)
	total := 0
	for seed := range uint64(seeds) {
		for step := 0; ; step++ {
			reached, err := cutAt(t, step, rand.New(rand.NewPCG(seed, uint64(step))))
			if err != nil {
				t.Fatalf("seed %d, operation %d: %v", seed, step, err)
			}
			if !reached {
				total += step
				break
			}
		}
	}
	if total < 40*seeds {
		t.Errorf("only %d operations were cut at: too few to mean anything", total)
	}
	t.Logf("%d operations, the power cut at each", total)
}

// cutAt runs a small load in small segments and takes what the disk may hold at
// one operation; false when there are not so many.
func cutAt(t *testing.T, step int, rnd *rand.Rand) (bool, error) {
	files := newMemFS()
	var mu sync.Mutex
	var dark *memFS
	seen := 0
	vouched := map[string]bool{}
	var due map[string]bool // vouched for when the power went
	files.set(func() {
		files.fault = func(string, string) error {
			mu.Lock()
			defer mu.Unlock()
			if seen == step {
				// An operation's bytes are in question while it runs and until a
				// sync returned; before the next operation is after this one.
				dark = files.powerCut(rnd)
				due = map[string]bool{}
				for id := range vouched {
					due[id] = true
				}
			}
			seen++
			return nil
		}
	})
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
		mu.Lock()
		vouched[p.String()+r.RequestID] = true
		mu.Unlock()
	}
	if err := l.Close(); err != nil {
		return false, err
	}
	mu.Lock()
	defer mu.Unlock()
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
