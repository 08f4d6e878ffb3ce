package index

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// Filter chooses records. Zero values choose all.
type Filter struct {
	// Department, Type, Field and MinLevel choose records that used a field of
	// that source department, type and name, at that level or above; together
	// they mean one field. With Department, a record shows only its fields, and
	// [Read.Shared] says whether others' were used too.
	Department, Type, Field string
	MinLevel                schema.Rank
	// Outcome chooses records in which a field so chosen fared so; with Any.
	Outcome Outcome
	Any     bool // Outcome counts for nothing
	// Who read, and why.
	Subject, Application, Consumer, Purpose, Kind string
	// Request is the id of one request.
	Request string
	// From and To bound the time: From <= t < To.
	From, To time.Time
	// Open leaves out records that are sealed at that time; zero for none.
	Open time.Time
	// Tag chooses records about one person.
	Tag *lineage.SubjectTag
}

// Read is one record as the index has it.
type Read struct {
	Position    lineage.Position
	Time        time.Time
	Request     string
	Kind        string
	Operation   string
	Document    string
	Subject     string // keyed pseudonym
	Application string
	Consumer    string // the reader's department
	Roles       []string
	Purpose     string
	Status      string
	Code        string
	Level       schema.Rank
	Schema      string
	Policy      string
	Rows        uint64
	People      uint64
	Fields      []Field
	// Shared is set where the filter names a department and the record used
	// fields of another: what it says as a whole is then not that one's alone.
	Shared bool
	// Shares says of a record of several departments how many of its persons came
	// from each; where the filter names a department, of that one alone. It is nil
	// where the record does not tell.
	Shares []Share
	// Sealed is for how long from its time on the record is shown to auditors
	// alone.
	Sealed time.Duration
}

// Field is a use of a field by a record.
type Field struct {
	Use    lineage.Use
	Counts lineage.Counts
}

// Page is some records, newest first.
type Page struct {
	Reads []Read
	// Next continues after the last of Reads; nil at the end.
	Next *Place
}

// Place is a place in the order of records: after the one that it names.
type Place struct {
	Time     int64 // microseconds
	Origin   int64
	Sequence int64
}

// maxScanned bounds the places in the order of records that one page looks at: a
// page may come back short, with Next set.
const maxScanned = 100_000

// Reads gives a page of at most n records, newest first.
func (x *Index) Reads(ctx context.Context, f Filter, n int, after *Place) (Page, error) {
	if err := x.ours(); err != nil {
		return Page{}, err
	}
	q := &query{index: x, filter: &f, n: n}
	page, err := q.page(ctx, after)
	return page, x.unavailable(err)
}

// query is one walk over records.
type query struct {
	index  *Index
	filter *Filter
	n      int
	// chosen are the tallies that the filter fits; nil for all.
	chosen map[int64]*choice
	reader int64           // the filter's Subject
	closed map[int64]int64 // by tally: records at or after this time are sealed
	pairs  map[int64]*pairInfo

	scanned int     // places looked at
	steps   float64 // along the order of all records, to one that fits; 0 unknown
}

// pairInfo is what a record's tally says.
type pairInfo struct {
	read Read // the context's and the shape's part
	uses []lineage.Use
	// departments are those of the uses.
	departments []string
}

func (q *query) page(ctx context.Context, after *Place) (Page, error) {
	if some, err := q.choose(ctx); err != nil || !some {
		return Page{}, err
	}
	q.pairs = make(map[int64]*pairInfo)
	page := Page{}
	var end *Place // of what is on the page
	for limit := max(q.n+1, 512); ; limit = min(2*limit, 16_384) {
		walk, err := q.walk(ctx, after, q.n+1-len(page.Reads), limit)
		if err != nil {
			return Page{}, err
		}
		q.scanned += walk.scanned
		found, err := q.fetch(ctx, walk.places)
		if err != nil {
			return Page{}, err
		}
		for i := range found {
			if len(page.Reads) == q.n {
				page.Next = end
				return page, nil
			}
			page.Reads = append(page.Reads, found[i].read)
			end = &found[i].place
		}
		switch after = walk.next; {
		case after == nil:
			return page, nil
		case q.scanned >= maxScanned:
			page.Next = walk.last // there is one: the bound was reached at it
			return page, nil
		}
	}
}

