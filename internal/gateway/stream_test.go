package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/resolvers"
	"github.com/weir-data/weir/schema"
)

// source is an executor's answers as the test hands them out; closing it ends
// the operation.
type source chan string

func (s source) respond(ctx context.Context) *graphql.Response {
	select {
	case data, more := <-s:
		if !more {
			return nil
		}
		r := resolvers.RequestFrom(ctx).Reads
		r.CountField(schema.Coordinate{Type: "ReadRecord", Field: "receipt"}, 0, lineage.Clear)
		return &graphql.Response{Data: json.RawMessage(data)}
	case <-ctx.Done():
		return nil
	}
}

// subscription opens a stream over real HTTP and gives its lines.
func subscription(t *testing.T, b *bench, s source) (*http.Response, *bufio.Scanner) {
	t.Helper()
	b.operation, b.respond = ast.Subscription, s.respond
	server := httptest.NewServer(b.handler)
	t.Cleanup(server.Close)
	return openStream(t, server.URL)
}

func openStream(t *testing.T, url string) (*http.Response, *bufio.Scanner) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/control/graphql", strings.NewReader(typename))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer clerk")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", eventStream)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response, bufio.NewScanner(response.Body)
}

// event reads the next event, "" at the end of the stream.
func event(s *bufio.Scanner) (name, data string) {
	for s.Scan() {
		switch line := s.Text(); {
		case line == "" && name != "":
			return name, data
		case strings.HasPrefix(line, "event: "):
			name = line[len("event: "):]
		case strings.HasPrefix(line, "data:"):
			data = strings.TrimPrefix(line[len("data:"):], " ")
		}
	}
	return "", ""
}

// Every event is a record, and waits for it.
func TestStream(t *testing.T) {
	b := newBench(t)
	answers := make(source)
	go func() {
		answers <- `{"n":1}`
		answers <- `{"n":2}`
		close(answers)
	}()
	response, lines := subscription(t, b, answers) //nolint:bodyclose // the test's cleanup does
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream; charset=utf-8" || response.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v", response.StatusCode, response.Header)
	}
	for i, want := range []string{`{"n":1}`, `{"n":2}`} {
		name, data := event(lines)
		if name != "next" || !strings.HasPrefix(data, `{"data":`+want+`,"extensions":{"weir":{"requestId":"`) || !strings.Contains(data, `"receipt":"node-a/1/`+string(rune('1'+i))) {
			t.Errorf("event %d: %s %s", i, name, data)
		}
	}
	if name, data := event(lines); name != "complete" || data != "" {
		t.Errorf("the end: %s %q", name, data)
	}
	if name, _ := event(lines); name != "" {
		t.Errorf("after the end: %s", name)
	}
	b.ledger.mu.Lock()
	defer b.ledger.mu.Unlock()
	if len(b.ledger.records) != 2 || len(b.ledger.waited) != 2 || b.ledger.records[0].Answer == b.ledger.records[1].Answer {
		t.Errorf("%d records, %d waits", len(b.ledger.records), len(b.ledger.waited))
	}
	for _, r := range b.ledger.records {
		if len(r.Uses) != 1 || r.Counts[0].Clear != 1 {
			t.Errorf("a record holds another event's reads: %+v", r.Uses)
		}
	}
}

