package attacks

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/internal/gateway"
)

// TestTransport has one test for each line of the table "Transport and browser"
// that is not tested elsewhere; the threat model names those.
func TestTransport(t *testing.T) {
	t.Run("simple cross-site requests", crossSite)
	t.Run("shared caches", sharedCaches)
	t.Run("unregistered documents", unregistered)
	t.Run("naming a hidden field", namingHidden)
	t.Run("WebSocket", webSockets)
}

// crossSite sends what a page of another site can send without being asked
// first, with the cookies that a browser would add.
func crossSite(t *testing.T) {
	r := newRig(t, options{})
	document := "{ persons { name } }"
	simple := []request{
		{method: http.MethodGet, path: "/graphql?query=" + url.QueryEscape(document)},
		{method: http.MethodGet, path: "/graphql?query=" + url.QueryEscape(document) + "&access_token=" + officer},
		{method: http.MethodGet, path: "/control/graphql?query=" + url.QueryEscape("{ me { subject } }")},
		{method: http.MethodGet, path: "/schema.graphql"},
		{method: http.MethodHead, path: "/graphql?query=" + url.QueryEscape(document)},
		{body: "query=" + url.QueryEscape(document), headers: []string{"Content-Type", "application/x-www-form-urlencoded"}},
		{body: bodyOf(document, ""), headers: []string{"Content-Type", "text/plain"}},
		{body: bodyOf(document, ""), headers: []string{"Content-Type", "text/plain; application/json"}},
		{body: bodyOf(document, ""), headers: []string{"Content-Type", ""}},
		{body: "--x\r\nContent-Disposition: form-data; name=\"operations\"\r\n\r\n" + bodyOf(document, "") + "\r\n--x--\r\n", headers: []string{"Content-Type", "multipart/form-data; boundary=x"}},
	}
	for _, q := range simple {
		for _, origin := range []string{"https://elsewhere.example", "null", ""} {
			q := q
			q.headers = append(slices.Clone(q.headers), "Origin", origin, "Cookie", "token="+officer+"; Authorization=Bearer "+officer, "Sec-Fetch-Site", "cross-site")
			a := r.do(q)
			if a.status < 400 || a.status > 499 {
				t.Errorf("%s %s as %v: %d", q.method, q.path, q.headers, a.status)
			}
			readable(t, a)
		}
		// Nor does the kind of body matter that a browser sends unasked, were
		// there a token.
		if q.method == "" {
			q.token = officer
			if a := r.do(q); a.status != http.StatusUnsupportedMediaType {
				t.Errorf("%v with a token: %d", q.headers, a.status)
			}
		}
	}
	// The preflight of a request that is not simple is not answered with leave.
	for _, path := range []string{"/graphql", "/control/graphql"} {
		a := r.do(request{method: http.MethodOptions, path: path, headers: []string{
			"Origin", "https://elsewhere.example", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization, content-type",
		}})
		if a.status < 400 {
			t.Errorf("preflight: %d", a.status)
		}
		readable(t, a)
	}
	if sent := r.statements(); len(sent) > 0 {
		t.Errorf("%d statements were sent", len(sent))
	}
}

// readable reports an answer that another site could read.
func readable(t *testing.T, a answer) {
	t.Helper()
	for name := range a.headers {
		if strings.HasPrefix(name, "Access-Control-Allow") {
			t.Errorf("another site may read the answer: %s", name)
		}
	}
}

// cache is a small shared cache as RFC 9111 has it: it keeps what it may, by
// method, URL and the headers that Vary names.
type cache struct {
	proxy *httputil.ReverseProxy
	mu    sync.Mutex
	kept  map[string]*httptest.ResponseRecorder
	hits  int
}

func newCache(t *testing.T, origin string) *cache {
	to, err := url.Parse(origin)
	if err != nil {
		t.Fatal(err)
	}
	return &cache{proxy: httputil.NewSingleHostReverseProxy(to), kept: map[string]*httptest.ResponseRecorder{}}
}

// key is what an answer is kept under: GETs by URL; POSTs by URL and body, as
// careless proxies do.
func (c *cache) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "proxy", http.StatusBadGateway)
		return
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	key := r.Method + " " + r.URL.String() + "\n" + string(body)
	c.mu.Lock()
	kept := c.kept[key]
	c.mu.Unlock()
	if kept == nil {
		kept = httptest.NewRecorder()
		c.proxy.ServeHTTP(kept, r)
		control := strings.Join(kept.Header().Values("Cache-Control"), ",")
		// A response to a request with Authorization is kept only if it says so
		// (RFC 9111, 3.5); this cache is more careless than that.
		if !strings.Contains(control, "no-store") && !strings.Contains(control, "private") {
			c.mu.Lock()
			c.kept[key] = kept
			c.mu.Unlock()
		}
	} else {
		c.hits++
	}
	for name, values := range kept.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(kept.Code)
	_, _ = w.Write(kept.Body.Bytes())
}

