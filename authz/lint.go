package authz

import (
	"fmt"
	"slices"
	"strings"

	"github.com/weir-data/weir/schema"
)

// Lint checks a parsed policy against the catalogue that it is for. Every
// finding has its place and a stable code; errors refuse the revision, warnings
// do not.
func Lint(p *Policy, c *schema.Catalogue, s Settings) schema.Diagnostics {
	l := newLinter(p, c, s)
	l.check()
	l.repetitions()
	l.found.Sort()
	return l.found
}

// Check is Lint but for the warnings of rules that others make idle, which cost
// most of its time and refuse nothing: [Table.Repetitions] gives those.
func Check(p *Policy, c *schema.Catalogue, s Settings) schema.Diagnostics {
	l := newLinter(p, c, s)
	l.check()
	l.found.Sort()
	return l.found
}

// Repetitions are the warnings of Lint that Check leaves out.
func (t *Table) Repetitions() schema.Diagnostics {
	l := newLinter(t.policy, t.catalogue, t.settings)
	l.words()
	l.reach()
	l.found = nil
	l.repetitions()
	l.found.Sort()
	return l.found
}

func (l *linter) check() {
	l.words()
	l.cycles()
	l.roles()
	l.duties()
	l.reach()
}

// linter holds what one Lint knows so far.
type linter struct {
	policy    *Policy
	catalogue *schema.Catalogue
	settings  Settings
	inherits  inheritance
	found     schema.Diagnostics
	// broken marks rules with a word that cannot be understood: nothing further
	// is said of them.
	broken []bool
	idle   []bool // marks rules that reach nothing, and are said to

	cells   []cell
	covered map[string][]*cell // cells by resource and department

	known     map[string][]string          // words by list
	suggested map[string]map[string]string // by list and word
}

func newLinter(p *Policy, c *schema.Catalogue, s Settings) *linter {
	return &linter{
		policy: p, catalogue: c, settings: s, inherits: p.inheritance(),
		broken: make([]bool, len(p.Rules)), idle: make([]bool, len(p.Rules)),
		known: map[string][]string{}, suggested: map[string]map[string]string{},
	}
}

func (l *linter) fail(at schema.Position, code, suggestion, format string, args ...any) {
	l.found = append(l.found, schema.Diagnostic{
		Position: at, Code: code, Message: fmt.Sprintf(format, args...), Suggestion: suggestion,
	})
}

func (l *linter) warn(at schema.Position, code, suggestion, format string, args ...any) {
	l.found = append(l.found, schema.Diagnostic{
		Position: at, Code: code, Message: fmt.Sprintf(format, args...), Suggestion: suggestion, Warning: true,
	})
}

// words checks what can be understood without looking at data: each column's
// vocabulary.
func (l *linter) words() {
	for i := range l.policy.Rules {
		before := len(l.found)
		l.wordsOf(&l.policy.Rules[i])
		l.broken[i] = len(l.found) > before
	}
	for i := range l.policy.Inherits {
		g := &l.policy.Inherits[i]
		for column, role := range [...]string{g.Role, g.Parent} {
			l.roleName(g.position(column), role)
		}
	}
}

func (l *linter) roleName(at schema.Position, role string) {
	switch {
	case role == "":
		l.fail(at, codeEmptyValue, "", "the role is empty")
	case strings.Contains(role, wildcard):
		l.fail(at, codeWildcard, "name the role", "a role has no wildcard")
	}
}

func (l *linter) wordsOf(r *Rule) {
	l.roleName(r.position(columnRole), r.Role)
	for column, text := range r.values() {
		if text == "" && column != columnRole {
			l.fail(r.position(column), codeEmptyValue, "", "a value is empty")
			return
		}
	}
	if r.Effect != effectAllow && r.Effect != effectDeny {
		l.fail(r.position(columnEffect), codeUnknownEffect, "write allow or deny", "unknown effect %q", r.Effect)
	}
	switch _, ok := parseAccess(r.Access); {
	case !ok:
		l.fail(r.position(columnAccess), codeUnknownAccess, l.near("access", r.Access, func() []string { return []string{"match", "aggregate", "mask", "clear", accessAny} }), "unknown access %q", r.Access)
	case r.Access == accessAny && r.Effect == effectAllow:
		l.fail(r.position(columnAccess), codeAnyInAllow, "name match, aggregate, mask or clear", "any is for denials")
	}
	if _, ok := l.catalogue.Levels.Rank(r.Level); !ok {
		l.fail(r.position(columnLevel), codeUnknownLevel, "there are "+strings.Join(levelNames(l.catalogue.Levels), ", "), "unknown level %q", r.Level)
	}
	if _, _, ok := parseResource(r.Resource); !ok {
		l.fail(r.position(columnResource), codeInvalidResource, "write *, Type.*, Type._row or Type.field", "%q is not a resource", r.Resource)
	}
	if r.Department != wildcard && strings.Contains(r.Department, wildcard) {
		l.fail(r.position(columnDepartment), codeWildcard, "write * alone, or a name", "%q mixes a name and a wildcard", r.Department)
	}
	if r.Purpose != wildcard {
		switch {
		case strings.Contains(r.Purpose, wildcard):
			l.fail(r.position(columnPurpose), codeWildcard, "write * alone, or a name", "%q mixes a name and a wildcard", r.Purpose)
		case r.Effect == effectDeny:
			l.fail(r.position(columnPurpose), codeDenyPurpose, "write *", "a denial holds for every purpose: naming another one must not shed it")
		}
	}
	if strings.Contains(r.Scope, wildcard) {
		l.fail(r.position(columnScope), codeWildcard, "write all", "a scope has no wildcard")
	}
}

func levelNames(levels schema.Levels) []string {
	out := make([]string, len(levels))
	for i := range levels {
		out[i] = levels[i].Name
	}
	return out
}

