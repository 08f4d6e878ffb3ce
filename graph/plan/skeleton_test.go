package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
	"pgregory.net/rapid"
)

const skeletonQuery = `query($where: AllWhere, $people: [PersonWhere!], $order: [PersonOrder!], $y: Boolean!, $flag: Boolean, $n: Int, $names: [String!]) {
  all(where: $where) { __typename }
  persons(where: {_or: $people, name: {_in: ["x"], _is_null: $flag}}, orderBy: $order, limit: $n) { name @include(if: $y) }
  more: persons(where: {name: {_in: $names}}) { name }
}`

func skeletonOf(tb testing.TB, docs *Documents, doc *Document, raw map[string]any) []byte {
	tb.Helper()
	op := doc.Query.Operations[0]
	vars, errs := CoerceVariables(docs.whole.api, op, raw, DefaultLimits())
	if errs != nil {
		tb.Fatal(errs)
	}
	return Skeleton(doc, op, vars)
}

func skeletonDocument(tb testing.TB) (*Documents, *Document) {
	tb.Helper()
	docs := newDocuments(tb, loadSchema(tb, documentSDL))
	doc, errs := docs.Get(skeletonQuery)
	if errs != nil {
		tb.Fatal(errs)
	}
	return docs, doc
}

func TestSkeleton(t *testing.T) {
	docs, doc := skeletonDocument(t)
	tests := []struct {
		name, a, b string
		same       bool
	}{
		{"scalars are erased", `{"n":1}`, `{"n":2}`, true},
		{"null is not absent", `{"n":null}`, `{}`, false},
		{"null is not present", `{"n":null}`, `{"n":1}`, false},
		{"lengths of scalar lists are erased", `{"names":["a"]}`, `{"names":["b","c"]}`, true},
		{"emptiness is kept", `{"names":["a"]}`, `{"names":[]}`, false},
		{"a condition's value is kept", `{"y":true}`, `{"y":false}`, false},
		{"another Boolean is erased", `{"flag":true}`, `{"flag":false}`, true},
		{"enums are kept", `{"order":[{"name":"ASC"}]}`, `{"order":[{"name":"DESC"}]}`, false},
		{"keys are kept", `{"order":[{"name":"ASC"}]}`, `{"order":[{"born":"ASC"}]}`, false},
		{"order of objects is kept", `{"order":[{"name":"ASC"},{"born":"ASC"}]}`, `{"order":[{"born":"ASC"},{"name":"ASC"}]}`, false},
		{"number of objects is kept", `{"people":[{}]}`, `{"people":[{},{}]}`, false},
		{"no objects", `{"people":[]}`, `{"people":[{}]}`, false},
		{"a single object is a list of one", `{"people":[{}]}`, `{"people":{}}`, true},
		{"values in objects are erased", `{"where":{"int":1,"json":{"a":1}}}`, `{"where":{"int":2,"json":[]}}`, true},
		{"null in objects", `{"where":{"int":null}}`, `{"where":{"int":2}}`, false},
		{"absent in objects", `{"where":{}}`, `{"where":{"int":2}}`, false},
		{"null in lists", `{"where":{"nested":{"must":1,"list":[1]}}}`, `{"where":{"nested":{"must":1,"list":[null]}}}`, false},
		{"null in lists of lists", `{"where":{"nested":{"must":1,"list":[[1]]}}}`, `{"where":{"nested":{"must":1,"list":[[null]]}}}`, false},
		{"enum lists are erased", `{"where":{"sexes":["F"]}}`, `{"where":{"sexes":["M","M"]}}`, true},
		{"order of keys does not matter", `{"where":{"int":1,"id":"a"}}`, `{"where":{"id":"b","int":2}}`, true},
		{"unknown variables do not matter", `{"x":1}`, `{}`, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			with := func(text string) map[string]any {
				raw := decode(t, text)
				if _, ok := raw["y"]; !ok {
					raw["y"] = true
				}
				return raw
			}
			a, b := skeletonOf(t, docs, doc, with(test.a)), skeletonOf(t, docs, doc, with(test.b))
			if bytes.Equal(a, b) != test.same {
				t.Errorf("%x and %x", a, b)
			}
		})
	}
}