func sharedCaches(t *testing.T) {
	r := newRig(t, options{})
	proxy := newCache(t, r.url)
	front := httptest.NewServer(proxy)
	t.Cleanup(front.Close)
	through := &rig{t: t, url: front.URL}
	document := `{ persons(limit: 5) { name district } }`
	get := "/graphql?query=" + url.QueryEscape(document)
	for _, path := range []string{get, "/schema.graphql", "/control/graphql?query=" + url.QueryEscape("{ me { subject roles } catalog { revision } }")} {
		seen := map[string]string{}
		for _, token := range []string{officer, "demo-contractor", officer, "", "demo-contractor"} {
			purpose := ""
			if token == officer {
				purpose = casing
			}
			a := through.do(request{method: http.MethodGet, path: path, token: token, purpose: purpose})
			control, vary := a.headers.Get("Cache-Control"), a.headers.Get("Vary")
			if control != "no-store" || !strings.Contains(vary, "Authorization") {
				t.Errorf("%s as %q: Cache-Control %q, Vary %q", path, token, control, vary)
			}
			if was, again := seen[token]; again && was != a.said() {
				t.Errorf("%s as %q: another answer behind the proxy", path, token)
			}
			seen[token] = a.said()
		}
		if seen[officer] == seen["demo-contractor"] || seen[""] == seen[officer] {
			t.Errorf("%s: two readers share an answer", path)
		}
	}
	for _, body := range []string{bodyOf(document, ""), bodyOf("{", ""), "[]"} {
		a := through.do(request{token: officer, purpose: casing, body: body})
		b := through.do(request{token: "demo-contractor", body: body})
		if strings.Contains(b.body, "番禺区") || a.body == b.body {
			t.Errorf("%s: %s", body, b.body)
		}
	}
	// The proxy does keep what it may.
	open := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("x")) }))
	t.Cleanup(open.Close)
	careless := newCache(t, open.URL)
	for range 2 {
		careless.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	}
	if proxy.hits != 0 || careless.hits != 1 {
		t.Errorf("the cache gave %d answers of ours and %d of another's again", proxy.hits, careless.hits)
	}
}

func unregistered(t *testing.T) {
	dir := t.TempDir()
	text := `query Names { persons(limit: 2) { district } }` + "\n"
	write(t, filepath.Join(dir, "names.graphql"), text)
	write(t, filepath.Join(dir, "stale.graphql"), `{ noSuchRoot }`)
	write(t, filepath.Join(dir, "notes.txt"), `{ persons { name } }`)
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:])
	}
	apollo := func(hash, more string) string {
		return `{` + more + `"extensions":{"persistedQuery":{"version":1,"sha256Hash":"` + hash + `"}}}`
	}
	other := `{ persons(limit: 1) { district } }`
	for _, only := range []bool{false, true} {
		r := newRig(t, options{documents: gateway.Documents{Folder: dir, Only: only, MaxBytes: 256 << 10}})
		unlessOnly := http.StatusOK
		if only {
			unlessOnly = http.StatusBadRequest
		}
		for _, c := range []struct {
			name, body string
			status     int
			code       string
		}{
			{"by id", `{"documentId":"sha256:` + hash(text) + `"}`, 200, ""},
			{"by id, with variables", `{"documentId":"sha256:` + hash(text) + `","operationName":"Names","variables":{}}`, 200, ""},
			{"by Apollo's hash", apollo(hash(text), ""), 200, ""},
			{"by hash, with its text", apollo(hash(text), `"query":`+quote(text)+`,`), 200, ""},
			{"its text", bodyOf(text, ""), 200, ""},
			{"a text that is not registered", bodyOf(other, ""), unlessOnly, ""},
			{"introspection", bodyOf("{ __schema { description } }", ""), unlessOnly, ""},
			{"a registration", apollo(hash(other), `"query":`+quote(other)+`,`), unlessOnly, ""},
			{"by the hash that was to be registered", apollo(hash(other), ""), 400, "DOCUMENT_NOT_FOUND"},
			{"by its id", `{"documentId":"sha256:` + hash(other) + `"}`, 400, "DOCUMENT_NOT_FOUND"},
			{"an id in capitals", `{"documentId":"sha256:` + strings.ToUpper(hash(text)) + `"}`, 400, "DOCUMENT_NOT_FOUND"},
			{"another scheme", `{"documentId":"md5:` + hash(text) + `"}`, 400, "DOCUMENT_NOT_FOUND"},
			{"a path", `{"documentId":"sha256:../../weir.yaml"}`, 400, "DOCUMENT_NOT_FOUND"},
			{"a file's name", `{"documentId":"names"}`, 400, "DOCUMENT_NOT_FOUND"},
			{"a file that is no document", `{"documentId":"sha256:` + hash(`{ persons { name } }`) + `"}`, 400, "DOCUMENT_NOT_FOUND"},
			{"two names that differ", `{"documentId":"sha256:` + hash(text) + `","extensions":{"persistedQuery":{"sha256Hash":"` + hash(other) + `"}}}`, 400, "DOCUMENT_NOT_FOUND"},
			{"id and text", `{"documentId":"sha256:` + hash(text) + `","query":` + quote(text) + `}`, 400, "BAD_REQUEST"},
			{"a hash of another text", apollo(hash(text), `"query":`+quote(other)+`,`), 400, "BAD_REQUEST"},
		} {
			r.statements()
			a := r.do(request{token: officer, purpose: casing, body: c.body})
			code := c.code
			if c.status == http.StatusBadRequest && code == "" {
				code = "DOCUMENT_NOT_FOUND"
			}
			if a.status != c.status || a.code() != code {
				t.Errorf("only %t, %s: %d %s, want %d %s", only, c.name, a.status, a.code(), c.status, code)
			}
			if sent := len(r.statements()); sent > 0 && c.status != http.StatusOK {
				t.Errorf("only %t, %s: %d statements", only, c.name, sent)
			}
			// By GET too.
			if id, ok := strings.CutPrefix(c.body, `{"documentId":"`); ok && strings.HasSuffix(id, `"}`) && strings.Count(id, `"`) == 1 {
				a := r.do(request{method: http.MethodGet, path: "/graphql?documentId=" + url.QueryEscape(strings.TrimSuffix(id, `"}`)), token: officer, purpose: casing, headers: []string{"Accept", "application/graphql-response+json"}})
				if a.status != c.status {
					t.Errorf("only %t, %s by GET: %d", only, c.name, a.status)
				}
			}
		}
		// Documents are the data graph's.
		if a := r.do(request{path: "/control/graphql", token: officer, body: `{"documentId":"sha256:` + hash(text) + `"}`}); a.code() != "DOCUMENT_NOT_FOUND" {
			t.Errorf("on the control graph: %d %s", a.status, a.code())
		}
	}
}

