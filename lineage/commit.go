package lineage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Ticket is the promise of a commit group; the records of one group share it.
type Ticket struct {
	// Each is closed when it is decided; the errors are set before.
	written, synced   chan struct{}
	writeErr, syncErr error
}

// Wait returns nil when the group is as durable as asked, and otherwise
// ErrLedgerUnavailable with the reason: the disk refused, or the context ended
// first. Nothing may be served after an error. What is beyond Synced is not this
// log's to promise and refused.
func (t *Ticket) Wait(ctx context.Context, d Durability) error {
	if d > Synced {
		return fmt.Errorf("%w: this log alone does not make records that durable", ErrLedgerUnavailable)
	}
	decided := t.synced
	if d == Written {
		decided = t.written
	}
	select {
	case <-decided:
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrLedgerUnavailable, context.Cause(ctx))
	}
	if d == Written {
		return t.writeErr
	}
	return t.syncErr
}

// group is what one write and one sync bring to disk.
type group struct {
	ticket  Ticket
	written bool   // the ticket has been decided as far as writing goes
	ordinal uint64 // of the segment; with offset 0 the group begins it
	offset  int64
	buf     []byte
	records int
	failed  bool          // the ticket has been decided, against it
	taken   chan struct{} // closed when Append may fill the next; nil when nobody waits
}

func (g *group) full(records int) bool { return g.records >= records || len(g.buf) >= maxGroup }

// fail decides the ticket of a group that could not be written or synced.
func (g *group) fail(err error) {
	g.failed = true
	if !g.written {
		g.ticket.writeErr = err
		close(g.ticket.written)
	}
	g.ticket.syncErr = err
	close(g.ticket.synced)
}

// linger is how long the committer lets a group fill when the one before had
// more than one record: others are then about to append, and a sync for each few
// of them costs all of them more than this. A lone record never waits.
const linger = 250 * time.Microsecond

// run commits groups one after the other until the log is closed.
func (l *Log) run() {
	defer close(l.done)
	busy := false
	for {
		if busy {
			l.fill()
		}
		g := l.take()
		for g == nil {
			select {
			case <-l.wake:
			case <-l.quit:
				// Append refuses since before quit was closed, so what is there
				// now is all there will be.
				if g = l.take(); g == nil {
					return
				}
				continue
			}
			g = l.take()
		}
		if !l.commit(g) {
			return
		}
		busy = g.records > 1
	}
}

// fill waits for linger, or until the log is being closed.
func (l *Log) fill() {
	t := time.NewTimer(linger)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.quit:
	}
}

// take gives the oldest group that is not on disk.
func (l *Log) take() *group {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seal()
	if len(l.backlog) == 0 {
		return nil
	}
	g := l.backlog[0]
	l.backlog = l.backlog[:copy(l.backlog, l.backlog[1:])]
	return g
}

// seal moves the group that Append fills behind those that wait. One with nothing
// in it yet stays: its first record is waiting for a data key. The caller holds mu.
func (l *Log) seal() {
	g := l.pending
	if g == nil || len(g.buf) == 0 {
		return
	}
	l.pending = nil
	l.size += int64(len(g.buf))
	l.backlog = append(l.backlog, g)
	if g.taken != nil {
		close(g.taken)
	}
}

// commit brings a group to disk, however often that takes. It returns false when
// the log is at its end: closed while the disk refuses, or a failed sync.
func (l *Log) commit(g *group) bool {
	for {
		err := l.write(g)
		if err == nil {
			break
		}
		if errors.Is(err, errSync) {
			l.die(g, err)
			return false
		}
		l.refuse(g, err)
		if !l.pause() {
			// One more attempt, since Close asked for it.
			if err = l.write(g); err == nil {
				break
			}
			if errors.Is(err, errSync) {
				l.die(g, err)
			}
			return false
		}
	}
	if !g.failed {
		g.written = true
		close(g.ticket.written)
	}
	start := time.Now()
	if err := l.file.Sync(); err != nil {
		l.die(g, fmt.Errorf("%w of %s: %w", errSync, l.path(g.ordinal), err))
		return false
	}
	l.settle(g, time.Since(start))
	return true
}

// write puts the group's bytes at their place. It may be called again after an
// error: place and bytes are the same each time, so nothing is written twice and
// no rest of a failed attempt stays behind.
func (l *Log) write(g *group) error {
	if l.file == nil || l.fileOrdinal != g.ordinal {
		if err := l.nextFile(g.ordinal); err != nil {
			return err
		}
	}
	n, err := l.file.WriteAt(g.buf, g.offset)
	if err == nil && n < len(g.buf) {
		err = io.ErrShortWrite
	}
	if err != nil {
		// Give back what was taken, for others on the disk and for whoever reads
		// the file meanwhile. If that fails too, the next attempt covers it.
		_ = l.file.Truncate(g.offset)
		l.end, l.room = g.offset, g.offset
		return fmt.Errorf("write %s: %w", l.path(g.ordinal), err)
	}
	l.end = g.offset + int64(len(g.buf))
	l.makeRoom()
	return nil
}

