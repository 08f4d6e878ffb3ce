package index

import (
	"context"
	"errors"
	"fmt"
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
	// Sealed are purposes whose records are not shown until their time; see
	// [Seal].
	Sealed []Seal
	// Tag chooses records about one person.
	Tag *lineage.SubjectTag
}

// Seal keeps the records of a purpose out of every answer until they are that
// old.
type Seal struct {
	Purpose string
	Before  time.Time // records before this instant are open
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

// maxLegs bounds the pairs that are walked side by side. A filter that fits more
// is answered by walking over all records in order, and then most of them fit.
const maxLegs = 64

// maxScanned bounds the records that one page looks at: a page may come back
// short, with Next set.
const maxScanned = 200_000

// Reads gives a page of at most n records, newest first.
func (x *Index) Reads(ctx context.Context, f Filter, n int, after *Place) (Page, error) {
	q := &query{index: x, filter: &f, n: n}
	page, err := q.page(ctx, after)
	if err != nil && !errors.Is(err, ErrUnavailable) {
		err = unavailable(err)
	}
	return page, err
}

// query is one walk over records.
type query struct {
	index  *Index
	filter *Filter
	n      int
	pairs  map[int64]*pairInfo
}

// pairInfo is what a record's pair says.
type pairInfo struct {
	read Read // the context's and the shape's part
	uses []lineage.Use
	fits []bool // by use: whether the filter's field is it
}

func (q *query) page(ctx context.Context, after *Place) (Page, error) {
	pairs, all, err := q.choose(ctx)
	if err != nil || len(pairs) == 0 && !all {
		return Page{}, err
	}
	q.pairs = make(map[int64]*pairInfo)
	page := Page{}
	scanned, chunk := 0, q.n+1
	for {
		found, err := q.chunk(ctx, pairs, all, after, chunk)
		if err != nil {
			return Page{}, err
		}
		for i := range found {
			c := &found[i]
			if len(page.Reads) == q.n {
				page.Next = after
				return page, nil
			}
			read, ok, err := q.read(ctx, c)
			if err != nil {
				return Page{}, err
			}
			after = &Place{Time: c.time, Origin: c.origin, Sequence: c.sequence}
			if ok {
				page.Reads = append(page.Reads, read)
			}
		}
		scanned += len(found)
		if len(found) < chunk {
			return page, nil
		}
		if scanned >= maxScanned {
			page.Next = after
			return page, nil
		}
		chunk = min(2*chunk, 4096)
	}
}

// choose finds the pairs that a filter on who, why and which fields fits; all
// where it fits every pair, or too many to walk side by side.
func (q *query) choose(ctx context.Context) (pairs []int64, all bool, err error) {
	f := q.filter
	w := &where{}
	for _, c := range [...]struct{ column, value string }{
		{"c.application", f.Application}, {"c.department", f.Consumer}, {"c.purpose", f.Purpose}, {"c.kind", f.Kind},
	} {
		if c.value != "" {
			w.add(c.column+" = %", c.value)
		}
	}
	if !f.From.IsZero() {
		w.add("p.last >= %", f.From.UnixMicro())
	}
	if f.fields() {
		inner := &where{args: w.args}
		f.ofField(inner)
		w.args = inner.args
		w.parts = append(w.parts, "p.shape IN (SELECT u.shape FROM shape_use u WHERE "+inner.text()+")")
	}
	if len(w.parts) == 0 {
		return nil, true, nil
	}
	rows, err := q.index.db.QueryContext(ctx,
		`SELECT p.id FROM pair p JOIN context c ON c.id = p.context WHERE `+w.text()+` ORDER BY p.id`, w.args...)
	if err != nil {
		return nil, false, err
	}
	defer rows.Close() //nolint:errcheck // read to the end or given up
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return nil, false, err
		}
		pairs = append(pairs, n)
	}
	return pairs, false, rows.Err()
}

// fields reports whether the filter speaks of fields.
func (f *Filter) fields() bool {
	return f.Department != "" || f.Type != "" || f.Field != "" || f.MinLevel > 0
}

