package plan

import "github.com/weir-data/weir/schema"

// reach is what the way to a row says about the scopes that belong to the way
// and not to the row: it decides by_key. The zero reach states nothing.
type reach struct {
	// byKey: the complete key was stated, by the root or by a row before.
	byKey bool
	// carried is the row's @subject field that holds the stated key; "" when
	// none does or more than one could.
	carried string
	// hop: a to-one relation marked carriesKey may still be taken.
	hop bool
}

// reachByKey is the reach of a root that states the given fields, a complete
// key of the type.
func reachByKey(t *schema.Type, stated []string) reach {
	r := reach{byKey: true, hop: true}
	for _, f := range stated {
		if !t.IsSubject(f) {
			continue
		}
		if r.carried != "" {
			// Two persons were stated: which of them a relation would go on
			// about is not known, so it goes on about neither.
			r.carried = ""
			break
		}
		r.carried = f
	}
	return r
}

// follow is the reach of a relation's rows of one concrete type. by_key goes on
// from the @subject field that carries the stated key to a @subject field, so
// never through a second @subject; or by one to-one hop marked carriesKey.
func (r reach) follow(rel *schema.Relation, far *schema.Type) reach {
	switch {
	case !r.byKey:
		return reach{}
	case len(rel.Fields) == 1 && r.carried != "" && rel.Fields[0] == r.carried && far.IsSubject(rel.References[0]):
		return reach{byKey: true, carried: rel.References[0], hop: r.hop}
	case rel.CarriesKey && !rel.Many && r.hop:
		return reach{byKey: true}
	default:
		return reach{}
	}
}

// text tells reaches apart, for sharing.
func (r reach) text() string {
	switch {
	case !r.byKey:
		return "-"
	case r.hop:
		return "key " + r.carried
	default:
		return "key " + r.carried + " hopped"
	}
}
