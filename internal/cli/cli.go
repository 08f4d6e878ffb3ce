// Package cli is Weir's command line: it turns words and files into a running
// node, or into an answer about one.
//
// It promises that every failure names its place and a remedy, and exits with a
// documented code. It decides nothing about access and keeps no state of its
// own.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/weir-data/weir/internal/config"
	"github.com/weir-data/weir/schema"
)

// Exit codes.
const (
	ExitOK          = 0
	ExitFailed      = 1 // the command could not do what it was asked
	ExitUsage       = 2 // unknown command, flag or argument
	ExitRefused     = 3 // configuration, schema or policy is at fault
	ExitTests       = 4 // tests of the policy failed
	ExitEnvironment = 5 // port, disk, folder or database is at fault
	ExitTampered    = 6 // a ledger or proof is not what was signed
)

// exitError carries an exit code and what to do about it.
type exitError struct {
	code   int
	err    error
	remedy string
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func refused(err error, remedy string) error { return &exitError{ExitRefused, err, remedy} }

func environment(err error, remedy string) error { return &exitError{ExitEnvironment, err, remedy} }

// streams are where a command reads and writes; version is printed by version.
type streams struct {
	out, err io.Writer
	version  string
	level    string
	started  bool // a command ran
}

// Run executes one command line and gives the exit code. The context's end is
// the wish to stop.
func Run(ctx context.Context, args []string, version string, out, errOut io.Writer) int {
	s := &streams{out: out, err: errOut, version: version}
	root := s.root()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	c, err := root.ExecuteContextC(ctx)
	if err == nil {
		return ExitOK
	}
	if !s.started {
		err = &exitError{ExitUsage, err, howToUse(c)}
	}
	s.complain(err)
	var exit *exitError
	if errors.As(err, &exit) {
		return exit.code
	}
	return ExitFailed
}

// howToUse says what a command takes, since "accepts 2 arg(s)" does not.
func howToUse(c *cobra.Command) string {
	see := "see " + c.CommandPath() + " --help"
	if !c.HasParent() {
		return see
	}
	return c.UseLine() + "; " + see
}

// complain prints an error for people: what, where, and what to do.
func (s *streams) complain(err error) {
	lines := strings.Split(strings.TrimRight(problemsOf(err), "\n"), "\n")
	if isList(err) && len(lines) > 1 {
		count := fmt.Sprintf("%d problems", len(lines))
		if more := len(lines) - shownProblems; more > 0 {
			lines = append(lines[:shownProblems], fmt.Sprintf("and %d more: weir lint lists them all", more))
		}
		lines = append([]string{count}, lines...)
	}
	_, _ = fmt.Fprintf(s.err, "weir: %s\n", lines[0])
	for _, l := range lines[1:] {
		_, _ = fmt.Fprintf(s.err, "  %s\n", strings.TrimSpace(l))
	}
	var exit *exitError
	if errors.As(err, &exit) && exit.remedy != "" {
		_, _ = fmt.Fprintf(s.err, "  -> %s\n", exit.remedy)
	}
}

// shownProblems bounds what a command says of content that it cannot work with;
// the lint commands list all.
const shownProblems = 50

// problemsOf is the error's text. Of findings, it is those that refuse: what they
// are found beside is for the lint commands.
func problemsOf(err error) string {
	var found schema.Diagnostics
	if !errors.As(err, &found) || !found.Failed() {
		return err.Error()
	}
	var failures schema.Diagnostics
	for _, d := range found {
		if !d.Warning {
			d.File = shorten(d.File)
			failures = append(failures, d)
		}
	}
	return strings.Replace(err.Error(), found.Error(), failures.Error(), 1)
}

// isList tells errors that hold one problem a line.
func isList(err error) bool {
	var problems config.Errors
	var found schema.Diagnostics
	return errors.As(err, &problems) || errors.As(err, &found)
}

func (s *streams) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "weir",
		Short: "One GraphQL endpoint over departments' databases: decided, masked, recorded",
		Long: `Weir serves one GraphQL schema over several departments' databases. Policies
decide field by field who sees what, and every read is recorded before it leaves.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 configuration, schema or policy
refused, 4 policy tests failed, 5 port, disk, folder or database at fault, 6 a
ledger or proof is not what was signed.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
	}
	root.PersistentFlags().StringVar(&s.level, "log", "", "least level that is logged: debug, info, warn, error")
	root.AddCommand(s.serve(), s.demo(), s.plan(), s.lint(), s.policy(), s.lineage(), s.versionCommand())
	root.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	root.SetFlagErrorFunc(flagError)
	s.noteStart(root)
	return root
}

// flagError says what a flag takes, without the words of Go's parsers.
func flagError(_ *cobra.Command, err error) error {
	var bad *pflag.InvalidValueError
	if !errors.As(err, &bad) {
		return err
	}
	takes := map[string]string{"int": "a whole number", "duration": "a length of time such as 30s or 24h", "bool": "true or false"}[bad.GetFlag().Value.Type()]
	if takes == "" {
		return err
	}
	return fmt.Errorf("--%s %q is not %s", bad.GetFlag().Name, bad.GetValue(), takes)
}

// noteStart tells wrong usage, which keeps a command from running, from what
// goes wrong while it runs.
func (s *streams) noteStart(c *cobra.Command) {
	if run := c.RunE; run != nil {
		c.RunE = func(c *cobra.Command, args []string) error {
			s.started = true
			return run(c, args)
		}
	}
	for _, sub := range c.Commands() {
		s.noteStart(sub)
	}
}

// logger writes structured lines to the error stream.
func (s *streams) logger(standard slog.Level) (*slog.Logger, error) {
	level := standard
	if s.level != "" {
		if err := level.UnmarshalText([]byte(s.level)); err != nil {
			return nil, &exitError{ExitUsage, fmt.Errorf("--log %q is not a level", s.level), "debug, info, warn or error"}
		}
	}
	return slog.New(slog.NewJSONHandler(s.err, &slog.HandlerOptions{Level: level})), nil
}

func (s *streams) printf(format string, args ...any) { _, _ = fmt.Fprintf(s.out, format, args...) }

func (s *streams) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			s.printf("weir %s\n", s.version)
			return nil
		},
	}
}

// loadConfig reads a configuration file with messages for people.
func loadConfig(path string) (*config.Config, error) {
	if path == "" {
		return nil, &exitError{ExitUsage, errors.New("--config names no file"), "such as --config /etc/weir/weir.yaml"}
	}
	c, err := config.Load(path)
	var problems config.Errors
	switch {
	case err == nil:
		return c, nil
	case errors.As(err, &problems):
		return nil, refused(problems, "")
	case errors.Is(err, os.ErrNotExist):
		return nil, environment(fmt.Errorf("%s does not exist", path), "name the configuration with --config, or start with: weir demo")
	default:
		return nil, environment(err, placeRemedy(err, "name the file itself with --config"))
	}
}
