package plan

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2/ast"
	"go.uber.org/goleak"
)

// documentSDL is a data API in small: what the generated one has, by hand.
const documentSDL = `
scalar Date
scalar DateTime
scalar Time
scalar Decimal
scalar BigInt
scalar UUID
scalar JSON
type Query {
  person(idNumber: String!): Person
  persons(where: PersonWhere, orderBy: [PersonOrder!], limit: Int = 50, offset: Int = 0): [Person!]
  all(where: AllWhere, required: Int! = 3): [Holder!]
}
interface Holder { name: String holders: [Holder!] }
type Person implements Holder { name: String born: Date friend: Person holders: [Holder!] permits(where: PersonWhere, limit: Int = 20): [Person!] }
type Company implements Holder { name: String capital: Decimal holders: [Holder!] }
enum Order { ASC DESC }
enum Sex { F M }
input PersonOrder @oneOf { name: Order born: Order }
input StringComparison { _eq: String _in: [String!] _is_null: Boolean }
input PersonWhere { name: StringComparison sex: SexComparison _and: [PersonWhere!] _or: [PersonWhere!] _not: PersonWhere }
input SexComparison { _eq: Sex _in: [Sex!] }
input Nested { must: Int! text: String = "default" list: [[Int]] }
input AllWhere {
  id: ID int: Int float: Float boolean: Boolean date: Date dateTime: DateTime time: Time
  decimal: Decimal bigInt: BigInt uuid: UUID json: JSON sex: Sex nested: Nested ints: [Int!] sexes: [Sex!]
}
`

func newDocuments(tb testing.TB, api *ast.Schema) *Documents {
	tb.Helper()
	docs, err := NewDocuments(api, DefaultLimits())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(docs.Close)
	return docs
}

// getDocument parses and validates a query that is expected to be good.
func getDocument(tb testing.TB, api *ast.Schema, query string) *Document {
	tb.Helper()
	doc, errs := newDocuments(tb, api).Get(query)
	if errs != nil {
		tb.Fatal(errs)
	}
	return doc
}

// fragmentBomb makes n fragments that each spread the next one twice.
func fragmentBomb(n int) string {
	var b strings.Builder
	b.WriteString("{ person(idNumber: \"1\") { ...F0 } }")
	for i := range n {
		fmt.Fprintf(&b, " fragment F%d on Person { a: friend { ...F%d } b: friend { ...F%d } }", i, i+1, i+1)
	}
	fmt.Fprintf(&b, " fragment F%d on Person { name }", n)
	return b.String()
}

// flatBomb is the same without a field in between, so that it has no depth.
func flatBomb(n int) string {
	var b strings.Builder
	b.WriteString("{ person(idNumber: \"1\") { ...F0 } }")
	for i := range n {
		fmt.Fprintf(&b, " fragment F%d on Person { ...F%d ...F%d }", i, i+1, i+1)
	}
	fmt.Fprintf(&b, " fragment F%d on Person { name }", n)
	return b.String()
}

func nested(open, inner, closing string, n int) string {
	return strings.Repeat(open, n) + inner + strings.Repeat(closing, n)
}

