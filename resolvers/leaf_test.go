package resolvers

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// golden reads lines of two words that Node.js has made: an input and what
// JSON.stringify gives for it.
func golden(t *testing.T, name string) [][2]string {
	t.Helper()
	f, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var out [][2]string
	for s := bufio.NewScanner(f); s.Scan(); {
		in, want, ok := strings.Cut(s.Text(), " ")
		if !ok {
			t.Fatalf("line %q", s.Text())
		}
		out = append(out, [2]string{in, want})
	}
	if len(out) < 100 {
		t.Fatalf("%d lines", len(out))
	}
	return out
}

func TestTextIsEscapedAsJavaScriptDoes(t *testing.T) {
	for _, pair := range golden(t, "texts.txt") {
		in, err := hex.DecodeString(pair[0])
		if err != nil {
			t.Fatal(err)
		}
		want, err := hex.DecodeString(pair[1])
		if err != nil {
			t.Fatal(err)
		}
		if got := AppendText(nil, in); string(got) != string(want) {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

func TestTextReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.String().Draw(t, "text")
		got := AppendText([]byte("x"), []byte(in))
		var back string
		if err := json.Unmarshal(got[1:], &back); err != nil || back != in {
			t.Fatalf("%q became %s: %v", in, got, err)
		}
	})
}

func FuzzText(f *testing.F) {
	f.Add([]byte("a\"b\\c\x00"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if !utf8.Valid(in) {
			return
		}
		var back string
		if err := json.Unmarshal(AppendText(nil, in), &back); err != nil || back != string(in) {
			t.Fatalf("%q: %v", in, err)
		}
	})
}

func TestFloatsPrintAsJavaScriptDoes(t *testing.T) {
	for _, pair := range golden(t, "numbers.txt") {
		got, ok := AppendFloat(nil, []byte(pair[0]))
		if !ok || string(got) != pair[1] {
			t.Errorf("%s: got %s, want %s", pair[0], got, pair[1])
		}
	}
}

// The short way must agree with the long one on every text it takes.
func TestCanonicalFloatsAreCanonical(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`-?(0|[1-9][0-9]{0,16})(\.[0-9]{1,16})?`).Draw(t, "number")
		if !canonicalFloat([]byte(text)) {
			return
		}
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		if want := string(appendNumber(nil, f)); want != text {
			t.Fatalf("%s is taken as it stands, but prints as %s", text, want)
		}
	})
}

func TestFloatLists(t *testing.T) {
	for in, want := range map[string]string{
		"[]": "[]", "[1.0,2.50]": "[1,2.5]", "[1e21]": "[1e+21]", "[1": "", "[1,]": "", "[[1]]": "", "[x]": "", "x": "", "": "", "1e999": "",
	} {
		got, ok := AppendFloat([]byte("#"), []byte(in))
		if ok != (want != "") || (ok && string(got) != "#"+want) || (!ok && string(got) != "#") {
			t.Errorf("%s: got %s %v, want %s", in, got, ok, want)
		}
	}
}

func batch(cells ...string) *adapters.Batch {
	b := &adapters.Batch{}
	b.Reset(len(cells))
	for _, c := range cells {
		if c == "null" || c == "bad" {
			b.EndCell(true, c == "bad")
			continue
		}
		b.Data = append(b.Data, c...)
		b.EndCell(false, false)
	}
	b.EndRow(0, 0, 0, false)
	return b
}

