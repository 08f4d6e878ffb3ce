package authz

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/weir-data/weir/schema"
)

// Direction says how decisions differ. A change may be both.
type Direction struct {
	// Widens: some reader gets more on some row.
	Widens bool
	// Narrows: some reader gets less on some row.
	Narrows bool
}

// Changed reports whether anything differs.
func (d Direction) Changed() bool { return d.Widens || d.Narrows }

// String is "widens", "narrows", "widens and narrows", "neutral".
func (d Direction) String() string {
	switch {
	case d.Widens && d.Narrows:
		return "widens and narrows"
	case d.Widens:
		return "widens"
	case d.Narrows:
		return "narrows"
	}
	return "neutral"
}

func (d *Direction) add(o Direction) {
	d.Widens, d.Narrows = d.Widens || o.Widens, d.Narrows || o.Narrows
}

// Changes are what differs between two tables, worked out on what they decide
// and not on how their rules are written.
//
// Capabilities are exact: there is no change if and only if every reader holds
// the same on every row under both, and Direction.Widens if and only if some
// reader holds more on some row. It suffices to compare each role with all that
// it inherits, and each two of them: what three roles decide between them, two
// of them do. Whether a coordinate is hidden is compared for the same readers.
//
// Where a coordinate keeps its grants and means something else (another mask,
// scope condition, column, key or @subject), it is a change for those who hold
// something that depends on it; it widens unless it can only narrow.
type Changes struct {
	Direction
	List []Change // sorted
}

// Setting adds a difference in something beside the tables that rights depend
// on, told in words. It stands before the decisions.
func (c *Changes) Setting(text string, d Direction) {
	c.add(d)
	n := slices.IndexFunc(c.List, func(o Change) bool { return len(o.Roles) > 0 })
	if n < 0 {
		n = len(c.List)
	}
	c.List = slices.Insert(c.List, n, Change{Direction: d, Meaning: text})
}

// Change is a set of decisions that changed alike; without roles, a setting.
type Change struct {
	Direction
	// Roles changed alike, each with all that it inherits. Where Together, they
	// are two that change something only for a reader who has both, and stand
	// for all such two.
	Roles    []string
	Together bool
	// Coordinates are those that changed alike, sorted.
	Coordinates []schema.Coordinate
	// Purposes for which they changed; "" stands for none stated. EveryPurpose:
	// these are all that are registered.
	Purposes     []string
	EveryPurpose bool
	// Reader is whose department it depends on, in words; "" where it depends
	// on none.
	Reader string
	// Steps say what is held, scope by scope.
	Steps []Step
	// Hidden before and after.
	WasHidden, IsHidden bool
	// Meaning says what else about the coordinates changed; the steps are then
	// empty.
	Meaning string

	sizes map[string]int // coordinates a type has, for Type.*
}

// Step is what is held, before and after, on rows for which one scope alone is
// true; for ScopeAll, on rows for which none is.
type Step struct {
	Scope    string
	From, To Caps
	// Denied: From and To are not held but taken away by the scope from what
	// others give.
	Denied bool
}

// Diff compares two tables.
func Diff(from, to *Table) *Changes {
	d := &differ{memo: map[string][]delta{}, kindsOf: map[kind][]string{}, groups: map[string]*Change{}, meaning: meanings(from.catalogue, to.catalogue)}
	d.sides = [2]diffSide{newDiffSide(from), newDiffSide(to)}
	d.purposes = append([]string{""}, sorted(slices.Concat(from.settings.Purposes, to.settings.Purposes))...)
	d.sameSettings = from.settings.PurposeRequiredFrom == to.settings.PurposeRequiredFrom &&
		from.settings.HideFrom == to.settings.HideFrom && slices.Equal(from.settings.Purposes, to.settings.Purposes)
	d.pairCells()
	d.roles = sorted(slices.Concat(from.Roles(), to.Roles()))
	d.single(noRole)
	for _, role := range d.roles {
		d.single(role)
	}
	d.pairs()
	return d.result()
}

// noRole stands for a reader of whose roles the policy knows none: he holds
// nothing, but what is hidden from him may change.
const noRole = ""

// diffSide is one of the two tables.
type diffSide struct {
	table    *Table
	deciders map[string]*decider // by role
	own      map[string]bool     // roles with rules that depend on the reader's department
}

func newDiffSide(t *Table) diffSide {
	return diffSide{t, map[string]*decider{}, map[string]bool{}}
}

// decider gives the rules of a role with all that it inherits.
func (s *diffSide) decider(role string) *decider {
	d := s.deciders[role]
	if d == nil {
		d = &decider{table: s.table}
		d.collect(s.table.inherits.closure(role))
		s.deciders[role] = d
		s.own[role] = d.ownDepartment()
	}
	return d
}

// ownDepartment reports whether some rule of the role depends on the reader's
// department.
func (s *diffSide) ownDepartment(role string) bool {
	s.decider(role)
	return s.own[role]
}

// pairedCell is a coordinate on both sides; nil where it does not exist.
type pairedCell struct {
	at    schema.Coordinate
	cells [2]*cell
	same  bool // decisions depend on nothing that differs
	// meaning is what else about it changed, by what it depends on.
	meaning []meaning
}

