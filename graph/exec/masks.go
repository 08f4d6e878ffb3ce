package exec

import (
	"github.com/weir-data/weir/authz/masks"
	"github.com/weir-data/weir/resolvers"
)

// masksFor binds the program's mask rules for a purpose; bound ones are kept,
// since purposes are registered and few. A rule that does not parse masks
// everything to null.
func (p *program) masksFor(e *Executor, purpose string) []resolvers.Mask {
	if len(p.masks) == 0 {
		return nil
	}
	if kept, ok := p.bound.Load(purpose); ok {
		bound, _ := kept.([]resolvers.Mask)
		return bound
	}
	bound := make([]resolvers.Mask, len(p.masks))
	for i, spec := range p.masks {
		rule, err := masks.Parse(spec)
		if err != nil {
			e.report(err)
			continue
		}
		var key []byte
		if rule.Keyed && purpose != "" {
			derived := e.ring.Derive(resolvers.PseudonymUse(purpose))
			key = derived[:]
		}
		bound[i] = resolvers.Mask{Apply: rule.Bind(key), Null: rule.Preserves.Nullness}
	}
	kept, _ := p.bound.LoadOrStore(purpose, bound)
	bound, _ = kept.([]resolvers.Mask)
	return bound
}
