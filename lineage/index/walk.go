package index

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"maps"
	"slices"
	"strconv"
)

// place is a place in the order of records, and whose it is.
type place struct {
	Place
	tally int64
	from  departmentSet // that the person came from that was asked for
}

// newer orders places newest first.
func newer(a, b place) int {
	return cmp.Or(cmp.Compare(b.Time, a.Time), cmp.Compare(b.Origin, a.Origin), cmp.Compare(b.Sequence, a.Sequence))
}

// walked is a stretch of the order of records. Sealed records are no part of it:
// a page, and where it ends, are as if they were not there.
type walked struct {
	places  []place // that fit, newest first
	scanned int     // that were looked at
	last    *Place  // of those looked at; nil for none
	next    *Place  // where the next stretch begins; nil at the end
}

const newestFirst = ` ORDER BY r.time DESC, r.origin DESC, r.sequence DESC LIMIT `

// walk gives the next places that fit, want at most, and looks at limit places
// or so.
//
// One person's and one reader's records have orders of their own. Else there are
// two ways: along the order of all records, leaving out what does not fit, or
// along the order of each chosen tally, merged. The first is good where much
// fits, the second where little does.
func (q *query) walk(ctx context.Context, after *Place, want, limit int) (walked, error) {
	if q.filter.Tag != nil {
		return q.person(ctx, after, want, limit)
	}
	w := &where{}
	from, before := q.filter.asked()
	if q.reader != 0 {
		w.add("r.reader = %", q.reader)
	} else if q.chosen != nil {
		merge, err := q.sparse(ctx, want)
		if err != nil {
			return walked{}, err
		}
		if merge {
			return q.merge(ctx, after, want)
		}
		before = min(before, q.newest()+1)
	}
	bounds(w, from, before, after)
	return q.along(ctx, `SELECT r.time, r.origin, r.sequence, r.tally`+q.request()+` FROM record r`+w.clause()+newestFirst, w.args, want, limit)
}

// request is a column that no order has: it is looked at where it is asked for.
func (q *query) request() string {
	if q.filter.Request == "" {
		return ", NULL"
	}
	return ", r.request"
}

// along walks one order.
func (q *query) along(ctx context.Context, statement string, args []any, want, limit int) (out walked, err error) {
	rows, err := q.index.db.QueryContext(ctx, statement+strconv.Itoa(limit), args...)
	if err != nil {
		return out, err
	}
	defer rows.Close() //nolint:errcheck // read to the end or given up
	s := q.sieve(want)
	var p place
	var request sql.RawBytes
	passed := 0
	for !s.full() && rows.Next() {
		if err := rows.Scan(&p.Time, &p.Origin, &p.Sequence, &p.tally, &request); err != nil {
			return out, err
		}
		passed++
		s.take(p, request)
	}
	return s.walked(passed == limit), rows.Err()
}

// sieve keeps the places of a walk that fit.
type sieve struct {
	query *query
	want  int
	asked []byte // the request; nil for any
	out   walked
	at    place // the newest come to
}

func (q *query) sieve(want int) *sieve {
	s := &sieve{query: q, want: want}
	if q.filter.Request != "" {
		s.asked = packRequest(q.filter.Request)
	}
	return s
}

// full reports whether the walk has come to its end, whatever may follow.
func (s *sieve) full() bool {
	return len(s.out.places) == s.want || s.query.scanned+s.out.scanned == maxScanned
}

// take comes to a place.
func (s *sieve) take(p place, request []byte) {
	s.at = p
	q := s.query
	if until, sealed := q.closed[p.tally]; sealed && p.Time >= until {
		return
	}
	s.out.scanned++
	s.out.last = &s.at.Place
	if (q.chosen == nil || q.chosen[p.tally] != nil) && (s.asked == nil || bytes.Equal(s.asked, request)) {
		s.out.places = append(s.out.places, p)
	}
}

// pass passes a place by that is another's.
func (s *sieve) pass(p place) {
	s.at = p
	s.out.scanned++
	s.out.last = &s.at.Place
}

// walked is what the walk found, of a stretch behind which there may be more.
func (s *sieve) walked(more bool) walked {
	if s.full() || more {
		s.out.next = &s.at.Place
	}
	return s.out
}

