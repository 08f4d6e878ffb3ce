package plan

import (
	"testing"

	"github.com/weir-data/weir/schema"
)

func TestReach(t *testing.T) {
	subjects := func(fields ...string) *schema.Type {
		typ := schema.Type{Name: "T"}
		for _, f := range fields {
			typ.Subjects = append(typ.Subjects, schema.Subject{Field: f})
		}
		return schema.NewType(typ)
	}
	rel := func(from, to string) *schema.Relation {
		return &schema.Relation{Fields: []string{from}, References: []string{to}, Many: true}
	}
	hop := &schema.Relation{Fields: []string{"house"}, References: []string{"number"}, CarriesKey: true}
	manyHop := &schema.Relation{Fields: []string{"house"}, References: []string{"number"}, CarriesKey: true, Many: true}
	keyed := reach{byKey: true, carried: "id", hop: true}

	for name, c := range map[string]struct{ got, want reach }{
		"the key's subject":                  {reachByKey(subjects("id"), []string{"id"}), keyed},
		"a key of two parts, one a subject":  {reachByKey(subjects("id"), []string{"id", "month"}), keyed},
		"a key without a subject":            {reachByKey(subjects("other"), []string{"id"}), reach{byKey: true, hop: true}},
		"two subjects stated":                {reachByKey(subjects("a", "b"), []string{"a", "b"}), reach{byKey: true, hop: true}},
		"subject to subject":                 {keyed.follow(rel("id", "holder"), subjects("holder")), reach{byKey: true, carried: "holder", hop: true}},
		"subject to what is none":            {keyed.follow(rel("id", "founder"), subjects("holder")), reach{}},
		"from another field":                 {keyed.follow(rel("second", "id"), subjects("id")), reach{}},
		"one hop":                            {keyed.follow(hop, subjects()), reach{byKey: true}},
		"a hop to many is none":              {keyed.follow(manyHop, subjects()), reach{}},
		"no second hop":                      {keyed.follow(hop, subjects()).follow(hop, subjects()), reach{}},
		"no subject relation after the hop":  {keyed.follow(hop, subjects("number")).follow(rel("number", "number"), subjects("number")), reach{}},
		"nothing from a row not reached so":  {reach{}.follow(rel("id", "holder"), subjects("holder")), reach{}},
		"nothing from a row not reached (2)": {reach{}.follow(hop, subjects()), reach{}},
		"a relation of two fields": {keyed.follow(&schema.Relation{
			Fields: []string{"id", "x"}, References: []string{"holder", "x"},
		}, subjects("holder")), reach{}},
	} {
		if c.got != c.want {
			t.Errorf("%s: %+v, want %+v", name, c.got, c.want)
		}
	}
}
