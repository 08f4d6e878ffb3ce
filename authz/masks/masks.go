// Package masks holds the named, versioned rules that turn a clear value into
// what a reader with the capability mask may see: bytes to bytes.
//
// It promises that no byte of the input appears in the output but what the
// rule's [Preserves] declares, that a value of an unknown shape falls to the
// rule's strictest output, and that the output is valid for the field's type.
// It does not know who reads, nor why.
package masks

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrInvalid is the kind of every error about a mask as it is written: an
// unknown rule, wrong arguments, a rule on a field it does not fit.
var ErrInvalid = errors.New("invalid mask")

// Preserves declares what a rule's output lets one learn of its input. All that
// is not declared is constant. Whether a value has the shape the rule is made
// for shows in every rule but REDACT, NULL and PSEUDONYM, because other values
// fall to the strictest output.
type Preserves struct {
	Nullness bool // NULL stays NULL; nothing else becomes it but values of an unknown shape, where Note says so
	Length   bool
	First    int    // characters kept at the start, at most
	Last     int    // characters kept at the end, at most
	Equality bool   // equal inputs give equal outputs, different ones different (keyed: within a purpose)
	Order    bool   // outputs sort as the inputs do, ties aside
	Note     string // in words, for the catalogue and the docs: what else, e.g. "the year"
}

// Words names what is kept, for people: "nullness", "first 3", "order", a Note.
// It is empty where nothing is.
func (p Preserves) Words() []string {
	out := []string{}
	for _, w := range [...]struct {
		holds bool
		words string
	}{
		{p.Nullness, "nullness"},
		{p.Length, "length"},
		{p.First > 0, fmt.Sprintf("first %d", p.First)},
		{p.Last > 0, fmt.Sprintf("last %d", p.Last)},
		{p.Equality, "equality"},
		{p.Order, "order"},
		{p.Note != "", p.Note},
	} {
		if w.holds {
			out = append(out, w.words)
		}
	}
	return out
}

// Rule is a parsed mask: a preset with its arguments. The zero Rule masks
// everything to null. Rules are immutable and safe for concurrent use.
type Rule struct {
	Name      string // "KEEP"
	Args      []int
	Version   int // changes whenever an output changes
	Preserves Preserves
	// Keyed rules need a key and a purpose (PSEUDONYM).
	Keyed bool
	// Idempotent: masking what is masked already changes nothing.
	Idempotent bool

	kinds []string // kinds it fits; nil for every kind, lists included
	bind  func(key []byte) Func
}

// Func masks one value: src is the text of a cell (see adapters.Batch), never
// NULL; it appends the masked text, in the same form, to dst. ok is false when
// the masked value is null, and dst is then unchanged. A Func is safe for
// concurrent use, does not keep src, and allocates only to grow dst.
type Func func(dst, src []byte) (out []byte, ok bool)

// Spec is the rule as one writes it: "KEEP(3,4)".
func (r Rule) Spec() string {
	if len(r.Args) == 0 {
		return r.Name
	}
	var b strings.Builder
	b.WriteString(r.Name)
	for i, a := range r.Args {
		b.WriteByte("(,"[min(i, 1)])
		b.WriteString(strconv.Itoa(a))
	}
	b.WriteByte(')')
	return b.String()
}

// Bind fixes the key of a keyed rule; other rules ignore it. The key is that of
// one purpose (internal/keyring derives it); a nil key makes a keyed rule's
// output null.
func (r Rule) Bind(key []byte) Func {
	if r.bind == nil || r.Keyed && len(key) == 0 {
		return null
	}
	return r.bind(key)
}

