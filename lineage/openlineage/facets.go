package openlineage

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// events are those of one run: its start, and its end with all it did. A window
// that the log has not passed yet is still running.
func (x *export) events(r *run, at, newest time.Time) [2]*event {
	o := x.options
	end := at.Add(o.Window)
	base := event{
		EventTime: instant(at), EventType: "START", Producer: producer, SchemaURL: eventSchema,
		Run: runOf{runID(o.Namespace, r.origin, r.job.name, instant(at), o.Window.String())}, Job: jobOf{o.Namespace, r.job.name},
	}
	start, last := base, base
	last.EventType, last.EventTime = "COMPLETE", instant(end)
	if newest.Before(end) {
		last.EventType, last.EventTime = "RUNNING", instant(time.UnixMicro(int64(r.last))) //nolint:gosec // it was one
	}
	last.Inputs = x.tables(r)
	last.Outputs = []dataset{x.answers(r, at)}
	return [2]*event{&start, &last}
}

// where is a table as a dataset.
func where(u *lineage.Use) (namespace, name string) { return "weir://" + u.Department, u.Table }

// tables are the inputs.
func (x *export) tables(r *run) (out []dataset) {
	type key struct{ namespace, name string }
	byKey := make(map[key]map[string]schema.Rank) // levels by column
	departments := make(map[key]string)
	for i := range r.job.uses {
		u := &r.job.uses[i]
		if !ofDepartment(*u) || !r.read(i) {
			continue
		}
		var k key
		k.namespace, k.name = where(u)
		if byKey[k] == nil {
			byKey[k] = make(map[string]schema.Rank)
		}
		departments[k] = u.Department
		if u.Column != "" {
			byKey[k][u.Column] = max(byKey[k][u.Column], u.Level)
		}
	}
	keys := slices.SortedFunc(maps.Keys(byKey), func(a, b key) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
	})
	for _, k := range keys {
		f := facets{
			Documentation: &documentation{facetOf(documentationSchema), fmt.Sprintf("Table %s of department %s, as read through Weir: the columns that were used.", k.name, departments[k])},
			Ownership:     &ownership{facetOf(ownershipSchema), []owner{{"department:" + departments[k], "OWNER"}}},
			Schema:        &columns{facetOf(schemaSchema), []column{}},
			Tags:          &tags{facetOf(tagsSchema), []tag{}},
		}
		var highest schema.Rank
		for _, c := range slices.Sorted(maps.Keys(byKey[k])) {
			f.Schema.Fields = append(f.Schema.Fields, column{c})
			f.Tags.Tags = append(f.Tags.Tags, tag{"level", x.options.Levels.Name(byKey[k][c]), tagSource, c})
			highest = max(highest, byKey[k][c])
		}
		f.Tags.Tags = append(f.Tags.Tags, tag{"classification", x.options.Levels.Name(highest), tagSource, ""})
		out = append(out, dataset{k.namespace, k.name, f})
	}
	return out
}

// read reports whether a use came to something: a query that could have used a
// column, and had no row or sent no statement, did not.
func (r *run) read(use int) bool {
	switch r.job.uses[use].Use {
	case lineage.Aggregate, lineage.Group:
		return true
	case lineage.Ref: // of a key of several columns the first alone is counted
		return r.rows > 0
	default:
		return r.counts[use].clear > 0 || r.counts[use].masked > 0
	}
}

// answers are the output: what the application was given in the window.
func (x *export) answers(r *run, at time.Time) dataset {
	l := lineageOf(r)
	f := facets{
		Documentation: &documentation{facetOf(documentationSchema), r.describe(x.options, at)},
		Ownership:     &ownership{facetOf(ownershipSchema), []owner{{"application:" + cmp.Or(r.job.application, "unknown"), "CONSUMER"}}},
		Schema:        &columns{facetOf(schemaSchema), []column{}},
		Tags:          &tags{facetOf(tagsSchema), []tag{}},
		ColumnLineage: l,
	}
	for _, name := range slices.Sorted(maps.Keys(l.Fields)) {
		f.Schema.Fields = append(f.Schema.Fields, column{name})
	}
	for _, c := range slices.Sorted(maps.Keys(r.consumers)) {
		f.Ownership.Owners = append(f.Ownership.Owners, owner{"department:" + cmp.Or(c, "unknown"), "CONSUMER"})
	}
	for _, p := range slices.Sorted(maps.Keys(r.purposes)) {
		if p != "" {
			f.Tags.Tags = append(f.Tags.Tags, tag{"purpose", p, tagSource, ""})
		}
	}
	return dataset{x.options.Namespace, r.job.name, f}
}

