package replica

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/weir-data/weir/lineage"
)

// Log is what is replicated; *lineage.Log is one.
type Log interface {
	Origin() string
	// SyncedTo is the sequence up to which records are on disk for good.
	SyncedTo() uint64
}

// SenderConfig is what a node needs to replicate its log. All but Logger is
// required.
type SenderConfig struct {
	Dir      string // of the log
	Source   Log
	Address  string // host:port of the replica
	Identity *Identity
	Replica  ed25519.PublicKey
	Logger   *slog.Logger // default: nobody is told
}

// Times of a connection.
const (
	dialTime = 5 * time.Second
	// silence is how long the replica may owe an acknowledgement before the
	// connection is taken for dead.
	silence = 3 * time.Second
	// idlePoll is how often is looked for records that nobody waits for.
	idlePoll = 50 * time.Millisecond
	// firstPause and longestPause are between attempts to connect.
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second
)

// SenderStats are figures for metrics.
type SenderStats struct {
	Connected    bool
	Acknowledged uint64 // sequence up to which the replica has synced
	Behind       uint64 // records synced here and not there
	Connections  uint64 // since the start
	Refused      uint64 // waits that ended without the acknowledgement
	Apart        bool   // the replica holds another log: it needs an operator
}

// Sender replicates a node's log. Safe for concurrent use; whoever opened it
// closes it, before the log.
type Sender struct {
	config SenderConfig
	cancel context.CancelFunc
	done   chan struct{}
	kick   chan struct{} // somebody waits; capacity 1

	mu     sync.Mutex
	wanted uint64 // highest sequence that somebody waits for: it is synced here
	acked  uint64
	moved  chan struct{} // closed when acked or up change
	up     bool
	since  time.Time // of up
	stats  SenderStats
}

// NewSender begins to replicate in the background.
func NewSender(c SenderConfig) *Sender {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Sender{
		config: c, cancel: cancel, done: make(chan struct{}), kick: make(chan struct{}, 1),
		moved: make(chan struct{}), since: time.Now(),
	}
	go s.run(ctx)
	return s
}

// Close ends replication. Who still waits is refused by his context.
func (s *Sender) Close() error {
	s.cancel()
	<-s.done
	return nil
}

// Wait returns nil when the replica has synced everything up to the record,
// which this machine has synced already. It refuses with ErrLedgerUnavailable
// when the context ends first, and at once when the replica has been away for as
// long as the context still lasts: grace is counted from when it went.
func (s *Sender) Wait(ctx context.Context, sequence uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wanted < sequence {
		s.wanted = sequence
		select {
		case s.kick <- struct{}{}:
		default: // it is awake already, or will be
		}
	}
	for s.acked < sequence {
		if deadline, ok := ctx.Deadline(); ok && !s.up && time.Since(s.since) >= time.Until(deadline) {
			s.stats.Refused++
			return fmt.Errorf("%w: the replica has been away since %s", lineage.ErrLedgerUnavailable, s.since.UTC().Format(time.RFC3339))
		}
		moved := s.moved
		s.mu.Unlock()
		select {
		case <-moved:
			s.mu.Lock()
		case <-ctx.Done():
			s.mu.Lock()
			s.stats.Refused++
			return fmt.Errorf("%w: the replica has not acknowledged: %w", lineage.ErrLedgerUnavailable, context.Cause(ctx))
		}
	}
	return nil
}

// Stats gives the figures of this moment.
func (s *Sender) Stats() SenderStats {
	synced := s.synced()
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.stats
	out.Connected, out.Acknowledged = s.up, s.acked
	out.Behind = synced - min(synced, s.acked)
	return out
}

// synced is the sequence up to which records are known to be synced here: who
// waits may know it before the log's figures tell.
func (s *Sender) synced() uint64 {
	told := s.config.Source.SyncedTo()
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(told, s.wanted)
}

// change moves what waiters look at. The caller holds mu.
func (s *Sender) change() {
	close(s.moved)
	s.moved = make(chan struct{})
}

