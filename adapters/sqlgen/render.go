package sqlgen

import (
	"slices"
	"strconv"
	"strings"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/schema"
)

// renderer holds one rendering. The first error sticks.
type renderer struct {
	dialect dialect
	shape   *adapters.Shape
	slots   []Slot
	tables  int // aliases given out
	err     error
}

// parts are the clauses of a statement over one table, for the dialects to put
// together. Names of the inner result: c0 … cells, s0 … scopes, o0 … order.
type parts struct {
	table   string // quoted
	alias   string
	cells   []string
	scopes  []string
	keys    []adapters.Column
	keyRefs []string
	where   string // "" for all rows
	order   []orderTerm
	limit   string // a placeholder or a number; "" for none
	offset  string
}

type orderTerm struct {
	expr, direction string // " DESC NULLS LAST"
}

// slot gives the placeholder of a parameter, one per different slot.
func (r *renderer) slot(s Slot) string {
	for i := range r.slots {
		if sameSlot(&r.slots[i], &s) {
			return r.dialect.placeholder(i+1, s)
		}
	}
	r.slots = append(r.slots, s)
	return r.dialect.placeholder(len(r.slots), s)
}

func sameSlot(a, b *Slot) bool {
	return a.Use == b.Use && a.Index == b.Index && a.Op == b.Op && a.List == b.List && a.Plus == b.Plus &&
		a.Column.Name == b.Column.Name && a.Column.Kind == b.Column.Kind && a.Column.List == b.Column.List &&
		slices.Equal(a.Column.Enum, b.Column.Enum)
}

func (r *renderer) fail(format string, args ...any) string {
	if r.err == nil {
		r.err = unsupported(format, args...)
	}
	return ""
}

func (r *renderer) quote(name string) string {
	q, err := Quote(name, r.dialect.maxIdentifier())
	if err != nil && r.err == nil {
		r.err = err
	}
	return q
}

func (r *renderer) from(table string) (quoted, alias string) {
	q, err := QuoteTable(table, r.dialect.maxIdentifier())
	if err != nil && r.err == nil {
		r.err = err
	}
	alias = "t" + strconv.Itoa(r.tables)
	r.tables++
	return q, alias
}

func (r *renderer) ref(alias string, c adapters.Column) string {
	return alias + "." + r.quote(c.Name)
}

func (r *renderer) statement() (string, error) {
	s := r.shape
	if s.Count && (len(s.Columns) > 0 || len(s.Scopes) > 0 || len(s.Order) > 0 || s.Limit != nil || s.Offset != nil) {
		return "", unsupported("a count has no columns, scopes, order or bounds")
	}
	if s.Tally && (s.Count || len(s.Keys) > 0 || len(s.Order) > 0 || s.Limit != nil || s.Offset != nil) {
		return "", unsupported("a tally has no keys, order or bounds, and is no count")
	}
	if s.Newest && !newestFits(s) {
		return "", unsupported("the newest value is one of a column of moments, without anything else")
	}
	if len(s.Scopes) > 64 {
		return "", unsupported("%d scopes, at most 64", len(s.Scopes))
	}
	p := &parts{keys: s.Keys}
	p.table, p.alias = r.from(s.Table)
	for _, c := range s.Columns {
		p.cells = append(p.cells, r.dialect.cell(r.ref(p.alias, c), c))
	}
	for _, scope := range s.Scopes {
		p.scopes = append(p.scopes, r.predicate(p.alias, scope))
	}
	for _, c := range s.Keys {
		if c.List || c.Kind == schema.JSON {
			r.fail("key column %q: lists and JSON are no keys", c.Name)
		}
		p.keyRefs = append(p.keyRefs, r.ref(p.alias, c))
	}
	if s.Where != nil {
		p.where = r.predicate(p.alias, s.Where)
	}
	for _, o := range s.Order {
		p.order = append(p.order, orderTerm{r.sortKey(p.alias, o.Column), direction(o)})
	}
	p.limit, p.offset = r.bound(s.Limit), r.bound(s.Offset)
	var text string
	switch {
	case len(s.Keys) > 0 && s.Count:
		text = r.dialect.keyedCount(r, p)
	case len(s.Keys) > 0:
		text = r.dialect.keyed(r, p)
	case s.Newest:
		text = r.dialect.newest(r.ref(p.alias, s.Columns[0]), p.table, p.alias)
	case s.Tally:
		text = r.tally(p)
	case s.Count:
		text = "SELECT count(*) FROM " + p.table + " AS " + p.alias + p.whereClause("")
	default:
		text = "SELECT " + p.result() + " FROM " + p.table + " AS " + p.alias + p.whereClause("") + p.orderClause() +
			r.dialect.window(p.limit, p.offset)
	}
	if r.err != nil {
		return "", r.err
	}
	return text, nil
}

