package authz

import (
	"fmt"
	"slices"
	"strings"

	"github.com/weir-data/weir/authz/masks"
	"github.com/weir-data/weir/schema"
)

// meaning is what a coordinate's grants stand for, where that changed.
type meaning struct {
	text      string
	direction Direction
	// concerns reports whether holdings depend on it.
	concerns func(*Grants) bool
}

// otherwise is the direction of what cannot be compared: it may show other rows
// or values than before.
var otherwise = Direction{Widens: true, Narrows: true}

func holdsAnything(g *Grants) bool { return g.Potential() != None }

// holdsOnly reports whether c is held on some row on which clear is not.
func holdsOnly(c Caps) func(*Grants) bool {
	return func(g *Grants) bool {
		for _, held := range g.Clauses {
			if !held.Deny && held.Caps.Has(c) && !held.Caps.Has(Clear) {
				return true
			}
			// A denial of clear leaves what it implies.
			if held.Deny && held.Caps.Has(Clear) && !held.Caps.Has(c) {
				return true
			}
		}
		return false
	}
}

func dependsOn(scope string) func(*Grants) bool {
	return func(g *Grants) bool { return slices.Contains(g.Scopes(), scope) }
}

// meanings lists what changed about the coordinates that both catalogues have.
func meanings(from, to *schema.Catalogue) map[schema.Coordinate][]meaning {
	out := map[schema.Coordinate][]meaning{}
	if from == to || from.Revision != "" && from.Revision == to.Revision {
		return out
	}
	for name, was := range from.Types {
		is := to.Types[name]
		if is == nil {
			continue
		}
		shared := typeMeanings(from, to, was, is)
		add := func(field string, more ...meaning) {
			at := schema.Coordinate{Type: name, Field: field}
			if all := append(slices.Clone(shared), more...); len(all) > 0 {
				out[at] = all
			}
		}
		add("", subjectMeaning(was, is, "")...)
		for _, f := range was.Fields {
			if g := is.Field(f.Name); g != nil {
				add(f.Name, append(fieldMeanings(f, g), subjectMeaning(was, is, f.Name)...)...)
			}
		}
	}
	return out
}

// typeMeanings are of a whole type: where its rows are, how they are named, and
// what its scopes say.
func typeMeanings(from, to *schema.Catalogue, was, is *schema.Type) []meaning {
	var out []meaning
	if a, b := sourceText(was), sourceText(is); a != b {
		out = append(out, meaning{fmt.Sprintf("its rows are read from %s -> %s", a, b), otherwise, holdsAnything})
	}
	if a, b := namingText(from, was), namingText(to, is); a != b {
		out = append(out, meaning{fmt.Sprintf("it is reached by key through %s -> %s", a, b), otherwise, dependsOn(ScopeByKey)})
	}
	for _, s := range was.Scopes {
		if t := is.Scope(s.Name); t != nil && t.Text != s.Text {
			out = append(out, meaning{fmt.Sprintf("scope %s is %s -> %s", s.Name, s.Text, t.Text), otherwise, dependsOn(s.Name)})
		}
	}
	return out
}

func sourceText(t *schema.Type) string {
	return fmt.Sprintf("%s %s by %s", t.Source.Department, t.Source.Table, strings.Join(t.Source.Key, ", "))
}

// namingText is all that by_key follows: key fields, required arguments of the
// type and of the interfaces it belongs to, the @subject fields, and relations
// that carry a key on.
func namingText(c *schema.Catalogue, t *schema.Type) string {
	parts := []string{"(" + strings.Join(t.Source.KeyFields, ", ") + ")"}
	if len(t.API.By) > 0 {
		parts = append(parts, "by "+strings.Join(t.API.By, ", "))
	}
	for _, name := range t.Interfaces {
		if a := c.Abstracts[name]; a != nil && len(a.API.By) > 0 {
			parts = append(parts, name+" by "+strings.Join(a.API.By, ", "))
		}
	}
	var subjects []string
	for _, s := range t.Subjects {
		subjects = append(subjects, s.Field)
	}
	if len(subjects) > 0 {
		parts = append(parts, "@subject "+strings.Join(sorted(subjects), ", "))
	}
	return strings.Join(parts, "; ")
}

// subjectMeaning is about whom a field is.
func subjectMeaning(was, is *schema.Type, field string) []meaning {
	a, b := sorted(was.Covering(field)), sorted(is.Covering(field))
	if slices.Equal(a, b) || len(a) == 0 || len(b) == 0 {
		return nil // whether it is about anybody at all is decided in the table
	}
	return []meaning{{fmt.Sprintf("it is about %s -> %s", strings.Join(a, ", "), strings.Join(b, ", ")), otherwise, dependsOn(ScopeSelf)}}
}

// fieldMeanings are of one field.
func fieldMeanings(was, is *schema.Field) []meaning {
	var out []meaning
	if was.Column != is.Column {
		out = append(out, meaning{fmt.Sprintf("column %s -> %s", orNone(was.Column), orNone(is.Column)), otherwise, holdsAnything})
	}
	if a, b := relationText(was.Relation), relationText(is.Relation); a != b {
		out = append(out, meaning{fmt.Sprintf("relation %s -> %s", orNone(a), orNone(b)), otherwise, holdsAnything})
	}
	if a, b := maskSpec(was.Mask), maskSpec(is.Mask); a != b && was.Relation == nil && is.Relation == nil {
		out = append(out, meaning{fmt.Sprintf("mask %s -> %s", orNone(a), orNone(b)), maskDirection(was.Mask, is.Mask), holdsOnly(Mask)})
	}
	if was.Dimension != is.Dimension {
		text := "aggregates may no longer group and filter by it"
		if is.Dimension {
			text = "aggregates may group and filter by it"
		}
		out = append(out, meaning{text, Direction{Widens: is.Dimension, Narrows: was.Dimension}, holdsOnly(Aggregate)})
	}
	return out
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func relationText(r *schema.Relation) string {
	if r == nil {
		return ""
	}
	s := fmt.Sprintf("%s to %s of %s", strings.Join(r.Fields, ", "), strings.Join(r.References, ", "), r.Target)
	if r.Many {
		s += ", many"
	}
	if r.CarriesKey {
		s += ", carrying the key"
	}
	return s
}

func maskSpec(m *schema.MaskUse) string {
	if m == nil {
		return ""
	}
	return m.Spec
}

// maskDirection compares what two masks let through. Without a mask nothing is
// seen of what is held as mask.
func maskDirection(was, is *schema.MaskUse) Direction {
	if was == nil {
		return Direction{Widens: true}
	}
	if is == nil {
		return Direction{Narrows: true}
	}
	a, errA := masks.Parse(was.Spec)
	b, errB := masks.Parse(is.Spec)
	if errA != nil || errB != nil {
		return otherwise
	}
	return Direction{Widens: !letsThrough(a, b), Narrows: !letsThrough(b, a)}
}

// letsThrough reports whether all that b shows, a shows.
func letsThrough(a, b masks.Rule) bool {
	p, q := a.Preserves, b.Preserves
	if q == (masks.Preserves{}) {
		return true
	}
	if a.Name != b.Name {
		return false
	}
	implies := func(b, a bool) bool { return !b || a }
	return q.Note == p.Note && implies(q.Nullness, p.Nullness) && implies(q.Length, p.Length) &&
		implies(q.Equality, p.Equality) && implies(q.Order, p.Order) && q.First <= p.First && q.Last <= p.Last &&
		(slices.Equal(a.Args, b.Args) || q.First+q.Last > 0)
}
