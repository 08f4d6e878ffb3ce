package sqlgen

import (
	"strconv"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/schema"
)

// postgres is PostgreSQL's SQL. A parameter that stands beside a column
// without a cast takes the column's own type, citext, name or an enum
// included, so that the column's index serves; that is why a value and its
// exact text are two parameters.
type postgres struct{}

var _ dialect = postgres{}

func (postgres) firstOrdinal() int64 { return 1 }

// maxIdentifier: PostgreSQL cuts longer names, which could make one column out
// of two.
func (postgres) maxIdentifier() int { return 63 }

func (postgres) placeholder(n int, s Slot) string {
	text := "$" + strconv.Itoa(n)
	cast := ""
	switch s.Use {
	case UseText, UsePattern, UseKeyText:
		cast = "text"
	case UseTruth, UseNull:
		cast = "boolean"
	case UseBound:
		cast = "bigint"
	case UseValue:
		// Comparison operators across the integer types share one index
		// family; a decimal is exact only as numeric.
		switch s.Column.Kind {
		case schema.Int:
			cast = "bigint"
		case schema.Decimal:
			cast = "numeric"
		}
	}
	if cast == "" {
		return text
	}
	if s.List || s.Use == UseKeyText {
		cast += "[]"
	}
	return text + "::" + cast
}

func (postgres) cell(ref string, _ adapters.Column) string { return ref }

func (postgres) key(ref string, c adapters.Column) string {
	if Textual(c.Kind) {
		return exactText(ref)
	}
	return ref
}

func exactText(ref string) string { return ref + `::text COLLATE "C"` }

func value(r *renderer, c adapters.Column, op schema.Operator, param int, list bool) string {
	if c.Kind != schema.DateTime && c.Kind != schema.Time {
		op = schema.Eq // only these are rounded, by the operator
	}
	return r.slot(Slot{Use: UseValue, Index: param, Column: c, Op: op, List: list})
}

func text(r *renderer, c adapters.Column, param int, list bool) string {
	return r.slot(Slot{Use: UseText, Index: param, Column: c, List: list})
}

func (postgres) equal(r *renderer, ref string, c adapters.Column, op schema.Operator, param int) string {
	if Textual(c.Kind) && op == schema.Neq { // the index is of no use
		return exactText(ref) + " = " + text(r, c, param, false)
	}
	natural := ref + " = " + value(r, c, op, param, false)
	if !Textual(c.Kind) {
		return natural
	}
	return natural + " AND " + exactText(ref) + " = " + text(r, c, param, false)
}

func (postgres) within(r *renderer, ref string, c adapters.Column, param int) string {
	natural := ref + " = ANY (" + value(r, c, schema.Eq, param, true) + ")"
	if !Textual(c.Kind) {
		return natural
	}
	return natural + " AND " + exactText(ref) + " = ANY (" + text(r, c, param, true) + ")"
}

func (postgres) compare(r *renderer, ref string, c adapters.Column, op schema.Operator, param int) string {
	if Textual(c.Kind) {
		return exactText(ref) + relation(op) + text(r, c, param, false)
	}
	return ref + relation(op) + value(r, c, op, param, false)
}

// like leaves ESCAPE out: a backslash is the default, and a stated one would
// hide the pattern's prefix from the planner.
func (postgres) like(r *renderer, ref string, c adapters.Column, param int) string {
	return exactText(ref) + " LIKE " + r.slot(Slot{Use: UsePattern, Index: param, Column: c})
}

func (postgres) startsWith(r *renderer, ref string, c adapters.Column, param int) string {
	return "starts_with(" + exactText(ref) + ", " + text(r, c, param, false) + ")"
}

func (d postgres) contains(r *renderer, ref string, c adapters.Column, param int) string {
	element := adapters.Column{Name: c.Name, Kind: c.Kind, Enum: c.Enum}
	// A parameter that is asked for must appear: PostgreSQL refuses a gap.
	var holds string
	if Textual(c.Kind) {
		holds = "coalesce(" + text(r, element, param, false) + ` COLLATE "C" = ANY (` + ref + "::text[]), FALSE)"
	} else {
		holds = "coalesce(" + value(r, element, schema.Eq, param, false) + " = ANY (" + ref + "), FALSE)"
	}
	isNull := r.slot(Slot{Use: UseNull, Index: param, Column: element, Op: schema.IsNull})
	return "CASE WHEN " + ref + " IS NULL OR " + isNull + " THEN NULL ELSE " + holds + " END"
}

