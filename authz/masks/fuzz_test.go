package masks

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// fuzzed lets no input panic, leave its bounds, break UTF-8 or show more than
// the witness.
func fuzzed(f *testing.F, specs ...string) {
	f.Helper()
	r := rand.New(rand.NewPCG(3, 3))
	for _, v := range awkward() {
		f.Add(v)
	}
	rule, _ := parse(f, specs[0])
	for range 50 {
		f.Add(drawn(r, rule.Name))
	}
	f.Fuzz(func(t *testing.T, v string) {
		for _, spec := range specs {
			check(t, spec, v)
		}
	})
}

// longestOutput is KEEP's: every kept character of the greatest size.
const longestOutput = 32*longestGrapheme + len(hidden)

func check(t *testing.T, spec, v string) {
	t.Helper()
	rule, mask := parse(t, spec)
	src := []byte(v)
	raw, ok := mask([]byte("before"), src)
	out, intact := strings.CutPrefix(string(raw), "before")
	switch {
	case !intact || string(src) != v:
		t.Fatalf("%s of %q: what stood before, or the value, was changed", spec, v)
	case !ok && out != "":
		t.Fatalf("%s of %q: null, and %q beside", spec, v, out)
	case len(out) > longestOutput:
		t.Fatalf("%s of %q: %d bytes", spec, v, len(out))
	case !utf8.ValidString(out):
		t.Fatalf("%s of %q: %q is no UTF-8", spec, v, out)
	case !ok:
		return
	}
	if rule.Idempotent {
		if again := apply(mask, out); again.text != out || !again.ok {
			t.Fatalf("%s of %q is %q; of that, %v", spec, v, out, again)
		}
	}
	if rule.Keyed {
		if out == v || len(out) != 22 {
			t.Fatalf("%s of %q: %q", spec, v, out)
		}
		return
	}
	w := witnessOf(rule, v)
	rest, first := strings.CutPrefix(out, w.first)
	rest, last := strings.CutSuffix(rest, w.last)
	if rule.Preserves.Note != "" {
		rest = strings.Replace(rest, w.part, "", 1)
	}
	if !first || !last || strings.Trim(rest, "*@") != "" {
		t.Fatalf("%s of %q is %q: more than %q", spec, v, out, w)
	}
}

func FuzzADDRESS(f *testing.F)    { fuzzed(f, "ADDRESS") }
func FuzzBANKCARD(f *testing.F)   { fuzzed(f, "BANK_CARD") }
func FuzzBUCKET(f *testing.F)     { fuzzed(f, "BUCKET(7)", "BUCKET(1000000000)") }
func FuzzCREDITCODE(f *testing.F) { fuzzed(f, "CREDIT_CODE") }
func FuzzEMAIL(f *testing.F)      { fuzzed(f, "EMAIL") }
func FuzzIDNUMBER(f *testing.F)   { fuzzed(f, "ID_NUMBER", "ID_NUMBER(6,4)", "ID_NUMBER(0,0)") }
func FuzzKEEP(f *testing.F)       { fuzzed(f, "KEEP(1,0)", "KEEP(0,4)", "KEEP(3,4)", "KEEP(16,16)") }
func FuzzMONTH(f *testing.F)      { fuzzed(f, "MONTH") }
func FuzzNAME(f *testing.F)       { fuzzed(f, "NAME") }
func FuzzNULL(f *testing.F)       { fuzzed(f, "NULL") }
func FuzzPHONE(f *testing.F)      { fuzzed(f, "PHONE", "PHONE(0,2)") }
func FuzzPLATE(f *testing.F)      { fuzzed(f, "PLATE") }
func FuzzPSEUDONYM(f *testing.F)  { fuzzed(f, "PSEUDONYM") }
func FuzzREDACT(f *testing.F)     { fuzzed(f, "REDACT") }
func FuzzYEAR(f *testing.F)       { fuzzed(f, "YEAR") }

// FuzzParse: a rule that parses prints itself in a form that parses to the same.
func FuzzParse(f *testing.F) {
	for _, s := range append(specs(), "KEEP(first: 1, last: 2)", "KEEP(", "((", "NAME()") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := Parse(s)
		if err != nil {
			return
		}
		if again, err := Parse(r.Spec()); err != nil || again.Spec() != r.Spec() {
			t.Fatalf("%q parses to %s, which parses to %v: %v", s, r.Spec(), again.Spec(), err)
		}
	})
}

// FuzzGrapheme holds the short way past the tables of grapheme breaks to the
// tables.
func FuzzGrapheme(f *testing.F) {
	for _, v := range append(awkward(), "欧阳\ufe00娜", "a\u0301b", "王\u200d", "\u0600王", "🇨🇳🇨王") {
		f.Add(v)
	}
	r := rand.New(rand.NewPCG(5, 5))
	parts := []string{"王", "娜", "龿", "一", "鿿", "a", "~", " ", "\u0301", "\ufe00", "\u200d", "\u0600", "👩", "🇨", "각", "\r", "\n"}
	for range 500 {
		var b strings.Builder
		for range 1 + r.IntN(6) {
			b.WriteString(parts[r.IntN(len(parts))])
		}
		f.Add(b.String())
	}
	f.Fuzz(func(t *testing.T, v string) {
		if !utf8.ValidString(v) {
			return
		}
		rest, state := []byte(v), -1
		for all := uniseg.NewGraphemes(v); all.Next(); {
			var g []byte
			if g, rest, state = nextGrapheme(rest, state); string(g) != all.Str() {
				t.Fatalf("%q is cut at %q, want %q", v, g, all.Str())
			}
		}
		if len(rest) > 0 {
			t.Fatalf("%q leaves %q", v, rest)
		}
	})
}
