package attacks

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/weir-data/weir/graph/plan"
)

// probe is a request that names something, with the name left open.
type probe struct{ document, variables string }

// open stands for the name in a probe.
const open = "\x01"

// named fills the name in.
func (p probe) named(name string) probe {
	return probe{strings.ReplaceAll(p.document, open, name), strings.ReplaceAll(p.variables, open, name)}
}

// secret is a name that a reader must not learn of, with every position in which
// he could try it.
type secret struct {
	name   string
	probes []probe
}

// secrets lists what the whole API has and a reader's shape has not. What is
// named is tried where the reader can name something: on types that he knows.
func secrets(whole, shape *ast.Schema) []secret {
	var out []secret
	for _, name := range slices.Sorted(maps.Keys(whole.Types)) {
		def := whole.Types[name]
		known := shape.Types[name]
		if known == nil {
			out = append(out, secret{name, typeProbes()})
			continue
		}
		for _, f := range def.Fields {
			left := known.Fields.ForName(f.Name)
			switch {
			case strings.HasPrefix(f.Name, "__"):
			case left == nil && def.Kind == ast.InputObject:
				out = append(out, secret{f.Name, inputProbes(shape, known)})
			case left == nil:
				out = append(out, secret{f.Name, fieldProbes(shape, known)})
			default:
				for _, a := range f.Arguments {
					if left.Arguments.ForName(a.Name) == nil {
						out = append(out, secret{a.Name, argumentProbes(known, left)})
					}
				}
			}
		}
	}
	return out
}

func typeProbes() []probe {
	var out []probe
	for _, document := range []string{
		"{ __typename ... on \x01 { __typename } }", "{ ...F } fragment F on \x01 { __typename }", "{ __typename } fragment F on \x01 { a }",
		"query($v: \x01) { __typename }", "query($v: [\x01!]!) { __typename @include(if: $v) }", "query($v: \x01 = {a: 1}) { __typename }",
		"{ __type(name: \"\x01\") { name kind fields { name } inputFields { name } enumValues { name } } }",
		"{ \x01 { a } }", "{ __typename @\x01 }", "mutation { \x01 }",
	} {
		out = append(out, probe{document: document})
	}
	return append(out,
		probe{"query($n: String!) { __type(name: $n) { name } }", `{"n":"` + open + `"}`},
		probe{"query($v: " + open + "!) { __typename }", `{"v":{"a":1}}`})
}

// fieldProbes select a field of a type that the reader knows.
func fieldProbes(shape *ast.Schema, on *ast.Definition) []probe {
	var sets []string
	for _, s := range []string{"\x01", "a: \x01", "\x01 { a }", "\x01(limit: 1) { __typename }", "\x01 @include(if: true)", "__typename \x01 \x01", "\x01: __typename b: \x01", "\x01(where: {}, idNumber: \"1\")"} {
		sets = append(sets, "{ "+s+" }")
	}
	var out []probe
	for _, set := range sets {
		if on == shape.Query {
			out = append(out, probe{document: set})
			continue
		}
		out = append(out, probe{document: "{ ...F } fragment F on " + on.Name + " " + set})
		for _, root := range shape.Query.Fields {
			if root.Type.Name() == on.Name && !strings.HasPrefix(root.Name, "__") {
				out = append(out,
					probe{document: "{ " + root.Name + stated(root, "") + " " + set + " }"},
					probe{document: "{ " + root.Name + stated(root, "") + " { ... on " + on.Name + " " + set + " } }"})
			}
		}
	}
	return out
}

// inputProbes state a field of an input that the reader knows, as a literal, a
// default and a variable.
func inputProbes(shape *ast.Schema, in *ast.Definition) []probe {
	var out []probe
	values := []string{`{` + open + `: {_eq: "x"}}`, `{` + open + `: ASC}`, `{` + open + `: null}`, `{_and: [{` + open + `: {}}]}`, `{_not: {` + open + `: {}}}`, `{` + open + `: $x}`}
	for _, v := range values {
		out = append(out, probe{document: "query($v: " + in.Name + " = " + v + ") { __typename }"})
	}
	for _, root := range shape.Query.Fields {
		for _, a := range root.Arguments {
			if a.Type.Name() != in.Name {
				continue
			}
			selection := ""
			if def := shape.Types[root.Type.Name()]; def != nil && def.Kind != ast.Scalar {
				selection = " { __typename }"
			}
			for _, v := range values {
				out = append(out, probe{document: "{ " + root.Name + stated(root, a.Name+": "+v) + selection + " }"})
			}
			document := "query($v: " + a.Type.String() + ") { " + root.Name + stated(root, a.Name+": $v") + selection + " }"
			for _, v := range []string{`{"` + open + `":{"_eq":"x"}}`, `{"` + open + `":"ASC"}`, `[{"` + open + `":"ASC"}]`, `{"_or":[{"` + open + `":null}]}`, `{"_not":{"_and":[{"` + open + `":{"_in":["x"]}}]}}`} {
				out = append(out, probe{document, `{"v":` + v + `}`})
			}
		}
	}
	return out
}

