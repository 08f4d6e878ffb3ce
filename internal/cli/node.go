package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/graph/exec"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/internal/config"
	"github.com/weir-data/weir/internal/gateway"
	"github.com/weir-data/weir/internal/keyring"
	"github.com/weir-data/weir/internal/store"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/lineage/ledger"
	"github.com/weir-data/weir/lineage/replica"
	"github.com/weir-data/weir/schema"
)

// node is a configured server with everything open but its port.
type node struct {
	cfg       *config.Config
	query     string // first in the console's editor
	log       *slog.Logger
	front     *gateway.Front
	revisions *gateway.Revisions
	checked   string // the revision of the schema that the sources were checked against last
	adapters  map[string]adapters.Adapter
	tree      *ledger.Ledger
	reading   lineage.Sealer                // opens the ledger's records
	retention *gateway.Retention            // drops keys of the ledger
	sender    *replica.Sender               // nil without a second machine
	following []func(context.Context) error // run beside the server
	closing   []func() error                // in reverse order
}

// openNode opens ledger, keys, sources and the first generation, in the order in
// which one needs the other; nothing stays open when one fails.
func openNode(ctx context.Context, cfg *config.Config, query string, log *slog.Logger) (n *node, err error) {
	n = &node{cfg: cfg, query: query, log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
		}
	}()
	if err := os.MkdirAll(cfg.State, 0o700); err != nil {
		return n, environment(fmt.Errorf("state folder: %w", err), "name a folder that this node may write: state in weir.yaml")
	}
	ring, err := openKeys(cfg)
	if err != nil {
		return n, err
	}
	ledger, err := n.openLedger(ring)
	if err != nil {
		return n, err
	}
	control, err := n.openStore(ctx, cfg)
	if err != nil {
		return n, err
	}
	n.retention = retentionOf(cfg, ledger, control, log)
	if err := n.retention.Resume(ctx); err != nil {
		return n, retentionError(err, remedyBegun)
	}
	if err := n.openAdapters(); err != nil {
		return n, err
	}
	metrics := gateway.NewMetrics()
	metrics.Register(gateway.LedgerMetrics(ledger)...)
	metrics.Register(gateway.TreeMetrics(n.tree)...)
	if n.sender != nil {
		metrics.Register(gateway.ReplicaMetrics(n.sender)...)
	}
	if cfg.SingleOfficer {
		if err := gateway.ApproveSingleOfficer(ctx, foldersOf(cfg), twoOfficers(cfg, control), gateway.LedgerOf(ledger), metrics, log, time.Now); err != nil {
			return n, contentError(err)
		}
	}
	n.revisions, err = gateway.OpenRevisions(ctx, foldersOf(cfg), activationOf(cfg, control), gateway.LedgerOf(ledger), metrics, log, time.Now)
	if err != nil {
		return n, contentError(err)
	}
	n.following = append(n.following, n.revisions.Run)
	n.closing = append(n.closing, n.revisions.Close)
	if err := n.openFront(ctx, ring, ledger, control, metrics); err != nil {
		return n, err
	}
	return n, nil
}

