package authz_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/schema"
)

// TestEncodings: a file in another encoding is one finding at its first wrong
// byte, and grants nothing.
func TestEncodings(t *testing.T) {
	const line = "p, a, market, Company.*, L2, *, all, clear, allow\n"
	utf16Text := func(bigEndian, mark bool) string {
		var b strings.Builder
		units := utf16.Encode([]rune(line + "# 政策\n"))
		if mark {
			units = append([]uint16{0xfeff}, units...)
		}
		for _, u := range units {
			if bigEndian {
				u = u>>8 | u<<8
			}
			b.WriteByte(byte(u)) //nolint:gosec // one half
			b.WriteByte(byte(u >> 8))
		}
		return b.String()
	}
	gbk := "\xb2\xdf\xc2\xd4" // 策略
	for name, c := range map[string]struct {
		text string
		line int
		code string
	}{
		"UTF-16 LE":            {utf16Text(false, true), 1, "encoding"},
		"UTF-16 BE":            {utf16Text(true, true), 1, "encoding"},
		"UTF-16, no mark":      {utf16Text(false, false), 1, "character"},
		"GBK in a comment":     {line + "# " + gbk + "\n", 2, "encoding"},
		"GBK in a value":       {line + line + "p, " + gbk + ", market, Company.*, L2, *, all, clear, allow\n", 3, "encoding"},
		"a lone byte":          {line + "\xff", 2, "encoding"},
		"two byte-order marks": {"\ufeff\ufeff" + line, 1, "character"},
		"NUL":                  {strings.Replace(line, "market", "mar\x00ket", 1), 1, "character"},
		"full-width comma":     {strings.Replace(line, ",", "，", 1), 1, "character"},
		"ideographic space":    {strings.Replace(line, ", ", ",\u3000", 1), 1, "character"},
		"no-break space":       {strings.Replace(line, ", ", ",\u00a0", 1), 1, "character"},
		"right-to-left mark":   {strings.Replace(line, "market", "market\u200f", 1), 1, "character"},
		"an open quote":        {line + strings.Replace(line, "market", `"market`, 1) + line, 2, "quotes"},
		"text after a quote":   {strings.Replace(line, "market", `"mar"ket`, 1), 1, "quotes"},
		"a quote inside":       {strings.Replace(line, "market", `mar"ket`, 1), 1, "quotes"},
		"old Mac line ends":    {strings.ReplaceAll(line+line, "\n", "\r"), 1, "wrong-columns"},
	} {
		p, found := authz.Parse([]schema.File{{Name: "policy.csv", Text: c.text}})
		if !found.Failed() {
			t.Errorf("%s: taken: %v", name, p.Rules)
			continue
		}
		if found[0].Line != c.line || found[0].Code != c.code && (name != "old Mac line ends" || found[0].Code != "character") {
			t.Errorf("%s: %v", name, found[0])
		}
	}
}

// TestManyWrongLines: each of 100,000 lines is named, and the words are not all
// compared with one another.
func TestManyWrongLines(t *testing.T) {
	besideNothing(t)
	const lines = 100_000
	var b strings.Builder
	for i := range lines {
		switch i % 5 {
		case 0:
			fmt.Fprintf(&b, "p, r, market, Compony%d.*, L2, *, all, clear, allow\n", i)
		case 1:
			fmt.Fprintf(&b, "p, r, markt%d, Company.*, L2, *, all, clear, allow\n", i)
		case 2:
			fmt.Fprintf(&b, "p, r, market, Company.*, L2, purpose%d, all, clear, allow\n", i)
		case 3:
			fmt.Fprintf(&b, "p, r, market, Company.fild%d, L2, *, scope%d, clear, allow\n", i, i)
		default:
			fmt.Fprintf(&b, "g, child%d, nobody%d\n", i, i)
		}
	}
	c := wide(50 * 1000)
	for name, typ := range catalogue().Types {
		c.Types[name] = typ
	}
	c.Departments = append(c.Departments, "market")
	found := authz.Lint(parse(t, b.String()), c, settings())
	wrong := map[int]bool{}
	for _, d := range found {
		if !d.Warning {
			wrong[d.Line] = true
		}
	}
	if len(wrong) != lines {
		t.Errorf("%d lines are named, want %d", len(wrong), lines)
	}
	if found[0].Suggestion == "" {
		t.Errorf("no suggestion for the first: %v", found[0])
	}
}

// TestCycles: every circle is named by its roles, at a line that closes it, and
// refused by the compiler too.
func TestCycles(t *testing.T) {
	var ring strings.Builder
	ring.WriteString("p, r0, market, Company.*, L2, *, all, clear, allow\n")
	for i := range 1000 {
		fmt.Fprintf(&ring, "g, r%d, r%d\n", i, (i+1)%1000)
	}
	for name, text := range map[string]string{
		"itself":       "p, a, market, Company.*, L2, *, all, clear, allow\ng, a, a\n",
		"two":          "p, a, market, Company.*, L2, *, all, clear, allow\ng, a, b\ng, b, a\n",
		"beside":       "p, a, market, Company.*, L2, *, all, clear, allow\ng, x, a\ng, a, b\ng, b, c\ng, c, b\n",
		"a thousand":   ring.String(),
		"through many": "p, a, market, Company.*, L2, *, all, clear, allow\ng, a, b\ng, a, c\ng, b, d\ng, c, d\ng, d, a\n",
	} {
		p := parse(t, text)
		found := authz.Lint(p, catalogue(), settings())
		said := false
		for _, d := range found {
			said = said || d.Code == "role-cycle" && d.Line > 1 && strings.Contains(d.Message, " -> ")
		}
		if !said {
			t.Errorf("%s: %v", name, found)
		}
		if _, err := authz.Compile(p, catalogue(), settings()); err == nil {
			t.Errorf("%s: compiled", name)
		}
	}
}
