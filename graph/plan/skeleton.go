package plan

import (
	"encoding/binary"

	"github.com/vektah/gqlparser/v2/ast"
)

// Tags of the skeleton's encoding. Every node starts with one, and what varies
// in length says its length first, so that no two skeletons of one operation
// read alike.
const (
	tagAbsent byte = iota + 1
	tagNull
	tagScalar
	tagFalse
	tagTrue
	tagEnum    // length, name
	tagScalars // flags
	tagList    // count, items
	tagObject  // one node per field of the type, in its order
)

// Flags of a list of scalars or enums.
const (
	listEmpty byte = 1 << iota
	listHasNull
)

// Skeleton reduces coerced variables to what a plan may depend on: what is
// absent, null or present; which fields input objects state and how many items
// lists of input objects have; enum values; and the Booleans that @skip and
// @include read. Scalars, and the lengths of lists of them, are erased but for
// emptiness and the presence of a null. Equal skeletons of one operation have
// equal plans; different ones never encode alike.
func Skeleton(doc *Document, op *ast.OperationDefinition, vars map[string]any) []byte {
	s := skeleton{api: doc.shape.api}
	for _, def := range op.VariableDefinitions {
		value, given := vars[def.Variable]
		if b, ok := value.(bool); ok && doc.conditions[def.Variable] {
			s.condition(b)
			continue
		}
		s.node(def.Type, value, given)
	}
	return s.out
}

type skeleton struct {
	api *ast.Schema
	out []byte
}

func (s *skeleton) condition(b bool) {
	if b {
		s.out = append(s.out, tagTrue)
	} else {
		s.out = append(s.out, tagFalse)
	}
}

func (s *skeleton) node(t *ast.Type, value any, given bool) {
	switch {
	case !given:
		s.out = append(s.out, tagAbsent)
		return
	case value == nil:
		s.out = append(s.out, tagNull)
		return
	}
	def := s.api.Types[t.Name()]
	object := def != nil && def.Kind == ast.InputObject
	if t.Elem != nil {
		items, _ := value.([]any)
		if object {
			s.out = binary.AppendUvarint(append(s.out, tagList), uint64(len(items)))
			for _, item := range items {
				s.node(t.Elem, item, true)
			}
			return
		}
		s.out = append(s.out, tagScalars, listFlags(items))
		return
	}
	switch {
	case object:
		fields, _ := value.(map[string]any)
		s.out = append(s.out, tagObject)
		for _, f := range def.Fields {
			v, ok := fields[f.Name]
			s.node(f.Type, v, ok)
		}
	case def != nil && def.Kind == ast.Enum:
		name, _ := value.(string)
		s.out = append(binary.AppendUvarint(append(s.out, tagEnum), uint64(len(name))), name...)
	default:
		s.out = append(s.out, tagScalar)
	}
}

// listFlags looks through lists of lists: a null anywhere counts.
func listFlags(items []any) byte {
	var flags byte
	if len(items) == 0 {
		flags |= listEmpty
	}
	for _, item := range items {
		switch item := item.(type) {
		case nil:
			flags |= listHasNull
		case []any:
			flags |= listFlags(item) & listHasNull
		}
	}
	return flags
}
