package schema

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite the expected results in testdata")

// fixture is one case of a lint fixture: the files of one folder of an archive.
type fixture struct {
	name  string
	files []File
	want  *txtar.File
}

func readFixtures(t testing.TB, path string) (*txtar.Archive, []fixture) {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var cases []fixture
	for i := range archive.Files {
		folder, name, ok := strings.Cut(archive.Files[i].Name, "/")
		if !ok {
			t.Fatalf("%s: %s is in no folder", path, archive.Files[i].Name)
		}
		if len(cases) == 0 || cases[len(cases)-1].name != folder {
			cases = append(cases, fixture{name: folder})
		}
		c := &cases[len(cases)-1]
		if name == "want" {
			c.want = &archive.Files[i]
		} else {
			c.files = append(c.files, File{Name: name, Text: string(archive.Files[i].Data)})
		}
	}
	return archive, cases
}

func fixturePaths(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/lint/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	return paths
}

// settingsOfFixtures are the departments that all fixtures have.
func settingsOfFixtures() Settings { return Settings{Departments: []string{"health", "police"}} }

func TestLint(t *testing.T) {
	for _, path := range fixturePaths(t) {
		archive, cases := readFixtures(t, path)
		for _, c := range cases {
			t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar")+"/"+c.name, func(t *testing.T) {
				if c.want == nil {
					t.Fatal("the case has no want")
				}
				catalogue, found := Load(c.files, settingsOfFixtures())
				if (catalogue == nil) != found.Failed() {
					t.Errorf("catalogue is nil: %v; findings failed: %v", catalogue == nil, found.Failed())
				}
				got := found.Error()
				if got != "" {
					got += "\n"
				}
				if *update {
					c.want.Data = []byte(got)
					return
				}
				if diff := cmp.Diff(string(c.want.Data), got); diff != "" {
					t.Errorf("findings (-want +got):\n%s", diff)
				}
			})
		}
		if *update {
			if err := os.WriteFile(path, txtar.Format(archive), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestEveryCodeHasFixture keeps the fixtures complete: each code of codes.go is
// found by one.
func TestEveryCodeHasFixture(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "codes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, path := range fixturePaths(t) {
		_, cases := readFixtures(t, path)
		for _, c := range cases {
			_, diagnostics := Load(c.files, settingsOfFixtures())
			for _, d := range diagnostics {
				found = append(found, d.Code)
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for _, v := range spec.Values {
			code, err := strconv.Unquote(v.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			switch code {
			case codeGeneratedSchema, codeTooManyScopes:
				// The first is a fault of this package, see TestLoadNeverPanics;
				// the second has TestTooManyScopes.
				continue
			}
			if !slices.Contains(found, code) {
				t.Errorf("no fixture finds %s", code)
			}
		}
		return true
	})
}

func TestTooManyScopes(t *testing.T) {
	var b strings.Builder
	b.WriteString(`type A @source(department: "health", table: "a", key: ["id"]) @classified(level: "L1")`)
	for i := range maxScopes {
		b.WriteString(` @scope(name: "s` + strconv.Itoa(i) + `", where: "{id: {_is_null: false}}")`)
	}
	if _, found := Load([]File{{Name: "a.graphqls", Text: b.String() + ` { id: String }`}}, settingsOfFixtures()); found.Failed() {
		t.Errorf("%d scopes: %v", maxScopes, found)
	}
	_, found := Load([]File{{Name: "a.graphqls", Text: b.String() + ` { id: String @subject }`}}, settingsOfFixtures())
	if len(found) != 1 || found[0].Code != codeTooManyScopes {
		t.Errorf("a scope too many: %v", found)
	}
}
