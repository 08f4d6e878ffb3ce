package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/internal/config"
	"github.com/weir-data/weir/internal/gateway"
)

// planFlags are the options of plan.
type planFlags struct{ config, token, purpose, variables, operation string }

func (s *streams) plan() *cobra.Command {
	f := planFlags{}
	c := &cobra.Command{
		Use: "plan --as TOKEN 'query'", Short: "Print what a query would fetch, mask and withhold, without running it", Args: cobra.ExactArgs(1),
		Example: `  weir plan --as demo-clerk --purpose newborn-registration '{ person(idNumber: "x") { name } }'`,
		RunE:    func(c *cobra.Command, args []string) error { return s.explainPlan(c.Context(), f, args[0]) },
	}
	c.Flags().StringVar(&f.config, "config", "", "the configuration file (default: weir.yaml, or the demo's)")
	c.Flags().StringVar(&f.token, "as", "", "the reader's token")
	c.Flags().StringVar(&f.purpose, "purpose", "", "the stated purpose")
	c.Flags().StringVar(&f.variables, "variables", "", "variables as a JSON object")
	c.Flags().StringVar(&f.operation, "operation", "", "name of the operation")
	_ = c.MarkFlagRequired("as")
	return c
}

func (s *streams) explainPlan(ctx context.Context, f planFlags, query string) error {
	cfg, err := located(f.config)
	if err != nil {
		return err
	}
	reader, err := s.readerOf(ctx, cfg, f.token)
	if err != nil {
		return err
	}
	if f.purpose != "" && !slices.Contains(reader.Purposes, f.purpose) {
		return &exitError{ExitUsage, fmt.Errorf("purpose %q is not open to this token", f.purpose), fmt.Sprintf("open are %v", reader.Purposes)}
	}
	variables, err := readVariables(f.variables)
	if err != nil {
		return &exitError{ExitUsage, err, `such as --variables '{"id":"x"}'`}
	}
	folders := foldersOf(cfg)
	generation, _, err := folders.Load()
	if err != nil {
		return contentError(err)
	}
	defer generation.Documents.Close()
	n := &node{cfg: cfg}
	if err := n.openAdapters(); err != nil {
		return errors.Join(err, n.close())
	}
	defer func() { _ = n.close() }()
	p, refusals := buildPlan(cfg, generation, engines(n.adapters), reader, f, query, variables)
	if len(refusals) > 0 {
		for _, r := range refusals {
			s.printf("%s\n", r)
		}
		return &exitError{ExitRefused, errors.New("the query is refused for this reader and purpose"), ""}
	}
	s.printf("%s", p)
	return nil
}

func buildPlan(cfg *config.Config, g *plan.Generation, sources plan.Sources, reader *authz.Subject, f planFlags, query string, raw map[string]any) (*plan.Plan, plan.Errors) {
	limits := limitsOf(cfg)
	shape, errs := g.Shape(reader.Profile(f.purpose))
	if len(errs) > 0 {
		return nil, errs
	}
	doc, errs := shape.Document(query)
	if len(errs) > 0 {
		return nil, errs
	}
	op, errs := doc.Operation(f.operation)
	if len(errs) > 0 {
		return nil, errs
	}
	variables, errs := plan.CoerceVariables(shape.API(), op, raw, limits)
	if len(errs) > 0 {
		return nil, errs
	}
	return plan.Build(&plan.Request{
		Generation: g, Document: doc, Operation: op, Variables: variables,
		Profile: reader.Profile(f.purpose), Attributes: reader.Attributes, Sources: sources, Limits: limits,
	})
}

// readerOf verifies a token as the server would.
func (s *streams) readerOf(ctx context.Context, cfg *config.Config, token string) (*authz.Subject, error) {
	var auth gateway.Authenticator = gateway.NewFixedTokens(cfg)
	if cfg.Tokens.JWT != nil {
		keys, err := gateway.OpenJWKS(ctx, cfg.Tokens.JWT.JWKS, slog.New(slog.NewTextHandler(io.Discard, nil)))
		if err != nil {
			return nil, environment(err, "")
		}
		if auth, err = gateway.NewJWT(cfg, keys, time.Now); err != nil {
			return nil, err
		}
	}
	reader, err := auth.Authenticate(ctx, token)
	if err != nil {
		remedy := ""
		if cfg.Mode == config.ModeDemo {
			remedy = fmt.Sprintf("the tokens are %v", sorted(cfg.Tokens.Demo))
		}
		return nil, &exitError{ExitUsage, errors.New("the token of --as is not valid"), remedy}
	}
	return reader, nil
}

func readVariables(text string) (map[string]any, error) {
	if text == "" {
		return nil, nil
	}
	var v map[string]any
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	dec.UseNumber()
	if dec.Decode(&v) != nil || dec.More() {
		return nil, errors.New("--variables is not a JSON object")
	}
	return v, nil
}

// engines are the sources as far as planning needs them.
type engines map[string]adapters.Adapter

var errNoDepartment = errors.New("no such department")

// Capabilities implements plan.Sources.
func (e engines) Capabilities(department string) (adapters.Capabilities, bool) {
	a, ok := e[department]
	if !ok {
		return adapters.Capabilities{}, false
	}
	return a.Capabilities(), true
}

// Compile implements plan.Sources.
func (e engines) Compile(department string, shape *adapters.Shape) (adapters.Statement, error) {
	a, ok := e[department]
	if !ok {
		return nil, errNoDepartment
	}
	return a.Compile(shape)
}
