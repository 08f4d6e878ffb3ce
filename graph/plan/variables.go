package plan

import (
	"fmt"
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/schema"
)

// CoerceVariables checks the variables of a request against the operation's
// definitions, as strictly as graphql-js 16, and gives them in the one form that
// planning and execution know (see the table above [ErrLiteral]). raw is decoded
// JSON with numbers as json.Number; what the operation does not define is
// ignored. Absent variables without a default stay absent. The result shares no
// memory with raw. Errors name variables and input fields of the schema, never a
// value or a key of raw.
func CoerceVariables(api *ast.Schema, op *ast.OperationDefinition, raw map[string]any, limits Limits) (map[string]any, Errors) {
	out := make(map[string]any, len(op.VariableDefinitions))
	var errs Errors
	for _, def := range op.VariableDefinitions {
		c := coercion{api: api, limits: limits, definition: def}
		value, given := raw[def.Variable]
		if err := c.variable(out, value, given); err != nil {
			if errs = append(errs, err); len(errs) >= limits.Errors {
				break
			}
		}
	}
	if errs != nil {
		return nil, errs
	}
	return out, nil
}

// coercion is the coercion of one variable.
type coercion struct {
	api        *ast.Schema
	limits     Limits
	definition *ast.VariableDefinition
	path       []string // schema names and indices, for errors
}

func (c *coercion) variable(out map[string]any, value any, given bool) *Error {
	def := c.definition
	if !given {
		switch {
		case def.DefaultValue != nil:
			v, err := c.literal(def.Type, def.DefaultValue)
			if err != nil {
				return err
			}
			out[def.Variable] = v
		case def.Type.NonNull:
			return c.fail(GraphQLValidationFailed, fmt.Sprintf("of required type %q was not provided", def.Type))
		}
		return nil
	}
	v, err := c.value(def.Type, value, 1)
	if err != nil {
		return err
	}
	out[def.Variable] = v
	return nil
}

// value coerces decoded JSON. depth counts lists and objects, from 1.
func (c *coercion) value(t *ast.Type, value any, depth int) (any, *Error) {
	if value == nil {
		if t.NonNull {
			return nil, c.invalid(t)
		}
		return nil, nil
	}
	if depth > c.limits.VariableDepth {
		return nil, c.fail(LimitExceeded, fmt.Sprintf("has more than %d levels", c.limits.VariableDepth))
	}
	if t.Elem != nil {
		items, ok := value.([]any)
		if !ok {
			item, err := c.value(t.Elem, value, depth+1)
			if err != nil {
				return nil, err
			}
			return []any{item}, nil
		}
		return c.list(t.Elem, items, depth)
	}
	def := c.api.Types[t.NamedType]
	if def == nil {
		return nil, c.invalid(t)
	}
	switch def.Kind {
	case ast.Scalar:
		return c.scalar(t, value, depth)
	case ast.Enum:
		if name, ok := value.(string); ok && def.EnumValues.ForName(name) != nil {
			return name, nil
		}
	case ast.InputObject:
		if fields, ok := value.(map[string]any); ok {
			return c.object(def, fields, depth)
		}
	}
	return nil, c.invalid(t)
}

func (c *coercion) scalar(t *ast.Type, value any, depth int) (any, *Error) {
	kind, ok := scalarKind(t.NamedType)
	if !ok {
		return nil, c.invalid(t)
	}
	if kind == schema.JSON && !within(value, c.limits, depth) {
		return nil, c.fail(LimitExceeded, fmt.Sprintf("has more than %d levels, or more than %d items in a list", c.limits.VariableDepth, c.limits.ListItems))
	}
	v, ok := jsonScalar(kind, value)
	if !ok {
		return nil, c.invalid(t)
	}
	return v, nil
}

// within holds the inside of a JSON value to the limits.
func within(value any, limits Limits, depth int) bool {
	if depth > limits.VariableDepth {
		return false
	}
	switch value := value.(type) {
	case []any:
		if len(value) > limits.ListItems {
			return false
		}
		for _, item := range value {
			if !within(item, limits, depth+1) {
				return false
			}
		}
	case map[string]any:
		for _, item := range value {
			if !within(item, limits, depth+1) {
				return false
			}
		}
	}
	return true
}

func (c *coercion) list(elem *ast.Type, items []any, depth int) (any, *Error) {
	if len(items) > c.limits.ListItems {
		return nil, c.fail(LimitExceeded, fmt.Sprintf("has more than %d items in a list", c.limits.ListItems))
	}
	out := make([]any, len(items))
	for i, item := range items {
		c.path = append(c.path, strconv.Itoa(i))
		v, err := c.value(elem, item, depth+1)
		if err != nil {
			return nil, err
		}
		c.path = c.path[:len(c.path)-1]
		out[i] = v
	}
	return out, nil
}

func (c *coercion) object(def *ast.Definition, fields map[string]any, depth int) (any, *Error) {
	// The answer must not depend on the order of a map, nor repeat a key that
	// the schema does not have.
	for name := range fields {
		if def.Fields.ForName(name) == nil {
			return nil, c.fail(GraphQLValidationFailed, fmt.Sprintf("has a field that is not defined by type %q", def.Name))
		}
	}
	out := make(map[string]any, len(fields))
	for _, f := range def.Fields {
		c.path = append(c.path, f.Name)
		value, given := fields[f.Name]
		switch {
		case given:
			v, err := c.value(f.Type, value, depth+1)
			if err != nil {
				return nil, err
			}
			out[f.Name] = v
		case f.DefaultValue != nil:
			v, err := c.literal(f.Type, f.DefaultValue)
			if err != nil {
				return nil, err
			}
			out[f.Name] = v
		case f.Type.NonNull:
			return nil, c.fail(GraphQLValidationFailed, fmt.Sprintf("of required type %q was not provided", f.Type))
		}
		c.path = c.path[:len(c.path)-1]
	}
	if isOneOf(def) {
		if len(fields) != 1 {
			return nil, c.fail(GraphQLValidationFailed, fmt.Sprintf("must specify exactly one key of %q", def.Name))
		}
		for name := range fields {
			if out[name] == nil {
				c.path = append(c.path, name)
				return nil, c.fail(GraphQLValidationFailed, "must be non-null")
			}
		}
	}
	return out, nil
}