// bounds are the conditions on where in the order of records the walk is: from
// from on, before before, and after a place. SQLite begins at one upper bound
// alone and passes by all that others exclude, so there is one.
func bounds(w *where, from, before int64, after *Place) {
	if from != math.MinInt64 {
		w.add("r.time >= %", from)
	}
	switch {
	case after != nil && after.Time < before:
		w.add("(r.time, r.origin, r.sequence) < (%, %, %)", after.Time, after.Origin, after.Sequence)
	case before != math.MaxInt64:
		w.add("r.time < %", before)
	}
}

// asked are the bounds of the filter.
func (f *Filter) asked() (from, before int64) {
	from, before = math.MinInt64, math.MaxInt64
	if !f.From.IsZero() {
		from = f.From.UnixMicro()
	}
	if !f.To.IsZero() {
		before = f.To.UnixMicro()
	}
	return from, before
}

// candidate is a record that is fetched.
type candidate struct {
	place Place
	read  Read
}

// fetch reads the records at some places, in their order.
func (q *query) fetch(ctx context.Context, places []place) ([]candidate, error) {
	out := make([]candidate, 0, len(places))
	for len(places) > 0 {
		some := places[:min(len(places), 2000)]
		places = places[len(some):]
		var err error
		if out, err = q.fetchSome(ctx, some, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (q *query) fetchSome(ctx context.Context, places []place, out []candidate) ([]candidate, error) {
	byOrigin := make(map[int64][]place)
	for _, p := range places {
		byOrigin[p.Origin] = append(byOrigin[p.Origin], p)
	}
	found := make(map[Place]Read, len(places))
	for origin, some := range byOrigin {
		if err := q.fetchOrigin(ctx, origin, some, found); err != nil {
			return nil, err
		}
	}
	for _, p := range places {
		if r, ok := found[p.Place]; ok {
			out = append(out, candidate{p.Place, r})
		}
	}
	return out, nil
}

func (q *query) fetchOrigin(ctx context.Context, origin int64, places []place, found map[Place]Read) error {
	name, err := q.index.originName(ctx, origin)
	if err != nil {
		return err
	}
	sequences, from := make([]string, len(places)), make(map[int64]departmentSet, len(places))
	for i, p := range places {
		sequences[i], from[p.Sequence] = strconv.FormatInt(p.Sequence, 10), p.from
	}
	w := &where{}
	w.add("r.origin = %", origin)
	w.parts = append(w.parts, "r.sequence IN ("+strings.Join(sequences, ", ")+")")
	rows, err := q.index.db.QueryContext(ctx,
		`SELECT r.sequence, r.epoch, r.time, r.tally, s.name, r.request, r.rows_read, r.people, r.cohorts, r.counts
		 FROM record r JOIN reader s ON s.id = r.reader WHERE `+w.text(), w.args...)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // read to the end or given up
	type row struct {
		sequence, epoch, time, tally, rows, people int64
		subject                                    string
		request, cohorts, counts                   []byte
	}
	var all []row // read to the end first: what a tally says is another query
	for rows.Next() {
		var c row
		if err := rows.Scan(&c.sequence, &c.epoch, &c.time, &c.tally, &c.subject, &c.request, &c.rows, &c.people, &c.cohorts, &c.counts); err != nil {
			return err
		}
		all = append(all, c)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for i := range all {
		c := &all[i]
		p, err := q.pairOf(ctx, c.tally)
		if err != nil {
			return err
		}
		counts, err := parseCounts(c.counts, len(p.uses))
		if err != nil {
			return err
		}
		r := p.read
		if r.Request, err = unpackRequest(c.request); err != nil {
			return err
		}
		r.Position = lineage.Position{Origin: name, Epoch: uint32(c.epoch), Sequence: uint64(c.sequence)}
		r.Time, r.Subject, r.Rows, r.People = time.UnixMicro(c.time).UTC(), c.subject, uint64(c.rows), uint64(c.people)
		cohorts, err := parseCohorts(c.cohorts, len(p.departments))
		if err != nil {
			return err
		}
		r.Shares = q.shown(shares(p.departments, cohorts, from[c.sequence]))
		for i := range p.uses {
			if q.filter.Department != "" && p.uses[i].Department != q.filter.Department {
				r.Shared = true
				continue
			}
			r.Fields = append(r.Fields, Field{Use: p.uses[i], Counts: counts[i]})
		}
		found[Place{Time: c.time, Origin: origin, Sequence: c.sequence}] = r
	}
	return nil
}

// shown are the shares that the filter shows.
func (q *query) shown(all []Share) []Share {
	if q.filter.Department == "" || all == nil {
		return all
	}
	return slices.DeleteFunc(all, func(s Share) bool { return s.Department != q.filter.Department })
}

func (q *query) pairOf(ctx context.Context, tally int64) (*pairInfo, error) {
	if p := q.pairs[tally]; p != nil {
		return p, nil
	}
	p := &pairInfo{}
	var shape, level, sealed int64
	var roles string
	r := &p.read
	err := q.index.db.QueryRowContext(ctx,
		`SELECT c.kind, c.application, c.department, c.roles, c.purpose, c.status, c.code, c.level, c.schema_revision, c.policy_revision, c.sealed,
		 s.id, s.operation, s.document
		 FROM tally t JOIN pair p ON p.id = t.pair JOIN context c ON c.id = p.context JOIN shape s ON s.id = p.shape WHERE t.id = $1`, tally).
		Scan(&r.Kind, &r.Application, &r.Consumer, &roles, &r.Purpose, &r.Status, &r.Code, &level, &r.Schema, &r.Policy, &sealed,
			&shape, &r.Operation, &r.Document)
	if err != nil {
		return nil, fmt.Errorf("tally %d: %w", tally, err)
	}
	r.Level, r.Sealed = schema.Rank(level), time.Duration(sealed)*time.Second
	if roles != "" {
		r.Roles = strings.Split(roles, "\n")
	}
	if p.uses, err = q.index.uses(ctx, shape); err != nil {
		return nil, err
	}
	p.departments = departmentsOf(p.uses)
	q.pairs[tally] = p
	return p, nil
}

func (x *Index) uses(ctx context.Context, shape int64) ([]lineage.Use, error) {
	rows, err := x.db.QueryContext(ctx,
		`SELECT department, source_table, source_column, type, field, level, kind FROM shape_use WHERE shape = $1 ORDER BY ordinal`, shape)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // read to the end or given up
	var out []lineage.Use
	for rows.Next() {
		var u lineage.Use
		var level, kind int64
		if err := rows.Scan(&u.Department, &u.Table, &u.Column, &u.Coordinate.Type, &u.Coordinate.Field, &level, &kind); err != nil {
			return nil, err
		}
		u.Level, u.Use = schema.Rank(level), lineage.UseKind(kind)
		out = append(out, u)
	}
	return out, rows.Err()
}

func (x *Index) originName(ctx context.Context, id int64) (string, error) {
	if name, ok := x.origins.Load(id); ok {
		return name.(string), nil //nolint:forcetypeassert,errcheck // only this function stores
	}
	var name string
	if err := x.db.QueryRowContext(ctx, `SELECT name FROM origin WHERE id = $1`, id).Scan(&name); err != nil {
		return "", err
	}
	x.origins.Store(id, name)
	return name, nil
}
