package postgres

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/adapters/cell"
	"github.com/weir-data/weir/adapters/sqlgen"
	"github.com/weir-data/weir/schema"
)

// encode gives the parameters in text format; nil is NULL.
func (s *statement) encode(p *prepared, args []adapters.Arg, keys *adapters.Keys) ([][]byte, error) {
	values := make([][]byte, len(s.query.Slots))
	for i := range s.query.Slots {
		slot, d := &s.query.Slots[i], &p.domains[i]
		switch slot.Use {
		case sqlgen.UseKey, sqlgen.UseKeyText:
			values[i] = keyArray(slot, d, keys)
		case sqlgen.UseBound:
			v, err := bound(&args[slot.Index], slot.Plus)
			if err != nil {
				return nil, &adapters.Error{Kind: adapters.Unsupported, Cause: err}
			}
			values[i] = v
		case sqlgen.UseNull:
			_, ok := single(slot, d, args[slot.Index].Text)
			values[i] = strconv.AppendBool(nil, args[slot.Index].Null || !ok)
		default:
			values[i] = argument(slot, d, &args[slot.Index])
		}
	}
	return values, nil
}

func bound(arg *adapters.Arg, plus int) ([]byte, error) {
	n, err := strconv.ParseUint(arg.Text, 10, 31)
	if arg.Null || err != nil {
		return nil, fmt.Errorf("%w: a limit or offset is no natural number", errArguments)
	}
	return strconv.AppendUint(nil, n+uint64(plus), 10), nil //nolint:gosec // never negative, see sqlgen
}

func argument(slot *sqlgen.Slot, d *domain, arg *adapters.Arg) []byte {
	if arg.Null {
		return nil
	}
	if !slot.List {
		text, ok := single(slot, d, arg.Text)
		if !ok {
			return nil
		}
		return []byte(text)
	}
	out := []byte{'{'}
	for i, text := range arg.List {
		if i > 0 {
			out = append(out, ',')
		}
		text, ok := single(slot, d, text)
		out = appendElement(out, text, ok)
	}
	return append(out, '}')
}

// single is the text of one value, or ok false when it is to be NULL.
func single(slot *sqlgen.Slot, d *domain, text string) (_ string, ok bool) {
	text, ok = cell.Arg(slot.Column.Kind, slot.Column.Enum, text)
	if !ok {
		return "", false
	}
	switch slot.Use {
	case sqlgen.UsePattern:
		return sqlgen.Pattern(text), true
	case sqlgen.UseValue, sqlgen.UseKey:
		if d.class == domainInstant || d.class == domainTime {
			if text, ok = rounded(slot, text); !ok {
				return "", false
			}
		}
		return text, d.takes(text)
	default:
		return text, true
	}
}

// rounded brings an instant to the microseconds that PostgreSQL holds, so that
// a comparison of the slot's operator has the result the instant itself would
// have; equality has none.
func rounded(slot *sqlgen.Slot, text string) (string, bool) {
	k := slot.Column.Kind
	if k != schema.DateTime && k != schema.Time {
		return text, true
	}
	up := slot.Op == schema.Lt || slot.Op == schema.Gte
	down := slot.Op == schema.Gt || slot.Op == schema.Lte
	text, exact, ok := cell.Micros(k, text, up)
	return text, ok && (exact || up || down)
}

// keyArray is the array of one key column's parts.
func keyArray(slot *sqlgen.Slot, d *domain, keys *adapters.Keys) []byte {
	out := make([]byte, 0, len(keys.Data)+4*keys.Rows+2)
	out = append(out, '{')
	for row := range keys.Rows {
		if row > 0 {
			out = append(out, ',')
		}
		text, ok := single(slot, d, string(keys.Cell(row, slot.Index)))
		out = appendElement(out, text, ok)
	}
	return append(out, '}')
}

// appendElement appends an element of an array in PostgreSQL's text form.
func appendElement(dst []byte, text string, ok bool) []byte {
	if !ok {
		return append(dst, "NULL"...)
	}
	dst = append(dst, '"')
	for i := range len(text) {
		if c := text[i]; c == '"' || c == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, text[i])
	}
	return append(dst, '"')
}

var errArray = errors.New("not a one-dimensional array")

// elements calls add for each element of an array in PostgreSQL's text form.
// It is an error when the array has a NULL, several dimensions or bounds.
func elements(array []byte, add func(text []byte) bool) error {
	if len(array) < 2 || array[0] != '{' || array[len(array)-1] != '}' {
		return errArray
	}
	body := array[1 : len(array)-1]
	if len(body) == 0 {
		return nil
	}
	var text []byte
	for {
		text = text[:0]
		quoted := len(body) > 0 && body[0] == '"'
		i := 0
		if quoted {
			i = 1
		}
		closed := false
		for i < len(body) && !closed {
			c := body[i]
			switch {
			case c == '\\' && i+1 < len(body):
				i++
				text = append(text, body[i])
			case quoted && c == '"':
				closed = true
			case !quoted && c == ',':
				closed = true
				i--
			case !quoted && (c == '{' || c == '}'):
				return errArray
			default:
				text = append(text, c)
			}
			i++
		}
		if quoted && !closed || !quoted && (len(text) == 0 || string(text) == "NULL") || !add(text) {
			return errArray
		}
		if i >= len(body) {
			return nil
		}
		if body[i] != ',' {
			return errArray
		}
		body = body[i+1:]
	}
}
