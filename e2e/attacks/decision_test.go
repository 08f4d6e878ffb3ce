package attacks

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/examples/guangdong"
	"github.com/weir-data/weir/graph/exec"
)

// TestDecision has the lines of the table "Around the decision" that need the
// whole way of a request; the threat model names the tests of the others.
func TestDecision(t *testing.T) {
	t.Run("identity headers", identityHeaders)
	t.Run("readers in parallel", inParallel)
	t.Run("errors at every call", errorsAtEveryCall)
	t.Run("unknown scopes", unknownScopes)
	t.Run("a role without rules", roleWithoutRules)
	t.Run("a type without a policy", typeWithoutPolicy)
	t.Run("denied alone", deniedAlone)
	t.Run("enumeration", enumeration)
	t.Run("a department under old wildcards", oldWildcards)
}

const personFields = `idNumber name sex birthDate phone address district`

func identityHeaders(t *testing.T) {
	r := newRig(t, options{})
	mother := guangdong.TheSample().Mother
	requests := []request{
		{token: "demo-contractor", body: bodyOf(`{ person(idNumber: "`+mother+`") { `+strings.ReplaceAll(personFields, "idNumber ", "")+` } companies(limit: 1) { name } }`, "")},
		{token: "demo-contractor", path: "/control/graphql", body: bodyOf(`{ me { subject roles department purposes { id } offices } }`, "")},
		{body: bodyOf(`{ companies(limit: 1) { name } }`, "")},
	}
	values := map[string]string{
		"User": "officer-3", "User-Id": "officer-3", "Subject": "officer-3", "Username": "officer-3", "Email": "o@example.com",
		"Role": "case-officer", "Roles": "case-officer,reader", "Groups": "case-officer", "Department": "public_security",
		"Region": "番禺区", "Application": "case-desk", "Purposes": casing, "Claims": `{"roles":["case-officer"]}`,
		"Authorization": "Bearer " + officer, "Access-Token": officer, "Token": officer, "Admin-Secret": "x", "Client-Cert": "CN=officer-3",
		"Userinfo": "eyJyb2xlcyI6WyJjYXNlLW9mZmljZXIiXX0",
	}
	prefixes := []string{"X-", "X-Weir-", "X-Auth-", "X-Auth-Request-", "X-Forwarded-", "X-Remote-", "Remote-", "X-Original-", "X-Hasura-", "X-Authenticated-", "X-Jwt-", "X-Amzn-Oidc-", "X-Goog-Authenticated-", "Cf-Access-", "Proxy-", "Ssl-", "Weir-"}
	spell := []func(string) string{
		func(s string) string { return s }, strings.ToLower, strings.ToUpper,
		func(s string) string { return strings.ReplaceAll(s, "-", "_") },
		func(s string) string { return strings.ReplaceAll(strings.ToUpper(s), "-", "_") },
	}
	for i, q := range requests {
		want := r.do(q).said()
		for how, as := range spell {
			// All at once: a header that had any effect would show.
			headers := []string{"Cookie", "Authorization=Bearer " + officer + "; token=" + officer, "Forwarded", "for=127.0.0.1;by=officer-3", "X-Forwarded-For", "127.0.0.1", "X-HTTP-Method-Override", "POST"}
			for _, prefix := range prefixes {
				for name, value := range values {
					if name == "Authorization" && prefix == "Proxy-" {
						continue // is the proxy's, and the client takes it away
					}
					headers = append(headers, as(prefix+name), value)
				}
			}
			loud := q
			loud.headers = headers
			if got := r.do(loud).said(); got != want {
				t.Errorf("request %d, spelling %d: %s\nwant %s", i, how, got, want)
			}
		}
	}
}

