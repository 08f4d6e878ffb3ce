package schema

import (
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// checkDirectives checks uses of directives against their declarations: name,
// place, number, arguments and the arguments' types.
func (l *linter) checkDirectives(used ast.DirectiveList, where ast.DirectiveLocation) {
	seen := map[string]bool{}
	for _, d := range used {
		at := place(d.Position)
		def := l.directives[d.Name]
		if def == nil {
			l.suggest(at, codeUnknownDirective, didYouMean(d.Name, sortedKeys(l.directives), func(s string) string { return "@" + s }), "there is no directive @%s", d.Name)
			continue
		}
		if !slices.Contains(def.Locations, where) {
			l.errorf(at, codeMisplaced, "@%s does not belong on %s", d.Name, locationNames(where))
			continue
		}
		if seen[d.Name] && !def.IsRepeatable {
			l.errorf(at, codeRepeated, "@%s may be given once", d.Name)
			continue
		}
		seen[d.Name] = true
		l.checkArguments(d, def)
	}
}

func (l *linter) checkArguments(d *ast.Directive, def *ast.DirectiveDefinition) {
	seen := map[string]bool{}
	for _, a := range d.Arguments {
		at := place(a.Position)
		want := def.Arguments.ForName(a.Name)
		switch {
		case want == nil:
			var known []string
			for _, k := range def.Arguments {
				known = append(known, k.Name)
			}
			l.suggest(at, codeUnknownArgument, didYouMean(a.Name, known, quoted), "@%s has no argument %s", d.Name, a.Name)
		case seen[a.Name]:
			l.errorf(at, codeRepeatedArgument, "@%s has the argument %s twice", d.Name, a.Name)
		case !l.fits(a.Value, want.Type):
			suggestion := ""
			if values := l.values[want.Type.Name()]; values != nil {
				suggestion = "one of " + strings.Join(values, ", ")
			}
			l.suggest(at, codeArgumentType, suggestion, "the argument %s of @%s must be %s", a.Name, d.Name, want.Type)
		}
		seen[a.Name] = true
	}
	for _, want := range def.Arguments {
		if want.Type.NonNull && want.DefaultValue == nil && !seen[want.Name] {
			l.errorf(place(d.Position), codeMissingArgument, "@%s needs the argument %s", d.Name, want.Name)
		}
	}
}

// fits checks a value against an argument's type, with GraphQL's coercion of
// one value to a list.
func (l *linter) fits(v *ast.Value, t *ast.Type) bool {
	if v == nil {
		return false
	}
	if v.Kind == ast.NullValue {
		return !t.NonNull
	}
	if t.Elem != nil {
		if v.Kind != ast.ListValue {
			return l.fits(v, t.Elem)
		}
		return !slices.ContainsFunc(v.Children, func(c *ast.ChildValue) bool { return !l.fits(c.Value, t.Elem) })
	}
	switch t.NamedType {
	case "String":
		return isString(v)
	case "Boolean":
		return v.Kind == ast.BooleanValue
	case "RootName":
		return isString(v) || v.Kind == ast.BooleanValue
	default:
		return v.Kind == ast.EnumValue && slices.Contains(l.values[t.NamedType], v.Raw)
	}
}

func isString(v *ast.Value) bool { return v.Kind == ast.StringValue || v.Kind == ast.BlockValue }

func locationNames(where ast.DirectiveLocation) string {
	switch where {
	case ast.LocationObject:
		return "a type"
	case ast.LocationFieldDefinition:
		return "a field"
	case ast.LocationEnumValue:
		return "an enum value"
	case ast.LocationInterface:
		return "an interface"
	case ast.LocationUnion:
		return "a union"
	default:
		return "an enum"
	}
}

// argument finds an argument that fits its declared type; nil when it is
// absent, null or of a wrong type.
func (l *linter) argument(d *ast.Directive, name string) *ast.Argument {
	if d == nil {
		return nil
	}
	def := l.directives[d.Name].Arguments.ForName(name)
	a := d.Arguments.ForName(name)
	if a == nil || !l.fits(a.Value, def.Type) || a.Value.Kind == ast.NullValue {
		return nil
	}
	return a
}

// text gives a String or enum argument, "" when it is absent, with its place.
func (l *linter) text(d *ast.Directive, name string) (string, Position) {
	a := l.argument(d, name)
	if a == nil {
		if d == nil {
			return "", Position{}
		}
		return "", place(d.Position)
	}
	return a.Value.Raw, place(a.Position)
}

// texts gives a list of Strings with the place of each; nil when it is absent.
func (l *linter) texts(d *ast.Directive, name string) ([]string, []Position) {
	a := l.argument(d, name)
	if a == nil {
		return nil, nil
	}
	if a.Value.Kind != ast.ListValue {
		return []string{a.Value.Raw}, []Position{place(a.Position)}
	}
	values, places := make([]string, 0, len(a.Value.Children)), make([]Position, 0, len(a.Value.Children))
	for _, c := range a.Value.Children {
		values = append(values, c.Value.Raw)
		places = append(places, place(c.Value.Position))
	}
	return values, places
}

// flag gives a Boolean argument, false when it is absent.
func (l *linter) flag(d *ast.Directive, name string) bool {
	a := l.argument(d, name)
	return a != nil && a.Value.Raw == "true"
}
