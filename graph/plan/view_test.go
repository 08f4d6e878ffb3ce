package plan

import (
	"testing"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/schema"
)

// TestViewsApart: views are shared within a plan, and never between types, even
// of one name of table in two departments, ways to the rows, or what makes a row
// exist.
func TestViewsApart(t *testing.T) {
	b := &builder{views: map[viewKey]*view{}, touched: map[schema.Coordinate]struct{}{}, req: &Request{}}
	of := func(name, department string) *schema.Type {
		return &schema.Type{Name: name, Source: schema.Source{Department: department, Table: "register"}}
	}
	police, civil := of("Person", "police"), of("Marriage", "civil")
	seen, texts := map[*view]string{}, map[string]reach{}
	for _, c := range []struct {
		name   string
		typ    *schema.Type
		reach  reach
		exists authz.Caps
	}{
		{"police", police, reach{}, maskCap},
		{"another department's of that table", civil, reach{}, maskCap},
		{"by key", police, reach{byKey: true}, maskCap},
		{"by key, carried", police, reach{byKey: true, carried: "id"}, maskCap},
		{"by key, a hop left", police, reach{byKey: true, hop: true}, maskCap},
		{"for match", police, reach{}, matchCap},
	} {
		v := b.viewFor(c.typ, c.reach, c.exists)
		if v.typ != c.typ || v.reach != c.reach || v.exists != c.exists {
			t.Errorf("%s: the view is of %s, %+v", c.name, v.typ.Name, v.reach)
		}
		if other, known := seen[v]; known {
			t.Errorf("%s and %s share a view", c.name, other)
		}
		seen[v] = c.name
		// Fetches are shared by the text of the way.
		if other, known := texts[c.reach.text()]; known && other != c.reach {
			t.Errorf("%s: two ways have the text %q", c.name, c.reach.text())
		}
		texts[c.reach.text()] = c.reach
		if b.viewFor(c.typ, c.reach, c.exists) != v {
			t.Errorf("%s: asked for again, another view", c.name)
		}
	}
}
