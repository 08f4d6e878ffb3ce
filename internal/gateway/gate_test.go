package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/resolvers"
	"github.com/weir-data/weir/schema"
)

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

// recordOfTheseBytes holds an answer against the record that its receipt names,
// as weir lineage reconcile does.
func recordOfTheseBytes(t *testing.T, b *bench, w *httptest.ResponseRecorder) {
	t.Helper()
	var got struct {
		Data, Errors json.RawMessage
		Extensions   struct{ Weir struct{ Receipt string } }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	records := b.ledger.all()
	at, err := lineage.ParsePosition(got.Extensions.Weir.Receipt)
	if err != nil || at.Sequence != uint64(len(records)) {
		t.Fatalf("receipt %q of %d records: %v", got.Extensions.Weir.Receipt, len(records), err)
	}
	r := records[at.Sequence-1]
	if lineage.AnswerDigest(r.Salt[:], got.Data, got.Errors) != r.Answer || r.Code != codeOf(t, w) {
		t.Errorf("%s is recorded as %q, of other bytes", w.Body, r.Code)
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
		{"its key was withdrawn", func(b *bench, _ *testing.T) { b.keys.change(true) }, 401, "UNAUTHENTICATED"},
		{"another key was added", func(b *bench, _ *testing.T) { b.keys.change(false) }, 200, ""},
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
				recordOfTheseBytes(t, b, w)
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

// TestSchemaAtRelease: the SDL is held against the rights of the moment at which
// it leaves, as an answer is.
func TestSchemaAtRelease(t *testing.T) {
	narrow := "p, clerk, police, Person.*, L2, *, all, clear, allow\n"
	for name, tt := range map[string]struct {
		during func(*bench)
		status int
		code   string
	}{
		"same rights": {func(b *bench) { b.current.set(generation(t, sdlText, policyText+"\n")) }, 200, ""},
		"hidden":      {func(b *bench) { b.current.set(generation(t, sdlText, narrow)) }, 409, "POLICY_CHANGED"},
		"revoked":     {func(b *bench) { b.revoked.set() }, 401, "UNAUTHENTICATED"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.ledger.onWait = func() { tt.during(b) }
			w := b.do(http.MethodGet, "/schema.graphql", nil)
			if w.Code != tt.status || strings.Contains(w.Body.String(), "idNumber") != (tt.code == "") {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if tt.code != "" && codeOf(t, w) != tt.code {
				t.Errorf("%s", w.Body)
			}
			if tt.code != "" {
				recordOfTheseBytes(t, b, w)
			}
		})
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
