package sqlgen

import (
	"strings"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/schema"
)

// predicate renders a condition over the table called alias, in parentheses
// where it needs them, so that it can stand as an operand anywhere.
func (r *renderer) predicate(alias string, p adapters.Predicate) string {
	switch p := p.(type) {
	case adapters.And:
		return r.junction(alias, p, " AND ", "TRUE")
	case adapters.Or:
		return r.junction(alias, p, " OR ", "FALSE")
	case adapters.Not:
		return "(NOT " + r.predicate(alias, p.Predicate) + ")"
	case adapters.IsTrue:
		return r.dialect.isTrue(r.predicate(alias, p.Predicate))
	case adapters.Bool:
		if p {
			return "TRUE"
		}
		return "FALSE"
	case adapters.Compare:
		return "(" + r.comparison(alias, p) + ")"
	case adapters.After:
		return r.after(alias, p)
	case adapters.Exists:
		return r.exists(alias, p)
	default:
		return r.fail("a predicate of unknown type %T", p)
	}
}

func (r *renderer) junction(alias string, list []adapters.Predicate, operator, empty string) string {
	if len(list) == 0 {
		return empty
	}
	terms := make([]string, len(list))
	for i, p := range list {
		terms[i] = r.predicate(alias, p)
	}
	if len(terms) == 1 {
		return terms[0]
	}
	return "(" + strings.Join(terms, operator) + ")"
}

func (r *renderer) comparison(alias string, p adapters.Compare) string {
	c, ref := p.Column, r.ref(alias, p.Column)
	r.param(p.Param, p.Op == schema.In || p.Op == schema.Nin)
	if p.Op == schema.IsNull {
		return "(" + ref + " IS NULL) = " + r.slot(Slot{Use: UseTruth, Index: p.Param, Column: truth, Op: p.Op})
	}
	if c.List != (p.Op == schema.Contains) || c.Kind == schema.JSON {
		return r.fail("column %q: operator %s does not fit its type", c.Name, p.Op)
	}
	switch p.Op {
	case schema.Eq:
		return r.dialect.equal(r, ref, c, p.Op, p.Param)
	case schema.Neq:
		return "NOT (" + r.dialect.equal(r, ref, c, p.Op, p.Param) + ")"
	case schema.In:
		return r.dialect.within(r, ref, c, p.Param)
	case schema.Nin:
		return "NOT (" + r.dialect.within(r, ref, c, p.Param) + ")"
	case schema.Gt, schema.Gte, schema.Lt, schema.Lte:
		if c.Kind == schema.Boolean {
			return r.fail("column %q: operator %s does not fit its type", c.Name, p.Op)
		}
		return r.dialect.compare(r, ref, c, p.Op, p.Param)
	case schema.Like, schema.StartsWith:
		if !Textual(c.Kind) {
			return r.fail("column %q: operator %s does not fit its type", c.Name, p.Op)
		}
		c.Kind, c.Enum = schema.String, nil // a part of an enum's value is not one
		if p.Op == schema.Like {
			return r.dialect.like(r, ref, c, p.Param)
		}
		return r.dialect.startsWith(r, ref, c, p.Param)
	case schema.Contains:
		return r.dialect.contains(r, ref, c, p.Param)
	default:
		return r.fail("column %q: unknown operator", c.Name)
	}
}

// truth is the column of truth values.
var truth = adapters.Column{Kind: schema.Boolean}

// after renders keyset paging: for some i, equal in the order's first i columns
// and behind in the next. Every part is two-valued, NULL being a place in the
// order like any other.
func (r *renderer) after(alias string, a adapters.After) string {
	if len(a.Order) == 0 || len(a.Order) != len(a.Params) {
		return r.fail("a position of %d values in an order of %d", len(a.Params), len(a.Order))
	}
	var alternatives []string
	var prefix []string
	for i, o := range a.Order {
		c, param := o.Column, a.Params[i]
		ref := r.ref(alias, c)
		r.sortKey(alias, c)
		r.param(param, false)
		isNull := r.slot(Slot{Use: UseNull, Index: param, Column: c, Op: schema.IsNull})
		op := schema.Gt
		if o.Desc {
			op = schema.Lt
		}
		behind := r.dialect.isTrue("(" + r.dialect.compare(r, ref, c, op, param) + ")")
		if o.NullsFirst {
			behind = "(" + isNull + " AND " + ref + " IS NOT NULL OR " + behind + ")"
		} else {
			behind = "(" + behind + " OR NOT " + isNull + " AND " + ref + " IS NULL)"
		}
		alternatives = append(alternatives, strings.Join(append(prefix, behind), " AND "))
		if i == len(a.Order)-1 {
			break
		}
		equal := r.dialect.isTrue("(" + r.dialect.equal(r, ref, c, schema.Eq, param) + ")")
		prefix = append(prefix[:len(prefix):len(prefix)], "("+equal+" OR "+isNull+" AND "+ref+" IS NULL)")
	}
	return "(" + strings.Join(alternatives, " OR ") + ")"
}

func (r *renderer) exists(alias string, e adapters.Exists) string {
	if len(e.Outer) == 0 || len(e.Outer) != len(e.Inner) {
		return r.fail("existence over %d and %d columns", len(e.Outer), len(e.Inner))
	}
	table, inner := r.from(e.Table)
	var terms []string
	for i, c := range e.Inner {
		o := e.Outer[i]
		if c.List || o.List || c.Kind == schema.JSON || o.Kind == schema.JSON {
			return r.fail("column %q: lists and JSON are no keys", c.Name)
		}
		terms = append(terms, r.dialect.same(r.ref(inner, c), c, r.ref(alias, o)))
	}
	if e.Where != nil {
		terms = append(terms, r.predicate(inner, e.Where))
	}
	return "EXISTS (SELECT 1 FROM " + table + " AS " + inner + " WHERE " + strings.Join(terms, " AND ") + ")"
}