func (n *node) openFront(ctx context.Context, ring *keyring.Ring, ledger *lineage.Log, kept *store.Store, metrics *gateway.Metrics) error {
	ages := exec.NewFreshness(exec.FreshnessConfig{
		Adapters:  n.adapters,
		Catalogue: func() *schema.Catalogue { return n.revisions.Current().Catalogue },
		Report: func(department string, err error) {
			n.log.Warn("the age of a department's data is not known", "department", department, "error", err.Error())
		},
		Slow: func(t *schema.Type, took, rest time.Duration) {
			n.log.Warn("the newest value of a @fresh column takes its source long to find, and is asked for less often: give the column an index",
				"department", t.Source.Department, "type", t.Name, "table", t.Source.Table, "column", t.Fresh.Column, "took", took, "next", rest)
		},
	})
	n.following = append(n.following, func(ctx context.Context) error {
		if err := ages.Run(ctx); ctx.Err() == nil {
			return err
		}
		return nil
	})
	report := func(err error) { n.log.Error("an executor is at fault", "error", err.Error()) }
	data, err := exec.New(exec.Config{
		Adapters: n.adapters, Keys: ring, Limits: limitsOf(n.cfg), Departments: departmentLimits(n.cfg), Ages: ages,
		Budgets: budgets{kept}, MatchLimits: matchLimits(n.cfg), Aggregates: aggregateLimits(n.cfg),
		Report:  report,
		Observe: func(f exec.Fetched) { logFailure(n.log, &f) },
		Misfits: func(m exec.Misfit) {
			n.log.Warn("a stored value is not of its field's type", "requestId", m.Request, "department", m.Department,
				"type", m.Type, "column", m.Column, "positions", m.Count)
		},
	})
	if err != nil {
		return err
	}
	n.closing = append(n.closing, func() error { data.Close(); return nil })
	n.follow(data)
	metrics.Register(gateway.DepartmentMetrics(slices.Sorted(maps.Keys(n.adapters)), data.Statements)...)
	auth, err := n.authenticator(ctx)
	if err != nil {
		return err
	}
	var revocations gateway.Revocations
	if n.cfg.Tokens.Revoked != "" {
		file, err := gateway.OpenRevocations(n.cfg.Tokens.Revoked, n.log)
		if err != nil {
			return environment(err, "create the file, empty if nothing is revoked")
		}
		revocations = file
		n.following = append(n.following, file.Run)
	}
	asked, err := n.openIndex(ctx)
	if err != nil {
		return err
	}
	metrics.Register(gateway.IndexMetrics(ledger, asked)...)
	control, err := controlGraph(n.cfg, ages, asked, n.tree, ring, n.revisions.Policies(), n.retention, report)
	if err != nil {
		return err
	}
	n.closing = append(n.closing, func() error { control.Close(); return nil })
	page, err := console(n.cfg, n.query)
	if err != nil {
		return err
	}
	c := n.cfg
	n.front, err = gateway.New(gateway.Config{
		Data: data, Control: control,
		Generations: n.revisions, Authenticator: auth, Revocations: revocations, Offices: gateway.OfficesOf(c.Offices),
		Ledger: n.gateOf(ledger), Keys: ring,
		Durability: durability(c), Grace: graces(c), Purposes: c.PurposeIDs(), Sealed: sealed(c),
		BodyLimit: c.Limits.Body, Concurrent: c.Limits.Concurrent,
		QueueTimeout: c.Server.QueueTimeout, RequestTimeout: c.Server.RequestTimeout,
		Console: page, MetricsElsewhere: c.Server.Metrics != "",
		Metrics: metrics, Log: n.log, Now: time.Now,
	})
	return err
}

// ringRemedy is for a file of a key ring that cannot be used.
const ringRemedy = "restore the file from its backup, byte for byte and its owner's alone (mode 0600)"

// openKeys loads the key ring, or makes one for a new node. A ring that is gone
// while its ledger is there is not replaced in silence: everything keyed in the
// ledger would lose its meaning.
func openKeys(cfg *config.Config) (*keyring.Ring, error) {
	ring, err := keyring.Load(cfg.Keys)
	switch {
	case err == nil:
		return ring, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, environment(err, ringRemedy)
	}
	if entries, err := os.ReadDir(cfg.Ledger.Folder); err == nil && len(entries) > 0 {
		return nil, environment(fmt.Errorf("key ring %s is missing, but the ledger %s has records made with it", cfg.Keys, cfg.Ledger.Folder),
			"restore the key ring from its backup; to begin anew, move the ledger away")
	}
	if err := os.MkdirAll(filepath.Dir(cfg.Keys), 0o700); err != nil {
		return nil, environment(fmt.Errorf("key ring: %w", err), "")
	}
	if ring, err = keyring.Generate(); err != nil {
		return nil, err
	}
	if err := ring.Save(cfg.Keys); err != nil {
		return nil, environment(err, "")
	}
	return ring, nil
}

func (n *node) authenticator(ctx context.Context) (gateway.Authenticator, error) {
	if n.cfg.Tokens.JWT == nil {
		return gateway.NewFixedTokens(n.cfg), nil
	}
	keys, err := gateway.OpenJWKS(ctx, n.cfg.Tokens.JWT.JWKS, n.log)
	if err != nil {
		return nil, environment(err, "the token issuer's public keys are needed before anybody can come in")
	}
	n.following = append(n.following, keys.Run)
	return gateway.NewJWT(n.cfg, keys, time.Now)
}

// listen opens the ports, so that a port in use is found before anything is
// promised.
func (n *node) listen(ctx context.Context) (front, metrics net.Listener, err error) {
	if front, err = listenOn(ctx, n.cfg.Listen, frontAddress); err != nil {
		return nil, nil, err
	}
	if n.cfg.Server.Metrics != "" {
		if metrics, err = listenOn(ctx, n.cfg.Server.Metrics, "server.metrics in weir.yaml"); err != nil {
			return nil, nil, errors.Join(err, front.Close())
		}
	}
	return front, metrics, nil
}

// frontAddress is where the address of the front is said.
const frontAddress = "--listen, or listen in weir.yaml"