// The lines of "Query shape" that documents alone can break.
func TestHostileShapes(t *testing.T) {
	deep := func(fields int) string { // one root, friends, a leaf
		return `{ person(idNumber: "1") { ` + nested("friend { ", "name", " }", fields-2) + ` } }`
	}
	tests := []struct {
		name, query string
		want        Code // "" for accepted
	}{
		{"depth 12", deep(12), ""},
		{"depth 13", deep(13), LimitExceeded},
		{"depth 1,000", deep(1_000), LimitExceeded},
		{"depth 1,000,000", deep(1_000_000), LimitExceeded},
		{"open braces without an end", strings.Repeat("{a", 1_000_000), LimitExceeded},
		{"list literal nested 13", `{ persons(where: {_and: ` + nested("[", "", "]", 13) + `}) { name } }`, GraphQLValidationFailed},
		{"list literal nested 1,000", `{ persons(where: {_and: ` + nested("[", "", "]", 1_000) + `}) { name } }`, LimitExceeded},
		{"list literal nested 1,000,000", `{ persons(where: ` + nested("[", "", "]", 1_000_000) + `) { name } }`, LimitExceeded},
		{"object literal nested 15", `{ persons(where: ` + nested("{_not: ", "{}", "}", 15) + `) { name } }`, ""},
		{"object literal nested 17", `{ persons(where: ` + nested("{_not: ", "{_not: {}}", "}", 16) + `) { name } }`, LimitExceeded},
		{"list type nested", `query($a: ` + nested("[", "Int", "]", 900) + `) { persons(limit: $a) { name } }`, LimitExceeded},
		{"bare inline fragments nested", `{ ` + nested("... { ", "__typename", " }", 300) + ` }`, LimitExceeded},

		{"fragment bomb, n = 2", fragmentBomb(2), ""},
		{"fragment bomb, n = 10", fragmentBomb(10), LimitExceeded},
		{"fragment bomb, n = 49", fragmentBomb(49), LimitExceeded},
		{"fragment bomb, n = 64", fragmentBomb(64), LimitExceeded},
		{"flat fragment bomb, n = 10", flatBomb(10), LimitExceeded},
		{"flat fragment bomb, n = 49", flatBomb(49), LimitExceeded},
		{"bomb that nothing spreads", strings.Replace(flatBomb(40), "{ ...F0 }", "{ name }", 1), LimitExceeded},
		{"circular fragment", `{ person(idNumber: "1") { ...A } } fragment A on Person { friend { ...A } }`, GraphQLValidationFailed},
		{"circular fragments", `{ person(idNumber: "1") { ...A } } fragment A on Person { ...B } fragment B on Person { friend { ...A } }`, GraphQLValidationFailed},
		{"circle that nothing spreads", `{ __typename } fragment A on Person { ...A }`, GraphQLValidationFailed},

		{"a name of 1,024 letters", `query ` + strings.Repeat("N", 1_024) + ` { __typename }`, ""},
		{"an operation's name of 1,025 letters", `query ` + strings.Repeat("N", 1_025) + ` { __typename }`, LimitExceeded},
		{"an alias of 200,000 letters", `{ ` + strings.Repeat("n", 200_000) + `: __typename }`, LimitExceeded},

		{"one field 32 times", `{ person(idNumber: "1") { ` + strings.Repeat("name ", 32) + `} }`, ""},
		{"one field 33 times", `{ person(idNumber: "1") { ` + strings.Repeat("name ", 33) + `} }`, LimitExceeded},
		{"one field 500 times", `{ person(idNumber: "1") { ` + strings.Repeat("name ", 500) + `} }`, LimitExceeded},
		{"one field 8,000 times", `{ person(idNumber: "1") { ` + strings.Repeat("name ", 8_000) + `} }`, LimitExceeded},
		{"one field in merged parents", `{ ` + strings.Repeat(`person(idNumber: "1") { `+strings.Repeat("name ", 7)+`} `, 5) + `}`, LimitExceeded},
		{"200 x 100 inline fragments", `{ person(idNumber: "1") { ` + strings.Repeat("... { "+strings.Repeat("... { name } ", 100)+"} ", 200) + `} }`, LimitExceeded},

		{"30 aliases", `{ ` + aliases(15, `person(idNumber: "1") { x: name }`) + ` }`, ""},
		{"15 aliases of one root", `{ ` + aliases(15, `person(idNumber: "1") { name }`) + ` }`, ""},
		{"101 aliases", `{ person(idNumber: "1") { ` + aliases(101, "name") + ` } }`, LimitExceeded},
		{"aliases through fragments", `{ person(idNumber: "1") { ` + strings.Repeat("friend { ...A } permits { ...A } ", 4) + `} } fragment A on Person { ` + aliases(9, "name") + ` }`, LimitExceeded},
		{"20 root fields", `{ ` + aliases(20, "__typename") + ` }`, ""},
		{"21 root fields", `{ ` + aliases(21, "__typename") + ` }`, LimitExceeded},

		{"10 unknown directives", `{ __typename` + strings.Repeat(" @x", 10) + ` }`, LimitExceeded},
		{"5 unknown directives", `{ __typename @a @b @c @d @e }`, GraphQLValidationFailed},
		{"10 unknown directives on 10 fields", `{ ` + strings.Repeat("__typename @x ", 10) + ` }`, GraphQLValidationFailed},
		{"1,000 unknown directives", `{ __typename` + strings.Repeat(" @x", 1_000) + ` }`, LimitExceeded},
		{"50,000 unknown directives", `{ __typename` + strings.Repeat(" @x", 50_000) + ` }`, LimitExceeded},
		{"51 directives", `{ ` + strings.Repeat("...@include(if: true) { __typename } ", 51) + ` }`, LimitExceeded},
		{"51 fragments", `{ __typename } ` + strings.Repeat("fragment A on Person { name } ", 51), LimitExceeded},

		{"circular introspection", `{ __schema { types { ` + nested("fields { type { ", "name", " } }", 7) + ` } } }`, LimitExceeded},
		{"circular introspection within the depth", `{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }`, GraphQLValidationFailed},
		{"2,000 aliased __schema", `{ ` + aliases(2_000, "__schema { description }") + ` }`, LimitExceeded},
		{"31 aliased __schema", `{ ` + aliases(31, "__schema { description }") + ` }`, LimitExceeded},
		{"standard introspection query", readTestdata(t, "introspection.query.graphql"), ""},
		{"2,000 tokens of comment", strings.Repeat("#\n", 300_000) + "{ __typename }", LimitExceeded},
		{"a token of 256 KiB", `{ persons(where: {name: {_eq: "` + strings.Repeat("x", 256<<10) + `"}}) { name } }`, ""},
		{"a name of 256 KiB", `{ ` + strings.Repeat("x", 256<<10) + ` }`, LimitExceeded},
	}
	docs := newDocuments(t, loadSchema(t, documentSDL))
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			doc, errs := docs.Get(test.query)
			if test.want == "" {
				if errs != nil {
					t.Fatalf("refused: %v", errs)
				}
				if doc.Text != test.query {
					t.Error("another document was given")
				}
				return
			}
			if len(errs) != 1 || errs[0].Code != test.want {
				t.Fatalf("got %d errors, %v; want one %s", len(errs), errs, test.want)
			}
			if len(errs[0].Message) > 2*maxMessage {
				t.Errorf("message of %d bytes", len(errs[0].Message))
			}
		})
	}
}

