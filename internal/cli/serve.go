package cli

import (
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/weir-data/weir/internal/config"
)

func (s *streams) serve() *cobra.Command {
	var path, listen string
	var single bool
	c := &cobra.Command{
		Use: "serve", Short: "Serve the graphs of a configuration", Args: cobra.NoArgs,
		Example: "  weir serve --config /etc/weir/weir.yaml",
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(path)
			if err != nil {
				return err
			}
			if listen != "" {
				if err := checkListen(listen); err != nil {
					return err
				}
				cfg.Listen = listen
			}
			cfg.SingleOfficer = cfg.SingleOfficer || single
			if err := cfg.Validate(); err != nil {
				return refused(err, "")
			}
			if !cfg.SingleOfficer && len(cfg.Officers) < 2 {
				return refused(errNoSecondOfficer, "name two officers and their keys under officers in weir.yaml (weir policy keygen makes them), or accept it knowingly with --single-officer or singleOfficer: true")
			}
			return s.serveConfig(c.Context(), cfg, serving{level: slog.LevelInfo})
		},
	}
	c.Flags().StringVar(&path, "config", "weir.yaml", "the configuration file")
	c.Flags().StringVar(&listen, "listen", "", "address to listen on, instead of the configuration's")
	c.Flags().BoolVar(&single, "single-officer", false, "let one security officer widen rights alone")
	return c
}

// Signals are those that end a node in order. SIGHUP is one, unless whoever started
// it had it ignored, as nohup does: folders are watched, and weir.yaml is read at a
// start alone.
func Signals() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// checkListen refuses what is no address before anything is opened.
func checkListen(address string) error {
	if config.IsAddress(address) {
		return nil
	}
	return &exitError{ExitUsage, fmt.Errorf("--listen %q is not host:port", address), "such as 127.0.0.1:8080"}
}

// toldToStop is how a start ends: with its failure, or, where that is of the wish to
// stop, in order.
func toldToStop(ctx context.Context, log *slog.Logger, err error) error {
	if ctx.Err() == nil {
		return err
	}
	log.Info("told to stop before it served", "while", err.Error())
	return nil
}

// errNoSecondOfficer: a widening must wait for a second officer's signature, and
// there is nobody to give it. Serving as if there were would be a promise broken
// in silence.
var errNoSecondOfficer = errors.New("weir.yaml names no two officers: a change that widens rights would wait for ever for a second officer's signature")

// serving is in what serve and demo differ.
type serving struct {
	level slog.Level
	query string         // first in the console's editor
	ready func(net.Addr) // called once the node can answer; may be nil
}

// asDefault sends what libraries log to nobody in particular where the node logs,
// as lines of the same form; it gives back what was there before. The ledger's tree
// is one of them: where it writes through klog, see package ledger.
func asDefault(log *slog.Logger) (restore func()) {
	was, out, flags := slog.Default(), stdlog.Writer(), stdlog.Flags()
	slog.SetDefault(log)
	return func() {
		slog.SetDefault(was)
		stdlog.SetOutput(out) // slog has taken the older logger along
		stdlog.SetFlags(flags)
	}
}

// serveConfig opens a node and serves until the context ends.
func (s *streams) serveConfig(ctx context.Context, cfg *config.Config, how serving) (err error) {
	log, err := s.logger(how.level)
	if err != nil {
		return err
	}
	defer asDefault(log)()
	n, err := openNode(ctx, cfg, how.query, log)
	if err != nil {
		return toldToStop(ctx, log, err)
	}
	defer func() { err = errors.Join(err, n.close()) }()
	if cfg.SingleOfficer && cfg.Mode != config.ModeDemo {
		log.Warn("SINGLE OFFICER: whoever edits the policy folder widens rights alone; no second signature is asked for")
	}
	if cfg.Mode == config.ModeDemo && !config.Loopback(cfg.Listen) {
		log.Warn("DEMO MODE on an address that others can reach: the tokens are public knowledge; serve synthetic data only", "listen", cfg.Listen)
	}
	n.check(ctx)
	if ctx.Err() != nil {
		return toldToStop(ctx, log, context.Cause(ctx))
	}
	front, metrics, err := n.listen(ctx)
	if err != nil {
		return toldToStop(ctx, log, err)
	}
	log.Info("serving", "listen", front.Addr().String(), "mode", cfg.Mode)
	if how.ready != nil {
		how.ready(front.Addr())
	}
	return n.run(ctx, front, metrics)
}
