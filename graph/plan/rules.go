package plan

import (
	"fmt"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// documentRules are the rules of the specification (and graphql-js's bound on
// introspection), none of which suggests a name: a suggestion would tell of
// fields that the reader may not know. The rule on values is our own, because
// the parser's lets a number beyond 32 bits and an object for a scalar pass,
// does not know our scalars, and repeats the values in its messages; so is that
// on subscriptions, because the parser's counts names and not what they answer to.
func documentRules() *rules.Rules {
	return rules.NewRules(
		rules.FieldsOnCorrectTypeRuleWithoutSuggestions,
		rules.FragmentsOnCompositeTypesRule,
		rules.KnownArgumentNamesRuleWithoutSuggestions,
		rules.KnownDirectivesRule,
		rules.KnownFragmentNamesRule,
		rules.KnownRootTypeRule,
		rules.KnownTypeNamesRuleWithoutSuggestions,
		rules.LoneAnonymousOperationRule,
		rules.MaxIntrospectionDepth,
		rules.NoFragmentCyclesRule,
		rules.NoUndefinedVariablesRule,
		rules.NoUnusedFragmentsRule,
		rules.NoUnusedVariablesRule,
		rules.OverlappingFieldsCanBeMergedRule,
		rules.PossibleFragmentSpreadsRule,
		rules.ProvidedRequiredArgumentsRule,
		rules.ScalarLeafsRuleWithoutSuggestions,
		singleFieldSubscriptions(),
		rules.UniqueArgumentNamesRule,
		rules.UniqueDirectivesPerLocationRule,
		rules.UniqueFragmentNamesRule,
		rules.UniqueInputFieldNamesRule,
		rules.UniqueOperationNamesRule,
		rules.UniqueVariableNamesRule,
		valuesOfCorrectType(),
		rules.VariablesAreInputTypesRule,
		rules.VariablesInAllowedPositionRule,
	)
}

// singleFieldSubscriptions holds a subscription to one root field, whatever its
// variables say: what is skipped would leave none.
func singleFieldSubscriptions() core.Rule {
	return core.Rule{Name: "SingleFieldSubscriptions", RuleFunc: func(on *core.Events, add core.AddErrFunc) {
		on.OnOperation(func(_ *core.Walker, op *ast.OperationDefinition) {
			if op.Operation != ast.Subscription {
				return
			}
			name := "Anonymous Subscription"
			if op.Name != "" {
				name = fmt.Sprintf("Subscription %q", op.Name)
			}
			r := subscriptionRoots{keys: map[string]bool{}, spread: map[string]bool{}, add: func(problem string, at *ast.Position) {
				add(core.Message("%s %s", name, problem), core.At(at))
			}}
			r.walk(op.SelectionSet)
		})
	}}
}

// subscriptionRoots are the response keys that a subscription's root selects.
type subscriptionRoots struct {
	keys, spread map[string]bool
	several      bool
	add          func(problem string, at *ast.Position)
}

func (r *subscriptionRoots) walk(set ast.SelectionSet) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			r.unconditional(s.Directives)
			if strings.HasPrefix(s.Name, "__") {
				r.add("must not select an introspection top level field.", s.Position)
			}
			r.keys[s.Alias] = true
			if len(r.keys) > 1 && !r.several {
				r.several = true
				r.add("must select only one top level field.", s.Position)
			}
		case *ast.InlineFragment:
			r.unconditional(s.Directives)
			r.walk(s.SelectionSet)
		case *ast.FragmentSpread:
			r.unconditional(s.Directives)
			if s.Definition != nil && !r.spread[s.Name] {
				r.spread[s.Name] = true
				r.walk(s.Definition.SelectionSet)
			}
		}
	}
}

func (r *subscriptionRoots) unconditional(list ast.DirectiveList) {
	for _, d := range list {
		if d.Name == "skip" || d.Name == "include" {
			r.add("must not use @skip or @include in the top level selection.", d.Position)
		}
	}
}

// valuesOfCorrectType checks every literal of a document against its position,
// as strictly as variables are checked.
func valuesOfCorrectType() core.Rule {
	return core.Rule{Name: "ValuesOfCorrectType", RuleFunc: func(on *core.Events, add core.AddErrFunc) {
		on.OnValue(func(_ *core.Walker, v *ast.Value) {
			// Positions of unknown arguments and fields have no type; other
			// rules report those.
			if v.ExpectedType == nil || v.Definition == nil {
				return
			}
			if message := literalProblem(v); message != "" {
				add(core.Message("%s", message), core.At(v.Position))
			}
		})
	}}
}

// literalProblem says what is wrong with one literal, its children apart; ""
// for nothing.
func literalProblem(v *ast.Value) string {
	expected, def := v.ExpectedType, v.Definition
	wrong := fmt.Sprintf(`Expected a value of type "%s".`, expected)
	switch v.Kind {
	case ast.Variable:
		return ""
	case ast.NullValue:
		if expected.NonNull {
			return wrong
		}
		return ""
	case ast.ListValue:
		if expected.Elem != nil {
			return ""
		}
	}
	// A single value stands for a list of one, so def alone matters now.
	switch def.Kind {
	case ast.Scalar:
		kind, ok := scalarKind(def.Name)
		if !ok {
			return wrong
		}
		if _, ok := literalScalar(kind, v); !ok {
			return wrong
		}
		return ""
	case ast.Enum:
		if v.Kind != ast.EnumValue {
			return wrong
		}
		if def.EnumValues.ForName(v.Raw) == nil {
			return fmt.Sprintf(`The value does not exist in "%s" enum.`, def.Name)
		}
		return ""
	case ast.InputObject:
		if v.Kind != ast.ObjectValue {
			return wrong
		}
		return objectProblem(v, def)
	default:
		return wrong
	}
}

func objectProblem(v *ast.Value, def *ast.Definition) string {
	for _, child := range v.Children {
		if def.Fields.ForName(child.Name) == nil {
			return fmt.Sprintf(`Field "%s" is not defined by type "%s".`, child.Name, def.Name)
		}
	}
	for _, f := range def.Fields {
		if f.Type.NonNull && f.DefaultValue == nil && v.Children.ForName(f.Name) == nil {
			return fmt.Sprintf(`Field "%s.%s" of required type "%s" was not provided.`, def.Name, f.Name, f.Type)
		}
	}
	if !isOneOf(def) {
		return ""
	}
	if len(v.Children) != 1 {
		return fmt.Sprintf(`OneOf Input Object "%s" must specify exactly one key.`, def.Name)
	}
	if v.Children[0].Value.Kind == ast.NullValue {
		return fmt.Sprintf(`Field "%s.%s" must be non-null.`, def.Name, v.Children[0].Name)
	}
	return ""
}

func isOneOf(def *ast.Definition) bool { return def.Directives.ForName("oneOf") != nil }
