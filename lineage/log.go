package lineage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Config is what a log needs. Dir and Origin are required.
type Config struct {
	Dir    string // the log's own folder; made if missing
	Origin string // name of this node, unique in the installation
	// SegmentSize is after how many bytes a new file is begun. Default 64 MiB.
	SegmentSize int64
	// Room is how many zeroes are written ahead of the records at a time.
	// Default 256 KiB; negative for none.
	Room int64
	// QueueSize is how many records may wait for the group that is being
	// written; then Append blocks. Default 8192.
	QueueSize int
	// RetryEvery is the pause between attempts while the disk refuses writes.
	// Default 200 ms.
	RetryEvery time.Duration
	// Clock gives the records' times. Default time.Now.
	Clock func() time.Time
	// Reading wraps the data keys that the log draws. Without it they live in
	// memory alone: the log can be verified, and read by nobody.
	Reading Sealer
	// Ring are the fingerprints of the key ring that makes the records' tags and
	// pseudonyms, the one of the key in use first. The log says which it was, and
	// opens with no other. Without it nothing is asked: for who appends no tag.
	Ring []string
	// Files is the layer under the log. Default OS().
	Files FS
	// Fatal ends the process: a sync has failed, and what the disk holds is not
	// known any more; a second sync may claim what the first lost. Default: log
	// and exit with status 74. If it returns, the log stays unavailable.
	Fatal func(error)
}

