package exec

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/internal/keyring"
)

// Uses of the key ring. Changing one makes every handle and cursor of its kind
// invalid.
const (
	useRef    = "ref"
	useCursor = "cursor"
)

// errSealed is a handle or cursor that does not open for this reader, purpose
// and query; it says no more on purpose.
var errSealed = errors.New("sealed text does not open here")

// appendPart appends one length-prefixed part, so that no two lists of parts
// have the same bytes.
func appendPart[T string | []byte](dst []byte, part T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(part)))
	return append(dst, part...)
}

// appendCell appends a value or NULL.
func appendCell[T string | []byte](dst []byte, text T, null bool) []byte {
	if null {
		return append(dst, 0)
	}
	return appendPart(append(dst, 1), text)
}

// cells takes apart what appendCell wrote.
func cells(src []byte, n int) ([]adapters.Arg, error) {
	out := make([]adapters.Arg, 0, n)
	for range n {
		if len(src) == 0 {
			return nil, errSealed
		}
		flag := src[0]
		src = src[1:]
		if flag == 0 {
			out = append(out, adapters.Arg{Null: true})
			continue
		}
		size, used := binary.Uvarint(src)
		if used <= 0 || size > uint64(len(src)-used) {
			return nil, errSealed
		}
		end := used + int(size) //nolint:gosec // at most the length of src
		out = append(out, adapters.Arg{Text: string(src[used:end])})
		src = src[end:]
	}
	if len(src) > 0 {
		return nil, errSealed
	}
	return out, nil
}

// refBinding is what a row handle is bound to: the type, and who holds it for
// what.
func (r *run) refBinding(dst []byte, typeName string) []byte {
	dst = appendPart(dst, typeName)
	dst = appendPart(dst, r.req.Subject.ID)
	return appendPart(dst, r.req.Purpose)
}

// appendRef appends the sealed handle of a row as a JSON string, or null when
// a part of its key is NULL: such a row has no identity.
func (r *run) appendRef(dst []byte, f *plan.Field, at *place) []byte {
	plain := r.scratch[:0]
	for _, column := range f.RefColumns {
		text, null := at.batch.Cell(at.row, column)
		if null {
			return append(dst, "null"...)
		}
		plain = appendCell(plain, text, false)
	}
	n := len(plain)
	all := r.refBinding(plain, f.RefType)
	r.scratch = all
	dst = append(dst, '"')
	dst = keyring.AppendText(dst, r.e.ring.SealDeterministic(useRef, all[:n], all[n:]))
	return append(dst, '"')
}

// openRef gives the key that a handle stands for.
func (r *run) openRef(text, typeName string, n int) ([]adapters.Arg, error) {
	sealed, err := keyring.DecodeText(text)
	if err != nil {
		return nil, errSealed
	}
	plain, err := r.e.ring.OpenDeterministic(useRef, sealed, r.refBinding(nil, typeName))
	if err != nil {
		return nil, errSealed
	}
	return cells(plain, n)
}

// appendAttributes appends the reader's attributes: what his rights are on a row
// depends on them, and his next token may have others.
func (r *run) appendAttributes(dst []byte) []byte {
	var room [8]string
	names := room[:0]
	for name, value := range r.req.Subject.Attributes {
		if value != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	dst = binary.AppendUvarint(dst, uint64(len(names)))
	for _, name := range names {
		dst = appendPart(dst, name)
		dst = appendPart(dst, r.req.Subject.Attributes[name])
	}
	return dst
}

// cursorBinding is what a cursor is bound to: reader and attributes, purpose,
// the shape of the query, the grants it was made under, and the values of its
// conditions. The page size is not among them, and may change from page to page.
func (r *run) cursorBinding(conn *plan.Connection) ([]byte, plan.Errors) {
	dst := appendPart(nil, r.req.Subject.ID)
	dst = appendPart(dst, r.req.Purpose)
	dst = r.appendAttributes(dst)
	dst = append(dst, r.prog.plan.Fingerprint[:]...)
	dst = append(dst, conn.Bind[:]...)
	for i := range conn.BindArgs {
		arg, errs := r.resolve(conn.BindArgs[i])
		if errs != nil {
			return nil, errs
		}
		dst = appendCell(dst, arg.Text, arg.Null)
		dst = binary.AppendUvarint(dst, uint64(len(arg.List)))
		for _, element := range arg.List {
			dst = appendPart(dst, element)
		}
	}
	return dst, nil
}

// appendCursor appends the sealed cursor of a row as a JSON string.
func (r *run) appendCursor(dst []byte, conn *plan.Connection, binding []byte, at *place) []byte {
	plain := binary.BigEndian.AppendUint64(r.scratch[:0], uint64(r.e.now().Add(r.e.cursorLife).Unix())) //nolint:gosec // a date of this era
	for _, column := range conn.CursorColumns {
		text, null := at.batch.Cell(at.row, column)
		plain = appendCell(plain, text, null)
	}
	r.scratch = plain
	dst = append(dst, '"')
	dst = keyring.AppendText(dst, r.e.ring.Seal(useCursor, plain, binding))
	return append(dst, '"')
}

// openCursor gives the position that a cursor stands for.
func (r *run) openCursor(text string, conn *plan.Connection, binding []byte) ([]adapters.Arg, error) {
	sealed, err := keyring.DecodeText(text)
	if err != nil {
		return nil, errSealed
	}
	plain, err := r.e.ring.Open(useCursor, sealed, binding)
	if err != nil || len(plain) < 8 {
		return nil, errSealed
	}
	if expires := time.Unix(int64(binary.BigEndian.Uint64(plain)), 0); !r.e.now().Before(expires) { //nolint:gosec // sealed by us
		return nil, errSealed
	}
	return cells(plain[8:], len(conn.CursorKinds))
}
