package plan

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/schema"
)

// decode reads JSON as the gateway does.
func decode(tb testing.TB, text string) map[string]any {
	tb.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var out map[string]any
	if err := d.Decode(&out); err != nil {
		tb.Fatal(err)
	}
	return out
}

// scalarCases are values in JSON and what becomes of them; nil for a refusal.
// For the five of the specification they are what graphql-js 16 does.
func scalarCases() []struct {
	kind schema.Scalar
	json string
	want any
} {
	type c = struct {
		kind schema.Scalar
		json string
		want any
	}
	return []c{
		{schema.Int, `5`, "5"},
		{schema.Int, `-2147483648`, "-2147483648"},
		{schema.Int, `2147483648`, nil},
		{schema.Int, `-2147483649`, nil},
		{schema.Int, `1.0`, "1"},
		{schema.Int, `1e2`, "100"},
		{schema.Int, `-0`, "0"},
		{schema.Int, `1.5`, nil},
		{schema.Int, `1e999`, nil},
		{schema.Int, `"5"`, nil},
		{schema.Int, `true`, nil},
		{schema.Int, `[5, 6]`, nil},
		{schema.Int, `{}`, nil},
		{schema.Float, `5`, "5"},
		{schema.Float, `0.1`, "0.1"},
		{schema.Float, `1e999`, nil},
		{schema.Float, `"NaN"`, nil},
		{schema.Float, `"1.5"`, nil},
		{schema.Float, `false`, nil},
		{schema.String, `"公安"`, "公安"},
		{schema.String, `""`, ""},
		{schema.String, `5`, nil},
		{schema.String, `true`, nil},
		{schema.String, `"a\u0000b"`, nil},
		{schema.ID, `"a"`, "a"},
		{schema.ID, `5`, "5"},
		{schema.ID, `9007199254740993`, "9007199254740993"},
		{schema.ID, `1.0`, "1"},
		{schema.ID, `1.5`, nil},
		{schema.ID, `true`, nil},
		{schema.Boolean, `true`, true},
		{schema.Boolean, `false`, false},
		{schema.Boolean, `"true"`, nil},
		{schema.Boolean, `1`, nil},
		{schema.Date, `"2024-02-29"`, "2024-02-29"},
		{schema.Date, `"2023-02-29"`, nil},
		{schema.Date, `"0000-01-01"`, nil},
		{schema.Date, `"2023-1-1"`, nil},
		{schema.Date, `"2023-01-01T00:00:00Z"`, nil},
		{schema.Date, `20230101`, nil},
		{schema.DateTime, `"2023-01-01T08:30:00+08:00"`, "2023-01-01T00:30:00Z"},
		{schema.DateTime, `"2023-01-01T00:30:00.120Z"`, "2023-01-01T00:30:00.12Z"},
		{schema.DateTime, `"2023-01-01T00:30:00.123456-00:00"`, "2023-01-01T00:30:00.123456Z"},
		{schema.DateTime, `"2023-01-01T00:30:00.1234567Z"`, nil},
		{schema.DateTime, `"2023-01-01T00:30:00.Z"`, nil},
		{schema.DateTime, `"2023-01-01T00:30:00,5Z"`, nil},
		{schema.DateTime, `"2023-01-01T00:30:00"`, nil},
		{schema.DateTime, `"2023-01-01 00:30:00Z"`, nil},
		{schema.DateTime, `"2023-01-01T0:30:00Z"`, nil},
		{schema.DateTime, `"2023-01-01T24:00:00Z"`, nil},
		{schema.DateTime, `"2023-01-01T00:30:60Z"`, nil},
		{schema.DateTime, `"2023-01-01T00:30:00+24:00"`, nil},
		{schema.DateTime, `"0001-01-01T00:00:00+08:00"`, nil},
		{schema.Time, `"08:30:00"`, "08:30:00"},
		{schema.Time, `"08:30:00.500"`, "08:30:00.5"},
		{schema.Time, `"8:30:00"`, nil},
		{schema.Time, `"08:30"`, nil},
		{schema.Time, `"24:00:00"`, nil},
		{schema.Decimal, `"12.50"`, "12.50"},
		{schema.Decimal, `"-0.5"`, "-0.5"},
		{schema.Decimal, `12.5`, "12.5"},
		{schema.Decimal, `"1e5"`, nil},
		{schema.Decimal, `1e5`, nil},
		{schema.Decimal, `".5"`, nil},
		{schema.Decimal, `"5."`, nil},
		{schema.Decimal, `"+5"`, nil},
		{schema.Decimal, `"NaN"`, nil},
		{schema.Decimal, `"` + strings.Repeat("9", maxDigits+1) + `"`, nil},
		{schema.BigInt, `"9223372036854775807"`, "9223372036854775807"},
		{schema.BigInt, `"9223372036854775808"`, nil},
		{schema.BigInt, `"007"`, "7"},
		{schema.BigInt, `7`, "7"},
		{schema.BigInt, `"7.0"`, nil},
		{schema.BigInt, `""`, nil},
		{schema.UUID, `"F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6"`, "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"},
		{schema.UUID, `"f81d4fae7dec11d0a76500a0c91e6bf6"`, nil},
		{schema.UUID, `"{f81d4fae-7dec-11d0-a765-00a0c91e6bf6}"`, nil},
		{schema.JSON, `{"b": [1.50, null], "a": "<&>"}`, `{"a":"<&>","b":[1.50,null]}`},
		{schema.JSON, `"x"`, `"x"`},
	}
}

