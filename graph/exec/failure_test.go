package exec

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/graph/plan"
)

// A source that breaks the contract of its rows is an error of its own fields:
// no row reaches a parent that it may not belong to, and no cell another column.
func TestSourceBreaksTheContract(t *testing.T) {
	for name, spoil := range map[string]func(*adapters.Batch){
		"a column more":          func(b *adapters.Batch) { b.Cols++ },
		"a cell less":            func(b *adapters.Batch) { b.Ends = b.Ends[1:] },
		"scopes are missing":     func(b *adapters.Batch) { b.True = b.True[1:] },
		"unknowns are missing":   func(b *adapters.Batch) { b.Unknown = b.Unknown[1:] },
		"parents are missing":    func(b *adapters.Batch) { b.Parent = b.Parent[1:] },
		"a parent that is none":  func(b *adapters.Batch) { b.Parent[len(b.Parent)-1] = 3 },
		"parents out of order":   func(b *adapters.Batch) { slices.Reverse(b.Parent) },
		"a parent far out of it": func(b *adapters.Batch) { b.Parent[0] = 1<<32 - 1 },
	} {
		t.Run(name, func(t *testing.T) {
			source := people()
			source.tables["permit"].spoil = spoil
			b := newBench(t, map[string]*memory{"police": source}, func(c *Config) { c.Report = nil })
			person := b.fetch("police", "Person", adapters.Shape{Table: "person", Columns: textColumns("id")}, nil)
			permit := b.fetch("police", "Permit", adapters.Shape{Table: "permit", Columns: textColumns("no"), Keys: textColumns("holder")},
				func(f *plan.Fetch) { f.Parent, f.ParentColumns, f.Traverse = person, []int{0}, cleared() })
			b.root(list("", "people", true, plan.Member{Fetch: person, Object: &plan.Object{Fields: []*plan.Field{
				list("people", "permits", true, plan.Member{Fetch: permit, Object: &plan.Object{Fields: []*plan.Field{leaf("people.permits", "no", 0)}}}),
			}}}))
			a := b.run(t.Context(), b.request(), nil)
			check(t, "data", a.data, `{"people":[{"permits":null},{"permits":null},{"permits":null}]}`)
			if len(a.errors) != 1 || !strings.HasPrefix(a.errors[0], "INTERNAL ") {
				t.Errorf("errors %v", a.errors)
			}
		})
	}
}

func TestPartialFailure(t *testing.T) {
	for _, c := range []struct {
		err  error
		code string
	}{
		{&adapters.Error{Kind: adapters.Unavailable}, "SOURCE_UNAVAILABLE"},
		{&adapters.Error{Kind: adapters.Timeout}, "SOURCE_TIMEOUT"},
		{context.DeadlineExceeded, "SOURCE_TIMEOUT"},
		{&adapters.Error{Kind: adapters.Invalid, Cause: errors.New("canary")}, "SOURCE_UNAVAILABLE"},
		{errors.New("canary"), "SOURCE_UNAVAILABLE"},
	} {
		sources := certificates()
		sources["police"].before = func(context.Context, string) error { return c.err }
		b := newBench(t, sources, nil)
		merged(b, 10, 0)
		f := b.fetch("health", "Birth", adapters.Shape{Table: "birth", Columns: textColumns("no")}, nil)
		b.root(list("", "births", true, plan.Member{Fetch: f, Object: &plan.Object{Fields: []*plan.Field{leaf("births", "no", 0)}}}))
		a := b.run(t.Context(), b.request(), nil)
		check(t, "data", a.data, `{"certificates":null,"births":[{"no":"b1"},{"no":"b2"},{"no":"b3"}]}`)
		if diff := cmp.Diff([]string{c.code + " certificates certificates x1"}, a.errors); diff != "" {
			t.Error(diff)
		}
		check(t, "code", a.reads.Code, c.code)
		if len(a.reads.Sources) != 2 || a.reads.Sources[0].Failed || !a.reads.Sources[1].Failed {
			t.Errorf("sources %+v", a.reads.Sources)
		}

		req := b.request()
		req.PartialLists = true
		a = b.run(t.Context(), req, nil)
		if !strings.HasPrefix(a.data, `{"certificates":[{"__typename":"Birth","no":"b1"}`) || len(a.errors) != 1 {
			t.Errorf("partial list: %s %v", a.data, a.errors)
		}
	}
}