func (c Config) withDefaults() (Config, error) {
	if c.Dir == "" {
		return c, fmt.Errorf("%w: no folder", ErrConfig)
	}
	if err := checkOrigin(c.Origin); err != nil {
		return c, err
	}
	if c.SegmentSize < 0 || c.QueueSize < 0 || c.RetryEvery < 0 {
		return c, fmt.Errorf("%w: sizes and times are not negative", ErrConfig)
	}
	if c.SegmentSize == 0 {
		c.SegmentSize = 64 << 20
	}
	if c.Room == 0 {
		c.Room = 256 << 10
	}
	if c.QueueSize == 0 {
		c.QueueSize = 8192
	}
	if c.RetryEvery == 0 {
		c.RetryEvery = 200 * time.Millisecond
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Files == nil {
		c.Files = OS()
	}
	if c.Fatal == nil {
		c.Fatal = exit
	}
	return c, nil
}

// exit is the default of Config.Fatal. 74 is EX_IOERR of sysexits.h.
func exit(err error) {
	slog.Error("the lineage log cannot be trusted any more, the process ends", "error", err)
	os.Exit(74)
}

const (
	// maxGroup bounds a commit group in bytes, and so what a crash can tear.
	maxGroup = 4 << 20
	// maxDictionary bounds the memory of the dictionary: a requester can make
	// every document a new one. A fresh segment has a fresh dictionary.
	maxDictionary = 1 << 16
)

// Log is a node's write-ahead log of records. It is safe for concurrent use;
// whoever opened it closes it.
//
// Sequences: a record gets its position in Append, and keeps it. When the disk
// refuses a group, its tickets fail, Append refuses, and the group stays in
// memory and is tried again at the same place with the same bytes, before
// anything newer; so a position is never given twice within an epoch and the
// sequence on disk has no gap. Its answers were refused: they are records
// without an answer, which is fine. What a crash loses begins anew under the
// next epoch: (epoch, sequence) never names two records.
type Log struct {
	config   Config
	recovery Recovery
	lock     io.Closer

	mu      sync.Mutex
	enc     encoder
	ordinal uint64 // of the segment that is encoded into
	size    int64  // of that segment, up to the last group taken
	pending *group // that Append fills; nil until the next record
	backlog []*group
	down    error // why Append refuses; nil when it does not
	spare   [][]byte
	closed  bool
	stats   Stats

	wake chan struct{} // something to take; capacity 1
	quit chan struct{} // closed by Close
	done chan struct{} // closed when the committer has ended

	// Of the committer alone.
	file        File
	fileOrdinal uint64
	reuse       bool  // the first file exists, empty
	end, room   int64 // of the file: of its frames, and of the zeroes behind them
	full        bool  // the disk had no place for zeroes in this file
}

// Stats are figures for metrics, since the log was opened.
type Stats struct {
	Appended  uint64        // records given a position
	Synced    uint64        // records known to be on disk
	Groups    uint64        // commits
	Refused   uint64        // records refused, or taken and then not vouched for
	Queued    int           // records not yet on disk
	LastSync  time.Duration // of the last commit's sync
	SyncTime  time.Duration // of all commits' syncs together
	Segment   uint64        // ordinal of the current file
	Available bool
}

// Open takes the folder, recovers what a crash left, and begins a new epoch,
// which is on disk before Open returns. It refuses a folder that another process
// holds (ErrLocked), that holds another log or other files (ErrForeign), that
// another key ring keyed (ErrRing), or that is damaged (a *CorruptError); it
// repairs nothing but an unfinished last write, see [Log.Recovery].
func Open(config Config) (*Log, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	lock, err := config.Files.Lock(config.Dir)
	if err != nil {
		return nil, fmt.Errorf("open lineage log: %w", err)
	}
	l := &Log{
		config: config, lock: lock,
		wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
	}
	if err := l.begin(); err != nil {
		return nil, errors.Join(fmt.Errorf("open lineage log: %w", err), lock.Close())
	}
	go l.run()
	return l, nil
}

// begin recovers and writes the first frame of a new epoch.
func (l *Log) begin() error {
	ring, err := l.checkRing()
	if err != nil {
		return err
	}
	r, err := recoverLog(l.config.Files, l.config.Dir, l.config.Origin)
	if err != nil {
		return err
	}
	r.RingTaken = len(l.config.Ring) > 0 && ring == "" && r.Last.Sequence > 0
	l.recovery, l.reuse, l.ordinal = r.Recovery, r.reuse, r.ordinal
	l.enc.keys, err = openKeys(l.config.Files, l.config.Dir, l.config.Origin, l.config.Clock, l.config.Reading)
	if err == nil {
		err = l.enc.keys.check(r.named)
	}
	if err == nil {
		err = l.nameRing(ring)
	}
	if err != nil {
		return err
	}
	l.enc.chain = r.chain
	if r.chain.epoch == maxEpoch {
		return fmt.Errorf("%w: the log has been started %d times, which is all that its format has room for", ErrConfig, maxEpoch)
	}
	l.enc.epoch++
	first := &group{ordinal: r.ordinal}
	first.buf = l.enc.beginSegment(nil, l.config.Origin, r.ordinal, l.config.Clock())
	err = l.write(first)
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		if l.file != nil {
			err = errors.Join(err, l.file.Close())
		}
		return err
	}
	l.size = int64(len(first.buf))
	return nil
}

// Recovery tells what Open found.
func (l *Log) Recovery() Recovery { return l.recovery }

// Epoch is this run's boot epoch.
func (l *Log) Epoch() uint32 { return l.enc.epoch }

// Origin is the name of the node.
func (l *Log) Origin() string { return l.config.Origin }

// Append gives the record its position and queues it; the ticket tells when it
// is where it has to be. A full queue blocks until there is room or the context
// ends. The record is copied, but for its uses, which are not changed
// afterwards. It refuses with ErrLedgerUnavailable while the disk does, with
// ErrClosed after Close, and with ErrRecord what the format cannot hold.
func (l *Log) Append(ctx context.Context, r *Record) (Position, *Ticket, error) {
	if err := r.check(); err != nil {
		return Position{}, nil, err
	}
	return l.put(ctx, r, nil)
}

// put appends a record, and behind it the act that it is about; nil for none.
func (l *Log) put(ctx context.Context, r *Record, act *Act) (Position, *Ticket, error) {
	for {
		p, t, err := l.append(ctx, r, act)
		var needed *keyNeededError
		if !errors.As(err, &needed) {
			return p, t, err
		}
		// The first record of a month and level. Only its like waits.
		if err := l.enc.keys.fetch(needed.name); err != nil {
			if errors.Is(err, errSync) {
				l.config.Fatal(err)
			}
			return Position{}, nil, fmt.Errorf("%w: %w", ErrLedgerUnavailable, err)
		}
	}
}