func TestCoerceScalars(t *testing.T) {
	api := loadSchema(t, documentSDL)
	for _, test := range scalarCases() {
		t.Run(test.kind.String()+" "+test.json[:min(len(test.json), 40)], func(t *testing.T) {
			got, given, errs := coerceOne(api, &ast.Type{NamedType: test.kind.String()}, decode(t, `{"v":`+test.json+`}`))
			if test.want == nil {
				if len(errs) != 1 || errs[0].Code != GraphQLValidationFailed {
					t.Fatalf("got %v, %v; want a refusal", got, errs)
				}
				if strings.Contains(errs[0].Message, strings.Trim(test.json, `"`)) && len(test.json) > 3 {
					t.Errorf("the message tells the value: %s", errs[0].Message)
				}
				return
			}
			if errs != nil || !given || got != test.want {
				t.Errorf("got %v, %v; want %v", got, errs, test.want)
			}
		})
	}
}

// coerceOne coerces the variable $v without a document.
func coerceOne(api *ast.Schema, t *ast.Type, raw map[string]any) (any, bool, Errors) {
	op := &ast.OperationDefinition{VariableDefinitions: ast.VariableDefinitionList{{Variable: "v", Type: t}}}
	vars, errs := CoerceVariables(api, op, raw, DefaultLimits())
	v, given := vars["v"]
	return v, given, errs
}

// A literal of a document is held to the same rules as a variable.
func TestLiteralsAreCheckedLikeVariables(t *testing.T) {
	api := loadSchema(t, documentSDL)
	docs := newDocuments(t, api)
	field := map[schema.Scalar]string{
		schema.ID: "id", schema.Int: "int", schema.Float: "float", schema.Boolean: "boolean", schema.Date: "date",
		schema.DateTime: "dateTime", schema.Time: "time", schema.Decimal: "decimal", schema.BigInt: "bigInt", schema.UUID: "uuid",
	}
	for _, test := range scalarCases() {
		name, ok := field[test.kind]
		// Numbers that JSON and GraphQL read differently: 1.0 is no Int literal.
		if !ok || test.json == `1.0` || test.json == `1e2` || strings.HasPrefix(test.json, `{`) {
			continue
		}
		t.Run(test.kind.String()+" "+test.json[:min(len(test.json), 40)], func(t *testing.T) {
			doc, errs := docs.Get(`{ all(where: {` + name + `: ` + test.json + `}) { __typename } }`)
			if test.want == nil {
				if len(errs) != 1 || errs[0].Code != GraphQLValidationFailed {
					t.Fatalf("got %v; want a refusal", errs)
				}
				return
			}
			if errs != nil {
				t.Fatal(errs)
			}
			where, _ := doc.Query.Operations[0].SelectionSet[0].(*ast.Field)
			literal := where.Arguments[0].Value.Children[0].Value
			arg, err := LiteralArg(literal, test.kind, false)
			if test.json == `-0` {
				test.want = "0"
			}
			want, _ := ArgText(test.kind, test.want)
			if err != nil || arg.Text != want {
				t.Errorf("got %+v, %v; want %q", arg, err, want)
			}
		})
	}
}

