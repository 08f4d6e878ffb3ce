package schema

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

func loadSmall(t testing.TB) *Catalogue {
	t.Helper()
	files, err := ReadFolder("testdata/golden")
	if err != nil {
		t.Fatal(err)
	}
	catalogue, found := Load(files, settingsOfFixtures())
	if catalogue == nil {
		t.Fatal(found)
	}
	return catalogue
}

func TestGeneratedSDL(t *testing.T) {
	got := loadSmall(t).SDL
	path := "testdata/golden/small.sdl"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("SDL (-want +got):\n%s", diff)
	}
	for _, leak := range []string{"@source", "@mask", "@classified", "@relation", "@scope", "@subject", "@defer", "reg.person", "own_region"} {
		if strings.Contains(got, leak) {
			t.Errorf("the SDL shows clients %s", leak)
		}
	}
}

func TestSmallCatalogue(t *testing.T) {
	c := loadSmall(t)
	person := c.Types["Person"]
	for _, check := range []struct {
		what      string
		got, want any
	}{
		{"departments", c.Departments, []string{"health", "police"}},
		{"types", c.TypeNames(), []string{"Account", "Blob", "Keyed", "Person", "Visit"}},
		{"abstracts", c.AbstractNames(), []string{"Named", "Paper", "Party", "Thing"}},
		{"members of an interface", c.MembersOf("Paper"), []string{"Account"}},
		{"members of a union", c.MembersOf("Thing"), []string{"Blob", "Keyed"}},
		{"members of a type", c.MembersOf("Person"), []string{"Person"}},
		{"members of nothing", c.MembersOf("Sex"), []string(nil)},
		{"interfaces of a type", person.Interfaces, []string{"Named", "Party"}},
		{"unions of a type", c.Types["Keyed"].Interfaces, []string{"Thing"}},
		{"interface fields", c.Abstracts["Paper"].Fields, []string{"number", "owner"}},
		{"source", person.Source, Source{
			Department: "health", Table: "reg.person", Key: []string{"id_number"}, KeyFields: []string{"idNumber"},
			Tiebreak: "row_no", TiebreakKind: BigInt,
		}},
		{"tie-break of a field's kind", c.Types["Account"].Source.TiebreakKind, Int},
		{"key without fields", c.Types["Blob"].Source.KeyFields, []string(nil)},
		{"level", person.Level, Rank(1)},
		{"default level", person.Field("district").Level, Rank(1)},
		{"own level", person.Field("idNumber").Level, Rank(3)},
		{"relation's own level", person.Field("visits").Level, Rank(2)},
		{"category", person.Field("idNumber").Category, "id_number"},
		{"entropy", person.Field("sex").LowEntropy, true},
		{"dimension", person.Field("sex").Dimension, true},
		{"default column", person.Field("idNumber").Column, "id_number"},
		{"column", person.Field("district").Column, "dist"},
		{"mask", *person.Field("idNumber").Mask, MaskUse{Spec: "KEEP(1,1)", Name: "KEEP", Args: []int{1, 1}}},
		{"sharing", person.Sharing, Sharing{Mode: Unconditional}},
		{"withheld", c.Types["Visit"].Sharing, Sharing{Mode: WithheldSharing, Basis: "law"}},
		{"sharing by default", c.Types["Account"].Sharing, Sharing{Mode: Conditional}},
		{"freshness", *person.Fresh, Fresh{Column: "changed", Within: "24h"}},
		{"subjects", person.Subjects, []Subject{{Field: "idNumber", Covers: []string{"name", "idNumber"}}, {Field: "guardian"}}},
		{"covering", person.Covering("name"), []string{"idNumber", "guardian"}},
		{"not covering", person.Covering("sex"), []string{"guardian"}},
		{"relation", *person.Field("visits").Relation, Relation{
			Target: "Visit", Many: true, Fields: []string{"idNumber"}, References: []string{"personIdNumber"}, SameSource: true,
		}},
		{"relation across", *person.Field("account").Relation, Relation{
			Target: "Account", Fields: []string{"idNumber"}, References: []string{"holder"}, CarriesKey: true,
		}},
		{"relation to an abstract type", person.Field("things").Relation.SameSource, false},
		{"list", []any{c.Types["Visit"].Field("tags").List, c.Types["Visit"].Field("tags").Kind, c.Types["Visit"].Field("tags").TypeSDL}, []any{true, Enum, "[Sex!]"}},
		{"roots", c.RootNames(), []string{
			"accountByRef", "accountMatch", "accountsAggregate", "blobs", "blobsAggregate", "blobsConnection", "callMatch", "calls", "callsConnection",
			"keyed", "keyedByRef", "keyeds", "keyedsAggregate", "keyedsConnection",
			"papers", "papersConnection", "person", "personByRef", "personMatch", "persons", "personsAggregate", "personsConnection", "visitOf",
		}},
		{"a root by key", *c.Roots["visitOf"], Root{Name: "visitOf", Kind: RootGet, Type: "Visit", Keys: []string{"personIdNumber", "day"}}},
		{"a root to verify", *c.Roots["callMatch"], Root{Name: "callMatch", Kind: RootMatch, Type: "Visit", Keys: []string{"personIdNumber", "day"}}},
		{"a root by fields", *c.Roots["callsConnection"], Root{Name: "callsConnection", Kind: RootConnection, Type: "Visit", By: []string{"personIdNumber", "day"}}},
		{"a root of an interface", *c.Roots["papers"], Root{Name: "papers", Kind: RootList, Type: "Paper", Abstract: true, By: []string{"number"}}},
		{"names of roots to come", c.Types["Visit"].API, API{
			Singular: "call", Plural: "calls", List: "calls", Get: "visitOf", Connection: "callsConnection", Match: "callMatch",
			By: []string{"personIdNumber", "day"},
		}},
	} {
		if diff := cmp.Diff(check.want, check.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", check.what, diff)
		}
	}
	if level, ok := c.Level(Coordinate{Type: "Person", Field: "nothing"}); ok || level != c.Levels.Highest() {
		t.Errorf("an unknown field has the level %d, %v", level, ok)
	}
}

