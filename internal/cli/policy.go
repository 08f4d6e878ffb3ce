package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/authz/policytest"
	"github.com/weir-data/weir/internal/config"
	"github.com/weir-data/weir/schema"
)

func (s *streams) policy() *cobra.Command {
	c := &cobra.Command{
		Use: "policy", Short: "Check, test, compare, explain and approve policies", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(s.policyLint(), s.policyTest(), s.policyDiff(), s.policyExplain(), s.policyKeygen(), s.policyPropose(), s.policyApprove())
	return c
}

func (s *streams) policyLint() *cobra.Command {
	f := &lintFlags{}
	c := &cobra.Command{
		Use: "lint", Short: "Check the policy against the schema, and its compiled table against Casbin at length", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return s.lintContent(f, 10*time.Second) },
	}
	f.add(c)
	return c
}

func (s *streams) policyTest() *cobra.Command {
	f := &lintFlags{}
	c := &cobra.Command{
		Use: "test [FILE or FOLDER...]", Short: "Run the policy's tests: what is expected, who decided otherwise, what is not tested",
		Long: `Runs files of expected decisions, by default the *.txt of tests/ in the policy
folder, and prints what fails with the rules that decided, and the coverage: how
many coordinates of the schema are tested for each role.

Exit codes: 0 all hold, 3 schema, policy or a test does not compile, 4 a test fails.`,
		RunE: func(_ *cobra.Command, args []string) error { return s.testPolicy(f, args) },
	}
	f.add(c)
	return c
}

func (s *streams) testPolicy(f *lintFlags, paths []string) error {
	if err := checkFormat(f.format); err != nil {
		return err
	}
	cfg, err := located(f.config)
	if err != nil {
		return err
	}
	files, err := testFiles(cfg, paths)
	if err != nil {
		return err
	}
	catalogue, policy, err := readContent(cfg)
	if err != nil {
		return err
	}
	settings := foldersOf(cfg).PolicySettings
	table, err := authz.Compile(policy, catalogue, settings)
	if err != nil {
		return contentError(err)
	}
	o := settings.Offices
	on := policytest.Subject{Table: table, Catalogue: catalogue, Purposes: settings.Purposes, Roles: []string{o.Operator, o.Security, o.Auditor}}
	suite, found := policytest.Parse(files, on)
	if found.Failed() {
		return s.findings(found, f.format)
	}
	result := suite.Run(on)
	if f.format == formatJSON {
		if err := s.writeJSON(testReport(result)); err != nil {
			return err
		}
	} else {
		s.printTests(result)
	}
	if len(result.Failures) > 0 {
		return &exitError{ExitTests, fmt.Errorf("%d of %d expected decisions do not hold", len(result.Failures), result.Checked), ""}
	}
	return nil
}

// printTests prints failures, then coverage.
func (s *streams) printTests(r *policytest.Result) {
	for _, f := range r.Failures {
		f.Position.File = shorten(f.Position.File)
		shortenRules(f.Explanation)
		s.printf("%s", f)
	}
	s.printf("%d decisions checked, %d do not hold\n", r.Checked, len(r.Failures))
	for _, c := range r.Coverage {
		s.printf("  %-24s %5d of %d coordinates tested", c.Role, c.Covered, c.Total)
		if n := len(c.Missing); n > 0 {
			shown := make([]string, 0, 3)
			for _, at := range c.Missing[:min(n, 3)] {
				shown = append(shown, at.String())
			}
			s.printf("; not %s", strings.Join(shown, ", "))
			if n > len(shown) {
				s.printf(" and %d more", n-len(shown))
			}
		}
		s.printf("\n")
	}
}

// testFiles reads the named files and folders, or those of the policy.
func testFiles(cfg *config.Config, paths []string) ([]schema.File, error) {
	if len(paths) == 0 {
		paths = []string{filepath.Join(cfg.Policy, "tests")}
	}
	var files []schema.File
	for _, path := range paths {
		names := []string{path}
		if isFolder(path) {
			var err error
			if names, err = filepath.Glob(filepath.Join(path, "*.txt")); err != nil {
				return nil, environment(err, "")
			}
		}
		for _, name := range names {
			text, err := os.ReadFile(name) //nolint:gosec // a file that the user named
			if err != nil {
				return nil, environment(fmt.Errorf("policy tests: %w", err), "name files, or write *.txt into tests/ of the policy folder")
			}
			files = append(files, schema.File{Name: name, Text: string(text)})
		}
	}
	if len(files) == 0 {
		return nil, environment(fmt.Errorf("policy tests: no *.txt in %s: %w", strings.Join(paths, ", "), fs.ErrNotExist),
			"docs/security-staff.md says how to write one")
	}
	return files, nil
}

