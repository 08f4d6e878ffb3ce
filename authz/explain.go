package authz

import (
	"fmt"
	"slices"
	"strings"

	"github.com/weir-data/weir/schema"
)

// Explanation says why a reader holds what he holds on a coordinate. It is for
// security staff: it names rules, which readers never see.
type Explanation struct {
	Coordinate schema.Coordinate
	Department string
	Level      string
	Profile    Profile
	Grants     *Grants // nil when the coordinate does not exist
	Allow      []Deciding
	Deny       []Deciding
	// Nearest is the allow rule that would grant more and lacks the fewest
	// conditions; nil when there is none.
	Nearest *Deciding

	lacking []Deciding // allow rules that do not decide, in the policy's order
}

// Deciding is a rule and how it stands to the reader.
type Deciding struct {
	Rule *Rule
	// Roles leads from a role of the reader to the rule's, by inheritance.
	Roles []string
	// Lacks are the conditions that the reader or the request does not meet;
	// empty for rules that decide.
	Lacks []string

	scope string // the one that is asked of a row, see [compiled.resolve]
}

// Explain works out a decision from the policy itself, rule by rule.
func Explain(p *Policy, c *schema.Catalogue, s Settings, profile Profile, at schema.Coordinate) (*Explanation, error) {
	t, err := Compile(p, c, s)
	if err != nil {
		return nil, err
	}
	return t.Explain(profile, at), nil
}

// Explain says what the table holds for a profile on a coordinate, and which
// rules of its policy say so. It reads every rule: for people who ask, not for
// requests that are served.
func (t *Table) Explain(profile Profile, at schema.Coordinate) *Explanation {
	e := &Explanation{Coordinate: at, Profile: profile, Grants: t.View(profile).Grants(at)}
	slot, ok := t.slots[at]
	if !ok {
		return e
	}
	target := &t.cells[slot]
	e.Department, e.Level = target.department, t.levels.Name(target.level)
	x := explainer{table: t, cell: target, profile: t.canonical(profile), stated: profile.Purpose, inherits: t.inherits}
	for i := range t.policy.Rules {
		r := &t.policy.Rules[i]
		if slices.Contains(target.resources[:], r.Resource) {
			e.file(x.judge(r))
		}
	}
	e.Nearest = e.nearest(func(scope string) Caps {
		return e.Grants.Under(func(s string) Truth { return truthOf(s == scope) })
	})
	return e
}

func truthOf(is bool) Truth {
	if is {
		return True
	}
	return False
}

// file puts a rule where it belongs.
func (e *Explanation) file(d Deciding) {
	switch {
	case len(d.Lacks) == 0 && d.Rule.deny():
		e.Deny = append(e.Deny, d)
	case len(d.Lacks) == 0:
		e.Allow = append(e.Allow, d)
	case !d.Rule.deny():
		e.lacking = append(e.lacking, d)
	}
}

// nearest finds the allow rule that lacks the fewest conditions among those that
// would grant more than is held where its scope is true: a rule whose rights are
// held there already, or are denied, is no way to more.
func (e *Explanation) nearest(held func(scope string) Caps) *Deciding {
	var nearest *Deciding
	for i := range e.lacking {
		d := &e.lacking[i]
		if nearest != nil && len(d.Lacks) >= len(nearest.Lacks) {
			continue
		}
		caps, _ := parseAccess(d.Rule.Access)
		if caps.Closure()&^held(d.scope)&^e.denied(d.scope) != None {
			nearest = d
		}
	}
	return nearest
}

// denied is what the rules that decide take away wherever the scope is true.
func (e *Explanation) denied(scope string) Caps {
	out := None
	for i := range e.Deny {
		if d := &e.Deny[i]; d.scope == ScopeAll || d.scope == scope {
			caps, _ := parseAccess(d.Rule.Access)
			out |= caps.Denied()
		}
	}
	return out
}

// Where is the explanation for one row, of which it is known which scopes are
// true: rules whose scope does not hold there no longer decide. truth is never
// asked for ScopeAll and ScopeOwnDepartment.
func (e *Explanation) Where(truth func(scope string) Truth) *Explanation {
	out := *e
	out.Allow, out.Deny, out.lacking = nil, nil, nil
	for _, d := range slices.Concat(e.Allow, e.Deny, e.lacking) {
		if d.scope != ScopeAll {
			switch t := truth(d.scope); {
			case d.Rule.deny() && t == False:
				continue
			case d.Rule.deny():
				d.scope = ScopeAll // on this row it is true
			case t != True:
				d.Lacks = append(slices.Clone(d.Lacks), "scope "+d.scope)
			}
		}
		out.file(d)
	}
	held := e.Grants.Under(truth)
	out.Nearest = out.nearest(func(string) Caps { return held })
	return &out
}

