package exec

import (
	"encoding/json"
	"testing"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/graph/plan"
)

// masked makes a plan that reads one column of people under a mask.
func masked(t *testing.T, mask string, adjust func(*Config)) *bench {
	t.Helper()
	b := newBench(t, map[string]*memory{"police": people()}, adjust)
	f := b.fetch("police", "Person", adapters.Shape{Table: "person", Columns: textColumns("name")}, nil)
	name := leaf("people", "name", 0)
	name.Decision = plan.Decision{Base: authz.Mask, Mask: mask}
	b.root(list("", "people", true, plan.Member{Fetch: f, Object: &plan.Object{Fields: []*plan.Field{name}}}))
	return b
}

// TestPseudonymsByPurpose: one plan serves readers of any purpose, and keeps
// what it bound for one. A purpose has tokens of its own, in whatever order they
// come; who states none sees null.
func TestPseudonymsByPurpose(t *testing.T) {
	b := masked(t, "PSEUDONYM", nil)
	prog, err := compile(b.plan, [32]byte{})
	if err != nil {
		t.Fatal(err)
	}
	of := map[string]string{} // the token of the first person, by purpose
	for _, purpose := range []string{"", "births", "cases", "", "births", "cases", ""} {
		req := b.request()
		req.Purpose = purpose
		r := &run{}
		r.begin(b.executor, req, prog, nil)
		if errs := r.prepare(); errs != nil {
			t.Fatal(errs)
		}
		var answer struct{ People []struct{ Name *string } }
		if err := json.Unmarshal([]byte(b.respond(t.Context(), r).data), &answer); err != nil || len(answer.People) != 3 {
			t.Fatalf("%v, %d people", err, len(answer.People))
		}
		for i, p := range answer.People {
			// The third name is NULL, which this rule shows.
			if (p.Name == nil) != (purpose == "" || i == 2) {
				t.Errorf("purpose %q: person %d is %v", purpose, i+1, p.Name)
			}
		}
		if purpose == "" || answer.People[0].Name == nil {
			continue
		}
		token := *answer.People[0].Name
		if before, known := of[purpose]; known && before != token {
			t.Errorf("purpose %q has two tokens of one value", purpose)
		}
		of[purpose] = token
	}
	if len(of) != 2 || of["births"] == of["cases"] {
		t.Errorf("two purposes share a token: %q", of)
	}
}

// TestMaskWithoutRule: a rule that does not parse, which lint keeps away from
// here, masks to null and is reported; the value is not shown.
func TestMaskWithoutRule(t *testing.T) {
	var reported error
	b := masked(t, "NAEM", func(c *Config) { c.Report = func(err error) { reported = err } })
	check(t, "data", b.run(t.Context(), b.request(), nil).data, `{"people":[{"name":null},{"name":null},{"name":null}]}`)
	if reported == nil {
		t.Error("nobody is told")
	}
}
