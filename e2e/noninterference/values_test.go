package noninterference

import (
	"slices"
	"strconv"
	"strings"

	"github.com/weir-data/weir/authz/masks"
	"github.com/weir-data/weir/schema"
)

// pools are small, so that values meet: in joins, in filters, with what masks
// make of others, at the ends of their kinds.
func pool(kind schema.Scalar) []string {
	switch kind {
	case schema.String:
		return []string{"", "a", "A", "b", "ab", "a ", "a%", "***", "a****b", "a*", "张三", "张*", "张三丰", "欧阳明", "p0", "p1", "k1", "k2", "north", "south", "\U0001f600", "'", `"x\`, strings.Repeat("z", 300)}
	case schema.ID:
		return []string{"", "1", "01", "i1", "I1", "p0", "k1"}
	case schema.Int:
		return []string{"-2147483648", "-1", "0", "1", "9", "10", "11", "19", "20", "2147483647"}
	case schema.BigInt:
		return []string{"-9223372036854775808", "-1", "0", "9", "10", "9007199254740993", "9223372036854775807"}
	case schema.Decimal:
		return []string{"-10.50", "0.00", "0.1", "9", "10", "123456789012345678901234567890.123456789"}
	case schema.Float:
		return []string{"-1.5", "0", "0.25", "1", "1024"}
	case schema.Boolean:
		return []string{"true", "false"}
	case schema.Date:
		return []string{"0001-01-01", "1990-01-01", "1990-05-17", "1990-12-31", "1991-01-01", "2026-11-23", "9999-12-31"}
	case schema.DateTime:
		return []string{"1969-12-31T23:59:59Z", "1990-05-17T08:00:00Z", "1990-05-17T09:30:00Z", "1990-06-01T00:00:00Z", "2026-11-23T08:00:00Z"}
	case schema.Time:
		return []string{"00:00:00", "08:00:00", "08:00:01", "23:59:59"}
	case schema.UUID:
		return []string{"00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "f0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12", "ffffffff-ffff-ffff-ffff-ffffffffffff"}
	case schema.JSON:
		return []string{`{}`, `{"a":1}`, `[1,2]`, `"x"`, `0`}
	case schema.Enum:
		return enumValues()
	}
	return nil
}

func listPool() []string { return []string{`[]`, `["a"]`, `["a","b"]`, `["b"]`, `["***"]`} }

const enumName = "Colour"

func enumValues() []string { return []string{"BLUE", "GREEN", "RED"} }

func persons() []string { return []string{"p0", "p1", "p2", "p3", "p4"} }

// keyText gives the n-th key of a kind; String keys are shared over all types,
// so that they join.
func keyText(kind schema.Scalar, n int) string {
	switch kind {
	case schema.BigInt:
		return strconv.Itoa(n*7 - 3)
	case schema.Int:
		return strconv.Itoa(n)
	case schema.UUID:
		return "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a" + strconv.Itoa(10+n)
	default:
		return "k" + strconv.Itoa(n)
	}
}

const keyCount = 10

func keyPool(kind schema.Scalar) []string {
	out := make([]string, keyCount)
	for i := range out {
		out[i] = keyText(kind, i)
	}
	return out
}

// maskPool are masks that fit a kind.
func maskPool(kind schema.Scalar, list bool) []string {
	all := []string{
		"NULL", "REDACT", "REDACT", "KEEP(1,0)", "KEEP(0,1)", "KEEP(1,1)", "NAME", "ID_NUMBER", "PHONE", "EMAIL", "ADDRESS", "PLATE",
		"CREDIT_CODE", "BANK_CARD", "PSEUDONYM", "YEAR", "MONTH", "BUCKET(10)", "BUCKET(1000)",
	}
	return slices.DeleteFunc(all, func(spec string) bool {
		rule, err := masks.Parse(spec)
		if err != nil {
			panic(err)
		}
		return rule.Fits(kind.String(), list) != nil || kind == schema.String && (spec == "YEAR" || spec == "MONTH")
	})
}

// domain are the values that a field's cells are drawn from.
func (t *typ) domain(f *field) []string {
	switch {
	case f.values != nil:
		return f.values
	case f.list:
		return listPool()
	case f.subject:
		return persons()
	case slices.ContainsFunc(t.keys, func(k int) bool { return t.fields[k] == f }):
		return keyPool(f.kind)
	}
	return pool(f.kind)
}

// matchable: of which there are too many values to try, and compared exactly.
func (f *field) matchable() bool {
	switch f.kind {
	case schema.String, schema.ID, schema.Int, schema.BigInt, schema.UUID:
		return !f.list && f.mask != "PSEUDONYM"
	}
	return false
}