// makeRoom writes zeroes behind the last group when there are none left; the
// group's sync makes them last. A group that is written over zeroes changes
// neither the file's size nor where it lies on the disk, so that its sync waits
// for its own bytes alone, and not for the file system's journal and with it for
// whatever else the machine writes. A disk that has no place for zeroes may
// still have some for records.
func (l *Log) makeRoom() {
	if l.end < l.room {
		return
	}
	l.room = l.end
	to := min(l.end+l.config.Room, l.config.SegmentSize)
	if l.full || to <= l.end {
		return
	}
	var zeroes [4096]byte
	for at := l.end; at < to; {
		n, err := l.file.WriteAt(zeroes[:min(to-at, int64(len(zeroes)))], at)
		if err != nil || n == 0 {
			l.full = l.file.Truncate(l.end) == nil
			return
		}
		at += int64(n)
	}
	l.room = to
}

// trim takes the zeroes that were not needed off the file; they are never in a
// segment that has another behind it.
func (l *Log) trim() error {
	if l.room <= l.end {
		return nil
	}
	if err := l.file.Truncate(l.end); err != nil {
		return fmt.Errorf("trim %s: %w", l.path(l.fileOrdinal), err)
	}
	if err := l.file.Sync(); err != nil {
		return fmt.Errorf("%w of %s: %w", errSync, l.path(l.fileOrdinal), err)
	}
	l.room = l.end
	return nil
}

// nextFile begins a segment's file. Everything in the one before is synced.
func (l *Log) nextFile(ordinal uint64) error {
	if l.file != nil {
		if err := l.trim(); err != nil {
			return err
		}
	}
	path := l.path(ordinal)
	var file File
	var err error
	if l.reuse {
		file, err = l.config.Files.Open(path, true)
	} else {
		file, err = l.config.Files.Create(path)
	}
	if err != nil {
		return err
	}
	l.reuse = false
	if l.file != nil {
		_ = l.file.Close() // synced; nothing is left to lose
	}
	l.file, l.fileOrdinal = file, ordinal
	l.end, l.room, l.full = 0, 0, false
	if err := l.config.Files.SyncDir(l.config.Dir); err != nil {
		return fmt.Errorf("%w of %s: %w", errSync, l.config.Dir, err)
	}
	return nil
}

// refuse makes the log unavailable: the tickets of everything not on disk fail,
// and Append refuses until it is.
func (l *Log) refuse(g *group, cause error) {
	err := fmt.Errorf("%w: %w", ErrLedgerUnavailable, cause)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = err
	l.failAll(g, err)
}

// failAll decides the tickets of g and of everything behind it. The caller
// holds mu.
func (l *Log) failAll(g *group, err error) {
	l.seal()
	for _, b := range append([]*group{g}, l.backlog...) {
		if !b.failed {
			l.stats.Refused += uint64(b.records)
			b.fail(err)
		}
	}
}

// pause waits before the next attempt; false when the log is being closed.
func (l *Log) pause() bool {
	t := time.NewTimer(l.config.RetryEvery)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-l.quit:
		return false
	}
}

// settle counts a group that is on disk, and makes the log available again when
// nothing older than the next record is missing.
func (l *Log) settle(g *group, sync time.Duration) {
	l.mu.Lock()
	l.stats.Groups++
	l.stats.Synced += uint64(g.records)
	l.stats.Queued -= g.records
	l.stats.LastSync = sync
	l.stats.SyncTime += sync
	if len(l.backlog) == 0 {
		l.down = nil
	}
	l.keepBuffer(g.buf)
	l.mu.Unlock()
	if !g.failed {
		// Behind the count: whoever was told that his record is on disk finds it
		// in SyncedTo.
		close(g.ticket.synced)
	}
}

// die ends the log after a failed sync. Fatal comes first: in production it does
// not return, so no ticket is ever decided on a disk that lied.
func (l *Log) die(g *group, cause error) {
	l.mu.Lock()
	l.down = fmt.Errorf("%w: %w", ErrLedgerUnavailable, cause)
	err := l.down
	l.mu.Unlock()
	l.config.Fatal(cause)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failAll(g, err)
}

// spareBuffer gives a buffer that an earlier group is done with. The caller
// holds mu.
func (l *Log) spareBuffer() []byte {
	n := len(l.spare)
	if n == 0 {
		return nil
	}
	b := l.spare[n-1]
	l.spare = l.spare[:n-1]
	return b[:0]
}

// keepBuffer keeps a buffer for a later group: one fills while one is written.
// The caller holds mu.
func (l *Log) keepBuffer(b []byte) {
	if len(l.spare) < 2 && cap(b) <= maxGroup {
		l.spare = append(l.spare, b)
	}
}
