package control_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-data/weir/lineage"
	tree "github.com/weir-data/weir/lineage/ledger"
	"github.com/weir-data/weir/lineage/verify"
	"github.com/weir-data/weir/resolvers"
	"github.com/weir-data/weir/resolvers/control"
	"github.com/weir-data/weir/schema"
)

// given is what receipt(id:) gave.
type given struct {
	Receipt struct {
		Signed, Included, Opened bool
		Proof                    string
	}
}

// person is a reader whose token says who he is.
func person(subject, id string) *resolvers.Request {
	r := reader("guest", "")
	r.Subject.ID = subject
	r.Subject.Attributes = map[string]string{"id": id}
	return r
}

// proving adds the 6th record, of 300 persons, the mother among them, the 7th, across
// two departments, and a real ledger over all.
func proving(t *testing.T) (control.Lineage, *ledger) {
	t.Helper()
	cfg, l := newLedger(t)
	log, err := lineage.Open(lineage.Config{Dir: l.dir, Origin: "node-a", Reading: l.reading(), Clock: func() time.Time { return l.clock }})
	if err != nil {
		t.Fatal(err)
	}
	l.log = log
	people := []string{mother}
	for i := range 299 {
		people = append(people, strconv.Itoa(i))
	}
	l.add(t, "c-1", "counter-office", "registration", []lineage.Use{
		{Department: "public_security", Table: "person", Coordinate: schema.Coordinate{Type: "Person"}, Level: 2, Use: lineage.Select},
		{Department: "public_security", Table: "person", Column: "name", Coordinate: schema.Coordinate{Type: "Person", Field: "name"}, Level: 2, Use: lineage.Select},
		{Department: "public_security", Table: "person", Column: "id_number", Coordinate: schema.Coordinate{Type: "Person", Field: "idNumber"}, Level: 3, Use: lineage.Tag},
	}, []lineage.Counts{{Clear: 300}, {Masked: 300}, {}}, people...)
	l.across(t)
	if err := l.index.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	led, err := tree.Open(tree.Config{Dir: l.dir, Source: log, Key: l.key, Reading: l.reading(), CheckpointEvery: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(led.Close(), log.Close()); err != nil {
			t.Error(err)
		}
	})
	cfg.Receipts = led
	for end := time.Now().Add(20 * time.Second); led.Stats().Proven < 7; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%+v", led.Stats())
		}
	}
	return cfg, l
}

