package exec

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/weir-data/weir/schema"
)

// decimalText draws a Decimal as a source may hold it.
func decimalText() *rapid.Generator[string] {
	return rapid.StringMatching(`-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,12})?`).Filter(func(s string) bool { return s != "-0" })
}

// Sums and averages are what exact rational arithmetic gives, whatever the
// order and the scales of the terms.
func TestSumsOfDecimalsAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var sum number
		want, n := new(big.Rat), int64(0)
		for _, text := range rapid.SliceOfN(decimalText(), 1, 20).Draw(t, "terms") {
			times := rapid.Int64Range(1, 3).Draw(t, "times")
			var x number
			if !parseNumber(&x, schema.Decimal, []byte(text)) {
				t.Fatalf("%s is no number", text)
			}
			sum.add(&x, times)
			r, _ := new(big.Rat).SetString(text)
			want.Add(want, r.Mul(r, big.NewRat(times, 1)))
			n += times
		}
		got, ok := appendSum(nil, schema.Decimal, &sum)
		r, parsed := new(big.Rat).SetString(string(got))
		if !ok || !parsed || r.Cmp(want) != 0 || strings.Contains(string(got), ".") && strings.HasSuffix(string(got), "0") {
			t.Fatalf("sum %s, want %s", got, want.FloatString(12))
		}
		avg, ok := appendAvg(nil, schema.Decimal, &sum, n)
		// FloatString rounds half away from zero, too.
		exact := new(big.Rat).Quo(want, big.NewRat(n, 1)).FloatString(schema.AvgScale)
		exact = strings.TrimRight(strings.TrimRight(exact, "0"), ".")
		if exact == "-0" || exact == "" {
			exact = "0"
		}
		if !ok || string(avg) != exact {
			t.Fatalf("average %s, want %s", avg, exact)
		}
	})
}

func TestSumsOfFloatsAreRoundedOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var sum number
		want := new(big.Rat)
		terms := rapid.SliceOfN(rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{5e-324, -5e-324, 1e308, 0.1, 2.2250738585072014e-308, math.MaxFloat64})), 1, 12).Draw(t, "terms")
		for _, f := range terms {
			var x number
			if !parseNumber(&x, schema.Float, []byte(strconv.FormatFloat(f, 'g', -1, 64))) {
				t.Fatalf("%v is no number", f)
			}
			sum.add(&x, 1)
			want.Add(want, new(big.Rat).SetFloat64(f))
		}
		got, ok := appendSum(nil, schema.Float, &sum)
		f, _ := want.Float64()
		if ok == math.IsInf(f, 0) || ok && string(got) != strconv.FormatFloat(f, 'g', -1, 64) {
			t.Fatalf("%v: sum %s %v, want %v", terms, got, ok, f)
		}
		avg, ok := appendAvg(nil, schema.Float, &sum, int64(len(terms)))
		f, _ = want.Quo(want, big.NewRat(int64(len(terms)), 1)).Float64()
		if !ok || string(avg) != strconv.FormatFloat(f, 'g', -1, 64) {
			t.Fatalf("%v: average %s, want %v", terms, avg, f)
		}
	})
}

func TestWhatIsNoNumber(t *testing.T) {
	for _, text := range []string{"", "-", "abc", "1e3", "1.x", "NaN", "--1", strings.Repeat("9", maxDigits+1)} {
		var x number
		if parseNumber(&x, schema.Decimal, []byte(text)) {
			t.Errorf("%q is taken for a number", text)
		}
	}
	for _, text := range []string{"", "NaN", "Inf", "-inf", "x"} {
		var x number
		if parseNumber(&x, schema.Float, []byte(text)) {
			t.Errorf("%q is taken for a Float", text)
		}
	}
}

func TestBigIntegersDoNotOverflow(t *testing.T) {
	var sum, x number
	parseNumber(&x, schema.BigInt, []byte("9223372036854775807"))
	sum.add(&x, 1<<40)
	if got, _ := appendSum(nil, schema.BigInt, &sum); string(got) != new(big.Int).Mul(big.NewInt(math.MaxInt64), big.NewInt(1<<40)).String() {
		t.Errorf("sum %s", got)
	}
}
