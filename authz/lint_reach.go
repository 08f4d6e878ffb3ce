package authz

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/weir-data/weir/schema"
)

// reach checks each rule against the coordinates it is about.
func (l *linter) reach() {
	l.cells = cells(l.catalogue)
	l.covered = make(map[string][]*cell)
	granted := false
	for i := range l.policy.Rules {
		if l.broken[i] {
			continue
		}
		r := &l.policy.Rules[i]
		if !l.names(r) || !l.reachOf(r) {
			l.idle[i] = true
			continue
		}
		granted = granted || r.Effect == effectAllow
	}
	if !granted && !l.found.Failed() {
		at := schema.Position{}
		if len(l.policy.Rules) > 0 {
			at = l.policy.Rules[0].Position
		}
		l.fail(at, codeNothingGranted, "add a rule that allows something", "the policy grants nothing to anybody")
	}
}

// names checks that what the rule names exists.
func (l *linter) names(r *Rule) bool {
	before := len(l.found)
	if r.Department != wildcard && !l.hasDepartment(r.Department) {
		l.fail(r.position(columnDepartment), codeUnknownDepartment, l.near("department", r.Department, l.departments), "unknown department %q", r.Department)
	}
	if typ, field, _ := parseResource(r.Resource); typ != "" {
		t := l.catalogue.Types[typ]
		switch {
		case t == nil:
			l.fail(r.position(columnResource), codeUnknownType, l.suggest("type", typ, l.types), "unknown type %q", typ)
		case field != "" && field != wildcard && t.Field(field) == nil:
			l.fail(r.position(columnResource), codeUnknownField, l.suggest(typ, field, func() []string { return fieldNames(t) }), "type %q has no field %q", typ, field)
		case r.Department != wildcard && l.hasDepartment(r.Department) && t.Source.Department != r.Department:
			l.fail(r.position(columnDepartment), codeWrongDepartment, "write "+t.Source.Department, "type %q is department %q's", typ, t.Source.Department)
		}
	}
	if r.Purpose != wildcard && !slices.Contains(l.settings.Purposes, r.Purpose) {
		l.fail(r.position(columnPurpose), codeUnknownPurpose, l.near("purpose", r.Purpose, func() []string { return l.settings.Purposes }), "purpose %q is not registered", r.Purpose)
	}
	if !builtin(r.Scope) && !l.hasScope(r.Scope) {
		l.fail(r.position(columnScope), codeUnknownScope, l.near("scope", r.Scope, l.scopes), "unknown scope %q", r.Scope)
	}
	return len(l.found) == before
}

// reachOf checks what the rule reaches, and tells whether that is anything.
func (l *linter) reachOf(r *Rule) bool {
	level, _ := l.catalogue.Levels.Rank(r.Level)
	c := compiled{department: r.Department, level: level, scope: r.Scope, deny: r.deny()}
	levelled, scoped, shared := 0, 0, 0
	var undeclared string
	var guessable []string
	for _, at := range l.cellsOf(r) {
		if !c.reaches(at) {
			continue
		}
		levelled++
		if !builtin(r.Scope) && at.typ.Scope(r.Scope) == nil {
			if undeclared == "" {
				undeclared = at.coordinate.Type
			}
			continue
		}
		if r.Scope == ScopeSelf && !at.personal {
			continue
		}
		scoped++
		// Some reader's department lets a rule through a WITHHELD type.
		if c.deny || at.sharing != schema.Conditional || c.shared(at, &side{}) {
			shared++
		}
		if why := guess(at); why != "" && r.Access == "match" && r.Effect == effectAllow {
			guessable = append(guessable, at.coordinate.String()+" ("+why+")")
		}
	}
	switch {
	case levelled == 0 && r.deny():
		l.warn(r.position(columnLevel), codeNeverMatters, "", "nothing in %s is of level %s or above", r.Resource, r.Level)
	case levelled == 0:
		l.warn(r.position(columnLevel), codeNeverMatters, "", "nothing in %s is of level %s or below", r.Resource, r.Level)
	case undeclared != "" && (scoped == 0 || r.deny()):
		l.fail(r.position(columnScope), codeScopeNotDeclared, "declare it there with @scope, or name the types that do", "type %q does not declare scope %q", undeclared, r.Scope)
	case scoped == 0:
		l.warn(r.position(columnScope), codeNeverMatters, "mark the field that identifies the person with @subject", "nothing in %s is about a person", r.Resource)
	case shared == 0:
		l.warn(r.position(columnDepartment), codeNeverMatters, "name the department", "%s is shared conditionally: only a rule that names the department reaches it", r.Resource)
	}
	if len(guessable) > 0 {
		l.fail(r.position(columnAccess), codeGuessable, "name the fields to match, without these", "so few values can be tried one by one: %s", strings.Join(guessable[:min(5, len(guessable))], ", "))
	}
	return shared > 0
}

