package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	gql "github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/resolvers"
	"github.com/weir-data/weir/schema"
)

const typename = `{"query":"{ __typename }"}`

func TestPost(t *testing.T) {
	long := strings.Repeat("x", 257<<10)
	for _, tt := range []struct {
		name    string
		body    string
		headers []pair
		status  int
		code    string
	}{
		{"plain", typename, nil, 200, ""},
		{"all keys", `{"query":"q","operationName":null,"variables":{"a":[1,{"b":null}]},"extensions":{"x":{"y":1,"y":2}},"documentId":null}`, nil, 200, ""},
		{"charset", typename, []pair{{"Content-Type", ""}, {"Content-Type", "application/json; charset=UTF-8"}}, 200, ""},
		{"other charset", typename, []pair{{"Content-Type", ""}, {"Content-Type", "application/json; charset=utf-16"}}, 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"no content type", typename, []pair{{"Content-Type", ""}}, 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"text/plain", typename, []pair{{"Content-Type", ""}, {"Content-Type", "text/plain"}}, 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"form", "query=q", []pair{{"Content-Type", ""}, {"Content-Type", "application/x-www-form-urlencoded"}}, 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"multipart", "x", []pair{{"Content-Type", ""}, {"Content-Type", "multipart/form-data; boundary=x"}}, 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"two content types", typename, []pair{{"Content-Type", "text/plain"}}, 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"gzip", typename, []pair{{"Content-Encoding", "gzip"}}, 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"empty", "", nil, 400, "BAD_REQUEST"},
		{"broken", `{ "not a JSON`, nil, 400, "BAD_REQUEST"},
		{"trailing", typename + `{}`, nil, 400, "BAD_REQUEST"},
		{"batch", `[` + typename + `]`, nil, 400, "BAD_REQUEST"},
		{"string", `"q"`, nil, 400, "BAD_REQUEST"},
		{"duplicate", `{"query":"a","query":"b"}`, nil, 400, "BAD_REQUEST"},
		{"duplicate by escape", `{"query":"a","quer\u0079":"b"}`, nil, 400, "BAD_REQUEST"},
		{"duplicate variable", `{"query":"a","variables":{"id":1,"id":2}}`, nil, 400, "BAD_REQUEST"},
		{"upper case", `{"QUERY":"a"}`, nil, 400, "BAD_REQUEST"},
		{"unknown key", `{"query":"a","qeury":"b"}`, nil, 400, "BAD_REQUEST"},
		{"no query", `{}`, nil, 400, "BAD_REQUEST"},
		{"null query", `{"query":null}`, nil, 400, "BAD_REQUEST"},
		{"query object", `{"query":{}}`, nil, 400, "BAD_REQUEST"},
		{"variables string", `{"query":"a","variables":"x"}`, nil, 400, "BAD_REQUEST"},
		{"variables list", `{"query":"a","variables":[1]}`, nil, 400, "BAD_REQUEST"},
		{"extensions number", `{"query":"a","extensions":0}`, nil, 400, "BAD_REQUEST"},
		{"operation number", `{"query":"a","operationName":0}`, nil, 400, "BAD_REQUEST"},
		{"not UTF-8", "{\"query\":\"\xff\"}", nil, 400, "BAD_REQUEST"},
		{"byte order mark", "\ufeff" + typename, nil, 400, "BAD_REQUEST"},
		{"too large", `{"query":"` + long + `"}`, nil, 413, "PAYLOAD_TOO_LARGE"},
		{"deep", `{"query":"a","variables":{"x":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}}`, nil, 400, "LIMIT_EXCEEDED"},
		{"very deep", `{"query":"a","variables":{"x":` + strings.Repeat("[", 100_000) + `}}`, nil, 400, "LIMIT_EXCEEDED"},
		{"document id", `{"documentId":"sha256:00"}`, nil, 400, "DOCUMENT_NOT_FOUND"},
		{"document id and query", `{"documentId":"sha256:00","query":"a"}`, nil, 400, "BAD_REQUEST"},
		{"persisted hash", `{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"00"}}}`, nil, 400, "DOCUMENT_NOT_FOUND"},
		{"registration is refused", `{"query":"a","extensions":{"persistedQuery":{"version":1,"sha256Hash":"00"}}}`, nil, 400, "BAD_REQUEST"},
		{"no token", typename, []pair{{"Authorization", ""}}, 401, "UNAUTHENTICATED"},
		{"unknown token", typename, []pair{{"Authorization", ""}, {"Authorization", "Bearer nobody"}}, 401, "UNAUTHENTICATED"},
		{"two tokens", typename, []pair{{"Authorization", "Bearer clerk"}}, 401, "UNAUTHENTICATED"},
		{"basic", typename, []pair{{"Authorization", ""}, {"Authorization", "Basic clerk"}}, 401, "UNAUTHENTICATED"},
		{"huge token", typename, []pair{{"Authorization", ""}, {"Authorization", "Bearer " + strings.Repeat("a", 9<<10)}}, 401, "UNAUTHENTICATED"},
		{"identity header", typename, []pair{{"Authorization", ""}, {"X-User", "clerk"}, {"X-Forwarded-User", "clerk"}, {"Cookie", "token=clerk"}}, 401, "UNAUTHENTICATED"},
		{"two offices", typename, []pair{{"Authorization", ""}, {"Authorization", "Bearer two"}}, 403, "FORBIDDEN"},
		{"two offices by inheritance", typename, []pair{{"Authorization", ""}, {"Authorization", "Bearer boss"}}, 403, "FORBIDDEN"},
		{"one office", typename, []pair{{"Authorization", ""}, {"Authorization", "Bearer one"}}, 200, ""},
		{"purpose", typename, []pair{{"X-Weir-Purpose", "case"}}, 200, ""},
		{"purpose not open", typename, []pair{{"X-Weir-Purpose", "closed"}}, 403, "FORBIDDEN"},
		{"purpose unknown", typename, []pair{{"X-Weir-Purpose", "spying"}}, 403, "FORBIDDEN"},
		{"two purposes", typename, []pair{{"X-Weir-Purpose", "case"}, {"X-Weir-Purpose", "case"}}, 400, "BAD_REQUEST"},
		{"long case", typename, []pair{{"X-Weir-Case", strings.Repeat("1", 129)}}, 400, "BAD_REQUEST"},
		{"withheld", typename, []pair{{"X-Weir-Withheld", "errors"}}, 200, ""},
		{"withheld otherwise", typename, []pair{{"X-Weir-Withheld", "clear"}}, 400, "BAD_REQUEST"},
		{"partial otherwise", typename, []pair{{"X-Weir-Partial", "all"}}, 400, "BAD_REQUEST"},
		{"nothing acceptable", typename, []pair{{"Accept", "text/html"}}, 406, "NOT_ACCEPTABLE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			w := b.post(tt.body, tt.headers...)
			if w.Code != tt.status || codeOf(t, w) != tt.code {
				t.Errorf("got %d %s, want %d %s: %.300s", w.Code, codeOf(t, w), tt.status, tt.code, w.Body)
			}
			if ran := b.ran() > 0; ran != (tt.code == "") {
				t.Errorf("the executor ran: %v", ran)
			}
			h := w.Header()
			for key, want := range map[string]string{
				"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Vary": "Authorization, Accept",
			} {
				if h.Get(key) != want {
					t.Errorf("%s = %q", key, h.Get(key))
				}
			}
			if h.Get("Access-Control-Allow-Origin") != "" {
				t.Error("another site may read this")
			}
			recorded := len(b.ledger.records) > 0
			if known := tt.status != 401 && tt.name != "two offices" && tt.name != "two offices by inheritance"; recorded != known {
				t.Errorf("recorded: %v", recorded)
			}
		})
	}
}

