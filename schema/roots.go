package schema

import (
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// buildRoots names the generated roots and everything else that is generated,
// and finds names that are taken.
func (l *linter) buildRoots() {
	taken := map[string]string{} // root -> the type it belongs to
	for _, d := range l.order {
		api := d.Directives.ForName("api")
		switch d.Kind {
		case ast.Object:
			t := l.catalogue.Types[d.Name]
			t.API = l.typeAPI(t, api)
			l.roots(d, t.API, taken, t.Source.KeyFields)
		case ast.Interface:
			a := l.catalogue.Abstracts[d.Name]
			a.API = l.interfaceAPI(a, api)
			l.roots(d, a.API, taken, nil)
			if api != nil {
				l.uniformRef(a)
			}
		}
	}
	if len(l.catalogue.Roots) == 0 && len(l.catalogue.Types) > 0 && !l.found.Failed() {
		l.errorf(l.catalogue.Types[sortedKeys(l.catalogue.Types)[0]].Position, codeNoRoots, "all roots are switched off: nothing can be queried")
	}
	l.compareGenerated()
}

// root reads a RootName: the name given, byDefault for true, "" for off.
func (l *linter) root(d *ast.Directive, argument, byDefault string, on bool) string {
	a := l.argument(d, argument)
	switch {
	case a == nil && !on, a != nil && a.Value.Raw == "false" && a.Value.Kind == ast.BooleanValue:
		return ""
	case a == nil, a.Value.Kind == ast.BooleanValue:
		return byDefault
	}
	return l.rootName(a)
}

func (l *linter) rootName(a *ast.Argument) string {
	name := a.Value.Raw
	if name != "" && (!isName(name) || strings.HasPrefix(name, "_")) {
		l.errorf(place(a.Position), codeRootName, "%q cannot be the name of a root", name)
	}
	return name
}

// stems gives singular and plural.
func (l *linter) stems(d *ast.Directive, typeName string) (singular, plural string) {
	singular = lowerFirst(typeName)
	if a := l.argument(d, "singular"); a != nil {
		singular = l.stem(a, singular)
	}
	plural = singular + "s"
	if a := l.argument(d, "plural"); a != nil {
		plural = l.stem(a, plural)
	}
	return singular, plural
}

func (l *linter) stem(a *ast.Argument, byDefault string) string {
	if a.Value.Raw == "" {
		l.errorf(place(a.Position), codeRootName, "%s cannot be empty", a.Name)
		return byDefault
	}
	return l.rootName(a)
}

func (l *linter) typeAPI(t *Type, d *ast.Directive) API {
	var api API
	api.Singular, api.Plural = l.stems(d, t.Name)
	api.List = l.root(d, "list", api.Plural, true)
	api.Connection = l.root(d, "connection", api.Plural+"Connection", true)
	api.Aggregate = l.root(d, "aggregate", api.Plural+"Aggregate", true)
	// Without the whole key among the fields there is nothing to state, and
	// nothing to seal in a ref.
	keyed := len(t.Source.KeyFields) > 0
	api.Get = l.root(d, "get", api.Singular, keyed)
	api.Ref = l.root(d, "ref", api.Singular+"ByRef", keyed)
	api.Match = l.root(d, "match", api.Singular+"Match", keyed)
	if !keyed {
		for _, argument := range [...]string{"get", "ref", "match"} {
			if a := l.argument(d, argument); a != nil && l.root(d, argument, "on", false) != "" && t.Source.Key != nil {
				l.suggest(place(a.Position), codeRootKind, "declare fields over the whole key", "%s has no fields over its key, so it has no root %s", t.Name, argument)
			}
		}
		api.Get, api.Ref, api.Match = "", "", ""
	}
	if api.Match != "" && len(t.Expected()) == 0 {
		if a := l.argument(d, "match"); a != nil {
			l.suggest(place(a.Position), codeRootKind, "leave it out", "%s has no field to match beside its key: Booleans, enums, dates, fields of low entropy or under a PSEUDONYM could be guessed", t.Name)
		}
		api.Match = ""
	}
	if api.Match != "" && slices.Contains(t.Source.KeyFields, ExpectArgument) {
		l.suggest(t.Field(ExpectArgument).Position, codeRootKind, "another name with @column, or @api(match: false)",
			"%s has no root match: its key's argument %s is taken", t.Name, ExpectArgument)
		api.Match = ""
	}
	api.By = l.by(d, t.Name, t.Field)
	return api
}

func (l *linter) interfaceAPI(a *Abstract, d *ast.Directive) API {
	if d == nil {
		return API{}
	}
	var api API
	api.Singular, api.Plural = l.stems(d, a.Name)
	api.List = l.root(d, "list", api.Plural, false)
	api.Connection = l.root(d, "connection", api.Plural+"Connection", false)
	if used := l.argument(d, "connection"); used != nil && api.Connection != "" {
		l.found.warn(place(used.Position), codeRootKind, "pages over "+a.Name+" are not served: a position among rows of several types has no cursor", "list, which has limit and offset")
	}
	for _, argument := range [...]string{"get", "ref", "aggregate", "match"} {
		if used := l.argument(d, argument); used != nil && l.root(d, argument, "on", false) != "" {
			l.errorf(place(used.Position), codeRootKind, "an interface has no root %s", argument)
		}
	}
	api.By = l.by(d, a.Name, a.Field)
	return api
}

// by reads the fields that become required arguments.
func (l *linter) by(d *ast.Directive, owner string, field func(string) *Field) []string {
	names, places := l.texts(d, "by")
	for i, name := range names {
		f := field(name)
		switch {
		case slices.Contains(names[:i], name):
			l.errorf(places[i], codeByField, "%s stands here twice", name)
		case f == nil && l.definitions[owner].Fields.ForName(name) == nil:
			var known []string
			for _, k := range l.definitions[owner].Fields {
				known = append(known, k.Name)
			}
			l.suggest(places[i], codeUnknownField, didYouMean(name, known, quoted), "%s has no field %q", owner, name)
		case f != nil && !f.comparable():
			l.errorf(places[i], codeByField, "%s.%s cannot be an argument: %s", owner, name, f.whyIncomparable())
		case slices.Contains([]string{"where", "orderBy", "limit", "offset", "first", "after"}, name):
			l.errorf(places[i], codeByField, "the argument %s is taken", name)
		}
	}
	return names
}

// roots enters the roots of one type or interface.
func (l *linter) roots(d *ast.Definition, api API, taken map[string]string, keys []string) {
	at := place(d.Position)
	if used := d.Directives.ForName("api"); used != nil {
		at = place(used.Position)
	}
	abstract := d.Kind == ast.Interface
	for _, r := range [...]Root{
		{Name: api.Get, Kind: RootGet, Keys: keys},
		{Name: api.Ref, Kind: RootRef},
		{Name: api.List, Kind: RootList, By: api.By},
		{Name: api.Connection, Kind: RootConnection, By: api.By},
		{Name: api.Aggregate, Kind: RootAggregate, By: api.By},
		{Name: api.Match, Kind: RootMatch, Keys: keys},
	} {
		if r.Name == "" {
			continue
		}
		if owner, twice := taken[r.Name]; twice {
			l.suggest(at, codeRootCollision, "name it with @api", "the root %s of %s is a root of %s already", r.Name, d.Name, owner)
			continue
		}
		taken[r.Name] = d.Name
		r.Type, r.Abstract = d.Name, abstract
		l.catalogue.Roots[r.Name] = &r
	}
}

// uniformRef sees to it that all members of an interface have a _ref.
func (l *linter) uniformRef(a *Abstract) {
	for _, name := range a.Members {
		t := l.catalogue.Types[name]
		if slices.ContainsFunc(t.Source.Key, func(c string) bool { return fieldOver(t, c) == nil }) {
			l.suggest(t.Position, codeInterfaceMismatch, "declare fields over the whole key", "%s belongs to %s and has no _ref", name, a.Name)
		}
	}
}

// typeSuffixes are the endings of the types that are, or will be, generated for
// a sourced type or an interface; enumSuffixes those for enums and scalars.
var (
	typeSuffixes = [...]string{"Where", "Order", "Connection", "Edge", "Aggregate", "Group", "Sum", "Avg", "Min", "Max", "Expect"}
	enumSuffixes = [...]string{"Comparison", "ListComparison"}
)

// compareGenerated finds declared types with the names of generated ones, and
// generated ones with the same name.
func (l *linter) compareGenerated() {
	owner := map[string]string{}
	generate := func(from string, at Position, suffixes []string) {
		for _, s := range suffixes {
			name := from + s
			if first, twice := owner[name]; twice {
				l.errorf(at, codeNameCollision, "the type %s would be generated for %s and for %s", name, first, from)
				continue
			}
			owner[name] = from
		}
	}
	for _, s := range knownScalars() {
		generate(s, Position{}, enumSuffixes[:])
	}
	for _, d := range l.order {
		switch d.Kind {
		case ast.Object, ast.Interface:
			generate(d.Name, place(d.Position), typeSuffixes[:])
		case ast.Enum:
			generate(d.Name, place(d.Position), enumSuffixes[:])
		}
	}
	for _, d := range l.order {
		if from, taken := owner[d.Name]; taken {
			l.suggest(place(d.Position), codeNameCollision, "another name", "the type %s is generated for %s", d.Name, from)
		}
	}
}
