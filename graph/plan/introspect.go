package plan

import (
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// maxIntrospectionBytes bounds one __schema or __type: within the limits on
// shape, a schema of a thousand types can still be asked for many times over.
const maxIntrospectionBytes = 16 << 20

// Introspect gives the JSON value of a __schema or __type field: what the
// schema is, in the order of the selection. Types and directives are sorted by
// name, everything else stands as in SDL, so equal schemas give equal bytes.
// Where several selections of one response key were merged, f holds the
// selection sets of all of them. vars are coerced. It fails with [LimitExceeded]
// when the answer would be out of all proportion.
func Introspect(api *ast.Schema, f *ast.Field, vars map[string]any) ([]byte, error) {
	i := &introspection{api: api, vars: vars}
	n := i.compile([]ast.SelectionSet{f.SelectionSet}, metaTypeOf(f))
	switch f.Name {
	case "__schema":
		i.names = typeNames(api)
		i.object(n, i.schemaField)
	case "__type":
		i.names = typeNames(api)
		name, _ := i.argument(f, "name").(string)
		if _, known := slices.BinarySearch(i.names, name); known {
			i.typeObject(n, &ast.Type{NamedType: name})
		} else {
			i.null()
		}
	default:
		return nil, &Error{Code: Internal, Message: "not an introspection field"}
	}
	if i.full() {
		return nil, &Error{Code: LimitExceeded, Message: "the introspection is too large", Locations: locations(f.Position)}
	}
	return i.out, nil
}

func metaTypeOf(f *ast.Field) string {
	if f.Name == "__schema" {
		return "__Schema"
	}
	return "__Type"
}

// introspection is one call's state.
type introspection struct {
	api   *ast.Schema
	vars  map[string]any
	names []string // of all types, sorted
	out   []byte
}

// metaNode is a selection on one meta-type: merged, conditions applied, fragments
// expanded. Meta-types are never abstract, so it is the same for every object.
type metaNode struct {
	typename string
	entries  []metaEntry
}

type metaEntry struct {
	key   string
	field *ast.Field // the first of the merged; arguments are equal in all
	below *metaNode  // nil for leaves
}

func (i *introspection) compile(sets []ast.SelectionSet, typename string) *metaNode {
	n := &metaNode{typename: typename}
	below := make(map[string][]ast.SelectionSet)
	for _, set := range sets {
		i.collect(set, n, below)
	}
	for k := range n.entries {
		e := &n.entries[k]
		if sets := below[e.key]; len(sets) > 0 && e.field.Definition != nil {
			e.below = i.compile(sets, e.field.Definition.Type.Name())
		}
	}
	return n
}

func (i *introspection) collect(set ast.SelectionSet, n *metaNode, below map[string][]ast.SelectionSet) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			if !i.included(s.Directives) {
				continue
			}
			if !slices.ContainsFunc(n.entries, func(e metaEntry) bool { return e.key == s.Alias }) {
				n.entries = append(n.entries, metaEntry{key: s.Alias, field: s})
			}
			if len(s.SelectionSet) > 0 {
				below[s.Alias] = append(below[s.Alias], s.SelectionSet)
			}
		case *ast.InlineFragment:
			if i.included(s.Directives) && (s.TypeCondition == "" || s.TypeCondition == n.typename) {
				i.collect(s.SelectionSet, n, below)
			}
		case *ast.FragmentSpread:
			if i.included(s.Directives) && s.Definition != nil && s.Definition.TypeCondition == n.typename {
				i.collect(s.Definition.SelectionSet, n, below)
			}
		}
	}
}

func (i *introspection) included(ds ast.DirectiveList) bool {
	for _, d := range ds {
		if d.Name != "skip" && d.Name != "include" {
			continue
		}
		a := d.Arguments.ForName("if")
		if a == nil {
			return false
		}
		if b, ok := i.value(a.Value).(bool); !ok || b == (d.Name == "skip") {
			return false
		}
	}
	return true
}

// argument gives a stated argument, nil when it is absent.
func (i *introspection) argument(f *ast.Field, name string) any {
	if a := f.Arguments.ForName(name); a != nil {
		return i.value(a.Value)
	}
	return nil
}

// value reads a String or Boolean.
func (i *introspection) value(v *ast.Value) any {
	switch v.Kind {
	case ast.Variable:
		return i.vars[v.Raw]
	case ast.BooleanValue:
		return v.Raw == "true"
	case ast.StringValue, ast.BlockValue:
		return v.Raw
	default:
		return nil
	}
}

func (i *introspection) full() bool { return len(i.out) > maxIntrospectionBytes }

func (i *introspection) null() { i.out = append(i.out, "null"...) }

func (i *introspection) boolean(b bool) {
	if b {
		i.out = append(i.out, "true"...)
	} else {
		i.out = append(i.out, "false"...)
	}
}

func (i *introspection) text(s string) { i.out = appendJSONString(i.out, s) }

