package exec

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strconv"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/schema"
)

// tally takes the rows of one aggregate fetch as they are read and keeps what is
// computed of them. Its memory grows with the number of classes and of the
// persons in them, and is charged against the request's bytes; the rows
// themselves are gone with their batch.
type tally struct {
	spec    *plan.Aggregate
	domain  string // of the type: what noise is keyed by
	grows   func(bytes int) error
	dims    []*plan.Dimension // Groups and then Classes
	classes map[string]*class
	list    []*class // as they were first seen
	persons map[string]uint32
	names   []string // of persons, by their numbers
	rows    int64
	key     []byte
	value   number
}

// class is the rows that are equal in all dimensions.
type class struct {
	key      []part
	measures []measured
}

// part is a class's value in one dimension.
type part struct {
	text  string
	state partState
}

type partState uint8

// States, in the order in which groups are sorted.
const (
	partValue partState = iota
	partNull
	partBad // a cell that is not of its kind
)

// measured is what is kept of one measure in one class.
type measured struct {
	rows     int64 // with a value
	sum      number
	min, max []byte
	bad      bool
	// persons are what each person contributes, by unit; for protected
	// measures alone.
	persons []map[uint32]*contribution
}

// contribution is what the rows about one person add up to.
type contribution struct {
	rows int64
	sum  number
}

// Bytes that an entry costs beside its texts, roughly.
const (
	classCost        = 256
	contributionCost = 128
)

func newTally(f *fetchNode, grows func(int) error) *tally {
	t := &tally{
		spec: f.Aggregate, domain: f.Department + "\x00" + f.Type, grows: grows,
		classes: map[string]*class{}, persons: map[string]uint32{},
	}
	t.dims = append(append(t.dims, f.Aggregate.Groups...), f.Aggregate.Classes...)
	return t
}

// take adds the rows of a batch, whose last cell is the number of rows that
// each stands for.
func (t *tally) take(b *adapters.Batch) error {
	for row := range b.Rows {
		text, null := b.Cell(row, b.Cols-1)
		times, err := strconv.ParseInt(string(text), 10, 64)
		if null || err != nil || times < 0 || times > 1<<48 {
			return errRows
		}
		if times == 0 {
			continue // the one row of a tally without columns, over no rows
		}
		t.rows += times
		c, err := t.class(b, row)
		if err != nil {
			return err
		}
		for i, m := range t.spec.Measures {
			if err := t.measure(m, &c.measures[i], b, row, times); err != nil {
				return err
			}
		}
	}
	return nil
}

func holds(d *plan.Decision, b *adapters.Batch, row int) bool {
	return d.Caps(b.True[row], b.Unknown[row]).Has(authz.Aggregate)
}

// class finds the class of a row. A value that the reader may not use here is
// as if there was none; nor does it show there that a value is not of its kind.
func (t *tally) class(b *adapters.Batch, row int) (*class, error) {
	t.key = t.key[:0]
	var space [8]part
	parts := space[:0]
	for i, d := range t.dims {
		p := part{state: partNull}
		var text []byte
		if holds(&d.Held, b, row) {
			var null bool
			text, null = b.Cell(row, d.Column)
			switch {
			case !null:
				p.state = partValue
			case b.IsBad(row, d.Column) && i < len(t.spec.Groups) && !t.spec.Measures[0].Protected:
				p.state = partBad
			}
		}
		if d.Kind == schema.Decimal && p.state == partValue && parseNumber(&t.value, d.Kind, text) {
			text = t.value.text(nil) // 1.0 and 1.00 are one value
		}
		t.key = append(t.key, byte(p.state))
		t.key = binary.AppendUvarint(t.key, uint64(len(text)))
		t.key = append(t.key, text...)
		p.text = string(text)
		parts = append(parts, p)
	}
	if c, ok := t.classes[string(t.key)]; ok {
		return c, nil
	}
	if err := t.grows(classCost*(1+len(t.spec.Measures)) + 2*len(t.key)); err != nil {
		return nil, err
	}
	c := &class{key: append([]part(nil), parts...), measures: make([]measured, len(t.spec.Measures))}
	t.classes[string(t.key)] = c
	t.list = append(t.list, c)
	return c, nil
}

