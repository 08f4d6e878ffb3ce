package index

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// sequences is a set of sequences of one log.
type sequences struct {
	first int64
	bits  []uint64
}

const wordBits = 64

func (s *sequences) add(n int64) {
	if len(s.bits) == 0 {
		s.first = n - n%wordBits
	}
	if n < s.first { // times may go back; sequences of a month are together all the same
		more := (s.first - n + wordBits - 1) / wordBits
		s.bits = append(make([]uint64, more, int(more)+len(s.bits)), s.bits...)
		s.first -= more * wordBits
	}
	at := (n - s.first) / wordBits
	if need := int(at) + 1 - len(s.bits); need > 0 {
		s.bits = append(s.bits, make([]uint64, need)...)
	}
	s.bits[at] |= 1 << ((n - s.first) % wordBits)
}

func (s *sequences) has(n int64) bool {
	at := (n - s.first) / wordBits
	return n >= s.first && at < int64(len(s.bits)) && s.bits[at]&(1<<((n-s.first)%wordBits)) != 0
}

func (b *batch) redactedRecords(ctx context.Context, at redaction) (*sequences, error) {
	rows, err := b.tx.QueryContext(ctx, redactedRecords, at.origin, at.from, at.to, at.level)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // read to the end or given up
	out := &sequences{}
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return nil, err
		}
		out.add(n)
	}
	return out, rows.Err()
}

// redactPeople takes the postings of redacted records out of the runs of the
// records' time, which for that are read whole. What a merge has begun goes on
// with the rest.
func (b *batch) redactPeople(ctx context.Context, at redaction, gone *sequences) error {
	if len(gone.bits) == 0 {
		return nil
	}
	runs, err := b.runs(ctx, at.origin)
	if err != nil {
		return err
	}
	for _, r := range runs {
		if r.newest < at.from || r.oldest >= at.to {
			continue
		}
		if err := b.redactRun(ctx, r, gone); err != nil {
			return err
		}
	}
	b.settled = false // sizes are others now
	return nil
}

// redactedAtOnce is how many chunks of a run are in memory.
const redactedAtOnce = 64

func (b *batch) redactRun(ctx context.Context, r *run, gone *sequences) error {
	w := b.writer
	was := r.postings
	r.postings, r.oldest, r.newest = 0, math.MaxInt64, math.MinInt64
	last := leastPosting
	for {
		list, ends, err := b.readChunks(ctx, w.merging[:0], r.id, last, redactedAtOnce)
		if err != nil {
			return err
		}
		if len(ends) == 0 {
			break
		}
		w.merging = list
		before := last
		last = list[len(list)-1]
		was -= int64(len(list))
		kept := slices.DeleteFunc(list, func(p posting) bool { return gone.has(p.sequence) })
		for i := range kept {
			r.oldest, r.newest = min(r.oldest, kept[i].time), max(r.newest, kept[i].time)
		}
		r.postings += int64(len(kept))
		if len(kept) < len(list) {
			if _, err := b.tx.ExecContext(ctx, `DELETE FROM chunk WHERE run = $1 AND (tag, time, sequence) > ($2, $3, $4) AND (tag, time, sequence) <= ($5, $6, $7)`,
				r.id, before.tag, before.time, before.sequence, last.tag, last.time, last.sequence); err != nil {
				return err
			}
			if err := b.putChunks(ctx, r.id, kept); err != nil {
				return err
			}
		}
		if len(ends) < redactedAtOnce {
			break
		}
	}
	if was != 0 {
		return fmt.Errorf("run %d: %w", r.id, errChunk)
	}
	if r.target == standing {
		r.tier = w.sizes.tier(r.postings)
	}
	return b.putRun(ctx, r)
}
