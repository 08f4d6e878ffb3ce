package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-data/weir/authz/masks"
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
	if format == formatJSON {
		for _, d := range found {
			if err := s.writeJSON(finding{d.File, d.Line, d.Column, d.Code, d.Message, d.Suggestion, d.Warning}); err != nil {
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
	if format != formatJSON {
		s.printf("ok, %d warnings\n", len(found))
	}
	return nil
}

// checkFormat refuses a format that no command has.
func checkFormat(format string) error {
	if format != formatText && format != formatJSON {
		return &exitError{ExitUsage, fmt.Errorf("--format %q", format), "text or json"}
	}
	return nil
}

// Formats of output.
const (
	formatText = "text"
	formatJSON = "json"
)

// writeJSON prints one value as one line.
func (s *streams) writeJSON(v any) error {
	enc := json.NewEncoder(s.out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
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
type lintFlags struct {
	config, format string
	masks          bool
}

func (f *lintFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.config, "config", "", "the configuration file (default: weir.yaml, or the demo's)")
	c.Flags().StringVar(&f.format, "format", formatText, "text or json")
}

func (s *streams) lint() *cobra.Command {
	f := &lintFlags{}
	c := &cobra.Command{
		Use: "lint", Short: "Check configuration, schema and policy, as serve would", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := checkSources(f.config); err != nil {
				return err
			}
			return s.lintContent(f, 200*time.Millisecond)
		},
	}
	f.add(c)
	c.Flags().BoolVar(&f.masks, "masks", false, "list the masked fields too, and what can be learnt of a value through each one's mask")
	return c
}

// checkSources refuses a configuration whose sources serve could not open. None of
// them is asked.
func checkSources(path string) error {
	cfg, err := located(path)
	if err != nil {
		return err
	}
	n := &node{cfg: cfg}
	return errors.Join(n.openAdapters(), n.close())
}

// lintContent loads what serve would load; budget bounds the comparison with
// Casbin. What is refused has no masks to list.
func (s *streams) lintContent(f *lintFlags, budget time.Duration) error {
	if err := checkFormat(f.format); err != nil {
		return err
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
	if f.masks {
		if err := s.masks(generation.Catalogue, f.format); err != nil {
			return err
		}
	}
	return s.findings(found, f.format)
}

// masked is a field and what its mask lets one learn.
type masked struct {
	Coordinate string   `json:"coordinate"`
	Mask       string   `json:"mask"`
	Version    int      `json:"version"`
	Preserves  []string `json:"preserves"`
}

// masks lists the fields that have a mask, by type and in SDL order.
func (s *streams) masks(c *schema.Catalogue, format string) error {
	for _, name := range slices.Sorted(maps.Keys(c.Types)) {
		for _, f := range c.Types[name].Fields {
			if f.Mask == nil {
				continue
			}
			rule, err := masks.Parse(f.Mask.Spec)
			if err != nil {
				return refused(fmt.Errorf("%s: %w", f.Coordinate, err), "")
			}
			m := masked{f.Coordinate.String(), rule.Spec(), rule.Version, rule.Preserves.Words()}
			if format == formatJSON {
				if err := s.writeJSON(m); err != nil {
					return err
				}
				continue
			}
			kept := strings.Join(m.Preserves, "; ")
			if kept == "" {
				kept = "nothing"
			}
			s.printf("%s: %s, version %d, shows %s\n", m.Coordinate, m.Mask, m.Version, kept)
		}
	}
	return nil
}