// differ is one run of Diff.
type differ struct {
	sides        [2]diffSide
	purposes     []string
	sameSettings bool
	meaning      map[schema.Coordinate][]meaning
	cells        []pairedCell
	roles        []string
	memo         map[string][]delta
	kindsOf      map[kind][]string
	groups       map[string]*Change
	found        Changes
	active       [2]*decider // what was gathered last
	// suspects are the role and cells whose denials changed: only there can two
	// roles together differ where neither does alone.
	suspects []suspect
}

type suspect struct {
	role string
	cell *pairedCell
}

// kind is a cell, and whose readers it is asked about.
type kind struct {
	at         schema.Coordinate
	department string
}

// delta is a difference on one cell and the purposes for which it is the same.
type delta struct {
	purposes         []string // sorted, "" for none stated
	every            bool     // all that are registered
	from, to         Grants
	direction        Direction
	fromHide, toHide bool
}

func (d *differ) pairCells() {
	at := map[schema.Coordinate]*pairedCell{}
	for i := range d.sides {
		t := d.sides[i].table
		for j := range t.cells {
			c := &t.cells[j]
			if at[c.coordinate] == nil {
				at[c.coordinate] = &pairedCell{at: c.coordinate, meaning: d.meaning[c.coordinate]}
			}
			at[c.coordinate].cells[i] = c
		}
	}
	for _, p := range at {
		p.same = p.cells[0] != nil && p.cells[1] != nil && sameCell(p.cells[0], p.cells[1])
		d.cells = append(d.cells, *p)
	}
	slices.SortFunc(d.cells, func(a, b pairedCell) int { return compareCoordinates(a.at, b.at) })
}

func compareCoordinates(a, b schema.Coordinate) int {
	return cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(a.Field, b.Field))
}

// sameCell reports whether equal rules decide equally on both.
func sameCell(a, b *cell) bool {
	return a.department == b.department && a.level == b.level && a.sharing == b.sharing && a.personal == b.personal &&
		slices.Equal(sorted(scopeNames(a.typ)), sorted(scopeNames(b.typ)))
}

// sameRules reports whether a role says the same on both sides.
func (d *differ) sameRules(role string) bool {
	return maps.EqualFunc(d.sides[0].decider(role).rules, d.sides[1].decider(role).rules, sameSet)
}

// sameSet compares two lists of distinct rules, whose order means nothing.
func sameSet(a, b []compiled) bool {
	if slices.Equal(a, b) {
		return true
	}
	if len(a) != len(b) {
		return false
	}
	in := make(map[compiled]bool, len(a))
	for _, r := range a {
		in[r] = true
	}
	return !slices.ContainsFunc(b, func(r compiled) bool { return !in[r] })
}

// single compares one role with all that it inherits.
func (d *differ) single(role string) {
	same := d.sameSettings && d.sameRules(role)
	for i := range d.cells {
		c := &d.cells[i]
		if same && c.same && len(c.meaning) == 0 {
			continue
		}
		for _, department := range d.departments(c, role) {
			denials := d.gather(c, department, role, "")
			if denials {
				d.suspects = append(d.suspects, suspect{role, c})
			}
			if d.sameSettings && c.same && len(c.meaning) == 0 && !denials && slices.Equal(d.active[0].allows, d.active[1].allows) {
				continue
			}
			for _, x := range d.deltas(c) {
				d.report(c, department, &x, role)
			}
		}
	}
}

// departments lists the readers' departments between which the roles tell on
// the cell: "" stands for none, other for one that offers nothing here.
func (d *differ) departments(c *pairedCell, roles ...string) []string {
	matters := false
	for i, at := range c.cells {
		if at == nil {
			continue
		}
		matters = matters || at.sharing == schema.WithheldSharing
		for _, role := range roles {
			if role != "" {
				matters = matters || d.sides[i].ownDepartment(role)
			}
		}
	}
	if !matters {
		return []string{""}
	}
	out := []string{"", other}
	for _, at := range c.cells {
		if at != nil {
			out = append(out, at.department)
		}
	}
	return sorted(out)
}

// other stands for a department that is none of a cell's. No name has a space.
const other = "another department"

// ownDepartment reports whether some rule depends on the reader's department.
func (d *decider) ownDepartment() bool {
	for _, rules := range d.rules {
		if slices.ContainsFunc(rules, func(r compiled) bool { return r.scope == ScopeOwnDepartment }) {
			return true
		}
	}
	return false
}

// gather finds what the rules of one or two roles say of the cell on both
// sides, and reports whether the denials differ.
func (d *differ) gather(c *pairedCell, department string, roles ...string) (denials bool) {
	for i := range d.sides {
		first := d.sides[i].decider(roles[0])
		first.allows, first.denies = first.allows[:0], first.denies[:0]
		if c.cells[i] == nil {
			continue
		}
		first.side = side{department: department}
		first.gather(c.cells[i])
		if roles[1] == "" {
			continue
		}
		second := d.sides[i].decider(roles[1])
		second.side = first.side
		second.gather(c.cells[i])
		first.allows = append(first.allows, second.allows...)
		for _, n := range second.denies {
			first.denies.add(n.Scope, n.Caps)
		}
	}
	d.active = [2]*decider{d.sides[0].decider(roles[0]), d.sides[1].decider(roles[0])}
	return !sameClauses(d.active[0].denies, d.active[1].denies)
}

func sameClauses(a, b clauses) bool {
	if len(a) != len(b) {
		return false
	}
	return !slices.ContainsFunc(a, func(c Clause) bool { return b.caps(c.Scope) != c.Caps })
}