// maxDepth bounds how far roles inherit. Chains longer than this are mistakes,
// and every reader's decisions would cost their length.
const maxDepth = 128

// cycles refuses roles that inherit themselves, or without end.
func (l *linter) cycles() {
	const (
		open = iota + 1
		done
	)
	state := map[string]int{}
	height := map[string]int{}
	at := map[[2]string]schema.Position{}
	for i := range l.policy.Inherits {
		g := &l.policy.Inherits[i]
		if _, ok := at[[2]string{g.Role, g.Parent}]; !ok {
			at[[2]string{g.Role, g.Parent}] = g.Position
		}
	}
	var path []string
	var visit func(role string)
	visit = func(role string) {
		state[role] = open
		path = append(path, role)
		for _, parent := range l.inherits[role] {
			switch state[parent] {
			case open:
				cycle := append(slices.Clone(path[slices.Index(path, parent):]), parent)
				l.fail(at[[2]string{role, parent}], codeRoleCycle, "remove one of the lines", "roles inherit each other in a circle: %s", strings.Join(cycle, " -> "))
				continue
			case done:
			default:
				visit(parent)
			}
			height[role] = max(height[role], height[parent]+1)
			if height[role] == maxDepth+1 {
				l.fail(at[[2]string{role, parent}], codeRoleDepth, "", "role %q inherits through more than %d roles", role, maxDepth)
			}
		}
		path = path[:len(path)-1]
		state[role] = done
	}
	for _, g := range l.policy.Inherits {
		if state[g.Role] == 0 {
			visit(g.Role)
		}
	}
}

// roles finds names that nobody can hold or that say nothing.
func (l *linter) roles() {
	ruled, inherited, child := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for i := range l.policy.Rules {
		ruled[l.policy.Rules[i].Role] = true
	}
	for _, g := range l.policy.Inherits {
		inherited[g.Parent], child[g.Role] = true, true
	}
	configured := map[string]bool{}
	for _, r := range l.settings.Roles {
		configured[r] = true
	}
	said := map[string]bool{}
	roles := func() []string { return sortedKeys(ruled, configured) }
	for i := range l.policy.Inherits {
		g := &l.policy.Inherits[i]
		if g.Parent != "" && !ruled[g.Parent] && !child[g.Parent] && !configured[g.Parent] {
			l.fail(g.position(1), codeUnknownRole, l.suggest("role", g.Parent, roles), "no rule is about role %q", g.Parent)
		}
		if ruled[g.Role] || inherited[g.Role] || configured[g.Role] || g.Role == "" || said[g.Role] {
			continue
		}
		said[g.Role] = true
		if l.settings.Roles != nil {
			l.fail(g.position(0), codeUnknownRole, l.suggest("role", g.Role, roles), "no token carries role %q", g.Role)
		} else {
			l.warn(g.position(0), codeUnknownRole, l.suggest("role", g.Role, roles), "role %q has no rule of its own", g.Role)
		}
	}
	if l.settings.Roles == nil {
		return
	}
	for i := range l.policy.Rules {
		r := &l.policy.Rules[i]
		if r.Role == "" || configured[r.Role] || inherited[r.Role] || said[r.Role] {
			continue
		}
		said[r.Role] = true
		l.fail(r.position(columnRole), codeUnknownRole, l.suggest("configured role", r.Role, func() []string { return l.settings.Roles }), "no token carries role %q", r.Role)
	}
}

// duties keeps the offices apart, and away from departments' data.
func (l *linter) duties() {
	offices := l.settings.Offices.list()
	if len(offices) == 0 {
		return
	}
	said := map[string]bool{}
	for i := range l.policy.Inherits {
		g := &l.policy.Inherits[i]
		var held []string
		for _, r := range l.inherits.closure(g.Role) {
			if slices.Contains(offices, r) {
				held = append(held, r)
			}
		}
		if len(held) > 1 && !said[g.Role] {
			said[g.Role] = true
			l.fail(g.Position, codeDuties, "give the offices to different people", "role %q reaches %s", g.Role, strings.Join(held, " and "))
		}
		if slices.Contains(offices, g.Role) && !slices.Contains(offices, g.Parent) {
			l.fail(g.Position, codeDuties, "give the person a second account", "the office %q would read what %q reads", g.Role, g.Parent)
		}
	}
	for i := range l.policy.Rules {
		r := &l.policy.Rules[i]
		if slices.Contains(offices, r.Role) && r.Effect == effectAllow {
			l.fail(r.position(columnRole), codeDuties, "grant it to another role", "the office %q reads no department's data", r.Role)
		}
	}
}

func sortedKeys(sets ...map[string]bool) []string {
	var out []string
	for _, set := range sets {
		for k := range set {
			out = append(out, k)
		}
	}
	return sorted(out)
}

// maxSuggestions bounds how many words are compared with all of a list:
// a file in which every line is wrong needs no hundred thousand suggestions.
const maxSuggestions = 200

// suggest finds the known word closest to what was written. The words of a list
// are asked for once.
func (l *linter) suggest(list, word string, known func() []string) string {
	said := l.suggested[list]
	if said == nil {
		said = map[string]string{}
		l.suggested[list], l.known[list] = said, known()
	}
	s, ok := said[word]
	if !ok && len(said) < maxSuggestions {
		s = schema.DidYouMean(word, l.known[list]...)
		said[word] = s
	}
	return s
}

// near is suggest for short lists: where no word is close, all are named.
func (l *linter) near(list, word string, known func() []string) string {
	s := l.suggest(list, word, known)
	if words := l.known[list]; s == "" && len(words) > 0 && len(words) <= 8 {
		return "there are " + strings.Join(words, ", ")
	}
	return s
}
