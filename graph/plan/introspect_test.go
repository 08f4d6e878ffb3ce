package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

// readTestdata gives a file of testdata.
func readTestdata(tb testing.TB, name string) string {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name)) //nolint:gosec // names are constants of the tests
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

func loadSchema(tb testing.TB, sdl string) *ast.Schema {
	tb.Helper()
	api, err := gqlparser.LoadSchema(&ast.Source{Name: "test.graphqls", Input: sdl})
	if err != nil {
		tb.Fatal(err)
	}
	return api
}

// introspect runs the only root field of a query.
func introspect(tb testing.TB, api *ast.Schema, query string, vars map[string]any) string {
	tb.Helper()
	doc := getDocument(tb, api, query)
	field, ok := doc.Query.Operations[0].SelectionSet[0].(*ast.Field)
	if !ok {
		tb.Fatal("the first selection is not a field")
	}
	out, err := Introspect(api, field, vars)
	if err != nil {
		tb.Fatal(err)
	}
	if !json.Valid(out) {
		tb.Fatalf("not JSON: %s", out)
	}
	return string(out)
}

// preludeDifferences are the places where the parser's prelude words what every
// schema has differently from graphql-js, or lacks a novelty of it.
func preludeDifferences() *strings.Replacer {
	return strings.NewReplacer(
		`[IEEE 754](https:`, `[IEEE 754](http:`,
		"any string (such as `\\\"4\\\"`) or integer (such as `4`)", `any string (such as \"4\") or integer (such as 4)`,
		"The `String` scalar", "The `String`scalar",
		// Directives that are deprecated themselves.
		`,{"name":"isDeprecated","description":null,"args":[],"type":{"kind":"NON_NULL","name":null,"ofType":{"name":"Boolean","kind":"SCALAR","ofType":null}},"isDeprecated":false,"deprecationReason":null},{"name":"deprecationReason","description":null,"args":[],"type":{"kind":"SCALAR","name":"String","ofType":null},"isDeprecated":false,"deprecationReason":null}],"inputFields":null,"interfaces":[],"enumValues":null,"possibleTypes":null},{"kind":"ENUM","name":"__DirectiveLocation"`,
		`],"inputFields":null,"interfaces":[],"enumValues":null,"possibleTypes":null},{"kind":"ENUM","name":"__DirectiveLocation"`,
		`{"name":"directives","description":"A list of all directives supported by this server.","args":[{"name":"includeDeprecated","description":null,"type":{"kind":"NON_NULL","name":null,"ofType":{"name":"Boolean","kind":"SCALAR","ofType":null}},"defaultValue":"false","isDeprecated":false,"deprecationReason":null}]`,
		`{"name":"directives","description":"A list of all directives supported by this server.","args":[]`,
	)
}

