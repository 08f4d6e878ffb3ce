package control_test

import (
	"strings"
	"testing"

	"github.com/weir-data/weir/resolvers/control"
	"github.com/weir-data/weir/schema"
)

const explainFields = `coordinate owner level roles purpose hidden access { capability reason } allowedBy { file line text roles lacks } deniedBy { line } nearest { line roles lacks }`

// A reader is told of himself alone; the security office of anybody.
func TestExplain(t *testing.T) {
	e := newExecutor(t, control.Config{})
	about := func(args string) string { return `{ explain(` + args + `) { ` + explainFields + ` } }` }
	tests := []struct{ name, role, purpose, args, want string }{
		{
			"himself", "officer", "cases", `coordinate: "Person.address"`,
			`{"explain":{"coordinate":"Person.address","owner":"public_security","level":"L3","roles":["officer","unknown-role"],"purpose":"cases","hidden":false,` +
				`"access":{"capability":"CLEAR","reason":"POLICY"},"allowedBy":[` +
				`{"file":"test.csv","line":4,"text":"p, officer, public_security, Person.*, L4, cases, own_region, clear, allow","roles":["officer"],"lacks":[]},` +
				`{"file":"test.csv","line":5,"text":"p, officer, public_security, Person.*, L3, cases, all, mask, allow","roles":["officer"],"lacks":[]}],` +
				`"deniedBy":[{"line":6}],"nearest":null}}`,
		},
		{"what is hidden from him does not exist", "clerk", "registration", `coordinate: "SecretFile.number"`, `{"explain":null}`},
		{"what does not exist", "clerk", "registration", `coordinate: "Person.nothing"`, `{"explain":null}`},
		{
			"the office, about others", "security", "", `coordinate: "SecretFile.number", roles: ["clerk"], purpose: "registration"`,
			`{"explain":{"coordinate":"SecretFile.number","owner":"public_security","level":"L4","roles":["clerk"],"purpose":"registration","hidden":true,` +
				`"access":{"capability":"NONE","reason":"POLICY"},"allowedBy":[],"deniedBy":[],"nearest":null}}`,
		},
		{
			"the nearest rule, with what it lacks", "security", "", `coordinate: "Person.name", roles: ["clerk"], purpose: "cases"`,
			`{"explain":{"coordinate":"Person.name","owner":"public_security","level":"L3","roles":["clerk"],"purpose":"cases","hidden":false,` +
				`"access":{"capability":"NONE","reason":"PURPOSE"},"allowedBy":[],"deniedBy":[],` +
				`"nearest":{"line":2,"roles":["clerk"],"lacks":["purpose registration, which is open to the reader, is not stated"]}}}`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			req := reader(test.role, test.purpose)
			if got := good(t, e, req, about(test.args)); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			recorded := false
			for _, u := range req.Reads.Uses {
				recorded = recorded || u.Coordinate == schema.Coordinate{Type: "Query", Field: "explain"}
			}
			if !recorded {
				t.Errorf("not recorded: %v", req.Reads.Uses)
			}
		})
	}
	for name, c := range map[string]struct{ role, args, want string }{
		"another role":           {"officer", `coordinate: "Person.name", roles: ["clerk"]`, "FORBIDDEN"},
		"his own role, by name":  {"clerk", `coordinate: "Person.name", roles: ["clerk"]`, "FORBIDDEN"},
		"another department":     {"clerk", `coordinate: "Person.name", department: "market"`, "FORBIDDEN"},
		"another purpose":        {"clerk", `coordinate: "Person.name", purpose: "cases"`, "FORBIDDEN"},
		"the auditor":            {"auditor", `coordinate: "Person.name", roles: ["clerk"]`, "FORBIDDEN"},
		"a role there is not":    {"security", `coordinate: "Person.name", roles: ["clark"]`, "BAD_REQUEST"},
		"a purpose there is not": {"security", `coordinate: "Person.name", roles: ["clerk"], purpose: "unregistered"`, "BAD_REQUEST"},
	} {
		a := run(t, e, reader(c.role, ""), about(c.args), nil)
		if len(a.errors) != 1 || !strings.HasPrefix(a.errors[0], c.want) || strings.Contains(a.data, "coordinate") {
			t.Errorf("%s: %v %s", name, a.errors, a.data)
		}
	}
}