// mixture is requests of all of the example's readers, with variables that decide
// the plan and some that do not.
func mixture() []request {
	s := guangdong.TheSample()
	documents := []struct{ document, variables string }{
		{`query A($id: String!) { person(idNumber: $id) { name phone district permits { issuer holder { name } } } }`, `{"id":"` + s.Mother + `"}`},
		{`query A($id: String!) { person(idNumber: $id) { name phone district permits { issuer holder { name } } } }`, `{"id":"` + s.Elsewhere + `"}`},
		{`query B($w: PersonWhere, $o: [PersonOrder!], $n: Int) { persons(where: $w, orderBy: $o, limit: $n) { name district sex } }`, `{"w":{"district":{"_eq":"` + s.Region + `"}},"n":4}`},
		{`query B($w: PersonWhere, $o: [PersonOrder!], $n: Int) { persons(where: $w, orderBy: $o, limit: $n) { name district sex } }`, `{"o":[{"district":"DESC"}],"n":3}`},
		{`query B($w: PersonWhere, $o: [PersonOrder!], $n: Int) { persons(where: $w, orderBy: $o, limit: $n) { name district sex } }`, `{"w":{"_not":{"name":{"_like":"张%"}}},"n":2}`},
		{`query C($i: Boolean!) { companies(limit: 3) { name legalRepName @include(if: $i) legalRep @include(if: $i) { name } } }`, `{"i":true}`},
		{`query C($i: Boolean!) { companies(limit: 3) { name legalRepName @include(if: $i) legalRep @include(if: $i) { name } } }`, `{"i":false}`},
		{`{ companiesConnection(first: 2, orderBy: [{name: ASC}]) { nodes { name } pageInfo { hasNextPage } totalCount } }`, ""},
		{`{ __schema { types { name } } }`, ""},
		{`{ __type(name: "InsuranceAccount") { fields { name } } }`, ""},
		{`{ persons { idNumber balance } }`, ""},
		{`{ insuranceAccounts(limit: 2) { balance active } }`, ""},
		{`{ persons { name`, ""},
	}
	readers := [][2]string{{officer, casing}, {officer, ""}, {"demo-clerk", "newborn-registration"}, {"demo-clerk", "company-registration"}, {"demo-citizen", "self-service"}, {"demo-contractor", ""}, {"demo-statistician", "statistics"}, {"demo-owner-health", "statistics"}}
	var out []request
	for _, d := range documents {
		for _, who := range readers {
			out = append(out, request{token: who[0], purpose: who[1], body: bodyOf(d.document, d.variables)})
		}
	}
	return out
}

func inParallel(t *testing.T) {
	r := newRig(t, options{})
	requests := mixture()
	serial := make([]string, len(requests))
	for i, q := range requests {
		serial[i] = r.do(q).said()
	}
	from := seed(t)
	var group sync.WaitGroup
	wrong := make(chan string, 64)
	for reader := range uint64(64) {
		group.Go(func() {
			random := rand.New(rand.NewPCG(from, reader)) //nolint:gosec // a test's choice
			for range 20 {
				i := random.IntN(len(requests))
				a, err := r.try(requests[i])
				if err != nil || a.said() != serial[i] {
					wrong <- fmt.Sprintf("%s %s: %v\n%s\nalone:\n%s", requests[i].token, requests[i].body, err, a.said(), serial[i])
					return
				}
			}
		})
	}
	group.Wait()
	close(wrong)
	for w := range wrong {
		t.Fatal(w)
	}
}

var errInjected = errors.New("injected")

// failing errs at one call of an engine, counted from the start, or at the
// budgets.
type failing struct {
	mu   sync.Mutex
	left int // calls until the one that errs; negative: none does
}

func (f *failing) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left--
	if f.left == -1 {
		return &adapters.Error{Kind: adapters.Unavailable, Cause: errInjected}
	}
	return nil
}

func (f *failing) set(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left = n
}

func (f *failing) Spend(context.Context, []exec.Charge) error { return f.err() }

type failingRows struct {
	adapters.Rows
	f *failing
}

func (r failingRows) Next(b *adapters.Batch) error {
	if err := r.f.err(); err != nil {
		return err
	}
	return r.Rows.Next(b)
}

// errorsAtEveryCall lets every call in turn that a request makes on its way to a
// decision or a row fail: what is shown then is among what is shown without.
func errorsAtEveryCall(t *testing.T) {
	f := &failing{}
	r := newRig(t, options{
		budgets: f, wrap: func(rows adapters.Rows, err error) (adapters.Rows, error) {
			if err != nil {
				return nil, err
			}
			if err := f.err(); err != nil {
				_ = rows.Close()
				return nil, err
			}
			return failingRows{rows, f}, nil
		},
	})
	for _, q := range []request{
		{token: officer, purpose: casing, body: bodyOf(`{ persons(limit: 6) { `+personFields+` permits { number issuer } } a: person(idNumber: "`+guangdong.TheSample().Elsewhere+`") { name } }`, "")},
		{token: "demo-clerk", purpose: "newborn-registration", body: bodyOf(`{ person(idNumber: "`+guangdong.TheSample().Mother+`") { name phone births { childName bornAt } household { address } } }`, "")},
		{token: "demo-clerk", purpose: "newborn-registration", body: bodyOf(`{ personMatch(idNumber: "`+guangdong.TheSample().Mother+`", expect: {name: "x"}) }`, "")},
	} {
		f.set(-2)
		whole := values(r.do(q).body)
		if len(whole) == 0 && !strings.Contains(q.body, "Match") {
			t.Errorf("%s: nothing to be hidden", q.body)
		}
		failed := 0
		for n := range 40 {
			f.set(n)
			a := r.do(q)
			f.mu.Lock()
			reached := f.left < 0
			f.mu.Unlock()
			if !reached {
				break
			}
			failed++
			for _, v := range values(a.body) {
				if !slices.Contains(whole, v) {
					t.Errorf("call %d failed, and %s was shown: %s", n, v, a.body)
				}
			}
			if strings.Contains(a.body, "injected") {
				t.Errorf("call %d: the cause left: %s", n, a.body)
			}
		}
		if failed < 1 {
			t.Errorf("%s: nothing failed", q.body)
		}
	}
	r.mu.Lock()
	for _, err := range r.reported {
		if !errors.Is(err, errInjected) {
			t.Errorf("a fault of the executor's own: %v", err)
		}
	}
	r.reported = nil
	r.mu.Unlock()
	// Without a table nothing is served at all.
	g := *r.current.Current()
	g.Table = nil
	r.current.set(&g)
	for _, q := range mixture()[:8] {
		if a := r.do(q); a.status < 400 || strings.Contains(a.body, `"data":{`) {
			t.Errorf("without a table: %d %s", a.status, a.body)
		}
	}
}

