package plan

import (
	"github.com/weir-data/weir/adapters"
)

// conjunction flattens one level and drops what is constant: a single part
// stands for itself.
func conjunction(parts []adapters.Predicate) adapters.Predicate {
	var out adapters.And
	for _, p := range parts {
		switch p := p.(type) {
		case nil:
		case adapters.And:
			out = append(out, p...)
		case adapters.Bool:
			if !p {
				return p
			}
		default:
			out = append(out, p)
		}
	}
	switch len(out) {
	case 0:
		return adapters.Bool(true)
	case 1:
		return out[0]
	}
	return out
}

// disjunction is the dual of conjunction; without parts it is false.
func disjunction(parts []adapters.Predicate) adapters.Predicate {
	var out adapters.Or
	for _, p := range parts {
		switch p := p.(type) {
		case nil:
		case adapters.Or:
			out = append(out, p...)
		case adapters.Bool:
			if p {
				return p
			}
		default:
			out = append(out, p)
		}
	}
	switch len(out) {
	case 0:
		return adapters.Bool(false)
	case 1:
		return out[0]
	}
	return out
}

// negation pushes no further than one level: what it is given is a leaf, an
// EXISTS or a constant.
func negation(p adapters.Predicate) adapters.Predicate {
	switch p := p.(type) {
	case adapters.Bool:
		return !p
	case adapters.Not:
		return p.Predicate
	default:
		return adapters.Not{Predicate: p}
	}
}