func TestScopeCondition(t *testing.T) {
	c := loadSmall(t)
	person, visit := c.Types["Person"], c.Types["Visit"]
	scope := person.Scope("own_region")
	byField := cmp.Comparer(func(a, b *Field) bool { return a == b })
	want := All{
		Comparison{Field: person.Field("district"), Op: Eq, Operand: Operand{Subject: "region"}},
		Any{
			Exists{Relation: person.Field("visits"), Where: Comparison{
				Field: visit.Field("reason"), Op: In, Operand: Operand{List: []string{"a", "b"}},
			}},
			Not{Condition: Comparison{Field: person.Field("sex"), Op: Eq, Operand: Operand{Literal: "MALE"}}},
		},
	}
	if diff := cmp.Diff(Condition(want), scope.Where, byField); diff != "" {
		t.Errorf("condition (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"region"}, scope.Attributes); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	wantColumns := []*Field{person.Field("district"), person.Field("idNumber"), visit.Field("personIdNumber"), visit.Field("reason"), person.Field("sex")}
	if diff := cmp.Diff(wantColumns, scope.Columns, byField); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
}

// TestDocuments validates documents on the generated API, introspection among
// them.
func TestDocuments(t *testing.T) {
	c := loadSmall(t)
	for _, test := range []struct {
		document string
		valid    bool
	}{
		{`{ person(idNumber: "1") { _ref name visits(limit: 5, where: {reason: {_like: "a%"}, tags: {_contains: MALE}}) { day } } }`, true},
		{`{ persons(where: {visits: {person: {name: {_eq: "x"}}}}, orderBy: [{name: ASC}, {sex: DESC_NULLS_FIRST}]) { __typename } }`, true},
		{`{ papers(number: "1", where: {number: {_eq: "x"}}) { _ref number owner { name } ... on Account { holder } } }`, true},
		{`{ person(idNumber: "1") { things(offset: 1) { ... on Keyed { _ref key } } papers(orderBy: {number: ASC}) { number } } }`, true},
		{`{ callsConnection(personIdNumber: "1", day: "2020-01-01", first: 2, after: "x") { nodes { day } edges { cursor node { day } } pageInfo { hasNextPage endCursor } totalCount } }`, true},
		{`{ __schema { types { name fields { name args { name type { kind name ofType { name } } } isDeprecated } inputFields { name } enumValues { name } } directives { name locations } } __type(name: "Person") { name } }`, true},
		{`{ persons(orderBy: [{name: ASC, sex: ASC}]) { name } }`, false}, // @oneOf
		{`{ papers { number } }`, false},
		{`{ person { name } }`, false},
		{`{ persons(where: {account: {holder: {_eq: "x"}}}) { name } }`, false}, // across departments
		{`{ persons(where: {sex: {_gt: MALE}}) { name } }`, false},
		{`{ persons(orderBy: [{visits: ASC}]) { name } }`, false},
		{`{ personsAggregate(where: {name: {_eq: "x"}}) { group { name sex } count min { name } max { sex } __typename } }`, true},
		{`{ personsAggregate(limit: 1) { count } }`, false},
		{`{ personsAggregate { group { visits } } }`, false},
		{`{ personsAggregate { sum { name } } }`, false},
		{`{ callsAggregate(personIdNumber: "1", day: "2020-01-01") { count } }`, false}, // switched off
		{`{ personMatch(idNumber: "1") }`, false},
		{`{ blobByRef(ref: "x") { key } }`, false},
		{`{ blobs { _ref } }`, false},
		{`{ person(idNumber: "1") { ... @defer { name } } }`, false},
	} {
		document, err := parser.ParseQuery(&ast.Source{Input: test.document})
		if err != nil {
			t.Fatal(err)
		}
		errs := validator.ValidateWithRules(c.API, document, rules.NewDefaultRules())
		if (len(errs) == 0) != test.valid {
			t.Errorf("%s: valid is %v: %v", test.document, len(errs) == 0, errs)
		}
	}
}

func TestLoadDoesNotDependOnOrder(t *testing.T) {
	files, err := ReadFolder("../examples/guangdong/schema")
	if err != nil {
		t.Fatal(err)
	}
	first, found := Load(files, Settings{})
	if first == nil {
		t.Fatal(found)
	}
	slices.Reverse(files)
	second, _ := Load(files, Settings{})
	if second == nil || first.SDL != second.SDL || first.Revision != second.Revision {
		t.Error("the order of the files changes the catalogue")
	}
	files[0].Text += "\n"
	third, _ := Load(files, Settings{})
	if third == nil || third.Revision == first.Revision {
		t.Error("another text has the same revision")
	}
}

// TestExample loads the running example without a finding.
func TestExample(t *testing.T) {
	files, err := ReadFolder("../examples/guangdong/schema")
	if err != nil {
		t.Fatal(err)
	}
	c, found := Load(files, Settings{Departments: []string{"public_security", "health", "market_regulation", "social_security"}})
	if len(found) > 0 {
		t.Fatal(found)
	}
	if got := c.MembersOf("Certificate"); !slices.Equal(got, []string{"BirthCertificate", "BusinessLicence", "ResidencePermit"}) {
		t.Errorf("certificates are %v", got)
	}
	if len(c.Departments) != 4 || c.Roots["person"] == nil || c.Roots["certificates"] == nil {
		t.Errorf("departments %v, roots %v", c.Departments, c.RootNames())
	}
}

func TestReadFolder(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.graphqls", "a.graphqls", "c.graphql", ".hidden.graphqls"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("# "+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "d.graphqls"), 0o700); err != nil {
		t.Fatal(err)
	}
	files, err := ReadFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []File{{Name: filepath.Join(dir, "a.graphqls"), Text: "# a.graphqls"}, {Name: filepath.Join(dir, "b.graphqls"), Text: "# b.graphqls"}}
	if diff := cmp.Diff(want, files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if _, err := ReadFolder(filepath.Join(dir, "none")); err == nil {
		t.Error("a folder that is not there is read")
	}
}

// TestAttributes tells attributes of the reader from text that looks like them.
func TestAttributes(t *testing.T) {
	_, cases := readFixtures(t, "testdata/lint/scopes.txtar")
	good := cases[len(cases)-1]
	c, found := Load(good.files, settingsOfFixtures())
	if c == nil {
		t.Fatal(found)
	}
	a := c.Types["A"]
	want := All{
		Comparison{Field: a.Field("name"), Op: Eq, Operand: Operand{Literal: "$subject.none"}},
		Any{Comparison{Field: a.Field("name"), Op: Neq, Operand: Operand{Subject: "region"}}},
	}
	byField := cmp.Comparer(func(a, b *Field) bool { return a == b })
	if diff := cmp.Diff(Condition(want), a.Scope("d").Where, byField); diff != "" {
		t.Errorf("condition (-want +got):\n%s", diff)
	}
	if got := a.Scope("d").Attributes; !slices.Equal(got, []string{"region"}) {
		t.Errorf("attributes are %v", got)
	}
	// Moments are compared as in cells: in UTC.
	at := a.Scope("c").Where.(All)[0].(Exists).Where
	if diff := cmp.Diff(Condition(Comparison{Field: a.Field("at"), Op: Gt, Operand: Operand{Literal: "2019-12-31T16:00:00Z"}}), at, byField); diff != "" {
		t.Errorf("moment (-want +got):\n%s", diff)
	}
}

// TestEncodings: a file in another encoding is refused at its first wrong byte;
// marks and line ends of editors change nothing.
func TestEncodings(t *testing.T) {
	for text, want := range map[string]Position{
		"\xff\xfet\x00":             {Line: 1, Column: 1},
		"\xfe\xff\x00t":             {Line: 1, Column: 1},
		"# \xb2\xdf\xc2\xd4\n":      {Line: 1, Column: 3},
		"\ufeff# 说明\r\n\"\"\"a\xff": {Line: 2, Column: 5},
	} {
		_, found := Load([]File{{Name: "a.graphqls", Text: text}}, Settings{})
		want.File = "a.graphqls"
		if !found.Failed() || found[0].Position != want || found[0].Message != "the file is not UTF-8" {
			t.Errorf("%q: %v", text, found)
		}
	}
	for _, text := range []string{"", "说明\ufffd", "\ufeff", "\ufffd"} {
		if at, ok := (File{Text: text}).UTF8(); !ok {
			t.Errorf("%q is refused at %v", text, at)
		}
	}
}