func TestUnboundedBody(t *testing.T) {
	b := newBench(t)
	// No Content-Length: the limit holds for what is read, too.
	endless := io.MultiReader(strings.NewReader(`{"query":"`), io.LimitReader(xs{}, 1<<30))
	r := httptest.NewRequest(http.MethodPost, "/graphql", endless)
	r.ContentLength = -1
	r.Header.Set("Authorization", "Bearer clerk")
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	if w.Code != 413 {
		t.Errorf("status %d", w.Code)
	}
}

type xs struct{}

func (xs) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestGet(t *testing.T) {
	q := func(kv ...string) string {
		v := url.Values{}
		for i := 0; i < len(kv); i += 2 {
			v.Add(kv[i], kv[i+1])
		}
		return "/graphql?" + v.Encode()
	}
	for _, tt := range []struct {
		name    string
		target  string
		headers []pair
		op      gql.Operation
		status  int
	}{
		{"query", q("query", "{ __typename }"), nil, "", 200},
		{"variables", q("query", "q", "variables", `{"a":1}`, "operationName", "x", "extensions", `{"b":{}}`), nil, "", 200},
		{"bad variables", q("query", "q", "variables", `[1]`), nil, "", 400},
		{"broken variables", q("query", "q", "variables", `{`), nil, "", 400},
		{"no token", q("query", "{ __typename }"), []pair{{"Authorization", ""}}, "", 401},
		{"token in the URL", q("query", "q", "access_token", "clerk"), []pair{{"Authorization", ""}}, "", 401},
		{"mutation", q("query", "mutation"), nil, gql.Mutation, 405},
		{"subscription", q("query", "subscription"), nil, gql.Subscription, 405},
		{"twice", q("query", "a", "query", "b"), nil, "", 400},
		{"unknown", q("query", "a", "debug", "1"), nil, "", 400},
		{"nothing", "/graphql", nil, "", 400},
		{"document", q("documentId", "sha256:1"), nil, "", 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.operation = tt.op
			if w := b.do(http.MethodGet, tt.target, nil, tt.headers...); w.Code != tt.status {
				t.Errorf("status %d, want %d: %s", w.Code, tt.status, w.Body)
			}
		})
	}
	b := newBench(t)
	for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodHead, "BREW"} {
		if w := b.do(method, "/graphql?query=q", nil); w.Code != 405 || w.Header().Get("Allow") != "GET, POST" {
			t.Errorf("%s: %d %q", method, w.Code, w.Header().Get("Allow"))
		}
	}
}

