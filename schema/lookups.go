package schema

// TypeNames lists the sourced types in order.
func (c *Catalogue) TypeNames() []string { return sortedKeys(c.Types) }

// AbstractNames lists the interfaces and unions in order.
func (c *Catalogue) AbstractNames() []string { return sortedKeys(c.Abstracts) }

// RootNames lists the fields of Query in order.
func (c *Catalogue) RootNames() []string { return sortedKeys(c.Roots) }

// MembersOf gives the concrete types of a sourced type (itself) or of an
// abstract type, in order; nil for other names. It is not the caller's to
// change.
func (c *Catalogue) MembersOf(name string) []string {
	if a := c.Abstracts[name]; a != nil {
		return a.Members
	}
	if c.Types[name] != nil {
		return []string{name}
	}
	return nil
}

// TypesOf lists the types of a department in order.
func (c *Catalogue) TypesOf(department string) []*Type {
	var out []*Type
	for _, name := range c.TypeNames() {
		if c.Types[name].Source.Department == department {
			out = append(out, c.Types[name])
		}
	}
	return out
}

// Coordinates lists every coordinate: the types in order, each row before its
// fields in SDL order.
func (c *Catalogue) Coordinates() []Coordinate {
	var out []Coordinate
	for _, name := range c.TypeNames() {
		out = append(out, Coordinate{Type: name})
		for _, f := range c.Types[name].Fields {
			out = append(out, f.Coordinate)
		}
	}
	return out
}

// Level gives the level of a row or field. For a coordinate that is not in the
// catalogue it is the highest, with false.
func (c *Catalogue) Level(at Coordinate) (Rank, bool) {
	t := c.Types[at.Type]
	if t == nil {
		return c.Levels.Highest(), false
	}
	if at.Row() {
		return t.Level, true
	}
	if f := t.Field(at.Field); f != nil {
		return f.Level, true
	}
	return c.Levels.Highest(), false
}

// KeyedByRef reports whether rows of the type can be named by a _ref: all key
// columns have fields.
func (t *Type) KeyedByRef() bool { return len(t.Source.KeyFields) > 0 }