// guess says why a match on the cell would give its value away, "" if it would
// not.
func guess(c *cell) string {
	if f := c.typ.Field(c.coordinate.Field); f != nil {
		return f.Guessable()
	}
	return ""
}

// cellsOf lists the cells that the rule's department and resource cover.
func (l *linter) cellsOf(r *Rule) []*cell {
	key := r.Department + "\x00" + r.Resource
	if out, ok := l.covered[key]; ok {
		return out
	}
	var out []*cell
	for i := range l.cells {
		c := &l.cells[i]
		if slices.Contains(c.resources[:], r.Resource) && (r.Department == wildcard || r.Department == c.department) {
			out = append(out, c)
		}
	}
	l.covered[key] = out
	return out
}

func builtin(scope string) bool {
	switch scope {
	case ScopeAll, ScopeByKey, ScopeSelf, ScopeOwnDepartment:
		return true
	}
	return false
}

func (l *linter) departments() []string {
	var out []string
	for _, t := range l.catalogue.Types {
		out = append(out, t.Source.Department)
	}
	return sorted(append(out, l.catalogue.Departments...))
}

func (l *linter) hasDepartment(name string) bool {
	if slices.Contains(l.catalogue.Departments, name) {
		return true
	}
	for _, t := range l.catalogue.Types {
		if t.Source.Department == name {
			return true
		}
	}
	return false
}

func (l *linter) types() []string {
	var out []string
	for n := range l.catalogue.Types {
		out = append(out, n)
	}
	return sorted(out)
}

func fieldNames(t *schema.Type) []string {
	out := []string{rowResource}
	for _, f := range t.Fields {
		out = append(out, f.Name)
	}
	return out
}

func (l *linter) hasScope(name string) bool {
	for _, t := range l.catalogue.Types {
		if t.Scope(name) != nil {
			return true
		}
	}
	return false
}

func (l *linter) scopes() []string {
	out := []string{ScopeAll, ScopeByKey, ScopeSelf, ScopeOwnDepartment}
	for _, t := range l.catalogue.Types {
		for _, s := range t.Scopes {
			out = append(out, s.Name)
		}
	}
	return sorted(out)
}

// repetitions warns of rules that others make idle.
func (l *linter) repetitions() {
	at := make(map[words][]int, len(l.policy.Rules))
	for i := range l.policy.Rules {
		if !l.broken[i] && !l.idle[i] {
			w := wordsFor(&l.policy.Rules[i])
			at[w] = append(at[w], i)
		}
	}
	closures := map[string][]string{}
	for i := range l.policy.Rules {
		if l.broken[i] || l.idle[i] {
			continue
		}
		r := &l.policy.Rules[i]
		roles, ok := closures[r.Role]
		if !ok {
			roles = l.inherits.closure(r.Role)
			closures[r.Role] = roles
		}
		l.repeats(at, roles, i)
	}
}

