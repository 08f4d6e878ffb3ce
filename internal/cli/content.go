package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/internal/config"
	"github.com/weir-data/weir/internal/gateway"
	"github.com/weir-data/weir/schema"
)

// located finds the configuration that a command is about: the one named; else
// weir.yaml here; else the demo's.
func located(path string) (*config.Config, error) {
	if path != "" {
		return loadConfig(path)
	}
	for _, p := range [...]string{"weir.yaml", filepath.Join(demoFolder, "weir.yaml")} {
		if _, err := os.Stat(p); err == nil {
			return loadConfig(p)
		}
	}
	return nil, environment(errors.New("neither weir.yaml nor "+filepath.Join(demoFolder, "weir.yaml")+" exists here"),
		"name the configuration with --config, or start with: weir demo")
}

// findings prints diagnostics and turns errors among them into the exit code.
func (s *streams) findings(found schema.Diagnostics, format string) error {
	found.Sort()
	if format == "json" {
		enc := json.NewEncoder(s.out)
		enc.SetEscapeHTML(false)
		for _, d := range found {
			if err := enc.Encode(finding{d.File, d.Line, d.Column, d.Code, d.Message, d.Suggestion, d.Warning}); err != nil {
				return err
			}
		}
	} else {
		for _, d := range found {
			d.File = shorten(d.File)
			s.printf("%s\n", d)
		}
	}
	failed := 0
	for _, d := range found {
		if !d.Warning {
			failed++
		}
	}
	if failed > 0 {
		return refused(fmt.Errorf("%d of %d findings refuse the revision", failed, len(found)), "")
	}
	if format != "json" {
		s.printf("ok, %d warnings\n", len(found))
	}
	return nil
}

type finding struct {
	File       string `json:"file"`
	Line       int    `json:"line"`
	Column     int    `json:"column"`
	Code       string `json:"code"`
	Message    string `json:"message"`
	Suggestion string `json:"suggestion,omitempty"`
	Warning    bool   `json:"warning"`
}

// lintFlags are shared by the linting commands.
type lintFlags struct{ config, format string }

func (f *lintFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.config, "config", "", "the configuration file (default: weir.yaml, or the demo's)")
	c.Flags().StringVar(&f.format, "format", "text", "text or json")
}

func (s *streams) lint() *cobra.Command {
	f := &lintFlags{}
	c := &cobra.Command{
		Use: "lint", Short: "Check configuration, schema and policy, as serve would", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return s.lintContent(f, 200*time.Millisecond) },
	}
	f.add(c)
	return c
}

// lintContent loads what serve would load; budget bounds the comparison with
// Casbin.
func (s *streams) lintContent(f *lintFlags, budget time.Duration) error {
	if f.format != "text" && f.format != "json" {
		return &exitError{ExitUsage, fmt.Errorf("--format %q", f.format), "text or json"}
	}
	cfg, err := located(f.config)
	if err != nil {
		return err
	}
	folders := foldersOf(cfg)
	folders.CompareBudget = budget
	generation, found, err := folders.Load()
	var refusal *gateway.RefusedError
	switch {
	case errors.As(err, &refusal):
		return s.findings(refusal.Diagnostics, f.format)
	case err != nil:
		return contentError(err)
	}
	generation.Documents.Close()
	return s.findings(found, f.format)
}

func (s *streams) policy() *cobra.Command {
	c := &cobra.Command{
		Use: "policy", Short: "Check and explain policies", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(s.policyLint(), s.policyExplain())
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

func (s *streams) policyExplain() *cobra.Command {
	var path, role, purpose, department string
	c := &cobra.Command{
		Use: "explain --as ROLE [--purpose P] Type.field", Short: "Say why a role holds what it holds on a field", Args: cobra.ExactArgs(1),
		Example: "  weir policy explain --as window-clerk --purpose newborn-registration Person.name",
		RunE: func(_ *cobra.Command, args []string) error {
			cfg, err := located(path)
			if err != nil {
				return err
			}
			at := schema.ParseCoordinate(args[0])
			catalogue, policy, err := readContent(cfg)
			if err != nil {
				return err
			}
			if err := exists(catalogue, at); err != nil {
				return err
			}
			profile := authz.Profile{Roles: []string{role}, Department: department, Purposes: cfg.PurposeIDs(), Purpose: purpose}
			e, err := authz.Explain(policy, catalogue, foldersOf(cfg).PolicySettings, profile, at)
			if err != nil {
				return contentError(err)
			}
			s.printf("%s", e)
			return nil
		},
	}
	c.Flags().StringVar(&path, "config", "", "the configuration file (default: weir.yaml, or the demo's)")
	c.Flags().StringVar(&role, "as", "", "the role")
	c.Flags().StringVar(&purpose, "purpose", "", "the stated purpose")
	c.Flags().StringVar(&department, "department", "", "the reader's department")
	_ = c.MarkFlagRequired("as")
	return c
}

func exists(c *schema.Catalogue, at schema.Coordinate) error {
	t := c.Types[at.Type]
	if t == nil || (!at.Row() && t.Field(at.Field) == nil) {
		return &exitError{ExitUsage, fmt.Errorf("no type or field %s in the schema", at), "write Type or Type.field"}
	}
	return nil
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