// values are the strings of an answer's data.
func values(body string) []string {
	if !strings.HasPrefix(body, `{"data":{`) {
		return nil
	}
	data, _, _ := strings.Cut(body, `,"errors":`)
	data, _, _ = strings.Cut(data, `,"extensions":`)
	return stringValue.FindAllString(data, -1)
}

var stringValue = regexp.MustCompile(`"[A-Za-z]+":"[^"]*"`)

// unknownScopes makes every scope of every row unknown: nothing is clear by one.
func unknownScopes(t *testing.T) {
	r := newRig(t, options{wrap: func(rows adapters.Rows, err error) (adapters.Rows, error) { return unknownRows{rows}, err }})
	mother := guangdong.TheSample().Mother
	a := r.ask(officer, casing, `{ person(idNumber: "`+mother+`") { name phone } }`, "")
	if a.status != http.StatusOK || strings.Contains(a.body, `"phone":null`) || !strings.Contains(a.body, `**"`) {
		t.Errorf("%s", a.body)
	}
	plain := newRig(t, options{}).ask(officer, casing, `{ person(idNumber: "`+mother+`") { name phone } }`, "")
	for _, v := range values(plain.body) {
		if strings.Contains(a.body, v) {
			t.Errorf("%s is clear under a scope that is not known", v)
		}
	}
}

type unknownRows struct{ adapters.Rows }

func (u unknownRows) Next(b *adapters.Batch) error {
	err := u.Rows.Next(b)
	for i := range b.True {
		b.True[i] = 0
	}
	for i := range b.Unknown {
		b.Unknown[i] = ^uint64(0)
	}
	return err
}

func roleWithoutRules(t *testing.T) {
	subject := func(roles ...string) *authz.Subject {
		return &authz.Subject{ID: "s", Roles: roles, Department: "operations", Purposes: []string{"newborn-registration"}, Attributes: map[string]string{"id": guangdong.TheSample().Citizen}}
	}
	r := newRig(t, options{tokens: map[string]*authz.Subject{
		"none": subject(), "nothing": subject("nothing"), "clerk": subject("window-clerk"), "clerk+": subject("window-clerk", "nothing", "", "*", "operator"),
		"contractor": subject("contractor"), "contractor+": subject("nothing", "contractor", "Contractor", "case-officer "),
	}})
	for _, q := range mixture() {
		ask := func(token string) string {
			q := q
			q.token, q.purpose = token, "newborn-registration"
			return r.do(q).said()
		}
		for _, pair := range [][2]string{{"none", "nothing"}, {"clerk", "clerk+"}, {"contractor", "contractor+"}} {
			if a, b := ask(pair[0]), ask(pair[1]); a != b {
				t.Errorf("%s\n%s: %s\n%s: %s", q.body, pair[0], a, pair[1], b)
			}
		}
	}
}

func typeWithoutPolicy(t *testing.T) {
	r := newRig(t, options{
		schema: `type Ledgerless @source(department: "public_security", table: "ledgerless", key: ["id_number"], tiebreak: "row_no")
			@classified(level: "L1") @sharing(mode: UNCONDITIONAL, basis: "none") { idNumber: String name: String district: String @dimension }`,
	})
	for name, root := range r.current.Current().Catalogue.Roots {
		if root.Type != "Ledgerless" {
			continue
		}
		args, selection := "", " { name }"
		switch {
		case strings.HasSuffix(name, "Match"):
			args, selection = `(idNumber: "1", expect: {name: "x"})`, ""
		case strings.HasSuffix(name, "ByRef"):
			args = `(ref: "x")`
		case strings.HasSuffix(name, "Connection"):
			selection = " { totalCount nodes { name } }"
		case strings.HasSuffix(name, "Aggregate"):
			selection = " { count }"
		case len(root.Keys) > 0:
			args = `(idNumber: "990001198510290004")`
		}
		for _, who := range [][2]string{{officer, casing}, {"demo-clerk", "newborn-registration"}, {"demo-contractor", ""}, {"demo-statistician", "statistics"}, {"demo-operator", ""}} {
			a := r.ask(who[0], who[1], "{ "+name+args+selection+" }", "")
			if len(values(a.body)) > 0 || a.status == http.StatusOK && !strings.Contains(a.body, `"`+name+`":null`) {
				t.Errorf("%s as %s: %d %s", name, who[0], a.status, a.body)
			}
		}
	}
	if sent := r.statements(); len(sent) > 0 {
		t.Errorf("%d statements were sent: %s", len(sent), sent[0])
	}
}

