package plan

import (
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

// rowField stands for the row in uses: that it exists is a datum of its own
// level.
func rowField(t *schema.Type) *schema.Field {
	return &schema.Field{Coordinate: schema.Coordinate{Type: t.Name}, Level: t.Level}
}
