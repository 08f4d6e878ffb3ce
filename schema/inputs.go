package schema

import "strings"

// fieldsOf gives the fields that a type's filters and orders are made of; nil
// for unions.
func (g *generator) fieldsOf(name string) []*Field {
	if t := g.catalogue.Types[name]; t != nil {
		return t.Fields
	}
	return g.catalogue.Abstracts[name].fields
}

// where names the filter input of a type, and prints it when it is new. A type
// without columns has none.
func (g *generator) where(target string) string {
	name := target + "Where"
	if _, done := g.text[name]; done {
		return name
	}
	columns := false
	for _, f := range g.fieldsOf(target) {
		columns = columns || f.Relation == nil
	}
	if !columns {
		return ""
	}
	// Relations may lead back here.
	g.text[name] = ""
	var b body
	b.open("A filter of "+target+". All its conditions must hold.", "input "+name)
	b.member("True if all are; true when empty.", "_and: ["+name+"!]")
	b.member("True if one is; false when empty.", "_or: ["+name+"!]")
	b.member("", "_not: "+name)
	for _, f := range g.fieldsOf(target) {
		switch {
		case f.Relation == nil:
			b.member("", f.Name+": "+g.comparison(f))
		case f.Relation.SameSource:
			if far := g.where(f.Relation.Target); far != "" {
				b.member("True if a row that this relation leads to satisfies it.", f.Name+": "+far)
			}
		}
	}
	g.text[name] = b.close()
	return name
}

// comparison names the input of a field's operators, and prints it when it is
// new.
func (g *generator) comparison(f *Field) string {
	g.use(f)
	element := f.Kind.String()
	if f.Kind == Enum {
		element = f.Enum.Name
	}
	name := element + "Comparison"
	if f.List {
		name = element + "ListComparison"
	}
	if _, done := g.text[name]; done {
		return name
	}
	var b body
	b.open("", "input "+name)
	for _, op := range f.Operators() {
		operand := element
		switch op {
		case In, Nin:
			operand = "[" + element + "!]"
		case IsNull:
			operand = "Boolean"
		}
		b.member(operatorDescriptions[op], op.String()+": "+operand)
	}
	g.text[name] = b.close()
	return name
}

// operatorDescriptions are what the operators' names do not say.
var operatorDescriptions = [...]string{
	Eq: "", Neq: "", In: "", Nin: "", Gt: "", Gte: "", Lt: "", Lte: "",
	Like:       "SQL's: % stands for any text, _ for one character, \\ takes the next one literally.",
	StartsWith: "", IsNull: "",
	Contains: "The list holds the value.",
}

// orderBy names the order input of a type, and prints it when it is new; "" when
// there is nothing to order by.
func (g *generator) orderBy(target string) string {
	name := target + "Order"
	if _, done := g.text[name]; done {
		return name
	}
	var b body
	b.open("One key of an order of "+target+". The list of keys gives their precedence.", "input "+name+" @oneOf")
	sortable := false
	for _, f := range g.fieldsOf(target) {
		if f.Sortable() {
			sortable = true
			b.member("", f.Name+": "+OrderEnum)
		}
	}
	if !sortable {
		return ""
	}
	g.text[name] = b.close()
	if _, done := g.text[OrderEnum]; !done {
		var e body
		e.open("A direction. NULLs come last unless stated.", "enum "+OrderEnum)
		for _, v := range strings.Fields("ASC DESC ASC_NULLS_FIRST DESC_NULLS_FIRST") {
			e.member("", v)
		}
		g.text[OrderEnum] = e.close()
	}
	return name
}

// connection names the connection type of a type, and prints it with its edge
// when it is new.
func (g *generator) connection(target string) string {
	name, edge := target+"Connection", target+"Edge"
	g.scalars[BigInt] = true

	var c body
	c.open("A page of "+target+".", "type "+name)
	c.member("", "nodes: ["+target+"!]")
	c.member("", "edges: ["+edge+"!]")
	c.member("", "pageInfo: "+PageInfoType+"!")
	c.member("How many there are on all pages, for this reader.", "totalCount: BigInt")
	g.text[name] = c.close()

	var e body
	e.open("", "type "+edge)
	e.member("", "node: "+target)
	e.member("", "cursor: String!")
	g.text[edge] = e.close()

	var p body
	p.open("Where a page begins and ends. A cursor is sealed for its reader and query, and expires.", "type "+PageInfoType)
	p.member("", "hasNextPage: Boolean!")
	p.member("", "hasPreviousPage: Boolean!")
	p.member("", "startCursor: String")
	p.member("", "endCursor: String")
	g.text[PageInfoType] = p.close()
	return name
}
