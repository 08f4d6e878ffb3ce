package control

import (
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"github.com/weir-data/weir/authz/masks"
	generated "github.com/weir-data/weir/graph/control"
	"github.com/weir-data/weir/schema"
)

// maxSearch bounds a search, in bytes; maxTerms the words in it.
const (
	maxSearch = 200
	maxTerms  = 8
)

// search is a search's words; every one must occur.
type search []string

// parseSearch folds case and width, so that ＡＢＣ and abc are one word.
func parseSearch(text string) (s search, ok bool) {
	terms := strings.Fields(fold(text))
	return terms, len(text) <= maxSearch && len(terms) <= maxTerms
}

func fold(s string) string { return strings.ToLower(norm.NFKC.String(s)) }

// without drops the words that the texts hold: what is left must be found
// elsewhere. A word is looked for in each text alone.
func (s search) without(texts ...string) search {
	var left search
	for _, term := range s {
		found := false
		for _, text := range texts {
			if found = strings.Contains(fold(text), term); found {
				break
			}
		}
		if !found {
			left = append(left, term)
		}
	}
	return left
}

// catalog builds what the reader may know of. Only what is visible is ever
// searched, so a search finds out nothing about the rest.
func (r *Resolver) catalog(s sight, words search, department *string) *generated.Catalog {
	out := &generated.Catalog{Revision: s.catalogue.Revision, Departments: []generated.Department{}}
	for _, name := range s.catalogue.Departments {
		if department != nil && *department != name {
			continue
		}
		titles := r.departments[name]
		left := words.without(name, titles.ZH, titles.EN)
		d := generated.Department{Name: name, Titles: titlesOf(titles), Types: []generated.CatalogType{}}
		for _, t := range s.catalogue.TypesOf(name) {
			if entry := r.entry(s, t, left); entry != nil {
				d.Types = append(d.Types, *entry)
			}
		}
		if len(d.Types) > 0 {
			out.Departments = append(out.Departments, d)
		}
	}
	return out
}

// entry is a type with those of its fields that the words match; all of them
// when its own name and description do. nil when there is nothing to show.
func (r *Resolver) entry(s sight, t *schema.Type, words search) *generated.CatalogType {
	known, fields := s.find(t.Name)
	if known == nil {
		return nil
	}
	left := words.without(t.Name, t.Description)
	out := &generated.CatalogType{
		Name: t.Name, Description: optional(t.Description), Owner: t.Source.Department,
		Level: s.level(t.Level), Sharing: sharingOf(t.Sharing), Freshness: r.freshness(t),
		MyAccess: s.access(t, nil), Fields: []generated.CatalogField{},
	}
	for _, f := range fields {
		if len(left.without(f.Name, f.Description, f.Category)) > 0 {
			continue
		}
		out.Fields = append(out.Fields, generated.CatalogField{
			Name: f.Name, Description: optional(f.Description), Type: f.TypeSDL, Level: s.level(f.Level),
			Category: optional(f.Category), Mask: maskOf(f), Sharing: sharingOf(t.Sharing), Dimension: f.Dimension,
			MyAccess: s.access(t, f),
		})
	}
	if len(out.Fields) == 0 {
		return nil
	}
	return out
}

func (r *Resolver) freshness(t *schema.Type) *generated.Freshness {
	if t.Fresh == nil {
		return nil
	}
	out := &generated.Freshness{Within: t.Fresh.Within}
	if r.ages == nil {
		return out
	}
	if asOf, stale, known := r.ages.Age(t.Source.Department); known {
		out.Stale = &stale
		if !asOf.IsZero() {
			out.AsOf = optional(asOf.UTC().Format(time.RFC3339))
		}
	}
	return out
}

func sharingOf(s schema.Sharing) *generated.Sharing {
	out := &generated.Sharing{Mode: generated.SharingModeWithheld, Basis: optional(s.Basis)}
	switch s.Mode {
	case schema.Unconditional:
		out.Mode = generated.SharingModeUnconditional
	case schema.Conditional:
		out.Mode = generated.SharingModeConditional
	case schema.WithheldSharing:
	}
	return out
}

// maskOf describes the owner's rule; nil for none, and for one that does not
// parse, which masks to null.
func maskOf(f *schema.Field) *generated.Mask {
	if f.Mask == nil {
		return nil
	}
	rule, err := masks.Parse(f.Mask.Spec)
	if err != nil {
		return nil
	}
	return &generated.Mask{
		Spec: rule.Spec(), Version: rule.Version, Summary: rule.Describe().Summary, Preserves: rule.Preserves.Words(),
	}
}
