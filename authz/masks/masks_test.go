package masks

import (
	"cmp"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

var update = flag.Bool("update", false, "rewrite testdata/outputs.txt and the table of docs/masks.md")

func parse(t testing.TB, spec string) (Rule, Func) {
	t.Helper()
	r, err := Parse(spec)
	if err != nil {
		t.Fatal(err)
	}
	return r, r.Bind([]byte("a key of one purpose"))
}

// seed is printed, and WEIR_SEED repeats it.
func seed(t testing.TB) *rand.Rand {
	t.Helper()
	n := uint64(time.Now().UnixNano())
	if s := os.Getenv("WEIR_SEED"); s != "" {
		var err error
		if n, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("WEIR_SEED=%d", n)
	return rand.New(rand.NewPCG(n, 0))
}

// sized is a number of trials: more in the long form.
func sized(n int) int {
	if os.Getenv("WEIR_SOAK") == "1" {
		return 100 * n
	}
	return n
}

// output is a mask's whole output.
type output struct {
	text string
	ok   bool
}

func apply(f Func, v string) output {
	out, ok := f(nil, []byte(v))
	return output{string(out), ok}
}

// TestNothingButTheDeclared: of many values, those that agree on what the rule
// declares to keep have one mask; and what is declared is no more than the table
// says, and no less.
func TestNothingButTheDeclared(t *testing.T) {
	r := seed(t)
	for _, spec := range specs() {
		t.Run(spec, func(t *testing.T) {
			rule, f := parse(t, spec)
			type group struct {
				out    output
				of     string
				shaped int
			}
			groups := map[witness]*group{}
			longestFirst, longestLast := 0, 0
			n := sized(20_000)
			for range n {
				v := drawn(r, rule.Name)
				w, out := witnessOf(rule, v), apply(f, v)
				longestFirst = max(longestFirst, uniseg.GraphemeClusterCount(w.first))
				longestLast = max(longestLast, uniseg.GraphemeClusterCount(w.last))
				if w.part != "" && rule.Preserves.Note == "" {
					t.Fatalf("%q: the witness needs words that the table lacks", v)
				}
				g, known := groups[w]
				if !known {
					g = &group{out: out, of: v}
					groups[w] = g
				}
				if g.out != out {
					t.Fatalf("%q and %q agree on what is kept (%q), but their masks are %v and %v", g.of, v, w, g.out, out)
				}
				if w != (witness{}) && v != g.of {
					g.shaped++
				}
			}
			if longestFirst > rule.Preserves.First || longestLast > rule.Preserves.Last {
				t.Errorf("up to %d and %d characters are kept, declared are %d and %d", longestFirst, longestLast, rule.Preserves.First, rule.Preserves.Last)
			}
			if n >= 20_000 && (longestFirst < rule.Preserves.First || longestLast < rule.Preserves.Last) {
				t.Errorf("at most %d and %d characters were kept, declared are %d and %d: the table says too much, or the values too little",
					longestFirst, longestLast, rule.Preserves.First, rule.Preserves.Last)
			}
			shared := 0
			for _, g := range groups {
				shared += g.shaped
			}
			if shared < n/10 && rule.Name != "PSEUDONYM" && rule.Name != "REDACT" && rule.Name != "NULL" && spec != "BUCKET(2)" && spec != "ID_NUMBER(0,0)" && spec != "KEEP(16,16)" {
				t.Errorf("only %d of %d values shared a witness: the test has no power", shared, n)
			}
		})
	}
}

// TestFlagsOfTheTable: equality, order, nullness and length are as declared.
func TestFlagsOfTheTable(t *testing.T) {
	r := seed(t)
	for _, spec := range specs() {
		t.Run(spec, func(t *testing.T) {
			rule, f := parse(t, spec)
			if rule.Preserves.Length {
				t.Error("no rule keeps the length: teach this test")
			}
			lengths := map[int]bool{}
			seen := map[string]string{}
			var values []string
			merged := false
			for range sized(4_000) {
				v := drawn(r, rule.Name)
				out := apply(f, v)
				if !out.ok {
					if rule.Name != "NULL" && !strings.Contains(rule.Preserves.Note, "null") {
						t.Fatalf("%q became null, and the table does not say so", v)
					}
					continue
				}
				if other, known := seen[out.text]; known && other != v {
					merged = true
				}
				seen[out.text] = v
				lengths[len([]rune(out.text))] = true
				values = append(values, v)
			}
			if rule.Preserves.Equality == merged && rule.Name != "NULL" {
				t.Errorf("equality declared: %v; two values shared an output: %v", rule.Preserves.Equality, merged)
			}
			switch rule.Name { // what is kept has no length of its own
			case "ADDRESS", "BUCKET", "EMAIL", "KEEP", "MONTH", "NAME", "YEAR", "NULL":
			default:
				if len(lengths) != 1 {
					t.Errorf("outputs have the lengths %v", lengths)
				}
			}
			if rule.Preserves.Order {
				checkOrder(t, rule, f, values)
			}
			if rule.Idempotent {
				for v := range seen {
					if once := apply(f, seen[v]); apply(f, once.text) != once {
						t.Errorf("%q: masked twice it is %v, once %v", seen[v], apply(f, once.text), once)
					}
				}
			}
		})
	}
}

func checkOrder(t *testing.T, rule Rule, f Func, values []string) {
	t.Helper()
	compare := strings.Compare
	if rule.Name == "BUCKET" {
		compare = func(a, b string) int {
			x, _ := strconv.ParseFloat(a, 64)
			y, _ := strconv.ParseFloat(b, 64)
			return cmp.Compare(x, y)
		}
	}
	// A column has one form: dates, or moments.
	values = slices.DeleteFunc(values, func(v string) bool { return strings.Contains(v, "T") })
	slices.SortFunc(values, compare)
	for i := 1; i < len(values); i++ {
		if a, b := apply(f, values[i-1]), apply(f, values[i]); compare(a.text, b.text) > 0 && compare(values[i-1], values[i]) < 0 {
			t.Fatalf("%q < %q, but their masks are %q and %q", values[i-1], values[i], a.text, b.text)
		}
	}
}

// TestOutputFitsTheType: whatever the value, the output is valid for every kind
// that the rule fits; and the kinds that it does not fit are refused.
func TestOutputFitsTheType(t *testing.T) {
	r := seed(t)
	kinds := []string{"ID", "String", "Int", "Float", "Boolean", "Date", "DateTime", "Time", "Decimal", "BigInt", "UUID", "JSON", "Enum"}
	for _, spec := range specs() {
		rule, f := parse(t, spec)
		for _, kind := range kinds {
			fits := rule.Fits(kind, false) == nil
			if fits != (slices.Contains(rule.Describe().Kinds, kind) || rule.Name == "NULL") {
				t.Errorf("%s fits %s: %v; described otherwise", spec, kind, fits)
			}
			if (rule.Fits(kind, true) == nil) != (rule.Name == "NULL") {
				t.Errorf("%s masks lists of %s", spec, kind)
			}
			if fits != slices.Contains(Fitting(kind, false), rule.Describe().Usage) {
				t.Errorf("Fitting(%s) does not agree on %s", kind, spec)
			}
			if !fits {
				continue
			}
			for range sized(2_000) {
				v := valueOf(r, rule.Name, kind)
				if out := apply(f, v); out.ok && !valid(kind, out.text) {
					t.Fatalf("%s: the mask of %q is %q, which is no %s", spec, v, out.text, kind)
				}
			}
		}
	}
}

// valueOf draws a value that a column of the kind can hold.
func valueOf(r *rand.Rand, rule, kind string) string {
	for {
		switch kind {
		case "Int":
			return strconv.Itoa(int(int32(r.Uint32())) >> r.IntN(32))
		case "BigInt":
			return strconv.FormatInt(int64(r.Uint64())>>r.IntN(64), 10)
		case "Decimal":
			return fmt.Sprintf("%d.%03d", int64(r.Uint64())>>r.IntN(64), r.IntN(1000))
		case "Float":
			return strconv.FormatFloat((r.Float64()-0.5)*math.Pow(10, float64(r.IntN(40)-10)), 'g', -1, 64)
		}
		if v := drawn(r, rule); valid(kind, v) || kind == "String" || kind == "ID" || rule == "NULL" {
			return v
		}
	}
}

func valid(kind, s string) bool {
	switch kind {
	case "ID", "String":
		return utf8.ValidString(s)
	case "Int":
		_, err := strconv.ParseInt(s, 10, 32)
		return err == nil
	case "BigInt":
		_, err := strconv.ParseInt(s, 10, 64)
		return err == nil
	case "Decimal", "Float":
		_, err := strconv.ParseFloat(s, 64)
		return err == nil
	case "Date":
		_, err := time.Parse("2006-01-02", s)
		return err == nil && !strings.HasPrefix(s, "0000")
	case "DateTime":
		_, err := time.Parse("2006-01-02T15:04:05Z", s)
		return err == nil && !strings.HasPrefix(s, "0000")
	}
	return false
}

// TestFuncsAppend: a Func keeps what stands before, does not keep or change its
// input, and needs no memory but the output's.
func TestFuncsAppend(t *testing.T) {
	for _, spec := range specs() {
		rule, f := parse(t, spec)
		values := append(awkward(), rule.Describe().In, shaped(rand.New(rand.NewPCG(1, 1)), rule.Name))
		for _, v := range values {
			src := []byte(v)
			want, wantOK := f(nil, src)
			got, ok := f([]byte("before"), src)
			if ok != wantOK || string(got) != "before"+string(want) || string(src) != v {
				t.Errorf("%s of %q: %q alone, %q after other text; the input is %q afterwards", spec, v, want, got, src)
			}
			room := make([]byte, 0, 1<<16)
			if n := testing.AllocsPerRun(10, func() { _, _ = f(room, src) }); n > 0 {
				t.Errorf("%s of %.20q allocates %v times", spec, v, n)
			}
		}
	}
}

// TestOutputsAreVersioned: an output changes only with the rule's version.
func TestOutputsAreVersioned(t *testing.T) {
	const path = "testdata/outputs.txt"
	var b strings.Builder
	b.WriteString("# What each rule makes of a value, per version: rule, version, value, output.\n")
	r := rand.New(rand.NewPCG(7, 7))
	for _, spec := range specs() {
		rule, f := parse(t, spec)
		values := []string{rule.Describe().In, "", "张", "\xff"}
		for range 12 {
			values = append(values, shaped(r, rule.Name))
		}
		for _, v := range values {
			out := apply(f, v)
			text := strconv.Quote(out.text)
			if !out.ok {
				text = "null"
			}
			fmt.Fprintf(&b, "%s\tv%d\t%q\t%s\n", spec, rule.Version, v, text)
		}
	}
	want, err := os.ReadFile(path)
	if *update {
		for _, line := range strings.Split(string(want), "\n") {
			at := strings.LastIndexByte(line, '\t') + 1
			if at > 0 && strings.Contains(b.String(), line[:at]) && !strings.Contains(b.String(), line+"\n") {
				t.Fatalf("another output for one version: raise the rule's version first: %s", line)
			}
		}
		err = os.WriteFile(path, []byte(b.String()), 0o600)
		want = []byte(b.String())
	}
	if err != nil {
		t.Fatal(err)
	}
	got, kept := strings.Split(b.String(), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(got), len(kept)) {
		if i >= len(got) || i >= len(kept) || got[i] != kept[i] {
			t.Fatalf("%s, line %d: the outputs changed. Raise the rule's version, then run with -update", path, i+1)
		}
	}
}
