package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// String is EXPLAIN: the fetches as a tree with departments, columns and
// predicates, what becomes of each selection, and what is recorded. It is equal
// for equal plans. It shows the literals of the document, never a variable's
// value: it is for those who wrote the document, not for logs.
func (p *Plan) String() string {
	var s strings.Builder
	e := planExplainer{out: &s, plan: p}
	e.line(0, strings.TrimSpace("query "+p.Name))
	e.line(0, "level "+p.levels.Name(p.Level)+strings.TrimRight("  departments "+strings.Join(p.Departments, " "), " "))
	for _, f := range p.Fetches {
		if f.Parent == nil {
			e.fetch(0, f)
		}
	}
	for i := range p.Guesses {
		e.guess(&p.Guesses[i])
	}
	e.line(0, "answer")
	e.object(1, p.Root, nil)
	if len(p.Uses) > 0 {
		e.line(0, "reads")
		for _, u := range p.Uses {
			line := u.Department + " " + u.Coordinate.String()
			if u.Column != "" {
				line += " (" + u.Table + "." + u.Column + ")"
			}
			e.line(1, line+" "+p.levels.Name(u.Level)+" "+u.Use.String())
		}
	}
	return s.String()
}

type planExplainer struct {
	out  *strings.Builder
	plan *Plan
}

func (e planExplainer) line(depth int, text string) {
	for range depth {
		e.out.WriteString("  ")
	}
	e.out.WriteString(text)
	e.out.WriteByte('\n')
}

func (e planExplainer) fetch(depth int, f *Fetch) {
	s := f.Shape
	e.line(depth, fmt.Sprintf("fetch %d  %s  %s (%s)", f.ID, f.Department, f.Type, s.Table))
	part := func(name string, write func(explainer)) {
		var b strings.Builder
		write(explainer{&b, f.Args, readable})
		if b.Len() > 0 {
			e.line(depth+1, strings.TrimLeft(name+" "+b.String(), " "))
		}
	}
	part("keys", func(x explainer) {
		for i, k := range s.Keys {
			if i > 0 {
				x.text(", ")
			}
			x.text(k.Name)
			if f.Parent != nil {
				x.text(" = fetch ", strconv.Itoa(f.Parent.ID), " ", f.Parent.Shape.Columns[f.ParentColumns[i]].Name)
			}
		}
		for i, tuple := range f.Stated {
			x.text(separator(i, " = ", " | "))
			for j := range tuple {
				x.text(separator(j, "", ", "))
				x.value(&tuple[j])
			}
		}
		for i := range f.Refs {
			x.text(separator(i, " = ref ", " | ref "))
			x.value(&f.Refs[i])
		}
		if f.ParentOrdinals != nil {
			x.text(fmt.Sprintf(" of tuples %v", f.ParentOrdinals))
		}
	})
	if f.Parent != nil && f.Traverse.Varies() {
		e.line(depth+1, "from rows "+conditions(&f.Traverse, f.Parent.Scopes, lineage.Clear))
	}
	part("columns", func(x explainer) {
		for i, c := range s.Columns {
			x.text(separator(i, "", ", "), c.Name)
			if i >= len(s.Columns)-f.Hidden {
				x.text(" (hidden)")
			}
		}
	})
	for i, scope := range s.Scopes {
		part("scope "+f.Scopes[i]+":", func(x explainer) { x.predicate(scope) })
	}
	if s.Count {
		e.line(depth+1, "count")
	}
	if f.Aggregate != nil {
		e.aggregate(depth+1, f)
	}
	if s.Where != nil {
		part("where", func(x explainer) { x.predicate(s.Where) })
	}
	part("order", func(x explainer) { x.orders(s.Order) })
	part("", func(x explainer) { x.bound("limit ", s.Limit) })
	part("", func(x explainer) { x.bound("offset ", s.Offset) })
	if f.Statement != nil {
		if text := f.Statement.String(); text != "" {
			e.line(depth+1, "statement "+text)
		}
	}
	for _, child := range e.plan.Fetches {
		if child.Parent == f {
			e.fetch(depth+1, child)
		}
	}
}

// guess writes what a root takes from its reader's budgets.
func (e planExplainer) guess(g *Guess) {
	var b strings.Builder
	x := explainer{&b, nil, readable}
	for i := range g.Key {
		x.text(separator(i, "", ", "))
		x.value(&g.Key[i])
	}
	of := g.Of
	if of == "" {
		of = "the person"
	}
	e.line(0, fmt.Sprintf("budget %d compared for %s, of %s %s", g.N, g.Path, of, b.String()))
}