// The golden file is graphql-js's own answer, see testdata/introspection.mjs.
func TestIntrospectEqualsGraphQLJS(t *testing.T) {
	api := loadSchema(t, readTestdata(t, "introspection.graphqls"))
	got := introspect(t, api, readTestdata(t, "introspection.query.graphql"), nil)
	want := preludeDifferences().Replace(readTestdata(t, "introspection.json"))
	if got == want {
		return
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	from := max(0, at-300)
	t.Errorf("introspection differs from graphql-js:\nwant …%s\ngot  …%s", want[from:min(len(want), at+300)], got[from:min(len(got), at+300)])
}

func TestIntrospectSelections(t *testing.T) {
	api := loadSchema(t, readTestdata(t, "introspection.graphqls"))
	tests := []struct {
		name, query string
		vars        map[string]any
		want        string
	}{
		{
			"order and aliases", `{ __type(name: "Order") { n: name kind __typename } }`, nil,
			`{"n":"Order","kind":"ENUM","__typename":"__Type"}`,
		},
		{"unknown type", `{ __type(name: "Nobody") { name } }`, nil, `null`},
		{"used scalar", `{ __type(name: "Int") { name } }`, nil, `{"name":"Int"}`},
		{"variable", `query($n: String!) { __type(name: $n) { name } }`, map[string]any{"n": "Date"}, `{"name":"Date"}`},
		{
			"deprecated left out", `{ __type(name: "Order") { enumValues { name } } }`, nil,
			`{"enumValues":[{"name":"ASC"},{"name":"DESC"}]}`,
		},
		{
			"deprecated by variable", `query($d: Boolean) { __type(name: "Order") { enumValues(includeDeprecated: $d) { name deprecationReason } } }`,
			map[string]any{"d": true},
			`{"enumValues":[{"name":"ASC","deprecationReason":null},{"name":"DESC","deprecationReason":null},{"name":"RANDOM","deprecationReason":"no order at all"}]}`,
		},
		{
			"absent variable is the default", `query($d: Boolean) { __type(name: "Person") { fields(includeDeprecated: $d) { name } } }`, nil,
			`{"fields":[{"name":"key"},{"name":"name"},{"name":"born"},{"name":"updated"}]}`,
		},
		{
			"fragments merge", `{ __type(name: "Date") { ...A ... on __Type { specifiedByURL ofType { name } } } } fragment A on __Type { name ofType { kind } }`, nil,
			`{"name":"Date","ofType":null,"specifiedByURL":"https://www.rfc-editor.org/rfc/rfc3339"}`,
		},
		{
			"skip and include", `query($y: Boolean!, $n: Boolean!) { __type(name: "Date") { name @skip(if: $y) kind @include(if: $y) description @include(if: $n) ... @skip(if: $y) { isOneOf } } }`,
			map[string]any{"y": true, "n": false},
			`{"kind":"SCALAR"}`,
		},
		{
			"merged sub-selections", `{ __type(name: "PersonOrder") { isOneOf inputFields { name } inputFields { type { name } } } }`, nil,
			`{"isOneOf":true,"inputFields":[{"name":"name","type":{"name":"Order"}},{"name":"born","type":{"name":"Order"}}]}`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := introspect(t, api, test.query, test.vars); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestIntrospectLeavesOutUnusedScalars(t *testing.T) {
	api := loadSchema(t, `type Query { a: String }`)
	got := introspect(t, api, `{ __schema { types { name } directives { name } } }`, nil)
	for _, absent := range []string{`"Int"`, `"Float"`, `"ID"`, `"defer"`} {
		if strings.Contains(got, absent) {
			t.Errorf("%s is listed: %s", absent, got)
		}
	}
	if got := introspect(t, api, `{ __type(name: "Float") { name } }`, nil); got != "null" {
		t.Errorf("__type of an unused scalar: %s", got)
	}
}

// A schema of some hundred types, asked for many times over within the limits.
func TestIntrospectIsBounded(t *testing.T) {
	if os.Getenv("WEIR_SMALL") != "" {
		t.Skip("SKIPPED: WEIR_SMALL leaves out what nothing runs beside")
	}
	var sdl strings.Builder
	sdl.WriteString("type Query { a: String }\n")
	for i := range 500 {
		fmt.Fprintf(&sdl, "\"%s\" type T%d { f: T%d }\n", strings.Repeat("long ", 400), i, i)
	}
	api := loadSchema(t, sdl.String())
	var fields strings.Builder
	for i := range 30 {
		fmt.Fprintf(&fields, "a%d: description ", i)
	}
	doc := getDocument(t, api, `{ __schema { types { fields { type { `+fields.String()+`} } } } }`)
	field, _ := doc.Query.Operations[0].SelectionSet[0].(*ast.Field)
	_, err := Introspect(api, field, nil)
	var refused *Error
	if !errors.As(err, &refused) || refused.Code != LimitExceeded {
		t.Errorf("got %v, want %s", err, LimitExceeded)
	}
}