// run connects again and again.
func (s *Sender) run(ctx context.Context) {
	defer close(s.done)
	pause := firstPause
	for told := false; ; {
		connected, err := s.connect(ctx)
		if ctx.Err() != nil {
			return
		}
		if connected {
			pause, told = firstPause, false
		}
		apart := errors.Is(err, ErrApart)
		s.mu.Lock()
		s.stats.Apart = apart
		s.mu.Unlock()
		if !told || apart {
			// Once for each time that it is away, and not every two seconds.
			s.config.Logger.Error("the replica of the ledger is away; answers of levels that wait for it are refused after their grace",
				"address", s.config.Address, "error", err.Error())
			told = true
		}
		if apart {
			pause = longestPause
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
		pause = min(2*pause, longestPause)
	}
}

// connect is one connection; connected reports whether it came to frames.
func (s *Sender) connect(ctx context.Context) (connected bool, err error) {
	dialing, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	var d net.Dialer
	raw, err := d.DialContext(dialing, "tcp", s.config.Address)
	if err != nil {
		return false, err
	}
	conn := tls.Client(raw, s.config.Identity.tlsConfig(s.config.Replica))
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := conn.HandshakeContext(dialing); err != nil {
		return false, err
	}
	_ = conn.SetDeadline(time.Now().Add(dialTime))
	if err := writeHello(conn, s.config.Source.Origin()); err != nil {
		return false, err
	}
	status, state, err := readState(conn)
	if err != nil {
		return false, fmt.Errorf("it does not answer; does it know this node's key? %w", err)
	}
	if status != statusOK {
		return false, fmt.Errorf("%w: it holds the log of another origin", ErrApart)
	}
	_ = conn.SetDeadline(time.Time{})
	frames, err := s.locate(state)
	if err != nil {
		return false, err
	}
	defer frames.Close()
	return true, s.follow(ctx, conn, frames, state)
}

// locate finds the frame behind which the replica is to go on. A replica that
// ends with a frame that this log does not have, or has not synced, is apart.
func (s *Sender) locate(state lineage.CopyState) (*lineage.Frames, error) {
	if state.Last == (lineage.FrameHash{}) {
		return lineage.NewFrames(s.config.Dir, 0), nil
	}
	if synced := s.synced(); state.Sequence > synced {
		return nil, fmt.Errorf("%w: it ends with record %d, this log with %d", ErrApart, state.Sequence, synced)
	}
	after := uint64(0)
	if state.Sequence > 0 {
		after = state.Sequence - 1
	}
	frames := lineage.NewFrames(s.config.Dir, after)
	for {
		f, err := frames.Next()
		switch {
		case errors.Is(err, io.EOF), err == nil && f.Record && f.Sequence > state.Sequence:
			frames.Close()
			return nil, fmt.Errorf("%w: this log has no such frame behind record %d", ErrApart, state.Sequence)
		case err != nil:
			frames.Close()
			return nil, err
		case f.Hash == state.Last:
			return frames, nil
		}
	}
}

// follow sends what is synced here as it comes, and takes acknowledgements.
func (s *Sender) follow(ctx context.Context, conn net.Conn, frames *lineage.Frames, state lineage.CopyState) error {
	s.mu.Lock()
	s.up, s.since, s.acked = true, time.Now(), state.Sequence
	s.stats.Connections++
	s.change()
	s.mu.Unlock()
	s.config.Logger.Info("the replica of the ledger is connected", "address", s.config.Address, "sequence", state.Sequence)
	sent := &outstanding{acked: state.Sequence, sent: state.Sequence}
	failed := make(chan error, 1)
	go func() { failed <- s.acknowledge(conn, sent) }()
	err := s.send(ctx, conn, frames, sent, failed)
	_ = conn.Close()
	s.mu.Lock()
	s.up, s.since = false, time.Now()
	s.change()
	s.mu.Unlock()
	return err
}

// outstanding is what has been sent and not acknowledged.
type outstanding struct {
	mu          sync.Mutex
	sent, acked uint64
	since       time.Time // of the oldest that is owed
}

func (o *outstanding) add(sequence uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sent == o.acked {
		o.since = time.Now()
	}
	o.sent = sequence
}

// take notes an acknowledgement; false for one of what was not sent.
func (o *outstanding) take(sequence uint64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if sequence < o.acked || sequence > o.sent {
		return false
	}
	o.acked, o.since = sequence, time.Now()
	return true
}

func (o *outstanding) silent() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.sent > o.acked && time.Since(o.since) > silence
}

