package schema

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator"
)

// ErrNothingLeft says that of a pruned API no root is left.
var ErrNothingLeft = errors.New("nothing of the schema is left")

// Pruned is the data API without what is hidden from a reader: an API of its
// own, in which what is hidden does not exist. Immutable.
type Pruned struct {
	API *ast.Schema
	SDL string // API printed as Catalogue.SDL is
}

// Prune takes out of the API what stands for hidden coordinates, and then what
// is left without sense, to a fixed point: a type whose row is hidden or that
// has no field left; an interface's field that one of the remaining types lacks;
// relations to what is absent; the inputs, groups and sums made of an absent
// field; a root whose type is absent or whose required argument is; and every
// enum, scalar, input and wrapper that nothing names any more.
//
// Every element of the generated API falls under one of these rules by the name
// that it was generated under, so that a new kind of root or input is pruned
// without knowing of it here; one that no rule covers is an error. It fails with
// [ErrNothingLeft] where no root remains.
func (c *Catalogue) Prune(hidden func(Coordinate) bool) (*Pruned, error) {
	p := newPruning(c, hidden)
	if err := p.complete(); err != nil {
		return nil, err
	}
	for p.pass() {
	}
	if p.gone[element{typ: c.API.Query.Name}] {
		return nil, ErrNothingLeft
	}
	p.sweep()
	sdl := p.print()
	api, err := validator.LoadSchema(validator.Prelude, &ast.Source{Name: "schema.graphql", Input: sdl})
	if err != nil {
		return nil, fmt.Errorf("the pruned API is not valid: %s", sentence(err.Error()))
	}
	delete(api.Directives, "defer")
	return &Pruned{API: api, SDL: sdl}, nil
}

// element is a definition of the API, a field of one, or an argument of a field.
type element struct{ typ, field, argument string }

// derivation is how a generated type came about: from a declared one and a suffix.
type derivation struct{ base, suffix string }

type pruning struct {
	catalogue *Catalogue
	hidden    func(Coordinate) bool
	gone      map[element]bool
	derived   map[string]derivation
	names     []string // of all types of the API, sorted
	// implementers are the types and interfaces that implement an interface.
	implementers map[string][]string
	changed      bool
}

func newPruning(c *Catalogue, hidden func(Coordinate) bool) *pruning {
	p := &pruning{
		catalogue: c, hidden: hidden, gone: map[element]bool{},
		derived: derivedTypes(c), names: sortedKeys(c.API.Types), implementers: map[string][]string{},
	}
	for _, name := range p.names {
		for _, i := range c.API.Types[name].Interfaces {
			p.implementers[i] = append(p.implementers[i], name)
		}
	}
	return p
}

// derivedTypes finds what the types of the API were generated from. That the
// names are unambiguous was checked when they were generated.
func derivedTypes(c *Catalogue) map[string]derivation {
	out := map[string]derivation{}
	enter := func(base string) {
		for _, suffix := range typeSuffixes {
			if name := base + suffix; c.API.Types[name] != nil && !c.declares(name) {
				out[name] = derivation{base, suffix}
			}
		}
	}
	for name := range c.Types {
		enter(name)
	}
	for name := range c.Abstracts {
		enter(name)
	}
	return out
}

// declares reports whether a department's SDL declares the type.
func (c *Catalogue) declares(name string) bool {
	return c.Types[name] != nil || c.Abstracts[name] != nil || c.Enums[name] != nil
}

// shared reports a type of the API that is about no declared type: it goes when
// nothing names it.
func (c *Catalogue) shared(d *ast.Definition) bool {
	switch {
	case d.BuiltIn, d.Kind == ast.Scalar, d.Kind == ast.Enum, d.Name == c.API.Query.Name, d.Name == PageInfoType:
		return true
	case d.Kind != ast.InputObject:
		return false
	}
	for _, suffix := range enumSuffixes {
		if of, ok := strings.CutSuffix(d.Name, suffix); ok && (isScalar(of) || c.Enums[of] != nil) {
			return true
		}
	}
	return false
}

// byField reports whether a generated type's fields are named after the fields
// of what it was generated from, and stand for them.
func (d derivation) byField() bool {
	switch d.suffix {
	case "Connection", "Edge", "Aggregate":
		return false
	default:
		return true
	}
}

// complete sees to it that no part of the API escapes the rules.
func (p *pruning) complete() error {
	c := p.catalogue
	for name, d := range c.API.Types {
		if _, derived := p.derived[name]; !derived && !c.declares(name) && !c.shared(d) {
			return fmt.Errorf("the generated type %s stands for nothing that could be hidden", name)
		}
	}
	for _, f := range c.API.Query.Fields {
		r := c.Roots[f.Name]
		if r == nil && !strings.HasPrefix(f.Name, "__") {
			return fmt.Errorf("the root %s is of no type that could be hidden", f.Name)
		}
	}
	return nil
}

func (p *pruning) drop(e element) {
	if !p.gone[e] {
		p.gone[e], p.changed = true, true
	}
}

