package plan

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// Build plans an operation. It gives a plan or refusals, never both; refusals
// come in document order, at most Limits.Errors of them. What is only withheld
// is no refusal: it is part of the plan.
//
// The plan is good for every request of the same generation whose [CacheKey] is
// equal; of the variables' values it holds none.
func Build(req *Request) (*Plan, Errors) {
	b := &builder{
		req: req, cat: req.Generation.Catalogue,
		plan:    &Plan{Name: req.Operation.Name, API: req.Document.shape.api, limits: req.Limits},
		views:   map[viewKey]*view{},
		shared:  map[string]*fetching{},
		stated:  map[string]*fetching{},
		uses:    map[lineage.Use]int{},
		touched: map[schema.Coordinate]struct{}{},
		cost:    &cost{},
		ordinal: -1,
	}
	b.plan.levels = b.cat.Levels
	if t := req.Generation.Table; t != nil {
		b.grantsOf = t.View(req.Profile)
	}
	b.plan.Root = b.query()
	b.plan.costs = b.cost.under
	if len(b.errs) == 0 {
		b.lowestCost()
	}
	for _, f := range b.building {
		b.finish(f)
	}
	if len(b.errs) == 0 {
		for _, f := range b.plan.Fetches {
			b.account(f)
		}
	}
	if len(b.errs) > 0 {
		return nil, b.errs
	}
	b.complete()
	return b.plan, nil
}

// builder is the state of one Build.
type builder struct {
	req      *Request
	cat      *schema.Catalogue
	grantsOf *authz.View
	plan     *Plan
	errs     Errors

	views    map[viewKey]*view
	building []*fetching          // parallel to plan.Fetches
	shared   map[string]*fetching // by source and signature
	stated   map[string]*fetching // roots by key or ref, by root
	uses     map[lineage.Use]int
	touched  map[schema.Coordinate]struct{}
	cost     *cost // the list that is being built
	ordinal  int   // of the folded root that is being built, -1 outside
}

// query builds the root object.
func (b *builder) query() *Object {
	root := &Object{Type: "Query"}
	if q := b.cat.API.Query; q != nil {
		root.Type = q.Name
	}
	for _, s := range b.collect(root.Type, b.req.Operation.SelectionSet) {
		f := b.field(s, "")
		switch s.nodes[0].Name {
		case "__typename":
			b.typename(f, root.Type)
		case "__schema", "__type":
			f.Kind, f.AST = FieldIntrospection, mergedField(s.nodes)
		default:
			b.root(f, s)
		}
		root.Fields = append(root.Fields, f)
	}
	return root
}

// mergedField is the first of the fields with the selections of all.
func mergedField(nodes []*ast.Field) *ast.Field {
	if len(nodes) == 1 {
		return nodes[0]
	}
	merged := *nodes[0]
	merged.SelectionSet = nil
	for _, n := range nodes {
		merged.SelectionSet = append(merged.SelectionSet, n.SelectionSet...)
	}
	return &merged
}

// field begins a field of an object whose path is given.
func (b *builder) field(s selection, parent string) *Field {
	node := s.nodes[0]
	f := &Field{Key: s.key, Quoted: []byte(`"` + s.key + `":`), Path: s.key, Use: -1}
	if parent != "" {
		f.Path = parent + "." + s.key
	}
	for _, n := range s.nodes {
		f.Locations = append(f.Locations, locations(n.Position)...)
	}
	if d := node.Definition; d != nil && d.Type != nil {
		f.NonNull = d.Type.NonNull
	}
	return f
}

func (b *builder) typename(f *Field, name string) {
	f.Kind, f.NonNull = FieldTypename, true
	f.Const = []byte(`"` + name + `"`)
}

// object builds what is written per row of a concrete type.
func (b *builder) object(f *fetching, nodes []*ast.Field, path string) *Object {
	t := f.view.typ
	o := &Object{Type: t.Name}
	for _, s := range b.collect(t.Name, sets(nodes)...) {
		out := b.field(s, path)
		name := s.nodes[0].Name
		field := t.Field(name)
		switch {
		case name == "__typename":
			b.typename(out, t.Name)
		case name == refField:
			b.ref(f, out)
		case field == nil:
			b.failf(Internal, "the catalogue has no "+t.Name+"."+name, out.Path, s.nodes[0].Position)
		case field.Relation != nil:
			b.relation(f, out, field, s)
		default:
			b.leaf(f, out, field)
		}
		o.Fields = append(o.Fields, out)
	}
	return o
}

// refField is the opaque handle that every sourced type has.
const refField = "_ref"

