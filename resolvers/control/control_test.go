package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/resolvers"
	"github.com/weir-data/weir/resolvers/control"
	"github.com/weir-data/weir/schema"
)

const sdl = `
"自然人 · A natural person"
type Person
  @source(department: "public_security", table: "person", key: ["id_number"], tiebreak: "row_no")
  @classified(level: "L2") @sharing(mode: CONDITIONAL, basis: "the Act, art. 3")
  @fresh(column: "updated_at", within: "24h")
  @scope(name: "own_region", where: "{district: {_eq: $subject.region}}")
{
  "公民身份号码 · Identity number"
  idNumber: String @classified(level: "L4", category: "id_number") @mask(with: "ID_NUMBER") @subject
  "姓名 · Name"
  name: String @classified(level: "L3", category: "person_name") @mask(with: "NAME")
  "住址 · Address"
  address: String @classified(level: "L3", category: "address")
  district: String @dimension
  updatedAt: DateTime
  "案卷 · Secret files"
  files: [SecretFile!] @relation(fields: ["idNumber"], references: ["personIdNumber"]) @classified(level: "L3")
}

"秘密档案 · A secret file"
type SecretFile
  @source(department: "public_security", table: "file", key: ["number"], tiebreak: "row_no")
  @classified(level: "L4") @sharing(mode: WITHHELD, basis: "the Act, art. 9")
{
  number: String
  "canary of a file"
  personIdNumber: String @subject
}

"企业 · A company"
type Company
  @source(department: "market", table: "company", key: ["code"], tiebreak: "row_no")
  @classified(level: "L1") @sharing(mode: UNCONDITIONAL)
{
  "统一社会信用代码 · Credit code"
  code: String
  "名称 · Name of the company"
  name: String
}
`

const policy = `
p, clerk,   public_security, Person.*,        L3, registration, by_key,     mask,  allow
p, clerk,   public_security, Person.idNumber, L4, registration, by_key,     match, allow
p, officer, public_security, Person.*,        L4, cases,        own_region, clear, allow
p, officer, public_security, Person.*,        L3, cases,        all,        mask,  allow
p, officer, public_security, Person.address,  L1, *,            self,       aggregate, deny
p, clerk,   market,          Company.*,       L1, *,            all,        clear, allow
p, guest,   market,          Company.*,       L1, *,            all,        clear, allow
g, officer, clerk
g, chief,   officer
g, chief,   auditor
p, auditor, market,          Company.code,    L1, *,            all,        clear, allow
`

// generation makes a generation of the SDL and policy above.
func generation(tb testing.TB) *plan.Generation {
	tb.Helper()
	catalogue, found := schema.Load([]schema.File{{Name: "test.graphqls", Text: sdl}}, schema.Settings{})
	if catalogue == nil {
		tb.Fatal(found)
	}
	p, found := authz.Parse([]schema.File{{Name: "test.csv", Text: policy}})
	if found.Failed() {
		tb.Fatal(found)
	}
	settings := authz.DefaultSettings(catalogue.Levels)
	settings.Purposes = []string{"registration", "cases"}
	table, err := authz.Compile(p, catalogue, settings)
	if err != nil {
		tb.Fatal(err)
	}
	documents, err := plan.NewDocuments(catalogue.API, plan.DefaultLimits())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(documents.Close)
	return &plan.Generation{Catalogue: catalogue, Table: table, Policy: "r1", Documents: documents}
}

type ages struct{}

func (ages) Age(department string) (time.Time, bool, bool) {
	return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), false, department == "public_security"
}

func newExecutor(tb testing.TB, cfg control.Config) *control.Executor {
	tb.Helper()
	if cfg.Report == nil {
		cfg.Report = func(err error) { tb.Errorf("fault: %v", err) }
	}
	cfg.Departments = map[string]control.Titles{"public_security": {ZH: "公安", EN: "Public security"}, "market": {ZH: "市场监管"}}
	cfg.Purposes = map[string]control.Purpose{
		"registration": {Titles: control.Titles{ZH: "出生登记", EN: "Registration"}, Basis: "the Act, art. 1"},
		"cases":        {Titles: control.Titles{EN: "Cases"}},
	}
	cfg.Offices = control.Offices{Operator: "operator", Security: "security", Auditor: "auditor"}
	e, err := control.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(e.Close)
	return e
}