func deniedAlone(t *testing.T) {
	r := newRig(t, options{})
	if a := r.ask("demo-contractor", "", `{ persons { name } vaccinations { vaccine } households { size } }`, ""); a.status != http.StatusOK || strings.Count(a.body, ":null") != 3 {
		t.Errorf("denied roots: %d %s", a.status, a.body)
	}
	if sent := r.statements(); len(sent) > 0 {
		t.Errorf("denied roots: %d statements: %s", len(sent), sent[0])
	}
	if a := r.ask("demo-contractor", "", `{ companies(limit: 2) { legalRepName } }`, ""); !strings.Contains(a.body, `"legalRepName":null`) {
		t.Errorf("a denied field: %d %s", a.status, a.body)
	}
	for _, s := range r.statements() {
		if strings.Contains(s, "legal_rep_name") {
			t.Errorf("its column is in a statement: %s", s)
		}
	}
}

// enumeration is what a reader tries who holds by_key only.
func enumeration(t *testing.T) {
	r := newRig(t, options{})
	keys := make([]string, 1_000)
	for i := range keys {
		keys[i] = fmt.Sprintf("%q", fmt.Sprintf("99000119851029%04d", i))
	}
	clerk := func(document string) answer { return r.ask("demo-clerk", "newborn-registration", document, "") }
	for document, want := range map[string]string{
		`{ persons { name } }`:                          `"persons":null`,
		`{ personsConnection { totalCount } }`:          `"personsConnection":null`,
		`{ birthCertificates(limit: 1) { childName } }`: `"birthCertificates":null`,
	} {
		if a := clerk(document); !strings.Contains(a.body, want) {
			t.Errorf("%s: %s", document, a.body)
		}
	}
	for _, document := range []string{
		`{ persons(where: {idNumber: {_in: [` + strings.Join(keys, " ") + `]}}) { name } }`,
		`{ persons(where: {name: {_like: "张%"}}) { name } }`,
	} {
		if a := clerk(document); strings.Contains(a.body, `"name":"`) {
			t.Errorf("%.60s: %s", document, a.body)
		}
	}
	if sent := r.statements(); len(sent) > 0 {
		t.Errorf("%d statements were sent: %s", len(sent), sent[0])
	}
	// From a known key: the person, his own rows, and one hop that carries the key.
	a := clerk(`{ person(idNumber: "` + guangdong.TheSample().Mother + `") { name household { district members { name } } births { childName mother { name births { childName } } } } }`)
	if a.status == http.StatusOK && (strings.Count(a.body, `"members":[{`) > 0 || !strings.Contains(a.body, `"household":{`)) {
		t.Errorf("beyond one hop: %s", a.body)
	}
}

func oldWildcards(t *testing.T) {
	r := newRig(t, options{
		policy: "p, wild, *, *, L4, *, all, clear, allow\n",
		tokens: map[string]*authz.Subject{"wild": {ID: "w", Roles: []string{"wild"}, Purposes: []string{casing}}},
	})
	// Every conditional and withheld type, as if its department had come yesterday.
	for name, root := range r.current.Current().Catalogue.Roots {
		if root.Type == "Company" || root.Abstract || len(root.Keys) > 0 || len(root.By) > 0 || strings.HasSuffix(name, "ByRef") {
			continue
		}
		selection := " { __typename }"
		if strings.HasSuffix(name, "Connection") {
			selection = " { totalCount }"
		}
		if strings.HasSuffix(name, "Aggregate") {
			selection = " { count }"
		}
		if a := r.ask("wild", casing, "{ "+name+selection+" }", ""); strings.Contains(a.body, `"data":{`) && !strings.Contains(a.body, `"`+name+`":null`) {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	if sent := r.statements(); len(sent) > 0 {
		t.Errorf("%d statements were sent: %s", len(sent), sent[0])
	}
	if a := r.ask("wild", casing, "{ companies(limit: 1) { name } }", ""); !strings.Contains(a.body, `"companies":[{`) {
		t.Errorf("the unconditional type: %s", a.body)
	}
}
