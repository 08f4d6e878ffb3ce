package control_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/authz/approval"
	"github.com/weir-data/weir/resolvers/control"
	"github.com/weir-data/weir/schema"
)

// policies is a node with one revision that waits.
type policies struct{ signed []string }

func (*policies) Revisions(context.Context, int) ([]control.Revision, error) {
	at := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	return []control.Revision{
		{Digest: "b", Parent: "a", State: control.PendingRevision, At: at, Direction: authz.Direction{Widens: true}},
		{Digest: "a", Parent: "none", State: control.ActiveRevision, At: at, How: "approved"},
	}, nil
}

func (*policies) Draft(_ context.Context, from, to string) (*authz.Draft, error) {
	if from != control.ActiveRevision || to != control.PendingRevision {
		return nil, control.ErrNoRevision
	}
	wide := authz.Direction{Widens: true}
	return &authz.Draft{Changes: &authz.Changes{Direction: wide, List: []authz.Change{{
		Direction: wide, Roles: []string{"clerk"}, Coordinates: []schema.Coordinate{{Type: "Person", Field: "name"}},
		Purposes: []string{"cases"}, Steps: []authz.Step{{Scope: authz.ScopeAll, To: authz.Mask}},
	}}}}, nil
}

func (p *policies) Sign(_ context.Context, officer, text string, second bool) (control.Revision, error) {
	if text != "signed" {
		return control.Revision{}, fmt.Errorf("%w: the signature does not fit", approval.ErrInvalid)
	}
	p.signed = append(p.signed, fmt.Sprintf("%s %t", officer, second))
	return control.Revision{Digest: "b", Parent: "a", State: control.PendingRevision}, nil
}

func TestPolicyRevisions(t *testing.T) {
	p := &policies{}
	e := newExecutor(t, control.Config{Policies: p})
	one := newExecutor(t, control.Config{})
	for _, c := range []struct{ query, want, field string }{
		{
			`{ policyRevisions { revision parent state at how widens narrows approval proposedBy } }`,
			`{"policyRevisions":[{"revision":"b","parent":"a","state":"PENDING","at":"2026-11-24T08:00:00Z","how":null,"widens":true,"narrows":false,"approval":null,"proposedBy":null},` +
				`{"revision":"a","parent":"none","state":"ACTIVE","at":"2026-11-24T08:00:00Z","how":"approved","widens":null,"narrows":null,"approval":null,"proposedBy":null}]}`, "Query.policyRevisions",
		},
		{
			`{ policyDiff { widens narrows changes { roles together coordinates text } } }`,
			`{"policyDiff":{"widens":true,"narrows":false,"changes":[{"roles":["clerk"],"together":false,"coordinates":["Person.name"],"text":["clerk: Person.name withheld -> masked, for cases (widens)"]}]}}`, "Query.policyDiff",
		},
		{`mutation { proposePolicy(approval: "signed") { state } }`, `{"proposePolicy":{"state":"PENDING"}}`, "Mutation.proposePolicy"},
		{`mutation { approvePolicy(approval: "signed") { state } }`, `{"approvePolicy":{"state":"PENDING"}}`, "Mutation.approvePolicy"},
	} {
		req := reader("security", "")
		if got := good(t, e, req, c.query); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
		recorded := false
		for _, u := range req.Reads.Uses {
			recorded = recorded || u.Coordinate.String() == c.field
		}
		if !recorded {
			t.Errorf("%s is not recorded: %v", c.field, req.Reads.Uses)
		}
		for _, role := range []string{"clerk", "officer", "auditor", "operator"} {
			if a := run(t, e, reader(role, ""), c.query, nil); len(a.errors) != 1 || !strings.HasPrefix(a.errors[0], "FORBIDDEN") {
				t.Errorf("%s: %s: %v %s", role, c.query, a.errors, a.data)
			}
		}
		if a := run(t, one, reader("security", ""), c.query, nil); len(a.errors) != 1 || !strings.Contains(a.errors[0], "one officer widens rights alone") {
			t.Errorf("a node with one officer: %v %s", a.errors, a.data)
		}
	}
	if want := "u1 false,u1 true"; strings.Join(p.signed, ",") != want {
		t.Errorf("signed %v, want %s", p.signed, want)
	}
	for query, want := range map[string]string{
		`mutation { approvePolicy(approval: "other") { state } }`: "BAD_REQUEST: approval is not valid: the signature does not fit",
		`{ policyDiff(from: "x", to: "y") { widens } }`:           "BAD_REQUEST: there is no such revision",
		`{ policyRevisions(last: 0) { state } }`:                  "BAD_REQUEST: last is not between",
	} {
		if a := run(t, e, reader("security", ""), query, nil); len(a.errors) != 1 || !strings.HasPrefix(a.errors[0], want) {
			t.Errorf("%s: %v", query, a.errors)
		}
	}
}