// description writes what the documentation says, null for nothing.
func (i *introspection) description(s string) {
	if s == "" {
		i.null()
		return
	}
	i.text(s)
}

// object writes one object; field writes the value of one entry that is not
// __typename.
func (i *introspection) object(n *metaNode, field func(metaEntry)) {
	i.out = append(i.out, '{')
	for k, e := range n.entries {
		if k > 0 {
			i.out = append(i.out, ',')
		}
		i.text(e.key)
		i.out = append(i.out, ':')
		if e.field.Name == "__typename" {
			i.text(n.typename)
			continue
		}
		field(e)
	}
	i.out = append(i.out, '}')
}

// writeList writes the items until the bound is reached; then the answer is refused.
func writeList[T any](i *introspection, items []T, item func(T)) {
	i.out = append(i.out, '[')
	for k, x := range items {
		if i.full() {
			break
		}
		if k > 0 {
			i.out = append(i.out, ',')
		}
		item(x)
	}
	i.out = append(i.out, ']')
}

func (i *introspection) schemaField(e metaEntry) {
	switch e.field.Name {
	case "description":
		i.description(i.api.Description)
	case "types":
		writeList(i, i.names, func(name string) { i.typeObject(e.below, &ast.Type{NamedType: name}) })
	case "queryType":
		i.root(e, i.api.Query)
	case "mutationType":
		i.root(e, i.api.Mutation)
	case "subscriptionType":
		i.root(e, i.api.Subscription)
	case "directives":
		writeList(i, clientDirectives(i.api), func(d *ast.DirectiveDefinition) {
			i.object(e.below, func(e metaEntry) { i.directiveField(d, e) })
		})
	default:
		i.null()
	}
}

func (i *introspection) root(e metaEntry, def *ast.Definition) {
	if def == nil {
		i.null()
		return
	}
	i.typeObject(e.below, &ast.Type{NamedType: def.Name})
}

func (i *introspection) directiveField(d *ast.DirectiveDefinition, e metaEntry) {
	switch e.field.Name {
	case "name":
		i.text(d.Name)
	case "description":
		i.description(d.Description)
	case "isRepeatable":
		i.boolean(d.IsRepeatable)
	case "locations":
		writeList(i, d.Locations, func(l ast.DirectiveLocation) { i.text(string(l)) })
	case "args":
		i.arguments(e, d.Arguments)
	default:
		i.null()
	}
}

// typeObject writes a type reference: a wrapper, or the named type.
func (i *introspection) typeObject(n *metaNode, t *ast.Type) {
	switch {
	case t.NonNull:
		nullable := *t
		nullable.NonNull = false
		i.wrapper(n, "NON_NULL", &nullable)
	case t.Elem != nil:
		i.wrapper(n, "LIST", t.Elem)
	default:
		def := i.api.Types[t.NamedType]
		if def == nil {
			i.null()
			return
		}
		i.object(n, func(e metaEntry) { i.typeField(def, e) })
	}
}

func (i *introspection) wrapper(n *metaNode, kind string, of *ast.Type) {
	i.object(n, func(e metaEntry) {
		switch e.field.Name {
		case "kind":
			i.text(kind)
		case "ofType":
			i.typeObject(e.below, of)
		default:
			i.null()
		}
	})
}

func (i *introspection) typeField(def *ast.Definition, e metaEntry) {
	switch e.field.Name {
	case "kind":
		i.text(string(def.Kind))
	case "name":
		i.text(def.Name)
	case "description":
		i.description(def.Description)
	case "specifiedByURL":
		i.directiveText(def.Directives, "specifiedBy", "url")
	case "fields":
		i.fields(def, e)
	case "interfaces":
		if def.Kind != ast.Object && def.Kind != ast.Interface {
			i.null()
			return
		}
		writeList(i, def.Interfaces, func(name string) { i.typeObject(e.below, &ast.Type{NamedType: name}) })
	case "possibleTypes":
		i.possibleTypes(def, e)
	case "enumValues":
		i.enumValues(def, e)
	case "inputFields":
		i.inputFields(def, e)
	case "isOneOf":
		if def.Kind != ast.InputObject {
			i.null()
			return
		}
		i.boolean(isOneOf(def))
	default: // ofType
		i.null()
	}
}

func (i *introspection) fields(def *ast.Definition, e metaEntry) {
	if def.Kind != ast.Object && def.Kind != ast.Interface {
		i.null()
		return
	}
	var shown []*ast.FieldDefinition
	for _, f := range def.Fields {
		// The parser lists __schema and __type among the fields of Query.
		if !strings.HasPrefix(f.Name, "__") && i.shown(e, f.Directives) {
			shown = append(shown, f)
		}
	}
	writeList(i, shown, func(f *ast.FieldDefinition) {
		i.object(e.below, func(e metaEntry) { i.fieldField(f, e) })
	})
}