func aliases(n int, field string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "a%d: %s ", i, field)
	}
	return b.String()
}

// Time is the one thing attacks.md bounds here, so it is measured; generously,
// since the machine is shared.
func TestHostileShapesAreCheap(t *testing.T) {
	docs := newDocuments(t, loadSchema(t, documentSDL))
	tests := []struct {
		name, query string
		most        time.Duration
	}{
		{"fragment bomb 64", fragmentBomb(64), 5 * time.Millisecond},
		{"fragment bomb 49", fragmentBomb(49), 5 * time.Millisecond},
		{"flat bomb 49", flatBomb(49), 5 * time.Millisecond},
		{"50,000 directives", `{ __typename` + strings.Repeat(" @x", 50_000) + ` }`, 5 * time.Millisecond},
		{"8,000 fields", `{ person(idNumber: "1") { ` + strings.Repeat("name ", 8_000) + `} }`, 20 * time.Millisecond},
		{"inline fragments", `{ person(idNumber: "1") { ` + strings.Repeat("... { "+strings.Repeat("... { name } ", 100)+"} ", 200) + `} }`, 20 * time.Millisecond},
		{"wide overlaps", overlaps(), 50 * time.Millisecond},
		{"wide unknown names", `{ ` + unknownNames(600) + ` }`, 50 * time.Millisecond},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var before, after runtime.MemStats
			best := time.Hour
			runtime.ReadMemStats(&before)
			const rounds = 5
			for range rounds {
				start := time.Now()
				_, _ = docs.whole.read(test.query)
				best = min(best, time.Since(start))
			}
			runtime.ReadMemStats(&after)
			if best > 4*test.most {
				t.Errorf("took %s, at most %s is allowed", best, test.most)
			}
			if strings.Contains(test.name, "bomb") {
				if perRound := (after.TotalAlloc - before.TotalAlloc) / rounds; perRound > 1<<20 {
					t.Errorf("allocated %d bytes", perRound)
				}
			}
		})
	}
}

