package noninterference

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-data/weir/schema"
)

// world is one random installation: schema, two policies, readers. Everything
// in it follows from the seed and its number.
type world struct {
	seed, number uint64

	departments []string
	types       []*typ
	ifaces      []*iface
	roles       []string
	policies    []*policy
	// scoped are the fields that some scope reads.
	scoped map[*field]bool
	// purposeFrom and hideFrom are ranks, as the configuration names levels.
	purposeFrom, hideFrom int
	lean                  leaning
}

// leaning is what a world has more of than chance alone would give it. What
// leaks only where several seldom things meet is else met too seldom.
type leaning uint8

const (
	// even: nothing.
	even leaning = iota
	// toKeys: rows that a stated key alone opens, and relations on from them.
	toKeys
	// toRelations: relations held on some rows only, and filters over them.
	toRelations
)

// typ is a sourced type.
type typ struct {
	index     int
	world     uint64
	name      string
	dept      string
	level     int
	sharing   int // 0 unconditional, 1 conditional, 2 withheld
	fields    []*field
	relations []*relation
	scopes    []*scope
	keys      []int // into fields
	ifaces    []string
}

// field is a column of a type.
type field struct {
	name    string
	kind    schema.Scalar
	list    bool
	level   int
	mask    string
	subject bool
	covers  []string // nil for all
	dim     bool
	values  []string // of a foreign key: the far key's; nil for the kind's own
}

// relation leads to one type, or to the members of an interface.
type relation struct {
	name      string
	targets   []int
	iface     *iface
	many      bool
	near, far string
	carries   bool
	level     int
	same      bool // both sides live in one department
}

type iface struct {
	name    string
	members []int
	fields  []string
	by      string // "" for none
}

// scope is a declared one.
type scope struct {
	name  string
	where *cond
}

func (t *typ) field(name string) (int, *field) {
	for i, f := range t.fields {
		if f.name == name {
			return i, f
		}
	}
	return -1, nil
}

func (t *typ) singular() string   { return strings.ToLower(t.name) }
func (t *typ) plural() string     { return t.singular() + "s" }
func (t *typ) connection() string { return t.plural() + "Connection" }
func (t *typ) byRef() string      { return t.singular() + "ByRef" }
func (t *typ) table() string      { return fmt.Sprintf("w%d_%s", t.world, t.singular()) }

func (t *typ) subjects() []int {
	var out []int
	for i, f := range t.fields {
		if f.subject {
			out = append(out, i)
		}
	}
	return out
}

// covering lists the subject fields whose person a field ("" for the row) is
// about.
func (t *typ) covering(name string) []int {
	var out []int
	for i, f := range t.fields {
		if f.subject && (name == "" || f.covers == nil || slices.Contains(f.covers, name)) {
			out = append(out, i)
		}
	}
	return out
}

func (t *typ) isSubject(name string) bool {
	_, f := t.field(name)
	return f != nil && f.subject
}

// cell is a value in the text form of its kind.
type cell struct {
	null bool
	text string
	// bad: what stands there is no value of the kind. SQLite can hold that.
	bad bool
}

func (c cell) String() string { return string(c.append(nil)) }

func (c cell) append(b []byte) []byte {
	switch {
	case c.bad:
		return append(b, "no value of its kind"...)
	case c.null:
		return append(b, "NULL"...)
	}
	return strconv.AppendQuote(b, c.text)
}

// row has an id of the harness's own, by which rows of two databases correspond.
type row struct {
	id    int
	tie   int64
	cells []cell // by field
}

func (r *row) clone() *row {
	return &row{id: r.id, tie: r.tie, cells: slices.Clone(r.cells)}
}

// database is the rows of every type, sorted by id. Rows are shared between
// databases and never changed in place.
type database [][]*row

func (d database) clone() database {
	out := make(database, len(d))
	for i := range d {
		out[i] = slices.Clone(d[i])
	}
	return out
}

// source is the random source of one part of a trial.
type source struct{ *rand.Rand }

func newSource(seed, stream uint64) source { return source{rand.New(rand.NewPCG(seed, stream))} }

func (s source) chance(percent int) bool { return s.IntN(100) < percent }

func pick[T any](s source, from ...T) T { return from[s.IntN(len(from))] }

var levelNames = [...]string{"L1", "L2", "L3", "L4"}

func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
