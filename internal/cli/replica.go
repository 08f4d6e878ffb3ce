package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/lineage/replica"
)

func (s *streams) lineageReplicaKey() *cobra.Command {
	return &cobra.Command{
		Use: "replica-key FILE", Short: "Print the public key by which node and replica know each other", Args: cobra.ExactArgs(1),
		Long: `Prints the public half of a key file, and makes the file first if there is none.
The node's is state/replica.key; the replica's is the file named with --identity.
Give each side the other's by a way that you trust.`,
		Example: "  weir lineage replica-key replica.key",
		RunE: func(_ *cobra.Command, args []string) error {
			i, err := replica.OpenIdentity(args[0])
			if err != nil {
				return environment(err, "name the file of the key, in a folder that exists")
			}
			s.printf("%s\n", i.Public())
			return nil
		},
	}
}

func (s *streams) lineageReplica() *cobra.Command {
	var listen, dir, identity, node string
	c := &cobra.Command{
		Use: "replica --dir DIR --node PUBLIC-KEY", Short: "Keep a node's ledger on this machine, which is not the node's", Args: cobra.NoArgs,
		Long: `Takes the log of one node as it grows, syncs it here and acknowledges it. The node
serves answers of the levels whose ledger.durability is "replicated" only then.
Nobody but the holder of the node's key can connect. The folder is a log like the
node's own; it holds no tree: check it with weir lineage verify --log-only, or
with --tree and a copy of the node's tree.

It ends when a sync fails: what the disk holds is not known then.`,
		Example: "  weir lineage replica --listen 10.0.0.2:7443 --dir ledger --identity replica.key --node MCowBQ...=",
		RunE: func(c *cobra.Command, _ []string) error {
			if dir == "" || node == "" {
				return &exitError{ExitUsage, errors.New("--dir and --node are needed"), "see weir lineage replica --help"}
			}
			key, err := replica.ParsePublic(node)
			if err != nil {
				return &exitError{ExitUsage, fmt.Errorf("--node: %w", err), "the node's operator prints it with: weir lineage replica-key state/replica.key"}
			}
			own, err := replica.OpenIdentity(identity)
			if err != nil {
				return environment(err, "name this machine's key file with --identity")
			}
			l, err := listenOn(c.Context(), listen, "--listen")
			if err != nil {
				return err
			}
			logger := slog.New(slog.NewJSONHandler(s.err, nil))
			logger.Info("keeping a node's ledger", "listen", l.Addr().String(), "folder", dir, "key", own.Public())
			err = replica.Receive(c.Context(), l, replica.ReceiverConfig{
				Dir: dir, Identity: own, Node: key, Log: logger,
				Fatal: func(err error) {
					logger.Error("the copy of the ledger cannot be trusted any more and the process ends", "error", err.Error())
					os.Exit(ExitEnvironment)
				},
			})
			switch {
			case errors.Is(err, lineage.ErrForeign):
				return environment(fmt.Errorf("copy %s: %w", dir, err), "name an empty folder with --dir, or that of this node's copy")
			case err != nil:
				return ledgerError(dir, err)
			}
			return nil
		},
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:7443", "address that the node connects to")
	c.Flags().StringVar(&dir, "dir", "", "folder of the copy, made if missing; no other process may use it")
	c.Flags().StringVar(&identity, "identity", "replica.key", "file of this machine's key, made if missing")
	c.Flags().StringVar(&node, "node", "", "public key of the node, as printed by: weir lineage replica-key state/replica.key")
	return c
}