// literal coerces a constant of the schema or of the document.
func (c *coercion) literal(t *ast.Type, v *ast.Value) (any, *Error) {
	out, ok := coerceLiteral(c.api, t, v)
	if !ok {
		return nil, c.invalid(t)
	}
	return out, nil
}

// coerceLiteral coerces a literal without variables to the form of coerced
// variables, defaults of input fields included.
func coerceLiteral(api *ast.Schema, t *ast.Type, v *ast.Value) (any, bool) {
	if v.Kind == ast.NullValue {
		return nil, !t.NonNull
	}
	if t.Elem != nil {
		items := ast.ChildValueList{{Value: v}}
		if v.Kind == ast.ListValue {
			items = v.Children
		}
		out := make([]any, len(items))
		for i, item := range items {
			var ok bool
			if out[i], ok = coerceLiteral(api, t.Elem, item.Value); !ok {
				return nil, false
			}
		}
		return out, true
	}
	def := api.Types[t.NamedType]
	if def == nil {
		return nil, false
	}
	switch def.Kind {
	case ast.Scalar:
		kind, ok := scalarKind(def.Name)
		if !ok {
			return nil, false
		}
		return literalScalar(kind, v)
	case ast.Enum:
		return v.Raw, v.Kind == ast.EnumValue && def.EnumValues.ForName(v.Raw) != nil
	case ast.InputObject:
		if v.Kind != ast.ObjectValue || objectProblem(v, def) != "" {
			return nil, false
		}
		out := make(map[string]any, len(v.Children))
		for _, f := range def.Fields {
			child := v.Children.ForName(f.Name)
			if child == nil {
				child = f.DefaultValue
			}
			if child == nil {
				continue
			}
			value, ok := coerceLiteral(api, f.Type, child)
			if !ok {
				return nil, false
			}
			out[f.Name] = value
		}
		return out, true
	default:
		return nil, false
	}
}

func (c *coercion) invalid(t *ast.Type) *Error {
	return c.fail(GraphQLValidationFailed, fmt.Sprintf("is not a value of type %q", t))
}

// fail builds the sentence: variable, place within it, what is wrong.
func (c *coercion) fail(code Code, what string) *Error {
	message := fmt.Sprintf("Variable %q", "$"+shorten(c.definition.Variable))
	if len(c.path) > 0 {
		message += " at "
		for i, p := range c.path {
			if i > 0 {
				message += "."
			}
			message += p
		}
	}
	return &Error{Code: code, Message: message + " " + what + ".", Locations: locations(c.definition.Position)}
}

// Resolve gives the value of an argument for one request: coerced variables,
// and the reader's attributes. What is absent is the default, else NULL; an
// attribute that is no value of the kind is NULL, so that a scope over it is
// unknown. Cursors' values are the executor's to resolve.
func Resolve(v Value, vars map[string]any, attrs map[string]string) (adapters.Arg, error) {
	switch v.From {
	case FromConst:
		return v.Const, nil
	case FromSubject:
		text, ok := attrs[v.Name]
		if ok && text != "" && v.Kind != schema.Enum {
			text, ok = scalarText(v.Kind, text)
		}
		if !ok || text == "" {
			return adapters.Arg{Null: true}, nil
		}
		if v.List {
			return adapters.Arg{List: []string{text}}, nil
		}
		return adapters.Arg{Text: text}, nil
	case FromVariable:
		value, given := walkPath(vars, v.Name, v.Path)
		if !given {
			if v.Default != nil {
				return *v.Default, nil
			}
			return adapters.Arg{Null: true}, nil
		}
		return coercedArg(value, v.Kind, v.List)
	case FromSum:
		return sum(v.Terms, vars)
	default:
		return adapters.Arg{}, fmt.Errorf("%w: not resolvable from a request", ErrLiteral)
	}
}

// walkPath leads into a coerced variable; given is false where it ends early.
func walkPath(vars map[string]any, name string, path []any) (value any, given bool) {
	value, given = vars[name]
	for _, step := range path {
		if !given {
			return nil, false
		}
		switch step := step.(type) {
		case string:
			object, _ := value.(map[string]any)
			value, given = object[step]
		case int:
			list, _ := value.([]any)
			if given = step >= 0 && step < len(list); given {
				value = list[step]
			}
		default:
			return nil, false
		}
	}
	return value, given
}

func coercedArg(value any, kind schema.Scalar, list bool) (adapters.Arg, error) {
	if value == nil {
		return adapters.Arg{Null: true}, nil
	}
	if !list {
		text, ok := ArgText(kind, value)
		if !ok {
			return adapters.Arg{}, ErrLiteral
		}
		return adapters.Arg{Text: text}, nil
	}
	items, ok := value.([]any)
	if !ok {
		items = []any{value}
	}
	arg := adapters.Arg{List: make([]string, len(items))}
	for i, item := range items {
		text, ok := ArgText(kind, item)
		if !ok {
			return adapters.Arg{}, ErrLiteral
		}
		arg.List[i] = text
	}
	return arg, nil
}
