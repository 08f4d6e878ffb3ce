package plan

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/adapters/sqlgen"
	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/schema"
)

var update = flag.Bool("update", false, "rewrite the expected parts of testdata/plan/*.txt")

// fakeSources can do everything. Its statements have no text, so that plans show
// shapes alone; that the engines can render the shapes is checked.
type fakeSources struct{ refuse string }

func (fakeSources) Capabilities(string) (adapters.Capabilities, bool) {
	return adapters.Capabilities{Engine: "fake", Exists: true, NestedLimit: true, MaxKeys: 100}, true
}

func (s fakeSources) Compile(department string, shape *adapters.Shape) (adapters.Statement, error) {
	if department == s.refuse {
		return nil, &adapters.Error{Kind: adapters.Unsupported}
	}
	for _, dialect := range []sqlgen.Dialect{sqlgen.SQLite, sqlgen.PostgreSQL} {
		if _, err := sqlgen.Render(dialect, shape); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// fixture is the generation of testdata/plan.
func fixture(tb testing.TB) *Generation {
	tb.Helper()
	return generation(tb, []schema.File{{Name: "schema.graphqls", Text: string(readFile(tb, "testdata/plan/schema.graphqls"))}},
		[]schema.File{{Name: "policy.csv", Text: string(readFile(tb, "testdata/plan/policy.csv"))}}, "newborn", "cases", "self")
}

func readFile(tb testing.TB, path string) []byte {
	tb.Helper()
	text, err := os.ReadFile(path) //nolint:gosec // a test's own data
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

func generation(tb testing.TB, schemas, policies []schema.File, purposes ...string) *Generation {
	tb.Helper()
	c, found := schema.Load(schemas, schema.Settings{})
	if c == nil {
		tb.Fatal(found)
	}
	p, found := authz.Parse(policies)
	if found.Failed() {
		tb.Fatal(found)
	}
	settings := authz.DefaultSettings(c.Levels)
	settings.Purposes = purposes
	if found := authz.Lint(p, c, settings); found.Failed() {
		tb.Fatal(found)
	}
	table, err := authz.Compile(p, c, settings)
	if err != nil {
		tb.Fatal(err)
	}
	docs, err := NewDocuments(c.API, DefaultLimits())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(docs.Close)
	return &Generation{Catalogue: c, Table: table, Policy: "r1", Documents: docs}
}

// requestOf makes a Request the way the executor does.
func requestOf(g *Generation, r reader, query string, vars map[string]any) (*Request, Errors) {
	doc, errs := g.Documents.Get(query)
	if errs != nil {
		return nil, errs
	}
	op, errs := doc.Operation("")
	if errs != nil {
		return nil, errs
	}
	coerced, errs := CoerceVariables(g.Catalogue.API, op, vars, DefaultLimits())
	if errs != nil {
		return nil, errs
	}
	return &Request{
		Generation: g, Document: doc, Operation: op, Variables: coerced, Profile: r.profile,
		Attributes: r.attributes, Sources: fakeSources{}, Limits: DefaultLimits(),
	}, nil
}

type reader struct {
	profile    authz.Profile
	attributes map[string]string
}

// parseReader reads "officer purpose cases id o-1 region north": a role and
// then pairs; all purposes are open.
func parseReader(text string) reader {
	words := strings.Fields(text)
	r := reader{profile: authz.Profile{Purposes: []string{"cases", "newborn", "self"}}, attributes: map[string]string{}}
	r.profile.Roles = strings.Split(words[0], "+")
	for i := 1; i+1 < len(words); i += 2 {
		switch words[i] {
		case "purpose":
			r.profile.Purpose = words[i+1]
		case "department":
			r.profile.Department = words[i+1]
		default:
			r.attributes[words[i]] = words[i+1]
		}
	}
	return r
}

// A case of testdata/plan/*.txt:
//
//	=== name
//	as officer purpose cases region north
//	variables {"a": 1}
//	query
//	----
//	the plan and its access list, or the refusals
type planCase struct {
	name, head, as, query, want string
	variables                   map[string]any
}

func readCases(t *testing.T, path string) []planCase {
	t.Helper()
	var out []planCase
	for _, part := range strings.Split("\n"+string(readFile(t, path)), "\n=== ")[1:] {
		name, rest, _ := strings.Cut(part, "\n")
		head, want, _ := strings.Cut(rest, "\n----\n")
		c := planCase{name: name, head: head, want: strings.TrimRight(want, "\n") + "\n"}
		var query []string
		for _, line := range strings.Split(head, "\n") {
			switch {
			case strings.HasPrefix(line, "as "):
				c.as = line[3:]
			case strings.HasPrefix(line, "variables "):
				d := json.NewDecoder(strings.NewReader(line[len("variables "):]))
				d.UseNumber()
				if err := d.Decode(&c.variables); err != nil {
					t.Fatalf("%s: %s: %v", path, name, err)
				}
			default:
				query = append(query, line)
			}
		}
		c.query = strings.TrimSpace(strings.Join(query, "\n"))
		out = append(out, c)
	}
	return out
}

func TestPlans(t *testing.T) {
	g := fixture(t)
	files, err := filepath.Glob("testdata/plan/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			cases := readCases(t, path)
			var rewritten strings.Builder
			for _, c := range cases {
				got := explainCase(t, g, c)
				if rewritten.Len() > 0 {
					rewritten.WriteString("\n")
				}
				rewritten.WriteString("=== " + c.name + "\n" + c.head + "\n----\n" + got)
				if *update {
					continue
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", c.name, diff)
				}
			}
			if *update {
				if err := os.WriteFile(path, []byte(rewritten.String()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func explainCase(t *testing.T, g *Generation, c planCase) string {
	t.Helper()
	var out strings.Builder
	req, errs := requestOf(g, parseReader(c.as), c.query, c.variables)
	var p *Plan
	if errs == nil {
		p, errs = Build(req)
	}
	if errs == nil {
		errs = p.CheckValues(req.Variables)
	}
	for _, e := range errs {
		out.WriteString(e.Error())
		if e.Path != "" {
			out.WriteString(" at " + e.Path)
		}
		for _, l := range e.Locations {
			out.WriteString(strings.Join([]string{"", itoa(l.Line) + ":" + itoa(l.Column)}, " "))
		}
		out.WriteString("\n")
	}
	if errs != nil {
		return out.String()
	}
	checkPlan(t, p)
	out.WriteString(p.String())
	var access bytes.Buffer
	if err := json.Indent(&access, p.Access.JSON, "", " "); err != nil {
		t.Fatal(err)
	}
	out.WriteString("access " + compactEntries(p.Access.JSON) + "\n")
	return out.String()
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

// compactEntries puts each entry on a line of its own.
func compactEntries(j []byte) string {
	return strings.NewReplacer(`[{`, "[\n  {", `},{`, "},\n  {").Replace(string(j))
}