func TestNegotiate(t *testing.T) {
	const response = "application/graphql-response+json"
	for _, tt := range []struct {
		accept []string
		want   media
	}{
		{nil, plainJSON},
		{[]string{""}, plainJSON},
		{[]string{"*/*"}, plainJSON},
		{[]string{"application/*"}, plainJSON},
		{[]string{response}, graphQLJSON},
		{[]string{response + "; charset=utf-8"}, graphQLJSON},
		{[]string{response + "; charset=latin1"}, unacceptable},
		{[]string{"application/json"}, plainJSON},
		{[]string{"application/json, " + response}, graphQLJSON},
		{[]string{"application/json", response}, graphQLJSON},
		{[]string{"application/json;q=1, " + response + ";q=0.5"}, plainJSON},
		{[]string{response + ";q=0, */*"}, plainJSON},
		{[]string{"application/json;q=0, */*"}, graphQLJSON},
		{[]string{"*/*;q=0"}, unacceptable},
		{[]string{"text/html, */*;q=0.1"}, plainJSON},
		{[]string{"text/html"}, unacceptable},
		{[]string{response + ";q=2"}, unacceptable},
		{[]string{response + ";q=NaN"}, unacceptable},
	} {
		if got := negotiate(tt.accept); got != tt.want {
			t.Errorf("%q: %d, want %d", tt.accept, got, tt.want)
		}
	}
}

func TestStatusOfRefusals(t *testing.T) {
	for _, tt := range []struct {
		code                string
		plain, responseJSON int
	}{
		{"GRAPHQL_PARSE_FAILED", 200, 400},
		{"GRAPHQL_VALIDATION_FAILED", 200, 400},
		{"LIMIT_EXCEEDED", 200, 400},
		{"BAD_REQUEST", 200, 400},
		{"PURPOSE_REQUIRED", 200, 403},
		{"FIELD_NOT_FILTERABLE", 200, 403},
		{"FORBIDDEN", 403, 403},
		{"INTERNAL", 500, 500},
		{"NO_SUCH_CODE", 500, 500},
	} {
		b := newBench(t)
		b.refuse = gqlerror.List{{Message: "sentence", Extensions: map[string]any{"code": tt.code, "secret": canary}}}
		for accept, want := range map[string]int{"application/json": tt.plain, "application/graphql-response+json": tt.responseJSON} {
			w := b.post(typename, pair{"Accept", accept})
			if w.Code != want {
				t.Errorf("%s as %s: %d, want %d", tt.code, accept, w.Code, want)
			}
			if !strings.HasPrefix(w.Header().Get("Content-Type"), accept) {
				t.Errorf("content type %q", w.Header().Get("Content-Type"))
			}
			if strings.Contains(w.Body.String(), `"data"`) || strings.Contains(w.Body.String(), canary) {
				t.Errorf("body %s", w.Body)
			}
			if tt.code == "NO_SUCH_CODE" && (codeOf(t, w) != "INTERNAL" || strings.Contains(w.Body.String(), "sentence")) {
				t.Errorf("an unknown error left as %s", w.Body)
			}
		}
		if r := b.ledger.last(t); r.Kind != "refused" {
			t.Errorf("%s is recorded as %s", tt.code, r.Kind)
		}
	}
}

