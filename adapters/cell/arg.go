package cell

import (
	"github.com/weir-data/weir/schema"
)

// Arg gives the canonical text of an argument of the kind, or ok false when it
// is not of the kind: an engine is never asked to parse what is not. enum is
// used for schema.Enum alone.
//
// What is not of a kind equals nothing, precedes nothing and follows nothing:
// adapters send NULL in its place, so that the comparison is unknown.
func Arg(kind schema.Scalar, enum []string, text string) (canonical string, ok bool) {
	out, ok := AppendScalar(make([]byte, 0, len(text)+8), kind, enum, []byte(text))
	if !ok {
		return "", false
	}
	if string(out) == text {
		return text, true
	}
	return string(out), true
}
