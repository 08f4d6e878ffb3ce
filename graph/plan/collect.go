package plan

import (
	"slices"

	"github.com/vektah/gqlparser/v2/ast"
)

// selection is one response key of an object with all fields of that key, whose
// arguments are the same and whose own selections are merged.
type selection struct {
	key   string
	nodes []*ast.Field
}

// collect is CollectFields of the GraphQL specification (6.3.2) for an object
// of a concrete type: document order, fragments that apply, @skip and @include.
func (b *builder) collect(typeName string, sets ...ast.SelectionSet) []selection {
	var out []selection
	at := map[string]int{}
	visited := map[string]bool{}
	var walk func(set ast.SelectionSet)
	walk = func(set ast.SelectionSet) {
		for _, s := range set {
			switch s := s.(type) {
			case *ast.Field:
				if !b.included(s.Directives) {
					continue
				}
				key := s.Alias
				if key == "" {
					key = s.Name
				}
				i, ok := at[key]
				if !ok {
					i = len(out)
					at[key] = i
					out = append(out, selection{key: key})
				}
				out[i].nodes = append(out[i].nodes, s)
			case *ast.InlineFragment:
				if b.included(s.Directives) && b.applies(s.TypeCondition, typeName) {
					walk(s.SelectionSet)
				}
			case *ast.FragmentSpread:
				if visited[s.Name] || !b.included(s.Directives) {
					continue
				}
				visited[s.Name] = true
				if s.Definition != nil && b.applies(s.Definition.TypeCondition, typeName) {
					walk(s.Definition.SelectionSet)
				}
			}
		}
	}
	for _, set := range sets {
		walk(set)
	}
	return out
}

// sets gives the sub-selections of fields of one response key.
func sets(nodes []*ast.Field) []ast.SelectionSet {
	out := make([]ast.SelectionSet, 0, len(nodes))
	for _, n := range nodes {
		out = append(out, n.SelectionSet)
	}
	return out
}

func (b *builder) included(ds ast.DirectiveList) bool {
	for _, d := range ds {
		if d.Name != "skip" && d.Name != "include" {
			continue
		}
		a := d.Arguments.ForName("if")
		if a == nil {
			return false
		}
		in := b.input(a.Value)
		if in.state == null {
			// Only a variable with a default, stated as null, comes this far.
			b.failf(GraphQLValidationFailed, "the condition of @"+d.Name+" is null", "", in.position)
		}
		truth, ok := in.value.(bool)
		if in.literal != nil {
			truth, ok = in.literal.Raw == "true", in.literal.Kind == ast.BooleanValue
		}
		if !ok || truth == (d.Name == "skip") {
			return false
		}
	}
	return true
}

// applies reports whether a fragment on a type condition applies to an object
// of the concrete type.
func (b *builder) applies(condition, typeName string) bool {
	if condition == "" || condition == typeName {
		return true
	}
	def := b.req.Document.shape.api.Types[condition]
	if def == nil || !def.IsAbstractType() {
		return false
	}
	return slices.ContainsFunc(b.req.Document.shape.api.GetPossibleTypes(def), func(d *ast.Definition) bool { return d.Name == typeName })
}
