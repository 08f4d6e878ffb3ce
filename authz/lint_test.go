package authz_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/schema"
)

const separator = "----\n"

// TestLint runs the fixtures: a policy, ----, and what lint finds in it. A
// first line "#settings roles a b" configures the roles that tokens carry.
func TestLint(t *testing.T) {
	files, err := filepath.Glob("testdata/lint/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	seen := map[string]bool{}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, ok := strings.Cut(string(raw), separator)
			if !ok {
				t.Fatal("no ----")
			}
			s := settings()
			if rest, ok := strings.CutPrefix(input, "#settings roles "); ok {
				line, _, _ := strings.Cut(rest, "\n")
				s.Roles = strings.Fields(line)
			}
			p, found := authz.Parse([]schema.File{{Name: "policy.csv", Text: input}})
			if !found.Failed() {
				found = append(found, authz.Lint(p, catalogue(), s)...)
			}
			var b strings.Builder
			for _, d := range found {
				seen[d.Code] = true
				b.WriteString(d.String() + "\n")
			}
			if *update {
				if err := os.WriteFile(file, []byte(input+separator+b.String()), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, b.String()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	source, err := os.ReadFile("codes.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`= "([a-z-]+)"`).FindAllStringSubmatch(string(source), -1) {
		// A chain of roles too long for a fixture has its own test.
		if !seen[m[1]] && m[1] != "role-depth" {
			t.Errorf("no fixture for %s", m[1])
		}
	}
}

func TestParseTolerates(t *testing.T) {
	const line = `p, a, market, Company.*, L2, *, all, clear, allow`
	plain := parse(t, line+"\n"+"g, b, a\n")
	for name, text := range map[string]string{
		"byte-order mark":  "\ufeff" + line + "\ng, b, a\n",
		"CRLF":             line + "\r\ng, b, a\r\n",
		"no newline":       line + "\ng, b, a",
		"blank lines":      "\n  \t\n" + line + "\n\ng, b, a\n\n",
		"comments":         "# c\n" + line + " # c, d\n\t# c\ng, b, a#c\n",
		"no spaces":        strings.ReplaceAll(line, " ", "") + "\ng,b,a\n",
		"tabs and indents": "\t" + strings.ReplaceAll(line, " ", "\t \t") + "\t\ng,\tb , a\n",
		"quotes":           strings.ReplaceAll(line, "market", `"market"`) + "\n\"g\", \"b\", \"a\"\n",
	} {
		p := parse(t, text)
		if len(p.Rules) != 1 || len(p.Inherits) != 1 {
			t.Errorf("%s: %d rules, %d inheritances", name, len(p.Rules), len(p.Inherits))
			continue
		}
		if got, want := p.Rules[0].String(), plain.Rules[0].String(); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestParsePositions(t *testing.T) {
	text := "# 政策\np, a, market, Company.*, L2, *, 全部, clear, allow\n"
	p := parse(t, text)
	found := authz.Lint(p, catalogue(), settings())
	if len(found) == 0 || found[0].Line != 2 || found[0].Column != 33 {
		t.Errorf("%v", found)
	}
}

// TestParseUTF16: a file in another encoding is one finding.
func TestParseUTF16(t *testing.T) {
	_, found := authz.Parse([]schema.File{{Name: "policy.csv", Text: "\xff\xfep\x00,\x00\n\x00p\x00"}})
	if len(found) != 1 || found[0].Code != "encoding" || found[0].Line != 1 {
		t.Errorf("%v", found)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(page)
	f.Add("p, \"a\"\"b\", #\n\"\n,,,\r\n\ufeff")
	f.Fuzz(func(t *testing.T, text string) {
		p, found := authz.Parse([]schema.File{{Name: "f", Text: text}})
		lines := strings.Count(text, "\n") + 1
		for _, d := range found {
			if d.Line < 1 || d.Line > lines || d.Column < 1 {
				t.Fatalf("a finding outside the file: %v", d)
			}
		}
		_ = authz.Lint(p, catalogue(), settings())
		if table, err := authz.Compile(p, catalogue(), settings()); err == nil {
			table.View(authz.Profile{Roles: []string{"a"}})
		}
		// What was read reads the same again.
		var b strings.Builder
		for i := range p.Rules {
			line := p.Rules[i].String()
			if strings.ContainsAny(line, "#\"") || strings.Count(line, ",") != 8 {
				return
			}
			b.WriteString(line + "\n")
		}
		again, found := authz.Parse([]schema.File{{Name: "f", Text: b.String()}})
		if len(found) > 0 || len(again.Rules) != len(p.Rules) {
			t.Fatalf("rules do not read back: %v", found)
		}
	})
}

func TestDeepRoles(t *testing.T) {
	chain := func(n int) string {
		var b strings.Builder
		b.WriteString("p, r0, market, Company.*, L2, *, all, clear, allow\n")
		for i := range n {
			fmt.Fprintf(&b, "g, r%d, r%d\n", i+1, i)
		}
		return b.String()
	}
	text := chain(60)
	p := parse(t, text)
	if found := authz.Lint(p, catalogue(), settings()); found.Failed() {
		t.Errorf("60 deep: %v", found)
	}
	table := compile(t, text)
	profile := authz.Profile{Roles: []string{"r60"}}
	at := schema.Coordinate{Type: "Company", Field: "code"}
	if g := table.View(profile).Grants(at); g.Always() != authz.Clear.Closure() {
		t.Errorf("60 deep: %s", g)
	}
	reference, err := authz.NewReference(p, catalogue(), settings())
	if err != nil {
		t.Fatal(err)
	}
	reader, err := reference.Reader(profile)
	if err != nil {
		t.Fatal(err)
	}
	if caps, err := reader.Caps(at, func(string) authz.Truth { return authz.False }); err != nil || caps != authz.Clear.Closure() {
		t.Errorf("60 deep: casbin says %s, %v", caps, err)
	}
	found := authz.Lint(parse(t, chain(200)), catalogue(), settings())
	if !slices.ContainsFunc(found, func(d schema.Diagnostic) bool { return d.Code == "role-depth" && d.Line > 100 }) {
		t.Errorf("200 deep: %v", found)
	}
}

// TestManyLines: 100,000 lines are parsed, linted and compiled in a time that
// grows with them, not with their square.
func TestManyLines(t *testing.T) {
	besideNothing(t)
	var b strings.Builder
	for i := range 90_000 {
		fmt.Fprintf(&b, "p, r%d, %s, %s, L%d, *, all, mask, allow\n", i%5000, []string{"market", "*"}[i%2], []string{"*", "Company.*", "Company.code"}[i%3], i%4+1)
	}
	for i := range 10_000 {
		fmt.Fprintf(&b, "g, r%d, r%d\n", i%4999, 4999)
	}
	start := time.Now()
	p := parse(t, b.String())
	found := authz.Lint(p, catalogue(), settings())
	if found.Failed() {
		t.Fatalf("%v", found[0])
	}
	if _, err := authz.Compile(p, catalogue(), settings()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it took %s", took)
	} else {
		t.Logf("it took %s, with %d findings", took, len(found))
	}
}

// TestOtherLines: a finding names the other line that it is about by what tells
// them apart.
func TestOtherLines(t *testing.T) {
	const line = "p, a, market, Company.*, L2, *, all, clear, allow\n"
	p, found := authz.Parse([]schema.File{{Name: "/etc/weir/policy/a.csv", Text: line + line}, {Name: "/etc/weir/policy/b.csv", Text: line}})
	if found.Failed() {
		t.Fatal(found)
	}
	found = authz.Lint(p, catalogue(), settings())
	if len(found) != 2 || !strings.Contains(found[0].Message, " line 1") || !strings.Contains(found[1].Message, " a.csv:1") {
		t.Errorf("%v", found)
	}
}

// besideNothing leaves a test out under the race detector, which has nothing to
// look for where one thing runs after the other.
func besideNothing(t *testing.T) {
	t.Helper()
	if os.Getenv("WEIR_SMALL") != "" {
		t.Skip("SKIPPED: WEIR_SMALL leaves out what nothing runs beside")
	}
}
