package postgres

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/adapters/cell"
	"github.com/weir-data/weir/schema"
)

// decoder is how the bytes of a result column become text of its kind.
type decoder uint8

const (
	decodeText    decoder = iota // text format, checked by kind
	decodeString                 // as it is
	decodePadded                 // character(n)
	decodeBoolean                // binary from here on
	decodeInt2
	decodeInt4
	decodeInt8
	decodeInt2Float
	decodeInt4Float
	decodeInt8Float
	decodeInt8Int // range is checked
	decodeFloat4
	decodeFloat8
	decodeDate
	decodeInstant
	decodeTime
	decodeUUID
	decodeArray // text format again
)

func (d decoder) binary() bool { return d >= decodeBoolean && d < decodeArray }

// decode chooses decoders and formats for all result columns.
func (s *statement) decode(fields []pgconn.FieldDescription) ([]decoder, []int16) {
	formats := make([]int16, len(fields))
	decoders := make([]decoder, s.query.Cells)
	n := 0
	if s.query.Keyed {
		formats[0], n = pgtype.BinaryFormatCode, 1
	}
	for i := range decoders {
		decoders[i] = decoderOf(&s.columns[i], fields[n].DataTypeOID)
		if decoders[i].binary() {
			formats[n] = pgtype.BinaryFormatCode
		}
		n++
	}
	for range s.query.Scopes {
		formats[n] = pgtype.BinaryFormatCode
		n++
	}
	return decoders, formats
}

func decoderOf(c *adapters.Column, oid uint32) decoder {
	if c.List {
		if oid == pgtype.JSONOID || oid == pgtype.JSONBOID {
			return decodeText
		}
		return decodeArray
	}
	asText := c.Kind == schema.String || c.Kind == schema.ID
	switch oid {
	case pgtype.BoolOID:
		if asText || c.Kind == schema.Boolean {
			return decodeBoolean
		}
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID:
		return integerDecoder(c.Kind, oid)
	case pgtype.Float4OID:
		if c.Kind == schema.Float {
			return decodeFloat4
		}
	case pgtype.Float8OID:
		if c.Kind == schema.Float {
			return decodeFloat8
		}
	case pgtype.DateOID:
		if c.Kind == schema.Date {
			return decodeDate
		}
	case pgtype.TimestampOID, pgtype.TimestamptzOID:
		if c.Kind == schema.DateTime {
			return decodeInstant
		}
	case pgtype.TimeOID:
		if c.Kind == schema.Time {
			return decodeTime
		}
	case pgtype.UUIDOID:
		if asText || c.Kind == schema.UUID {
			return decodeUUID
		}
	case pgtype.BPCharOID:
		return decodePadded
	}
	if asText {
		return decodeString
	}
	return decodeText
}

func integerDecoder(kind schema.Scalar, oid uint32) decoder {
	switch kind {
	case schema.Float:
		switch oid {
		case pgtype.Int2OID:
			return decodeInt2Float
		case pgtype.Int4OID:
			return decodeInt4Float
		}
		return decodeInt8Float
	case schema.Int, schema.BigInt, schema.Decimal, schema.String, schema.ID:
		switch oid {
		case pgtype.Int2OID:
			return decodeInt2
		case pgtype.Int4OID:
			return decodeInt4
		}
		if kind == schema.Int {
			return decodeInt8Int
		}
		return decodeInt8
	}
	return decodeText
}

// appendCell appends a value that is not NULL.
func appendCell(dst []byte, d decoder, c *adapters.Column, raw []byte) ([]byte, bool) {
	switch d {
	case decodeString:
		return cell.AppendString(dst, raw)
	case decodePadded:
		return cell.Append(dst, c, bytes.TrimRight(raw, " "))
	case decodeText:
		return cell.Append(dst, c, raw)
	case decodeArray:
		return appendArray(dst, c, raw)
	case decodeBoolean:
		if len(raw) == 1 {
			return strconv.AppendBool(dst, raw[0] != 0), true
		}
	case decodeUUID:
		if len(raw) == 16 {
			return cell.AppendUUID(dst, [16]byte(raw)), true
		}
	case decodeInt2, decodeInt2Float:
		if len(raw) == 2 {
			return appendInteger(dst, d, int64(int16(binary.BigEndian.Uint16(raw)))) //nolint:gosec // its two's complement
		}
	case decodeInt4, decodeInt4Float, decodeDate, decodeFloat4:
		if len(raw) == 4 {
			return append4(dst, d, binary.BigEndian.Uint32(raw))
		}
	default:
		if len(raw) == 8 {
			return append8(dst, d, binary.BigEndian.Uint64(raw))
		}
	}
	return dst, false
}

func appendInteger(dst []byte, d decoder, v int64) ([]byte, bool) {
	switch d {
	case decodeInt2Float, decodeInt4Float, decodeInt8Float:
		return cell.AppendFloat(dst, float64(v), 64)
	case decodeInt8Int:
		return cell.AppendInt32(dst, v)
	default:
		return strconv.AppendInt(dst, v, 10), true
	}
}

// PostgreSQL counts days and microseconds from 2000-01-01.
const (
	epochDays   = 10957
	epochMicros = epochDays * 86400 * 1_000_000
)

func append4(dst []byte, d decoder, v uint32) ([]byte, bool) {
	n := int64(int32(v)) //nolint:gosec // its two's complement
	switch d {
	case decodeDate:
		return cell.AppendDate(dst, n+epochDays) // which refuses the infinities too
	case decodeFloat4:
		return cell.AppendFloat(dst, float64(math.Float32frombits(v)), 32)
	default:
		return appendInteger(dst, d, n)
	}
}

func append8(dst []byte, d decoder, v uint64) ([]byte, bool) {
	n := int64(v) //nolint:gosec // its two's complement
	switch d {
	case decodeInstant:
		if n > math.MaxInt64-epochMicros { // infinity, and what is far beyond dates
			return dst, false
		}
		return cell.AppendDateTime(dst, n+epochMicros)
	case decodeTime:
		return cell.AppendTime(dst, n)
	case decodeFloat8:
		return cell.AppendFloat(dst, math.Float64frombits(v), 64)
	default:
		return appendInteger(dst, d, n)
	}
}

func appendArray(dst []byte, c *adapters.Column, raw []byte) ([]byte, bool) {
	start := len(dst)
	dst = append(dst, '[')
	first := true
	err := elements(raw, func(text []byte) bool {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		var ok bool
		dst, ok = cell.AppendElement(dst, c, text)
		return ok
	})
	if err != nil {
		return dst[:start], false
	}
	return append(dst, ']'), true
}