// listenOn opens a port; said is where its address is said.
func listenOn(ctx context.Context, address, said string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, environment(fmt.Errorf("%s is in use by another process", address), "stop it, or choose another address with "+said)
	case errors.Is(err, syscall.EACCES):
		return nil, environment(fmt.Errorf("%s: permission denied", address), "choose a port above 1023 with "+said)
	default:
		return nil, environment(fmt.Errorf("cannot listen on %s: %w", address, err), "give an address of this machine and a port, such as 127.0.0.1:8080, with "+said)
	}
}

// run serves until the context ends or a part fails.
func (n *node) run(ctx context.Context, front, metrics net.Listener) error {
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return n.front.Serve(running, front, metrics, n.cfg.Server) })
	for _, follow := range n.following {
		group.Go(func() error { return follow(running) })
	}
	return group.Wait()
}

func (n *node) close() error {
	var errs []error
	for i := len(n.closing) - 1; i >= 0; i-- {
		errs = append(errs, n.closing[i]())
	}
	n.closing = nil
	return errors.Join(errs...)
}

// contentError tells findings in schema and policy from folders that cannot be
// read.
func contentError(err error) error {
	var refusal *gateway.RefusedError
	var unapproved *gateway.UnapprovedError
	switch {
	case errors.As(err, &refusal):
		return refused(refusal, "")
	case errors.As(err, &unapproved):
		return refused(unapproved, unapprovedRemedy(unapproved))
	case errors.Is(err, fs.ErrNotExist):
		return environment(err, "name the folders in weir.yaml: schema (*.graphqls), policy (*.csv) and, where documents are registered, documents.folder (*.graphql)")
	case errors.Is(err, authz.ErrPolicy):
		return refused(err, "")
	default:
		return environment(err, placeRemedy(err, ""))
	}
}

// unapprovedRemedy tells how a node that does not start without two officers
// starts.
func unapprovedRemedy(e *gateway.UnapprovedError) string {
	const sign = "let one officer run weir policy propose --as ID --key FILE, and another one weir policy approve --as ID --key FILE; or "
	if e.Settings != nil {
		return sign + "take the change in weir.yaml back"
	}
	return sign + "serve knowingly with --single-officer"
}

func levelsOf(c *config.Config) schema.Levels {
	levels := make(schema.Levels, len(c.Levels))
	for i, l := range c.Levels {
		levels[i] = schema.Level{Name: l.Name, ZH: l.ZH, EN: l.EN}
	}
	return levels
}

func foldersOf(c *config.Config) gateway.Folders {
	levels := levelsOf(c)
	from, _ := levels.Rank(c.PurposeRequiredFrom)
	hide, _ := levels.Rank(c.HideFrom)
	return gateway.Folders{
		Schema: c.Schema, Policy: c.Policy,
		SchemaSettings: schema.Settings{Levels: levels, Departments: c.DepartmentIDs()},
		PolicySettings: authz.Settings{
			PurposeRequiredFrom: from, HideFrom: hide, Purposes: c.PurposeIDs(), Roles: c.KnownRoles(),
			Offices: authz.Offices{Operator: c.Offices.Operator, Security: c.Offices.Security, Auditor: c.Offices.Auditor},
		},
		Documents:     gateway.Documents{Folder: c.Documents.Folder, Only: c.Documents.Only, MaxBytes: c.Limits.Body},
		Officers:      officersOf(c.Officers),
		Auditors:      officersOf(c.Auditors),
		Rights:        rightsOf(c),
		Limits:        limitsOf(c),
		CompareBudget: 200 * time.Millisecond,
	}
}

func limitsOf(c *config.Config) plan.Limits {
	l := c.Limits
	return plan.Limits{
		Tokens: l.Tokens, Depth: l.Depth, IntrospectionDepth: l.IntrospectionDepth, Aliases: l.Aliases,
		Directives: l.Directives, DirectivesPerNode: l.DirectivesPerNode, Fragments: l.Fragments,
		Selections: l.Selections, Roots: l.Roots, FieldsPerKey: l.FieldsPerKey,
		ListItems: l.ListItems, VariableDepth: l.VariableDepth, Errors: l.Errors,
		Rows: l.Rows, MaxLimit: l.MaxLimit,
	}
}

func departmentLimits(c *config.Config) map[string]exec.DepartmentLimits {
	out := make(map[string]exec.DepartmentLimits, len(c.Departments))
	for id, d := range c.Departments {
		out[id] = exec.DepartmentLimits{Timeout: d.Timeout, Concurrency: d.Pool}
	}
	return out
}

// shorten makes a path relative to where the reader stands, if that is shorter.
func shorten(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	rel, err := filepath.Rel(wd, path)
	if err != nil || strings.HasPrefix(rel, "..") {
		return path
	}
	return rel
}