// A parent's failure costs its children, which are not fetched.
func TestFailedParent(t *testing.T) {
	source := people()
	source.before = func(_ context.Context, table string) error {
		if table == "person" {
			return &adapters.Error{Kind: adapters.Unavailable}
		}
		return nil
	}
	b := newBench(t, map[string]*memory{"police": source}, nil)
	person := b.fetch("police", "Person", adapters.Shape{Table: "person", Columns: textColumns("id")}, nil)
	permit := b.fetch("police", "Permit", adapters.Shape{Table: "permit", Columns: textColumns("no"), Keys: textColumns("holder")},
		func(f *plan.Fetch) { f.Parent, f.ParentColumns, f.Traverse = person, []int{0}, cleared() })
	b.root(list("", "people", true, plan.Member{Fetch: person, Object: &plan.Object{Fields: []*plan.Field{
		list("people", "permits", true, plan.Member{Fetch: permit, Object: &plan.Object{Fields: []*plan.Field{leaf("people.permits", "no", 0)}}}),
	}}}))
	a := b.run(t.Context(), b.request(), nil)
	check(t, "data", a.data, `{"people":null}`)
	if n := source.fetches.Load(); n != 1 || len(a.errors) != 1 {
		t.Errorf("%d statements, errors %v", n, a.errors)
	}
}

// One error per selection, at the first position, counted; the other rows keep
// their data.
func TestBadCells(t *testing.T) {
	source := people()
	source.tables["person"].rows[1][1] = badCell
	source.tables["person"].rows[2][1] = badCell
	for _, nonNull := range []bool{false, true} {
		b := newBench(t, map[string]*memory{"police": source}, nil)
		f := b.fetch("police", "Person", adapters.Shape{Table: "person", Columns: textColumns("id", "name")}, nil)
		name := leaf("people", "name", 1)
		name.NonNull = nonNull
		b.root(list("", "people", true, plan.Member{Fetch: f, Object: &plan.Object{Fields: []*plan.Field{leaf("people", "id", 0), name}}}))
		a := b.run(t.Context(), b.request(), nil)
		if nonNull {
			check(t, "data", a.data, `{"people":null}`)
			if diff := cmp.Diff([]string{"INTERNAL people[1].name people.name x1"}, a.errors); diff != "" {
				t.Error(diff)
			}
			continue
		}
		check(t, "data", a.data, `{"people":[{"id":"1","name":"张伟"},{"id":"2","name":null},{"id":"3","name":null}]}`)
		if diff := cmp.Diff([]string{"INTERNAL people[1].name people.name x2"}, a.errors); diff != "" {
			t.Error(diff)
		}
	}
}

// A cell that is bad is no error for who may see only its mask.
func TestBadMaskedCellIsSilent(t *testing.T) {
	source := people()
	source.tables["person"].rows = [][]string{{"1", badCell, "x"}, {"2", nullCell, "x"}}
	b := newBench(t, map[string]*memory{"police": source}, nil)
	f := b.fetch("police", "Person", adapters.Shape{Table: "person", Columns: textColumns("name")}, nil)
	name := leaf("people", "name", 0)
	name.Decision = plan.Decision{Base: authz.Mask, Mask: "NAME"}
	b.root(list("", "people", true, plan.Member{Fetch: f, Object: &plan.Object{Fields: []*plan.Field{name}}}))
	a := b.run(t.Context(), b.request(), nil)
	check(t, "data", a.data, `{"people":[{"name":null},{"name":null}]}`)
	if a.errors != nil {
		t.Error(a.errors)
	}
}

// A slow department costs its own fields only, and no longer than its limit.
func TestSlowDepartment(t *testing.T) {
	sources := certificates()
	sources["police"].before = func(ctx context.Context, _ string) error {
		<-ctx.Done()
		return &adapters.Error{Kind: adapters.Timeout, Cause: ctx.Err()}
	}
	b := newBench(t, sources, func(c *Config) {
		c.Departments = map[string]DepartmentLimits{"police": {Timeout: 20 * time.Millisecond, Concurrency: 1}}
	})
	for _, department := range []string{"health", "police"} {
		table := map[string]string{"health": "birth", "police": "permit"}[department]
		f := b.fetch(department, "T", adapters.Shape{Table: table, Columns: textColumns("no")}, nil)
		b.root(list("", department, true, plan.Member{Fetch: f, Object: &plan.Object{Fields: []*plan.Field{leaf(department, "no", 0)}}}))
	}
	a := b.run(t.Context(), b.request(), nil)
	check(t, "data", a.data, `{"health":[{"no":"b1"},{"no":"b2"},{"no":"b3"}],"police":null}`)
	if diff := cmp.Diff([]string{"SOURCE_TIMEOUT police police x1"}, a.errors); diff != "" {
		t.Error(diff)
	}
	// The only place is taken: waiting for it ends at the same limit.
	b.executor.department("police").slots <- struct{}{}
	a = b.run(t.Context(), b.request(), nil)
	if len(a.errors) != 1 || !strings.HasPrefix(a.errors[0], "SOURCE_TIMEOUT") {
		t.Errorf("errors %v", a.errors)
	}
	<-b.executor.department("police").slots
}