// measure adds a row to a class's measure. A row whose value the reader may not
// use, or that has none, adds nothing.
func (t *tally) measure(m *plan.Measure, x *measured, b *adapters.Batch, row int, times int64) error {
	var text []byte
	if m.Column >= 0 {
		if !holds(&m.Held, b, row) {
			return nil
		}
		var null bool
		text, null = b.Cell(row, m.Column)
		if null {
			// What is protected must not show that a value is not of its kind.
			x.bad = x.bad || b.IsBad(row, m.Column) && !m.Protected
			return nil
		}
	}
	if m.Sum && !parseNumber(&t.value, m.Kind, text) {
		x.bad = x.bad || !m.Protected
		return nil
	}
	x.rows += times
	if m.Protected {
		return t.contribute(m, x, b, row, times)
	}
	if m.Sum {
		x.sum.add(&t.value, times)
	}
	if m.Kind == schema.Decimal && parseNumber(&t.value, m.Kind, text) {
		text = t.value.text(nil) // of equal ones the same in every order
	}
	if m.Min && (x.min == nil || compareCells(m.Kind, text, x.min) < 0) {
		x.min = append(make([]byte, 0, len(text)+1), text...)
	}
	if m.Max && (x.max == nil || compareCells(m.Kind, text, x.max) > 0) {
		x.max = append(make([]byte, 0, len(text)+1), text...)
	}
	return nil
}

// contribute adds a row to what each of its persons contributes. Rows without
// a person in a unit count as those of one: they make no crowd.
func (t *tally) contribute(m *plan.Measure, x *measured, b *adapters.Batch, row int, times int64) error {
	if x.persons == nil {
		x.persons = make([]map[uint32]*contribution, len(m.Units))
		for i := range x.persons {
			x.persons[i] = map[uint32]*contribution{}
		}
	}
	for i, columns := range m.Units {
		t.key = t.key[:0]
		for _, column := range columns {
			text, null := b.Cell(row, column)
			if null {
				t.key = append(t.key, 0)
				continue
			}
			t.key = append(t.key, 1)
			t.key = binary.AppendUvarint(t.key, uint64(len(text)))
			t.key = append(t.key, text...)
		}
		id, err := t.person(t.key)
		if err != nil {
			return err
		}
		c := x.persons[i][id]
		if c == nil {
			if err := t.grows(contributionCost); err != nil {
				return err
			}
			c = &contribution{}
			x.persons[i][id] = c
		}
		c.rows += times
		if m.Sum {
			c.sum.add(&t.value, times)
		}
	}
	return nil
}

// person numbers the persons.
func (t *tally) person(key []byte) (uint32, error) {
	if id, ok := t.persons[string(key)]; ok {
		return id, nil
	}
	if err := t.grows(contributionCost + 2*len(key)); err != nil {
		return 0, err
	}
	name := string(key)
	id := uint32(len(t.names)) //nolint:gosec // bounded by the request's bytes
	t.names = append(t.names, name)
	t.persons[name] = id
	return id, nil
}

// tally reads the rows of an aggregate fetch and keeps their groups.
func (r *run) tally(ctx context.Context, f *fetchNode, res *result) (err error) {
	grows := func(n int) error {
		if r.bytes.Add(int64(n)) > r.e.maxBytes {
			return errTooMuch
		}
		return nil
	}
	t := newTally(f, grows)
	r.e.department(f.Department).statements.Add(1)
	rows, err := f.Statement.Fetch(ctx, r.args[f.ID], nil)
	if err != nil {
		return err
	}
	defer func() {
		if closing := rows.Close(); err == nil && closing != nil {
			err = closing
		}
	}()
	b := r.e.getBatch()
	defer r.e.putBatch(b)
	for {
		err := rows.Next(b)
		if errors.Is(err, io.EOF) || err == nil && b.Rows == 0 {
			break
		}
		if err != nil {
			return err
		}
		if b.Cols != len(f.Shape.Columns)+1 || len(b.Ends) != b.Rows*b.Cols || len(b.True) != b.Rows || len(b.Unknown) != b.Rows {
			return errRows
		}
		if res.rows += b.Rows; res.rows > r.e.aggregates.MaxRows {
			return errTooMuch
		}
		if err := t.take(b); err != nil {
			return err
		}
	}
	res.tallied = t.rows
	res.groupRows = t.finish(noise{r.e.ring, t.domain}, r.e.aggregates.minimum)
	return nil
}