// aggregate writes what becomes of a fetch's rows.
func (e planExplainer) aggregate(depth int, f *Fetch) {
	a := f.Aggregate
	line := "aggregate"
	if len(a.Groups) > 0 {
		line += " by " + names(a.Groups)
	}
	e.line(depth, fmt.Sprintf("%s, at most %d groups", line, a.Limit))
	if len(a.Classes) > 0 {
		e.line(depth, "cells also by "+names(a.Classes))
	}
	for _, m := range a.Measures {
		line := "over " + m.Coordinate.String()
		if where := held(&m.Held, f.Scopes, aggregateCap); where != always {
			line += " " + where
		}
		if m.Protected {
			var units []string
			for _, columns := range m.Units {
				var parts []string
				for _, c := range columns {
					parts = append(parts, f.Shape.Columns[c].Name)
				}
				units = append(units, strings.Join(parts, "+"))
			}
			line += " with noise, persons by " + strings.Join(units, " and ") + ", level " + e.plan.levels.Name(m.Level)
		}
		e.line(depth, line)
	}
}

func separator(i int, first, other string) string {
	if i == 0 {
		return first
	}
	return other
}

func (e planExplainer) object(depth int, o *Object, row *Fetch) {
	if o == nil {
		return
	}
	for _, f := range o.Fields {
		e.field(depth, f, row)
	}
}

// field writes one selection on rows of a fetch.
func (e planExplainer) field(depth int, f *Field, row *Fetch) {
	line := f.Key + ": "
	switch f.Kind {
	case FieldLeaf:
		e.line(depth, line+leafText(f, row.Scopes))
	case FieldWithheld:
		line += "withheld"
		for _, w := range e.plan.Access.Withheld {
			// Of a member of an interface only its own; of a list all its types.
			if c := schema.ParseCoordinate(w.Field); w.Path == f.Path && (c.Row() || c == f.Coordinate) {
				line += " " + w.Field + " " + w.Reason
			}
		}
		e.line(depth, line)
	case FieldTypename:
		e.line(depth, line+string(f.Const))
	case FieldRef:
		e.line(depth, line+"ref of "+f.RefType)
	case FieldIntrospection:
		e.line(depth, line+"introspection")
	case FieldMatch:
		e.line(depth, line+"true where fetch "+strconv.Itoa(f.Match.Fetch.ID)+" counts a row")
	case FieldAggregate:
		e.line(depth, line+"groups of fetch "+strconv.Itoa(f.Aggregated.ID)+" "+f.Aggregated.Type)
		e.object(depth+1, f.Selection, f.Aggregated)
	case FieldPart:
		e.line(depth, strings.TrimSuffix(line, ": "))
		e.object(depth+1, f.Selection, row)
	case FieldCell:
		e.line(depth, line+f.Cell.text(row.Aggregate))
	case FieldRows:
		e.rows(depth, line, f.Rows)
	default:
		e.line(depth, line+pageParts[f.Kind-FieldNodes])
		e.object(depth+1, f.Selection, row)
	}
}

var pageParts = [...]string{"nodes", "edges", "node", "cursor", "page info", "has next", "has previous", "start cursor", "end cursor", "total count"}

func leafText(f *Field, scopes []string) string {
	d := &f.Decision
	if !d.Varies() {
		if d.Outcome(0, 0) == lineage.Masked {
			return "masked " + d.Mask
		}
		return "clear"
	}
	clearly, masked := conditions(d, scopes, lineage.Clear), conditions(d, scopes, lineage.Masked)
	line := "clear " + clearly
	switch {
	case d.Mask == "" || masked == clearly:
	case masked == always:
		line += ", otherwise masked " + d.Mask
	default:
		line += ", otherwise masked " + d.Mask + " " + masked
	}
	return line
}

// always is the condition of what does not depend on the row.
const always = "always"

func conditions(d *Decision, scopes []string, o Outcome) string {
	if o == lineage.Clear {
		return held(d, scopes, clearCap)
	}
	return held(d, scopes, maskCap)
}

// held says on which rows a capability is held.
func held(d *Decision, scopes []string, want authz.Caps) string {
	name := func(c BitClause) string {
		if int(c.Bit) < len(scopes) {
			return scopes[c.Bit]
		}
		return "scope " + strconv.Itoa(int(c.Bit))
	}
	var allowed, denied []string
	for _, c := range d.Allow {
		if c.Caps.Has(want) {
			allowed = append(allowed, name(c))
		}
	}
	for _, c := range d.Deny {
		if c.Caps.Any(want) {
			denied = append(denied, name(c))
		}
	}
	var text string
	switch {
	case d.Base.Has(want):
		text = always
	case len(allowed) == 0:
		return "never"
	default:
		text = "where " + strings.Join(allowed, " or ")
	}
	if len(denied) > 0 {
		text += " but not where " + strings.Join(denied, " or ")
	}
	return text
}

