package gateway

import (
	"log/slog"
	"net"
	"sync"
	"time"
)

// maxStrangers bounds the addresses told apart in one minute; the rest is
// counted together.
const maxStrangers = 256

// strangers counts unauthenticated requests per minute and address. They leave
// no record each, so that nobody can fill the disk without a token.
type strangers struct {
	log *slog.Logger
	now func() time.Time

	mu     sync.Mutex
	minute time.Time
	counts map[string]int
	others int
}

func newStrangers(log *slog.Logger, now func() time.Time) *strangers {
	return &strangers{log: log, now: now, counts: map[string]int{}}
}

// count adds one request of a remote address.
func (s *strangers) count(remote string) {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = "unknown"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if minute := s.now().Truncate(time.Minute); !minute.Equal(s.minute) {
		s.flushLocked()
		s.minute = minute
	}
	if _, found := s.counts[host]; !found && len(s.counts) >= maxStrangers {
		s.others++
		return
	}
	s.counts[host]++
}

// flush logs what was counted; Serve calls it each minute and at the end.
func (s *strangers) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flushLocked()
}

func (s *strangers) flushLocked() {
	if len(s.counts) == 0 {
		return
	}
	for host, n := range s.counts {
		s.log.Warn("unauthenticated requests", "minute", s.minute.UTC().Format(time.RFC3339), "address", host, "requests", n)
	}
	if s.others > 0 {
		s.log.Warn("unauthenticated requests", "minute", s.minute.UTC().Format(time.RFC3339), "address", "others", "requests", s.others)
	}
	clear(s.counts)
	s.others = 0
}
