package schema

import (
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// buildAbstracts makes the interfaces and unions, and checks that their members
// are sourced types that keep their promises.
func (l *linter) buildAbstracts() {
	for _, d := range l.order {
		switch d.Kind {
		case ast.Interface:
			l.buildInterface(d)
		case ast.Union:
			l.buildUnion(d)
		}
	}
	for _, d := range l.order {
		if d.Kind == ast.Object || d.Kind == ast.Interface {
			l.implements(d)
		}
	}
	for _, name := range sortedKeys(l.catalogue.Abstracts) {
		a := l.catalogue.Abstracts[name]
		slices.Sort(a.Members)
		for _, m := range a.Members {
			t := l.catalogue.Types[m]
			t.Interfaces = append(t.Interfaces, name)
		}
		if len(a.Members) == 0 && len(l.lost) == 0 {
			l.errorf(place(l.definitions[name].Position), codeEmptyAbstract, "%s has no types", name)
		}
	}
}

func (l *linter) buildInterface(d *ast.Definition) {
	a := &Abstract{Name: d.Name, Description: d.Description}
	if len(d.Fields) == 0 {
		l.errorf(place(d.Position), codeEmptyType, "interface %s has no fields", d.Name)
	}
	for i, f := range d.Fields {
		if d.Fields[:i].ForName(f.Name) != nil {
			l.errorf(place(f.Position), codeDuplicateField, "interface %s has the field %s already", d.Name, f.Name)
			continue
		}
		l.checkDirectives(f.Directives, ast.LocationFieldDefinition)
		for _, u := range f.Directives {
			if u.Name != "deprecated" && l.directives[u.Name] != nil {
				l.suggest(place(u.Position), codeMisplaced, "give it to the field of each type", "@%s does not belong on a field of an interface", u.Name)
			}
		}
		s, ok := l.shape(d.Name, f)
		if !ok {
			continue
		}
		field := &Field{
			Name: f.Name, Description: f.Description, Kind: s.scalar, List: s.list, Enum: s.enum,
			TypeSDL: s.typeSDL(), Position: place(f.Position),
		}
		if s.object != nil {
			field.List = false
			field.Relation = &Relation{Target: s.name, Many: s.list}
		}
		a.Fields, a.fields = append(a.Fields, f.Name), append(a.fields, field)
		l.fields[field] = f
	}
	l.catalogue.Abstracts[d.Name] = a
}

func (l *linter) buildUnion(d *ast.Definition) {
	a := &Abstract{Name: d.Name, Description: d.Description, Union: true}
	for i, name := range d.Types {
		at := place(d.Position)
		if i < len(d.TypePositions) {
			at = place(d.TypePositions[i])
		}
		member := l.definitions[name]
		switch {
		case member == nil:
			if isScalar(name) {
				l.errorf(at, codeUnionMember, "%s cannot belong to a union: it is a scalar", name)
			} else {
				l.unknownType(at, name)
			}
		case member.Kind != ast.Object:
			l.errorf(at, codeUnionMember, "%s cannot belong to a union: it is not a type", name)
		case slices.Contains(a.Members, name):
			l.errorf(at, codeUnionMember, "%s belongs to %s already", name, d.Name)
		case l.catalogue.Types[name] != nil:
			a.Members = append(a.Members, name)
		}
	}
	l.catalogue.Abstracts[d.Name] = a
}

// implements checks what a type or interface says it implements, and enters
// types as members.
func (l *linter) implements(d *ast.Definition) {
	at := place(d.Position)
	for i, name := range d.Interfaces {
		target := l.definitions[name]
		switch {
		case slices.Contains(d.Interfaces[:i], name):
			l.errorf(at, codeInterfaceMismatch, "%s implements %s twice", d.Name, name)
			continue
		case target == nil:
			if !l.lost[name] {
				l.suggest(at, codeUnknownInterface, didYouMean(name, l.interfaces(), quoted), "there is no interface %s", name)
			}
			continue
		case target.Kind != ast.Interface:
			l.errorf(at, codeUnknownInterface, "%s cannot implement %s: it is not an interface", d.Name, name)
			continue
		case name == d.Name:
			l.errorf(at, codeInterfaceMismatch, "interface %s implements itself", name)
			continue
		}
		for _, ancestor := range target.Interfaces {
			if ancestor == d.Name {
				l.errorf(at, codeInterfaceMismatch, "%s and %s implement each other", d.Name, name)
			} else if !slices.Contains(d.Interfaces, ancestor) {
				l.suggest(at, codeInterfaceMismatch, "implements "+ancestor, "%s implements %s, which implements %s", d.Name, name, ancestor)
			}
		}
		l.keepsPromises(d, target)
		if d.Kind == ast.Object {
			l.catalogue.Abstracts[name].Members = append(l.catalogue.Abstracts[name].Members, d.Name)
		}
	}
}

func (l *linter) interfaces() []string {
	var names []string
	for _, d := range l.order {
		if d.Kind == ast.Interface {
			names = append(names, d.Name)
		}
	}
	return names
}

// keepsPromises checks that d has the fields of the interface with fitting
// types.
func (l *linter) keepsPromises(d, promised *ast.Definition) {
	for _, want := range promised.Fields {
		have := d.Fields.ForName(want.Name)
		if have == nil {
			l.errorf(place(d.Position), codeInterfaceMismatch, "%s implements %s and has no field %s", d.Name, promised.Name, want.Name)
			continue
		}
		if !l.covariant(want.Type, have.Type) {
			l.errorf(place(have.Position), codeInterfaceMismatch, "%s.%s is %s, and %s.%s is %s",
				d.Name, have.Name, have.Type, promised.Name, want.Name, want.Type)
		}
	}
}

// covariant reports whether a field of type have can stand for one of type
// want. Nullness is checked elsewhere. A to-many relation must be of the very
// same type, since its filter arguments are made of it.
func (l *linter) covariant(want, have *ast.Type) bool {
	if (want.Elem == nil) != (have.Elem == nil) {
		return false
	}
	if want.Name() == have.Name() {
		return true
	}
	if want.Elem != nil {
		return false
	}
	target, concrete := l.definitions[want.NamedType], l.definitions[have.NamedType]
	if target == nil || concrete == nil {
		// A name that nothing declares has its own finding.
		return target == nil && !isScalar(want.NamedType) || concrete == nil && !isScalar(have.NamedType)
	}
	return slices.Contains(concrete.Interfaces, want.NamedType) ||
		target.Kind == ast.Union && slices.Contains(target.Types, have.NamedType)
}

// Field finds a field of an interface by name; nil when there is none. It has
// no coordinate, column, level or mask of its own: those are its members'.
func (a *Abstract) Field(name string) *Field {
	for _, f := range a.fields {
		if f.Name == name {
			return f
		}
	}
	return nil
}

// list puts names into a sentence.
func list(names []string) string { return strings.Join(names, ", ") }