// A request ends at its own deadline, though its context has none and the
// department may take longer; a fetch, and waiting for the place of one.
func TestRequestDeadline(t *testing.T) {
	sources := certificates()
	sources["police"].before = func(ctx context.Context, _ string) error {
		<-ctx.Done()
		return &adapters.Error{Kind: adapters.Timeout, Cause: ctx.Err()}
	}
	b := newBench(t, sources, func(c *Config) {
		c.Departments = map[string]DepartmentLimits{"police": {Timeout: time.Hour, Concurrency: 1}}
	})
	f := b.fetch("police", "T", adapters.Shape{Table: "permit", Columns: textColumns("no")}, nil)
	b.root(list("", "police", true, plan.Member{Fetch: f, Object: &plan.Object{Fields: []*plan.Field{leaf("police", "no", 0)}}}))
	for _, taken := range []bool{false, true} {
		if taken {
			b.executor.department("police").slots <- struct{}{}
		}
		req := b.request()
		req.Deadline = time.Now().Add(20 * time.Millisecond)
		a := b.run(t.Context(), req, nil)
		check(t, "data", a.data, `{"police":null}`)
		if diff := cmp.Diff([]string{"SOURCE_TIMEOUT police police x1"}, a.errors); diff != "" {
			t.Errorf("taken %t: %s", taken, diff)
		}
		if taken {
			<-b.executor.department("police").slots
		}
	}
}

func TestPanicIsContained(t *testing.T) {
	sources := certificates()
	sources["police"].before = func(context.Context, string) error { panic("canary") }
	var cause error
	b := newBench(t, sources, func(c *Config) {
		c.Observe = func(f Fetched) {
			if f.Department == "police" {
				cause = f.Cause
			}
		}
	})
	merged(b, 10, 0)
	a := b.run(t.Context(), b.request(), nil)
	check(t, "data", a.data, `{"certificates":null}`)
	if diff := cmp.Diff([]string{"INTERNAL certificates certificates x1"}, a.errors); diff != "" {
		t.Error(diff)
	}
	if cause == nil || strings.Contains(cause.Error(), "canary") || !strings.Contains(cause.Error(), "failure_test.go:") {
		t.Errorf("cause %v", cause)
	}
}

func TestLimitsOnRowsAndBytes(t *testing.T) {
	for name, adjust := range map[string]func(*Config){
		"rows":  func(c *Config) { c.MaxRows = 2 },
		"bytes": func(c *Config) { c.MaxBytes = 3 },
	} {
		b := newBench(t, map[string]*memory{"police": people()}, adjust)
		f := b.fetch("police", "Person", adapters.Shape{Table: "person", Columns: textColumns("name")}, nil)
		b.root(list("", "people", true, plan.Member{Fetch: f, Object: &plan.Object{Fields: []*plan.Field{leaf("people", "name", 0)}}}))
		a := b.run(t.Context(), b.request(), nil)
		check(t, name, a.data, `{"people":null}`)
		if diff := cmp.Diff([]string{"LIMIT_EXCEEDED people people x1"}, a.errors); diff != "" {
			t.Error(diff)
		}
	}
}

// A source that fails behind its first rows gives none of them.
func TestFailureBehindRows(t *testing.T) {
	source := people()
	source.tables["person"].afterRows = &adapters.Error{Kind: adapters.Unavailable}
	b := newBench(t, map[string]*memory{"police": source}, nil)
	f := b.fetch("police", "Person", adapters.Shape{Table: "person", Columns: textColumns("name")}, nil)
	b.root(list("", "people", true, plan.Member{Fetch: f, Object: &plan.Object{Fields: []*plan.Field{leaf("people", "name", 0)}}}))
	a := b.run(t.Context(), b.request(), nil)
	check(t, "data", a.data, `{"people":null}`)
	if a.reads.Rows != 0 {
		t.Errorf("%d rows recorded", a.reads.Rows)
	}
}

// A department that is down is an error wherever its rows were asked for: also
// where every key that leads there is NULL, which is nobody's to learn.
func TestFailureShowsNoNull(t *testing.T) {
	answers := map[string]string{}
	for _, key := range []string{"1", "dangling", nullCell} {
		source := people()
		for _, row := range source.tables["person"].rows {
			row[0] = key
		}
		source.before = func(_ context.Context, table string) error {
			if table == "person" {
				return nil
			}
			return &adapters.Error{Kind: adapters.Unavailable}
		}
		b := newBench(t, map[string]*memory{"police": source}, nil)
		parent := b.fetch("police", "Person", adapters.Shape{Table: "person", Columns: textColumns("id")}, nil)
		child := b.fetch("police", "Permit", adapters.Shape{Table: "permit", Columns: textColumns("no"), Keys: textColumns("holder")}, func(f *plan.Fetch) {
			f.Parent, f.ParentColumns, f.Traverse = parent, []int{0}, cleared()
		})
		permits := list("people", "permits", true, plan.Member{Fetch: child, Object: &plan.Object{Fields: []*plan.Field{leaf("people.permits", "no", 0)}}})
		b.root(list("", "people", true, plan.Member{Fetch: parent, Object: &plan.Object{Fields: []*plan.Field{permits}}}))
		a := b.run(t.Context(), b.request(), nil)
		answers[a.data+strings.Join(a.errors, "\n")] = key
	}
	if len(answers) != 1 {
		t.Errorf("the answers tell NULL from a key: %v", answers)
	}
}