func reader(role, purpose string) *resolvers.Request {
	return &resolvers.Request{
		ID: "q-1", Purpose: purpose, Reads: &resolvers.ReadSet{},
		Subject: &authz.Subject{ID: "u1", Application: "counter", Roles: []string{role, "unknown-role"}, Purposes: []string{"cases", "registration", "unregistered"}},
	}
}

// answer is a response with its data undone.
type answer struct {
	data   string
	errors []string // "CODE: message"
}

// run executes one operation as the gateway does.
func run(tb testing.TB, e *control.Executor, req *resolvers.Request, query string, vars map[string]any) answer {
	tb.Helper()
	ctx := graphql.StartOperationTrace(tb.Context())
	if req != nil {
		if req.Generation == nil {
			req.Generation = generation(tb)
		}
		ctx = resolvers.WithRequest(ctx, req)
	}
	op, list := e.CreateOperationContext(ctx, &graphql.RawParams{Query: query, Variables: vars})
	var response *graphql.Response
	if len(list) > 0 {
		response = e.DispatchError(ctx, list)
	} else {
		respond, ctx := e.DispatchOperation(ctx, op)
		response = respond(ctx)
	}
	out := answer{data: string(response.Data)}
	for _, err := range response.Errors {
		code, _ := err.Extensions["code"].(string)
		out.errors = append(out.errors, code+": "+err.Message)
		if req != nil && err.Extensions["requestId"] != req.ID {
			tb.Errorf("request id %v", err.Extensions["requestId"])
		}
	}
	return out
}

func good(tb testing.TB, e *control.Executor, req *resolvers.Request, query string) string {
	tb.Helper()
	a := run(tb, e, req, query, nil)
	if len(a.errors) > 0 {
		tb.Fatalf("refused: %v", a.errors)
	}
	return a.data
}

