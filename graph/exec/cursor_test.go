package exec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weir-data/weir/internal/keyring"
)

const walk = `query($after: String, $region: String) {
	peopleConnection(first: 1, after: $after, where: {district: {_eq: $region}}) { nodes { name } pageInfo { endCursor hasNextPage } } }`

// step asks for one page and gives its cursor, or the code of the refusal.
func (w *world) step(who, query string, variables map[string]any) (cursor, code string) {
	w.t.Helper()
	a := w.ask(w.as(who), query, variables)
	if len(a.Errors) > 0 {
		return "", fmt.Sprint(a.Errors[0].Extensions["code"])
	}
	var data map[string]struct{ PageInfo struct{ EndCursor *string } }
	if err := json.Unmarshal(a.Data, &data); err != nil {
		w.t.Fatal(err)
	}
	for _, page := range data {
		if page.PageInfo.EndCursor != nil {
			cursor = *page.PageInfo.EndCursor
		}
	}
	return cursor, ""
}

// TestForeignCursors: a cursor opens for its own walk and for nothing else, and
// what does not open sends no statement.
func TestForeignCursors(t *testing.T) {
	w := newWorld(t)
	const officer = "officer purpose cases region north"
	first, code := w.step(officer, walk, map[string]any{"region": "north"})
	if code != "" || first == "" {
		t.Fatalf("%q %q", first, code)
	}
	var handles struct {
		People []struct {
			Ref string `json:"_ref"`
		}
	}
	if a := w.ask(w.as(officer), `{ people { _ref } }`, nil); json.Unmarshal(a.Data, &handles) != nil || len(handles.People) == 0 {
		t.Fatalf("%s", a.Data)
	}
	for _, c := range []struct {
		name, who, query, region, after, want string
	}{
		{name: "its own walk"},
		{name: "another spelling of the same walk", query: strings.Replace(walk, "{ nodes { name }", "{ totalCount edges { node { district } }", 1)},
		{name: "a larger page", query: strings.Replace(walk, "first: 1", "first: 3", 1)},
		{name: "another reader with the same rights", who: officer + " subject other", want: "CURSOR_INVALID"},
		{name: "the reader in another region", who: "officer purpose cases region south", want: "CURSOR_INVALID"},
		{name: "the reader without a region", who: "officer purpose cases", want: "CURSOR_INVALID"},
		{name: "another role", who: "reader purpose cases region north", want: "CURSOR_INVALID"},
		{name: "a role more that says nothing", who: "officer+stranger purpose cases region north"},
		{name: "another value", region: "south", want: "CURSOR_INVALID"},
		{name: "another operator", query: strings.Replace(walk, "_eq", "_neq", 1), want: "CURSOR_INVALID"},
		{name: "no condition", query: `query($after: String) { peopleConnection(first: 1, after: $after) { pageInfo { endCursor } } }`, want: "CURSOR_INVALID"},
		{name: "another order", query: strings.Replace(walk, "first: 1", "first: 1, orderBy: [{district: DESC}]", 1), want: "CURSOR_INVALID"},
		{name: "another type", query: `query($after: String) { permitsConnection(first: 1, after: $after) { pageInfo { endCursor } } }`, want: "CURSOR_INVALID"},
		{name: "a handle", after: handles.People[0].Ref, want: "CURSOR_INVALID"},
		{name: "nothing", after: " ", want: "CURSOR_INVALID"},
		{name: "twice", after: first + first, want: "CURSOR_INVALID"},
		{name: "padded text", after: first + "=", want: "CURSOR_INVALID"},
	} {
		who, query, region, after := officer, walk, "north", first
		for from, to := range map[string]*string{c.who: &who, c.query: &query, c.region: &region, c.after: &after} {
			if from != "" {
				*to = from
			}
		}
		before := w.sent.Load()
		variables := map[string]any{"after": after}
		if strings.Contains(query, "$region") {
			variables["region"] = region
		}
		_, code := w.step(who, query, variables)
		if code != c.want {
			t.Errorf("%s: %q, want %q", c.name, code, c.want)
		}
		if c.want != "" && w.sent.Load() != before {
			t.Errorf("%s: a statement was sent", c.name)
		}
	}
	// Of several pages, the one that does not go on is named.
	two := w.ask(w.as(officer), `query($after: String, $other: String) {
		peopleConnection(first: 1, after: $after, where: {district: {_eq: "north"}}) { nodes { name } }
		other: peopleConnection(first: 1, after: $other, where: {district: {_eq: "north"}}) { nodes { name } } }`,
		map[string]any{"after": first, "other": "no cursor"})
	if len(two.Errors) != 1 || line(two.Errors[0]) != "error CURSOR_INVALID at other: "+two.Errors[0].Message+"\n" || fmt.Sprint(two.Errors[0].Locations) != "[3:3]" {
		t.Errorf("two pages: %v %v", two.Errors, two.Errors[0].Locations)
	}
	reader, _ := w.step("reader purpose cases", walk, map[string]any{"region": "north"})
	if _, code := w.step("reader purpose births", walk, map[string]any{"region": "north", "after": reader}); code != "CURSOR_INVALID" {
		t.Errorf("another purpose: %q", code)
	}
	const among = `query($after: String, $in: [String!]) { peopleConnection(first: 1, after: $after, where: {district: {_in: $in}}) { pageInfo { endCursor } } }`
	list, code := w.step(officer, among, map[string]any{"in": []any{"north", "south"}})
	if code != "" || list == "" {
		t.Fatalf("a list: %q %q", list, code)
	}
	for _, in := range [][]any{{"north"}, {"north", "east"}, {"northsouth"}, {"south", "north"}} {
		if _, code := w.step(officer, among, map[string]any{"in": in, "after": list}); code != "CURSOR_INVALID" {
			t.Errorf("another list, %v: %q", in, code)
		}
	}
	if got := w.ask(w.as(officer), `query($r: ID!) { personByRef(ref: $r) { name } }`, map[string]any{"r": first}); string(got.Data) != `{"personByRef":null}` {
		t.Errorf("a cursor opens as a handle: %s", got.Data)
	}
}