// overlaps is a document within the limits with as many pairs to compare as fit.
func overlaps() string {
	var b strings.Builder
	b.WriteString(`{ person(idNumber: "1") { `)
	for i := range 20 {
		fmt.Fprintf(&b, "...F%d ", i)
	}
	b.WriteString("} } ")
	for i := range 20 {
		fmt.Fprintf(&b, "fragment F%d on Person { friend { name born friend { name born } } permits { name born permits { name } } holders { name } } ", i)
	}
	return b.String()
}

func unknownNames(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "f%d ", i%20)
		if i%20 == 19 {
			b.WriteString("... { ")
		}
	}
	b.WriteString(strings.Repeat("} ", n/20))
	return b.String()
}

// Messages, codes and places; no literal's value in any of them.
func TestDocumentErrors(t *testing.T) {
	tests := []struct {
		name, query string
		want        Errors
	}{
		{"empty", " ", Errors{{Code: GraphQLParseFailed, Message: "syntax error: the document is empty"}}},
		{"unexpected string", "{ person(\"canary\") }", Errors{{
			Code: GraphQLParseFailed, Message: "syntax error: unexpected string", Locations: []Location{{1, 11}}, // the parser places a string behind its quote
		}}},
		{"unexpected number", "{ 4711 }", Errors{{
			Code: GraphQLParseFailed, Message: "syntax error: unexpected int", Locations: []Location{{1, 3}},
		}}},
		{"unexpected end", "{ person", Errors{{
			Code: GraphQLParseFailed, Message: "syntax error: unexpected end of the document", Locations: []Location{{1, 9}},
		}}},
		{"unexpected name", "query A B { person }", Errors{{
			Code: GraphQLParseFailed, Message: `syntax error: unexpected name "B"`, Locations: []Location{{1, 9}},
		}}},
		{"not UTF-8", "{ \xff }", Errors{{Code: GraphQLParseFailed, Message: "syntax error: the document is not UTF-8"}}},
		{"half a surrogate", `{ person(idNumber: "\ud83d") { name } }`, Errors{{
			Code: GraphQLParseFailed, Message: "syntax error: half a surrogate pair", Locations: []Location{{1, 21}},
		}}},
		{"half a surrogate behind runes", `{ person(idNumber: "公安 é �") { name } p: person(idNumber: "\ud83d") { name } }`, Errors{{
			Code: GraphQLParseFailed, Message: "syntax error: half a surrogate pair", Locations: []Location{{1, 60}},
		}}},
		{"fragment variables", `{ ...A } fragment A($a: Int) on Query { __typename }`, Errors{{
			Code: GraphQLParseFailed, Message: "syntax error: a fragment cannot define variables", Locations: []Location{{1, 21}},
		}}},
		{"unknown field, no suggestion", "{ persona { name } }", Errors{{
			Code: GraphQLValidationFailed, Message: `Cannot query field "persona" on type "Query".`, Locations: []Location{{1, 3}},
		}}},
		{"one mistake in two places", "{\n person(idNumber: \"1\") { nam }\n persons { nam }\n}", Errors{{
			Code: GraphQLValidationFailed, Message: `Cannot query field "nam" on type "Person".`, Locations: []Location{{2, 26}, {3, 12}},
		}}},
		{"mutation", "mutation { a }", Errors{{
			Code: GraphQLValidationFailed, Message: `Schema does not support operation type "mutation"`, Locations: []Location{{1, 1}},
		}}},
		{"subscription", "subscription { a }", Errors{{
			Code: GraphQLValidationFailed, Message: `Schema does not support operation type "subscription"`, Locations: []Location{{1, 1}},
		}}},
		{"defer", `{ ... @defer { __typename } }`, Errors{{
			Code: GraphQLValidationFailed, Message: `Unknown directive "@defer".`, Locations: []Location{{1, 8}},
		}}},
		{"wrong literal", `{ person(idNumber: 4711) { name } }`, Errors{{
			Code: GraphQLValidationFailed, Message: `Expected a value of type "String!".`, Locations: []Location{{1, 20}},
		}}},
		{"unknown enum value", `{ persons(orderBy: {name: ASCENDING}) { name } }`, Errors{{
			Code: GraphQLValidationFailed, Message: `The value does not exist in "Order" enum.`, Locations: []Location{{1, 27}},
		}}},
	}
	docs := newDocuments(t, loadSchema(t, documentSDL))
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, got := docs.Get(test.query)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestErrorsAreBounded(t *testing.T) {
	docs := newDocuments(t, loadSchema(t, documentSDL))
	_, errs := docs.Get(`{ a b c d e f g h i j k l m n }`)
	if len(errs) != DefaultLimits().Errors {
		t.Errorf("%d errors", len(errs))
	}
	for _, e := range errs {
		if len(e.Locations) > DefaultLimits().Errors {
			t.Errorf("%d locations", len(e.Locations))
		}
	}
}

func TestSurrogates(t *testing.T) {
	tests := map[string]bool{
		`"\ud83d\ude00"`: false, `"\uD83D\uDE00"`: false, `"\u{1F600}"`: false, `"\\ud83d"`: false, `"x"`: false, `"\u00e9"`: false,
		`"\ud83d"`: true, `"\ude00"`: true, `"\ud83d\ud83d"`: true, `"\ud83dx"`: true, `"\ud83d\n"`: true, `"\\\ud83d"`: true,
	}
	for raw, want := range tests {
		if got := halfSurrogate(raw); got != want {
			t.Errorf("halfSurrogate(%s) = %v", raw, got)
		}
	}
}

func TestOperation(t *testing.T) {
	api := loadSchema(t, documentSDL)
	one := getDocument(t, api, `query A { __typename }`)
	two := getDocument(t, api, `query A { __typename } query B { __typename }`)
	tests := []struct {
		name      string
		doc       *Document
		operation string
		want      string // "" for a refusal
	}{
		{"the only one", one, "", "A"},
		{"by name", two, "B", "B"},
		{"ambiguous", two, "", ""},
		{"unknown", two, "C", ""},
		{"unknown, only one", one, "B", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			op, errs := test.doc.Operation(test.operation)
			switch {
			case test.want == "":
				if len(errs) != 1 || errs[0].Code != BadRequest {
					t.Errorf("got %v, want %s", errs, BadRequest)
				}
			case errs != nil || op.Name != test.want:
				t.Errorf("got %v, %v", op, errs)
			}
		})
	}
}

