package attacks

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/weir-data/weir/examples/guangdong"
)

// The officer of the example, and the purpose he states.
const (
	officer = "demo-officer"
	casing  = "case-handling"
)

// within is a budget of the threat model with the factor that a shared machine,
// the client in the same process and the race detector take.
func within(t *testing.T, r *rig, what string, cpu time.Duration, heap uint64, document string) answer {
	t.Helper()
	const factor = 4
	var a answer
	body := bodyOf(document, "")
	took, allocated := cost(t, func() { a = r.do(request{token: officer, purpose: casing, body: body}) })
	if took > factor*cpu {
		t.Errorf("%s: %s of processor time, and %s is the budget", what, took, cpu)
	}
	// Reading a body of n bytes takes a small multiple of it on both sides.
	if most := heap + 16*uint64(len(body)); heap > 0 && allocated > most {
		t.Errorf("%s: %d bytes of heap, and %d is the budget", what, allocated, most)
	}
	return a
}

// TestQueryShape has one test for each line of the table "Query shape".
func TestQueryShape(t *testing.T) {
	r := newRig(t, options{})
	refused := func(t *testing.T, what string, a answer, status int, code string) {
		t.Helper()
		if a.status != status || a.code() != code {
			t.Errorf("%s: %d %s, want %d %s: %.300s", what, a.status, a.code(), status, code, a.body)
		}
		if strings.Count(a.body, `"message"`) != 1 {
			t.Errorf("%s: not one error: %.600s", what, a.body)
		}
		if sent := r.statements(); len(sent) > 0 {
			t.Errorf("%s: %d statements were sent", what, len(sent))
		}
	}

	t.Run("fragment bombs", func(t *testing.T) {
		for _, n := range []int{10, 20, 49, 64} {
			what := fmt.Sprintf("n = %d", n)
			refused(t, what, within(t, r, what, 5*time.Millisecond, 1<<20, nestedBomb(n)), 400, "LIMIT_EXCEEDED")
			refused(t, what+", flat", within(t, r, what, 5*time.Millisecond, 1<<20, flatBomb(n)), 400, "LIMIT_EXCEEDED")
		}
	})
	t.Run("repeated fields", func(t *testing.T) {
		for what, inner := range map[string]string{
			"500 times": strings.Repeat("name ", 500), "8,000 times": strings.Repeat("name ", 8_000),
			"200 x 100 inline fragments": strings.Repeat("... { "+strings.Repeat("... { name } ", 100)+"} ", 200),
		} {
			refused(t, what, within(t, r, what, 20*time.Millisecond, 0, "{ persons { "+inner+"} }"), 400, "LIMIT_EXCEEDED")
		}
	})
	t.Run("unknown directives", func(t *testing.T) {
		for _, n := range []int{10, 1_000, 50_000} {
			what := fmt.Sprintf("%d", n)
			refused(t, what+" at one place", within(t, r, what, 5*time.Millisecond, 0, "{ __typename"+strings.Repeat(" @x", n)+" }"), 400, "LIMIT_EXCEEDED")
		}
		refused(t, "10 at 10 places", within(t, r, "10", 5*time.Millisecond, 0, "{ "+strings.Repeat("__typename @x ", 10)+"}"), 400, "GRAPHQL_VALIDATION_FAILED")
	})
	t.Run("aliases", func(t *testing.T) {
		refused(t, "101", r.ask(officer, casing, "{ persons { "+aliases(101, "name")+"} }", ""), 400, "LIMIT_EXCEEDED")
		one := fmt.Sprintf(`person(idNumber: %q) { name }`, guangdong.TheSample().Mother)
		if a := r.ask(officer, casing, "{ "+aliases(15, one)+"}", ""); a.status != 200 || a.code() != "" || strings.Count(a.body, `"a14":{"name":`) != 1 {
			t.Errorf("15 of one root: %d %.300s", a.status, a.body)
		}
		if sent := r.statements(); len(sent) != 1 {
			t.Errorf("15 of one root with equal arguments: %d statements: %v", len(sent), sent)
		}
		if a := r.ask(officer, casing, "{ "+aliases(15, "persons(limit: 3) { district }")+"}", ""); a.status != 200 {
			t.Errorf("15 of one list: %d %.300s", a.status, a.body)
		}
		if sent := r.statements(); len(sent) != 1 {
			t.Errorf("15 of one list with equal arguments: %d statements", len(sent))
		}
	})
	t.Run("depth", func(t *testing.T) {
		deep := func(n int) string { return strings.Repeat("{ mother ", n) + strings.Repeat("} ", n) }
		// One row at each of its levels, so that nothing but the depth is too much.
		levels := func(n int) string {
			document := "{ " + []string{"district", "number"}[n%2] + " }"
			for level := n - 1; level > 1; level-- {
				document = "{ " + []string{"permits(limit: 1)", "holder"}[level%2] + " " + document + " }"
			}
			return "{ persons(limit: 1) " + document + " }"
		}
		for _, n := range []int{2, 11, 12} {
			if a := r.ask(officer, casing, levels(n), ""); a.status != 200 || a.code() != "" {
				t.Errorf("%d levels: %d %.300s", n, a.status, a.body)
			}
		}
		r.statements()
		for _, n := range []int{13, 14, 30} {
			a := r.ask(officer, casing, levels(n), "")
			if refused(t, fmt.Sprint(n), a, 400, "LIMIT_EXCEEDED"); !strings.Contains(a.body, "more than 12 levels") {
				t.Errorf("%d levels: refused for something else: %.300s", n, a.body)
			}
		}
		refused(t, "1,000", r.ask(officer, casing, deep(1_000), ""), 400, "LIMIT_EXCEEDED")
		// A body holds no million levels, so the deepest that fits stands for it,
		// beside the bodies that are refused before they are read.
		refused(t, "120,000", within(t, r, "120,000", 20*time.Millisecond, 0, strings.Repeat("{a", 120_000)), 400, "LIMIT_EXCEEDED")
		for _, body := range []string{bodyOf(strings.Repeat("{a", 1_000_000), ""), bodyOf("{ __typename }", `{"x":`+strings.Repeat("[", 1_000_000)+strings.Repeat("]", 1_000_000)+"}")} {
			refused(t, "1,000,000", r.do(request{token: officer, body: body}), 413, "PAYLOAD_TOO_LARGE")
		}
		for _, n := range []int{17, 100, 1_000, 100_000} {
			lists := strings.Repeat("[", n) + strings.Repeat("]", n)
			refused(t, fmt.Sprintf("%d lists in a literal", n), r.ask(officer, casing, `{ persons(where: {name: {_in: `+lists+`}}) { name } }`, ""), 400, "LIMIT_EXCEEDED")
			a := r.ask(officer, casing, `query($w: PersonWhere) { persons(where: $w) { name } }`, `{"w":{"name":{"_in":`+lists+`}}}`)
			if a.status != 400 || strings.Count(a.body, `"message"`) != 1 {
				t.Errorf("%d lists in a variable: %d %.200s", n, a.status, a.body)
			}
		}
		if sent := r.statements(); len(sent) > 0 {
			t.Errorf("%d statements", len(sent))
		}
	})
	t.Run("introspection", func(t *testing.T) {
		refused(t, "circular", r.ask(officer, casing, `{ __schema { types { `+strings.Repeat("fields { type { ", 8)+"name"+strings.Repeat(" } }", 8)+` } } }`, ""), 400, "LIMIT_EXCEEDED")
		refused(t, "circular within the depth", r.ask(officer, casing, `{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }`, ""), 400, "GRAPHQL_VALIDATION_FAILED")
		refused(t, "2,000 aliases", r.ask(officer, casing, "{ "+aliases(2_000, "__schema { description }")+"}", ""), 400, "LIMIT_EXCEEDED")
		standard, err := os.ReadFile("../../graph/plan/testdata/introspection.query.graphql")
		if err != nil {
			t.Fatal(err)
		}
		for token, hidden := range map[string]bool{officer: true, "demo-owner-health": true, "demo-citizen": false} {
			a := r.ask(token, "", string(standard), "")
			if a.status != 200 || a.code() != "" {
				t.Fatalf("the standard query as %s: %d %.300s", token, a.status, a.body)
			}
			// Only the person concerned may ever see the balance of an account.
			if shows := strings.Contains(a.body, `"balance"`); shows == hidden {
				t.Errorf("%s: shows the balance: %t", token, shows)
			}
		}
	})
	t.Run("array batches", func(t *testing.T) {
		one := bodyOf("{ __typename }", "")
		for _, body := range []string{"[]", "[" + one + "]", "[" + one + "," + one + "]"} {
			refused(t, body, r.do(request{token: officer, body: body}), 400, "BAD_REQUEST")
		}
	})
	t.Run("nested lists", func(t *testing.T) {
		refused(t, "1,000 x 1,000 x 1,000", r.ask(officer, casing,
			`{ persons(limit: 1000) { companies(limit: 1000) { licences(limit: 1000) { number } } } }`, ""), 400, "LIMIT_EXCEEDED")
		refused(t, "by variables", r.ask(officer, casing,
			`query($n: Int) { persons(limit: $n) { companies(limit: $n) { licences(limit: $n) { number } } } }`, `{"n":1000}`), 400, "LIMIT_EXCEEDED")
	})
	t.Run("bodies", func(t *testing.T) {
		large := bodyOf("{ __typename } #"+strings.Repeat("x", 257<<10), "")
		refused(t, "257 KiB", r.do(request{token: officer, body: large}), 413, "PAYLOAD_TOO_LARGE")
		// A reader that is not a strings.Reader makes the client send chunks.
		refused(t, "257 KiB in chunks", r.do(request{token: officer, reader: io.MultiReader(strings.NewReader(large))}), 413, "PAYLOAD_TOO_LARGE")
		var bomb bytes.Buffer
		z := gzip.NewWriter(&bomb)
		zeros := make([]byte, 1<<20)
		for range 64 {
			if _, err := z.Write(zeros); err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		for _, encoding := range []string{"gzip", "deflate", "br", "zstd", "identity, gzip"} {
			refused(t, "a bomb as "+encoding, r.do(request{token: officer, body: bomb.String(), headers: []string{"Content-Encoding", encoding}}), 415, "UNSUPPORTED_MEDIA_TYPE")
		}
		refused(t, "a bomb under a false name", r.do(request{token: officer, body: bomb.String()}), 400, "BAD_REQUEST")
	})
	t.Run("malformed JSON", func(t *testing.T) {
		for what, body := range map[string]string{
			"a duplicate key":          `{"query":"{ __typename }","query":"{ persons { name } }"}`,
			"a duplicate by an escape": `{"query":"{ __typename }","quer\u0079":"{ persons { name } }"}`,
			"a duplicate variable":     `{"query":"{ __typename }","variables":{"a":1,"a":2}}`,
			"another case":             `{"QUERY":"{ __typename }"}`,
			"trailing data":            `{"query":"{ __typename }"} {}`,
			"an unknown key":           `{"query":"{ __typename }","debug":true}`,
			"no object":                `"{ __typename }"`,
			"a NUL":                    "{\"query\":\"{ __typename }\x00\"}",
		} {
			refused(t, what, r.do(request{token: officer, body: body}), 400, "BAD_REQUEST")
		}
	})
	t.Run("any document within the limits", func(t *testing.T) {
		for i, document := range expensive() {
			a := within(t, r, fmt.Sprintf("%d", i), 50*time.Millisecond, 0, document)
			t.Logf("%d: %d %s %.80s", i, a.status, a.code(), a.body)
		}
	})
}

func aliases(n int, field string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "a%d: %s ", i, field)
	}
	return b.String()
}

