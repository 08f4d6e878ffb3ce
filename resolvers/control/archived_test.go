package control_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-data/weir/lineage"
	tree "github.com/weir-data/weir/lineage/ledger"
	"github.com/weir-data/weir/resolvers"
	"github.com/weir-data/weir/resolvers/control"
)

// archivedLedger is that of newLedger after three more starts with a record each,
// 6 to 8, its oldest segment, records 1 to 5, in an archive.
func archivedLedger(t *testing.T) (control.Lineage, *ledger) {
	t.Helper()
	cfg, l := newLedger(t)
	start := func(proven uint64) (*lineage.Log, *tree.Ledger) {
		log, err := lineage.Open(lineage.Config{Dir: l.dir, Origin: "node-a", Reading: l.reading(), Clock: func() time.Time { return l.clock }})
		if err != nil {
			t.Fatal(err)
		}
		l.log = log
		if proven <= 8 {
			l.add(t, "c-1", "counter-office", "registration", nil, nil)
		}
		led, err := tree.Open(tree.Config{Dir: l.dir, Source: log, Key: l.key, Reading: l.reading(), CheckpointEvery: 100 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(20 * time.Second); proven <= 8 && led.Stats().Proven < proven; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%+v", led.Stats())
			}
		}
		return log, led
	}
	for proven := uint64(6); proven <= 8; proven++ {
		log, led := start(proven)
		if err := errors.Join(led.Close(), log.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.index.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	log, err := lineage.Open(lineage.Config{Dir: l.dir, Origin: "node-a", Reading: l.reading()})
	if err != nil {
		t.Fatal(err)
	}
	moved, err := log.Archive(t.Context(), lineage.Archiving{To: filepath.Join(t.TempDir(), "archive"), Limit: 7})
	if err := errors.Join(err, log.Close()); err != nil || len(moved) != 1 || moved[0].Last != 5 {
		t.Fatal(moved, err)
	}
	log, led := start(9)
	t.Cleanup(func() {
		if err := errors.Join(led.Close(), log.Close()); err != nil {
			t.Error(err)
		}
	})
	cfg.Receipts = led
	return cfg, l
}

// TestArchivedReceipt: whoever would get the proof of a record is told that it was
// archived, and how the proof is had; to others it is as one that is not there.
func TestArchivedReceipt(t *testing.T) {
	cfg, l := archivedLedger(t)
	e := newExecutor(t, control.Config{Lineage: cfg})
	as := func(id string) *resolvers.Request {
		r := reader("guest", "")
		r.Subject.ID = id
		return r
	}
	query := func(receipt string) string {
		return `{ receipt(id: "` + receipt + `") { id signed included opened proof archived } }`
	}
	type receipt struct {
		ID                       string
		Signed, Included, Opened bool
		Proof, Archived          *string
	}
	get := func(req *resolvers.Request, id string) receipt {
		t.Helper()
		var out struct{ Receipt receipt }
		if err := json.Unmarshal([]byte(good(t, e, req, query(id))), &out); err != nil {
			t.Fatal(err)
		}
		return out.Receipt
	}
	for name, test := range map[string]struct {
		req *resolvers.Request
		id  string
		end string
	}{
		"his own":               {as("c-1"), "node-a/1/3", ""},
		"an auditor":            {auditor(), "node-a/1/2", ""},
		"a look at his data":    {person("mother", mother), "node-a/1/1", " --closed"},
		"one of two":            {person("father", father), "node-a/1/3", " --closed"},
		"his own, while sealed": {as("o-1"), "node-a/1/2", ""},
	} {
		want := "records up to 5 of this ledger were archived: ask the node's operator for the proof, made with weir lineage prove " + test.id + " --archive FOLDER" + test.end
		if diff := cmp.Diff(receipt{ID: test.id, Archived: &want}, get(test.req, test.id)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	forbidden := run(t, e, as("g-1"), query("node-a/9/999"), nil)
	for name, test := range map[string]struct {
		req *resolvers.Request
		id  string
	}{
		"another's":                  {as("g-1"), "node-a/1/3"},
		"not about him":              {person("father", father), "node-a/1/1"},
		"sealed to him":              {person("mother", mother), "node-a/1/2"},
		"his own, of another epoch":  {as("c-1"), "node-a/2/3"},
		"his own, of another origin": {as("c-1"), "node-b/1/3"},
	} {
		if diff := cmp.Diff(forbidden, run(t, e, test.req, query(test.id), nil), cmp.AllowUnexported(answer{})); diff != "" || len(forbidden.errors) != 1 {
			t.Errorf("%s is not as one that is not there:\n%s", name, diff)
		}
	}
	// When the seal is off, the person is told as well.
	late := cfg
	late.Now = func() time.Time { return l.clock.Add(91 * 24 * time.Hour) }
	if got := good(t, newExecutor(t, control.Config{Lineage: late}), person("mother", mother), query("node-a/1/2")); !strings.Contains(got, "were archived") {
		t.Errorf("no longer sealed: %s", got)
	}
	if got := get(as("c-1"), "node-a/4/8"); got.Proof == nil || got.Archived != nil || !got.Signed {
		t.Errorf("a record that is here: %+v", got)
	}
	// What is on no list was not archived, but taken away.
	if err := os.Remove(filepath.Join(l.dir, lineage.ArchivedName)); err != nil {
		t.Fatal(err)
	}
	var fault string
	e = newExecutor(t, control.Config{Lineage: cfg, Report: func(err error) { fault = err.Error() }})
	if got := run(t, e, as("c-1"), query("node-a/1/3"), nil); len(got.errors) != 1 || !strings.HasPrefix(got.errors[0], "INTERNAL") ||
		!strings.Contains(fault, "record 3 is not in the ledger's folder, and only records up to 0 were archived") {
		t.Errorf("on no list: %+v, %s", got, fault)
	}
}