type explainer struct {
	table    *Table
	cell     *cell
	profile  Profile
	stated   string
	inherits inheritance
}

// judge lists what the rule lacks to apply to the reader.
func (x *explainer) judge(r *Rule) Deciding {
	d := Deciding{Rule: r, Roles: x.inherits.chain(x.profile.Roles, r.Role)}
	lack := func(format string, args ...any) { d.Lacks = append(d.Lacks, fmt.Sprintf(format, args...)) }
	level, _ := x.table.levels.Rank(r.Level)
	rule := compiled{department: r.Department, level: level, purpose: r.Purpose, scope: r.Scope, deny: r.deny()}
	reader := side{department: x.profile.Department}
	if d.Roles == nil {
		lack("role %s", r.Role)
	}
	if r.Department != wildcard && r.Department != x.cell.department {
		lack("it is about department %s", r.Department)
	}
	if r.deny() && x.cell.level < level {
		lack("it denies from %s", r.Level)
	}
	if !r.deny() && x.cell.level > level {
		lack("it allows up to %s", r.Level)
	}
	if !r.deny() {
		required := x.cell.level >= x.table.settings.PurposeRequiredFrom
		switch {
		case x.stated != "" && !slices.Contains(x.profile.Purposes, x.stated):
			lack("purpose %s is not open to the reader", x.stated)
		case r.Purpose != wildcard && r.Purpose != x.stated && slices.Contains(x.profile.Purposes, r.Purpose):
			lack("purpose %s, which is open to the reader, is not stated", r.Purpose)
		case r.Purpose != wildcard && r.Purpose != x.stated:
			lack("purpose %s", r.Purpose)
		case required && x.stated == "":
			lack("a stated purpose")
		}
		if !rule.shared(x.cell, &reader) {
			lack("the sharing class of %s stops it", x.cell.coordinate.Type)
		}
	}
	var possible bool
	if d.scope, possible = rule.resolve(x.cell, &reader); !possible {
		lack("scope %s cannot hold here", r.Scope)
	}
	return d
}

// chain leads from one of the roles to target, shortest first; nil when none
// reaches it.
func (g inheritance) chain(roles []string, target string) []string {
	from := map[string]string{}
	queue := slices.Clone(roles)
	for _, r := range roles {
		from[r] = ""
	}
	for len(queue) > 0 {
		role := queue[0]
		queue = queue[1:]
		if role == target {
			var out []string
			for r := role; r != ""; r = from[r] {
				out = append(out, r)
			}
			slices.Reverse(out)
			return out
		}
		for _, parent := range g[role] {
			if _, seen := from[parent]; !seen {
				from[parent] = role
				queue = append(queue, parent)
			}
		}
	}
	return nil
}

// String is the explanation for a terminal.
func (e *Explanation) String() string {
	var b strings.Builder
	roles := strings.Join(e.Profile.Roles, ", ")
	purpose := e.Profile.Purpose
	if purpose == "" {
		purpose = "none stated"
	}
	if e.Grants == nil {
		fmt.Fprintf(&b, "%s does not exist\n", e.Coordinate)
		return b.String()
	}
	fmt.Fprintf(&b, "%s (%s, %s) for roles %s, purpose %s: %s\n", e.Coordinate, e.Department, e.Level, roles, purpose, e.Grants)
	if e.Grants.Potential() == None {
		fmt.Fprintf(&b, "reason: %s", e.Grants.Reason)
		if e.Grants.WithPurpose != None {
			fmt.Fprintf(&b, "; another open purpose would grant %s", e.Grants.WithPurpose)
		}
		if e.Grants.Hidden {
			b.WriteString("; hidden")
		}
		b.WriteByte('\n')
	}
	section := func(title string, rules []Deciding) {
		if len(rules) > 0 {
			b.WriteString(title + "\n")
		}
		for i := range rules {
			b.WriteString("  " + rules[i].String() + "\n")
		}
	}
	section("allowed by", e.Allow)
	section("denied by", e.Deny)
	if e.Nearest != nil {
		section("nearest rule that would grant more", []Deciding{*e.Nearest})
	}
	return b.String()
}

// String names the rule, the way to it, and what it lacks.
func (d Deciding) String() string {
	s := fmt.Sprintf("%s:%d: %s", d.Rule.Position.File, d.Rule.Position.Line, d.Rule)
	if len(d.Roles) > 1 {
		s += " [" + strings.Join(d.Roles, " -> ") + "]"
	}
	if len(d.Lacks) > 0 {
		s += " - lacks: " + strings.Join(d.Lacks, "; ")
	}
	return s
}
