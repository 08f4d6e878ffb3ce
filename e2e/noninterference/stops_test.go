package noninterference

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-data/weir/adapters"
)

// A machine that is stopped for a while, or whose PostgreSQL is, answers late: a
// time limit of Weir's passes, and an answer says SOURCE_TIMEOUT that says nothing
// of Weir. Whether there was a stop is not for the answer to say: a beat of its
// own, which touches no row and takes no lock, tells. What failed for a time limit
// while the beat was away is run once more from its beginning, counted and
// printed; without a stop it fails.
const (
	beatEvery = 100 * time.Millisecond
	// leastStop is below the shortest limit of a rig, the ledger's ten seconds,
	// and far above what a busy machine lets a goroutine wait.
	leastStop = 5 * time.Second
	// mostRepeats of one world, after which the machine cannot test anything.
	mostRepeats = 10
)

// stops knows when the process, or a database, stood still.
type stops struct {
	now    func() time.Time
	pulses []func(context.Context) error

	mu    sync.Mutex
	last  time.Time // of the last beat
	known []interval
}

type interval struct{ from, to time.Time }

// watchStops beats until the test ends: the process, and the databases whose
// pulses it is given.
func watchStops(tb testing.TB, engines ...engine) *stops {
	tb.Helper()
	s := &stops{now: time.Now, last: time.Now()}
	for _, e := range engines {
		s.pulses = append(s.pulses, e.pulse)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(beatEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if err := s.beat(ctx); err != nil && ctx.Err() == nil {
				// Without its beat every failure would look like a stop.
				tb.Errorf("the beat that tells a stop is lost: %v", err)
				return
			}
		}
	}()
	tb.Cleanup(func() {
		cancel()
		<-done
	})
	return s
}

// beat asks every database for a sign of life and writes down what it took, if
// that was a stop. After an error there is no stop any more.
func (s *stops) beat(ctx context.Context) error {
	var err error
	for _, pulse := range s.pulses {
		err = errors.Join(err, pulse(ctx))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if err != nil {
		s.last, s.known = time.Time{}, nil
		return err
	}
	if now.Sub(s.last) >= leastStop {
		s.known = append(s.known, interval{s.last, now})
	}
	s.last = now
	return nil
}

// since gives the longest stop from begin until now, the one included that
// lasts; 0 where there was none.
func (s *stops) since(begin time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last.IsZero() {
		return 0
	}
	var longest time.Duration
	now := s.now()
	for _, stop := range append(slices.Clone(s.known), interval{s.last, now}) {
		if stop.from.Before(begin) {
			stop.from = begin
		}
		longest = max(longest, stop.to.Sub(stop.from))
	}
	if longest < leastStop {
		return 0
	}
	return longest
}

// over waits until a stop that lasts is over.
func (s *stops) over() {
	for s.lasts() {
		time.Sleep(beatEvery)
	}
}

func (s *stops) lasts() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now().Sub(s.last) >= leastStop && !s.last.IsZero()
}

// errLate is a failure for which a time limit of Weir's is to blame, whoever
// is to blame for the time.
var errLate = errors.New("a time limit has passed")

// interrupted tells a late failure during which there was a stop from others.
func (s *stops) interrupted(begin time.Time, err error) (stop time.Duration, yes bool) {
	if !errors.Is(err, errLate) {
		return 0, false
	}
	stop = s.since(begin)
	return stop, stop > 0
}

var lateCode = regexp.MustCompile(`"code":"(SOURCE_TIMEOUT|SOURCE_UNAVAILABLE|LEDGER_UNAVAILABLE|OVERLOADED)"`)

// lateCodes are the codes of an answer that a passed time limit leaves.
func lateCodes(a answer) string { return strings.Join(lateCode.FindAllString(a.raw, -1), " ") }

// late tells whether a time limit can be why two answers of a step differ. A
// fault that is injected leaves the same codes, but on both sides alike.
func (st *step) late(a, b answer) bool {
	first, second := lateCodes(a), lateCodes(b)
	return first != second || first != "" && st.fault == nil
}

// lateSource tells whether a time limit can be why a source failed.
func lateSource(err error) bool {
	var failed *adapters.Error
	return errors.As(err, &failed) && (failed.Kind == adapters.Timeout || failed.Kind == adapters.Unavailable)
}
