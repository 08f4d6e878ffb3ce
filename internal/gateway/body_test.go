package gateway

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/weir-data/weir/graph/plan"
)

// bodySeeds are bodies of every kind: good ones, and each way to be refused.
func bodySeeds() []string {
	return []string{
		`{"query":"{ a }"}`,
		` { "query" : "query Q($i: Int) { a(i: $i) }" , "operationName":"Q","variables":{"i":1,"l":[1,2.5e+3,-0,null,true,{"x":"y"}]},"extensions":null}` + "\n",
		`{"query":"{ a }","variables":{},"extensions":{"persistedQuery":{"version":1,"sha256Hash":"00"},"a":1,"a":2}}`,
		`{"\u0071uery":"{ \"\\\/\b\f\n\r\t\u00e9\ud83d\ude00 }"}`,
		`{"query":"\ud83d"}`, `{"query":"a","operationName":"\ude00\ud83d\u0041"}`, `{"query":"a","variables":{"\ud83d\ude00":"\ud83d\ud83d\ude00"}}`,
		`{"query":"a","variables":{"\uD83D\uDE00":"\\\ud83d\uDE00\\ud83d"}}`, `{"query":"a","variables":{"\ude00":"a"}}`, `{"query":"a","variables":{"a":"\ud83dx\ude00"}}`,
		`{"query":"a","query":"b"}`, `{"query":"a","\u0071uery":"b"}`, `{"QUERY":"a"}`, `{"query":"a","x":1}`, `{"query":"a"} `, `{"query":"a"}{}`,
		`{"query":"a"}x`, `{"query":1}`, `{"query":null}`, `{"query":"a","variables":[]}`, `{"query":"a","variables":"{}"}`, `{"query":"a","variables":{"a":1,"a":1}}`,
		`{"query":"a","variables":{"a":{"b":1,"b":2}}}`, `{"query":"a","extensions":{"a":{"b":1,"b":2}}}`,
		`[]`, `[{"query":"a"}]`, `"a"`, `1`, `null`, ``, ` `, `{`, `{"query"`, `{"query":`, `{"query":"a`, `{"query":"a"`, `{"query":"a",}`, `{,}`, `{"query":"a",,}`,
		`{query:"a"}`, `{'query':'a'}`, "{\"query\":\"a\x01\"}", "{\"query\":\"a\xff\"}", "\xef\xbb\xbf{\"query\":\"a\"}", "{\"query\":\"a\"}\x00", "\x00", "{\"query\":\"\x7f\"}",
		`{"query":"a","variables":{"a":01}}`, `{"query":"a","variables":{"a":+1}}`, `{"query":"a","variables":{"a":.5}}`, `{"query":"a","variables":{"a":1.}}`,
		`{"query":"a","variables":{"a":1e}}`, `{"query":"a","variables":{"a":1e5,"b":-1E-5,"c":-}}`, `{"query":"a","variables":{"a":NaN}}`, `{"query":"a","variables":{"a":tru}}`,
		`{"query":"a","variables":{"a":[1,]}}`, `{"query":"a","variables":{"a":[1 2]}}`, `{"query":"a","variables":{"a":[}}`, `{"query":"a","variables":{"a":"\x"}}`, `{"query":"a","variables":{"a":"\u12"}}`, `{"query":"a","variables":{"a":"\u12g4"}}`,
		`{"query":"a","documentId":"b"}`, `{"documentId":"b"}`, `{}`, "{\"query\":\"a\"\v}", "{\"query\":\"a\"\u00a0}",
		`{"query":"a","variables":{"a":` + strings.Repeat("[", 127) + strings.Repeat("]", 127) + `}}`,
		`{"query":"a","variables":{"a":` + strings.Repeat("[", 128) + strings.Repeat("]", 128) + `}}`,
		strings.Repeat("[", 20_000), `{"query":"a","variables":` + strings.Repeat(`{"a":`, 20_000),
	}
}

// TestBodyLikeStandard compares the reading of bodies with one built on
// encoding/json: over the seeds, and over random changes of them.
func TestBodyLikeStandard(t *testing.T) {
	seeds := bodySeeds()
	for _, s := range seeds {
		sameParams(t, []byte(s))
	}
	rounds := 20_000
	if os.Getenv("WEIR_SOAK") != "" {
		rounds = 5_000_000
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test's
	const bits = "{}[]\":,\\u0123456789abcdefABCDEFxyz+-.eE tfn\n\x00\x1f\x7f\xc3\xa9\xed\xa0\x80\"query\"\"variables\"null true"
	for range rounds {
		s := []byte(seeds[random.IntN(len(seeds)-2)])
		for range 1 + random.IntN(3) {
			at := random.IntN(len(s) + 1)
			switch from := random.IntN(len(bits)); random.IntN(4) {
			case 0:
				s = append(s[:at:at], s[min(len(s), at+1+random.IntN(4)):]...)
			case 1:
				s = append(s[:at:at], append([]byte(bits[from:min(len(bits), from+1+random.IntN(8))]), s[at:]...)...)
			case 2:
				if at < len(s) {
					s = append([]byte(nil), s...)
					s[at] = bits[from]
				}
			case 3:
				other := seeds[random.IntN(len(seeds)-2)]
				s = append(s[:at:at], other[random.IntN(len(other)+1):]...)
			}
		}
		sameParams(t, s)
	}
}

func FuzzBody(f *testing.F) {
	for _, s := range bodySeeds() {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) { sameParams(t, body) })
}