func (i *introspection) fieldField(f *ast.FieldDefinition, e metaEntry) {
	switch e.field.Name {
	case "name":
		i.text(f.Name)
	case "description":
		i.description(f.Description)
	case "args":
		i.arguments(e, f.Arguments)
	case "type":
		i.typeObject(e.below, f.Type)
	default:
		i.deprecation(f.Directives, e)
	}
}

func (i *introspection) possibleTypes(def *ast.Definition, e metaEntry) {
	if !def.IsAbstractType() {
		i.null()
		return
	}
	var names []string
	for _, t := range i.api.GetPossibleTypes(def) {
		if t.Kind == ast.Object {
			names = append(names, t.Name)
		}
	}
	slices.Sort(names)
	writeList(i, slices.Compact(names), func(name string) { i.typeObject(e.below, &ast.Type{NamedType: name}) })
}

func (i *introspection) enumValues(def *ast.Definition, e metaEntry) {
	if def.Kind != ast.Enum {
		i.null()
		return
	}
	var shown []*ast.EnumValueDefinition
	for _, v := range def.EnumValues {
		if i.shown(e, v.Directives) {
			shown = append(shown, v)
		}
	}
	writeList(i, shown, func(v *ast.EnumValueDefinition) {
		i.object(e.below, func(e metaEntry) {
			switch e.field.Name {
			case "name":
				i.text(v.Name)
			case "description":
				i.description(v.Description)
			default:
				i.deprecation(v.Directives, e)
			}
		})
	})
}

func (i *introspection) inputFields(def *ast.Definition, e metaEntry) {
	if def.Kind != ast.InputObject {
		i.null()
		return
	}
	var args ast.ArgumentDefinitionList
	for _, f := range def.Fields {
		args = append(args, &ast.ArgumentDefinition{
			Name: f.Name, Description: f.Description, Type: f.Type,
			DefaultValue: f.DefaultValue, Directives: f.Directives,
		})
	}
	i.arguments(e, args)
}

func (i *introspection) arguments(e metaEntry, args ast.ArgumentDefinitionList) {
	var shown []*ast.ArgumentDefinition
	for _, a := range args {
		if i.shown(e, a.Directives) {
			shown = append(shown, a)
		}
	}
	writeList(i, shown, func(a *ast.ArgumentDefinition) {
		i.object(e.below, func(e metaEntry) {
			switch e.field.Name {
			case "name":
				i.text(a.Name)
			case "description":
				i.description(a.Description)
			case "type":
				i.typeObject(e.below, a.Type)
			case "defaultValue":
				if a.DefaultValue == nil {
					i.null()
					return
				}
				i.text(string(appendLiteral(nil, a.DefaultValue, a.Type, i.api)))
			default:
				i.deprecation(a.Directives, e)
			}
		})
	})
}

// shown applies includeDeprecated of the list's selection to one member.
func (i *introspection) shown(e metaEntry, ds ast.DirectiveList) bool {
	if ds.ForName("deprecated") == nil {
		return true
	}
	include, _ := i.argument(e.field, "includeDeprecated").(bool)
	return include
}

func (i *introspection) deprecation(ds ast.DirectiveList, e metaEntry) {
	switch e.field.Name {
	case "isDeprecated":
		i.boolean(ds.ForName("deprecated") != nil)
	case "deprecationReason":
		if d := ds.ForName("deprecated"); d != nil && d.Arguments.ForName("reason") == nil {
			i.text("No longer supported")
			return
		}
		i.directiveText(ds, "deprecated", "reason")
	default:
		i.null()
	}
}

func (i *introspection) directiveText(ds ast.DirectiveList, directive, argument string) {
	if d := ds.ForName(directive); d != nil {
		if a := d.Arguments.ForName(argument); a != nil && a.Value.Kind != ast.NullValue {
			i.text(a.Value.Raw)
			return
		}
	}
	i.null()
}

// clientDirectives are those that a client can meet, sorted by name.
func clientDirectives(api *ast.Schema) []*ast.DirectiveDefinition {
	var out []*ast.DirectiveDefinition
	for _, d := range withoutDefer(api).Directives {
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b *ast.DirectiveDefinition) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// typeNames lists the schema's types, sorted. Of the scalars that every schema
// has, Int, Float and ID are part of it only where something is of that type.
func typeNames(api *ast.Schema) []string {
	used := make(map[string]bool)
	arguments := func(args ast.ArgumentDefinitionList) {
		for _, a := range args {
			used[a.Type.Name()] = true
		}
	}
	for _, def := range api.Types {
		for _, f := range def.Fields {
			used[f.Type.Name()] = true
			arguments(f.Arguments)
		}
	}
	for _, d := range clientDirectives(api) {
		arguments(d.Arguments)
	}
	var names []string
	for name := range api.Types {
		switch name {
		case "Int", "Float", "ID":
			if !used[name] {
				continue
			}
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