func TestCoerceShapes(t *testing.T) {
	api := loadSchema(t, documentSDL)
	type object = map[string]any
	tests := []struct {
		name, typ, raw string
		want           any // refused when nil and not null
		null, absent   bool
	}{
		{name: "absent", typ: "Int", raw: `{}`, absent: true},
		{name: "null", typ: "Int", raw: `{"v":null}`, null: true},
		{name: "required and absent", typ: "Int!", raw: `{}`},
		{name: "required and null", typ: "Int!", raw: `{"v":null}`},
		{name: "default", typ: "Int = 7", raw: `{}`, want: "7"},
		{name: "null beats a default", typ: "Int = 7", raw: `{"v":null}`, null: true},
		{name: "required with default", typ: "Int! = 7", raw: `{}`, want: "7"},
		{
			name: "object default", typ: "AllWhere = {nested: {must: 1}, sex: F, ints: 3}", raw: `{}`,
			want: object{"nested": object{"must": "1", "text": "default"}, "sex": "F", "ints": []any{"3"}},
		},
		{name: "enum", typ: "Order", raw: `{"v":"ASC"}`, want: "ASC"},
		{name: "enum in another case", typ: "Order", raw: `{"v":"asc"}`},
		{name: "enum by number", typ: "Order", raw: `{"v":0}`},
		{name: "list", typ: "[Int!]", raw: `{"v":[1, 2]}`, want: []any{"1", "2"}},
		{name: "list of one", typ: "[Int!]", raw: `{"v":1}`, want: []any{"1"}},
		{name: "list with null", typ: "[Int]", raw: `{"v":[1, null]}`, want: []any{"1", nil}},
		{name: "list with a forbidden null", typ: "[Int!]", raw: `{"v":[null]}`},
		{name: "list of lists", typ: "[[Int]]", raw: `{"v":[1, [2, 3]]}`, want: []any{[]any{"1"}, []any{"2", "3"}}},
		{name: "list of lists of one", typ: "[[Int]]", raw: `{"v":1}`, want: []any{[]any{"1"}}},
		{
			name: "object with defaults", typ: "AllWhere", raw: `{"v":{"nested":{"must":1}}}`,
			want: object{"nested": object{"must": "1", "text": "default"}},
		},
		{
			name: "field null beats a default", typ: "AllWhere", raw: `{"v":{"nested":{"must":1,"text":null}}}`,
			want: object{"nested": object{"must": "1", "text": nil}},
		},
		{name: "required field absent", typ: "AllWhere", raw: `{"v":{"nested":{}}}`},
		{name: "unknown field", typ: "AllWhere", raw: `{"v":{"canary":1}}`},
		{name: "typename is no field", typ: "AllWhere", raw: `{"v":{"__typename":"AllWhere"}}`},
		{name: "object for a list element", typ: "[PersonOrder!]", raw: `{"v":{"name":"ASC"}}`, want: []any{object{"name": "ASC"}}},
		{name: "scalar for an object", typ: "AllWhere", raw: `{"v":"canary"}`},
		{name: "list for an object", typ: "AllWhere", raw: `{"v":[]}`},
		{name: "one of", typ: "PersonOrder", raw: `{"v":{"name":"DESC"}}`, want: object{"name": "DESC"}},
		{name: "one of none", typ: "PersonOrder", raw: `{"v":{}}`},
		{name: "one of two", typ: "PersonOrder", raw: `{"v":{"name":"DESC","born":"ASC"}}`},
		{name: "one of two, one null", typ: "PersonOrder", raw: `{"v":{"name":"DESC","born":null}}`},
		{name: "one of, null", typ: "PersonOrder", raw: `{"v":{"name":null}}`},
		{name: "JSON", typ: "JSON", raw: `{"v":{"a":[1]}}`, want: `{"a":[1]}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			op := operationWith(t, test.typ)
			raw := decode(t, test.raw)
			vars, errs := CoerceVariables(api, op, raw, DefaultLimits())
			got, given := vars["v"]
			switch {
			case test.want == nil && !test.null && !test.absent:
				if len(errs) != 1 || errs[0].Code != GraphQLValidationFailed {
					t.Fatalf("got %v, %v; want a refusal", got, errs)
				}
				if strings.Contains(errs[0].Message, "canary") {
					t.Errorf("the message tells of the request: %s", errs[0].Message)
				}
			case errs != nil || given == test.absent:
				t.Fatalf("got %v, %v", got, errs)
			default:
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			}
		})
	}
}

// operationWith gives an operation that defines $v.
func operationWith(tb testing.TB, typ string) *ast.OperationDefinition {
	tb.Helper()
	doc, err := parser.ParseQuery(&ast.Source{Input: `query($v: ` + typ + `) { __typename }`})
	if err != nil {
		tb.Fatal(err)
	}
	return doc.Operations[0]
}

func TestCoerceMessages(t *testing.T) {
	api := loadSchema(t, documentSDL)
	_, errs := CoerceVariables(api, operationWith(t, "[AllWhere!]"), decode(t, `{"v":[{},{"nested":{"must":"canary"}}]}`), DefaultLimits())
	want := Errors{{
		Code: GraphQLValidationFailed, Message: `Variable "$v" at 1.nested.must is not a value of type "Int!".`, Locations: []Location{{1, 7}},
	}}
	if diff := cmp.Diff(want, errs); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestCoerceLimits(t *testing.T) {
	api := loadSchema(t, documentSDL)
	deep := func(n int) string { return strings.Repeat(`{"_not":`, n-1) + `{}` + strings.Repeat(`}`, n-1) }
	tests := []struct {
		name, typ, raw string
		ok             bool
	}{
		{"1,000 items", "[Int!]", `[` + strings.Repeat("1,", 999) + `1]`, true},
		{"1,001 items", "[Int!]", `[` + strings.Repeat("1,", 1_000) + `1]`, false},
		{"depth 16", "PersonWhere", deep(16), true},
		{"depth 17", "PersonWhere", deep(17), false},
		{"depth 1,000", "PersonWhere", deep(1_000), false},
		{"JSON depth 16", "JSON", strings.Repeat("[", 15) + "1" + strings.Repeat("]", 15), true},
		{"JSON depth 17", "JSON", strings.Repeat("[", 17) + "1" + strings.Repeat("]", 17), false},
		{"JSON items", "JSON", `{"a":[` + strings.Repeat("1,", 1_000) + `1]}`, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, errs := CoerceVariables(api, operationWith(t, test.typ), decode(t, `{"v":`+test.raw+`}`), DefaultLimits())
			if test.ok && errs != nil || !test.ok && (len(errs) != 1 || errs[0].Code != LimitExceeded) {
				t.Errorf("got %v", errs)
			}
		})
	}
}

func TestCoerceDoesNotAlias(t *testing.T) {
	api := loadSchema(t, documentSDL)
	raw := decode(t, `{"v":[{"name":{"_in":["a"]}}]}`)
	vars, errs := CoerceVariables(api, operationWith(t, "[PersonWhere!]"), raw, DefaultLimits())
	if errs != nil {
		t.Fatal(errs)
	}
	before, _ := json.Marshal(vars)
	first, _ := raw["v"].([]any)
	where, _ := first[0].(map[string]any)
	name, _ := where["name"].(map[string]any)
	in, _ := name["_in"].([]any)
	in[0], name["_eq"], first[0] = "changed", "changed", nil
	if after, _ := json.Marshal(vars); string(after) != string(before) {
		t.Errorf("coerced variables changed with the raw ones: %s", after)
	}
}

func TestLiteralArg(t *testing.T) {
	api := loadSchema(t, documentSDL)
	doc := getDocument(t, api, `query($x: String) { persons(where: {name: {_in: ["a", "b"], _eq: $x}, sex: {_eq: F, _in: M}, _and: null}) { name } }`)
	field, _ := doc.Query.Operations[0].SelectionSet[0].(*ast.Field)
	where := field.Arguments[0].Value
	at := func(path ...string) *ast.Value {
		v := where
		for _, p := range path {
			v = v.Children.ForName(p)
		}
		return v
	}
	tests := []struct {
		name string
		v    *ast.Value
		kind schema.Scalar
		list bool
		want adapters.Arg
		err  error
	}{
		{"list", at("name", "_in"), schema.String, true, adapters.Arg{List: []string{"a", "b"}}, nil},
		{"enum", at("sex", "_eq"), schema.Enum, false, adapters.Arg{Text: "F"}, nil},
		{"list of one", at("sex", "_in"), schema.Enum, true, adapters.Arg{List: []string{"M"}}, nil},
		{"null", at("_and"), schema.String, false, adapters.Arg{Null: true}, nil},
		{"variable", at("name", "_eq"), schema.String, false, adapters.Arg{}, ErrLiteral},
		{"wrong kind", at("name", "_in"), schema.Int, true, adapters.Arg{}, ErrLiteral},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := LiteralArg(test.v, test.kind, test.list)
			if !errors.Is(err, test.err) {
				t.Fatalf("got %v, want %v", err, test.err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestResolve(t *testing.T) {
	api := loadSchema(t, documentSDL)
	vars, errs := CoerceVariables(api, operationWith(t, "AllWhere"), decode(t,
		`{"v":{"int":5,"boolean":true,"nested":{"must":1,"list":[[1,null]]},"sexes":["F","M"],"date":null}}`), DefaultLimits())
	if errs != nil {
		t.Fatal(errs)
	}
	attrs := map[string]string{"region": "440100", "empty": "", "when": "2024-01-01T08:00:00+08:00", "sex": "F"}
	fallback := &adapters.Arg{Text: "9"}
	tests := []struct {
		name string
		v    Value
		want adapters.Arg
		fail bool
	}{
		{"constant", Value{From: FromConst, Const: adapters.Arg{Text: "x"}}, adapters.Arg{Text: "x"}, false},
		{"variable", Value{From: FromVariable, Name: "v", Path: []any{"int"}, Kind: schema.Int}, adapters.Arg{Text: "5"}, false},
		{"Boolean", Value{From: FromVariable, Name: "v", Path: []any{"boolean"}, Kind: schema.Boolean}, adapters.Arg{Text: "true"}, false},
		{"deep", Value{From: FromVariable, Name: "v", Path: []any{"nested", "list", 0, 0}, Kind: schema.Int}, adapters.Arg{Text: "1"}, false},
		{"deep null", Value{From: FromVariable, Name: "v", Path: []any{"nested", "list", 0, 1}, Kind: schema.Int}, adapters.Arg{Null: true}, false},
		{"enums", Value{From: FromVariable, Name: "v", Path: []any{"sexes"}, Kind: schema.Enum, List: true}, adapters.Arg{List: []string{"F", "M"}}, false},
		{"null", Value{From: FromVariable, Name: "v", Path: []any{"date"}, Kind: schema.Date, Default: fallback}, adapters.Arg{Null: true}, false},
		{"absent", Value{From: FromVariable, Name: "v", Path: []any{"float"}, Kind: schema.Float}, adapters.Arg{Null: true}, false},
		{"absent, default", Value{From: FromVariable, Name: "v", Path: []any{"float"}, Kind: schema.Float, Default: fallback}, *fallback, false},
		{"absent variable, default", Value{From: FromVariable, Name: "w", Kind: schema.Int, Default: fallback}, *fallback, false},
		{"path beyond a list", Value{From: FromVariable, Name: "v", Path: []any{"sexes", 2}, Kind: schema.Enum}, adapters.Arg{Null: true}, false},
		{"path through a scalar", Value{From: FromVariable, Name: "v", Path: []any{"int", "x"}, Kind: schema.Int}, adapters.Arg{Null: true}, false},
		{"object as a scalar", Value{From: FromVariable, Name: "v", Kind: schema.String}, adapters.Arg{}, true},
		{"Boolean as a string", Value{From: FromVariable, Name: "v", Path: []any{"boolean"}, Kind: schema.String}, adapters.Arg{}, true},
		{"attribute", Value{From: FromSubject, Name: "region", Kind: schema.String}, adapters.Arg{Text: "440100"}, false},
		{"attribute list", Value{From: FromSubject, Name: "region", Kind: schema.String, List: true}, adapters.Arg{List: []string{"440100"}}, false},
		{"attribute made canonical", Value{From: FromSubject, Name: "when", Kind: schema.DateTime}, adapters.Arg{Text: "2024-01-01T00:00:00Z"}, false},
		{"attribute of another kind", Value{From: FromSubject, Name: "region", Kind: schema.UUID}, adapters.Arg{Null: true}, false},
		{"attribute as enum", Value{From: FromSubject, Name: "sex", Kind: schema.Enum}, adapters.Arg{Text: "F"}, false},
		{"empty attribute", Value{From: FromSubject, Name: "empty", Kind: schema.String}, adapters.Arg{Null: true}, false},
		{"missing attribute", Value{From: FromSubject, Name: "nobody", Kind: schema.String}, adapters.Arg{Null: true}, false},
		{"cursor", Value{From: FromCursor}, adapters.Arg{}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := Resolve(test.v, vars, attrs)
			if (err != nil) != test.fail {
				t.Fatalf("err = %v", err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