// TestNoBodyBeforeTheRecord holds the answer back at the ledger and looks at the
// connection meanwhile.
func TestNoBodyBeforeTheRecord(t *testing.T) {
	for level, want := range map[int]lineage.Durability{0: lineage.Written, 1: lineage.Synced, 3: lineage.Synced} {
		b := newBench(t)
		b.respond = reads(rank(level), `{"person":{"name":"`+canary+`"}}`)
		var out *spy
		b.ledger.onWait = func() {
			if out.wrote {
				t.Error("something was written before the record was durable")
			}
		}
		out = &spy{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(typename))
		r.Header.Set("Authorization", "Bearer clerk")
		r.Header.Set("Content-Type", "application/json")
		b.handler.ServeHTTP(out, r)
		if !strings.Contains(out.Body.String(), canary) || !strings.Contains(out.Body.String(), `"receipt":"node-a/1/1"`) {
			t.Errorf("body %s", out.Body)
		}
		if !json.Valid(out.Body.Bytes()) {
			t.Errorf("not JSON: %s", out.Body)
		}
		if len(b.ledger.waited) != 1 || b.ledger.waited[0] != want {
			t.Errorf("level %d waited for %v", level, b.ledger.waited)
		}
		record := b.ledger.last(t)
		if want := lineage.AnswerDigest(record.Salt[:], []byte(`{"person":{"name":"`+canary+`"}}`), nil); record.Answer != want {
			t.Error("the record's digest is not of what left")
		}
		if record.Salt == [16]byte{} || record.Subject == "" || record.Status != "ok" || record.Kind != "query" {
			t.Errorf("record %+v", record)
		}
	}
}

// spy notes the first write of anything.
type spy struct {
	*httptest.ResponseRecorder
	wrote bool
}

func (s *spy) WriteHeader(status int) { s.wrote = true; s.ResponseRecorder.WriteHeader(status) }

func (s *spy) Write(p []byte) (int, error) {
	s.wrote = true
	return s.ResponseRecorder.Write(p)
}

func TestLedgerFailureServesNothing(t *testing.T) {
	for name, broken := range map[string]*fakeLedger{
		"append": {appendE: errors.New("full")}, "wait": {waitE: errors.New("full")},
	} {
		b := newBench(t)
		b.ledger.appendE, b.ledger.waitE = broken.appendE, broken.waitE
		b.respond = reads(3, `{"person":{"name":"`+canary+`"}}`)
		w := b.post(typename)
		if w.Code != 503 || codeOf(t, w) != "LEDGER_UNAVAILABLE" || strings.Contains(w.Body.String(), canary) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if w := b.post(`{}`); w.Code != 503 {
			t.Errorf("%s: a refusal without a record left with %d", name, w.Code)
		}
		w = b.do(http.MethodGet, "/schema.graphql", nil)
		if w.Code != 503 || strings.Contains(w.Body.String(), "Person") {
			t.Errorf("%s: the SDL left without a record", name)
		}
	}
}