// newestFits: an aggregate of one column beside which a clause would be passed
// over in silence.
func newestFits(s *adapters.Shape) bool {
	return len(s.Columns) == 1 && s.Columns[0].Kind == schema.DateTime && !s.Columns[0].List &&
		len(s.Params)+len(s.Keys)+len(s.Scopes)+len(s.Order) == 0 &&
		s.Where == nil && s.Limit == nil && s.Offset == nil && !s.Count && !s.Tally
}

// tally groups the rows by everything that is read of them. The inner query
// gives the expressions names, so that each stands in the text once.
func (r *renderer) tally(p *parts) string {
	from := p.table + " AS " + p.alias + p.whereClause("")
	if len(p.cells)+len(p.scopes) == 0 {
		return "SELECT count(*) FROM " + from
	}
	var by []string
	for i, c := range r.shape.Columns {
		if c.List || c.Kind == schema.JSON {
			return r.fail("column %q: lists and JSON are not tallied", c.Name)
		}
		by = append(by, r.dialect.distinct("r.c"+strconv.Itoa(i), c))
	}
	for i := range p.scopes {
		by = append(by, "r.s"+strconv.Itoa(i))
	}
	cells, scopes := &parts{cells: p.cells}, &parts{scopes: p.scopes}
	list := strings.TrimPrefix(cells.outer()+", count(*)"+scopes.outer(), ", ")
	return "SELECT " + list + " FROM (SELECT " + p.columns("as") + " FROM " + from + ") AS r GROUP BY " + strings.Join(by, ", ")
}

func (r *renderer) sortKey(alias string, c adapters.Column) string {
	if c.List || c.Kind == schema.JSON {
		return r.fail("column %q: lists and JSON have no order", c.Name)
	}
	return r.dialect.key(r.ref(alias, c), c)
}

func direction(o adapters.Order) string {
	d := " ASC"
	if o.Desc {
		d = " DESC"
	}
	if o.NullsFirst {
		return d + " NULLS FIRST"
	}
	return d + " NULLS LAST"
}

func (r *renderer) bound(b *adapters.Bound) string {
	switch {
	case b == nil:
		return ""
	case b.Plus < 0:
		return r.fail("a negative bound")
	case b.Param < 0:
		return strconv.Itoa(b.Plus)
	}
	r.param(b.Param, false)
	return r.slot(Slot{Use: UseBound, Index: b.Param, Plus: b.Plus})
}

// param checks that an argument exists and is a list or not.
func (r *renderer) param(i int, list bool) {
	switch {
	case i < 0 || i >= len(r.shape.Params):
		r.fail("parameter %d of %d", i, len(r.shape.Params))
	case r.shape.Params[i].List != list:
		r.fail("parameter %d: a list where a single value is needed, or the reverse", i)
	}
}

func (p *parts) whereClause(also string) string {
	switch {
	case p.where == "" && also == "":
		return ""
	case also == "":
		return " WHERE " + p.where
	case p.where == "":
		return " WHERE " + also
	default:
		return " WHERE " + also + " AND " + p.where
	}
}

// columns lists cells and scopes, with names when they are wanted for an
// enclosing query.
func (p *parts) columns(named string) string {
	var b strings.Builder
	list := func(exprs []string, prefix string) {
		for i, e := range exprs {
			if b.Len() > 0 {
				b.WriteString(", ")
			}
			b.WriteString(e)
			if named != "" {
				b.WriteString(" AS " + prefix + strconv.Itoa(i))
			}
		}
	}
	list(p.cells, "c")
	list(p.scopes, "s")
	return b.String()
}

// result is the list of a plain query's result columns: one stands in when
// only the rows' existence is asked for (a keyed query has the ordinal).
func (p *parts) result() string {
	if list := p.columns(""); list != "" {
		return list
	}
	return "1"
}

// outer lists the names that columns gave to those of a query called r, each
// led by a comma.
func (p *parts) outer() string {
	var b strings.Builder
	for i := range p.cells {
		b.WriteString(", r.c" + strconv.Itoa(i))
	}
	for i := range p.scopes {
		b.WriteString(", r.s" + strconv.Itoa(i))
	}
	return b.String()
}

func (p *parts) orderList() string {
	var b strings.Builder
	for i, o := range p.order {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(o.expr + o.direction)
	}
	return b.String()
}

func (p *parts) orderClause() string {
	if len(p.order) == 0 {
		return ""
	}
	return " ORDER BY " + p.orderList()
}

func led(list string) string {
	if list == "" {
		return ""
	}
	return ", " + list
}