// append is put where the record's key is at hand.
func (l *Log) append(ctx context.Context, r *Record, act *Act) (Position, *Ticket, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if l.closed {
			return Position{}, nil, ErrClosed
		}
		if l.enc.sequence == maxSequence {
			return Position{}, nil, fmt.Errorf("%w: the log has %d records, which is all that its format has room for", ErrLedgerUnavailable, uint64(maxSequence))
		}
		if l.down != nil {
			l.stats.Refused++
			return Position{}, nil, l.down
		}
		if l.pending == nil || !l.pending.full(l.config.QueueSize) {
			break
		}
		if err := l.waitForRoom(ctx, l.pending); err != nil {
			return Position{}, nil, err
		}
	}
	g := l.openGroup()
	position := Position{Origin: l.config.Origin, Epoch: l.enc.epoch, Sequence: l.enc.sequence}
	var err error
	g.buf, err = l.enc.record(g.buf, r, l.config.Clock(), len(g.buf) == 0)
	if err != nil {
		return Position{}, nil, err
	}
	if act != nil {
		g.buf = l.enc.drop(g.buf, act)
	}
	g.records++
	l.stats.Appended++
	l.stats.Queued++
	if g.records == 1 {
		l.signal()
	}
	return position, &g.ticket, nil
}

// waitForRoom releases the lock until the group has been taken.
func (l *Log) waitForRoom(ctx context.Context, g *group) error {
	if g.taken == nil {
		g.taken = make(chan struct{})
	}
	taken := g.taken
	l.mu.Unlock()
	defer l.mu.Lock()
	select {
	case <-taken:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: the queue is full: %w", ErrLedgerUnavailable, context.Cause(ctx))
	}
}

// openGroup gives the group that the next frame goes into. The caller holds mu.
func (l *Log) openGroup() *group {
	if l.pending != nil {
		return l.pending
	}
	g := &group{ordinal: l.ordinal, offset: l.size, buf: l.spareBuffer()}
	g.ticket.written, g.ticket.synced = make(chan struct{}), make(chan struct{})
	if l.size >= l.config.SegmentSize || l.enc.size() >= maxDictionary {
		l.ordinal++
		l.size = 0
		g.ordinal, g.offset = l.ordinal, 0
		g.buf = l.enc.beginSegment(g.buf, l.config.Origin, l.ordinal, l.config.Clock())
	}
	l.pending = g
	return g
}

// signal wakes the committer. The caller holds mu.
func (l *Log) signal() {
	select {
	case l.wake <- struct{}{}:
	default: // it is awake already, or will be
	}
}

// Healthy is nil while records can be appended, for /readyz.
func (l *Log) Healthy() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	return l.down
}

// Stats gives the figures of this moment.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.Segment = l.ordinal
	s.Available = l.down == nil && !l.closed
	return s
}

// Close refuses further records, writes and syncs what is queued, marks the log
// as closed in order, and gives the folder back. What could not be written is an
// error; nobody was told that it had been.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		<-l.done
		return nil
	}
	l.closed = true
	if l.down == nil {
		g := l.openGroup()
		g.buf = l.enc.end(g.buf, len(g.buf) == 0)
	}
	l.mu.Unlock()
	close(l.quit)
	<-l.done

	l.mu.Lock()
	defer l.mu.Unlock()
	var err error
	if l.stats.Queued > 0 || l.down != nil {
		err = fmt.Errorf("close lineage log: %d records, whose answers were refused, are not on disk: %w", l.stats.Queued, l.down)
	}
	if l.down == nil {
		err = errors.Join(err, l.trim())
	}
	return errors.Join(err, l.file.Close(), l.lock.Close())
}

func (l *Log) path(ordinal uint64) string {
	return filepath.Join(l.config.Dir, segmentName(ordinal))
}
