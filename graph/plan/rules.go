package plan

import (
	"fmt"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// documentRules are the rules of the specification (and graphql-js's bound on
// introspection), none of which suggests a name: a suggestion would tell of
// fields that the reader may not know. The rule on values is our own, because
// the parser's lets a number beyond 32 bits and an object for a scalar pass,
// does not know our scalars, and repeats the values in its messages.
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
		rules.SingleFieldSubscriptionsRule,
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