// nestedBomb doubles with each of its fragments.
func nestedBomb(n int) string {
	var b strings.Builder
	b.WriteString("{ persons { ...F0 } } ")
	for i := range n {
		fmt.Fprintf(&b, "fragment F%d on Person { household { members { ...F%d } } h: household { members { ...F%d } } } ", i, i+1, i+1)
	}
	fmt.Fprintf(&b, "fragment F%d on Person { name }", n)
	return b.String()
}

// flatBomb doubles without going deeper.
func flatBomb(n int) string {
	var b strings.Builder
	b.WriteString("{ persons { ...F0 } } ")
	for i := range n {
		fmt.Fprintf(&b, "fragment F%d on Person { ...F%d ...F%d } ", i, i+1, i+1)
	}
	fmt.Fprintf(&b, "fragment F%d on Person { name }", n)
	return b.String()
}

// expensive are documents within the limits that make validation and planning
// work as hard as those allow.
func expensive() []string {
	var overlaps, conditions, unknown strings.Builder
	overlaps.WriteString("{ persons { ")
	for i := range 20 {
		fmt.Fprintf(&overlaps, "...F%d ", i)
	}
	overlaps.WriteString("} } ")
	for i := range 20 {
		fmt.Fprintf(&overlaps, "fragment F%d on Person { district sex household { size } permits { issuer validUntil holder { sex } } } ", i)
	}
	conditions.WriteString(`{ persons(where: {_or: [`)
	for range 150 {
		conditions.WriteString(`{_not: {district: {_eq: "x"}}} `)
	}
	conditions.WriteString("]}) { district } }")
	for i := range 600 {
		fmt.Fprintf(&unknown, "f%d ", i%20)
		if i%20 == 19 {
			unknown.WriteString("... { ")
		}
	}
	return []string{
		overlaps.String(), conditions.String(),
		"{ persons { " + unknown.String() + "x " + strings.Repeat("} ", 30) + "} }",
		"{ " + aliases(20, "persons(limit: 10) { permits(limit: 10) { issuer } }") + "}",
		"{ persons(limit: 5) { certificates { " + strings.Repeat("... on BirthCertificate { mother { district } } ... on ResidencePermit { holder { district } } ", 15) + "} } }",
	}
}
