package exec

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// TestDeadline holds a deadline to what context.WithDeadline does, asked for its
// end or not.
func TestDeadline(t *testing.T) {
	type key struct{}
	base := context.WithValue(t.Context(), key{}, "held")
	for _, asked := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			for name, c := range map[string]struct {
				parent, own, after time.Duration // 0 for no deadline of the parent's
				cancel             bool
				want               error
			}{
				"in time":         {0, time.Second, time.Second - 1, false, nil},
				"late":            {0, time.Second, time.Second, false, context.DeadlineExceeded},
				"parent's in":     {time.Second, time.Hour, time.Second - 1, false, nil},
				"parent's late":   {time.Second, time.Hour, time.Second, false, context.DeadlineExceeded},
				"went away":       {0, time.Hour, time.Second, true, context.Canceled},
				"away after late": {0, time.Second, time.Minute, true, context.Canceled},
			} {
				parent, cancel := context.WithCancel(context.WithoutCancel(base))
				if c.parent > 0 {
					parent, cancel = context.WithTimeout(parent, c.parent) //nolint:govet // cancelled below
				}
				start := time.Now()
				d := withDeadline(parent, start.Add(c.own))
				at, ok := d.Deadline()
				earliest := c.own
				if c.parent > 0 {
					earliest = min(earliest, c.parent)
				}
				if !ok || at.Sub(start) != earliest {
					t.Errorf("%s: ends after %v, %v", name, at.Sub(start), ok)
				}
				var done <-chan struct{}
				if asked {
					done = d.Done()
				}
				if c.cancel && name == "went away" {
					cancel()
				}
				time.Sleep(c.after)
				synctest.Wait()
				want := c.want
				if name == "away after late" {
					cancel()
					// Which of two came first is known to who was asked for the end in time.
					if asked {
						want = context.DeadlineExceeded
					}
				}
				if got := d.Err(); !errors.Is(got, want) || (want == nil) != (got == nil) {
					t.Errorf("%s, asked %v: %v, want %v", name, asked, got, want)
				}
				if done != nil {
					select {
					case <-done:
						if want == nil {
							t.Errorf("%s: done in time", name)
						}
					default:
						if want != nil {
							t.Errorf("%s: not done", name)
						}
					}
				}
				if d.Value(key{}) != "held" {
					t.Errorf("%s, asked %v: a value of the parent's is lost", name, asked)
				}
				d.stop()
				if done != nil {
					<-done
				}
				cancel()
			}
		})
	}
}

// TestDeadlineHoldsChildren: a context made of one ends with it, without a
// goroutine of its own.
func TestDeadlineHoldsChildren(t *testing.T) {
	parent, cancel := context.WithCancel(t.Context())
	defer cancel()
	d := withDeadline(parent, time.Now().Add(time.Hour))
	defer d.stop()
	before := runtime.NumGoroutine()
	children := make([]context.Context, 50)
	for i := range children {
		child, stop := context.WithTimeout(d, time.Hour)
		defer stop() //nolint:revive // few
		children[i] = child
	}
	if now := runtime.NumGoroutine(); now >= before+len(children) {
		t.Errorf("%d goroutines for %d contexts", now-before, len(children))
	}
	cancel()
	for _, child := range children {
		<-child.Done()
		if !errors.Is(child.Err(), context.Canceled) {
			t.Error(child.Err())
		}
	}
}
