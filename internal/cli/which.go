package cli

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/weir-data/weir/internal/config"
)

// whichNode are the flags that find a node by its configuration. Commands that
// write, or that ask more of a node than its ledger's folder, need all that
// weir.yaml says; for those that read a ledger see wherever.
type whichNode struct{ state, path string }

func (w *whichNode) flags(c *cobra.Command) {
	c.Flags().StringVar(&w.state, "state", "", "folder of the demo, with its weir.yaml (default: weir.yaml, or the demo's)")
	c.Flags().StringVar(&w.path, "config", "", "the configuration whose ledger it is")
}

// load reads the configuration that is meant.
func (w *whichNode) load() (*config.Config, error) {
	if err := oneNamed(w.state, w.path); err != nil {
		return nil, err
	}
	if w.state == "" {
		return located(w.path)
	}
	file := filepath.Join(w.state, "weir.yaml")
	if !isFile(file) {
		return nil, environment(fmt.Errorf("no weir.yaml in %s", w.state), "--state names the folder of a demo; name the configuration of another node with --config")
	}
	return loadConfig(file)
}

// oneNamed refuses two names of a ledger: they might be of two.
func oneNamed(state, path string) error {
	if state != "" && path != "" {
		return &exitError{ExitUsage, errors.New("--state and --config both say which ledger is meant"), "give one of them"}
	}
	return nil
}
