package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/weir-data/weir/examples/guangdong"
	"github.com/weir-data/weir/internal/config"
)

// demoFolder is where the demo lives unless --state says otherwise.
const demoFolder = "weir-demo"

// demoFlags are the options of demo.
type demoFlags struct {
	listen, state, postgres string
	people                  int
}

func (s *streams) demo() *cobra.Command {
	f := demoFlags{}
	c := &cobra.Command{
		Use: "demo", Short: "Serve the Guangdong example: four departments, synthetic people, fixed tokens", Args: cobra.NoArgs,
		Long: `The demo is a configuration of serve: on first start it writes weir.yaml, schema/,
policy/ and the data of four departments into --state, then serves them. Edit
the files there: changes are live within a second.`,
		RunE: func(c *cobra.Command, _ []string) error { return s.runDemo(c.Context(), f) },
	}
	c.Flags().StringVar(&f.listen, "listen", "", "address to listen on (default 127.0.0.1:8080)")
	c.Flags().StringVar(&f.state, "state", demoFolder, "folder of the demo: configuration, data, ledger")
	c.Flags().IntVar(&f.people, "people", guangdong.DefaultPeople, "number of synthetic people")
	c.Flags().StringVar(&f.postgres, "postgres", "", "URL of a PostgreSQL server: put the four departments into databases there")
	return c
}

func (s *streams) runDemo(ctx context.Context, f demoFlags) error {
	if f.people < 1 || f.people > 10_000_000 {
		return &exitError{ExitUsage, fmt.Errorf("--people %d is not between 1 and 10000000", f.people), ""}
	}
	if err := os.MkdirAll(f.state, 0o700); err != nil {
		return environment(fmt.Errorf("demo folder: %w", err), "choose another with --state")
	}
	edited, err := unpackExample(f.state)
	if err != nil {
		return environment(fmt.Errorf("demo folder %s: %w", f.state, err), "choose another with --state")
	}
	cfg, err := loadConfig(filepath.Join(f.state, "weir.yaml"))
	if err != nil {
		return err
	}
	if f.listen != "" {
		if err := checkListen(f.listen); err != nil {
			return err
		}
		cfg.Listen = f.listen
	}
	// A port in use is found before minutes go into writing data.
	probe, err := listenOn(ctx, cfg.Listen, frontAddress)
	if err != nil {
		return err
	}
	if err := probe.Close(); err != nil {
		return environment(err, "")
	}
	if err := s.generate(ctx, cfg, f); err != nil {
		if ctx.Err() != nil {
			return nil // told to stop: the next start goes on
		}
		return err
	}
	if err := cfg.Validate(); err != nil {
		return refused(err, "")
	}
	return s.serveConfig(ctx, cfg, serving{
		level: slog.LevelWarn,
		query: fmt.Sprintf("{\n  person(idNumber: %q) {\n    name\n    idNumber\n    district\n  }\n}\n", guangdong.TheSample().Mother),
		ready: func(at net.Addr) { s.introduce(cfg, f, at, edited) },
	})
}

// generate puts the data where the configuration looks for it.
func (s *streams) generate(ctx context.Context, cfg *config.Config, f demoFlags) error {
	options := guangdong.Options{People: f.people}
	progress := &progress{s: s}
	if f.postgres == "" {
		if err := guangdong.WriteSQLite(ctx, filepath.Join(f.state, "data"), options, progress.tell); err != nil {
			return dataError(err, "may this process write there? --state names another folder")
		}
		progress.end()
		return nil
	}
	if err := guangdong.WritePostgres(ctx, f.postgres, postgresPrefix, options, progress.tell); err != nil {
		return dataError(err, "does the server run there, and may this user create databases?")
	}
	progress.end()
	for _, id := range guangdong.Departments() {
		u, err := databaseURL(f.postgres, guangdong.DatabaseName(postgresPrefix, id))
		if err != nil {
			return &exitError{ExitUsage, err, "such as postgres://user:password@host:5432/postgres"}
		}
		d := cfg.Departments[id]
		d.Driver, d.Path, d.URL = config.DriverPostgres, "", config.NewSecret(u)
		cfg.Departments[id] = d
	}
	return nil
}