// words are a rule's words but for level and access, which are compared.
type words struct {
	role, department, resource, purpose, scope, effect string
}

func wordsFor(r *Rule) words {
	return words{r.Role, r.Department, r.Resource, r.Purpose, r.Scope, r.Effect}
}

// repeats looks for one rule that makes rule i idle.
func (l *linter) repeats(at map[words][]int, roles []string, i int) {
	r := &l.policy.Rules[i]
	for _, w := range broader(r, roles, r.Effect) {
		for _, j := range at[w] {
			o := &l.policy.Rules[j]
			if i == j || !l.atLeast(o, r) || l.atLeast(r, o) && wordsFor(o) == wordsFor(r) && j > i {
				continue
			}
			if o.values() == r.values() {
				l.warn(r.Position, codeDuplicate, "remove it", "the rule stands already at %s", place(o.Position, r.Position))
			} else {
				l.warn(r.Position, codeShadowed, "remove it", "the rule adds nothing to %s", place(o.Position, r.Position))
			}
			return
		}
	}
	if r.deny() {
		return
	}
	for _, w := range broader(r, roles, effectDeny) {
		for _, j := range at[w] {
			if o := &l.policy.Rules[j]; l.undoes(o, r) {
				l.warn(r.Position, codeContradiction, "remove one of them", "all that the rule allows is denied at %s", place(o.Position, r.Position))
				return
			}
		}
	}
}

// broader lists the words of the rules that apply wherever r does.
func broader(r *Rule, roles []string, effect string) []words {
	departments, resources := []string{r.Department}, []string{r.Resource}
	purposes, scopes := []string{r.Purpose}, []string{r.Scope}
	if r.Department != wildcard && effect == effectDeny {
		departments = append(departments, wildcard)
	}
	if typ, field, _ := parseResource(r.Resource); typ != "" {
		if field != wildcard {
			resources = append(resources, typ+"."+wildcard)
		}
		resources = append(resources, wildcard)
	}
	if r.Purpose != wildcard {
		purposes = append(purposes, wildcard)
	}
	// A sharing class may let self through and stop all.
	if r.Scope != ScopeAll && (r.Scope != ScopeSelf || effect == effectDeny) {
		scopes = append(scopes, ScopeAll)
	}
	var out []words
	for _, role := range roles {
		for _, d := range departments {
			for _, res := range resources {
				for _, p := range purposes {
					for _, s := range scopes {
						out = append(out, words{role, d, res, p, s, effect})
					}
				}
			}
		}
	}
	return out
}

// atLeast reports whether o grants or removes all that r does, their words
// being broader.
func (l *linter) atLeast(o, r *Rule) bool {
	have, _ := parseAccess(o.Access)
	want, _ := parseAccess(r.Access)
	a, _ := l.catalogue.Levels.Rank(o.Level)
	b, _ := l.catalogue.Levels.Rank(r.Level)
	if r.deny() {
		return a <= b && have.Denied().Has(want.Denied())
	}
	return a >= b && have.Closure().Has(want.Closure())
}

// undoes reports whether the denial o removes all that the allow r grants.
func (l *linter) undoes(o, r *Rule) bool {
	removed, _ := parseAccess(o.Access)
	granted, _ := parseAccess(r.Access)
	if !removed.Denied().Has(granted.Closure()) {
		return false
	}
	from, _ := l.catalogue.Levels.Rank(o.Level)
	upTo, _ := l.catalogue.Levels.Rank(r.Level)
	for _, c := range l.cellsOf(r) {
		if c.level <= upTo && c.level < from {
			return false
		}
	}
	return true
}

// place names a line to somebody who reads a finding at another one.
func place(at, from schema.Position) string {
	if at.File == from.File {
		return fmt.Sprintf("line %d", at.Line)
	}
	return fmt.Sprintf("%s:%d", filepath.Base(at.File), at.Line)
}