func TestDocumentsKeepGoodOnes(t *testing.T) {
	defer goleak.VerifyNone(t)
	docs, err := NewDocuments(loadSchema(t, documentSDL), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	defer docs.Close()
	first, errs := docs.Get(`{ __typename }`)
	if errs != nil {
		t.Fatal(errs)
	}
	docs.kept.cache.Wait()
	if second, _ := docs.Get(`{ __typename }`); second != first {
		t.Error("a cached document was read again")
	}
	// An entry under the right key with another text must not be served.
	docs.kept.cache.Set(docs.whole.keyOf(`{ a: __typename }`), first, 1)
	docs.kept.cache.Wait()
	if other, _ := docs.Get(`{ a: __typename }`); other == first {
		t.Error("a document of another text was given")
	}
	docs.Close()
	if _, errs := docs.Get(`{ __typename }`); errs != nil {
		t.Errorf("a closed cache refuses: %v", errs)
	}
}

func TestNewDocumentsWithoutQuery(t *testing.T) {
	if _, err := NewDocuments(&ast.Schema{}, DefaultLimits()); err == nil {
		t.Error("a schema without a query type was taken")
	}
	if _, err := NewDocuments(nil, DefaultLimits()); err == nil {
		t.Error("no schema was taken")
	}
}

// Whatever the text, Get answers: without panic, with errors of the three
// codes, valid UTF-8 in messages, and never a document other than the text's.
func FuzzDocument(f *testing.F) {
	for _, s := range []string{
		`{ person(idNumber: "1") { ...A } } fragment A on Person { friend { ...A } }`,
		`query($a: [PersonOrder!] = [{name: ASC}]) { persons(orderBy: $a) @skip(if: true) { n: name ... on Holder { name } } }`,
		`{ all(where: {json: {a: [1, "x", null, $b]}, int: 3000000000}) { __typename } }`,
		`{ __schema { types { fields { type { ofType { name } } } } } }`,
		"{ a(b: \"\"\"\n block \"\"\") }", `mutation A($a: Int! @x) { a }`, "\ufeff{ __typename }",
	} {
		f.Add(s)
	}
	docs := newDocuments(f, loadSchema(f, documentSDL))
	f.Fuzz(func(t *testing.T, text string) {
		doc, errs := docs.Get(text)
		if errs == nil {
			if doc.Text != text {
				t.Fatal("another document")
			}
			for _, op := range doc.Query.Operations {
				vars, errs := CoerceVariables(docs.whole.api, op, nil, docs.limits)
				if errs == nil {
					Skeleton(doc, op, vars)
				}
			}
			return
		}
		if len(errs) == 0 || len(errs) > docs.limits.Errors {
			t.Fatalf("%d errors", len(errs))
		}
		for _, e := range errs {
			switch e.Code {
			case GraphQLParseFailed, GraphQLValidationFailed, LimitExceeded:
			default:
				t.Fatalf("code %s", e.Code)
			}
			if strings.ToValidUTF8(e.Message, "") != e.Message || e.Message == "" {
				t.Fatalf("message %q", e.Message)
			}
		}
	})
}

func BenchmarkDocument(b *testing.B) {
	docs := newDocuments(b, loadSchema(b, documentSDL))
	queries := map[string]string{
		"point":   `query($id: String!) { person(idNumber: $id) { name born friend { name } } }`,
		"overlap": overlaps(),
	}
	for name, query := range queries {
		b.Run("read/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = docs.whole.read(query)
			}
		})
		b.Run("cached/"+name, func(b *testing.B) {
			_, _ = docs.Get(query)
			docs.kept.cache.Wait()
			b.ReportAllocs()
			for b.Loop() {
				_, _ = docs.Get(query)
			}
		})
	}
}

// TestDocumentsCloseWhileUsed: a generation is swapped out while requests run
// under it; they lose the cache and nothing else.
func TestDocumentsCloseWhileUsed(t *testing.T) {
	defer goleak.VerifyNone(t)
	api := loadSchema(t, documentSDL)
	for range 20 {
		docs, err := NewDocuments(api, DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		var readers sync.WaitGroup
		var began sync.WaitGroup
		began.Add(4)
		for i := range 4 {
			readers.Go(func() {
				for n := range 100 {
					if _, errs := docs.Get(fmt.Sprintf("{ a%d: __typename }", (n*7+i)%20)); errs != nil {
						t.Error(errs)
					}
					if n == 0 {
						began.Done()
					}
				}
			})
		}
		began.Wait()
		docs.Close()
		docs.Close()
		readers.Wait()
	}
}
