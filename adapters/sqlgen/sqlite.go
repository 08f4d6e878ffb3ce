package sqlgen

import (
	"strconv"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/schema"
)

// sqlite is SQLite's SQL. In SQLite a COLLATE behind either operand decides
// the comparison; without one it is the column's own collation, and that is
// the one its index has.
type sqlite struct{}

var _ dialect = sqlite{}

func (sqlite) firstOrdinal() int64 { return 0 }
func (sqlite) maxIdentifier() int  { return 0 }

func (sqlite) placeholder(n int, _ Slot) string { return "?" + strconv.Itoa(n) }

// cell has a plus, which changes no value but hides the column's declared
// type, by which the driver would reinterpret what is stored.
func (sqlite) cell(ref string, _ adapters.Column) string { return "+" + ref }

func (sqlite) key(ref string, c adapters.Column) string {
	left, right := collated(ref, c)
	return left + right
}

// collated gives a column and the collation of its kind: what comes behind the
// last operand.
func collated(ref string, c adapters.Column) (left, right string) {
	switch c.Kind {
	case schema.String, schema.ID, schema.Enum, schema.Date, schema.UUID:
		return ref, " COLLATE BINARY"
	case schema.Decimal:
		return "CAST(" + ref + " AS TEXT)", " COLLATE " + CollateDecimal
	case schema.DateTime:
		return ref, " COLLATE " + CollateDateTime
	case schema.Time:
		return ref, " COLLATE " + CollateTime
	default:
		return ref, ""
	}
}

func (sqlite) value(r *renderer, c adapters.Column, param int, list bool) string {
	return r.slot(Slot{Use: UseValue, Index: param, Column: c, List: list})
}

func (d sqlite) equal(r *renderer, ref string, c adapters.Column, _ schema.Operator, param int) string {
	return d.exactly(ref, c, d.value(r, c, param, false))
}

// exactly compares with an operand that has no collation of its own.
func (sqlite) exactly(ref string, c adapters.Column, operand string) string {
	left, collation := collated(ref, c)
	if Textual(c.Kind) {
		// CAST: in a numeric column '05' would equal '5'.
		return ref + " = " + operand + " AND CAST(" + ref + " AS TEXT) = " + operand + collation
	}
	return left + " = " + operand + collation
}

func (d sqlite) within(r *renderer, ref string, c adapters.Column, param int) string {
	list := " IN (SELECT value FROM json_each(" + d.value(r, c, param, true) + "))"
	left, collation := collated(ref, c) // the left operand's collation decides here
	if Textual(c.Kind) {
		return ref + list + " AND CAST(" + ref + " AS TEXT)" + collation + list
	}
	return left + collation + list
}

func (d sqlite) compare(r *renderer, ref string, c adapters.Column, op schema.Operator, param int) string {
	left, collation := collated(ref, c)
	return left + relation(op) + d.value(r, c, param, false) + collation
}

func relation(op schema.Operator) string {
	switch op {
	case schema.Gt:
		return " > "
	case schema.Gte:
		return " >= "
	case schema.Lt:
		return " < "
	default:
		return " <= "
	}
}

// like uses GLOB, since SQLite's LIKE ignores the case of ASCII letters.
func (sqlite) like(r *renderer, ref string, c adapters.Column, param int) string {
	return ref + " GLOB " + r.slot(Slot{Use: UsePattern, Index: param, Column: c})
}

func (d sqlite) startsWith(r *renderer, ref string, c adapters.Column, param int) string {
	v := d.value(r, c, param, false)
	return "substr(" + ref + ", 1, length(" + v + ")) = " + v + " COLLATE BINARY"
}