func TestAtRelease(t *testing.T) {
	narrow := "p, clerk, police, Person.*, L2, *, all, clear, allow\n"
	other := strings.Replace(sdlText, `"NAME"`, `"REDACT"`, 1)
	for _, tt := range []struct {
		name   string
		during func(*bench, *testing.T)
		status int
		code   string
	}{
		{"nothing", func(*bench, *testing.T) {}, 200, ""},
		{"expired", func(b *bench, _ *testing.T) { b.clock = b.clock.Add(2 * time.Hour) }, 401, "UNAUTHENTICATED"},
		{"revoked", func(b *bench, _ *testing.T) { b.revoked.set() }, 401, "UNAUTHENTICATED"},
		{"same rights", func(b *bench, t *testing.T) { b.current.set(generation(t, sdlText, policyText+"\n")) }, 200, ""},
		{"wider", func(b *bench, t *testing.T) {
			b.current.set(generation(t, sdlText, policyText+"p, clerk, police, Person.*, L4, *, all, clear, allow\n"))
		}, 200, ""},
		{"narrower", func(b *bench, t *testing.T) { b.current.set(generation(t, sdlText, narrow)) }, 409, "POLICY_CHANGED"},
		{"other mask", func(b *bench, t *testing.T) { b.current.set(generation(t, other, policyText)) }, 409, "POLICY_CHANGED"},
		{"no generation", func(b *bench, _ *testing.T) { b.current.set(nil) }, 409, "POLICY_CHANGED"},
		{"two offices", func(b *bench, t *testing.T) {
			b.current.set(generation(t, sdlText, policyText+"g, clerk, security\ng, clerk, auditor\n"))
		}, 409, "POLICY_CHANGED"},
	} {
		for _, when := range []string{"while it ran", "while it waited for its record"} {
			t.Run(tt.name+" "+when, func(t *testing.T) {
				b := newBench(t)
				respond := reads(2, `{"person":{"name":"`+canary+`"}}`)
				b.respond = func(ctx context.Context) *graphql.Response {
					if when == "while it ran" {
						tt.during(b, t)
					}
					return respond(ctx)
				}
				if when != "while it ran" {
					b.ledger.onWait = func() { tt.during(b, t) }
				}
				w := b.post(typename, pair{"X-Weir-Purpose", "case"})
				if w.Code != tt.status || codeOf(t, w) != tt.code {
					t.Errorf("got %d %s", w.Code, w.Body)
				}
				if strings.Contains(w.Body.String(), canary) != (tt.code == "") {
					t.Errorf("body %s", w.Body)
				}
				if when == "while it ran" && b.ledger.last(t).Code != tt.code {
					t.Errorf("recorded as %q", b.ledger.last(t).Code)
				}
			})
		}
	}
}

// TestHiddenAtRelease: an answer that says of a field that it is withheld says
// that there is such a field. It does not leave when the reader may not know of
// it any more, though he held no more of it before than now.
func TestHiddenAtRelease(t *testing.T) {
	for name, tt := range map[string]struct {
		policy string
		status int
		code   string
	}{
		"still withheld": {policyText + "\n", 200, ""},
		"hidden":         {"p, clerk, police, Person.*, L2, *, all, clear, allow\n", 409, "POLICY_CHANGED"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			respond := reads(2, `{"person":{"idNumber":null}}`)
			b.respond = func(ctx context.Context) *graphql.Response {
				out := respond(ctx)
				resolvers.RequestFrom(ctx).Reads.Coordinates = []schema.Coordinate{{Type: "Person", Field: "idNumber"}}
				b.current.set(generation(t, sdlText, tt.policy))
				return out
			}
			// Without a purpose nothing of the level is granted, and what a purpose
			// would open is not hidden.
			if w := b.post(typename); w.Code != tt.status || codeOf(t, w) != tt.code {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
		})
	}
}

func TestPanicIsInternalAndSilent(t *testing.T) {
	b := newBench(t)
	b.respond = func(context.Context) *graphql.Response { panic(canary) }
	w := b.post(typename)
	if w.Code != 500 || codeOf(t, w) != "INTERNAL" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if r := b.ledger.last(t); r.Code != "INTERNAL" {
		t.Errorf("recorded as %q", r.Code)
	}
	if len(b.front.turns) != 0 {
		t.Error("the turn was not given back")
	}
	noCanary(t, b)
}

func noCanary(t *testing.T, b *bench) {
	t.Helper()
	if strings.Contains(b.log.String(), canary) {
		t.Errorf("a value was logged: %s", b.log)
	}
	for _, r := range b.ledger.records {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte(canary)) {
			t.Errorf("a value was recorded: %s", text)
		}
	}
	w := httptest.NewRecorder()
	b.front.cfg.Metrics.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if strings.Contains(w.Body.String(), canary) || !strings.Contains(w.Body.String(), "weir_requests_total") {
		t.Errorf("metrics: %s", w.Body)
	}
}