// Merging costs a search for each tally, walking a step for each record passed
// by: so many steps are as dear as one search.
const stepsOfSearch = 16

// Tallies that are merged whatever the estimate says; the most that are ever
// merged; places passed by before the estimate is held for wrong (a tally that
// was frequent last year is not today).
const (
	fewTallies  = 64
	manyTallies = 20_000
	patience    = 20_000
)

// sparse reports whether what fits is so rare that tallies are merged.
func (q *query) sparse(ctx context.Context, want int) (bool, error) {
	switch {
	case q.filter.Request != "":
		return false, nil // a tally may hold millions that are not it
	case len(q.chosen) <= fewTallies:
		return true, nil
	case len(q.chosen) > manyTallies:
		return false, nil
	case q.scanned > patience:
		return true, nil
	}
	if q.steps == 0 {
		var all, fitting int64
		if err := q.index.db.QueryRowContext(ctx, `SELECT CAST(sum(records) AS BIGINT) FROM tally`).Scan(&all); err != nil {
			return false, err
		}
		for _, c := range q.chosen {
			fitting += c.records
		}
		q.steps = max(1, float64(all)/float64(max(1, fitting)))
	}
	return q.steps*float64(want) > float64(stepsOfSearch*len(q.chosen)), nil
}

// newest is the time of the newest record that may fit, so that a walk begins
// there and not above a long stretch of what is sealed or came later.
func (q *query) newest() (last int64) {
	for _, c := range q.chosen {
		if until, sealed := q.closed[c.id]; sealed && until <= c.last {
			last = max(last, until-1)
		} else {
			last = max(last, c.last)
		}
	}
	return last
}

// merge walks the orders of all chosen tallies.
func (q *query) merge(ctx context.Context, after *Place, want int) (out walked, err error) {
	legs := slices.SortedFunc(maps.Values(q.chosen), func(a, b *choice) int {
		return cmp.Or(cmp.Compare(b.last, a.last), cmp.Compare(a.id, b.id))
	})
	order := &leg{db: q.index.db, limit: strconv.Itoa(want), prepared: make(map[string]*sql.Stmt)}
	defer order.close()
	from, before := q.filter.asked()
	for _, c := range legs {
		if c.last < from {
			break // it and all that follow are older than what was found
		}
		until := before
		if at, sealed := q.closed[c.id]; sealed {
			until = min(until, at)
		}
		if out.places, err = order.walk(ctx, c.id, from, until, after, out.places); err != nil {
			return out, err
		}
		slices.SortFunc(out.places, newer)
		if len(out.places) >= want {
			out.places = out.places[:want]
			from = max(from, out.places[want-1].Time)
		}
	}
	out.scanned = len(out.places)
	if len(out.places) == want {
		out.last = &out.places[want-1].Place
		out.next = out.last
	}
	return out, nil
}

// leg walks the orders of tallies, one after the other, with the statements that
// their bounds need.
type leg struct {
	db       *sql.DB
	limit    string
	prepared map[string]*sql.Stmt
}

func (l *leg) close() {
	for _, s := range l.prepared {
		_ = s.Close() // nothing was written
	}
}

// walk appends the newest places of a tally within bounds.
func (l *leg) walk(ctx context.Context, tally, from, before int64, after *Place, to []place) ([]place, error) {
	w := &where{}
	w.add("r.tally = %", tally)
	bounds(w, from, before, after)
	text := w.clause()
	stmt := l.prepared[text]
	if stmt == nil {
		var err error
		if stmt, err = l.db.PrepareContext(ctx, `SELECT r.time, r.origin, r.sequence FROM record r`+text+newestFirst+l.limit); err != nil {
			return nil, err
		}
		l.prepared[text] = stmt
	}
	rows, err := stmt.QueryContext(ctx, w.args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // read to the end or given up
	p := place{tally: tally}
	for rows.Next() {
		if err := rows.Scan(&p.Time, &p.Origin, &p.Sequence); err != nil {
			return nil, err
		}
		to = append(to, p)
	}
	return to, rows.Err()
}
