package exec

import "testing"

// TestOwnDepartment: two readers who differ in their department alone get their
// own answers, whoever of them asked before; one without a department gets what
// no department does.
func TestOwnDepartment(t *testing.T) {
	w := newWorld(t)
	w.load(readTestdata(t, "policy.csv") + `
p, owner, police, Person.*, L3, cases, own_department, clear, allow
p, owner, health, Birth.*,  L2, cases, own_department, clear, allow
p, guest, police, Person.*, L3, cases, all,            clear, allow
p, guest, police, Person.*, L1, *,     own_department, clear, deny
`)
	for range 3 {
		for _, c := range []struct{ who, department, want string }{
			{"owner", "police", `{"people":[{"name":"张伟"}],"births":null}`},
			{"owner", "health", `{"people":null,"births":[{"number":"b1"}]}`},
			{"owner", "", `{"people":null,"births":null}`},
			{"guest", "health", `{"people":[{"name":"张伟"}],"births":null}`},
			{"guest", "police", `{"people":[{"name":"张**"}],"births":null}`},
			{"guest", "", `{"people":[{"name":"张**"}],"births":null}`},
		} {
			req := w.as(c.who + " purpose cases")
			req.Subject.Department = c.department
			got := w.ask(req, `{ people(limit: 1) { name } births(limit: 1) { number } }`, nil)
			check(t, c.who+" of "+c.department, string(got.Data), c.want)
		}
	}
}
