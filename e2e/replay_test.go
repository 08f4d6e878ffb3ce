package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-data/weir/examples/guangdong"
)

// weir runs the program and gives what it printed.
func weir(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(binary, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("weir %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// twoOfficers makes a prepared folder need two officers, and has them approve
// what it holds.
func twoOfficers(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, "weir.yaml")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(raw), "singleOfficer: true\n", "", 1) + "\nofficers:\n"
	for _, id := range []string{"wang", "li"} {
		key := regexp.MustCompile(`key: "(.*)"`).FindStringSubmatch(weir(t, "policy", "keygen", "--out", filepath.Join(dir, id+".key")))
		if key == nil {
			t.Fatal("keygen prints no key")
		}
		text += "  - {id: " + id + ", key: \"" + key[1] + "\"}\n"
	}
	write(t, path, text)
	weir(t, "policy", "propose", "--config", path, "--as", "wang", "--key", filepath.Join(dir, "wang.key"))
	weir(t, "policy", "approve", "--config", path, "--as", "li", "--key", filepath.Join(dir, "li.key"))
}

// effect is what a replay says of one use.
type effect struct {
	Widens, Narrows              bool
	Operation, Consumer, Purpose string
	Roles                        []string
	Coordinate, Use              string
	Before, After, Rows, When    string
	Reads                        string
}

// TestReplay: a draft that gives a clerk more and an officer less, over what the
// two really read. The replay names exactly the operations, readers and fields
// that it changes, and nobody's person.
func TestReplay(t *testing.T) {
	dir := prepare(t, "")
	path := filepath.Join(dir, "weir.yaml")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// The example seals what is read in a case; another test is about that.
	write(t, path, strings.Replace(string(raw), ", sealed: 2160h", "", 1))
	if err := guangdong.WriteSQLite(t.Context(), filepath.Join(dir, "data"), guangdong.Options{People: people}, nil); err != nil {
		t.Fatal(err)
	}
	twoOfficers(t, dir)
	s := start(t, dir)
	mother := guangdong.TheSample().Mother
	ask := func(token, purpose, query string, times int) {
		t.Helper()
		for range times {
			a, err := s.post(t.Context(), token, purpose, query, fmt.Sprintf(`{"id": %q}`, mother))
			if err != nil || len(a.Errors) > 0 || a.Status != 200 {
				t.Fatalf("%v, %s", err, a)
			}
		}
	}
	ask("demo-clerk", "newborn-registration", `query Mother($id: String!) { person(idNumber: $id) { name phone } }`, 3)
	ask("demo-clerk", "company-registration", `query Founder($id: String!) { person(idNumber: $id) { name phone } }`, 2)
	ask("demo-officer", "case-handling", `query Suspects { persons(limit: 100, orderBy: [{district: ASC}]) { name district } }`, 4)
	ask("demo-officer", "case-handling", `query Streets { persons(limit: 5) { district } }`, 1)
	ask("demo-citizen", "self-service", `query Mine($id: String!) { person(idNumber: $id) { name phone } }`, 1)

	policy := filepath.Join(dir, "policy", "guangdong.csv")
	old, err := os.ReadFile(policy)
	if err != nil {
		t.Fatal(err)
	}
	draft := string(old) + `
p, window-clerk, public_security, Person.phone, L3, newborn-registration, by_key, clear, allow
p, case-officer, public_security, Person.name,  L3, *,                    all,    mask,  deny
`
	write(t, policy, draft)
	want := []effect{
		{
			Widens: true, Operation: "Mother", Consumer: "government_services", Purpose: "newborn-registration", Roles: []string{"window-clerk"},
			Coordinate: "Person.phone", Use: "select", Before: "MASKED", After: "CLEAR", Rows: "ALL", Reads: "3",
		},
		{
			Narrows: true, Operation: "Suspects", Consumer: "public_security", Purpose: "case-handling", Roles: []string{"case-officer"},
			Coordinate: "Person.name", Use: "select", Before: "MASKED", After: "WITHHELD", Rows: "SOME", When: "outside own_region", Reads: "4",
		},
		{
			Narrows: true, Operation: "Suspects", Consumer: "public_security", Purpose: "case-handling", Roles: []string{"case-officer"},
			Coordinate: "Person.name", Use: "select", Before: "CLEAR", After: "WITHHELD", Rows: "SOME", When: "inside own_region", Reads: "4",
		},
	}
	const replay = `{ policyDiff { widens narrows replay {
	  reads refused sealed { purpose } widened { effects operations readers fields reads } narrowed { effects operations readers fields reads }
	  asOfSequence { origin sequence }
	  effects { widens narrows operation consumer purpose roles coordinate use before after rows when reads last } next } } }`
	var got struct {
		PolicyDiff struct {
			Widens, Narrows bool
			Replay          struct {
				Reads, Refused    string
				Sealed            []any
				Widened, Narrowed struct {
					Effects, Operations, Readers, Fields int
					Reads                                string
				}
				AsOfSequence []struct{ Origin, Sequence string }
				Effects      []effect
				Next         *string
			}
		}
	}
	var a *answer
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if a, err = s.postTo(t.Context(), "/control/graphql", "demo-security", "", replay, ""); err != nil {
			t.Fatal(err)
		}
		if len(a.Errors) == 0 {
			if err := json.Unmarshal(a.Data, &got); err != nil {
				t.Fatal(err)
			}
			if got.PolicyDiff.Replay.Reads == "11" {
				break
			}
		}
		if time.Now().After(end) {
			t.Fatalf("the draft or its reads do not show: %s\n%s", a, s.tail())
		}
	}
	r := &got.PolicyDiff.Replay
	if diff := cmp.Diff(want, r.Effects); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if w, n := r.Widened, r.Narrowed; w.Effects != 1 || w.Operations != 1 || w.Readers != 1 || w.Fields != 1 || w.Reads != "3" || n.Effects != 2 || n.Operations != 1 || n.Reads != "4" || r.Next != nil || len(r.AsOfSequence) != 1 {
		t.Errorf("%+v", r)
	}
	for _, secret := range []string{mother, "clerk-7", "officer-3"} {
		if strings.Contains(a.String(), secret) {
			t.Errorf("the answer holds %s", secret)
		}
	}
	for _, token := range []string{"demo-auditor", "demo-operator", "demo-clerk", "demo-owner-health"} {
		if a, err := s.postTo(t.Context(), "/control/graphql", token, "", replay, ""); err != nil || len(a.Errors) != 1 || a.Errors[0].Extensions["code"] != "FORBIDDEN" {
			t.Errorf("%s: %v, %s", token, err, a)
		}
	}
	for _, shown := range found(t, "(?s)```graphql\n(\\{ policyDiff.*?)```", "../docs/security-staff.md") {
		if a, err := s.postTo(t.Context(), "/control/graphql", "demo-security", "", shown, ""); err != nil || len(a.Errors) > 0 || !strings.Contains(string(a.Data), `"inside own_region"`) {
			t.Errorf("the query of the page: %v, %s", err, a)
		}
	}
	// The look is a record.
	recorded := func() bool {
		a, err := s.postTo(t.Context(), "/control/graphql", "demo-auditor", "", `{ reads(filter: {kind: "control", consumer: "security"}) { reads { fields { coordinate } } } }`, "")
		return err == nil && strings.Contains(string(a.Data), `"PolicyChanges.replay"`) && strings.Contains(string(a.Data), `"ReplayEffect.operation"`)
	}
	for end := time.Now().Add(10 * time.Second); !recorded(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("that security looked is not in the ledger")
		}
	}
	// The command says the same, beside the running server.
	before := filepath.Join(t.TempDir(), "before")
	if err := os.Mkdir(before, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(before, "guangdong.csv"), string(old))
	write(t, filepath.Join(before, "testing.csv"), testPolicy)
	text := weir(t, "policy", "diff", before, filepath.Join(dir, "policy"), "--config", path, "--replay")
	for _, line := range []string{
		"window-clerk: Person.phone masked -> clear, by key, for newborn-registration (widens)",
		"would have seen more: 1 kind of reader, 1 operation, 1 field; at most 3 reads",
		"by window-clerk of government_services, one-stop-window, newborn-registration: Person.phone, select: masked -> clear; at most 3 reads",
		"by case-officer of public_security, case-desk, case-handling: Person.name, select: clear -> withheld, on some rows: inside own_region; at most 4 reads",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("the command does not say %q:\n%s", line, text)
		}
	}
}