// A stream ends when a right is lost, whether or not there is an answer, and
// nothing of an answer leaves after that.
func TestStreamLosesRights(t *testing.T) {
	for name, lose := range map[string]func(t *testing.T, b *bench){
		"UNAUTHENTICATED":        func(_ *testing.T, b *bench) { b.revoked.set() },
		"UNAUTHENTICATED by key": func(_ *testing.T, b *bench) { b.keys.change(true) },
		"POLICY_CHANGED": func(t *testing.T, b *bench) {
			b.current.set(generation(t, sdlText, strings.Replace(policyText, "p, clerk, police", "p, clerk-of-old, police", 1)))
		},
		"LEDGER_UNAVAILABLE": func(_ *testing.T, b *bench) {
			b.ledger.mu.Lock()
			b.ledger.appendE = lineage.ErrLedgerUnavailable
			b.ledger.mu.Unlock()
		},
	} {
		for _, idle := range []bool{true, false} {
			if idle && name == "LEDGER_UNAVAILABLE" {
				continue // an idle stream needs no record
			}
			t.Run(name, func(t *testing.T) {
				b := newBench(t)
				answers := make(source, 4)
				answers <- `{"n":1}`
				inner := answers.respond
				b.operation = ast.Subscription
				b.respond = func(ctx context.Context) *graphql.Response {
					r := resolvers.RequestFrom(ctx).Reads
					r.Coordinates = []schema.Coordinate{{Type: "Person"}, {Type: "Person", Field: "name"}}
					return inner(ctx)
				}
				server := httptest.NewServer(b.handler)
				defer server.Close()
				_, lines := openStream(t, server.URL) //nolint:bodyclose // the test's cleanup does
				if name, _ := event(lines); name != "next" {
					t.Fatal("no first event")
				}
				lose(t, b)
				if !idle {
					answers <- `{"n":2}`
				}
				got, data := event(lines)
				if got != "next" || !strings.Contains(data, `"code":"`+strings.Fields(name)[0]+`"`) || strings.Contains(data, `"n":`) {
					t.Errorf("%s %s", got, data)
				}
				if got, _ := event(lines); got != "complete" {
					t.Errorf("then %s", got)
				}
			})
		}
	}
}

func TestStreamRefusals(t *testing.T) {
	b := newBench(t)
	b.operation = ast.Subscription
	w := b.do(http.MethodPost, "/control/graphql", strings.NewReader(typename))
	if w.Code != http.StatusNotAcceptable || codeOf(t, w) != "NOT_ACCEPTABLE" {
		t.Errorf("no event stream accepted: %d %s", w.Code, w.Body)
	}
	w = b.do(http.MethodGet, "/control/graphql?query="+"subscription%7Bx%7D", nil, pair{"Accept", eventStream + ", application/json"})
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d %s", w.Code, w.Body)
	}
	w = b.do(http.MethodPost, "/graphql", strings.NewReader(typename), pair{"Accept", eventStream})
	if w.Code != http.StatusNotAcceptable {
		t.Errorf("the data graph: %d %s", w.Code, w.Body)
	}
	b.operation = ast.Query
	w = b.do(http.MethodPost, "/control/graphql", strings.NewReader(typename), pair{"Accept", eventStream})
	if name, data := event(bufio.NewScanner(w.Body)); name != "next" || !strings.Contains(data, `"__typename":"Query"`) {
		t.Errorf("a query: %s %s", name, data)
	}
	full := newBench(t, func(c *Config) { c.Concurrent = 1 })
	full.operation = ast.Subscription
	if !full.front.takeStream() {
		t.Fatal("no place")
	}
	w = full.do(http.MethodPost, "/control/graphql", strings.NewReader(typename), pair{"Accept", eventStream})
	if w.Code != http.StatusServiceUnavailable || codeOf(t, w) != "OVERLOADED" {
		t.Errorf("no place: %d %s", w.Code, w.Body)
	}
}

// A reader who leaves, and a server that stops, end a stream.
func TestStreamEnds(t *testing.T) {
	b := newBench(t)
	response, _ := subscription(t, b, make(source))
	_ = response.Body.Close()
	waitFor(t, func() bool { return len(b.front.streams) == 0 })

	b = newBench(t)
	answers := make(source, 1)
	answers <- `{"n":1}`
	_, lines := subscription(t, b, answers) //nolint:bodyclose // the test's cleanup does
	if name, _ := event(lines); name != "next" {
		t.Fatal("no event")
	}
	close(b.front.stopping)
	if name, _ := event(lines); name != "complete" {
		t.Errorf("stopping: %s", name)
	}
}

func waitFor(t *testing.T, what func() bool) {
	t.Helper()
	for range 1000 {
		if what() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("it did not happen within ten seconds")
}

func TestWantsEvents(t *testing.T) {
	for accept, want := range map[string]bool{
		eventStream: true, "application/json, " + eventStream: true, eventStream + ";q=0": false, "*/*": false,
		strings.Repeat("a/b,", 31) + eventStream: true, strings.Repeat("a/b,", 32) + eventStream: false,
		eventStream + ";x=" + strings.Repeat("y", 300): false,
	} {
		if got := wantsEvents([]string{accept}); got != want {
			t.Errorf("%.60s: %v", accept, got)
		}
	}
}