// explainFlags say whose rights are explained.
type explainFlags struct {
	lintFlags
	roles               []string
	purpose, department string
	open                []string
}

func (s *streams) policyExplain() *cobra.Command {
	f := &explainFlags{}
	c := &cobra.Command{
		Use: "explain --as ROLE [--purpose P] Type.field", Short: "Say why a role holds what it holds on a field", Args: cobra.ExactArgs(1),
		Example: "  weir policy explain --as window-clerk --purpose newborn-registration Person.name",
		RunE:    func(_ *cobra.Command, args []string) error { return s.explainPolicy(f, args[0]) },
	}
	f.add(c)
	c.Flags().StringSliceVar(&f.roles, "as", nil, "the role; several are separated by commas")
	c.Flags().StringVar(&f.purpose, "purpose", "", "the stated purpose")
	c.Flags().StringVar(&f.department, "department", "", "the reader's department")
	c.Flags().StringSliceVar(&f.open, "open", nil, "the purposes open to the reader (default: every registered one)")
	_ = c.MarkFlagRequired("as")
	return c
}

func (s *streams) explainPolicy(f *explainFlags, coordinate string) error {
	if err := checkFormat(f.format); err != nil {
		return err
	}
	cfg, err := located(f.config)
	if err != nil {
		return err
	}
	catalogue, policy, err := readContent(cfg)
	if err != nil {
		return err
	}
	at := parseCoordinate(coordinate)
	if err := exists(catalogue, at); err != nil {
		return err
	}
	table, err := authz.Compile(policy, catalogue, foldersOf(cfg).PolicySettings)
	if err != nil {
		return contentError(err)
	}
	if err := known("role", "no rule is about it", table.Roles(), f.roles...); err != nil {
		return err
	}
	if f.open == nil {
		f.open = cfg.PurposeIDs()
	}
	stated := slices.Clone(f.open)
	if f.purpose != "" {
		stated = append(stated, f.purpose)
	}
	if err := known("purpose", "it is not registered", cfg.PurposeIDs(), stated...); err != nil {
		return err
	}
	e := table.Explain(authz.Profile{Roles: f.roles, Department: f.department, Purposes: f.open, Purpose: f.purpose}, at)
	if f.format == formatJSON {
		return s.writeJSON(explanationReport(e))
	}
	shortenRules(e)
	s.printf("%s", e)
	return nil
}

// known refuses words that are not among those that exist.
func known(what, why string, words []string, given ...string) error {
	for _, g := range given {
		if !slices.Contains(words, g) {
			remedy := schema.DidYouMean(g, words...)
			if remedy == "" {
				remedy = "there are " + strings.Join(words, ", ")
			}
			return &exitError{ExitUsage, fmt.Errorf("unknown %s %q: %s", what, g, why), remedy}
		}
	}
	return nil
}

// parseCoordinate reads Type, Type._row and Type.field.
func parseCoordinate(s string) schema.Coordinate {
	return schema.ParseCoordinate(strings.TrimSuffix(s, "._row"))
}

func exists(c *schema.Catalogue, at schema.Coordinate) error {
	t := c.Types[at.Type]
	if t == nil || (!at.Row() && t.Field(at.Field) == nil) {
		all := make([]string, 0)
		for _, at := range c.Coordinates() {
			all = append(all, at.String())
		}
		remedy := schema.DidYouMean(at.String(), all...)
		if remedy == "" {
			remedy = "write Type._row or Type.field"
		}
		return &exitError{ExitUsage, fmt.Errorf("no type or field %s in the schema", at), remedy}
	}
	return nil
}

// shortenRules makes the places of an explanation's rules relative to where the
// reader stands.
func shortenRules(e *authz.Explanation) {
	each := func(d *authz.Deciding) {
		r := *d.Rule
		r.Position.File = shorten(r.Position.File)
		d.Rule = &r
	}
	for i := range e.Allow {
		each(&e.Allow[i])
	}
	for i := range e.Deny {
		each(&e.Deny[i])
	}
	if e.Nearest != nil {
		each(e.Nearest)
	}
}

// readContent parses schema and policy without compiling them.
func readContent(cfg *config.Config) (*schema.Catalogue, *authz.Policy, error) {
	folders := foldersOf(cfg)
	catalogue, policy, found, err := folders.Parse()
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil, contentError(err)
		}
		return nil, nil, environment(err, "")
	}
	if found.Failed() {
		return nil, nil, refused(found, "")
	}
	return catalogue, policy, nil
}