var errSilent = errors.New("it does not acknowledge")

// send is the connection's writing half.
func (s *Sender) send(ctx context.Context, conn net.Conn, frames *lineage.Frames, sent *outstanding, failed <-chan error) error {
	ticker := time.NewTicker(idlePoll)
	defer ticker.Stop()
	at := sent.acked
	b := batch{dir: s.config.Dir, frames: frames, sent: map[sentKey]bool{}}
	for {
		target := s.synced()
		for at < target {
			var err error
			if at, err = b.fill(at, target); err != nil {
				return err
			}
			sent.add(at)
			for _, message := range [...][]byte{b.keys, b.message} {
				if len(message) == 0 {
					continue
				}
				_ = conn.SetWriteDeadline(time.Now().Add(silence))
				if _, err := conn.Write(message); err != nil {
					return err
				}
			}
		}
		select {
		case <-s.kick:
		case <-ticker.C:
			if sent.silent() {
				return errSilent
			}
		case err := <-failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sentKey is a data key, or the act that dropped it.
type sentKey struct {
	id      lineage.KeyID
	dropped bool
}

// batch is what is sent next: messages of data keys, and one of the frames that
// need them.
type batch struct {
	dir     string
	frames  *lineage.Frames
	sent    map[sentKey]bool // on this connection
	keys    []byte
	message []byte
}

// fill takes whole frames up to a record, which it gives.
func (b *batch) fill(at, target uint64) (uint64, error) {
	b.keys = b.keys[:0]
	b.message = append(b.message[:0], make([]byte, messageHead)...)
	for at < target && len(b.message) < chunkSize {
		for record := false; !record; {
			f, err := b.frames.Next()
			if err == nil {
				err = b.key(&f)
			}
			if err != nil {
				return at, fmt.Errorf("read the log behind record %d: %w", at, err)
			}
			b.message = append(b.message, f.Bytes...)
			if record = f.Record; record {
				at = f.Sequence
			}
		}
	}
	writeHead(b.message, kindFrames)
	return at, nil
}

// key adds the data key that a frame names, or the act that dropped it, where it
// was not sent.
func (b *batch) key(f *lineage.Frame) error {
	n, id, names := f.DataKey()
	if !names {
		return nil
	}
	text, dropped, err := lineage.KeyText(b.dir, n, id)
	if err != nil || b.sent[sentKey{id, dropped}] {
		return err
	}
	kind := byte(kindKey)
	if dropped {
		kind = kindDropped
	}
	message := append(append(make([]byte, messageHead), id[:]...), text...)
	writeHead(message, kind)
	b.keys = append(b.keys, message...)
	b.sent[sentKey{id, dropped}] = true
	return nil
}

// acknowledge is the connection's reading half.
func (s *Sender) acknowledge(conn net.Conn, sent *outstanding) error {
	var b [8]byte
	for {
		if _, err := io.ReadFull(conn, b[:]); err != nil {
			return err
		}
		sequence := binary.LittleEndian.Uint64(b[:])
		if !sent.take(sequence) {
			return fmt.Errorf("%w: it acknowledges record %d, which it was not sent", ErrPeer, sequence)
		}
		s.mu.Lock()
		if sequence > s.acked {
			s.acked = sequence
			s.change()
		}
		s.mu.Unlock()
	}
}