// leaf decides a column's field. A column that is withheld on every row in view
// is not read.
func (b *builder) leaf(f *fetching, out *Field, field *schema.Field) {
	c := f.view.cell(field)
	out.Coordinate, out.Scalar, out.Form = field.Coordinate, field.Kind, adapters.FormOf(field.Kind, field.List)
	out.Use = b.use(f.view.typ, field, lineage.Select)
	b.describe(out, c)
	if clearly, masked, _ := c.outcomes(); !clearly && !masked {
		out.Kind = FieldWithheld
		out.Decision = Decision{Mask: maskOf(field), Level: field.Level, Reason: c.reason()}
		return
	}
	out.Kind = FieldLeaf
	out.Decision = b.decision(f, c)
	f.cell(field, true, &out.Column)
}

// ref makes the handle: the key, sealed for this reader. It needs no right but
// that the row exists for him.
func (b *builder) ref(f *fetching, out *Field) {
	t := f.view.typ
	out.Kind, out.RefType = FieldRef, t.Name
	out.Coordinate = schema.Coordinate{Type: t.Name, Field: refField}
	out.RefColumns = make([]int, len(t.Source.Key))
	for i, field := range keyFields(t) {
		use := b.use(t, field, lineage.Ref)
		if i == 0 {
			out.Use = use
		}
		f.cell(field, false, &out.RefColumns[i])
	}
}

// keyFields gives the fields over the key's columns; a column without one
// counts as a String of the row's own.
func keyFields(t *schema.Type) []*schema.Field {
	out := make([]*schema.Field, 0, len(t.Source.Key))
	for _, column := range t.Source.Key {
		out = append(out, columnField(t, column, schema.String))
	}
	return out
}

// members gives the concrete types behind a type's or abstract's name, sorted.
func (b *builder) members(name string) []*schema.Type {
	if t := b.cat.Types[name]; t != nil {
		return []*schema.Type{t}
	}
	// Types that are hidden from the reader are no members that he could miss.
	api := b.req.Document.shape.api
	a := b.cat.Abstracts[name]
	if a == nil {
		return nil
	}
	out := make([]*schema.Type, 0, len(a.Members))
	for _, m := range a.Members {
		if t := b.cat.Types[m]; t != nil && api.Types[m] != nil {
			out = append(out, t)
		}
	}
	return out
}

func (b *builder) capabilities(department string) (adapters.Capabilities, bool) {
	if b.req.Sources == nil {
		return adapters.Capabilities{}, false
	}
	return b.req.Sources.Capabilities(department)
}

// fail adds a refusal, as long as there is room. The types of an interface give
// the same one each; it counts once.
func (b *builder) fail(e *Error) {
	if slices.ContainsFunc(b.errs, func(have *Error) bool {
		return have.Code == e.Code && have.Message == e.Message && have.Path == e.Path && slices.Equal(have.Locations, e.Locations)
	}) {
		return
	}
	if len(b.errs) < max(1, b.req.Limits.Errors) {
		b.errs = append(b.errs, e)
	}
}

func (b *builder) failf(code Code, message, path string, at *ast.Position) {
	b.fail(&Error{Code: code, Message: message, Path: path, Locations: locations(at)})
}

// lowestCost refuses what is too costly whatever the variables are.
func (b *builder) lowestCost() {
	c := costing{unknown: true, limit: b.req.Limits.Errors}
	total := 0
	for _, l := range b.plan.costs {
		total = saturate(total + c.rows(l))
	}
	if total > b.req.Limits.Rows {
		b.fail(tooCostly(b.req.Limits.Rows))
	}
}

// complete fills in what is derived from the rest.
func (b *builder) complete() {
	p := b.plan
	departments := map[string]struct{}{}
	for _, f := range p.Fetches {
		departments[f.Department] = struct{}{}
	}
	p.Departments = sortedKeys(departments, cmp.Compare[string])
	p.Touched = sortedKeys(b.touched, func(x, y schema.Coordinate) int {
		return cmp.Or(cmp.Compare(x.Type, y.Type), cmp.Compare(x.Field, y.Field))
	})
	for _, u := range p.Uses {
		if u.Use != lineage.Tag && u.Use != lineage.Ref {
			p.Level = max(p.Level, u.Level)
		}
	}
	p.Fingerprint = FingerprintOf(b.req.Generation, b.req.Document, b.req.Operation, b.req.Profile)
	// Names and words only: it cannot fail.
	p.Access.JSON, _ = json.Marshal(&p.Access)
}

func sortedKeys[K comparable](m map[K]struct{}, compare func(K, K) int) []K {
	out := make([]K, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.SortFunc(out, compare)
	return out
}
