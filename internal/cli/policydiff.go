package cli

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/internal/config"
	"github.com/weir-data/weir/internal/gateway"
)

func (s *streams) policyDiff() *cobra.Command {
	f := &lintFlags{}
	c := &cobra.Command{
		Use: "diff A B", Short: "Say in words what a reviewer must know: who gets more, who gets less, from A to B",
		Long: `Compares what two revisions decide, not how they are written: for every role, two
roles of one reader, purpose, field and scope, and what masks, levels, scope
conditions, keys and columns mean. A and B are each a folder of *.csv, one such
file, or a weir.yaml, whose schema, policy and settings then count; a bare policy
is read with the schema and settings of --config.`,
		Example: "  weir policy diff policy /tmp/draft.csv\n  weir policy diff old/weir.yaml new/weir.yaml",
		Args:    cobra.ExactArgs(2),
		RunE:    func(_ *cobra.Command, args []string) error { return s.diffPolicies(f, args[0], args[1]) },
	}
	f.add(c)
	return c
}

func (s *streams) diffPolicies(f *lintFlags, from, to string) error {
	if err := checkFormat(f.format); err != nil {
		return err
	}
	var tables [2]*authz.Table
	var settings [2]gateway.RevisionSettings
	for i, path := range [...]string{from, to} {
		cfg, err := configured(f.config, path)
		if err != nil {
			return err
		}
		catalogue, policy, err := readContent(cfg)
		if err != nil {
			return err
		}
		folders := foldersOf(cfg)
		settings[i] = folders.Settings()
		if tables[i], err = authz.Compile(policy, catalogue, folders.PolicySettings); err != nil {
			return contentError(err)
		}
	}
	changes := authz.Diff(tables[0], tables[1])
	gateway.CompareSettings(changes, &settings[0], &settings[1])
	if f.format == formatJSON {
		return s.writeJSON(changesReport(changes))
	}
	s.printf("%s", changes)
	return nil
}

// configured gives the configuration that a path means: itself, or the common
// one with another policy.
func configured(common, path string) (*config.Config, error) {
	if file := filepath.Join(path, "weir.yaml"); isFolder(path) && isFile(file) {
		path = file
	}
	if ext := filepath.Ext(path); ext == ".yaml" || ext == ".yml" {
		return loadConfig(path)
	}
	if !isFolder(path) && (!isFile(path) || !strings.HasSuffix(path, ".csv")) {
		return nil, &exitError{ExitUsage, fmt.Errorf("%s is neither a folder of *.csv, nor such a file, nor a weir.yaml", path), ""}
	}
	cfg, err := located(common)
	if err != nil {
		return nil, err
	}
	cfg.Policy = path
	return cfg, nil
}

type changesJSON struct {
	Widens  bool         `json:"widens"`
	Narrows bool         `json:"narrows"`
	Changes []changeJSON `json:"changes"`
}

type changeJSON struct {
	Roles       []string   `json:"roles"`
	Together    bool       `json:"together"`
	Coordinates []string   `json:"coordinates"`
	Purposes    []string   `json:"purposes"`
	Reader      string     `json:"reader,omitempty"`
	Steps       []stepJSON `json:"steps"`
	WasHidden   bool       `json:"wasHidden"`
	IsHidden    bool       `json:"isHidden"`
	Meaning     string     `json:"meaning,omitempty"`
	Widens      bool       `json:"widens"`
	Narrows     bool       `json:"narrows"`
	Text        []string   `json:"text"`
}

type stepJSON struct {
	Scope  string `json:"scope"`
	From   string `json:"from"`
	To     string `json:"to"`
	Denied bool   `json:"denied"`
}

func changesReport(c *authz.Changes) changesJSON {
	out := changesJSON{Widens: c.Widens, Narrows: c.Narrows, Changes: []changeJSON{}}
	for i := range c.List {
		one := &c.List[i]
		j := changeJSON{
			Roles: list(one.Roles), Together: one.Together, Purposes: list(one.Purposes), Reader: one.Reader, Steps: []stepJSON{},
			WasHidden: one.WasHidden, IsHidden: one.IsHidden, Meaning: one.Meaning, Widens: one.Widens, Narrows: one.Narrows, Text: one.Lines(),
		}
		for _, at := range one.Coordinates {
			j.Coordinates = append(j.Coordinates, at.String())
		}
		for _, step := range one.Steps {
			j.Steps = append(j.Steps, stepJSON{step.Scope, step.From.String(), step.To.String(), step.Denied})
		}
		out.Changes = append(out.Changes, j)
	}
	return out
}