func (r *run) describe(o *Options, at time.Time) string {
	statuses := make([]string, 0, len(r.statuses))
	for _, s := range slices.Sorted(maps.Keys(r.statuses)) {
		statuses = append(statuses, fmt.Sprintf("%s %d", s, r.statuses[s]))
	}
	return fmt.Sprintf("Answers of node %s to operation %s of application %s, from %s to %s: requests %d (%s), rows %d.",
		r.origin, cmp.Or(r.job.operation, "unnamed"), cmp.Or(r.job.application, "unknown"), instant(at), instant(at.Add(o.Window)),
		r.records, strings.Join(statuses, ", "), r.rows)
}

// place is a column of an input.
type place struct{ namespace, name, field string }

// ways collects how columns reached something.
type ways map[place][]transformation

func (w ways) add(u *lineage.Use, t transformation) {
	p := place{field: u.Column}
	p.namespace, p.name = where(u)
	for i := range w[p] {
		if known := &w[p][i]; known.Type == t.Type && known.Subtype == t.Subtype && known.Description == t.Description && known.Masking == t.Masking {
			known.Cells += t.Cells
			return
		}
	}
	w[p] = append(w[p], t)
}

func (w ways) inputs() []input {
	keys := slices.SortedFunc(maps.Keys(w), func(a, b place) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name), cmp.Compare(a.field, b.field))
	})
	out := make([]input, 0, len(keys))
	for _, p := range keys {
		out = append(out, input{p.namespace, p.name, p.field, w[p]})
	}
	return out
}

// indirect is what a use does to an answer that does not show it.
var indirect = [...]transformation{
	lineage.Filter:    {Type: "INDIRECT", Subtype: "FILTER", Description: "the reader's filter"},
	lineage.Sort:      {Type: "INDIRECT", Subtype: "SORT", Description: "the order of rows"},
	lineage.Group:     {Type: "INDIRECT", Subtype: "GROUP_BY", Description: "the key of groups"},
	lineage.Match:     {Type: "INDIRECT", Subtype: "CONDITIONAL", Description: "compared with a value that the reader stated, not shown", Masking: true},
	lineage.Join:      {Type: "INDIRECT", Subtype: "JOIN", Description: "relates rows"},
	lineage.Scope:     {Type: "INDIRECT", Subtype: "FILTER", Description: "the policy's scope of rows"},
	lineage.Ref:       {Type: "INDIRECT", Subtype: "FILTER", Description: "the row of a sealed handle"},
	lineage.Aggregate: {},
	lineage.Tag:       {},
}

// refField is the field that shows a row's handle.
const refField = "_ref"

// lineageOf is the facet of an answer. What was withheld did not reach it.
func lineageOf(r *run) *columnLineage {
	fields, whole := make(map[string]ways), make(ways)
	handles := make(map[string]bool) // types whose handle was shown
	for i := range r.job.uses {
		if u := &r.job.uses[i]; u.Use == lineage.Ref && r.counts[i].clear > 0 {
			handles[u.Coordinate.Type] = true
		}
	}
	for i := range r.job.uses {
		u := &r.job.uses[i]
		if !ofDepartment(*u) || u.Column == "" || !r.read(i) {
			continue
		}
		to := u.Coordinate.String()
		reach := func(t transformation) {
			if fields[to] == nil {
				fields[to] = make(ways)
			}
			fields[to].add(u, t)
		}
		c := r.counts[i]
		if u.Use.ByStatement() {
			whole.add(u, indirect[u.Use]) // its count is of statements
			continue
		}
		switch {
		case u.Use == lineage.Ref && handles[u.Coordinate.Type]:
			to = schema.Coordinate{Type: u.Coordinate.Type, Field: refField}.String()
			reach(transformation{"DIRECT", "TRANSFORMATION", "sealed into the row's handle", true, c.clear})
			continue
		case u.Use == lineage.Aggregate:
			reach(transformation{"DIRECT", "AGGREGATION", "part of a number over many rows, with noise where its level asks for it", true, c.clear + c.masked})
			continue
		}
		if c.clear > 0 {
			reach(transformation{"DIRECT", "IDENTITY", "shown as it is", false, c.clear})
		}
		if c.masked > 0 {
			reach(transformation{"DIRECT", "TRANSFORMATION", "masked by policy", true, c.masked})
		}
		if u.Use != lineage.Select {
			whole.add(u, indirect[u.Use])
		}
	}
	out := &columnLineage{facet: facetOf(lineageSchema), Fields: make(map[string]inputs, len(fields)), Dataset: whole.inputs()}
	for name, w := range fields {
		out.Fields[name] = inputs{w.inputs()}
	}
	return out
}
