package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-data/weir/authz/approval"
	"github.com/weir-data/weir/internal/config"
	"github.com/weir-data/weir/internal/gateway"
	"github.com/weir-data/weir/internal/store"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/lineage/index"
)

func (s *streams) retentionDrop() *cobra.Command {
	var w whichNode
	var server, token string
	c := &cobra.Command{
		Use: "drop ACT", Short: "Carry out an act that both officers have signed: the key is dropped, for good", Args: cobra.ExactArgs(1),
		Long: `Drops the data key that the act names: records the act in the ledger, removes the
key, and takes what the index holds of its records out of it.

Without --server it opens the ledger itself, so no server may have it. With
--server it hands the act to the running server, with an auditor's token. Either
way the act must bear the signatures of an auditor and of a security officer of the
revision in force, and nothing is changed where it does not.`,
		Example: `  weir lineage retention drop retention-2023-01-L3.act
  weir lineage retention drop retention-2023-01-L3.act --server http://127.0.0.1:8080 --token auditor.token`,
		RunE: func(c *cobra.Command, args []string) error {
			if (server == "") != (token == "") {
				return &exitError{ExitUsage, errors.New("--server and --token go together"), "--token names a file with an auditor's token"}
			}
			text, a, err := readAct(args[0])
			if err != nil {
				return err
			}
			if server != "" {
				err = dropThere(c.Context(), server, token, text)
			} else {
				err = s.dropHere(c.Context(), &w, text)
			}
			if err != nil {
				return err
			}
			s.printf("the key %s of %s is dropped: the records of that month and level are redacted, and every proof still holds\n", a.Key, a.Month)
			return nil
		},
	}
	w.flags(c)
	c.Flags().StringVar(&server, "server", "", "address of the running server, such as http://127.0.0.1:8080")
	c.Flags().StringVar(&token, "token", "", "file with an auditor's token, for --server")
	return c
}

// retentionOf wires the dropping of keys.
func retentionOf(cfg *config.Config, log *lineage.Log, s *store.Store, logger *slog.Logger) *gateway.Retention {
	folders := foldersOf(cfg)
	return &gateway.Retention{
		Log: log, Dir: cfg.Ledger.Folder, Logger: logger, Now: time.Now,
		Signers: func(ctx context.Context) (gateway.Signers, error) { return gateway.SignersOf(ctx, folders, s) },
	}
}

const remedyBegun = "the key is still there: keep a copy of the file, move it out of the folder, and start again; who put it there without both signatures is to be found"

// retentionError tells an act that is at fault from a ledger that is.
func retentionError(err error, remedy string) error {
	switch {
	case errors.Is(err, gateway.ErrNoSigners):
		return refused(err, "start the node once with an approved revision")
	case errors.Is(err, approval.ErrFormat), errors.Is(err, approval.ErrInvalid), errors.Is(err, lineage.ErrRetention):
		return refused(err, remedy)
	default:
		return environment(err, "the same act again ends what has begun, and so does the next start of the node")
	}
}

// dropHere carries an act out on a ledger that no server has.
func (s *streams) dropHere(ctx context.Context, w *whichNode, text string) error {
	n, err := openStopped(ctx, w, "a server has this ledger: hand it the act with --server ADDRESS --token FILE, or stop it",
		"the act is recorded, and records need their key: the file that ledger.readingKey names")
	if err != nil {
		return err
	}
	defer n.close()
	logger, err := s.logger(slog.LevelError)
	if err != nil {
		return err
	}
	if err := uncutLog(n.cfg, ""); err != nil {
		return err
	}
	log, err := n.openLog()
	if err != nil {
		return err
	}
	_, err = retentionOf(n.cfg, log, n.control, logger).Drop(ctx, text)
	if err != nil {
		return errors.Join(retentionError(err, remedyAct), log.Close())
	}
	if err := log.Close(); err != nil {
		return ledgerError(n.cfg.Ledger.Folder, err)
	}
	if err := forgetHere(ctx, indexConfig(n.cfg, n.reading)); err != nil {
		return environment(fmt.Errorf("the key is dropped, and the index still holds what it knew of the records: %w", indexError(n.cfg, err)),
			"weir lineage reindex makes the index anew without it; where nothing is damaged, so does the next start of the server")
	}
	return nil
}

// forgetHere brings the index up to the act, which takes the records out of it.
func forgetHere(ctx context.Context, cfg index.Config) error {
	if cfg.Driver == index.SQLite && !isFile(cfg.Path) {
		return index.RemoveUnfinished(cfg)
	}
	_, err := readOn(ctx, cfg)
	return err
}

const dropMutation = `mutation ($act: String!) { dropLedgerKey(act: $act) { act } }`

// dropThere hands an act to a running server.
func dropThere(ctx context.Context, server, tokenFile, text string) error {
	token, err := os.ReadFile(tokenFile) //nolint:gosec // the auditor names it
	if err != nil {
		return environment(fmt.Errorf("token: %w", err), "name the file of an auditor's token with --token")
	}
	to, err := url.JoinPath(server, "control/graphql")
	if err != nil {
		return &exitError{ExitUsage, fmt.Errorf("--server %q is no address", server), "such as http://127.0.0.1:8080"}
	}
	body, err := json.Marshal(map[string]any{"query": dropMutation, "variables": map[string]string{"act": text}})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return &exitError{ExitUsage, fmt.Errorf("--server %q is no address", server), "such as http://127.0.0.1:8080"}
	}
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return environment(fmt.Errorf("the server does not answer: %w", err), "name its address with --server; whether the key was dropped shows weir lineage retention list")
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return environment(fmt.Errorf("the server's answer broke off: %w", err), "whether the key was dropped shows weir lineage retention list")
	}
	return dropAnswer(resp.StatusCode, answer)
}

// dropAnswer reads the server's answer.
func dropAnswer(status int, answer []byte) error {
	var out struct {
		Data struct {
			DropLedgerKey *struct{ Act string }
		}
		Errors []struct {
			Message    string
			Extensions struct{ Code string }
		}
	}
	if err := json.Unmarshal(answer, &out); err != nil || out.Data.DropLedgerKey == nil && len(out.Errors) == 0 {
		return environment(fmt.Errorf("the server answered %d, and nothing that is of a control graph", status), "name the address of Weir with --server")
	}
	if len(out.Errors) == 0 {
		return nil
	}
	err := fmt.Errorf("the server refuses: %s (%s)", out.Errors[0].Message, out.Errors[0].Extensions.Code)
	switch out.Errors[0].Extensions.Code {
	case "BAD_REQUEST":
		return refused(err, remedyAct)
	case "FORBIDDEN", "UNAUTHENTICATED":
		return refused(err, "the token must be an auditor's: offices.auditor in weir.yaml")
	}
	return environment(err, "see the server's log; the same act again ends what has begun, and so does its next start")
}