// TestSkeletonsDoNotCollide draws pairs of variables and compares the encoding
// with a slow model that prints the same facts as text.
func TestSkeletonsDoNotCollide(t *testing.T) {
	docs, doc := skeletonDocument(t)
	op := doc.Query.Operations[0]
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawVariables(t, "a"), drawVariables(t, "b")
		coerced := func(raw map[string]any) map[string]any {
			vars, errs := CoerceVariables(docs.whole.api, op, raw, DefaultLimits())
			if errs != nil {
				t.Fatalf("%v: %v", raw, errs)
			}
			return vars
		}
		va, vb := coerced(a), coerced(b)
		same := bytes.Equal(Skeleton(doc, op, va), Skeleton(doc, op, vb))
		if model := modelOf(docs.whole.api, op, va) == modelOf(docs.whole.api, op, vb); same != model {
			t.Fatalf("skeletons equal: %v, facts equal: %v\n%v\n%v", same, model, a, b)
		}
	})
}

func drawVariables(t *rapid.T, name string) map[string]any {
	order := rapid.SampledFrom([]any{"ASC", "DESC"})
	scalar := func(v ...any) *rapid.Generator[any] { return rapid.SampledFrom(append(v, nil)) }
	person := rapid.Custom(func(t *rapid.T) any {
		out := map[string]any{}
		if rapid.Bool().Draw(t, "name?") {
			out["name"] = map[string]any{"_eq": scalar("a", "b").Draw(t, "eq")}
		}
		if rapid.Bool().Draw(t, "sex?") {
			out["sex"] = map[string]any{"_eq": scalar("F", "M").Draw(t, "sex")}
		}
		if rapid.Bool().Draw(t, "and?") {
			out["_and"] = []any{map[string]any{}}
		}
		return out
	})
	out := map[string]any{"y": rapid.Bool().Draw(t, name+".y")}
	if rapid.Bool().Draw(t, name+".n?") {
		out["n"] = scalar(json.Number("1"), json.Number("2")).Draw(t, "n")
	}
	if rapid.Bool().Draw(t, name+".people?") {
		out["people"] = rapid.SliceOfN(person, 0, 2).Draw(t, "people")
	}
	if rapid.Bool().Draw(t, name+".order?") {
		var items []any
		for range rapid.IntRange(0, 2).Draw(t, "orders") {
			items = append(items, map[string]any{rapid.SampledFrom([]string{"name", "born"}).Draw(t, "key"): order.Draw(t, "dir")})
		}
		out["order"] = items
	}
	if rapid.Bool().Draw(t, name+".names?") {
		out["names"] = rapid.SliceOfN(rapid.SampledFrom([]any{"a", "b"}), 0, 2).Draw(t, "names")
	}
	if p, ok := out["people"].([]any); ok && p == nil {
		out["people"] = []any{}
	}
	if p, ok := out["order"].([]any); ok && p == nil {
		out["order"] = []any{}
	}
	return out
}

// modelOf prints what a plan may depend on.
func modelOf(api *ast.Schema, op *ast.OperationDefinition, vars map[string]any) string {
	var b strings.Builder
	for _, def := range op.VariableDefinitions {
		v, ok := vars[def.Variable]
		fmt.Fprintf(&b, "%s=%s;", def.Variable, modelValue(api, def.Type, v, ok, def.Variable == "y"))
	}
	return b.String()
}

func modelValue(api *ast.Schema, t *ast.Type, v any, given, condition bool) string {
	def := api.Types[t.Name()]
	switch {
	case !given:
		return "absent"
	case v == nil:
		return "null"
	case condition:
		return fmt.Sprint(v)
	}
	switch v := v.(type) {
	case []any:
		if def.Kind != ast.InputObject {
			return fmt.Sprintf("list(empty=%v)", len(v) == 0)
		}
		items := make([]string, len(v))
		for i, item := range v {
			items[i] = modelValue(api, t.Elem, item, true, false)
		}
		return "[" + strings.Join(items, ",") + "]"
	case map[string]any:
		var fields []string
		for name, x := range v {
			fields = append(fields, name+":"+modelValue(api, def.Fields.ForName(name).Type, x, true, false))
		}
		sort.Strings(fields)
		return "{" + strings.Join(fields, ",") + "}"
	default:
		if def.Kind == ast.Enum {
			return fmt.Sprint(v)
		}
		return "scalar"
	}
}
