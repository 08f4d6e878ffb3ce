package postgres

import (
	"context"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/weir-data/weir/adapters/cell"
	"github.com/weir-data/weir/schema"
)

// domain is what values a type takes as input, so that the server is never sent
// one that it would refuse.
type domain struct {
	oid    uint32              // of the element, for arrays
	class  domainClass         //
	labels map[string]struct{} // of an enum
}

type domainClass uint8

const (
	domainText  domainClass = iota // anything
	domainInt                      // of bits
	domainFloat                    // of bits
	domainNumeric
	domainBoolean
	domainDate
	domainInstant
	domainTime
	domainUUID
	domainLabels
	domainOther // not known: sent as it is, the server decides
)

// elementOf maps the array types that have fixed numbers to their elements.
func elementOf(array uint32) (uint32, bool) {
	switch array {
	case pgtype.BoolArrayOID:
		return pgtype.BoolOID, true
	case pgtype.Int2ArrayOID:
		return pgtype.Int2OID, true
	case pgtype.Int4ArrayOID:
		return pgtype.Int4OID, true
	case pgtype.Int8ArrayOID:
		return pgtype.Int8OID, true
	case pgtype.TextArrayOID:
		return pgtype.TextOID, true
	case pgtype.VarcharArrayOID:
		return pgtype.VarcharOID, true
	case pgtype.BPCharArrayOID:
		return pgtype.BPCharOID, true
	case pgtype.NameArrayOID:
		return pgtype.NameOID, true
	case pgtype.Float4ArrayOID:
		return pgtype.Float4OID, true
	case pgtype.Float8ArrayOID:
		return pgtype.Float8OID, true
	case pgtype.NumericArrayOID:
		return pgtype.NumericOID, true
	case pgtype.DateArrayOID:
		return pgtype.DateOID, true
	case pgtype.TimeArrayOID:
		return pgtype.TimeOID, true
	case pgtype.TimestampArrayOID:
		return pgtype.TimestampOID, true
	case pgtype.TimestamptzArrayOID:
		return pgtype.TimestamptzOID, true
	case pgtype.UUIDArrayOID:
		return pgtype.UUIDOID, true
	}
	return 0, false
}

// domainOf finds the domain of a type that has a fixed number.
func domainOf(oid uint32) (domain, bool) {
	d := domain{oid: oid}
	switch oid {
	case pgtype.TextOID, pgtype.VarcharOID, pgtype.BPCharOID, pgtype.NameOID:
		d.class = domainText
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID:
		d.class = domainInt
	case pgtype.Float4OID, pgtype.Float8OID:
		d.class = domainFloat
	case pgtype.NumericOID:
		d.class = domainNumeric
	case pgtype.BoolOID:
		d.class = domainBoolean
	case pgtype.DateOID:
		d.class = domainDate
	case pgtype.TimestampOID, pgtype.TimestamptzOID:
		d.class = domainInstant
	case pgtype.TimeOID:
		d.class = domainTime
	case pgtype.UUIDOID:
		d.class = domainUUID
	default:
		return d, false
	}
	return d, true
}

// describe asks the server about a type without a fixed number: an enum's
// labels, an extension's text type (citext), an array of such.
func describe(ctx context.Context, c *pgconn.PgConn, oid uint32) (domain, error) {
	const query = `SELECT t.typtype, t.typcategory, CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE 0 END, coalesce(e.enumlabel, '') ` +
		`FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_enum e ON e.enumtypid = t.oid WHERE t.oid = $1`
	result := c.ExecParams(ctx, query, [][]byte{strconv.AppendUint(nil, uint64(oid), 10)}, []uint32{pgtype.OIDOID}, nil, nil).Read()
	if result.Err != nil {
		return domain{}, result.Err
	}
	d := domain{oid: oid, class: domainOther}
	if len(result.Rows) == 0 {
		return d, nil
	}
	row := result.Rows[0]
	if element, err := strconv.ParseUint(string(row[2]), 10, 32); err == nil && element != 0 {
		if known, ok := domainOf(uint32(element)); ok {
			return known, nil
		}
		return describe(ctx, c, uint32(element))
	}
	switch {
	case string(row[0]) == "e":
		d.class, d.labels = domainLabels, make(map[string]struct{}, len(result.Rows))
		for _, r := range result.Rows {
			d.labels[string(r[3])] = struct{}{}
		}
	case string(row[1]) == "S":
		d.class = domainText
	}
	return d, nil
}

// maxNumeric is more digits than any numeric column is declared with; the
// server itself would take some more.
const maxNumeric = 16_000

// takes reports whether the type accepts a text as input.
func (d *domain) takes(text string) bool {
	switch d.class {
	case domainInt:
		_, err := strconv.ParseInt(text, 10, d.bits())
		return err == nil && kind(schema.BigInt, text)
	case domainFloat:
		if !kind(schema.Float, text) {
			return false
		}
		v, err := strconv.ParseFloat(text, d.bits())
		// The server refuses what would become zero.
		return err == nil && (v != 0 || strings.Trim(mantissa(text), "-0.") == "")
	case domainNumeric:
		return len(text) <= maxNumeric && (kind(schema.Decimal, text) || kind(schema.Float, text))
	case domainBoolean:
		return text == "true" || text == "false"
	case domainDate:
		return kind(schema.Date, text)
	case domainInstant:
		return kind(schema.DateTime, text) || kind(schema.Date, text)
	case domainTime:
		return kind(schema.Time, text)
	case domainUUID:
		return kind(schema.UUID, text)
	case domainLabels:
		_, ok := d.labels[text]
		return ok
	default:
		return true
	}
}

func (d *domain) bits() int {
	switch d.oid {
	case pgtype.Int2OID:
		return 16
	case pgtype.Int4OID, pgtype.Float4OID:
		return 32
	default:
		return 64
	}
}

func mantissa(text string) string {
	m, _, _ := strings.Cut(strings.ToLower(text), "e")
	return m
}

func kind(k schema.Scalar, text string) bool {
	_, ok := cell.Arg(k, nil, text)
	return ok
}

// wider gives the type a parameter must have instead of the one the server
// inferred from the column, for an argument of the kind to keep its meaning:
// beside an integer column 3000000000 and 1.5 are values like others.
func wider(k schema.Scalar, inferred uint32) uint32 {
	switch inferred {
	case pgtype.Int2OID, pgtype.Int4OID:
		if k == schema.BigInt {
			return pgtype.Int8OID
		}
	case pgtype.Int2ArrayOID, pgtype.Int4ArrayOID:
		if k == schema.BigInt {
			return pgtype.Int8ArrayOID
		}
	}
	if k == schema.Float {
		switch inferred {
		case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID:
			return pgtype.Float8OID
		case pgtype.Int2ArrayOID, pgtype.Int4ArrayOID, pgtype.Int8ArrayOID:
			return pgtype.Float8ArrayOID
		}
	}
	return 0
}