// sameParams holds one body to the standard: both accept it and understand the
// same, or both refuse it. They may name different faults of one body.
func sameParams(t *testing.T, body []byte) {
	t.Helper()
	kept := bytes.Clone(body)
	got, refused := decodeParams(body)
	clear(body) // what was given must not share the buffer
	want, wanted := standardParams(kept)
	if (refused == nil) != (wanted == nil) {
		t.Fatalf("body %.300q: refused %v, by the standard %v", kept, refused, wanted)
	}
	if refused != nil {
		if refused.code != wanted.code && (refused.code != plan.LimitExceeded || wanted.code != plan.BadRequest) {
			t.Fatalf("body %.300q: refused as %v, by the standard as %v", kept, refused.code, wanted.code)
		}
		return
	}
	if !reflect.DeepEqual(got, want) { // cmp takes for ever on deep nesting
		t.Fatalf("body %.300q: got %+v, by the standard %+v", kept, got, want)
	}
}

func BenchmarkBody(b *testing.B) {
	body := []byte(`{"query":"query($id: String!) { person(idNumber: $id) { idNumber name sex birthDate phone district householdNumber updatedAt } }","variables":{"id":"990001199608241926"}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, refused := decodeParams(body); refused != nil {
			b.Fatal(refused.text())
		}
	}
}

// TestBodyAllocations holds the reading of an ordinary body to a budget: the
// parameters, the document, the variables and their one value.
func TestBodyAllocations(t *testing.T) {
	body := []byte(`{"query":"query($id: String!) { person(idNumber: $id) { name } }","variables":{"id":"990001199608241926"}}`)
	got := testing.AllocsPerRun(100, func() {
		if _, refused := decodeParams(body); refused != nil {
			t.Fatal(refused.text())
		}
	})
	const most = 12
	if got > most {
		t.Errorf("%v allocations, at most %d", got, most)
	}
}

// standardParams reads a body with encoding/json: one JSON object with known keys, each
// at most once, in the right case, of the right type, and nothing behind it.
func standardParams(body []byte) (*params, *refusal) {
	dec, refused := standardDecoder(body)
	if refused != nil {
		return nil, refused
	}
	open, err := dec.Token()
	if err != nil {
		return nil, badRequest("the request body is not JSON")
	}
	if open == json.Delim('[') {
		return nil, badRequest("batches are not served: send one request at a time")
	}
	if open != json.Delim('{') {
		return nil, badRequest("the request body is not a JSON object")
	}
	p, seen := &params{}, map[string]bool{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, badRequest("the request body is not JSON")
		}
		key, _ := name.(string)
		if !isParameter(key) {
			return nil, badRequest("an unknown key stands in the request body")
		}
		if seen[key] {
			return nil, badRequest("a key stands twice in the request body")
		}
		seen[key] = true
		v, refused := standardValue(dec, maxNesting, key == "extensions")
		if refused != nil {
			return nil, refused
		}
		if refused := p.set(parameterOf([]byte(key)), v); refused != nil {
			return nil, refused
		}
	}
	return p.complete()
}

// standardDecoder checks the whole text first, so that what follows can only meet JSON.
func standardDecoder(text []byte) (*json.Decoder, *refusal) {
	if len(text) == 0 {
		return nil, badRequest("the request has no body")
	}
	if !utf8.Valid(text) {
		return nil, badRequest("the request is not UTF-8")
	}
	if !json.Valid(text) || halfPair(text) {
		return nil, badRequest("the request is not JSON")
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	return dec, nil
}

var (
	jsonEscape = regexp.MustCompile(`\\(?:u[0-9A-Fa-f]{4}|[^u])`)
	jsonPair   = regexp.MustCompile(`(?i)^\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}`)
	jsonHalf   = regexp.MustCompile(`(?i)^\\ud[89a-f]`)
)

// halfPair reports whether JSON escapes a surrogate without its pair, which
// encoding/json replaces.
func halfPair(text []byte) bool {
	for at := jsonEscape.FindIndex(text); at != nil; at = jsonEscape.FindIndex(text) {
		switch text = text[at[0]:]; {
		case jsonPair.Match(text):
			text = text[12:]
		case jsonHalf.Match(text):
			return true
		default:
			text = text[at[1]-at[0]:]
		}
	}
	return false
}

// standardValue reads one JSON value; free lets keys repeat (the last one stands).
func standardValue(dec *json.Decoder, depth int, free bool) (any, *refusal) {
	t, err := dec.Token()
	if err != nil {
		return nil, badRequest("the request is not JSON")
	}
	delim, nested := t.(json.Delim)
	if !nested {
		return t, nil
	}
	if depth == 0 {
		return nil, &refusal{plan.LimitExceeded, "the request's JSON is nested too deeply"}
	}
	if delim == '[' {
		list := []any{}
		for dec.More() {
			v, refused := standardValue(dec, depth-1, free)
			if refused != nil {
				return nil, refused
			}
			list = append(list, v)
		}
		_, err = dec.Token()
		if err != nil {
			return nil, badRequest("the request is not JSON")
		}
		return list, nil
	}
	object := map[string]any{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, badRequest("the request is not JSON")
		}
		key, _ := name.(string)
		if _, twice := object[key]; twice && !free {
			return nil, badRequest("a key stands twice in the variables")
		}
		v, refused := standardValue(dec, depth-1, free)
		if refused != nil {
			return nil, refused
		}
		object[key] = v
	}
	if _, err = dec.Token(); err != nil {
		return nil, badRequest("the request is not JSON")
	}
	return object, nil
}