func (e planExplainer) rows(depth int, line string, r *Rows) {
	for i, m := range r.Members {
		text := line + "fetch " + strconv.Itoa(m.Fetch.ID) + " " + m.Type
		if r.Ordinal >= 0 && len(m.Fetch.Stated)+len(m.Fetch.Refs) > 1 {
			text += " tuple " + strconv.Itoa(r.Ordinal)
		}
		if len(r.Members) > 1 && i > 0 {
			text = strings.Repeat(" ", len(line)) + text[len(line):]
		}
		e.line(depth, text)
		e.object(depth+1, m.Object, m.Fetch)
	}
	if len(r.Merge) > 0 {
		e.line(depth+1, "merged by "+strconv.Itoa(len(r.Merge))+" keys")
	}
	if fed := e.fedBy(r); len(r.Members) > 1 && len(fed) > 0 {
		e.line(depth+1, "rows shown feed fetch "+strings.Join(fed, ", "))
	}
	if c := r.Connection; c != nil {
		var row *Fetch
		if len(r.Members) > 0 {
			row = r.Members[0].Fetch
		} else {
			e.line(depth, line+"no rows")
		}
		if c.Count != nil {
			e.line(depth+1, "counted by fetch "+strconv.Itoa(c.Count.ID))
		}
		e.object(depth+1, c.Object, row)
	}
}

// fedBy names the fetches whose keys come from rows of r: they wait until all of
// its members have ended.
func (e planExplainer) fedBy(r *Rows) []string {
	var out []string
	for _, f := range e.plan.Fetches {
		if slices.ContainsFunc(r.Members, func(m Member) bool { return m.Fetch == f.Parent }) {
			out = append(out, strconv.Itoa(f.ID))
		}
	}
	return out
}

// explainer writes conditions over a fetch's arguments.
type explainer struct {
	out  *strings.Builder
	args []Value
	mode explainMode
}

// explainMode says how an argument is written.
type explainMode uint8

const (
	readable   explainMode = iota // for people
	byKey                         // so that it tells arguments apart
	byPosition                    // so that it does not
)

func (e explainer) text(parts ...string) {
	for _, p := range parts {
		e.out.WriteString(p)
	}
}

func (e explainer) arg(param int) {
	if param < 0 || param >= len(e.args) {
		e.text("?")
		return
	}
	switch v := &e.args[param]; e.mode {
	case byKey:
		e.text(v.key())
	case byPosition:
		e.text("?", v.Kind.String())
	case readable:
		e.value(v)
	}
}

func (e explainer) value(v *Value) {
	switch v.From {
	case FromConst:
		switch {
		case v.Const.Null:
			e.text("null")
		case v.List:
			e.text("[", strings.Join(v.Const.List, ", "), "]")
		case v.Kind == schema.Int || v.Kind == schema.Float || v.Kind == schema.Boolean:
			e.text(v.Const.Text)
		default:
			e.text(strconv.Quote(v.Const.Text))
		}
	case FromVariable:
		e.text("$", v.Name)
		for _, p := range v.Path {
			e.text(fmt.Sprintf(".%v", p))
		}
	case FromSubject:
		e.text("$subject.", v.Name)
	case FromCursor:
		e.text("cursor.", strconv.Itoa(v.Index))
	case FromSum:
		for i := range v.Terms {
			e.text(separator(i, "", " + "))
			e.value(&v.Terms[i])
		}
	}
}

func (e explainer) predicate(p adapters.Predicate) {
	switch p := p.(type) {
	case nil:
		e.text("true")
	case adapters.Bool:
		e.text(strconv.FormatBool(bool(p)))
	case adapters.And:
		e.list("and", p)
	case adapters.Or:
		e.list("or", p)
	case adapters.Not:
		e.text("not (")
		e.predicate(p.Predicate)
		e.text(")")
	case adapters.IsTrue:
		e.text("is true (")
		e.predicate(p.Predicate)
		e.text(")")
	case adapters.Compare:
		e.text(p.Column.Name, " ", p.Op.String(), " ")
		e.arg(p.Param)
	case adapters.After:
		e.text("after (")
		for i, o := range p.Order {
			e.text(separator(i, "", ", "), o.Column.Name, " ")
			if i < len(p.Params) {
				e.arg(p.Params[i])
			}
		}
		e.text(")")
	case adapters.Exists:
		e.text("exists ", p.Table, " (")
		for i := range p.Inner {
			e.text(separator(i, "", " and "), p.Inner[i].Name, " = outer ", p.Outer[i].Name)
		}
		if p.Where != nil {
			e.text(" and ")
			e.predicate(p.Where)
		}
		e.text(")")
	}
}

func (e explainer) list(word string, parts []adapters.Predicate) {
	e.text("(")
	for i, p := range parts {
		e.text(separator(i, "", " "+word+" "))
		e.predicate(p)
	}
	e.text(")")
}

func (e explainer) orders(os []adapters.Order) {
	for i, o := range os {
		e.text(separator(i, "", ", "), o.Column.Name)
		if o.Desc {
			e.text(" desc")
		}
		if o.NullsFirst {
			e.text(" nulls first")
		}
	}
}

func (e explainer) bound(name string, b *adapters.Bound) {
	if b == nil {
		return
	}
	e.text(name)
	if b.Param < 0 {
		e.text(strconv.Itoa(b.Plus))
		return
	}
	e.arg(b.Param)
	if b.Plus != 0 {
		e.text(" + ", strconv.Itoa(b.Plus))
	}
}
