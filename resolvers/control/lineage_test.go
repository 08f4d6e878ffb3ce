package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/go-cmp/cmp"

	"github.com/weir-data/weir/internal/keyring"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/lineage/index"
	tree "github.com/weir-data/weir/lineage/ledger"
	"github.com/weir-data/weir/resolvers"
	"github.com/weir-data/weir/resolvers/control"
	"github.com/weir-data/weir/schema"
)

// ledger is a real log and a real index of it, with a few records.
type ledger struct {
	ring  *keyring.Ring
	clock time.Time
	log   *lineage.Log
	dir   string
	key   *tree.Key // of the tree behind the log
	index *index.Index
}

const mother, father = "990001198510290004", "990001198001010019"

// newLedger writes, an hour apart, from 2026-03-01T01:00Z on:
//  1. clerk c-1 of the counter looked up the mother: name masked, number withheld
//  2. officer o-1 of public_security read the mother in a case (sealed)
//  3. a marriage of two, by clerk c-1
//  4. a company's name, by a guest
//  5. the mother herself
func newLedger(t *testing.T) (control.Lineage, *ledger) {
	t.Helper()
	ring, err := keyring.Generate()
	if err != nil {
		t.Fatal(err)
	}
	l := &ledger{ring: ring, clock: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
	dir := t.TempDir()
	l.log, err = lineage.Open(lineage.Config{Dir: dir, Origin: "node-a", Reading: l.reading(), Clock: func() time.Time { return l.clock }})
	if err != nil {
		t.Fatal(err)
	}
	if l.key, err = tree.CreateKey(t.TempDir()+"/key", "node-a"); err != nil {
		t.Fatal(err)
	}
	// The tree is there before the first record, as a node makes it.
	led, err := tree.Open(tree.Config{Dir: dir, Source: l.log, Key: l.key, Reading: l.reading()})
	if err == nil {
		err = led.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	use := func(department, typ, field string, level schema.Rank, kind lineage.UseKind) lineage.Use {
		return lineage.Use{Department: department, Table: strings.ToLower(typ), Column: strings.ToLower(field), Coordinate: schema.Coordinate{Type: typ, Field: field}, Level: level, Use: kind}
	}
	person := []lineage.Use{
		use("public_security", "Person", "name", 2, lineage.Select), use("public_security", "Person", "idNumber", 3, lineage.Select),
		use("public_security", "Person", "idNumber", 3, lineage.Tag),
	}
	clear1, masked1, withheld1, none := lineage.Counts{Clear: 1}, lineage.Counts{Masked: 1}, lineage.Counts{Withheld: 1}, lineage.Counts{}
	l.add(t, "c-1", "counter-office", "registration", person, []lineage.Counts{masked1, withheld1, none}, mother)
	l.add(t, "o-1", "public_security", "cases", person, []lineage.Counts{clear1, clear1, none}, mother)
	l.add(t, "c-1", "counter-office", "registration", []lineage.Use{
		use("civil", "Marriage", "place", 1, lineage.Select), use("civil", "Marriage", "first", 3, lineage.Tag), use("civil", "Marriage", "second", 3, lineage.Tag),
	}, []lineage.Counts{clear1, none, none}, mother, father)
	l.add(t, "g-1", "", "", []lineage.Use{use("market", "Company", "name", 0, lineage.Select)}, []lineage.Counts{{Clear: 7}})
	l.add(t, "mother", "", "registration", person, []lineage.Counts{clear1, clear1, none}, mother)
	if err := l.log.Close(); err != nil {
		t.Fatal(err)
	}
	x, err := index.Open(t.Context(), index.Config{Driver: index.SQLite, Path: filepath.Join(t.TempDir(), "index.db"), Dir: dir, Reading: l.reading()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	if err := x.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.dir, l.index = dir, x
	now := l.clock.Add(time.Hour)
	return control.Lineage{
		Index: x, Keys: ring, Owners: map[string]string{"public_security": "officer", "market": ""},
		Sealed: map[string]time.Duration{"cases": 90 * 24 * time.Hour}, Now: func() time.Time { return now },
	}, l
}

// reading opens the records.
func (l *ledger) reading() lineage.Sealer { return l.ring.Box("reading") }

func (l *ledger) add(t *testing.T, subject, department, purpose string, uses []lineage.Use, counts []lineage.Counts, people ...string) {
	t.Helper()
	r := l.record(subject, department, purpose, uses, counts)
	var tags []lineage.SubjectTag
	for _, p := range people {
		tags = append(tags, l.tag(p))
	}
	r.SetTags(tags)
	l.append(t, r)
}

// across adds a record about the mother's row in one department and two marriages
// of her and the father in another.
func (l *ledger) across(t *testing.T) {
	t.Helper()
	use := func(department, typ, field string, kind lineage.UseKind) lineage.Use {
		return lineage.Use{Department: department, Table: typ, Column: field, Coordinate: schema.Coordinate{Type: typ, Field: field}, Level: 2, Use: kind}
	}
	r := l.record("c-1", "counter-office", "registration", []lineage.Use{
		use("public_security", "Person", "", lineage.Select), use("public_security", "Person", "name", lineage.Select), use("public_security", "Person", "idNumber", lineage.Tag),
		use("civil", "Marriage", "", lineage.Select), use("civil", "Marriage", "place", lineage.Select),
		use("civil", "Marriage", "first", lineage.Tag), use("civil", "Marriage", "second", lineage.Tag),
	}, []lineage.Counts{{Clear: 1}, {Clear: 1}, {}, {Clear: 2}, {Clear: 2}, {}, {}})
	r.Sources = []lineage.SourceAge{{Department: "public_security"}, {Department: "civil"}}
	r.SetGroupedTags(lineage.GroupTags([][]lineage.SubjectTag{{l.tag(mother)}, {l.tag(mother), l.tag(father)}}))
	l.append(t, r)
}

func (l *ledger) tag(id string) lineage.SubjectTag { return l.ring.Tag(resolvers.TagUse, []byte(id)) }

func (l *ledger) record(subject, department, purpose string, uses []lineage.Use, counts []lineage.Counts) *lineage.Record {
	r := &lineage.Record{
		RequestID: "request-" + subject, Kind: "query", Subject: l.ring.Pseudonym(resolvers.SubjectUse, subject), Department: department,
		Purpose: purpose, Schema: "s1", Policy: "r1", Document: "ab", Uses: uses, Counts: counts, Rows: 1, Status: "ok",
	}
	if purpose == "cases" {
		r.Sealed = 90 * 24 * time.Hour
	}
	return r
}

func (l *ledger) append(t *testing.T, r *lineage.Record) {
	t.Helper()
	l.clock = l.clock.Add(time.Hour)
	_, ticket, err := l.log.Append(t.Context(), r)
	if err == nil {
		err = ticket.Wait(t.Context(), lineage.Synced)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// receipts walks all pages and gives the receipts' sequences, newest first.
func receipts(t *testing.T, e *control.Executor, req func() *resolvers.Request, filter string) string {
	t.Helper()
	var out []string
	for after := ""; ; {
		var page struct {
			Reads struct {
				Reads []struct{ Receipt string }
				Next  *string
			}
		}
		argument := "first: 2" + filter
		if after != "" {
			argument += `, after: "` + after + `"`
		}
		if err := json.Unmarshal([]byte(good(t, e, req(), `{ reads(`+argument+`) { reads { receipt } next } }`)), &page); err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Reads.Reads {
			out = append(out, r.Receipt[strings.LastIndexByte(r.Receipt, '/')+1:])
		}
		if page.Reads.Next == nil {
			return strings.Join(out, " ")
		}
		after = *page.Reads.Next
	}
}

func auditor() *resolvers.Request { return reader("auditor", "") }

func owner() *resolvers.Request {
	r := reader("officer", "")
	r.Subject.Department = "public_security"
	return r
}

func TestReadsByReader(t *testing.T) {
	cfg, _ := newLedger(t)
	e := newExecutor(t, control.Config{Lineage: cfg})
	for _, test := range []struct {
		name   string
		req    func() *resolvers.Request
		filter string
		want   string
	}{
		{"an auditor sees all", auditor, "", "5 4 3 2 1"},
		{"of a department", auditor, `, filter: {department: "civil"}`, "3"},
		{"masked", auditor, `, filter: {outcome: MASKED}`, "1"},
		{"withheld number", auditor, `, filter: {type: "Person", field: "idNumber", outcome: WITHHELD}`, "1"},
		{"from a level", auditor, `, filter: {level: "L4"}`, "5 3 2 1"},
		{"by the reader's own id", auditor, `, filter: {subjectId: "c-1"}`, "3 1"},
		{"by consumer and purpose", auditor, `, filter: {consumer: "counter-office", purpose: "registration"}`, "3 1"},
		{"in a time", auditor, `, filter: {from: "2026-03-01T02:00:00Z", to: "2026-03-01T10:00:00+08:00"}`, ""},
		{"in another time", auditor, `, filter: {from: "2026-03-01T02:00:00Z", to: "2026-03-01T12:00:00+08:00"}`, "3 2"},
		{"an owner sees his department's, unsealed", owner, "", "5 1"},
		{"and the same when he names it", owner, `, filter: {department: "public_security"}`, "5 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := receipts(t, e, test.req, test.filter); got != test.want {
				t.Errorf("%q instead of %q", got, test.want)
			}
		})
	}
	late := cfg
	late.Now = func() time.Time { return cfg.Now().Add(91 * 24 * time.Hour) }
	if got := receipts(t, newExecutor(t, control.Config{Lineage: late}), owner, ""); got != "5 2 1" {
		t.Errorf("after the seal: %q", got)
	}
}

func TestLineageRefusals(t *testing.T) {
	cfg, _ := newLedger(t)
	e := newExecutor(t, control.Config{Lineage: cfg})
	citizen := func() *resolvers.Request { return reader("guest", "") }
	stranger := func() *resolvers.Request { // in the owner's role, of another department
		r := owner()
		r.Subject.Department = "market"
		return r
	}
	const forbidden = "FORBIDDEN: not allowed for this reader and purpose"
	for name, test := range map[string]struct {
		req   *resolvers.Request
		query string
		want  string
	}{
		"no office":             {citizen(), `{ reads { next } }`, forbidden},
		"another's department":  {owner(), `{ reads(filter: {department: "market"}) { next } }`, forbidden},
		"the role alone":        {stranger(), `{ reads(filter: {department: "public_security"}) { next } }`, forbidden},
		"no owner's role":       {stranger(), `{ reads { next } }`, forbidden},
		"flows of another":      {owner(), `{ flows(department: "market") { from } }`, forbidden},
		"a field of another":    {owner(), `{ field(coordinate: "Company.name") { column } }`, forbidden},
		"a field that is not":   {owner(), `{ field(coordinate: "Person.nothing") { column } }`, forbidden},
		"a type that is not":    {auditor(), `{ field(coordinate: "Nothing.name") { column } }`, forbidden},
		"nobody's own":          {citizen(), `{ aboutMe { next } }`, forbidden},
		"a page too large":      {auditor(), `{ reads(first: 201) { next } }`, "BAD_REQUEST: first is not between 1 and 200"},
		"a page of nothing":     {auditor(), `{ reads(first: 0) { next } }`, "BAD_REQUEST: first is not between 1 and 200"},
		"a time that is none":   {auditor(), `{ reads(filter: {from: "yesterday"}) { next } }`, "BAD_REQUEST: from and to are times as in 2026-11-23T08:00:00Z, or absent"},
		"a level that is none":  {auditor(), `{ reads(filter: {level: "L9"}) { next } }`, "BAD_REQUEST: there is no level of this name"},
		"days the wrong way":    {auditor(), `{ flows(department: "market", from: "2026-03-02", to: "2026-03-01") { from } }`, "BAD_REQUEST: from is not before to, or more than ten years before it"},
		"the zero time":         {auditor(), `{ reads(filter: {to: "0001-01-01T00:00:00Z"}) { next } }`, "BAD_REQUEST: from and to are times as in 2026-11-23T08:00:00Z, or absent"},
		"the zero day":          {auditor(), `{ flows(department: "market", to: "0001-01-01") { to } }`, "BAD_REQUEST: from and to are days as in 2026-11-23, or times, or absent"},
		"a day that is none":    {auditor(), `{ flows(department: "market", from: "2026-02-30") { to } }`, "BAD_REQUEST: from and to are days as in 2026-11-23, or times, or absent"},
		"two readers":           {auditor(), `{ reads(filter: {subject: "x", subjectId: "y"}) { next } }`, "BAD_REQUEST: subject and subjectId are not of one reader"},
		"half a receipt":        {auditor(), `{ receipt(id: "node-a/1") { id } }`, "BAD_REQUEST: a receipt is as in node-a/7/184467"},
		"a cursor that is none": {auditor(), `{ reads(after: "AAAA") { next } }`, "CURSOR_INVALID: the cursor is not one of this server"},
	} {
		t.Run(name, func(t *testing.T) {
			got := run(t, e, test.req, test.query, nil)
			if diff := cmp.Diff([]string{test.want}, got.errors); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	none := newExecutor(t, control.Config{})
	if got := run(t, none, auditor(), `{ reads { next } }`, nil); len(got.errors) != 1 || !strings.HasPrefix(got.errors[0], "LEDGER_UNAVAILABLE") {
		t.Errorf("without an index: %v", got.errors)
	}
}

func TestFlowsAndField(t *testing.T) {
	cfg, _ := newLedger(t)
	e := newExecutor(t, control.Config{Lineage: cfg})
	const flows = `{ flows(department: "public_security") { from to flows { coordinate outcome use consumer purpose reads people } } }`
	want := `{"flows":{"from":"2026-01-31","to":"2026-03-02","flows":[` +
		`{"coordinate":"Person.idNumber","outcome":"CLEAR","use":"select","consumer":null,"purpose":"registration","reads":"1","people":"1"},` +
		`{"coordinate":"Person.idNumber","outcome":"WITHHELD","use":"select","consumer":"counter-office","purpose":"registration","reads":"1","people":"1"},` +
		`{"coordinate":"Person.name","outcome":"CLEAR","use":"select","consumer":null,"purpose":"registration","reads":"1","people":"1"},` +
		`{"coordinate":"Person.name","outcome":"MASKED","use":"select","consumer":"counter-office","purpose":"registration","reads":"1","people":"1"}]}}`
	if diff := cmp.Diff(want, good(t, e, owner(), flows)); diff != "" {
		t.Errorf("the owner's (-want +got):\n%s", diff)
	}
	if all := good(t, e, auditor(), flows); strings.Count(all, `"purpose":"cases"`) != 2 {
		t.Errorf("the auditor does not see the sealed purpose: %s", all)
	}
	want = `{"field":{"coordinate":"Person.name","table":"person","column":"name","level":{"name":"L3"},"readers":[` +
		`{"outcome":"CLEAR","consumer":null},{"outcome":"MASKED","consumer":"counter-office"}]}}`
	if diff := cmp.Diff(want, good(t, e, owner(), `{ field(coordinate: "Person.name", from: "2026-03-01", to: "2026-03-02") { coordinate table column level { name } readers { outcome consumer } } }`)); diff != "" {
		t.Errorf("the field (-want +got):\n%s", diff)
	}
	if got := good(t, e, owner(), `{ field(coordinate: "Person.name", to: "2026-03-01") { readers { outcome } } }`); got != `{"field":{"readers":[]}}` {
		t.Errorf("before: %s", got)
	}
}

// TestOwnerOfOneOfTwo: of a record of two departments its owners see their own
// fields, the level of these, and nothing of the whole; of a record of one, all.
func TestOwnerOfOneOfTwo(t *testing.T) {
	cfg, l := newLedger(t)
	cfg.Owners["market"] = "clerk"
	var err error
	if l.log, err = lineage.Open(lineage.Config{Dir: l.dir, Origin: "node-a", Reading: l.reading(), Clock: func() time.Time { return l.clock }}); err != nil {
		t.Fatal(err)
	}
	person := lineage.Use{Department: "public_security", Table: "person", Column: "id_number", Coordinate: schema.Coordinate{Type: "Person", Field: "idNumber"}, Level: 3, Use: lineage.Filter}
	tag := person
	tag.Use = lineage.Tag
	company := lineage.Use{Department: "market", Table: "company", Column: "name", Coordinate: schema.Coordinate{Type: "Company", Field: "name"}, Use: lineage.Select}
	r := lineage.Record{
		RequestID: "both", Kind: "query", Operation: "CompaniesOfPerson", Subject: "c-1", Schema: "s1", Policy: "r1", Document: "ab",
		Uses: []lineage.Use{company, person, tag}, Counts: []lineage.Counts{{Clear: 7}, {}, {}},
		Rows: 8, Status: "partial", Code: "SOURCE_DOWN", Level: 3,
	}
	r.Sources = []lineage.SourceAge{{Department: "market"}, {Department: "public_security"}}
	r.SetGroupedTags([]lineage.SubjectTag{l.ring.Tag(resolvers.TagUse, []byte(mother))}, []lineage.TagGroup{{Sources: 2, Count: 1}})
	alone := r
	alone.RequestID, alone.Operation, alone.Uses, alone.Counts, alone.Rows, alone.Level = "one", "Companies", r.Uses[:1], r.Counts[:1], 7, 0
	alone.SetTags(nil)
	nobody := r
	nobody.RequestID = "nobody"
	nobody.SetTags(nil)
	for _, record := range []*lineage.Record{&r, &alone, &nobody} {
		if _, _, err := l.log.Append(t.Context(), record); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(l.log.Close(), l.index.CatchUp(t.Context())); err != nil {
		t.Fatal(err)
	}
	market := func() *resolvers.Request {
		r := reader("clerk", "")
		r.Subject.Department = "market"
		return r
	}
	e := newExecutor(t, control.Config{Lineage: cfg})
	const of = `{ reads(filter: {requestId: "%"}) { reads { operation status code level rows people fields { coordinate use clear } } } }`
	for name, test := range map[string]struct {
		req           *resolvers.Request
		request, want string
	}{
		"the market's owner": {market(), "both", `{"operation":null,"status":null,"code":null,"level":"L1","rows":null,"people":"0",` +
			`"fields":[{"coordinate":"Company.name","use":"select","clear":7}]}`},
		"the security's owner": {owner(), "both", `{"operation":null,"status":null,"code":null,"level":"L4","rows":null,"people":"1",` +
			`"fields":[{"coordinate":"Person.idNumber","use":"filter","clear":0},{"coordinate":"Person.idNumber","use":"tag","clear":0}]}`},
		"of a record about nobody": {owner(), "nobody", `{"operation":null,"status":null,"code":null,"level":"L4","rows":null,"people":"0",` +
			`"fields":[{"coordinate":"Person.idNumber","use":"filter","clear":0},{"coordinate":"Person.idNumber","use":"tag","clear":0}]}`},
		"his own alone": {market(), "one", `{"operation":"Companies","status":"partial","code":"SOURCE_DOWN","level":"L1","rows":"7","people":"0",` +
			`"fields":[{"coordinate":"Company.name","use":"select","clear":7}]}`},
		"an auditor": {auditor(), "both", `{"operation":"CompaniesOfPerson","status":"partial","code":"SOURCE_DOWN","level":"L4","rows":"8","people":"1",` +
			`"fields":[{"coordinate":"Company.name","use":"select","clear":7},{"coordinate":"Person.idNumber","use":"filter","clear":0},{"coordinate":"Person.idNumber","use":"tag","clear":0}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			want := `{"reads":{"reads":[` + test.want + `]}}`
			if diff := cmp.Diff(want, good(t, e, test.req, strings.Replace(of, "%", test.request, 1))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	// The person whom the record is about is the other department's.
	const readers = `{ field(coordinate: "Company.name") { readers { reads people peopleUncounted } } }`
	want := `{"field":{"readers":[{"reads":"4","people":"0","peopleUncounted":"0"}]}}`
	if got := good(t, e, market(), readers); got != want {
		t.Errorf("%s instead of %s", got, want)
	}
	want = `{"field":{"readers":[{"use":"select","reads":"1","people":"1"},{"use":"select","reads":"1","people":"1"}]}}`
	if got := good(t, e, owner(), `{ field(coordinate: "Person.idNumber") { readers { use reads people } } }`); got != want {
		t.Errorf("%s instead of %s", got, want)
	}
}

// TestAboutMe: a person sees the looks at himself, and of a record about two no
// field, which might be the other's.
func TestAboutMe(t *testing.T) {
	cfg, _ := newLedger(t)
	e := newExecutor(t, control.Config{Lineage: cfg})
	person := func(id string) *resolvers.Request {
		r := reader("guest", "")
		r.Subject.ID = "mother"
		r.Subject.Attributes = map[string]string{"id": id}
		return r
	}
	const about = `{ aboutMe { reads { receipt office purpose { titles { en } } self kinds { type fields { name category outcome } } } next } }`
	want := `{"aboutMe":{"reads":[` +
		`{"receipt":"node-a/1/5","office":null,"purpose":{"titles":{"en":"Registration"}},"self":true,"kinds":[{"type":"Person","fields":[{"name":"name","category":"person_name","outcome":"CLEAR"},{"name":"idNumber","category":"id_number","outcome":"CLEAR"}]}]},` +
		`{"receipt":"node-a/1/3","office":"counter-office","purpose":{"titles":{"en":"Registration"}},"self":false,"kinds":[{"type":"Marriage","fields":[]}]},` +
		`{"receipt":"node-a/1/1","office":"counter-office","purpose":{"titles":{"en":"Registration"}},"self":false,"kinds":[{"type":"Person","fields":[{"name":"name","category":"person_name","outcome":"MASKED"}]}]}],"next":null}}`
	if diff := cmp.Diff(want, good(t, e, person(mother), about)); diff != "" {
		t.Errorf("the mother (-want +got):\n%s", diff)
	}
	if got := good(t, e, person(father), `{ aboutMe { reads { receipt } } }`); got != `{"aboutMe":{"reads":[{"receipt":"node-a/1/3"}]}}` {
		t.Errorf("the father: %s", got)
	}
	if got := good(t, e, person("990001199001010000"), `{ aboutMe { reads { receipt } } }`); got != `{"aboutMe":{"reads":[]}}` {
		t.Errorf("somebody else: %s", got)
	}
	req := person(mother)
	good(t, e, req, about)
	if len(req.Reads.Uses) == 0 || req.Reads.Uses[0].Coordinate != (schema.Coordinate{Type: "Query", Field: "aboutMe"}) {
		t.Errorf("the look was not recorded: %+v", req.Reads.Uses)
	}
}

// TestAskedForAndNotFound: a person who was asked for with another, and perhaps
// not found, is told that he was asked for, and of no field.
func TestAskedForAndNotFound(t *testing.T) {
	cfg, l := newLedger(t)
	log, err := lineage.Open(lineage.Config{Dir: l.dir, Origin: "node-a", Reading: l.reading(), Clock: func() time.Time { return l.clock }})
	if err != nil {
		t.Fatal(err)
	}
	l.log = log
	of := func(column, field string, kind lineage.UseKind) lineage.Use {
		return lineage.Use{Department: "public_security", Table: "person", Column: column, Coordinate: schema.Coordinate{Type: "Person", Field: field}, Level: 2, Use: kind}
	}
	uses := []lineage.Use{of("", "", lineage.Select), of("name", "name", lineage.Select), of("id_number", "idNumber", lineage.Tag)}
	for _, rows := range []uint32{1, 2} {
		l.add(t, "c-1", "counter-office", "registration", uses, []lineage.Counts{{Clear: rows}, {Masked: rows}, {Clear: 1}}, mother, father)
	}
	if err := errors.Join(log.Close(), l.index.CatchUp(t.Context())); err != nil {
		t.Fatal(err)
	}
	e := newExecutor(t, control.Config{Lineage: cfg})
	want := `{"aboutMe":{"reads":[{"kinds":[{"type":"Person","fields":[{"name":"name"}]}]},{"kinds":[{"type":"Person","fields":[]}]}]}}`
	for name, id := range map[string]string{"the mother": mother, "the father": father} {
		if got := good(t, e, person(name, id), `{ aboutMe(first: 2) { reads { kinds { type fields { name } } } } }`); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestAboutMeAcross: of a record of several departments a person is told what he
// came from, and its fields where they are surely about him.
func TestAboutMeAcross(t *testing.T) {
	cfg, l := newLedger(t)
	var err error
	if l.log, err = lineage.Open(lineage.Config{Dir: l.dir, Origin: "node-a", Reading: l.reading(), Clock: func() time.Time { return l.clock }}); err != nil {
		t.Fatal(err)
	}
	l.across(t)
	if err := errors.Join(l.log.Close(), l.index.CatchUp(t.Context())); err != nil {
		t.Fatal(err)
	}
	e := newExecutor(t, control.Config{Lineage: cfg})
	for name, test := range map[string]struct{ id, want string }{
		"of both":        {mother, `{"type":"Person","fields":[{"name":"name"}]},{"type":"Marriage","fields":[]}`},
		"of one of them": {father, `{"type":"Marriage","fields":[]}`},
	} {
		t.Run(name, func(t *testing.T) {
			want := `{"aboutMe":{"reads":[{"kinds":[` + test.want + `]}]}}`
			if diff := cmp.Diff(want, good(t, e, person(name, test.id), `{ aboutMe(first: 1) { reads { kinds { type fields { name } } } } }`)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestFollow: an owner is told of reads of his department's fields as they come,
// not of those before, of other departments', or sealed ones; nobody else is.
func TestFollow(t *testing.T) {
	cfg, l := newLedger(t)
	e := newExecutor(t, control.Config{Lineage: cfg})
	start := func(req *resolvers.Request) (graphql.ResponseHandler, context.Context, context.CancelFunc) {
		t.Helper()
		ctx, cancel := context.WithCancel(graphql.StartOperationTrace(t.Context()))
		t.Cleanup(cancel)
		req.Generation = generation(t)
		ctx = resolvers.WithRequest(ctx, req)
		op, list := e.CreateOperationContext(ctx, &graphql.RawParams{Query: `subscription { readsOfMyDepartment { purpose level rows people operation status fields { coordinate clear } } }`})
		if len(list) > 0 {
			t.Fatal(list)
		}
		respond, ctx := e.DispatchOperation(ctx, op)
		return respond, ctx, cancel
	}
	respond, ctx, _ := start(reader("guest", ""))
	if r := respond(ctx); r == nil || len(r.Errors) != 1 || r.Errors[0].Extensions["code"] != "FORBIDDEN" {
		t.Errorf("a guest: %+v", r)
	}
	respond, ctx, cancel := start(owner())
	answers := make(chan string)
	go func() {
		for r := respond(ctx); r != nil; r = respond(ctx) {
			answers <- string(r.Data)
		}
		close(answers)
	}()
	var err error
	if l.log, err = lineage.Open(lineage.Config{Dir: l.dir, Origin: "node-a", Reading: l.reading(), Clock: func() time.Time { return l.clock }}); err != nil {
		t.Fatal(err)
	}
	use := lineage.Use{Department: "public_security", Table: "person", Column: "name", Coordinate: schema.Coordinate{Type: "Person", Field: "name"}, Level: 2, Use: lineage.Select}
	other := lineage.Use{Department: "market", Table: "company", Column: "name", Coordinate: schema.Coordinate{Type: "Company", Field: "name"}, Use: lineage.Select}
	counts := []lineage.Counts{{Clear: 1}, {Clear: 1}}
	l.add(t, "g-1", "", "", []lineage.Use{other}, counts[:1])
	l.add(t, "o-1", "public_security", "cases", []lineage.Use{use}, counts[:1], mother)
	l.add(t, "c-1", "counter-office", "registration", []lineage.Use{use, other}, counts, mother)
	l.add(t, "c-1", "counter-office", "", []lineage.Use{use}, counts[:1], mother)
	if err := errors.Join(l.log.Close(), l.index.CatchUp(t.Context())); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"purpose":"registration","level":"L3","rows":null,"people":null,"operation":null,"status":null`, // the market's fields too
		`"purpose":null,"level":"L3","rows":"1","people":"1","operation":null,"status":"ok"`,
	} {
		want = `{"readsOfMyDepartment":{` + want + `,"fields":[{"coordinate":"Person.name","clear":1}]}}`
		if got := <-answers; got != want {
			t.Errorf("%s instead of %s", got, want)
		}
	}
	cancel()
	if more, ok := <-answers; ok {
		t.Errorf("more: %s", more)
	}
}
