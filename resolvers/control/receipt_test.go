package control_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/weir-data/weir/lineage"
	tree "github.com/weir-data/weir/lineage/ledger"
	"github.com/weir-data/weir/lineage/verify"
	"github.com/weir-data/weir/resolvers"
	"github.com/weir-data/weir/resolvers/control"
)

// TestReceipt: a record is proven to the reader whose answer it was and to
// auditors, and the proof holds for whoever has the public key.
func TestReceipt(t *testing.T) {
	cfg, l := newLedger(t)
	log, err := lineage.Open(lineage.Config{Dir: l.dir, Origin: "node-a", Reading: l.reading()})
	if err != nil {
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
	e := newExecutor(t, control.Config{Lineage: cfg})
	as := func(id string) *resolvers.Request {
		r := reader("guest", "")
		r.Subject.ID = id
		return r
	}
	for end := time.Now().Add(20 * time.Second); led.Stats().Proven < 5; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%+v", led.Stats())
		}
	}
	const query = `{ receipt(id: "node-a/1/3") { id signed included proof } }`
	for name, req := range map[string]*resolvers.Request{"his own": as("c-1"), "an auditor": auditor()} {
		var out struct {
			Receipt struct {
				ID               string
				Signed, Included bool
				Proof            string
			}
		}
		if err := json.Unmarshal([]byte(good(t, e, req, query)), &out); err != nil {
			t.Fatal(err)
		}
		p, err := verify.CheckProof([]byte(out.Receipt.Proof), l.key.Public(), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !p.Signed || !p.Included || p.Record.Position != "node-a/1/3" || p.Record.Purpose != "registration" || !out.Receipt.Signed || !out.Receipt.Included {
			t.Errorf("%s: %+v", name, p)
		}
	}
	for name, test := range map[string]struct {
		req   *resolvers.Request
		query string
		want  string
	}{
		"another's":         {as("g-1"), query, "FORBIDDEN"},
		"one that is not":   {as("g-1"), `{ receipt(id: "node-a/1/999") { id } }`, "FORBIDDEN"},
		"of another epoch":  {as("c-1"), `{ receipt(id: "node-a/2/3") { id } }`, "FORBIDDEN"},
		"of another origin": {as("c-1"), `{ receipt(id: "node-b/1/3") { id } }`, "FORBIDDEN"},
		"none":              {as("c-1"), `{ receipt(id: "3") { id } }`, "BAD_REQUEST"},
	} {
		if got := run(t, e, test.req, test.query, nil); len(got.errors) != 1 || !strings.HasPrefix(got.errors[0], test.want) {
			t.Errorf("%s: %v", name, got.errors)
		}
	}
	if got := good(t, e, auditor(), `{ receipt(id: "node-a/1/999") { id } }`); got != `{"receipt":null}` {
		t.Errorf("an auditor, one that is not: %s", got)
	}
}