func argumentProbes(on *ast.Definition, f *ast.FieldDefinition) []probe {
	var out []probe
	for _, v := range []string{"1", `"x"`, "{}", "[{}]", "$v", "null"} {
		out = append(out, probe{document: "{ ...F } fragment F on " + on.Name + " { " + f.Name + "(" + open + ": " + v + ") { __typename } }"})
	}
	return out
}

// stated gives a root the arguments that it requires, and one more.
func stated(root *ast.FieldDefinition, more string) string {
	var args []string
	for _, a := range root.Arguments {
		if a.Type.NonNull && a.DefaultValue == nil && !strings.HasPrefix(more, a.Name+":") {
			value := `"1"`
			switch a.Type.Name() {
			case "Int":
				value = "1"
			case "String", "ID":
			default:
				if strings.HasSuffix(a.Type.Name(), "Expect") {
					value = "{}"
				}
			}
			args = append(args, a.Name+": "+value)
		}
	}
	if more != "" {
		args = append(args, more)
	}
	if len(args) == 0 {
		return ""
	}
	return "(" + strings.Join(args, ", ") + ")"
}

// unknown makes a name of the length that nothing has.
func unknown(random *rand.Rand, whole *ast.Schema, like string) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for {
		b := []byte(like)
		for i := range b {
			b[i] = letters[random.IntN(len(letters))]
		}
		name := string(b)
		if whole.Types[name] == nil && !strings.Contains(fmt.Sprint(names(whole)), name) {
			return name
		}
	}
}

// names are all names of an API.
func names(api *ast.Schema) []string {
	var out []string
	for name, def := range api.Types {
		out = append(out, name)
		for _, f := range def.Fields {
			out = append(out, f.Name)
			for _, a := range f.Arguments {
				out = append(out, a.Name)
			}
		}
		for _, v := range def.EnumValues {
			out = append(out, v.Name)
		}
	}
	return out
}

// nameable tries every secret of a reader against a random name, and gives how
// many answers it compared.
// share is which part of the pairs is tried, one of so many.
func nameable(t testing.TB, random *rand.Rand, share int, whole *ast.Schema, shape *plan.Shape, ask func(document, variables string) answer) int {
	t.Helper()
	compared := 0
	for _, s := range secrets(whole, shape.API()) {
		other := unknown(random, whole, s.name)
		for _, p := range s.probes {
			if random.IntN(share) > 0 {
				continue
			}
			hidden, absent := p.named(s.name), p.named(other)
			a, b := ask(hidden.document, hidden.variables), ask(absent.document, absent.variables)
			compared++
			if a.status >= http.StatusInternalServerError {
				t.Fatalf("%s: %s", hidden.document, a.said())
			}
			// Of the random name nothing else has a trace, so that it can be put back.
			if a.said() != strings.ReplaceAll(b.said(), other, s.name) {
				t.Fatalf("%s can be told from %s:\n%s %s\n%s\n%s", s.name, other, hidden.document, hidden.variables, a.said(), b.said())
			}
			if len(a.body) != len(b.body)+lengths(b, a) || fmt.Sprint(fixed(a)) != fmt.Sprint(fixed(b)) {
				t.Fatalf("%s: the headers or lengths differ: %v %v", hidden.document, a.headers, b.headers)
			}
		}
	}
	return compared
}

// lengths is by how much receipts and ages make two bodies differ.
func lengths(a, b answer) int {
	vary := func(x answer) int {
		n := 0
		for _, m := range chance.FindAllString(x.body, -1) {
			n += len(m)
		}
		return n
	}
	return vary(b) - vary(a)
}

// fixed are the headers that no chance is in.
func fixed(a answer) map[string][]string {
	out := map[string][]string{}
	for k, v := range a.headers {
		switch k {
		case "Date", "X-Request-Id", "Content-Length", "X-Weir-Receipt":
		default:
			out[k] = v
		}
	}
	return out
}
