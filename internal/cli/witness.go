package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/weir-data/weir/lineage/witness"
)

func (s *streams) lineageWitness() *cobra.Command {
	var dir, name, listen string
	var logs []string
	var show bool
	c := &cobra.Command{
		Use: "witness --state FOLDER --log PUBLIC-KEY", Short: "Watch over other people's ledgers: cosign what only ever grows", Args: cobra.NoArgs,
		Long: `Serves a witness (C2SP tlog-witness) for ledgers of nodes that somebody else runs.
For each it cosigns one history only: a checkpoint that its key signed and that
is proven to hold all that was cosigned before. Run it where the node's operators
cannot reach, a regulator's or an auditor's machine.

The folder holds its key, made at the first start under --name, and for each
ledger ORIGIN.checkpoint, the checkpoint cosigned last: give it to weir lineage
verify with --anchor. GET /checkpoint/ORIGIN gives the same. Keep the folder: a
witness that lost it must begin under another name and key.

It sees sizes and hashes of trees, never a record. What it says is signed, so it
speaks HTTP; put a proxy in front of it for TLS.`,
		Example: `  weir lineage witness --state witness --name regulator.example/weir --key
  weir lineage witness --state witness --log node-a+1f3c...+AZ... --listen 0.0.0.0:8088`,
		RunE: func(c *cobra.Command, _ []string) error {
			if dir == "" {
				return &exitError{ExitUsage, errors.New("--state is missing: the folder of the witness's key and of what it has cosigned"), "see weir lineage witness --help"}
			}
			if !show && len(logs) == 0 {
				return &exitError{ExitUsage, errors.New("--log is missing: the public key of a ledger to watch"), "the node's operator prints it with: weir lineage key"}
			}
			if name == "" && isNew(dir) {
				return &exitError{ExitUsage, fmt.Errorf("--name is missing: there is no witness in %s, and a new one needs a name", dir), "such as regulator.example/weir; or name the folder of the witness that is meant with --state"}
			}
			for i := range logs {
				logs[i] = pasted(logs[i])
				if err := witness.CheckLog(logs[i]); err != nil {
					return &exitError{ExitUsage, fmt.Errorf("--log: %w", err), "the node's operator prints it with: weir lineage key"}
				}
			}
			key, err := witness.KeyFor(filepath.Join(dir, "key"), dir, name)
			switch {
			case errors.Is(err, witness.ErrName):
				return &exitError{ExitUsage, fmt.Errorf("--name: %w", err), "such as regulator.example/weir; it is needed at the first start alone, in a folder of its own (--state)"}
			case err != nil:
				return witnessError(dir, err)
			}
			if show {
				s.printf("%s\n", key.Public())
				return nil
			}
			return s.witness(c.Context(), listen, witness.Config{Dir: dir, Key: key, Logs: logs})
		},
	}
	c.Flags().StringVar(&dir, "state", "", "folder of the witness: its key, and what it has cosigned")
	c.Flags().StringVar(&name, "name", "", "the witness's name in its signatures, such as regulator.example/weir; needed once")
	c.Flags().StringArrayVar(&logs, "log", nil, "public key of a ledger to watch, as printed by: weir lineage key; may be given more than once")
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:8088", "address to listen on")
	c.Flags().BoolVar(&show, "key", false, "print the witness's public key and end")
	return c
}

// isNew tells a folder without a witness: neither its key nor what it cosigned.
func isNew(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "key"))
	old, _ := filepath.Glob(filepath.Join(dir, "*.checkpoint"))
	return errors.Is(err, fs.ErrNotExist) && len(old) == 0
}

func witnessError(dir string, err error) error {
	remedy := "it must be this witness's alone, whole as it left it; see weir lineage witness --help"
	if errors.Is(err, witness.ErrLocked) {
		remedy = "stop the other one, or choose another --state"
	}
	return environment(fmt.Errorf("witness %s: %w", dir, err), remedy)
}

// witness serves until the context ends.
func (s *streams) witness(ctx context.Context, listen string, cfg witness.Config) (err error) {
	log, err := s.logger(slog.LevelInfo)
	if err != nil {
		return err
	}
	cfg.Log = log
	w, err := witness.Open(cfg)
	if err != nil {
		return witnessError(cfg.Dir, err)
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", listen)
	if err != nil {
		return environment(err, "choose another --listen")
	}
	server := &http.Server{
		Handler: w.Handler(), ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
	s.printf("witness %s\nlistens on http://%s/\n", cfg.Key.Public(), listener.Addr())
	g, running := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return environment(err, "")
		}
		return nil
	})
	<-running.Done()
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(server.Shutdown(closing), g.Wait())
}