func (d sqlite) contains(r *renderer, ref string, c adapters.Column, param int) string {
	element := adapters.Column{Name: c.Name, Kind: c.Kind, Enum: c.Enum}
	v := d.value(r, element, param, false)
	left, collation := collated("j.value", element)
	kind := "j.type = 'text'"
	switch c.Kind {
	case schema.Int:
		kind = "j.type = 'integer'"
	case schema.Float:
		kind = "j.type IN ('integer', 'real')"
	case schema.Boolean:
		kind = "j.type IN ('true', 'false')"
	case schema.BigInt:
		left, kind = "CAST(j.value AS INTEGER)", "j.type IN ('text', 'integer')"
	case schema.Decimal:
		kind = "j.type IN ('text', 'integer')"
	}
	// CASE keeps json_each, which fails on what is not JSON, away from it.
	return "CASE WHEN " + v + " IS NULL OR NOT json_valid(" + ref + ") THEN NULL" +
		" WHEN json_type(" + ref + ") = 'array' THEN EXISTS (SELECT 1 FROM json_each(" + ref + ") AS j WHERE " + kind +
		" AND " + left + " = " + v + collation + ") END"
}

func (sqlite) isTrue(p string) string { return "(" + p + " IS TRUE)" }

func (d sqlite) same(ref string, c adapters.Column, other string) string {
	return d.exactly(ref, c, other)
}

func (sqlite) window(limit, offset string) string {
	switch {
	case limit == "" && offset == "":
		return ""
	case offset == "":
		return " LIMIT " + limit
	case limit == "":
		return " LIMIT -1 OFFSET " + offset
	default:
		return " LIMIT " + limit + " OFFSET " + offset
	}
}

// keyed reads the tuples from json_each, whose key is the ordinal. CROSS JOIN
// is SQLite's way to say which table is read in the outer loop.
func (d sqlite) keyed(r *renderer, p *parts) string {
	from := d.keySource(r) + " CROSS JOIN " + p.table + " AS " + p.alias + p.whereClause(d.keyCondition(p))
	if p.limit == "" && p.offset == "" {
		return "SELECT k.key" + led(p.columns("")) + " FROM " + from + " ORDER BY k.key" + led(p.orderList())
	}
	number := "row_number() OVER (PARTITION BY k.key" + p.orderClause() + ")"
	low := "0"
	if p.offset != "" {
		low = p.offset
	}
	rows := "r.n > " + low
	if p.limit != "" {
		rows += " AND r.n <= " + low + " + " + p.limit
	}
	return "SELECT r.o" + p.outer() + " FROM (SELECT k.key AS o" + led(p.columns("as")) + ", " + number + " AS n FROM " + from +
		") AS r WHERE " + rows + " ORDER BY r.o, r.n"
}

func (d sqlite) keyedCount(r *renderer, p *parts) string {
	return "SELECT k.key, (SELECT count(*) FROM " + p.table + " AS " + p.alias + p.whereClause(d.keyCondition(p)) +
		") FROM " + d.keySource(r) + " ORDER BY k.key"
}

// newest: the moments are texts with offsets of their own, and an index has them
// by their texts. Between the greatest text and the greatest moment lie less than
// three dates, since an offset is less than a day either way: the index finds the
// first, and what it has from two dates before is compared by value. What is no
// text of a date has no date before it, so that nothing is newest.
func (d sqlite) newest(ref, table, alias string) string {
	moment, collation := collated(ref, adapters.Column{Kind: schema.DateTime})
	from := " FROM " + table + " AS " + alias
	return "SELECT max(" + moment + collation + ")" + from +
		" WHERE " + ref + " >= (SELECT date(substr(max(" + ref + "), 1, 10), '-2 days')" + from + ")"
}

// distinct: 1 and 1.0 are equal and stored differently.
func (sqlite) distinct(ref string, _ adapters.Column) string {
	return "typeof(" + ref + "), " + ref + " COLLATE BINARY"
}

func (sqlite) keySource(r *renderer) string {
	return "json_each(" + r.slot(Slot{Use: UseKeys}) + ") AS k"
}

func (d sqlite) keyCondition(p *parts) string {
	text := ""
	for i, c := range p.keys {
		operand := "k.value"
		if len(p.keys) > 1 {
			operand = "(k.value ->> " + strconv.Itoa(i) + ")"
		}
		if i > 0 {
			text += " AND "
		}
		text += d.exactly(p.keyRefs[i], c, operand)
	}
	return text
}
