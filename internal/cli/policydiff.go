package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/internal/config"
	"github.com/weir-data/weir/internal/gateway"
)

func (s *streams) policyDiff() *cobra.Command {
	f, replay := &lintFlags{}, &replayFlags{}
	c := &cobra.Command{
		Use: "diff A B", Short: "Say in words what a reviewer must know: who gets more, who gets less, from A to B",
		Long: `Compares what two revisions decide, not how they are written: for every role, two
roles of one reader, purpose, field and scope, and what masks, levels, scope
conditions, keys and columns mean. A and B are each a folder of *.csv, one such
file, or a weir.yaml, whose schema, policy and settings then count; a bare policy
is read with the schema and settings of --config.

With --replay it also decides anew what was read in the last days, as the index of
the ledger in the state folder of --config has it: which operations, applications
and kinds of readers would have seen more under B than under A, and which less.`,
		Example: "  weir policy diff policy /tmp/draft.csv\n  weir policy diff old/weir.yaml new/weir.yaml\n  weir policy diff policy /tmp/draft.csv --replay --from 2026-11-01",
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			return s.diffPolicies(c.Context(), f, replay, args[0], args[1])
		},
	}
	f.add(c)
	replay.add(c)
	return c
}

func (s *streams) diffPolicies(ctx context.Context, f *lintFlags, replay *replayFlags, from, to string) error {
	if err := checkFormat(f.format); err != nil {
		return err
	}
	draft, err := draftOf(f.config, from, to)
	if err != nil {
		return err
	}
	var replayed *replayed
	if replay.on {
		cfg, err := located(f.config)
		if err != nil {
			return err
		}
		if replayed, err = replay.replay(ctx, cfg, draft); err != nil {
			return err
		}
	}
	if f.format == formatJSON {
		out := changesReport(draft.Changes)
		if replayed != nil {
			out.Replay = replayReport(replayed, replay.limit)
		}
		return s.writeJSON(out)
	}
	s.printf("%s", draft.Changes)
	if replayed != nil {
		s.printReplay(replayed, replay.limit)
	}
	return nil
}

// draftOf compiles two revisions and compares them.
func draftOf(common, from, to string) (*authz.Draft, error) {
	draft := &authz.Draft{}
	var settings [2]gateway.RevisionSettings
	for i, side := range [...]struct {
		path  string
		state *authz.State
	}{{from, &draft.Before}, {to, &draft.After}} {
		cfg, err := configured(common, side.path)
		if err != nil {
			return nil, err
		}
		catalogue, policy, err := readContent(cfg)
		if err != nil {
			return nil, err
		}
		folders := foldersOf(cfg)
		table, err := authz.Compile(policy, catalogue, folders.PolicySettings)
		if err != nil {
			return nil, contentError(err)
		}
		settings[i] = folders.Settings()
		*side.state = authz.State{Table: table, Applications: folders.Rights.Applications}
	}
	draft.Changes = authz.Diff(draft.Before.Table, draft.After.Table)
	gateway.CompareSettings(draft.Changes, &settings[0], &settings[1])
	return draft, nil
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
	Replay  *replayJSON  `json:"replay,omitempty"`
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
