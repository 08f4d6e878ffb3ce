package authz_test

import (
	"flag"
	"fmt"
	"testing"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/schema"
)

// Run go test ./authz -args -update to rewrite the expected halves of the
// files in testdata.
var update = flag.Bool("update", false, "rewrite the expected parts of testdata")

// settings are those of the fixtures.
func settings() authz.Settings {
	s := authz.DefaultSettings(schema.DefaultLevels())
	s.Purposes = []string{"newborn-registration", "company-registration", "case-handling", "statistics", "self-service"}
	return s
}

const (
	l1 = schema.Rank(iota)
	l2
	l3
	l4
)

// catalogue is a small one: two departments, a type of each sharing class.
func catalogue() *schema.Catalogue {
	person := typeOf("Person", "public_security", l2, schema.Conditional,
		field("idNumber", schema.String, l4), field("name", schema.String, l3), field("district", schema.String, l2),
		field("married", schema.Boolean, l3), field("born", schema.Date, l3), field("sex", schema.Enum, l3),
		field("blood", schema.String, l3), field("token", schema.String, l3), field("nickname", schema.String, l1),
	)
	person.Scopes = []*schema.Scope{{Name: "own_region"}, {Name: "sealed"}}
	person.Subjects = []schema.Subject{{Field: "idNumber"}}
	person.Field("blood").LowEntropy = true
	person.Field("token").Mask = &schema.MaskUse{Spec: "PSEUDONYM", Name: "PSEUDONYM"}

	marriage := typeOf("Marriage", "public_security", l3, schema.WithheldSharing,
		field("his", schema.String, l4), field("hers", schema.String, l4), field("hisName", schema.String, l3), field("place", schema.String, l2))
	marriage.Subjects = []schema.Subject{{Field: "his", Covers: []string{"his", "hisName"}}, {Field: "hers", Covers: []string{"hers"}}}

	company := typeOf("Company", "market", l1, schema.Unconditional,
		field("code", schema.String, l1), field("capital", schema.Decimal, l2), field("legalRep", schema.String, l3))
	company.Scopes = []*schema.Scope{{Name: "own_region"}}

	permit := typeOf("Permit", "market", l1, schema.Conditional, field("number", schema.String, l1), field("holder", schema.String, l3))

	c := &schema.Catalogue{
		Levels: schema.DefaultLevels(), Departments: []string{"market", "public_security"},
		Types: map[string]*schema.Type{},
	}
	for _, t := range []*schema.Type{person, marriage, company, permit} {
		c.Types[t.Name] = t
	}
	return c
}

func field(name string, kind schema.Scalar, level schema.Rank) *schema.Field {
	return &schema.Field{Name: name, Kind: kind, Level: level}
}

func typeOf(name, department string, level schema.Rank, mode schema.SharingMode, fields ...*schema.Field) *schema.Type {
	for _, f := range fields {
		f.Coordinate = schema.Coordinate{Type: name, Field: f.Name}
	}
	return schema.NewType(schema.Type{
		Name: name, Level: level, Fields: fields,
		Source: schema.Source{Department: department}, Sharing: schema.Sharing{Mode: mode, Basis: "law"},
	})
}

func parse(t testing.TB, text string) *authz.Policy {
	t.Helper()
	p, found := authz.Parse([]schema.File{{Name: "policy.csv", Text: text}})
	if len(found) > 0 {
		t.Fatalf("policy does not parse:\n%s", found.Error())
	}
	return p
}

func compile(t testing.TB, text string) *authz.Table {
	t.Helper()
	table, err := authz.Compile(parse(t, text), catalogue(), settings())
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// lines makes n rules of one role, all different.
func lines(n int) []authz.Rule {
	out := make([]authz.Rule, n)
	for i := range out {
		out[i] = authz.Rule{
			Role: "reader", Department: "public_security", Resource: fmt.Sprintf("T%d.f%d", i/50, i%50), Level: "L4",
			Purpose: "case-handling", Scope: authz.ScopeAll, Access: "clear", Effect: "allow",
		}
	}
	return out
}

// wide is a catalogue for lines: n coordinates with columns of 50 a type.
func wide(n int) *schema.Catalogue {
	c := &schema.Catalogue{Levels: schema.DefaultLevels(), Departments: []string{"public_security"}, Types: map[string]*schema.Type{}}
	for i := 0; i < n; i += 50 {
		var fields []*schema.Field
		for j := range 50 {
			fields = append(fields, field(fmt.Sprintf("f%d", j), schema.String, l3))
		}
		name := fmt.Sprintf("T%d", i/50)
		c.Types[name] = typeOf(name, "public_security", l2, schema.Conditional, fields...)
	}
	return c
}
