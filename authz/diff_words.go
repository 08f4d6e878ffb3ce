package authz

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/weir-data/weir/schema"
)

// result joins what changed alike for several roles, in an order that does not
// depend on maps.
func (d *differ) result() *Changes {
	size := map[string]int{}
	for i := range d.cells {
		size[d.cells[i].at.Type]++
	}
	merged := map[string]*Change{}
	for _, g := range d.groups {
		key := g.likeness() + "|" + coordinatesText(g.Coordinates, nil, len(g.Coordinates))
		if g.Together {
			// Two roles stand for themselves.
			key += strings.Join(g.Roles, "|")
		}
		if m := merged[key]; m != nil {
			m.Roles = append(m.Roles, g.Roles...)
		} else {
			merged[key] = g
		}
	}
	out := d.found
	for _, m := range merged {
		slices.Sort(m.Roles)
		m.Roles = slices.Compact(m.Roles)
		m.sizes = size
		out.List = append(out.List, *m)
	}
	slices.SortFunc(out.List, func(a, b Change) int {
		return cmp.Or(
			-cmp.Compare(bit(a.Widens), bit(b.Widens)), strings.Compare(a.Roles[0], b.Roles[0]),
			compareCoordinates(a.Coordinates[0], b.Coordinates[0]), strings.Compare(a.likeness(), b.likeness()),
			slices.Compare(a.Roles, b.Roles),
		)
	})
	return &out
}

// likeness is equal for changes that differ in roles and coordinates alone.
func (c *Change) likeness() string {
	return fmt.Sprint(c.Together, c.Direction, c.Purposes, "|", c.Reader, "|", c.Meaning, "|", c.Steps, c.WasHidden, c.IsHidden)
}

// shownCoordinates is how many a line names.
const shownCoordinates = 6

// Lines tells the change in words, one line for each step: "window-clerk:
// Person.phone withheld -> masked, by key, for newborn-registration (widens)".
func (c *Change) Lines() []string {
	if len(c.Roles) == 0 {
		return []string{fmt.Sprintf("%s (%s)", c.Meaning, c.Direction)}
	}
	who := strings.Join(c.Roles[:min(len(c.Roles), shownCoordinates)], ", ")
	if n := len(c.Roles) - shownCoordinates; n > 0 {
		who += fmt.Sprintf(" and %d more roles", n)
	}
	switch {
	case c.Roles[0] == noRole && len(c.Roles) == 1:
		who = "readers without a role"
	case c.Roles[0] == noRole:
		who = "readers without a role" + who
	case c.Together:
		who = "readers with two roles, such as " + strings.Join(c.Roles, " and ")
	}
	what := who + ": " + coordinatesText(c.Coordinates, c.sizes, shownCoordinates)
	if c.Meaning != "" {
		return []string{fmt.Sprintf("%s: %s (%s)", what, c.Meaning, c.Direction)}
	}
	where := c.purposesText()
	if c.Reader != "" {
		where += ", for " + c.Reader
	}
	if len(c.Steps) == 0 {
		return []string{fmt.Sprintf("%s %s -> %s%s (%s)", what, c.capsText(None, c.WasHidden), c.capsText(None, c.IsHidden), where, c.Direction)}
	}
	out := make([]string, 0, len(c.Steps))
	for _, s := range c.Steps {
		from, to := c.capsText(s.From, c.WasHidden), c.capsText(s.To, c.IsHidden)
		if s.Denied {
			from, to = "denied "+s.From.denialText(), "denied "+s.To.denialText()
		}
		out = append(out, fmt.Sprintf("%s %s -> %s%s%s (%s)", what, from, to, scopeText(s.Scope), where, s.direction()))
	}
	return out
}

// direction of one step.
func (s Step) direction() Direction {
	d := Direction{Widens: s.To&^s.From != None, Narrows: s.From&^s.To != None}
	if s.Denied {
		d.Widens, d.Narrows = d.Narrows, d.Widens
	}
	return d
}

func (c *Change) capsText(caps Caps, hidden bool) string {
	switch {
	case caps != None:
		return strings.ReplaceAll(caps.String(), "mask", "masked")
	case hidden:
		return "hidden"
	default:
		return "withheld"
	}
}

func (c Caps) denialText() string {
	switch {
	case c == None:
		return "nothing"
	case c.Has(Match | Aggregate | Mask):
		return "everything"
	default:
		return c.String()
	}
}

func scopeText(scope string) string {
	switch scope {
	case ScopeAll:
		return ""
	case ScopeByKey:
		return ", by key"
	case ScopeSelf:
		return ", about himself"
	default:
		return ", under " + scope
	}
}

func (c *Change) purposesText() string {
	named := slices.DeleteFunc(slices.Clone(c.Purposes), func(p string) bool { return p == "" })
	without := len(named) < len(c.Purposes)
	switch {
	case c.EveryPurpose && without:
		return ", for any purpose or none"
	case c.EveryPurpose && len(named) > 1:
		return ", for any purpose"
	case len(named) == 0:
		return ", without a purpose"
	case without:
		return ", for " + strings.Join(named, ", ") + " or none"
	default:
		return ", for " + strings.Join(named, ", ")
	}
}

// coordinatesText names coordinates; sizes tells how many a type has, so that
// all of them are Type.*.
func coordinatesText(all []schema.Coordinate, sizes map[string]int, most int) string {
	var names []string
	counts := []int{}
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].Type == all[i].Type {
			j++
		}
		if n := j - i; n > 2 && n == sizes[all[i].Type] {
			names, counts = append(names, all[i].Type+"."+wildcard), append(counts, n)
		} else {
			for _, at := range all[i:j] {
				names, counts = append(names, resource(at)), append(counts, 1)
			}
		}
		i = j
	}
	text := strings.Join(names[:min(len(names), most)], ", ")
	rest := 0
	for i := most; i < len(counts); i++ {
		rest += counts[i]
	}
	if rest > 0 {
		text += fmt.Sprintf(" and %d more", rest)
	}
	return text
}

// String tells the changes for a reviewer: widenings first, and what all of
// them come to.
func (c *Changes) String() string {
	if len(c.List) == 0 {
		return "no decision changes\n"
	}
	var b strings.Builder
	for i := range c.List {
		for _, l := range c.List[i].Lines() {
			b.WriteString(l + "\n")
		}
	}
	fmt.Fprintf(&b, "in all, this revision %s\n", c.Direction)
	return b.String()
}