// namingHidden is the table's line with the example's best-guarded field; the
// tests named TestHidden… try every name in every position.
func namingHidden(t *testing.T) {
	r := newRig(t, options{})
	random := rand.New(rand.NewPCG(seed(t), 9)) //nolint:gosec // a test's choice
	clerk := r.cfg.Tokens.Demo["demo-clerk"]
	g := r.current.Current()
	shape, errs := g.Shape(authz.Profile{Roles: clerk.Roles, Department: clerk.Department, Purposes: r.cfg.OpenPurposes(clerk.Application, clerk.Purposes)})
	if errs != nil {
		t.Fatal(errs)
	}
	for range 20 {
		other := unknown(random, g.Catalogue.API, "balance")
		for _, p := range append(fieldProbes(shape.API(), shape.API().Types["InsuranceAccount"]), inputProbes(shape.API(), shape.API().Types["InsuranceAccountWhere"])...) {
			hidden, absent := p.named("balance"), p.named(other)
			// Whoever may know it has just named it, so that whatever is kept of
			// documents and plans is at hand.
			r.ask("demo-citizen", "self-service", hidden.document, hidden.variables)
			a, b := r.ask("demo-clerk", "company-registration", hidden.document, hidden.variables), r.ask("demo-clerk", "company-registration", absent.document, absent.variables)
			if a.status != http.StatusBadRequest || a.said() != strings.ReplaceAll(b.said(), other, "balance") {
				t.Fatalf("%s\n%s\n%s", hidden.document, a.said(), b.said())
			}
		}
	}
}

// webSockets asks for an upgrade in every way that servers understand. There is
// no transport of that kind, so that nothing is ever switched.
func webSockets(t *testing.T) {
	r := newRig(t, options{})
	host := strings.TrimPrefix(r.url, "http://")
	for _, path := range []string{"/graphql", "/control/graphql", "/schema.graphql", "/"} {
		for _, origin := range []string{"https://elsewhere.example", "http://" + host, ""} {
			for _, token := range []string{officer, ""} {
				for _, protocol := range []string{"graphql-transport-ws", "graphql-ws", ""} {
					upgrade(t, host, path, origin, token, protocol)
				}
			}
		}
	}
	if sent := r.statements(); len(sent) > 0 {
		t.Errorf("%d statements were sent", len(sent))
	}
}

func upgrade(t *testing.T, host, path, origin, token, protocol string) {
	t.Helper()
	dial := net.Dialer{Timeout: 5 * time.Second}
	c, err := dial.DialContext(t.Context(), "tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	lines := []string{"GET " + path + " HTTP/1.1", "Host: " + host, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}
	if origin != "" {
		lines = append(lines, "Origin: "+origin)
	}
	if token != "" {
		lines = append(lines, "Authorization: Bearer "+token)
	}
	if protocol != "" {
		lines = append(lines, "Sec-WebSocket-Protocol: "+protocol)
	}
	if _, err := fmt.Fprint(c, strings.Join(lines, "\r\n")+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	w, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	defer func() { _ = w.Body.Close() }()
	if w.StatusCode == http.StatusSwitchingProtocols || w.Header.Get("Upgrade") != "" || path != "/schema.graphql" && w.StatusCode < 400 {
		t.Errorf("%s from %q: %d %v", path, origin, w.StatusCode, w.Header)
	}
	if _, err := io.Copy(io.Discard, w.Body); err != nil {
		t.Error(err)
	}
}
