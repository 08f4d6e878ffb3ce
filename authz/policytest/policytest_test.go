package policytest_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/authz/policytest"
	"github.com/weir-data/weir/schema"
)

// Run go test ./authz/policytest -args -update to rewrite the expected halves
// of the files in testdata.
var update = flag.Bool("update", false, "rewrite the expected parts of testdata")

const sdl = `
type Person
  @source(department: "police", table: "person", key: ["id_number"], tiebreak: "row_no")
  @classified(level: "L2") @sharing(mode: CONDITIONAL, basis: "art. 1")
  @scope(name: "own_region", where: "{district: {_eq: $subject.region}}")
{
  idNumber: String @classified(level: "L4") @mask(with: "ID_NUMBER") @subject
  name: String @classified(level: "L3") @mask(with: "NAME")
  district: String
}
type Company
  @source(department: "market", table: "company", key: ["code"], tiebreak: "row_no")
  @classified(level: "L1") @sharing(mode: UNCONDITIONAL, basis: "art. 2")
{
  code: String
}
`

const policy = `p, clerk, police, Person.*, L3, registration, by_key, mask, allow
p, clerk, police, Person.idNumber, L4, registration, by_key, match, allow
p, officer, police, Person.*, L4, cases, own_region, clear, allow
p, officer, police, Person.name, L1, *, self, clear, deny
p, guest, market, *, L1, *, all, clear, allow
g, officer, clerk
`

func subject(tb testing.TB) policytest.Subject {
	tb.Helper()
	c, found := schema.Load([]schema.File{{Name: "s.graphqls", Text: sdl}}, schema.Settings{})
	if found.Failed() {
		tb.Fatal(found)
	}
	p, found := authz.Parse([]schema.File{{Name: "policy.csv", Text: policy}})
	if found.Failed() {
		tb.Fatal(found)
	}
	s := authz.DefaultSettings(c.Levels)
	s.Purposes = []string{"registration", "cases"}
	table, err := authz.Compile(p, c, s)
	if err != nil {
		tb.Fatal(err)
	}
	return policytest.Subject{Table: table, Catalogue: c, Purposes: s.Purposes, Roles: []string{"security"}}
}

// TestFiles runs the fixtures: a test file, ----, and either its findings or
// its failures and coverage.
func TestFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, ok := strings.Cut(string(raw), "----\n")
			if !ok {
				t.Fatal("no ----")
			}
			got := run(t, input)
			if *update {
				if err := os.WriteFile(file, []byte(input+"----\n"+got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func run(t *testing.T, text string) string {
	t.Helper()
	on := subject(t)
	suite, found := policytest.Parse([]schema.File{{Name: "a.txt", Text: text}}, on)
	if len(found) > 0 {
		return found.Error() + "\n"
	}
	r := suite.Run(on)
	var b strings.Builder
	for _, f := range r.Failures {
		b.WriteString(f.String())
	}
	for _, c := range r.Coverage {
		b.WriteString(c.Role)
		for _, at := range c.Missing {
			b.WriteString(" -" + at.String())
		}
		b.WriteByte('\n')
	}
	if r.Passed() != (len(r.Failures) == 0) || r.Checked == 0 {
		t.Errorf("checked %d, passed %t", r.Checked, r.Passed())
	}
	return b.String()
}

// TestTolerates: an editor's habits change nothing.
func TestTolerates(t *testing.T) {
	const plain = "as clerk\npurpose registration\nwhen by_key\n  mask Person.name\n"
	want := run(t, plain)
	for name, text := range map[string]string{
		"byte-order mark": "\ufeff" + plain,
		"CRLF":            strings.ReplaceAll(plain, "\n", "\r\n"),
		"tabs":            strings.ReplaceAll(strings.ReplaceAll(plain, "  ", "\t"), " ", "\t"),
		"comments":        "# 主题\n\n" + strings.ReplaceAll(plain, "\n", " # 说明\n"),
		"no newline":      strings.TrimSuffix(plain, "\n"),
	} {
		if got := run(t, text); got != want {
			t.Errorf("%s:\n%s", name, got)
		}
	}
	// In another encoding it is one finding, at its first wrong byte.
	for text, want := range map[string]string{
		"\xff\xfea\x00s\x00":                        "a.txt:1:1: test-encoding: the file is not UTF-8",
		"\ufeff# 说明\nas \xb0\xec\xca\xc2\xd4\xb1\n": "a.txt:2:4: test-encoding: the file is not UTF-8",
	} {
		if got := run(t, text); !strings.HasPrefix(got, want) || strings.Count(got, "test-encoding") != 1 {
			t.Errorf("%q: %s", text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("as clerk\npurpose registration\nwhen by_key\n mask Person.name, Person.*, *\n")
	f.Add("as a,\nwhen self unknown, all\nclear+mask *\n# \x00\n")
	on := subject(f)
	f.Fuzz(func(t *testing.T, text string) {
		suite, found := policytest.Parse([]schema.File{{Name: "f", Text: text}}, on)
		lines := strings.Count(text, "\n") + 1
		for _, d := range found {
			if d.Line < 1 || d.Line > lines || d.Column < 1 || d.Code == "" || d.Message == "" {
				t.Fatalf("a finding without a place: %v", d)
			}
		}
		if !found.Failed() {
			suite.Run(on)
		}
	})
}