func TestNothingIsEchoedOrLogged(t *testing.T) {
	bodies := []string{
		`{"query":"{ ` + canary + ` }"}`, `{"query":"x","variables":{"` + canary + `":"` + canary + `"}}`,
		`{"` + canary + `":1}`, canary, `{"query":"` + canary + `","query":"x"}`, `{"query":"x","operationName":{"` + canary + `":1}}`,
		`{"documentId":"` + canary + `"}`,
	}
	b := newBench(t)
	b.refuse = gqlerror.List{{Message: "no", Extensions: map[string]any{"code": "GRAPHQL_VALIDATION_FAILED"}}}
	for _, body := range bodies {
		for _, h := range [][]pair{nil, {{"X-Weir-Case", canary}}, {{"X-Weir-Purpose", canary}}, {{"Authorization", ""}, {"Authorization", "Bearer " + canary}}, {{"X-Request-Id", canary + "!"}}} {
			w := b.post(body, h...)
			if strings.Contains(w.Body.String(), canary) {
				t.Errorf("echoed: %s", w.Body)
			}
		}
	}
	if w := b.do(http.MethodGet, "/graphql?query="+canary+"&"+canary+"=1", nil); strings.Contains(w.Body.String(), canary) {
		t.Errorf("echoed: %s", w.Body)
	}
	b.front.strangers.flush()
	noCanary(t, b)
}

func TestRequestID(t *testing.T) {
	b := newBench(t)
	if got := b.post(typename, pair{"X-Request-Id", "abcdef-123_456"}).Header().Get("X-Request-Id"); got != "abcdef-123_456" {
		t.Errorf("a well-formed id became %q", got)
	}
	for _, bad := range []string{"short", `a"b"c"d"e`, strings.Repeat("a", 65), "abcdefgh\t"} {
		if got := b.post(typename, pair{"X-Request-Id", bad}).Header().Get("X-Request-Id"); got == bad || got == "" {
			t.Errorf("%q was taken as an id", bad)
		}
	}
}

func TestOverload(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Concurrent = 1 })
	inside, leave := make(chan struct{}), make(chan struct{})
	b.respond = func(context.Context) *graphql.Response {
		close(inside)
		<-leave
		return &graphql.Response{Data: json.RawMessage("{}")}
	}
	done := make(chan struct{})
	go func() { defer close(done); b.post(typename) }()
	<-inside
	if w := b.post(typename); w.Code != 503 || codeOf(t, w) != "OVERLOADED" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	close(leave)
	<-done
}

