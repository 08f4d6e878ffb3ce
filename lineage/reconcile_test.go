package lineage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestReconcile holds every way in which an answer can be without a record of
// its own.
func TestReconcile(t *testing.T) {
	dir := t.TempDir()
	l := must(Open(Config{Reading: testReading, Dir: dir, Origin: "node-a"}))
	append1 := func(data, errs string) string {
		r := sampleRecord()
		r.Salt = [16]byte{byte(len(data)), 7}
		var d, e []byte
		if data != "" {
			d = []byte(data)
		}
		if errs != "" {
			e = []byte(errs)
		}
		r.Answer = AnswerDigest(r.Salt[:], d, e)
		p, ticket, err := l.Append(context.Background(), r)
		if err != nil {
			t.Fatal(err)
		}
		if err := ticket.Wait(context.Background(), Synced); err != nil {
			t.Fatal(err)
		}
		return p.String()
	}
	one := append1(`{"a":1}`, "")
	two := append1("null", `[{"message":"m"}]`)
	three := append1("", `[{"message":"no"}]`)
	append1(`{"undelivered":true}`, "")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	weir := func(receipt string) string { return `"extensions":{"weir":{"receipt":"` + receipt + `"}}}` }
	good := strings.Join([]string{
		`{"data":{"a":1},` + weir(one), `{"data":null,"errors":[{"message":"m"}],` + weir(two), "",
		`{"errors":[{"message":"no"}],` + weir(three), `{"errors":[{"message":"who are you"}]}`,
		`{"data":{"a":1},` + weir(one),
	}, "\n")
	got, err := Reconcile(opened(dir), strings.NewReader(good))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&Reconciliation{Answers: 3, Refusals: 1, Again: 1, Records: 4, Surplus: 1}, got); diff != "" {
		t.Error(diff)
	}
	for name, c := range map[string]struct{ line, reason string }{
		"other bytes":        {`{"data":{"a":2},` + weir(one), "the record is of other bytes than these"},
		"other white space":  {`{"data":{"a": 1},` + weir(one), "the record is of other bytes than these"},
		"errors left out":    {`{"data":null,` + weir(two), "the record is of other bytes than these"},
		"no record":          {`{"data":{"a":1},` + weir("node-a/1/99"), "the ledger has no record of it"},
		"another node":       {`{"data":{"a":1},` + weir("node-b/1/1"), "the ledger has no record of it"},
		"another epoch":      {`{"data":{"a":1},` + weir("node-a/2/1"), "the ledger has no record of it"},
		"no receipt":         {`{"data":{"a":1}}`, "it has data and no receipt"},
		"nonsense":           {`{"data":{"a":1},` + weir("nonsense"), "its receipt is none"},
		"cut":                {`{"data":{"a"`, "it is no whole JSON response"},
		"one record for two": {`{"data":{"a":1},` + weir(one) + "\n" + `{"data":{"a":3},` + weir(one), "another answer, in line 1, has its receipt"},
	} {
		got, err := Reconcile(opened(dir), strings.NewReader(c.line+"\n"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.Failures != 1 || len(got.Unexplained) != 1 || got.Unexplained[0].Reason != c.reason {
			t.Errorf("%s: %+v, want %q", name, got, c.reason)
		}
	}
	if _, err := Reconcile(opened(dir), strings.NewReader("receipt,data\n")); !errors.Is(err, ErrAnswers) {
		t.Errorf("a file of another kind: %v", err)
	}
	if _, err := Reconcile(opened(dir), strings.NewReader("\n")); !errors.Is(err, ErrAnswers) {
		t.Errorf("an empty file: %v", err)
	}
	many := strings.Repeat(`{"data":{"a":1},`+weir("node-a/1/99")+"\n", 2*MaxUnexplained)
	got, err = Reconcile(opened(dir), strings.NewReader(many))
	if err != nil || got.Failures != 2*MaxUnexplained || len(got.Unexplained) != MaxUnexplained {
		t.Errorf("%v, %s", err, fmt.Sprint(got.Failures))
	}
}
