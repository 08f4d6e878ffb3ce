package exec

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
)

// TestPagesReadWhatIsAsked: a connection sends the statements, and reads the
// rows, that its selections need and no others.
func TestPagesReadWhatIsAsked(t *testing.T) {
	w := newWorld(t)
	const officer = "officer purpose cases region north"
	var read atomic.Int64 // observers run beside each other
	w.executor.observe = func(f Fetched) { read.Add(int64(f.Rows)) }
	cursor, code := w.step(officer, `{ peopleConnection(first: 1) { pageInfo { endCursor } } }`, nil)
	if code != "" || cursor == "" {
		t.Fatalf("no cursor: %s", code)
	}
	for _, c := range []struct {
		name, query, data string
		statements        int64
		rows              int // of all statements; a count is one
		recorded          uint64
		tags              int
	}{
		{"the count", `{ peopleConnection(first: 2) { totalCount } }`, `{"peopleConnection":{"totalCount":"4"}}`, 1, 1, 0, 0},
		{"the count of a page that is empty", `{ peopleConnection(first: 0) { totalCount __typename } }`, `{"peopleConnection":{"totalCount":"4","__typename":"PersonConnection"}}`, 1, 1, 0, 0},
		{"the count, twice", `{ a: peopleConnection(first: 2) { totalCount } b: peopleConnection(first: 3) { n: totalCount } }`, `{"a":{"totalCount":"4"},"b":{"n":"4"}}`, 1, 1, 0, 0},
		{"the count behind a cursor", fmt.Sprintf(`{ peopleConnection(after: %q) { totalCount pageInfo { hasPreviousPage } } }`, cursor), `{"peopleConnection":{"totalCount":"4","pageInfo":{"hasPreviousPage":true}}}`, 1, 1, 0, 0},
		{"nothing of the rows", `{ peopleConnection { __typename pageInfo { __typename hasPreviousPage } } }`, `{"peopleConnection":{"__typename":"PersonConnection","pageInfo":{"__typename":"PageInfo","hasPreviousPage":false}}}`, 0, 0, 0, 0},
		{"nothing of the rows, by condition", `query($n: Boolean = false) { peopleConnection { totalCount nodes @include(if: $n) { name } } }`, `{"peopleConnection":{"totalCount":"4"}}`, 1, 1, 0, 0},
		{"whether there are more", `{ peopleConnection(first: 2) { pageInfo { hasNextPage } } }`, `{"peopleConnection":{"pageInfo":{"hasNextPage":true}}}`, 1, 3, 0, 0},
		{"whether there are more, in a fragment", `{ peopleConnection(first: 2) { ...F } } fragment F on PersonConnection { pageInfo { ... on PageInfo { hasNextPage } } }`, `{"peopleConnection":{"pageInfo":{"hasNextPage":true}}}`, 1, 3, 0, 0},
		{"both", `{ peopleConnection(first: 3) { totalCount nodes { district } } }`, `{"peopleConnection":{"totalCount":"4","nodes":[{"district":"north"},{"district":"south"},{"district":"north"}]}}`, 2, 5, 3, 3},
	} {
		before := w.sent.Load()
		read.Store(0)
		response := w.ask(w.as(officer), c.query, nil)
		if len(response.Errors) > 0 || string(response.Data) != c.data {
			t.Errorf("%s: %s %v", c.name, response.Data, response.Errors)
		}
		if n := w.sent.Load() - before; n != c.statements || read.Load() != int64(c.rows) {
			t.Errorf("%s: %d statements with %d rows, want %d with %d", c.name, n, read.Load(), c.statements, c.rows)
		}
		if r := w.last.Reads; r.Rows != c.recorded || len(r.Tags) != c.tags {
			t.Errorf("%s: %d rows and %d tags recorded, want %d and %d", c.name, r.Rows, len(r.Tags), c.recorded, c.tags)
		}
		if record := w.show(response); c.statements > 0 && !strings.Contains(record, "Person select clear ") {
			t.Errorf("%s: that there are rows is not in the record:\n%s", c.name, record)
		}
	}
	// An edge without its node is a row that was shown.
	if w.ask(w.as(officer), `{ peopleConnection(first: 2) { edges { cursor } } }`, nil); w.last.Reads.Rows != 2 || len(w.last.Reads.Tags) != 2 {
		t.Errorf("edges alone: %d rows and %d tags recorded", w.last.Reads.Rows, len(w.last.Reads.Tags))
	}
	// What is stated must hold, also where no statement needs it.
	before := w.sent.Load()
	for _, query := range []string{
		fmt.Sprintf(`{ peopleConnection(after: %q) { totalCount } }`, cursor+"A"),
		fmt.Sprintf(`{ peopleConnection(after: %q, orderBy: [{district: ASC}]) { totalCount } }`, cursor),
		fmt.Sprintf(`{ permitsConnection(after: %q) { __typename } }`, cursor),
	} {
		if response := w.ask(w.as(officer), query, nil); len(response.Errors) != 1 || response.Errors[0].Extensions["code"] != "CURSOR_INVALID" {
			t.Errorf("%s: %v", query, response.Errors)
		}
	}
	if w.sent.Load() != before {
		t.Error("a statement was sent for a cursor that does not open")
	}
}