func (p *pruning) absent(t *ast.Type) bool { return p.gone[element{typ: t.Name()}] }

// pass applies every rule once, and reports whether anything went.
func (p *pruning) pass() bool {
	p.changed = false
	for _, name := range p.names {
		if d := p.catalogue.API.Types[name]; !d.BuiltIn && !p.gone[element{typ: name}] {
			p.definition(d)
		}
	}
	return p.changed
}

func (p *pruning) definition(d *ast.Definition) {
	c := p.catalogue
	for _, f := range d.Fields {
		if p.fieldGone(d, f) {
			p.drop(element{typ: d.Name, field: f.Name})
		}
	}
	from, derived := p.derived[d.Name]
	switch {
	case c.Types[d.Name] != nil && p.hidden(Coordinate{Type: d.Name}),
		c.Abstracts[d.Name] != nil && len(p.members(d.Name)) == 0,
		derived && p.gone[element{typ: from.base}],
		len(d.Fields) > 0 && !p.bears(d):
		p.drop(element{typ: d.Name})
	}
}

// bears reports whether a definition still has a field for which it is there: a
// handle alone, or the connectives of a filter, are no reason, and neither are
// relations in a filter without columns.
func (p *pruning) bears(d *ast.Definition) bool {
	from, derived := p.derived[d.Name]
	own := derived || p.catalogue.declares(d.Name) || d == p.catalogue.API.Query
	for _, f := range d.Fields {
		if own && strings.HasPrefix(f.Name, "_") || p.gone[element{typ: d.Name, field: f.Name}] {
			continue
		}
		if derived && from.suffix == "Where" {
			if of := p.field(from.base, f.Name); of != nil && of.Relation != nil {
				continue
			}
		}
		return true
	}
	return false
}

func (p *pruning) fieldGone(d *ast.Definition, f *ast.FieldDefinition) bool {
	c := p.catalogue
	if p.absent(f.Type) {
		return true
	}
	from, derived := p.derived[d.Name]
	root := c.Roots[f.Name]
	switch {
	case d.Name == c.API.Query.Name:
		if root == nil {
			return false
		}
		if p.gone[element{typ: root.Type}] {
			return true
		}
	case derived:
		if from.byField() && p.field(from.base, f.Name) != nil && p.gone[element{typ: from.base, field: f.Name}] {
			return true
		}
	case c.Types[d.Name] != nil:
		if c.Types[d.Name].Field(f.Name) != nil && p.hidden(Coordinate{Type: d.Name, Field: f.Name}) {
			return true
		}
	case c.Abstracts[d.Name] != nil:
		if p.lacking(d.Name, f.Name) {
			return true
		}
	}
	for _, a := range f.Arguments {
		gone := p.absent(a.Type)
		if d.Name == c.API.Query.Name && (slices.Contains(root.Keys, a.Name) || slices.Contains(root.By, a.Name)) {
			gone = gone || p.gone[element{typ: root.Type, field: a.Name}]
		}
		if !gone {
			continue
		}
		if a.Type.NonNull && a.DefaultValue == nil {
			return true
		}
		p.drop(element{d.Name, f.Name, a.Name})
	}
	return false
}

// field finds a field of a declared type or interface.
func (p *pruning) field(owner, name string) *Field {
	if t := p.catalogue.Types[owner]; t != nil {
		return t.Field(name)
	}
	if a := p.catalogue.Abstracts[owner]; a != nil {
		return a.Field(name)
	}
	return nil
}

// members are the types of an abstract one that are there.
func (p *pruning) members(abstract string) []string {
	var out []string
	for _, m := range p.catalogue.Abstracts[abstract].Members {
		if !p.gone[element{typ: m}] {
			out = append(out, m)
		}
	}
	return out
}

// lacking reports whether one of those that implement an interface, and are
// there, has lost the field.
func (p *pruning) lacking(name, field string) bool {
	return slices.ContainsFunc(p.implementers[name], func(by string) bool {
		return !p.gone[element{typ: by}] && p.gone[element{typ: by, field: field}]
	})
}

// sweep takes out what nothing names any more. What departments declare as a
// type stays: it was decided on its own.
func (p *pruning) sweep() {
	c := p.catalogue
	named := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		d := c.API.Types[name]
		if named[name] || d == nil || p.gone[element{typ: name}] {
			return
		}
		named[name] = true
		for _, f := range d.Fields {
			if p.gone[element{typ: name, field: f.Name}] {
				continue
			}
			visit(f.Type.Name())
			for _, a := range f.Arguments {
				if !p.gone[element{name, f.Name, a.Name}] {
					visit(a.Type.Name())
				}
			}
		}
	}
	visit(c.API.Query.Name)
	for name := range c.Types {
		visit(name)
	}
	for name := range c.Abstracts {
		visit(name)
	}
	for name := range c.API.Types {
		if !named[name] {
			p.gone[element{typ: name}] = true
		}
	}
}
