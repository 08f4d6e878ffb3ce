package index

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weir-data/weir/lineage"
)

// Usage is what a kind of reader did with one operation in some days: a context
// and a shape, and not the records that have them. It names no reader.
type Usage struct {
	Kind        string
	Operation   string
	Document    string
	Application string
	Consumer    string // the reader's department
	Roles       []string
	Purpose     string
	Status      string
	Schema      string
	Policy      string
	// Reads are records, Last the time of the newest.
	Reads uint64
	Last  time.Time
	Uses  []UsageOf
}

// UsageOf is one use in a Usage.
type UsageOf struct {
	lineage.Use
	// Clear, Masked and Withheld are records in which some cell of it fared so. A
	// record may be in all three, where rows differ, and in none, where there was
	// no row or the use shows nothing.
	Clear, Masked, Withheld uint64
}

// UsageFilter chooses days, as FlowFilter does: whole days, UTC, from From's to
// before To's, To's too when it is not midnight.
type UsageFilter struct {
	From, To time.Time
	Sealed   []Seal
}

// Seal keeps the days of a purpose out until they are that old.
type Seal struct {
	Purpose string
	Before  time.Time // days before this instant's are open
}

// Usages gives what was done in those days. It reads the rollups of tallies and days,
// so what it costs follows how many kinds of readers and operations there are,
// and not how often they came. Days of a sealed purpose that are not wholly open
// yet are left out. The order is that of the index.
func (x *Index) Usages(ctx context.Context, f UsageFilter) ([]Usage, error) {
	if err := x.ours(); err != nil {
		return nil, err
	}
	pairs, err := x.usedPairs(ctx, &f)
	if err == nil {
		err = x.addDays(ctx, &f, pairs)
	}
	if err != nil {
		return nil, x.unavailable(err)
	}
	ids := make([]int64, 0, len(pairs))
	for id, p := range pairs {
		if p.usage.Reads > 0 {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	shapes := make(map[int64][]lineage.Use)
	out := make([]Usage, 0, len(ids))
	for _, id := range ids {
		p := pairs[id]
		uses, known := shapes[p.shape]
		if !known {
			if uses, err = x.uses(ctx, p.shape); err != nil {
				return nil, x.unavailable(err)
			}
			shapes[p.shape] = uses
		}
		if err := p.complete(uses); err != nil {
			return nil, fmt.Errorf("%w: pair %d: %w", ErrUnavailable, id, err)
		}
		out = append(out, p.usage)
	}
	return out, nil
}

// usedPair is a pair as its days are added up.
type usedPair struct {
	usage    Usage
	shape    int64
	closed   int64 // the first day that is sealed; 0 for none
	outcomes []uint64
}

// usedPairs finds the pairs.
func (x *Index) usedPairs(ctx context.Context, f *UsageFilter) (map[int64]*usedPair, error) {
	rows, err := x.db.QueryContext(ctx,
		`SELECT p.id, c.kind, c.application, c.department, c.roles, c.purpose, c.status, c.schema_revision, c.policy_revision,
		 s.id, s.operation, s.document
		 FROM pair p JOIN context c ON c.id = p.context JOIN shape s ON s.id = p.shape`)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // read to the end or given up
	out := make(map[int64]*usedPair)
	for rows.Next() {
		p := &usedPair{}
		u := &p.usage
		var id int64
		var roles string
		if err := rows.Scan(&id, &u.Kind, &u.Application, &u.Consumer, &roles, &u.Purpose, &u.Status, &u.Schema, &u.Policy,
			&p.shape, &u.Operation, &u.Document); err != nil {
			return nil, err
		}
		if roles != "" {
			u.Roles = strings.Split(roles, "\n")
		}
		for _, s := range f.Sealed {
			if s.Purpose == u.Purpose {
				p.closed = max(1, day(s.Before))
			}
		}
		out[id] = p
	}
	return out, rows.Err()
}

// addDays adds the days' figures of each pair's tallies to it. A tally says how
// each use fared in all of its records.
func (x *Index) addDays(ctx context.Context, f *UsageFilter, pairs map[int64]*usedPair) error {
	w := &where{}
	if !f.From.IsZero() {
		w.add("r.day >= %", day(f.From))
	}
	if !f.To.IsZero() {
		w.add("r.day < %", day(f.To.Add(24*time.Hour-time.Microsecond)))
	}
	rows, err := x.db.QueryContext(ctx, `SELECT t.pair, t.outcomes, r.day, r.reads, r.last FROM tally t JOIN rollup r ON r.tally = t.id`+w.clause(), w.args...)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // read to the end or given up
	var outcomes sql.RawBytes
	for rows.Next() {
		var id, at, reads, last int64
		if err := rows.Scan(&id, &outcomes, &at, &reads, &last); err != nil {
			return err
		}
		p := pairs[id]
		if p == nil || p.closed != 0 && at >= p.closed {
			continue // come since the pairs were read; sealed
		}
		p.usage.Reads += uint64(reads) //nolint:gosec // a count
		if t := time.UnixMicro(last).UTC(); t.After(p.usage.Last) {
			p.usage.Last = t
		}
		if p.outcomes == nil {
			p.outcomes = make([]uint64, outcomesPerUse*len(outcomes))
		}
		if len(p.outcomes) != outcomesPerUse*len(outcomes) {
			return fmt.Errorf("pair %d: %w", id, errCounts)
		}
		for use, set := range outcomes {
			for i, o := range [outcomesPerUse]Outcome{Clear, Masked, Withheld} {
				if set&(1<<o) != 0 {
					p.outcomes[outcomesPerUse*use+i] += uint64(reads) //nolint:gosec // a count
				}
			}
		}
	}
	return rows.Err()
}

func (p *usedPair) complete(uses []lineage.Use) error {
	if len(p.outcomes) != outcomesPerUse*len(uses) {
		return errCounts
	}
	for i, u := range uses {
		at := p.outcomes[outcomesPerUse*i:]
		p.usage.Uses = append(p.usage.Uses, UsageOf{Use: u, Clear: at[0], Masked: at[1], Withheld: at[2]})
	}
	return nil
}

// outcomesPerUse: clear, masked, withheld.
const outcomesPerUse = 3