// Fits tells whether the rule's output is valid for a field of the kind
// ("String", "Date", … as schema.Scalar.String gives it). Lists are masked by
// NULL alone.
func (r Rule) Fits(kind string, list bool) error {
	if r.bind == nil {
		return fmt.Errorf("%w: no rule", ErrInvalid)
	}
	if r.kinds == nil {
		return nil
	}
	if list {
		return fmt.Errorf("%w: %s masks single values, not lists", ErrInvalid, r.Name)
	}
	for _, k := range r.kinds {
		if k == kind {
			return nil
		}
	}
	return fmt.Errorf("%w: %s fits %s, not %s", ErrInvalid, r.Name, strings.Join(r.kinds, ", "), kind)
}

// Parse reads "NAME", "KEEP(3,4)", "KEEP(first: 3, last: 4)"; unknown names and
// wrong arguments are errors that say which rules there are.
func Parse(spec string) (Rule, error) {
	name, rest, called := strings.Cut(strings.TrimSpace(spec), "(")
	name = strings.TrimRight(name, " \t")
	p, ok := find(name)
	if !ok {
		return Rule{}, fmt.Errorf("%w: unknown rule %q; there are %s", ErrInvalid, name, strings.Join(Names(), " "))
	}
	args := p.defaults
	if called {
		inner, ok := strings.CutSuffix(rest, ")")
		if !ok {
			return Rule{}, fmt.Errorf("%w: %q lacks its closing bracket", ErrInvalid, spec)
		}
		var err error
		if args, err = p.parseArgs(inner); err != nil {
			return Rule{}, err
		}
	}
	if len(args) != len(p.params) {
		return Rule{}, fmt.Errorf("%w: %s needs arguments: %s", ErrInvalid, name, p.usage())
	}
	if p.check != nil {
		if err := p.check(args); err != nil {
			return Rule{}, fmt.Errorf("%w: %s: %w", ErrInvalid, p.usage(), err)
		}
	}
	r := Rule{
		Name: p.name, Version: p.version, Preserves: p.preserves(args), Keyed: p.keyed, Idempotent: p.idempotent,
		kinds: p.kinds, bind: p.bind(args),
	}
	if len(args) > 0 {
		r.Args = append([]int(nil), args...)
	}
	return r, nil
}

// Fitting lists the usages of the presets whose output is valid for a field of
// the kind, sorted: "KEEP(first,last)".
func Fitting(kind string, list bool) []string {
	var out []string
	for i := range presets {
		p := &presets[i]
		if (Rule{Name: p.name, kinds: p.kinds, bind: plain(null)(nil)}).Fits(kind, list) == nil {
			out = append(out, p.usage())
		}
	}
	return out
}

// Names lists the presets, sorted.
func Names() []string {
	out := make([]string, len(presets))
	for i := range presets {
		out[i] = presets[i].name
	}
	return out
}

// Description is what the catalogue and the docs show of a rule.
type Description struct {
	Spec    string // "KEEP(3,4)"
	Usage   string // "KEEP(first,last)"
	Version int
	Summary string   // one sentence
	Kinds   []string // kinds it fits, nil for all
	Keyed   bool
	// Idempotent: masking what is masked already changes nothing.
	Idempotent bool
	Preserves  Preserves
	// In and Out are an example; Out is empty for null and for keyed rules.
	In, Out string
}

// Describe tells people what the rule does.
func (r Rule) Describe() Description {
	p, ok := find(r.Name)
	if !ok {
		return Description{Summary: "masks everything to null"}
	}
	d := Description{
		Spec: r.Spec(), Usage: p.usage(), Version: r.Version, Summary: p.summary,
		Kinds: append([]string(nil), r.kinds...), Keyed: r.Keyed, Idempotent: r.Idempotent, Preserves: r.Preserves, In: p.example,
	}
	out, _ := r.Bind(nil)(nil, []byte(p.example))
	d.Out = string(out)
	return d
}

// null is the strictest output of rules whose fields have no text that says
// "masked".
func null(dst, _ []byte) ([]byte, bool) { return dst, false }

// constant gives a Func with one output.
func constant(text string) Func {
	return func(dst, _ []byte) ([]byte, bool) { return append(dst, text...), true }
}