func proofOf(t *testing.T, e *control.Executor, req *resolvers.Request, receipt string) given {
	t.Helper()
	var out given
	if err := json.Unmarshal([]byte(good(t, e, req, `{ receipt(id: "`+receipt+`") { signed included opened proof } }`)), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestProofForThePerson: whoever a record is about gets the proof that there is
// one, and the node's signed word on what it says of him; nothing else of it.
func TestProofForThePerson(t *testing.T) {
	cfg, l := proving(t)
	e := newExecutor(t, control.Config{Lineage: cfg})
	for name, test := range map[string]struct {
		req     *resolvers.Request
		receipt string
		want    []string
	}{
		"a look by a clerk": {person("mother", mother), "node-a/1/1", []string{
			"time 2026-03-01T01:00:00Z", `office "counter-office"`, `purpose "registration"`, `read Person.name of "public_security" masked`,
		}},
		"a record about two": {person("father", father), "node-a/1/3", []string{
			"time 2026-03-01T03:00:00Z", `office "counter-office"`, `purpose "registration"`, `read Marriage of "civil"`,
		}},
		"a record across departments": {person("mother", mother), "node-a/2/7", []string{
			"time 2026-03-01T07:00:00Z", `office "counter-office"`, `purpose "registration"`, `read Person.name of "public_security" clear`, `read Marriage of "civil"`,
		}},
		"one in which another department's rows are another's": {person("father", father), "node-a/2/7", []string{
			"time 2026-03-01T07:00:00Z", `office "counter-office"`, `purpose "registration"`, `read Marriage of "civil"`,
		}},
		"a record about 300": {person("mother", mother), "node-a/2/6", []string{
			"time 2026-03-01T06:00:00Z", `office "counter-office"`, `purpose "registration"`, `read Person.name of "public_security" masked`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			got := proofOf(t, e, test.req, test.receipt).Receipt
			if !got.Signed || !got.Included || got.Opened {
				t.Errorf("%+v", got)
			}
			p, err := verify.CheckProof([]byte(got.Proof), l.key.Public(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if !p.Closed || !p.Signed || !p.Included || p.Record.Position != test.receipt || p.Record.Subject != "" || p.Record.Tags != nil {
				t.Errorf("%+v", p)
			}
			if diff := cmp.Diff(test.want, p.Statement); diff != "" {
				t.Errorf("the statement (-want +got):\n%s", diff)
			}
			// Neither the reader nor a person stands in it, in any spelling of
			// the frame: it is a ciphertext.
			var parsed verify.Proof
			if err := json.Unmarshal([]byte(got.Proof), &parsed); err != nil {
				t.Fatal(err)
			}
			frame, err := base64.StdEncoding.DecodeString(parsed.Record.Frame)
			if err != nil {
				t.Fatal(err)
			}
			tag := l.ring.Tag(resolvers.TagUse, []byte(mother))
			for what, canary := range map[string]string{
				"the reader": l.ring.Pseudonym(resolvers.SubjectUse, "c-1"), "a person": string(tag[:]), "the request": "request-c-1",
			} {
				if strings.Contains(got.Proof, canary) || strings.Contains(string(frame), canary) {
					t.Errorf("%s stands in the proof", what)
				}
			}
			// The word is the node's, of this record.
			for what, bad := range map[string]string{
				"another purpose": strings.Replace(got.Proof, "registration", "relaxation", 1),
				"another record":  strings.ReplaceAll(got.Proof, test.receipt+`\n`, `node-a/1/4\n`),
			} {
				if bad == got.Proof {
					t.Fatalf("%s: nothing changed", what)
				}
				var tampered *verify.TamperError
				if _, err := verify.CheckProof([]byte(bad), l.key.Public(), nil); !errors.As(err, &tampered) {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}

// TestWholeProof: the reader himself and auditors get the record opened; the tags
// of a record with many stay closed in it, and are bound by it all the same.
func TestWholeProof(t *testing.T) {
	cfg, l := proving(t)
	e := newExecutor(t, control.Config{Lineage: cfg})
	own := reader("guest", "")
	own.Subject.ID = "c-1"
	for name, req := range map[string]*resolvers.Request{"his own": own, "an auditor": auditor()} {
		got := proofOf(t, e, req, "node-a/2/6").Receipt
		p, err := verify.CheckProof([]byte(got.Proof), l.key.Public(), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !got.Opened || p.Closed || p.Statement != nil || p.Record.TagCount != 300 || p.Record.Tags != nil || p.Record.Purpose != "registration" {
			t.Errorf("%s: %+v", name, p)
		}
		// Another record's tags do not pass for them.
		var parsed verify.Proof
		if err := json.Unmarshal([]byte(got.Proof), &parsed); err != nil {
			t.Fatal(err)
		}
		parsed.Meaning = parsed.Meaning[:len(parsed.Meaning)-1]
		bad, err := json.MarshalIndent(&parsed, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := verify.CheckProof(append(bad, '\n'), l.key.Public(), nil); err == nil {
			t.Errorf("%s: a proof without the frame of its tags holds", name)
		}
	}
	if _, err := verify.Folder(t.Context(), l.dir, verify.Options{Key: l.key.Public()}); err != nil {
		t.Error(err)
	}
}

// TestSealedEverywhere: until its date a sealed read is in no list, count or
// proof of anybody but auditors, who see until when; then it is in all.
func TestSealedEverywhere(t *testing.T) {
	cfg, _ := proving(t)
	officer := reader("guest", "")
	officer.Subject.ID = "o-1"
	const sealed = "node-a/1/2"
	const about = `{ aboutMe { reads { receipt } } }`
	const readers = `{ field(coordinate: "Person.idNumber", from: "2026-03-01", to: "2026-03-02") { readers { purpose } } }`
	until := `{"reads":{"reads":[{"receipt":"node-a/1/2","sealedUntil":"2026-05-30T02:00:00Z"}]}}`
	const cases = `{ reads(filter: {purpose: "cases"}) { reads { receipt sealedUntil } } }`

	e := newExecutor(t, control.Config{Lineage: cfg})
	if got := good(t, e, person("mother", mother), about); strings.Contains(got, sealed) || strings.Count(got, "receipt") != 5 {
		t.Errorf("aboutMe: %s", got)
	}
	forbidden := run(t, e, person("mother", mother), `{ receipt(id: "`+sealed+`") { proof } }`, nil)
	missing := run(t, e, person("mother", mother), `{ receipt(id: "node-a/1/999") { proof } }`, nil)
	if diff := cmp.Diff(missing, forbidden, cmp.AllowUnexported(answer{})); diff != "" || len(forbidden.errors) != 1 {
		t.Errorf("a sealed record is not as one that does not exist:\n%s", diff)
	}
	if got := good(t, e, owner(), readers); strings.Contains(got, "cases") {
		t.Errorf("the owner's figures: %s", got)
	}
	if got := good(t, e, owner(), cases); strings.Contains(got, sealed) {
		t.Errorf("the owner's records: %s", got)
	}
	if got := good(t, e, auditor(), cases); got != until {
		t.Errorf("the auditor: %s", got)
	}
	if got := proofOf(t, e, officer, sealed).Receipt; !got.Opened {
		t.Error("the reader does not get the proof of his own answer")
	}

	day := time.Date(2026, 5, 30, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		now                        time.Time
		inList, inFigures, inProof bool
	}{
		{day.Add(2*time.Hour - time.Microsecond), false, false, false},
		{day.Add(2 * time.Hour), true, false, true},
		{day.Add(24*time.Hour - time.Microsecond), true, false, true},
		{day.Add(24 * time.Hour), true, true, true},
	} {
		late := cfg
		late.Now = func() time.Time { return test.now }
		e := newExecutor(t, control.Config{Lineage: late})
		if got := strings.Contains(good(t, e, person("mother", mother), about), sealed); got != test.inList {
			t.Errorf("%s: in aboutMe %v", test.now, got)
		}
		if got := strings.Contains(good(t, e, owner(), readers), "cases"); got != test.inFigures {
			t.Errorf("%s: in the owner's figures %v", test.now, got)
		}
		if got := len(run(t, e, person("mother", mother), `{ receipt(id: "`+sealed+`") { proof } }`, nil).errors) == 0; got != test.inProof {
			t.Errorf("%s: proven %v", test.now, got)
		}
	}
}