func TestPages(t *testing.T) {
	b := newBench(t)
	if w := b.do(http.MethodGet, "/readyz", nil); w.Code != 200 {
		t.Errorf("ready: %d", w.Code)
	}
	b.ledger.appendE = errors.New(canary)
	if w := b.do(http.MethodGet, "/readyz", nil); w.Code != 503 || strings.Contains(w.Body.String(), canary) {
		t.Errorf("ready without a ledger: %d %s", w.Code, w.Body)
	}
	b.ledger.appendE = nil
	if w := b.do(http.MethodGet, "/schema.graphql", nil); w.Code != 200 || !strings.Contains(w.Body.String(), "type Person") || b.ledger.last(t).Kind != "introspection" {
		t.Errorf("schema: %d", w.Code)
	}
	if w := b.do(http.MethodGet, "/schema.graphql", nil, pair{"Authorization", ""}); w.Code != 401 || strings.Contains(w.Body.String(), "Person") {
		t.Errorf("schema for a stranger: %d %s", w.Code, w.Body)
	}
	if w := b.do(http.MethodGet, "/metrics", nil); w.Code != 403 { // httptest's peer is 192.0.2.1
		t.Errorf("metrics for another machine: %d", w.Code)
	}
	b.current.set(nil)
	for path, want := range map[string]int{"/readyz": 503, "/healthz": 200, "/elsewhere": 404} {
		if w := b.do(http.MethodGet, path, nil); w.Code != want {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if w := b.post(typename); w.Code != 503 {
		t.Errorf("served without a generation: %d", w.Code)
	}
}

func TestMemoryIsGivenBackAfterTheBytes(t *testing.T) {
	b := newBench(t)
	b.ledger.onWait = func() {
		if b.released != 0 {
			t.Error("the buffer was given back before it was written")
		}
	}
	b.post(typename)
	if b.released != 1 {
		t.Errorf("released %d times", b.released)
	}
}

// TestOnlyTheGateWrites reads the package: bodies of the graphs are written in
// release.go, pages without data in pages.go and console.go, nowhere else.
// Whatever is declared as a response, under whichever name, is looked at, and
// nobody else may keep one in a struct.
func TestOnlyTheGateWrites(t *testing.T) {
	allowed := map[string]bool{"release.go": true, "pages.go": true, "console.go": true}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if allowed[name] || strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range writesOf(t, name, string(text)) {
			t.Error(found)
		}
	}
	// What it must see.
	for _, body := range []string{
		"func f(w http.ResponseWriter) { w.Write(nil) }",
		"func f(out http.ResponseWriter) { out.WriteHeader(200) }",
		"func f(out http.ResponseWriter) { fmt.Fprint(out, 1) }",
		"func f(out http.ResponseWriter) { g := out; _ = g }",
		"type x struct { out http.ResponseWriter }",
		"type x struct { http.ResponseWriter }",
		"var f = func(a, b http.ResponseWriter) { b.Write(nil) }",
		"func f(g *gate) { g.w.Write(nil) }",
		"func f(g *gate) { http.NewResponseController(g.w).Flush() }",
		"func f(g *gate) { send(g.w) }",
	} {
		if len(writesOf(t, "bad.go", "package gateway\n"+body)) == 0 {
			t.Errorf("not seen: %s", body)
		}
	}
}

// writesOf lists what a file does to responses beside handing them to the gate
// or to the next handler.
func writesOf(t *testing.T, name, text string) (found []string) {
	t.Helper()
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, name, text, 0)
	if err != nil {
		t.Fatal(err)
	}
	isResponse := func(e ast.Expr) bool {
		sel, ok := e.(*ast.SelectorExpr)
		if !ok {
			return false
		}
		id, ok := sel.X.(*ast.Ident)
		return ok && id.Name == "http" && sel.Sel.Name == "ResponseWriter"
	}
	names := map[string]bool{"w": true}
	parameters := map[*ast.Field]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		if ft, ok := n.(*ast.FuncType); ok {
			for _, p := range ft.Params.List {
				parameters[p] = true
				if isResponse(p.Type) {
					for _, id := range p.Names {
						names[id.Name] = true
					}
				}
			}
		}
		return true
	})
	report := func(n ast.Node, what string) {
		found = append(found, fmt.Sprintf("%s %s", set.Position(n.Pos()), what))
	}
	response := func(e ast.Expr) bool {
		switch e := e.(type) {
		case *ast.Ident:
			return names[e.Name]
		case *ast.SelectorExpr: // the gate's own
			return e.Sel.Name == "w"
		}
		return false
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			if isResponse(n.Type) && !parameters[n] {
				report(n, "keeps a response")
			}
		case *ast.AssignStmt:
			for _, e := range n.Rhs {
				if response(e) {
					report(n, "gives a response another name")
				}
			}
		case *ast.CallExpr:
			sel, method := n.Fun.(*ast.SelectorExpr)
			if method && response(sel.X) && sel.Sel.Name != "Header" {
				report(n, "calls "+sel.Sel.Name+" of a response")
			}
			if id, ok := n.Fun.(*ast.Ident); ok && id.Name == "newGate" || method && sel.Sel.Name == "ServeHTTP" {
				return true
			}
			for _, arg := range n.Args {
				if response(arg) {
					report(n, "hands a response on")
				}
			}
		}
		return true
	})
	return found
}

// FuzzParams: whatever is accepted is what a plain decoder reads, and nothing
// panics.
func FuzzParams(f *testing.F) {
	for _, s := range []string{
		typename, `{"query":"a","variables":{"x":[1,{"y":null}]},"extensions":{}}`, `[]`, `{"query":"a","query":"b"}`,
		`{"query":"\ud800"}`, `{"query":"a","variables":{"a":1e400}}`, "{\"query\":\"\x00\"}", `{"documentId":"x"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, refused := decodeParams(body)
		if (p == nil) == (refused == nil) {
			t.Fatal("neither accepted nor refused")
		}
		if refused != nil {
			return
		}
		var plain struct {
			Query         string
			OperationName *string
		}
		if err := json.Unmarshal(body, &plain); err != nil || plain.Query != p.query {
			t.Fatalf("read %q where a plain decoder reads %q, %v", p.query, plain.Query, err)
		}
	})
}