func (postgres) isTrue(p string) string { return "(" + p + " IS TRUE)" }

func (postgres) same(ref string, c adapters.Column, other string) string {
	if Textual(c.Kind) {
		return ref + " = " + other + " AND " + exactText(ref) + " = " + other + "::text"
	}
	return ref + " = " + other
}

func (postgres) window(limit, offset string) string {
	text := ""
	if limit != "" {
		text = " LIMIT " + limit
	}
	if offset != "" {
		text += " OFFSET " + offset
	}
	return text
}

// keyed joins the tuples, numbered by WITH ORDINALITY; with bounds, laterally.
// The order is stated to the outer query too: SQL promises none otherwise.
func (d postgres) keyed(r *renderer, p *parts) string {
	keys := d.keySource(r, p)
	if p.limit == "" && p.offset == "" {
		return "SELECT k.o" + led(p.columns("")) + " FROM " + keys + " JOIN " + p.table + " AS " + p.alias +
			" ON " + d.keyCondition(p) + p.whereClause("") + " ORDER BY k.o" + led(p.orderList())
	}
	inner := p.columns("as")
	order := " ORDER BY k.o"
	for i, o := range p.order {
		name := "o" + strconv.Itoa(i)
		if inner != "" {
			inner += ", "
		}
		inner += o.expr + " AS " + name
		order += ", r." + name + o.direction
	}
	return "SELECT k.o" + p.outer() + " FROM " + keys + " CROSS JOIN LATERAL (SELECT " + inner + " FROM " + p.table + " AS " + p.alias +
		p.whereClause(d.keyCondition(p)) + p.orderClause() + d.window(p.limit, p.offset) + ") AS r" + order
}

func (d postgres) keyedCount(r *renderer, p *parts) string {
	return "SELECT k.o, (SELECT count(*) FROM " + p.table + " AS " + p.alias + p.whereClause(d.keyCondition(p)) +
		") FROM " + d.keySource(r, p) + " ORDER BY k.o"
}

// newest: the planner reads the end of an index for max, whatever the index says
// of NULLs, which it does not for an order with NULLS LAST.
func (postgres) newest(ref, table, alias string) string {
	return "SELECT max(" + ref + ") FROM " + table + " AS " + alias
}

// distinct: equality may ignore case (citext, collations), the scale of a
// numeric and the sign of zero; the text ignores none of it.
func (postgres) distinct(ref string, c adapters.Column) string {
	switch c.Kind {
	case schema.Int, schema.BigInt, schema.Boolean, schema.Date, schema.UUID:
		return ref
	default:
		return ref + ", " + exactText(ref)
	}
}

// keySource unnests one array per key column. The CASE never reads the table:
// it is folded to the parameter before planning, and is there to give the
// parameter the type "array of what the column is".
func (d postgres) keySource(r *renderer, p *parts) string {
	arrays, names := "", ""
	for i, c := range p.keys {
		array := r.slot(Slot{Use: UseKey, Index: i, Column: c, List: true})
		if i > 0 {
			arrays += ", "
		}
		arrays += "CASE WHEN TRUE THEN " + array + " ELSE ARRAY(SELECT " + p.keyRefs[i] + " FROM " + p.table + " AS " + p.alias + ") END"
		names += "k" + strconv.Itoa(i) + ", "
	}
	for i, c := range p.keys {
		if Textual(c.Kind) {
			arrays += ", " + r.slot(Slot{Use: UseKeyText, Index: i, Column: c, List: true})
			names += "e" + strconv.Itoa(i) + ", "
		}
	}
	return "unnest(" + arrays + ") WITH ORDINALITY AS k(" + names + "o)"
}

func (postgres) keyCondition(p *parts) string {
	text := ""
	for i, c := range p.keys {
		n := strconv.Itoa(i)
		if i > 0 {
			text += " AND "
		}
		text += p.keyRefs[i] + " = k.k" + n
		if Textual(c.Kind) {
			text += " AND " + exactText(p.keyRefs[i]) + " = k.e" + n
		}
	}
	return text
}
