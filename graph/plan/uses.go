package plan

import (
	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// use records that a field of t is used, and gives its index in Plan.Uses; the
// same use of the same field is one entry, whatever the paths to it.
func (b *builder) use(t *schema.Type, f *schema.Field, kind lineage.UseKind) int {
	u := lineage.Use{
		Department: t.Source.Department, Table: t.Source.Table, Column: f.Column,
		Coordinate: f.Coordinate, Level: f.Level, Use: kind,
	}
	if i, ok := b.uses[u]; ok {
		return i
	}
	i := len(b.plan.Uses)
	b.uses[u] = i
	b.plan.Uses = append(b.plan.Uses, u)
	return i
}

// readColumn is a column of a fetch's department that its statement reads;
// without a name, the table's rows.
type readColumn struct{ table, name string }

// account finds the uses of a fetch's statement. A statement that reads a column
// which no use names is never sent: it would be a read that no record tells of.
func (b *builder) account(f *Fetch) {
	reads := map[readColumn]bool{}
	shapeReads(f.Shape, reads)
	named := make(map[readColumn]bool, len(reads))
	for i, u := range b.plan.Uses {
		c := readColumn{u.Table, u.Column}
		if u.Department != f.Department || !reads[c] {
			continue
		}
		named[c] = true
		if u.Use.ByStatement() {
			f.Uses = append(f.Uses, i)
		}
	}
	for c := range reads {
		if c.name != "" && !named[c] {
			b.failf(Internal, "the query of "+f.Type+" would read a column that its record does not name", "", nil)
			return
		}
	}
}

// shapeReads adds the columns of a shape, and the tables that it reads.
func shapeReads(s *adapters.Shape, reads map[readColumn]bool) {
	reads[readColumn{s.Table, ""}] = true
	for _, columns := range [][]adapters.Column{s.Columns, s.Keys} {
		for i := range columns {
			reads[readColumn{s.Table, columns[i].Name}] = true
		}
	}
	for i := range s.Order {
		reads[readColumn{s.Table, s.Order[i].Column.Name}] = true
	}
	predicateReads(s.Table, s.Where, reads)
	for _, p := range s.Scopes {
		predicateReads(s.Table, p, reads)
	}
}

// predicateReads adds the columns of a condition over the rows of a table.
func predicateReads(table string, p adapters.Predicate, reads map[readColumn]bool) {
	switch p := p.(type) {
	case adapters.And:
		for _, sub := range p {
			predicateReads(table, sub, reads)
		}
	case adapters.Or:
		for _, sub := range p {
			predicateReads(table, sub, reads)
		}
	case adapters.Not:
		predicateReads(table, p.Predicate, reads)
	case adapters.IsTrue:
		predicateReads(table, p.Predicate, reads)
	case adapters.Compare:
		reads[readColumn{table, p.Column.Name}] = true
	case adapters.After:
		for i := range p.Order {
			reads[readColumn{table, p.Order[i].Column.Name}] = true
		}
	case adapters.Exists:
		reads[readColumn{p.Table, ""}] = true
		for i := range p.Outer {
			reads[readColumn{table, p.Outer[i].Name}] = true
			reads[readColumn{p.Table, p.Inner[i].Name}] = true
		}
		predicateReads(p.Table, p.Where, reads)
	case adapters.Bool, nil:
	}
}

// rowField stands for the row in uses: that it exists is a datum of its own
// level.
func rowField(t *schema.Type) *schema.Field {
	return &schema.Field{Coordinate: schema.Coordinate{Type: t.Name}, Level: t.Level}
}
