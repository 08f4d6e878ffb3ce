package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	gql "github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/resolvers"
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
			want := 1
			if tt.status == 401 {
				want = 0
			}
			if got := len(b.ledger.records); got != want {
				t.Errorf("%d records", got)
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
}

func TestOtherMethods(t *testing.T) {
	for path, allowed := range map[string]string{"/graphql?query=q": "GET, POST", "/control/graphql": "GET, POST", "/schema.graphql": "GET"} {
		for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodHead, "BREW"} {
			for token, records := range map[string]int{"Bearer clerk": 1, "Bearer two": 1, "Bearer nobody": 0, "": 0} {
				b := newBench(t)
				w := b.do(method, path, nil, pair{"Authorization", ""}, pair{"Authorization", token})
				if w.Code != 405 || codeOf(t, w) != "METHOD_NOT_ALLOWED" || w.Header().Get("Allow") != allowed || w.Header().Get("WWW-Authenticate") != "" {
					t.Errorf("%s %s as %q: %d %q %s", method, path, token, w.Code, w.Header(), w.Body)
				}
				if got := b.ledger.all(); len(got) != records || records == 1 && (got[0].Kind != "refused" || got[0].Code != "METHOD_NOT_ALLOWED") {
					t.Errorf("%s %s as %q: recorded %+v", method, path, token, got)
				}
			}
		}
	}
}

// TestNothingFollowsChunks: what came before a body in chunks is not known to
// agree with it, so that its connection is not used again.
func TestNothingFollowsChunks(t *testing.T) {
	b := newBench(t)
	server := httptest.NewServer(b.handler)
	defer server.Close()
	const head = "POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer clerk\r\nContent-Type: application/json\r\n"
	for name, tt := range map[string]struct {
		framed string
		last   bool
	}{
		"a length":            {fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(typename), typename), false},
		"chunks":              {fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(typename), typename), true},
		"chunks and a length": {fmt.Sprintf("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(typename), typename), true},
	} {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, head+tt.framed); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != 200 || response.Close != tt.last {
			t.Errorf("%s: %d, closed: %v", name, response.StatusCode, response.Close)
		}
		_, _ = response.Body.Close(), conn.Close()
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
		{[]string{response + ";x=" + strings.Repeat("y", 200)}, graphQLJSON},
		{[]string{response + ";x=" + strings.Repeat("y", 300)}, unacceptable},
		{[]string{strings.Repeat("a/b,", 31) + response}, graphQLJSON},
		{[]string{strings.Repeat("a/b,", 32) + response}, unacceptable},
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

// TestFaultsOfSelections: a fault in a selection leaves with its place and
// without its text.
func TestFaultsOfSelections(t *testing.T) {
	e := &gqlerror.Error{
		Message: canary, Path: gql.Path{gql.PathName("persons"), gql.PathIndex(3)},
		Extensions: map[string]any{"code": "INTERNAL", "selection": "persons.name", "count": 2, "secret": canary},
	}
	got, code := translate(gqlerror.List{e}, "r1")
	want := `[{"message":"internal error","path":["persons",3],"extensions":{"code":"INTERNAL","requestId":"r1","selection":"persons.name","count":2}}]`
	if string(got) != want || code != plan.Internal {
		t.Errorf("%s %s", got, code)
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

// afterwards panics when its memory is to be given back.
type afterwards struct{ *fakeExecutor }

func (afterwards) Release(*resolvers.Request) { panic(canary) }

// TestPanicAfterTheAnswer: what has left is answered once and recorded once.
func TestPanicAfterTheAnswer(t *testing.T) {
	for _, accept := range []string{"application/json", eventStream} {
		b := newBench(t, func(c *Config) {
			late := afterwards{&fakeExecutor{}}
			c.Data, c.Control = late, late
		})
		w := b.do(http.MethodPost, "/control/graphql", strings.NewReader(typename), pair{"Accept", accept})
		if w.Code != 200 || strings.Contains(w.Body.String(), "errors") || strings.Count(w.Body.String(), "data\":") != 1 {
			t.Errorf("%s: %d %s", accept, w.Code, w.Body)
		}
		if got := b.ledger.all(); len(got) != 1 || got[0].Code != "" {
			t.Errorf("%s: recorded %+v", accept, got)
		}
		if !strings.Contains(b.log.String(), "panic in a request") {
			t.Errorf("%s: nobody was told: %s", accept, b.log)
		}
		noCanary(t, b)
	}
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
	if n := b.front.Running(); n != 1 {
		t.Errorf("%d requests run, not the one", n)
	}
	if w := b.post(typename); w.Code != 503 || codeOf(t, w) != "OVERLOADED" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	close(leave)
	<-done
	if n := b.front.Running(); n != 0 {
		t.Errorf("%d requests run when all are answered", n)
	}
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
	for name, want := range map[string]int{"X-Nothing": 200, "X-Forwarded-For": 403, "Forwarded": 403, "Via": 403, "X-Real-IP": 403} {
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.RemoteAddr = "127.0.0.1:1"
		r.Header.Set(name, "198.51.100.7")
		w := httptest.NewRecorder()
		if b.handler.ServeHTTP(w, r); w.Code != want {
			t.Errorf("metrics with %s: %d", name, w.Code)
		}
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
