package schema

import "fmt"

// Endings of the names of the types that an aggregate root gives, and the
// fields that they are under.
const (
	AggregateSuffix = "Aggregate"
	GroupSuffix     = "Group"
	SumSuffix       = "Sum"
	AvgSuffix       = "Avg"
	MinSuffix       = "Min"
	MaxSuffix       = "Max"
)

// Groupable reports whether aggregates may group by the field.
func (f *Field) Groupable() bool { return f.Relation == nil && !f.List && f.Kind != JSON }

// Extremal reports whether the field has a least and a greatest value.
func (f *Field) Extremal() bool { return f.Groupable() && f.Kind != Boolean }

// Summable reports whether the field has a sum and an average.
func (f *Field) Summable() bool {
	_, ok := SumKind(f.Kind)
	return ok && f.Relation == nil && !f.List
}

// SumKind is the kind of a sum of values of a kind. Sums are exact but for
// those of Floats, which are rounded once: integers of 32 bits sum up to one
// of 64, and what could leave 64 bits is a Decimal.
func SumKind(k Scalar) (Scalar, bool) {
	switch k {
	case Int:
		return BigInt, true
	case BigInt, Decimal:
		return Decimal, true
	case Float:
		return Float, true
	default:
		return 0, false
	}
}

// AvgKind is the kind of an average: the exact quotient rounded once, to the
// nearest Float, or to a Decimal of at most [AvgScale] digits behind the point.
func AvgKind(k Scalar) (Scalar, bool) {
	switch k {
	case Int, BigInt, Float:
		return Float, true
	case Decimal:
		return Decimal, true
	default:
		return 0, false
	}
}

// AvgScale is how many digits behind the point an average of Decimals has at
// most. It is rounded half away from zero.
const AvgScale = 16

// aggregate names the aggregate type of a type, and prints it with its parts.
func (g *generator) aggregate(t *Type) string {
	name := t.Name + AggregateSuffix
	g.scalars[BigInt] = true
	var a body
	a.open("A group of "+t.Name+": the rows that are equal in the selected fields of `group`, or all of them.", "type "+name)
	part := func(field, suffix, text string, has func(*Field) bool, kind func(*Field) string) {
		var b body
		b.open(text, "type "+t.Name+suffix)
		some := false
		for _, f := range t.Fields {
			if has(f) {
				some = true
				b.member(f.Description, f.Name+": "+kind(f))
			}
		}
		if some {
			g.text[t.Name+suffix] = b.close()
			a.member("", field+": "+t.Name+suffix)
		}
	}
	same := func(f *Field) string { return f.TypeSDL }
	scalar := func(of func(Scalar) (Scalar, bool)) func(*Field) string {
		return func(f *Field) string {
			k, _ := of(f.Kind)
			g.scalars[k] = g.scalars[k] || k < Enum
			return k.String()
		}
	}
	part("group", GroupSuffix, "What the rows of a group have in common.", (*Field).Groupable, same)
	a.member("How many rows there are.", "count: BigInt")
	part("sum", SumSuffix, "Sums, NULLs left out; null without a value.", (*Field).Summable, scalar(SumKind))
	part("avg", AvgSuffix, fmt.Sprintf("Averages, NULLs left out; null without a value. Those of Decimals have at most %d digits behind the point.", AvgScale),
		(*Field).Summable, scalar(AvgKind))
	part("min", MinSuffix, "Least values, NULLs left out.", (*Field).Extremal, same)
	part("max", MaxSuffix, "Greatest values, NULLs left out.", (*Field).Extremal, same)
	g.text[name] = a.close()
	return name
}

// aggregateArguments are the arguments of an aggregate root: those of a list
// that say which rows, not which order or page.
func (g *generator) aggregateArguments(r *Root) []string {
	var args []string
	for _, name := range r.By {
		args = append(args, required(g.field(r.Type, name)))
	}
	if name := g.where(r.Type); name != "" {
		args = append(args, "where: "+name)
	}
	return args
}