func (f *Filter) ofField(w *where) {
	for _, c := range [...]struct{ column, value string }{{"u.department", f.Department}, {"u.type", f.Type}, {"u.field", f.Field}} {
		if c.value != "" {
			w.add(c.column+" = %", c.value)
		}
	}
	if f.MinLevel > 0 {
		w.add("u.level >= %", int64(f.MinLevel))
	}
}

// fitsUse is [Filter.ofField] for one use.
func (f *Filter) fitsUse(u *lineage.Use) bool {
	return (f.Department == "" || f.Department == u.Department) && (f.Type == "" || f.Type == u.Coordinate.Type) &&
		(f.Field == "" || f.Field == u.Coordinate.Field) && u.Level >= f.MinLevel
}

// candidate is a record before its pair is looked at.
type candidate struct {
	origin, sequence, epoch, time, pair, rows, people int64
	subject, request, name                            string
	counts                                            []byte
}

// chunk gives the next candidates in order. Each pair's records are walked along
// an index of their own, and merged; so is one subject's and one person's.
func (q *query) chunk(ctx context.Context, pairs []int64, all bool, after *Place, n int) ([]candidate, error) {
	f := q.filter
	w := &where{}
	if !f.From.IsZero() {
		w.add("r.time >= %", f.From.UnixMicro())
	}
	if !f.To.IsZero() {
		w.add("r.time < %", f.To.UnixMicro())
	}
	if after != nil {
		w.add("(r.time, r.origin, r.sequence) < (%, %, %)", after.Time, after.Origin, after.Sequence)
	}
	if !f.Any {
		// Coarse: of any field. The record itself is looked at afterwards.
		w.add("r.outcomes & % <> 0", int64(1)<<f.Outcome)
	}
	if f.Subject != "" {
		w.add("r.subject = %", f.Subject)
	}
	if f.Request != "" {
		w.add("r.request = %", f.Request)
	}
	for _, s := range f.Sealed {
		// What is sealed is not walked over either: a page and where it ends
		// are as if it were not there.
		w.add("NOT (r.time >= % AND r.pair IN (SELECT p.id FROM pair p JOIN context c ON c.id = p.context WHERE c.purpose = %))",
			s.Before.UnixMicro(), s.Purpose)
	}
	const order = ` ORDER BY r.time DESC, r.origin DESC, r.sequence DESC LIMIT `
	limit := strconv.Itoa(n)
	columns := `SELECT r.origin, r.sequence, r.epoch, r.time, r.pair, r.rows_read, r.people, r.subject, r.request, r.counts FROM record r`
	var statement string
	switch {
	case f.Tag != nil:
		w.parts = append(w.parts, "t.tag = "+w.arg(tagNumber(*f.Tag)))
		conditions := strings.NewReplacer("r.time", "t.time", "r.origin", "t.origin", "r.sequence", "t.sequence").Replace(w.text())
		statement = columns + ` JOIN person t ON t.origin = r.origin AND t.sequence = r.sequence WHERE ` + conditions + q.amongPairs(w, pairs, all) +
			` ORDER BY t.time DESC, t.origin DESC, t.sequence DESC LIMIT ` + limit
	case f.Subject != "" || all || len(pairs) > maxLegs:
		statement = columns + w.clause() + q.amongPairs(w, pairs, all) + order + limit
	default:
		rest := ""
		if len(w.parts) > 0 {
			rest = " AND " + w.text()
		}
		legs := make([]string, len(pairs))
		for i, p := range pairs {
			legs[i] = `SELECT * FROM (` + columns + ` WHERE r.pair = ` + strconv.FormatInt(p, 10) + rest + order + limit + `) l` + strconv.Itoa(i)
		}
		statement = strings.Join(legs, " UNION ALL ") + ` ORDER BY 4 DESC, 1 DESC, 2 DESC LIMIT ` + limit
	}
	rows, err := q.index.db.QueryContext(ctx, statement, w.args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // read to the end or given up
	var out []candidate
	for rows.Next() {
		var c candidate
		if err := rows.Scan(&c.origin, &c.sequence, &c.epoch, &c.time, &c.pair, &c.rows, &c.people, &c.subject, &c.request, &c.counts); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// amongPairs is the condition for walks that do not follow pairs.
func (q *query) amongPairs(w *where, pairs []int64, all bool) string {
	if all {
		return ""
	}
	list := make([]string, len(pairs))
	for i, p := range pairs {
		list[i] = strconv.FormatInt(p, 10)
	}
	head := " AND "
	if len(w.parts) == 0 {
		head = " WHERE "
	}
	return head + "r.pair IN (" + strings.Join(list, ", ") + ")"
}

// read completes a candidate; ok is false when the filter does not fit it.
func (q *query) read(ctx context.Context, c *candidate) (Read, bool, error) {
	p := q.pairs[c.pair]
	if p == nil {
		var err error
		if p, err = q.pair(ctx, c.pair); err != nil {
			return Read{}, false, err
		}
		q.pairs[c.pair] = p
	}
	counts, err := parseCounts(c.counts, len(p.uses))
	if err != nil {
		return Read{}, false, err
	}
	r := p.read
	r.Time, r.Request, r.Subject = time.UnixMicro(c.time).UTC(), c.request, c.subject
	r.Rows, r.People = uint64(c.rows), uint64(c.people)
	if r.Position.Origin, err = q.index.originName(ctx, c.origin); err != nil {
		return Read{}, false, err
	}
	r.Position.Epoch, r.Position.Sequence = uint32(c.epoch), uint64(c.sequence)
	whole := lineage.Record{Uses: p.uses, Counts: counts}
	fits := q.filter.Any && !q.filter.fields()
	for i := range p.uses {
		if p.fits[i] && !fits {
			for o := range outcomesOfUse(&whole, i) {
				fits = fits || q.filter.Any || o == q.filter.Outcome
			}
			fits = fits || q.filter.Any // selected, and no cell came of it
		}
		if q.filter.Department != "" && p.uses[i].Department != q.filter.Department {
			r.Shared = true
			continue
		}
		r.Fields = append(r.Fields, Field{Use: p.uses[i], Counts: counts[i]})
	}
	return r, fits, nil
}

func (q *query) pair(ctx context.Context, pair int64) (*pairInfo, error) {
	p := &pairInfo{}
	var shape, level int64
	var roles string
	r := &p.read
	err := q.index.db.QueryRowContext(ctx,
		`SELECT c.kind, c.application, c.department, c.roles, c.purpose, c.status, c.code, c.level, c.schema_revision, c.policy_revision,
		 s.id, s.operation, s.document
		 FROM pair p JOIN context c ON c.id = p.context JOIN shape s ON s.id = p.shape WHERE p.id = $1`, pair).
		Scan(&r.Kind, &r.Application, &r.Consumer, &roles, &r.Purpose, &r.Status, &r.Code, &level, &r.Schema, &r.Policy,
			&shape, &r.Operation, &r.Document)
	if err != nil {
		return nil, fmt.Errorf("pair %d: %w", pair, err)
	}
	r.Level = schema.Rank(level)
	if roles != "" {
		r.Roles = strings.Split(roles, "\n")
	}
	if p.uses, err = q.index.uses(ctx, shape); err != nil {
		return nil, err
	}
	p.fits = make([]bool, len(p.uses))
	for i := range p.uses {
		p.fits[i] = q.filter.fitsUse(&p.uses[i])
	}
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

// where collects conditions; % stands for the next argument.
type where struct {
	parts []string
	args  []any
}

func (w *where) add(condition string, args ...any) {
	var b strings.Builder
	for _, c := range condition {
		if c != '%' {
			b.WriteRune(c)
			continue
		}
		b.WriteString(w.arg(args[0]))
		args = args[1:]
	}
	w.parts = append(w.parts, b.String())
}

func (w *where) arg(v any) string {
	w.args = append(w.args, v)
	return "$" + strconv.Itoa(len(w.args))
}

func (w *where) text() string { return strings.Join(w.parts, " AND ") }

func (w *where) clause() string {
	if len(w.parts) == 0 {
		return ""
	}
	return " WHERE " + w.text()
}