// TestEveryAlterationIsInvalid: no bit of a cursor may be another one.
func TestEveryAlterationIsInvalid(t *testing.T) {
	w := newWorld(t)
	const who = "reader purpose cases"
	cursor, _ := w.step(who, walk, map[string]any{"region": "north"})
	sealed, err := keyring.DecodeText(cursor)
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(sealed) * 8 {
		if i%7 != 0 && i > 200 { // each byte at least once, the head bit by bit
			continue
		}
		altered := bytes.Clone(sealed)
		altered[i/8] ^= 1 << (i % 8)
		if _, code := w.step(who, walk, map[string]any{"region": "north", "after": keyring.EncodeText(altered)}); code != "CURSOR_INVALID" {
			t.Fatalf("bit %d: %q", i, code)
		}
	}
	for n := range sealed {
		if _, code := w.step(who, walk, map[string]any{"region": "north", "after": keyring.EncodeText(sealed[:n])}); code != "CURSOR_INVALID" {
			t.Fatalf("cut to %d bytes: %q", n, code)
		}
	}
}

// TestCursorsAndPolicy: a walk ends when the grants under it change, for the
// better as well, and goes on under every other edit.
func TestCursorsAndPolicy(t *testing.T) {
	w := newWorld(t)
	const officer = "officer purpose cases region north"
	policy := readTestdata(t, "policy.csv")
	original := w.generation
	cursor, code := w.step(officer, walk, map[string]any{"region": "north"})
	if code != "" {
		t.Fatal(code)
	}
	lines := strings.Split(strings.TrimSpace(policy), "\n")
	reversed := ""
	for i := len(lines) - 1; i >= 0; i-- {
		reversed += lines[i] + "\n"
	}
	for name, c := range map[string]struct{ policy, want string }{
		"a comment":                      {"# new\n" + policy, ""},
		"the lines in another order":     {reversed, ""},
		"a rule for another role":        {policy + "p, clerk, police, Person.name, L3, cases, all, clear, allow\n", ""},
		"a rule for another type":        {policy + "p, officer, health, Birth.*, L3, cases, all, clear, allow\n", ""},
		"a rule that says it once more":  {policy + "p, officer, police, Person.name, L3, cases, all, mask, allow\n", ""},
		"a denial of a field selected":   {policy + "p, officer, *, Person.name, L1, *, all, any, deny\n", "CURSOR_INVALID"},
		"a denial of another field":      {policy + "p, officer, *, Person.born, L1, *, all, any, deny\n", "CURSOR_INVALID"},
		"a denial of some rows":          {policy + "p, officer, *, Person._row, L1, *, own_region, any, deny\n", "CURSOR_INVALID"},
		"more than before":               {policy + "p, officer, police, Person.name, L3, cases, all, clear, allow\n", "CURSOR_INVALID"},
		"the same under another purpose": {policy + "p, officer, police, Person.born, L3, births, all, clear, allow\n", "CURSOR_INVALID"},
	} {
		w.load(c.policy)
		if _, code := w.step(officer, walk, map[string]any{"region": "north", "after": cursor}); code != c.want {
			t.Errorf("%s: %q, want %q", name, code, c.want)
		}
	}
	w.generation = original
	if _, code := w.step(officer, walk, map[string]any{"region": "north", "after": cursor}); code != "" {
		t.Errorf("the first policy again: %q", code)
	}
}