func TestLeaf(t *testing.T) {
	b := batch(`a"b`, "2026-01-01", "1.0", "null", "bad")
	reveal := func(dst, src []byte) ([]byte, bool) { return append(append(dst, '"'), src...), true }
	never := func(dst, _ []byte) ([]byte, bool) { return dst, false }
	masks := []Mask{{Apply: reveal, Null: true}, {Apply: reveal}, {Apply: never, Null: true}, {}}
	for _, c := range []struct {
		name    string
		leaf    Leaf
		outcome lineage.Outcome
		want    string
		written Written
	}{
		{"text", Leaf{Form: adapters.Text}, lineage.Clear, `"a\"b"`, Value},
		{"quoted", Leaf{Form: adapters.Quoted, Column: 1}, lineage.Clear, `"2026-01-01"`, Value},
		{"literal", Leaf{Form: adapters.Literal, Scalar: schema.JSON, Column: 2}, lineage.Clear, `1.0`, Value},
		{"float", Leaf{Form: adapters.Literal, Scalar: schema.Float, Column: 2}, lineage.Clear, `1`, Value},
		{"not a float", Leaf{Form: adapters.Literal, Scalar: schema.Float, Column: 1}, lineage.Clear, `null`, Bad},
		{"null", Leaf{Column: 3}, lineage.Clear, `null`, Null},
		{"bad", Leaf{Column: 4}, lineage.Clear, `null`, Bad},
		{"withheld", Leaf{}, lineage.Withheld, `null`, Withheld},
		{"absent", Leaf{}, lineage.Absent, `null`, Withheld},
		{"unknown outcome", Leaf{}, lineage.Outcome(9), `null`, Withheld},
		{"withheld bad", Leaf{Column: 4}, lineage.Withheld, `null`, Withheld},
		{"masked", Leaf{Form: adapters.Text}, lineage.Masked, `"\"a\"b"`, Value},
		{"masked null", Leaf{Form: adapters.Text, Column: 3}, lineage.Masked, `null`, Null},
		{"masked bad", Leaf{Form: adapters.Text, Column: 4}, lineage.Masked, `null`, Null},
		{"null hidden by the mask", Leaf{Form: adapters.Text, Column: 3, Mask: 1}, lineage.Masked, `"\""`, Value},
		{"bad hidden by the mask", Leaf{Form: adapters.Text, Column: 4, Mask: 1}, lineage.Masked, `"\""`, Value},
		{"mask gives null", Leaf{Form: adapters.Text, Mask: 2}, lineage.Masked, `null`, Null},
		{"mask not bound", Leaf{Form: adapters.Text, Mask: 3}, lineage.Masked, `null`, Null},
		{"mask gives no float", Leaf{Form: adapters.Literal, Scalar: schema.Float}, lineage.Masked, `null`, Null},
		{"no mask", Leaf{Form: adapters.Text, Mask: -1}, lineage.Masked, `null`, Null},
		{"no such mask", Leaf{Form: adapters.Text, Mask: 4}, lineage.Masked, `null`, Null},
	} {
		w := Writer{Reads: &ReadSet{}, Masks: masks}
		w.Reads.Begin(make([]lineage.Use, 1), 0)
		got, written := w.Leaf([]byte("#"), &c.leaf, b, 0, c.outcome)
		if string(got) != "#"+c.want || written != c.written {
			t.Errorf("%s: got %s %d, want %s %d", c.name, got[1:], written, c.want, c.written)
		}
		count := lineage.Counts{}
		switch c.outcome {
		case lineage.Clear:
			count.Clear = 1
		case lineage.Masked:
			count.Masked = 1
		case lineage.Withheld:
			count.Withheld = 1
		case lineage.Absent:
		}
		if w.Reads.Counts[0] != count {
			t.Errorf("%s: counted %+v", c.name, w.Reads.Counts[0])
		}
	}
}

// The memo must say what the decision says, for every combination of bits, in
// any order.
func TestOutcomesEqualDecisions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		caps := rapid.SampledFrom([]authz.Caps{authz.None, authz.Match, authz.Mask, authz.Mask | authz.Match, authz.Clear.Closure()})
		clauses := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) plan.BitClause {
			return plan.BitClause{Bit: rapid.Uint8Range(0, 63).Draw(t, "bit"), Caps: caps.Draw(t, "caps")}
		}), 0, 3)
		var decisions []*plan.Decision
		for range rapid.IntRange(1, 4).Draw(t, "decisions") {
			d := &plan.Decision{Base: caps.Draw(t, "base"), Allow: clauses.Draw(t, "allow"), Deny: clauses.Draw(t, "deny")}
			if rapid.Bool().Draw(t, "mask") {
				d.Mask = "NAME"
			}
			decisions = append(decisions, d)
		}
		memo := NewOutcomes(decisions)
		for range 20 {
			truth, unknown := rapid.Uint64().Draw(t, "true"), rapid.Uint64().Draw(t, "unknown")
			var want []lineage.Outcome
			for _, d := range decisions {
				want = append(want, d.Outcome(truth, unknown))
			}
			if diff := cmp.Diff(want, memo.For(truth, unknown)); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

func TestLeafDoesNotAllocate(t *testing.T) {
	b := batch("some text with a \" in it", "1.25")
	w := Writer{Reads: &ReadSet{}, Masks: []Mask{{Apply: func(dst, _ []byte) ([]byte, bool) { return append(dst, "***"...), true }}}}
	w.Reads.Begin(make([]lineage.Use, 1), 0)
	text, number := Leaf{Form: adapters.Text}, Leaf{Form: adapters.Literal, Scalar: schema.Float, Column: 1}
	buf := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() {
		out, _ := w.Leaf(buf, &text, b, 0, lineage.Clear)
		out, _ = w.Leaf(out, &text, b, 0, lineage.Masked)
		_, _ = w.Leaf(out, &number, b, 0, lineage.Clear)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkText(b *testing.B) {
	for _, text := range []string{"张伟", "广东省广州市天河区体育西路1号", strings.Repeat("a longer ascii text ", 10)} {
		b.Run(strconv.Itoa(len(text)), func(b *testing.B) {
			b.ReportAllocs()
			in, buf := []byte(text), make([]byte, 0, 4096)
			for b.Loop() {
				_ = AppendText(buf, in)
			}
		})
	}
}
