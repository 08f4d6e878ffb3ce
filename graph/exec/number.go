package exec

import (
	"bytes"
	"math"
	"math/big"
	"strconv"

	"github.com/weir-data/weir/schema"
)

// number is an exact number: n / 10^scale, or for Floats n / 2^1074, which holds
// every one of them. Sums of numbers do not depend on the order of their terms,
// and no engine's overflow, rounding or cast comes into them.
type number struct {
	n     big.Int
	scale int // decimal places; 0 for Floats
}

// floatScale is the exponent of the smallest Float.
const floatScale = 1074

// power is 10^n.
func power(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// parseNumber reads a cell of a numeric kind; ok is false when it is none.
func parseNumber(x *number, kind schema.Scalar, text []byte) (ok bool) {
	x.scale = 0
	if kind == schema.Float {
		return x.setFloat(text)
	}
	whole, fraction, _ := bytes.Cut(text, []byte{'.'})
	if len(text) == 0 || len(text) > maxDigits {
		return false
	}
	if len(whole)+len(fraction) <= 18 {
		v, ok := shortNumber(whole, fraction)
		if !ok {
			return false
		}
		x.n.SetInt64(v)
	} else if _, ok := x.n.SetString(string(whole)+string(fraction), 10); !ok {
		return false
	}
	x.scale = len(fraction)
	return true
}

// shortNumber reads digits that fit into 63 bits, with an optional minus.
func shortNumber(whole, fraction []byte) (v int64, ok bool) {
	negative := len(whole) > 0 && whole[0] == '-'
	if negative {
		whole = whole[1:]
	}
	if len(whole)+len(fraction) == 0 {
		return 0, false
	}
	for _, digits := range [2][]byte{whole, fraction} {
		for _, c := range digits {
			if c < '0' || c > '9' {
				return 0, false
			}
			v = v*10 + int64(c-'0')
		}
	}
	if negative {
		v = -v
	}
	return v, true
}

// maxDigits bounds the length of a number. PostgreSQL's numeric has at most
// 147,455 digits; nobody's money does.
const maxDigits = 1 << 10

func (x *number) setFloat(text []byte) bool {
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return false
	}
	fraction, exponent := math.Frexp(f)
	x.n.SetInt64(int64(math.Ldexp(fraction, 53)))
	if shift := exponent - 53 + floatScale; shift >= 0 {
		x.n.Lsh(&x.n, uint(shift))
	} else {
		x.n.Rsh(&x.n, uint(-shift)) // of a subnormal: zeros leave
	}
	return true
}

// align gives a number a scale that is not smaller than its own.
func (x *number) align(scale int) {
	if scale > x.scale {
		x.n.Mul(&x.n, power(scale-x.scale))
		x.scale = scale
	}
}

// add adds times y; y may be aligned.
func (x *number) add(y *number, times int64) {
	x.align(y.scale)
	y.align(x.scale)
	if times == 1 {
		x.n.Add(&x.n, &y.n)
		return
	}
	var product big.Int
	x.n.Add(&x.n, product.Mul(&y.n, product.SetInt64(times)))
}

// text appends the number's canonical text: without a fraction's last zeros.
// Numbers of equal value have equal text, Floats in units of 2^-1074.
func (x *number) text(dst []byte) []byte {
	start := len(dst)
	dst = x.n.Append(dst, 10)
	if x.scale == 0 {
		return dst
	}
	digits := dst[start:]
	negative := digits[0] == '-'
	if negative {
		digits = digits[1:]
	}
	if short := x.scale + 1 - len(digits); short > 0 {
		digits = append(bytes.Repeat([]byte{'0'}, short), digits...)
	}
	fraction := bytes.TrimRight(digits[len(digits)-x.scale:], "0")
	whole := digits[:len(digits)-x.scale]
	out := make([]byte, 0, len(digits)+2)
	if negative {
		out = append(out, '-')
	}
	out = append(out, whole...)
	if len(fraction) > 0 {
		out = append(append(out, '.'), fraction...)
	}
	return append(dst[:start], out...)
}

// appendRatio appends the Float nearest to a quotient; false when it is beyond
// them.
func appendRatio(dst []byte, num, den *big.Int) ([]byte, bool) {
	f, _ := new(big.Rat).SetFrac(num, den).Float64()
	if math.IsInf(f, 0) {
		return dst, false
	}
	return strconv.AppendFloat(dst, f, 'g', -1, 64), true
}

// denominator is what n is divided by.
func (x *number) denominator(kind schema.Scalar) *big.Int {
	if kind == schema.Float {
		return new(big.Int).Lsh(big.NewInt(1), floatScale)
	}
	return power(x.scale)
}

// appendSum appends a sum of values of a kind as [schema.SumKind] says.
func appendSum(dst []byte, kind schema.Scalar, x *number) ([]byte, bool) {
	if kind == schema.Float {
		return appendRatio(dst, &x.n, x.denominator(kind))
	}
	return x.text(dst), true
}

// appendAvg appends the average of count values as [schema.AvgKind] says.
func appendAvg(dst []byte, kind schema.Scalar, x *number, count int64) ([]byte, bool) {
	den := x.denominator(kind)
	den.Mul(den, big.NewInt(count))
	if kind != schema.Decimal {
		return appendRatio(dst, &x.n, den)
	}
	q := number{scale: schema.AvgScale}
	divide(&q.n, q.n.Mul(&x.n, power(schema.AvgScale)), den)
	return q.text(dst), true
}

// divide sets q to a/b, b > 0, rounded half away from zero.
func divide(q, a, b *big.Int) {
	var twice, rest big.Int
	negative := a.Sign() < 0
	twice.Abs(a)
	q.QuoRem(&twice, b, &rest)
	if rest.Lsh(&rest, 1).Cmp(b) >= 0 {
		q.Add(q, big.NewInt(1))
	}
	if negative {
		q.Neg(q)
	}
}