// TestCursorsAndKeys: a rotation does not end a walk, the end of the old key
// does.
func TestCursorsAndKeys(t *testing.T) {
	w := newWorld(t)
	const who = "reader purpose cases"
	cursor, _ := w.step(who, walk, map[string]any{"region": "north"})
	old := w.executor.ring
	rotated, err := old.Rotate()
	if err != nil {
		t.Fatal(err)
	}
	w.executor.ring = rotated
	if _, code := w.step(who, walk, map[string]any{"region": "north", "after": cursor}); code != "" {
		t.Errorf("after a rotation: %q", code)
	}
	if w.executor.ring, err = rotated.Retire(old.Active()); err != nil {
		t.Fatal(err)
	}
	if _, code := w.step(who, walk, map[string]any{"region": "north", "after": cursor}); code != "CURSOR_INVALID" {
		t.Errorf("after the key is gone: %q", code)
	}
	w.executor.ring = old
	w.now = w.now.Add(time.Hour)
	if _, code := w.step(who, walk, map[string]any{"region": "north", "after": cursor}); code != "CURSOR_INVALID" {
		t.Errorf("expired: %q", code)
	}
}

// TestCursorsTellNothing: all cursors of all orders have one length and show no
// key, whatever value or NULL they stand behind.
func TestCursorsTellNothing(t *testing.T) {
	w := newWorld(t)
	length := 0
	seen := map[string]bool{}
	for _, order := range []string{"", "orderBy: [{name: ASC}]", "orderBy: [{name: DESC_NULLS_FIRST}, {height: ASC}]", "orderBy: [{born: ASC}, {district: ASC}, {balance: DESC}, {updatedAt: ASC}]"} {
		a := w.ask(w.as("reader purpose cases"), strings.Replace(`{ peopleConnection(`+order+`) { edges { cursor } } }`, "()", "", 1), nil)
		var data struct {
			PeopleConnection struct{ Edges []struct{ Cursor string } }
		}
		if err := json.Unmarshal(a.Data, &data); err != nil || len(data.PeopleConnection.Edges) != 4 {
			t.Fatalf("%v: %s %v", err, a.Data, a.Errors)
		}
		for _, e := range data.PeopleConnection.Edges {
			sealed, err := keyring.DecodeText(e.Cursor)
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range []string{"欧阳小明", "1990-05-17", "2001-12-31"} {
				if bytes.Contains(sealed, []byte(secret)) || strings.Contains(e.Cursor, secret) {
					t.Errorf("a cursor shows %s", secret)
				}
			}
			if length == 0 {
				length = len(e.Cursor)
			}
			if len(e.Cursor) != length {
				t.Errorf("lengths %d and %d", length, len(e.Cursor))
			}
			if seen[e.Cursor] {
				t.Error("two cursors are equal")
			}
			seen[e.Cursor] = true
		}
	}
}

// A handle opens for its reader and purpose, as its type; for everybody else it
// is as if there were no such row.
func TestForeignHandles(t *testing.T) {
	w := newWorld(t)
	const reader = "reader purpose births"
	var handles struct {
		People []struct {
			Ref string `json:"_ref"`
		}
	}
	if a := w.ask(w.as(reader), `{ people(where: {id: {_eq: "100"}}) { _ref } }`, nil); json.Unmarshal(a.Data, &handles) != nil || len(handles.People) != 1 {
		t.Fatalf("%s", a.Data)
	}
	ref := handles.People[0].Ref
	for _, c := range []struct{ name, who, ref, want string }{
		{"his own", reader, ref, `{"personByRef":{"id":"100"}}`},
		{"his own in another region", reader + " region south", ref, `{"personByRef":{"id":"100"}}`},
		{"another reader's with the same rights", reader + " subject other", ref, `{"personByRef":null}`},
		{"of another purpose", "reader purpose cases", ref, `{"personByRef":null}`},
		{"without a purpose", "reader", ref, `{"personByRef":null}`},
		{"twice", reader, ref + ref, `{"personByRef":null}`},
	} {
		got := w.ask(w.as(c.who), `query($r: ID!) { personByRef(ref: $r) { id } }`, map[string]any{"r": c.ref})
		if string(got.Data) != c.want || len(got.Errors) > 0 {
			t.Errorf("%s: %s %v, want %s", c.name, got.Data, got.Errors, c.want)
		}
	}
	r := &run{e: w.executor, req: w.as(reader)}
	r.req.Purpose = "births"
	if _, err := r.openRef(ref, "Person", 1); err != nil {
		t.Error(err)
	}
	if key, err := r.openRef(ref, "Permit", 1); err == nil {
		t.Errorf("as a handle of another type it opens: %v", key)
	}
}
