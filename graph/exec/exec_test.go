package exec

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

func TestMain(m *testing.M) {
	// The caches of executors that a test has closed may still be ending.
	goleak.VerifyTestMain(m)
}

func people() *memory {
	return &memory{tables: map[string]*memoryTable{
		"person": {
			columns: []string{"id", "name", "district"},
			rows: [][]string{
				{"1", "张伟", "north"},
				{"2", `quote " and \ and` + "\n\x01", "south"},
				{"3", nullCell, "north"},
			},
		},
		"permit": {
			columns: []string{"no", "holder"},
			rows:    [][]string{{"a", "1"}, {"b", "1"}, {"c", "3"}, {"d", "1"}, {"e", nullCell}},
		},
		"household": {
			columns: []string{"district", "size"},
			rows:    [][]string{{"north", "4"}},
		},
	}}
}

func check(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

func TestListWritesClearCells(t *testing.T) {
	b := newBench(t, map[string]*memory{"police": people()}, nil)
	f := b.fetch("police", "Person", adapters.Shape{Table: "person", Columns: textColumns("name", "id")}, nil)
	use := b.use("Person", "name")
	name := leaf("people", "n", 0)
	name.Use = use
	b.root(list("", "people", true, plan.Member{Type: "Person", Fetch: f, Object: &plan.Object{Fields: []*plan.Field{
		name, leaf("people", "id", 1),
	}}}))
	a := b.run(t.Context(), b.request(), nil)
	check(t, "data", a.data, `{"people":[{"n":"张伟","id":"1"},{"n":"quote \" and \\ and\n\u0001","id":"2"},{"n":null,"id":"3"}]}`)
	if len(a.errors) > 0 {
		t.Error(a.errors)
	}
	if a.reads.Rows != 3 || a.reads.Counts[use] != (lineage.Counts{Clear: 3}) {
		t.Errorf("rows %d, counts %+v", a.reads.Rows, a.reads.Counts)
	}
	check(t, "extension", a.extension, `"sources":[{"department":"police","asOf":null,"stale":false}]`)
}

// relations: to-many with a limit, to-one, and rows without a key.
func TestRelationsAreBatched(t *testing.T) {
	source := people()
	b := newBench(t, map[string]*memory{"police": source}, nil)
	person := b.fetch("police", "Person", adapters.Shape{Table: "person", Columns: textColumns("id", "district")}, nil)
	permit := b.fetch("police", "Permit", adapters.Shape{
		Table: "permit", Columns: textColumns("no"), Keys: textColumns("holder"),
		Params: []adapters.Param{{Kind: schema.Int}}, Limit: &adapters.Bound{Param: 0, Plus: 1},
	}, func(f *plan.Fetch) {
		f.Parent, f.ParentColumns, f.Traverse = person, []int{0}, cleared()
		f.Args = []plan.Value{constant(schema.Int, "2")}
	})
	household := b.fetch("police", "Household", adapters.Shape{
		Table: "household", Columns: []adapters.Column{{Name: "size", Kind: schema.Int}}, Keys: textColumns("district"),
	}, func(f *plan.Fetch) { f.Parent, f.ParentColumns, f.Traverse = person, []int{1}, cleared() })
	permits := list("people", "permits", true, plan.Member{Fetch: permit, Object: &plan.Object{Fields: []*plan.Field{leaf("people.permits", "no", 0)}}})
	permits.Rows.Limit = windowOf(2)
	size := leaf("people.household", "size", 0)
	size.Form, size.Scalar = adapters.Literal, schema.Int
	b.root(list("", "people", true, plan.Member{Fetch: person, Object: &plan.Object{Fields: []*plan.Field{
		leaf("people", "id", 0),
		permits,
		list("people", "household", false, plan.Member{Fetch: household, Object: &plan.Object{Fields: []*plan.Field{size}}}),
	}}}))
	a := b.run(t.Context(), b.request(), nil)
	check(t, "data", a.data, `{"people":[`+
		`{"id":"1","permits":[{"no":"a"},{"no":"b"}],"household":{"size":4}},`+
		`{"id":"2","permits":[],"household":null},`+
		`{"id":"3","permits":[{"no":"c"}],"household":{"size":4}}]}`)
	if !strings.HasPrefix(a.extension, `"truncated":["people.permits"],"sources"`) {
		t.Errorf("extension %s", a.extension)
	}
	if n := source.fetches.Load(); n != 3 {
		t.Errorf("%d statements, want 3", n)
	}
}

// Keys above the source's bound are sent in pieces, with the same answer.
func TestKeysAreSplit(t *testing.T) {
	var want string
	for _, most := range []int{0, 1, 2, 3, 100} {
		source := people()
		source.capabilities.MaxKeys = most
		b := newBench(t, map[string]*memory{"police": source}, nil)
		person := b.fetch("police", "Person", adapters.Shape{Table: "person", Columns: textColumns("id")}, nil)
		permit := b.fetch("police", "Permit", adapters.Shape{Table: "permit", Columns: textColumns("no"), Keys: textColumns("holder")},
			func(f *plan.Fetch) { f.Parent, f.ParentColumns, f.Traverse = person, []int{0}, cleared() })
		b.root(list("", "people", true, plan.Member{Fetch: person, Object: &plan.Object{Fields: []*plan.Field{
			list("people", "permits", true, plan.Member{Fetch: permit, Object: &plan.Object{Fields: []*plan.Field{leaf("people.permits", "no", 0)}}}),
		}}}))
		a := b.run(t.Context(), b.request(), nil)
		if most == 0 {
			want = a.data
			check(t, "data", want, `{"people":[{"permits":[{"no":"a"},{"no":"b"},{"no":"d"}]},{"permits":[]},{"permits":[{"no":"c"}]}]}`)
		}
		check(t, "MaxKeys "+strconv.Itoa(most), a.data, want)
	}
}

func TestDecisionsVaryByRow(t *testing.T) {
	source := people()
	// Bit 0 grants clear, bit 1 denies everything; row 3's deny is unknown.
	source.tables["person"].truth = []uint64{1, 0, 1}
	source.tables["person"].unknown = []uint64{0, 0, 2}
	b := newBench(t, map[string]*memory{"police": source}, nil)
	f := b.fetch("police", "Person", adapters.Shape{Table: "person", Columns: textColumns("id", "district")}, nil)
	id := leaf("people", "id", 0)
	id.Use = b.use("Person", "id")
	id.Decision = plan.Decision{
		Base: authz.Mask, Mask: "REDACT",
		Allow: []plan.BitClause{{Bit: 0, Caps: authz.Clear.Closure()}},
		Deny:  []plan.BitClause{{Bit: 1, Caps: authz.Clear.Closure()}},
	}
	hidden := named("people", "secret")
	hidden.Kind, hidden.Use = plan.FieldWithheld, b.use("Person", "secret")
	b.root(list("", "people", true, plan.Member{Fetch: f, Object: &plan.Object{Fields: []*plan.Field{id, hidden}}}))
	b.plan.Access = plan.Access{
		Withheld: []plan.AccessEntry{{Path: "people.id"}, {Path: "people.secret"}, {Path: "people.other"}},
		JSON:     []byte(`{"withheld":[]}`),
	}
	req := b.request()
	a := b.run(t.Context(), req, nil)
	check(t, "data", a.data, `{"people":[{"id":"1","secret":null},{"id":"***","secret":null},{"id":null,"secret":null}]}`)
	if diff := cmp.Diff([]lineage.Counts{{Clear: 1, Masked: 1, Withheld: 1}, {Withheld: 3}}, a.reads.Counts); diff != "" {
		t.Error(diff)
	}
	if a.errors != nil {
		t.Errorf("errors without being asked for: %v", a.errors)
	}
	if !strings.HasPrefix(a.extension, `"access":{"withheld":[]},`) {
		t.Errorf("extension %s", a.extension)
	}

	req = b.request()
	req.WithheldErrors = true
	a = b.run(t.Context(), req, nil)
	if diff := cmp.Diff([]string{
		"FORBIDDEN people[2].id people.id x1", "FORBIDDEN people[0].secret people.secret x3", "FORBIDDEN  people.other x0",
	}, a.errors); diff != "" {
		t.Error(diff)
	}
}

// A relation closed on some rows leads nowhere from them, and their keys are
// not sent.
func TestTraversalVariesByRow(t *testing.T) {
	source := people()
	source.tables["person"].truth = []uint64{0, 0, 1}
	source.tables["person"].unknown = []uint64{0, 0, 0}
	b := newBench(t, map[string]*memory{"police": source}, nil)
	person := b.fetch("police", "Person", adapters.Shape{Table: "person", Columns: textColumns("id")}, nil)
	open := plan.Decision{Allow: []plan.BitClause{{Bit: 0, Caps: authz.Mask}}}
	var sent []string
	source.asked = func(table string, keys *adapters.Keys) {
		for i := 0; table == "permit" && i < keys.Rows; i++ {
			sent = append(sent, string(keys.Cell(i, 0)))
		}
	}
	permit := b.fetch("police", "Permit", adapters.Shape{Table: "permit", Columns: textColumns("no"), Keys: textColumns("holder")},
		func(f *plan.Fetch) { f.Parent, f.ParentColumns, f.Traverse = person, []int{0}, open })
	permits := list("people", "permits", true, plan.Member{Fetch: permit, Object: &plan.Object{Fields: []*plan.Field{leaf("people.permits", "no", 0)}}})
	permits.Rows.Decision = open
	permits.Coordinate = schema.Coordinate{Type: "Person", Field: "permits"}
	permits.Use = b.use("Person", "permits")
	b.root(list("", "people", true, plan.Member{Fetch: person, Object: &plan.Object{Fields: []*plan.Field{permits}}}))
	a := b.run(t.Context(), b.request(), nil)
	check(t, "data", a.data, `{"people":[{"permits":null},{"permits":null},{"permits":[{"no":"c"}]}]}`)
	if a.reads.Counts[0] != (lineage.Counts{Withheld: 2, Masked: 1}) {
		t.Errorf("counts %+v", a.reads.Counts[0])
	}
	if !slices.Equal(sent, []string{"3"}) {
		t.Errorf("the source was asked about %q: of the others the relation may not be followed", sent)
	}
}

// TestClosedTraversalAsksNobody: what may be followed from no row is not asked
// for, so that neither its time nor its failing shows.
func TestClosedTraversalAsksNobody(t *testing.T) {
	for name, closed := range map[string]plan.Decision{
		"on every row by policy": {},
		"on these rows":          {Allow: []plan.BitClause{{Bit: 0, Caps: authz.Mask}}},
		"unknown on these rows":  {Base: authz.Mask, Deny: []plan.BitClause{{Bit: 1, Caps: authz.Mask}}},
	} {
		source := people()
		source.tables["person"].truth = []uint64{0, 0, 0}
		source.tables["person"].unknown = []uint64{3, 3, 3}
		b := newBench(t, map[string]*memory{"police": source}, nil)
		person := b.fetch("police", "Person", adapters.Shape{Table: "person", Columns: textColumns("id")}, nil)
		source.asked = func(table string, _ *adapters.Keys) {
			if table == "permit" {
				t.Errorf("%s: the source is asked", name)
			}
		}
		permit := b.fetch("police", "Permit", adapters.Shape{Table: "permit", Columns: textColumns("no"), Keys: textColumns("holder")},
			func(f *plan.Fetch) { f.Parent, f.ParentColumns, f.Traverse = person, []int{0}, closed })
		permits := list("people", "permits", true, plan.Member{Fetch: permit, Object: &plan.Object{Fields: []*plan.Field{leaf("people.permits", "no", 0)}}})
		permits.Rows.Decision = closed
		b.root(list("", "people", true, plan.Member{Fetch: person, Object: &plan.Object{Fields: []*plan.Field{permits}}}))
		a := b.run(t.Context(), b.request(), nil)
		check(t, name, a.data, `{"people":[{"permits":null},{"permits":null},{"permits":null}]}`)
	}
}

func TestFoldedRoots(t *testing.T) {
	source := people()
	b := newBench(t, map[string]*memory{"police": source}, nil)
	f := b.fetch("police", "Person", adapters.Shape{Table: "person", Columns: textColumns("district", "id"), Keys: textColumns("id")},
		func(f *plan.Fetch) {
			f.Stated = [][]plan.Value{
				{{From: plan.FromVariable, Name: "a", Kind: schema.String}},
				{constant(schema.String, "nobody")},
				{constant(schema.String, "1")},
				{{From: plan.FromVariable, Name: "none", Kind: schema.String}},
			}
			f.Subjects = []int{1}
		})
	permit := b.fetch("police", "Permit", adapters.Shape{Table: "permit", Columns: textColumns("no"), Keys: textColumns("holder")},
		func(g *plan.Fetch) {
			g.Parent, g.ParentColumns, g.Traverse, g.ParentOrdinals = f, []int{1}, cleared(), []int{0}
		})
	for i, key := range []string{"a", "b", "c", "d"} {
		object := &plan.Object{Fields: []*plan.Field{leaf(key, "district", 0)}}
		if i == 0 {
			object.Fields = append(object.Fields,
				list("a", "permits", true, plan.Member{Fetch: permit, Object: &plan.Object{Fields: []*plan.Field{leaf("a.permits", "no", 0)}}}))
		}
		one := list("", key, false, plan.Member{Fetch: f, Object: object})
		one.Rows.Ordinal = i
		b.root(one)
	}
	a := b.run(t.Context(), b.request(), map[string]any{"a": "3"})
	check(t, "data", a.data, `{"a":{"district":"north","permits":[{"no":"c"}]},"b":null,"c":{"district":"north"},"d":null}`)
	if n := source.fetches.Load(); n != 2 {
		t.Errorf("%d statements, want 2", n)
	}
	// 3, nobody and 1 were stated; their rows' subjects are the same people.
	if len(a.reads.Tags) != 3 || a.reads.Rows != 3 {
		t.Errorf("%d tags, %d rows", len(a.reads.Tags), a.reads.Rows)
	}
}

// Two aliases may state the same key at run time: one tuple, both answered.
func TestEqualStatedKeys(t *testing.T) {
	b := newBench(t, map[string]*memory{"police": people()}, nil)
	f := b.fetch("police", "Person", adapters.Shape{Table: "person", Columns: textColumns("name"), Keys: textColumns("id")},
		func(f *plan.Fetch) {
			f.Stated = [][]plan.Value{
				{{From: plan.FromVariable, Name: "a", Kind: schema.String}}, {{From: plan.FromVariable, Name: "b", Kind: schema.String}},
			}
		})
	for i, key := range []string{"a", "b"} {
		one := list("", key, false, plan.Member{Fetch: f, Object: &plan.Object{Fields: []*plan.Field{leaf(key, "name", 0)}}})
		one.Rows.Ordinal = i
		b.root(one)
	}
	a := b.run(t.Context(), b.request(), map[string]any{"a": "1", "b": "1"})
	check(t, "data", a.data, `{"a":{"name":"张伟"},"b":{"name":"张伟"}}`)
	if a.reads.Rows != 1 {
		t.Errorf("%d rows", a.reads.Rows)
	}
}

func certificates() map[string]*memory {
	return map[string]*memory{
		"health": {tables: map[string]*memoryTable{"birth": {
			columns: []string{"no", "issued"},
			rows:    [][]string{{"b1", "2026-01-01T00:00:00Z"}, {"b2", "2026-01-01T00:00:00.5Z"}, {"b3", nullCell}},
		}}},
		"police": {tables: map[string]*memoryTable{"permit": {
			columns: []string{"no", "issued"},
			rows:    [][]string{{"p1", "2026-01-01T00:00:00Z"}, {"p2", "2026-02-01T00:00:00Z"}},
		}}},
	}
}

func merged(b *bench, limit, offset int) {
	member := func(department, typeName, table string) plan.Member {
		f := b.fetch(department, typeName, adapters.Shape{
			Table: table, Columns: []adapters.Column{{Name: "no"}, {Name: "issued", Kind: schema.DateTime}},
			Limit: &adapters.Bound{Param: -1, Plus: limit + offset + 1},
		}, nil)
		typename := named("certificates", "__typename")
		typename.Kind, typename.Const, typename.NonNull = plan.FieldTypename, []byte(`"`+typeName+`"`), true
		return plan.Member{
			Type: typeName, Fetch: f, MergeColumns: []int{1},
			Object: &plan.Object{Type: typeName, Fields: []*plan.Field{typename, leaf("certificates", "no", 0)}},
		}
	}
	root := list("", "certificates", true, member("health", "Birth", "birth"), member("police", "Permit", "permit"))
	root.Rows.Merge = []plan.MergeKey{{Kind: schema.DateTime}}
	root.Rows.Limit, root.Rows.Offset = windowOf(limit), windowOf(offset)
	b.root(root)
}

func TestMergedLists(t *testing.T) {
	for _, c := range []struct {
		limit, offset int
		want          string
		truncated     bool
	}{
		{10, 0, "b1 p1 b2 p2 b3", false},
		{5, 0, "b1 p1 b2 p2 b3", false},
		{4, 0, "b1 p1 b2 p2", true},
		{2, 1, "p1 b2", true},
		{2, 3, "p2 b3", false},
		{2, 9, "", false},
		{0, 0, "", true},
	} {
		b := newBench(t, certificates(), nil)
		merged(b, c.limit, c.offset)
		a := b.run(t.Context(), b.request(), nil)
		var got []string
		for _, part := range strings.Split(a.data, `"no":"`)[1:] {
			got = append(got, part[:2])
		}
		check(t, "order", strings.Join(got, " "), c.want)
		if strings.Contains(a.extension, "truncated") != c.truncated {
			t.Errorf("%+v: extension %s", c, a.extension)
		}
		if a.reads.Rows != uint64(len(got)) {
			t.Errorf("%+v: %d rows recorded", c, a.reads.Rows)
		}
	}
	b := newBench(t, certificates(), nil)
	merged(b, 1, 0)
	check(t, "data", b.run(t.Context(), b.request(), nil).data, `{"certificates":[{"__typename":"Birth","no":"b1"}]}`)
}
