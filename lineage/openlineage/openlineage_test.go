package openlineage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/weir-data/weir/internal/keyring"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

var day = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func use(department, table, column, typ, field string, level schema.Rank, kind lineage.UseKind) lineage.Use {
	return lineage.Use{Department: department, Table: table, Column: column, Coordinate: schema.Coordinate{Type: typ, Field: field}, Level: level, Use: kind}
}

// newborn joins two departments, and uses a column in every way there is.
func newborn() []lineage.Use {
	return []lineage.Use{
		use("public_security", "person", "full_name", "Person", "name", 2, lineage.Select),
		use("public_security", "person", "id_number", "Person", "idNumber", 3, lineage.Select),
		use("public_security", "person", "id_number", "Person", "idNumber", 3, lineage.Filter),
		use("public_security", "person", "id_number", "Person", "idNumber", 3, lineage.Tag),
		use("public_security", "person", "area", "Person", "area", 1, lineage.Scope),
		use("public_security", "person", "phone", "Person", "phone", 3, lineage.Select),
		use("public_security", "person", "phone", "Person", "phone", 3, lineage.Match),
		use("public_security", "person", "id_number", "Person", "idNumber", 3, lineage.Ref),
		use("health", "birth", "weight", "Birth", "weight", 2, lineage.Select),
		use("health", "birth", "mother", "Birth", "mother", 3, lineage.Join),
		use("health", "birth", "day", "Birth", "day", 1, lineage.Sort),
		use("health", "birth", "area", "Birth", "area", 0, lineage.Group),
		use("health", "birth", "weight", "Birth", "weight", 2, lineage.Aggregate),
		use("health", "birth", "", "Birth", "", 2, lineage.Aggregate),
	}
}

// cells of one record of newborn: the name shown in one row and masked in
// another, the phone withheld; no statement had an order.
func cells() []lineage.Counts {
	out := make([]lineage.Counts, len(newborn()))
	out[0] = lineage.Counts{Clear: 1, Masked: 1}
	out[1] = lineage.Counts{Masked: 2}
	out[5] = lineage.Counts{Withheld: 2}
	for i, u := range newborn() {
		if u.Use.ByStatement() && u.Use != lineage.Sort {
			out[i].Clear = 1
		}
	}
	out[7] = lineage.Counts{Clear: 2}
	out[8] = lineage.Counts{Clear: 2}
	return out
}

const canary = "CANARY"

// rings has one reading key for all tests, so that logs can be read again.
var rings = sync.OnceValues(keyring.Generate)

func reading(t *testing.T) lineage.Sealer {
	t.Helper()
	ring, err := rings()
	if err != nil {
		t.Fatal(err)
	}
	return ring.Box("reading")
}