// postgresPrefix begins the names of the demo's databases.
const postgresPrefix = "weir_demo"

func dataError(err error, remedy string) error {
	if errors.Is(err, guangdong.ErrOtherData) {
		return environment(err, "give the same --people as before, or another --state")
	}
	if errors.Is(err, syscall.ENOSPC) {
		return environment(fmt.Errorf("the example's data: %w", err), "the disk is full: free space, or choose another --state")
	}
	return environment(fmt.Errorf("the example's data: %w", err), remedy)
}

// unpackExample writes the example's files where they are missing, and names
// those that were edited, which are left alone.
func unpackExample(dir string) (edited []string, err error) {
	files := guangdong.Files()
	err = fs.WalkDir(files, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		target := filepath.Join(dir, filepath.FromSlash(path))
		have, err := os.ReadFile(target) //nolint:gosec // the demo's own folder
		switch {
		case err == nil:
			if !bytes.Equal(have, text) {
				edited = append(edited, path)
			}
			return nil
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return err
		}
		return os.WriteFile(target, text, 0o600)
	})
	return edited, err
}

// progress shows the writing of the data, one line per table.
type progress struct {
	s  *streams
	mu sync.Mutex
	n  int
}

func (p *progress) tell(department, table string, rows int, done bool) {
	if !done {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n == 0 {
		p.s.printf("writing the departments' synthetic data (first start only)\n")
	}
	p.n++
	p.s.printf("  %-18s %-18s %9d rows\n", department, table, rows)
}

func (p *progress) end() {
	if p.n > 0 {
		p.s.printf("\n")
	}
}

// introduce prints what a newcomer needs: where, as whom, and what to paste.
func (s *streams) introduce(cfg *config.Config, f demoFlags, at net.Addr, edited []string) {
	base := "http://" + at.String()
	p := s.printf
	p("Weir serves the Guangdong example. Everybody in it is synthetic.\n\n")
	p("  GraphiQL       %s/\n  data graph     %s/graphql\n  control graph  %s/control/graphql\n  schema         %s/schema.graphql\n\n", base, base, base, base)
	p("Tokens (Authorization: Bearer ...) and the purposes open to them (X-Weir-Purpose: ...)\n")
	for _, token := range sorted(cfg.Tokens.Demo) {
		d := cfg.Tokens.Demo[token]
		purposes := strings.Join(inOrder(cfg, cfg.OpenPurposes(d.Application, d.Purposes)), ", ")
		if purposes == "" {
			purposes = "no purpose"
		}
		p("  %-19s %s %s: %s\n", token, d.ZH, d.EN, purposes)
	}
	sample := guangdong.TheSample()
	query := fmt.Sprintf(`{"query":"{ person(idNumber: \"%s\") { name idNumber district } }"}`, sample.Mother)
	p("\nOne query, two readers. The clerk registers a birth and sees the name masked:\n\n")
	p("%s\n", curl(base, "demo-clerk", "newborn-registration", query))
	p("\nThe officer handles a case in his own region and sees both in clear:\n\n")
	p("%s\n", curl(base, "demo-officer", "case-handling", query))
	p("\nBoth looks are on record:\n\n%s lineage tail --state %s --last 2\n\n", invoked(os.Args[0]), f.state)
	if len(edited) > 0 {
		p("Edited and kept: %s in %s. Remove them to get the built-in ones.\n\n", strings.Join(edited, ", "), f.state)
	}
	p("DEMO: fixed tokens, one officer widens rights alone. Never with real data. Ctrl-C ends it.\n")
}

// invoked is how the program was called, for lines to paste: `go run` leaves it
// in a folder that is gone when it ends.
func invoked(program string) string {
	if strings.Contains(program, "go-build") {
		return "go run ."
	}
	return program
}

// curl is a line to paste into any POSIX shell.
func curl(base, token, purpose, body string) string {
	return fmt.Sprintf("curl -s %s/graphql -H 'Authorization: Bearer %s' -H 'X-Weir-Purpose: %s' -H 'Content-Type: application/json' -d '%s'",
		base, token, purpose, strings.ReplaceAll(body, "'", `'\''`))
}