func TestMe(t *testing.T) {
	e := newExecutor(t, control.Config{})
	query := `{ me { subject application department roles purposes { id titles { zh en } basis } purpose { id } offices } }`
	tests := []struct {
		name, role, purpose, want string
	}{
		{
			"a clerk, no purpose", "clerk", "",
			`{"me":{"subject":"u1","application":"counter","department":null,"roles":["clerk"],"purposes":[{"id":"cases","titles":{"zh":null,"en":"Cases"},"basis":null},{"id":"registration","titles":{"zh":"出生登记","en":"Registration"},"basis":"the Act, art. 1"}],"purpose":null,"offices":[]}}`,
		},
		{
			"inherited roles and offices", "chief", "cases",
			`{"me":{"subject":"u1","application":"counter","department":null,"roles":["auditor","chief","clerk","officer"],"purposes":[{"id":"cases","titles":{"zh":null,"en":"Cases"},"basis":null},{"id":"registration","titles":{"zh":"出生登记","en":"Registration"},"basis":"the Act, art. 1"}],"purpose":{"id":"cases"},"offices":["AUDITOR"]}}`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := good(t, e, reader(test.role, test.purpose), query); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// What is held is the reader's own, per scope, under the stated purpose.
func TestHolds(t *testing.T) {
	e := newExecutor(t, control.Config{})
	query := `query($t: String!) { me { holds(type: $t) { type row { capability reason } fields { name level { name rank titles { en } } access { capability reason scopes { scope capabilities denied } } } } } }`
	type access struct {
		Capability string
		Reason     *string
		Scopes     []struct {
			Scope        string
			Capabilities []string
			Denied       bool
		}
	}
	type data struct {
		Me struct {
			Holds *struct {
				Type   string
				Row    access
				Fields []struct {
					Name   string
					Access access
				}
			}
		}
	}
	tests := []struct {
		name, role, purpose, typ string
		want                     []string // nil for no such type
	}{
		{"clerk for registration", "clerk", "registration", "Person", []string{
			"row MASK POLICY", "idNumber MATCH POLICY by_key[MATCH]", "name MASK POLICY by_key[MASK]",
			"address NONE NO_MASK by_key[MASK]", "district NONE NO_MASK by_key[MASK]", "updatedAt NONE NO_MASK by_key[MASK]",
		}},
		{"clerk without a purpose", "clerk", "", "Person", []string{
			"row NONE PURPOSE", "idNumber NONE PURPOSE", "name NONE PURPOSE", "address NONE PURPOSE", "district NONE PURPOSE", "updatedAt NONE PURPOSE",
		}},
		{"officer", "officer", "cases", "Person", []string{
			"row CLEAR POLICY", "idNumber CLEAR PURPOSE own_region[CLEAR MASK AGGREGATE MATCH]",
			"name CLEAR POLICY all[MASK] own_region[CLEAR MASK AGGREGATE MATCH]",
			"address CLEAR POLICY all[MASK] own_region[CLEAR MASK AGGREGATE MATCH] not self[CLEAR AGGREGATE]",
			"district CLEAR POLICY all[MASK] own_region[CLEAR MASK AGGREGATE MATCH]",
			"updatedAt CLEAR POLICY all[MASK] own_region[CLEAR MASK AGGREGATE MATCH]",
		}},
		{"everything, always", "guest", "", "Company", []string{
			"row CLEAR -", "code CLEAR - all[CLEAR MASK AGGREGATE MATCH]", "name CLEAR - all[CLEAR MASK AGGREGATE MATCH]",
		}},
		{"a hidden type", "clerk", "registration", "SecretFile", nil},
		{"no such type", "clerk", "registration", "Nobody", nil},
		{"an enum is no type", "clerk", "registration", "Order", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := run(t, e, reader(test.role, test.purpose), query, map[string]any{"t": test.typ})
			if len(a.errors) > 0 {
				t.Fatal(a.errors)
			}
			var got data
			if err := json.Unmarshal([]byte(a.data), &got); err != nil {
				t.Fatal(err)
			}
			reason := func(a access) string {
				if a.Reason == nil {
					return "-"
				}
				return *a.Reason
			}
			var lines []string
			if h := got.Me.Holds; h != nil {
				lines = append(lines, "row "+h.Row.Capability+" "+reason(h.Row))
				for _, f := range h.Fields {
					line := f.Name + " " + f.Access.Capability + " " + reason(f.Access)
					for _, s := range f.Access.Scopes {
						if line += " "; s.Denied {
							line += "not "
						}
						line += s.Scope + "[" + strings.Join(s.Capabilities, " ") + "]"
					}
					lines = append(lines, line)
				}
			}
			if diff := cmp.Diff(test.want, lines); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestCatalogShowsEverything(t *testing.T) {
	e := newExecutor(t, control.Config{Ages: ages{}})
	got := good(t, e, reader("clerk", "registration"), `{ catalog(department: "public_security") { departments { name titles { zh en } types {
		name description owner level { name rank titles { zh } } sharing { mode basis } freshness { within asOf stale } myAccess { capability scopes { scope } }
		fields { name description type level { name } category mask { spec version preserves } sharing { mode } dimension myAccess { capability reason } }
	} } } }`)
	var want, have any
	if err := json.Unmarshal([]byte(got), &have); err != nil {
		t.Fatal(err)
	}
	expected := `{"catalog":{"departments":[{"name":"public_security","titles":{"zh":"公安","en":"Public security"},"types":[{
		"name":"Person","description":"自然人 · A natural person","owner":"public_security","level":{"name":"L2","rank":1,"titles":{"zh":"二级"}},
		"sharing":{"mode":"CONDITIONAL","basis":"the Act, art. 3"},"freshness":{"within":"24h","asOf":"2026-01-02T03:04:05Z","stale":false},
		"myAccess":{"capability":"MASK","scopes":[{"scope":"by_key"}]},
		"fields":[
		{"name":"idNumber","description":"公民身份号码 · Identity number","type":"String","level":{"name":"L4"},"category":"id_number",
		 "mask":{"spec":"ID_NUMBER(1,1)","version":1,"preserves":["nullness","first 1","last 1"]},"sharing":{"mode":"CONDITIONAL"},"dimension":false,"myAccess":{"capability":"MATCH","reason":"POLICY"}},
		{"name":"name","description":"姓名 · Name","type":"String","level":{"name":"L3"},"category":"person_name",
		 "mask":{"spec":"NAME","version":2,"preserves":["nullness","first 2","the surname: two characters where it is a known compound surname and a given name follows, else the first character"]},"sharing":{"mode":"CONDITIONAL"},"dimension":false,"myAccess":{"capability":"MASK","reason":"POLICY"}},
		{"name":"address","description":"住址 · Address","type":"String","level":{"name":"L3"},"category":"address","mask":null,"sharing":{"mode":"CONDITIONAL"},"dimension":false,"myAccess":{"capability":"NONE","reason":"NO_MASK"}},
		{"name":"district","description":null,"type":"String","level":{"name":"L2"},"category":null,"mask":null,"sharing":{"mode":"CONDITIONAL"},"dimension":true,"myAccess":{"capability":"NONE","reason":"NO_MASK"}},
		{"name":"updatedAt","description":null,"type":"DateTime","level":{"name":"L2"},"category":null,"mask":null,"sharing":{"mode":"CONDITIONAL"},"dimension":false,"myAccess":{"capability":"NONE","reason":"NO_MASK"}}
		]}]}]}}`
	if err := json.Unmarshal([]byte(expected), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// names lists what a catalogue shows, "Type.field".
func names(tb testing.TB, e *control.Executor, role, purpose string, args map[string]any) []string {
	tb.Helper()
	a := run(tb, e, reader(role, purpose), `query($s: String, $d: String) { catalog(search: $s, department: $d) { departments { types { name fields { name } } } } }`, args)
	if len(a.errors) > 0 {
		tb.Fatal(a.errors)
	}
	var got struct {
		Catalog struct {
			Departments []struct {
				Types []struct {
					Name   string
					Fields []struct{ Name string }
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(a.data), &got); err != nil {
		tb.Fatal(err)
	}
	out := []string{}
	for _, d := range got.Catalog.Departments {
		if len(d.Types) == 0 {
			tb.Error("an empty department")
		}
		for _, t := range d.Types {
			for _, f := range t.Fields {
				out = append(out, t.Name+"."+f.Name)
			}
		}
	}
	return out
}

func TestSearch(t *testing.T) {
	e := newExecutor(t, control.Config{})
	all := []string{"Company.code", "Company.name", "Person.idNumber", "Person.name", "Person.address", "Person.district", "Person.updatedAt"}
	people := all[2:]
	tests := []struct {
		name string
		args map[string]any
		want []string
	}{
		{"no search", nil, all},
		{"blank", map[string]any{"s": "  "}, all},
		{"Chinese, a field", map[string]any{"s": "住址"}, []string{"Person.address"}},
		{"Chinese, a type", map[string]any{"s": "自然人"}, people},
		{"Chinese, a department", map[string]any{"s": "公安"}, people},
		{"English, any case", map[string]any{"s": "ADDRESS"}, []string{"Person.address"}},
		{"wide letters", map[string]any{"s": "ａｄｄｒｅｓｓ"}, []string{"Person.address"}},
		{"category", map[string]any{"s": "person_name"}, []string{"Person.name"}},
		{"name", map[string]any{"s": "name"}, []string{"Company.name", "Person.name"}},
		{"two words, field and type", map[string]any{"s": "name company"}, []string{"Company.name"}},
		{"two words, field and department", map[string]any{"s": "公安 住址"}, []string{"Person.address"}},
		{"words apart", map[string]any{"s": "住址 姓名"}, []string{}},
		{"nothing", map[string]any{"s": "zzz"}, []string{}},
		{"department", map[string]any{"d": "market"}, all[:2]},
		{"unknown department", map[string]any{"d": "nobody"}, []string{}},
		{"both", map[string]any{"d": "market", "s": "name"}, []string{"Company.name"}},
		{"hidden type", map[string]any{"s": "canary"}, []string{}},
		{"hidden type by name", map[string]any{"s": "SecretFile"}, []string{}},
		{"relation to a hidden type", map[string]any{"s": "案卷"}, []string{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, names(t, e, "clerk", "registration", test.args)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// A field at the highest level on which a reader can never hold anything is
// absent for him, whatever purpose he states.
func TestHiddenFieldsAreAbsent(t *testing.T) {
	e := newExecutor(t, control.Config{})
	for _, purpose := range []string{"", "cases", "registration"} {
		got := names(t, e, "guest", purpose, nil)
		if slices.Contains(got, "Person.idNumber") {
			t.Errorf("purpose %q: %v", purpose, got)
		}
		if !slices.Contains(got, "Person.name") {
			t.Errorf("purpose %q: what is below the level of hiding is missing: %v", purpose, got)
		}
	}
	for _, query := range []string{`{ me { holds(type: "SecretFile") { type } } }`, `{ me { holds(type: "Nothing123") { type } } }`} {
		if got := good(t, e, reader("guest", ""), query); got != `{"me":{"holds":null}}` {
			t.Errorf("%s: %s", query, got)
		}
	}
}

// Every field that is read is counted under the control graph's own coordinate.
func TestFieldsAreCounted(t *testing.T) {
	e := newExecutor(t, control.Config{})
	req := reader("clerk", "registration")
	good(t, e, req, `query Mine { me { subject s: subject __typename } catalog(department: "market") { departments { types { fields { name } } } } __schema { description } }`)
	got := map[string]uint32{}
	for i, u := range req.Reads.Uses {
		if u.Level != 0 || req.Reads.Counts[i].Masked+req.Reads.Counts[i].Withheld > 0 {
			t.Errorf("%+v: %+v", u, req.Reads.Counts[i])
		}
		got[u.Coordinate.String()] = req.Reads.Counts[i].Clear
	}
	want := map[string]uint32{
		"Query.me": 1, "Me.subject": 2, "Query.catalog": 1, "Catalog.departments": 1, "Department.types": 1,
		"CatalogType.fields": 1, "CatalogField.name": 2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if req.Reads.Kind != "control" || req.Reads.Name != "Mine" || len(req.Reads.Document) != 64 || req.Reads.Code != "" {
		t.Errorf("%+v", req.Reads)
	}
}

func TestIntrospection(t *testing.T) {
	e := newExecutor(t, control.Config{})
	req := reader("clerk", "")
	got := good(t, e, req, `{ __schema { queryType { name } directives { name } } __type(name: "Office") { enumValues { name } } }`)
	if !strings.Contains(got, `"enumValues":[{"name":"OPERATOR"},{"name":"SECURITY"},{"name":"AUDITOR"}]`) || strings.Contains(got, "defer") {
		t.Error(got)
	}
	if req.Reads.Kind != "introspection" || len(req.Reads.Uses) > 0 {
		t.Errorf("%+v", req.Reads)
	}
}

func TestRefusals(t *testing.T) {
	e := newExecutor(t, control.Config{})
	tests := []struct {
		name, query string
		vars        map[string]any
		want        string
		kind        string
	}{
		{"syntax", `{ me {`, nil, "GRAPHQL_PARSE_FAILED: syntax error: unexpected end of the document", "refused"},
		{"unknown field, no suggestion", `{ me { subjec } }`, nil, `GRAPHQL_VALIDATION_FAILED: Cannot query field "subjec" on type "Me".`, "refused"},
		{"mutation", `mutation { me { subject } }`, nil, `GRAPHQL_VALIDATION_FAILED: Cannot query field "me" on type "Mutation".`, "refused"},
		{"roots", `{ a: me { subject } b: me { subject } c: me { subject } d: me { subject } e: me { subject } f: me { subject } }`, nil, "LIMIT_EXCEEDED: the document has more than 5 root fields", "refused"},
		{"aliases", `{ me { ` + strings.Repeat("x: subject ", 16) + `} }`, nil, "LIMIT_EXCEEDED: the document has more than 15 aliases", "refused"},
		{"depth", `{ ` + strings.Repeat("me { ", 13) + "x" + strings.Repeat(" }", 13) + ` }`, nil, "LIMIT_EXCEEDED: the document has more than 12 levels", "refused"},
		{"variable", `query($t: String!) { me { holds(type: $t) { type } } }`, map[string]any{"t": json.Number("5")}, `GRAPHQL_VALIDATION_FAILED: Variable "$t" is not a value of type "String!".`, "refused"},
		{"operation", `query A { me { subject } } query B { me { subject } }`, nil, "BAD_REQUEST: the document has several operations: operationName is required", "refused"},
		{"a search too long", `{ catalog(search: "` + strings.Repeat("公", 100) + `") { revision } }`, nil, "BAD_REQUEST: search takes at most 8 words and 200 bytes", "control"},
		{"a search of too many words", `{ catalog(search: "a b c d e f g h i") { revision } }`, nil, "BAD_REQUEST: search takes at most 8 words and 200 bytes", "control"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			req := reader("clerk", "")
			got := run(t, e, req, test.query, test.vars)
			if diff := cmp.Diff([]string{test.want}, got.errors); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			code, _, _ := strings.Cut(test.want, ":")
			if req.Reads.Kind != test.kind || req.Reads.Code != code {
				t.Errorf("recorded as %s, %s", req.Reads.Kind, req.Reads.Code)
			}
		})
	}
}

// An error costs its own root and no other.
func TestPartialAnswer(t *testing.T) {
	e := newExecutor(t, control.Config{})
	got := run(t, e, reader("clerk", ""), `{ me { subject } catalog(search: "a b c d e f g h i") { revision } }`, nil)
	if got.data != `{"me":{"subject":"u1"},"catalog":null}` || len(got.errors) != 1 {
		t.Errorf("%+v", got)
	}
}

func TestNothingWithoutARequest(t *testing.T) {
	e := newExecutor(t, control.Config{})
	for name, req := range map[string]*resolvers.Request{
		"no request": nil,
		"no subject": {ID: "q", Reads: &resolvers.ReadSet{}},
		"no table":   {ID: "q", Reads: &resolvers.ReadSet{}, Subject: &authz.Subject{}, Generation: &plan.Generation{}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := graphql.StartOperationTrace(t.Context())
			if req != nil {
				ctx = resolvers.WithRequest(ctx, req)
			}
			_, list := e.CreateOperationContext(ctx, &graphql.RawParams{Query: `{ me { subject } }`})
			if len(list) != 1 || list[0].Extensions["code"] != string(plan.Forbidden) {
				t.Errorf("got %v", list)
			}
		})
	}
}

type brokenAges struct{}

func (brokenAges) Age(string) (time.Time, bool, bool) { panic("canary 4711") }

// A panic is INTERNAL to the reader and a place to the operator; what it said
// goes nowhere.
func TestPanic(t *testing.T) {
	var reported []error
	e := newExecutor(t, control.Config{Ages: brokenAges{}, Report: func(err error) { reported = append(reported, err) }})
	req := reader("clerk", "")
	got := run(t, e, req, `{ catalog { revision } }`, nil)
	if diff := cmp.Diff(answer{data: `{"catalog":null}`, errors: []string{"INTERNAL: the operation could not be executed"}}, got, cmp.AllowUnexported(answer{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(reported) != 1 || !strings.Contains(reported[0].Error(), "control_test.brokenAges.Age") || strings.Contains(reported[0].Error(), "canary") {
		t.Errorf("reported: %v", errors.Join(reported...))
	}
	if req.Reads.Code != "INTERNAL" {
		t.Errorf("recorded as %s", req.Reads.Code)
	}
}

// A reader who went away gets no answer.
func TestCancelled(t *testing.T) {
	e := newExecutor(t, control.Config{})
	req := reader("clerk", "")
	req.Generation = generation(t)
	ctx, cancel := context.WithCancel(resolvers.WithRequest(graphql.StartOperationTrace(t.Context()), req))
	op, list := e.CreateOperationContext(ctx, &graphql.RawParams{Query: `{ me { subject } }`})
	if len(list) > 0 {
		t.Fatal(list)
	}
	cancel()
	respond, ctx := e.DispatchOperation(ctx, op)
	if got := respond(ctx); got != nil {
		t.Errorf("got %s", got.Data)
	}
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	e, err := control.New(control.Config{})
	if err != nil {
		t.Fatal(err)
	}
	run(t, e, reader("clerk", ""), `{ catalog { departments { types { fields { name } } } } }`, nil)
	e.Close()
}