// logged is a log with a record every ten minutes: two applications, a second
// shape, the control graph, refusals.
func logged(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	clock := day.Add(-10 * time.Minute)
	log, err := lineage.Open(lineage.Config{Dir: dir, Origin: "node-a", Reading: reading(t), SegmentSize: 8 << 10, Clock: func() time.Time { return clock }})
	if err != nil {
		t.Fatal(err)
	}
	company := []lineage.Use{use("market", "company", "title", "Company", "title", 0, lineage.Select)}
	control := []lineage.Use{{Coordinate: schema.Coordinate{Type: "Query", Field: "me"}, Use: lineage.Select}}
	for i := range n {
		clock = clock.Add(10 * time.Minute)
		r := lineage.Record{
			RequestID: canary + "-request", Kind: "query", Operation: "Newborn", Subject: canary + "-subject", Application: "one-stop", Department: "audit",
			Roles: []string{"clerk"}, Purpose: "newborn-registration", Case: canary + "-case", Schema: "s", Policy: "p", Document: strings.Repeat("ab", 32),
			Uses: newborn(), Counts: cells(), Rows: 2, Status: "ok", Level: 3, Salt: [16]byte{1}, Answer: [16]byte{2},
		}
		r.SetTags([]lineage.SubjectTag{{'C', 'A', 'N', 'A', 'R', 'Y', byte(i)}})
		switch i % 8 {
		case 3:
			r.Application, r.Department, r.Purpose = "desk", "health", ""
		case 5:
			r.Operation, r.Document, r.Uses, r.Counts = "", "cd", company, []lineage.Counts{{Clear: 7}}
		case 6:
			r.Kind, r.Uses, r.Counts = "control", control, nil
		case 7:
			r.Kind, r.Status, r.Code, r.Counts = "refused", "refused", "FORBIDDEN", nil
		}
		_, ticket, err := log.Append(t.Context(), &r)
		if err == nil {
			err = ticket.Wait(t.Context(), lineage.Written)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func exported(t *testing.T, dir string, o Options) ([]byte, Report) {
	t.Helper()
	var b bytes.Buffer
	report, err := Export(t.Context(), lineage.Folder{Dir: dir, Reading: reading(t)}, &b, o)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), report
}

func parse(t *testing.T, text []byte) (out []event) {
	t.Helper()
	for line := range bytes.Lines(text) {
		var e event
		d := json.NewDecoder(bytes.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&e); err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

// folder loads the published schemas from a folder by the names that their URLs
// end with, and nothing else: whatever an event refers to must be there.
type folder string

func (f folder) Load(address string) (any, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(filepath.Join(string(f), path.Base(u.Path)))
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // read only
	text, err := jsonschema.UnmarshalJSON(file)
	if err != nil {
		return nil, err
	}
	// An address of another version would be another schema.
	if id := text.(map[string]any)["$id"]; id != address {
		return nil, fmt.Errorf("%s is in the folder, %s is asked for", id, address)
	}
	return text, nil
}

func compiler(t *testing.T) *jsonschema.Compiler {
	t.Helper()
	dir := os.Getenv("WEIR_OPENLINEAGE_SCHEMAS")
	if dir == "" {
		t.Skip("SKIPPED: WEIR_OPENLINEAGE_SCHEMAS names no folder with the published JSON schemas of OpenLineage; events were not held to them")
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.UseLoader(folder(dir))
	return c
}

// check holds one event to the schema that it names, and each facet to its own.
func check(c *jsonschema.Compiler, line []byte) error {
	e, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
	if err != nil {
		return err
	}
	valid := func(address any, of any) error {
		s, err := c.Compile(address.(string))
		if err != nil {
			return err
		}
		return s.Validate(of)
	}
	top := e.(map[string]any)
	if err := valid(top["schemaURL"], top); err != nil {
		return err
	}
	if err := valid("https://openlineage.io/spec/2-0-2/OpenLineage.json", top); err != nil {
		return err
	}
	for _, side := range [...]string{"inputs", "outputs"} {
		list, _ := top[side].([]any)
		for _, d := range list {
			facets := d.(map[string]any)["facets"].(map[string]any)
			for name, f := range facets {
				if err := valid(f.(map[string]any)["_schemaURL"], f); err != nil {
					return fmt.Errorf("facet %s: %w", name, err)
				}
			}
			// As their documents have them: each under its own name.
			for _, kind := range [...]string{"ColumnLineage", "Schema", "Ownership", "Tags", "Documentation"} {
				url, _, _ := strings.Cut(map[string]string{
					"ColumnLineage": lineageSchema, "Schema": schemaSchema, "Ownership": ownershipSchema, "Tags": tagsSchema, "Documentation": documentationSchema,
				}[kind], "#")
				if err := valid(url, facets); err != nil {
					return fmt.Errorf("facets by %s: %w", kind, err)
				}
			}
		}
	}
	return nil
}

// TestSchemas: every event is valid, and what is not is found.
func TestSchemas(t *testing.T) {
	c := compiler(t)
	text, report := exported(t, logged(t, 200), Options{Window: time.Hour})
	n := uint64(0)
	for line := range bytes.Lines(text) {
		n++
		if err := check(c, line); err != nil {
			t.Fatalf("%v\n%s", err, line)
		}
	}
	if n != 2*report.Runs || n < 50 {
		t.Errorf("%d events of %d runs", n, report.Runs)
	}
	_, whole, _ := bytes.Cut(text, []byte("\n"))
	line, _, _ := bytes.Cut(whole, []byte("\n"))
	for _, broken := range [...][2]string{
		{`"eventType":"COMPLETE"`, `"eventType":"FINISHED"`},
		{`"runId":"`, `"runId":"x`},
		{`"eventTime":"2026-`, `"eventTime":"yesterday-`},
		{`"job":{"namespace":"weir",`, `"job":{`},
		{`"type":"DIRECT"`, `"type":1`},
		{`"masking":true`, `"masking":"yes"`},
		{`"owners":[{"name"`, `"owners":[{"names"`},
		{`1-2-0/ColumnLineage`, `1-0-0/ColumnLineage`},
		{`"key":"level"`, `"keys":"level"`},
		{`"description":"Table`, `"text":"Table`},
	} {
		bad := strings.ReplaceAll(string(line), broken[0], broken[1])
		if bad == string(line) {
			t.Fatalf("%s is not in\n%s", broken[0], line)
		}
		if check(c, []byte(bad)) == nil {
			t.Errorf("%s is held for valid", broken[1])
		}
	}
}

// TestRuns: an event stands for all records of a job in a window, and their
// counts add up.
func TestRuns(t *testing.T) {
	const n = 200 // a day and nine hours
	dir := logged(t, n)
	text, report := exported(t, dir, Options{Window: 24 * time.Hour})
	want := Report{Records: 150, Others: 50, Runs: 6}
	if report != want {
		t.Errorf("%+v instead of %+v", report, want)
	}
	events := parse(t, text)
	ids, records := map[string]int{}, 0
	for i := range events {
		e := &events[i]
		ids[e.Run.RunID]++
		second := e.Run.RunID == events[max(0, i-1)].Run.RunID && i%2 == 1
		switch {
		case !second && (e.EventType != "START" || len(e.Inputs)+len(e.Outputs) != 0 || !strings.HasSuffix(e.EventTime, "T00:00:00.000Z")):
			t.Errorf("event %d is no start: %+v", i, e)
		case second && strings.HasPrefix(events[i-1].EventTime, "2026-03-01") && (e.EventType != "COMPLETE" || e.EventTime != "2026-03-02T00:00:00.000Z"):
			t.Errorf("event %d is no end: %s %s", i, e.EventType, e.EventTime)
		case second && strings.HasPrefix(events[i-1].EventTime, "2026-03-02") && e.EventType != "RUNNING":
			t.Errorf("event %d ends what goes on: %s", i, e.EventType)
		}
		if second {
			var k int
			if _, err := fmt.Sscanf(strings.SplitAfter(e.Outputs[0].Facets.Documentation.Description, ": requests ")[1], "%d ", &k); err != nil {
				t.Fatal(err)
			}
			records += k
		}
	}
	if len(ids) != 6 || records != 150 {
		t.Errorf("%d runs of %d records", len(ids), records)
	}
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	for id, n := range ids {
		if !form.MatchString(id) || n != 2 {
			t.Errorf("run %s has %d events", id, n)
		}
	}
	again, _ := exported(t, dir, Options{Window: 24 * time.Hour})
	if !bytes.Equal(text, again) {
		t.Error("the same ledger made other bytes")
	}
	part, _ := exported(t, dir, Options{Window: 24 * time.Hour, From: day.Add(5 * time.Hour), To: day.Add(24 * time.Hour)})
	if !bytes.HasPrefix(text, part) || bytes.Equal(text, part) || len(part) == 0 {
		t.Error("the first day alone is not the first day's part")
	}
	part, _ = exported(t, dir, Options{Window: 24 * time.Hour, From: day.Add(25 * time.Hour)})
	if !bytes.HasSuffix(text, part) || bytes.Equal(text, part) || len(part) == 0 {
		t.Error("the second day alone is not the second day's part")
	}
	for _, w := range [...]time.Duration{0, time.Minute, 7 * time.Hour, 48 * time.Hour} {
		if _, err := Export(t.Context(), lineage.Folder{Dir: dir}, &bytes.Buffer{}, Options{Window: w}); !errors.Is(err, ErrWindow) {
			t.Errorf("a window of %v: %v", w, err)
		}
	}
}

// TestFacets: how each column reached the answer.
func TestFacets(t *testing.T) {
	text, _ := exported(t, logged(t, 144), Options{Window: 24 * time.Hour})
	at := slices.IndexFunc(parse(t, text), func(e event) bool {
		return e.EventType != "START" && strings.HasPrefix(e.Job.Name, "one-stop/Newborn/")
	})
	e := parse(t, text)[at]
	const n = 4 * 18 // records of it
	person := func(field string, w ...transformation) input {
		return input{"weir://public_security", "person", field, w}
	}
	birth := func(field string, w ...transformation) input { return input{"weir://health", "birth", field, w} }
	want := columnLineage{
		facet: facetOf(lineageSchema),
		Fields: map[string]inputs{
			"Person.name": {[]input{person("full_name",
				transformation{"DIRECT", "IDENTITY", "shown as it is", false, n}, transformation{"DIRECT", "TRANSFORMATION", "masked by policy", true, n})}},
			"Person.idNumber": {[]input{person("id_number", transformation{"DIRECT", "TRANSFORMATION", "masked by policy", true, 2 * n})}},
			"Person._ref":     {[]input{person("id_number", transformation{"DIRECT", "TRANSFORMATION", "sealed into the row's handle", true, 2 * n})}},
			"Birth.weight": {[]input{birth("weight", transformation{"DIRECT", "IDENTITY", "shown as it is", false, 2 * n},
				transformation{"DIRECT", "AGGREGATION", "part of a number over many rows, with noise where its level asks for it", true, 0})}},
		},
		Dataset: []input{
			birth("area", indirect[lineage.Group]), birth("mother", indirect[lineage.Join]),
			person("area", indirect[lineage.Scope]), person("id_number", indirect[lineage.Filter]), person("phone", indirect[lineage.Match]),
		},
	}
	if diff := cmp.Diff(want, *e.Outputs[0].Facets.ColumnLineage, cmp.AllowUnexported(columnLineage{})); diff != "" {
		t.Errorf("columnLineage (-want +got):\n%s", diff)
	}
	in := e.Inputs[1]
	if in.Namespace != "weir://public_security" || in.Name != "person" || in.Facets.Ownership.Owners[0].Name != "department:public_security" {
		t.Errorf("input %+v", in)
	}
	tagged := []tag{
		{"level", "L2", tagSource, "area"},
		{"level", "L3", tagSource, "full_name"},
		{"level", "L4", tagSource, "id_number"},
		{"level", "L4", tagSource, "phone"},
		{"classification", "L4", tagSource, ""},
	}
	if diff := cmp.Diff(tagged, in.Facets.Tags.Tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	if c := e.Inputs[0].Facets.Schema.Fields; !slices.Equal(c, []column{{"area"}, {"mother"}, {"weight"}}) {
		t.Errorf("columns of births: %v; the order's was not used", c)
	}
	if p := e.Outputs[0].Facets.Tags.Tags; len(p) != 1 || p[0].Value != "newborn-registration" {
		t.Errorf("purposes %+v", p)
	}
}

// TestNobody: no request, reader, person or case is in an event.
func TestNobody(t *testing.T) {
	text, _ := exported(t, logged(t, 100), Options{Window: time.Hour})
	if len(text) == 0 || bytes.Contains(text, []byte(canary)) || bytes.Contains(text, []byte("43414e415259")) || bytes.Contains(text, []byte("Q0FOQVJZ")) {
		t.Error("an event tells of somebody")
	}
}

// TestSealed: without the reading key there is no event, and no empty export
// that looks like a ledger without reads.
func TestSealed(t *testing.T) {
	dir := logged(t, 8)
	var b bytes.Buffer
	if _, err := Export(t.Context(), lineage.Folder{Dir: dir}, &b, Options{Window: time.Hour}); !errors.Is(err, lineage.ErrReadingKey) || b.Len() > 0 {
		t.Errorf("without a reading key: %v, %d bytes", err, b.Len())
	}
}

// TestClock: a clock that went back cuts no window in two.
func TestClock(t *testing.T) {
	dir := t.TempDir()
	at := []time.Duration{0, 30 * time.Hour, time.Hour, 31 * time.Hour}
	i := -1
	log, err := lineage.Open(lineage.Config{Dir: dir, Origin: "node-a", Reading: reading(t), Clock: func() time.Time { return day.Add(at[max(0, min(i, len(at)-1))]) }})
	if err != nil {
		t.Fatal(err)
	}
	for i = range at {
		r := lineage.Record{Kind: "query", Application: "a", Uses: newborn(), Counts: cells(), Status: "ok"}
		_, ticket, err := log.Append(t.Context(), &r)
		if err == nil {
			err = ticket.Wait(t.Context(), lineage.Written)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	_, report := exported(t, dir, Options{Window: 24 * time.Hour})
	if want := (Report{Records: 4, Runs: 2}); report != want {
		t.Errorf("%+v instead of %+v", report, want)
	}
}
